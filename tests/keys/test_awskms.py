"""Keys in AWS KMS, against a small one on loopback that does what no emulator does."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import ssl
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
import trustme

from notarypy.errors import (
    AlreadyExistsError,
    AuthenticationError,
    BackendMissingError,
    ConfigurationError,
    DeadlineError,
    KeyChangedError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    NetworkError,
    NotarypyError,
    ServerError,
    ThrottledError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers import awsclients, awskms, services
from notarypy.keys.signers.awskms import AwsKmsSigner
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.cosignsigner import CosignSigner
from notarypy.tuf import envelope
from support import fakekms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from notarypy.tuf.keys import PublicKey

CHAIN = PassphraseChain([])
UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:us-east-2:111122223333:key/{UUID}"
SECRETS = ("wJalrXUtnFEMI", "session-token")
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run as somebody without AWS credentials, files, metadata service or proxy."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(awskms, "_PAUSES", (0.001, 0.001))


@pytest.fixture(scope="module")
def server() -> Iterator[fakekms.FakeKms]:
    with fakekms.running() as fake:
        yield fake


@pytest.fixture
def kms(server: fakekms.FakeKms) -> fakekms.FakeKms:
    server.asked.clear()
    server.instead.clear()
    server.aliases.clear()
    return server


def context(
    environ: Mapping[str, str], public: PublicKey | None = None, timeout: float = 60, role: str = "jeff"
) -> SignerContext:
    return SignerContext(PassphraseRequest("", role), CHAIN, environ, timeout, public)


def opened(
    kms: fakekms.FakeKms, environ: Mapping[str, str] = MappingProxyType({}), timeout: float = 60
) -> AwsKmsSigner:
    """Return a new P-256 key whose public half is known."""
    key = kms.make()
    first = AwsKmsSigner.open(f"awskms:///{key.arn}", context(kms.environment))
    kms.asked.clear()
    return AwsKmsSigner.open(first.uri, context({**kms.environment, **environ}, first.public, timeout))


# -- addresses


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        (f"awskms:///{UUID}", ("", UUID, "", "")),
        (f"awskms://localhost:4566/{UUID}", ("localhost:4566", UUID, "", "")),
        (f"awskms:///{ARN}", ("", ARN, "us-east-2", "")),
        (f"awskms://localhost:4566/{ARN}", ("localhost:4566", ARN, "us-east-2", "")),
        ("awskms:///alias/ExampleAlias", ("", "alias/ExampleAlias", "", "alias/ExampleAlias")),
        ("awskms://[::1]:4566/alias/a/b", ("[::1]:4566", "alias/a/b", "", "alias/a/b")),
        ("awskms:///" + ARN.replace(f"key/{UUID}", "alias/Ex"), None),
        ("awskms:///mrk-1234abcd12ab34cd56ef1234567890ab", None),
        ("awskms:///" + ARN.replace("aws:", "aws-us-gov:"), None),
        ("awskms:///" + ARN.replace("aws:", "aws-cn:").replace("us-east-2", "cn-north-1"), None),
        ("awskms:///", ("", "", "", "")),
    ],
)
def test_what_cosign_takes_is_read(uri: str, parts: tuple[str, ...] | None) -> None:
    address = awskms.KeyAddress.read(uri)
    assert parts is None or (address.endpoint, address.key, address.region, address.alias) == parts
    assert uri == f"awskms://{address.endpoint}/{address.key}"


@pytest.mark.parametrize(
    "uri",
    [
        "awskms://",
        "awskms:key",
        f"awskms:{ARN}",
        f"awskms://{ARN}",
        "awskms:///release",
        "awskms:///alias/",
        "awskms:///alias/a b",
        "awskms:///alias/a\n",
        "awskms:///alias/a?region=eu-west-1",
        f"awskms://me:secret@host/{UUID}",
        f"awskms://https://host/{UUID}",
        f"awskms://host:port/{UUID}",
        "awskms:///" + ARN.replace("kms", "s3"),
        "awskms:///" + ARN.replace("111122223333", "1111"),
        "awskms:///" + ARN.replace("1234abcd", "x234abcd"),
    ],
)
def test_anything_else_is_not(uri: str) -> None:
    with pytest.raises(UsageError, match="no address of a key"):
        AwsKmsSigner.open(uri, context({}))


def test_an_address_without_a_key_is_for_making_one() -> None:
    with pytest.raises(UsageError, match="names no key"):
        AwsKmsSigner.open("awskms:///", context({}))


# -- signing


@pytest.mark.parametrize(("spec", "method"), [("ECC_NIST_P256", "ecdsa"), ("RSA_2048", "rsapss")])
def test_an_alias_is_kept_as_the_key_it_leads_to(kms: fakekms.FakeKms, spec: str, method: str) -> None:
    key = kms.make(spec)
    kms.aliases["alias/release"] = key.arn
    signer = AwsKmsSigner.open("awskms:///alias/release", context(kms.environment))
    assert kms.operations == ["GetPublicKey"]
    assert signer.uri == f"awskms:///{key.arn}"
    used, signature = signer.sign(b"message")
    assert used == method
    assert envelope.verify(signer.public, used, signature, b"message")
    assert kms.operations == ["GetPublicKey", "Sign"]
    assert kms.asked[-1].parameters["KeyId"] == key.arn
    kms.aliases["alias/release"] = kms.make().arn
    assert envelope.verify(signer.public, *signer.sign(b"again"), b"again")


def test_rsa_signs_as_pkcs1v15_for_cosign(kms: fakekms.FakeKms) -> None:
    key = kms.make("RSA_2048")
    signer = CosignSigner(AwsKmsSigner.open(f"awskms:///{key.arn}", context(kms.environment)), "there")
    assert signer.key.verify(signer.sign(b"message"), b"message")
    assert kms.operations == ["GetPublicKey", "Sign"]


def test_a_key_that_is_known_is_asked_for_nothing_before_it_signs(kms: fakekms.FakeKms) -> None:
    signer = opened(kms)
    assert kms.operations == []
    signer.sign(b"message")
    assert kms.operations == ["Sign"]


def test_another_key_at_the_same_place_signs_nothing(kms: fakekms.FakeKms, tmp_path: Path) -> None:
    key = kms.make()
    store = KeyStore(tmp_path, environ=kms.environment)
    noted = store.refer(f"awskms:///{key.arn}", "jeff", CHAIN)
    assert noted.uri == f"awskms:///{key.arn}"
    kms.keys[key.arn].private = kms.make().private
    with pytest.raises(KeyChangedError):
        KeyStore(tmp_path, environ=kms.environment).unlock(noted.keyid, CHAIN).sign(b"message")


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("ECC_NIST_P384", "SIGN_VERIFY"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("ML_DSA_65", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
    ],
)
def test_keys_that_cannot_sign_as_notary_does_are_refused(
    kms: fakekms.FakeKms, spec: str, usage: str
) -> None:
    key = kms.make(spec, usage)
    with pytest.raises(UnsupportedKeyError, match="cannot sign as Notary does") as caught:
        AwsKmsSigner.open(f"awskms:///{key.arn}", context(kms.environment))
    assert caught.value.why == (f"its key spec is {spec}, its usage {usage}",)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "make-aws-key"


def test_threads_share_one_client_and_a_child_has_its_own(
    kms: fakekms.FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_process = services.PerProcess(awsclients.Clients)
    monkeypatch.setattr(awskms, "CLIENTS", per_process)
    clients = per_process()
    signer = opened(kms)
    with ThreadPoolExecutor(16) as pool:
        signed = list(pool.map(lambda n: signer.sign(b"%d" % n), range(48)))
    assert all(envelope.verify(signer.public, *found, b"%d" % n) for n, found in enumerate(signed))
    assert kms.operations == ["Sign"] * 48
    before = clients.made
    assert len(before) == 1

    def child() -> None:
        assert per_process().made == {}
        assert envelope.verify(signer.public, *signer.sign(b"child"), b"child")
        os._exit(0)

    clients.lock.acquire()  # as another thread may hold it at that moment
    process = FORK.Process(target=child)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forks with threads: there are some, on purpose
        process.start()
    clients.lock.release()
    process.join(30)
    assert process.exitcode == 0
    assert per_process().made is before


# -- what goes wrong


@pytest.mark.parametrize(
    ("code", "status", "text", "kind", "exit_code", "said"),
    [
        ("NotFoundException", 400, "", KeyMissingError, 6, "is not there"),
        ("DisabledException", 400, "", KeyDisabledError, 6, "is disabled"),
        (
            "KMSInvalidStateException",
            400,
            f"{ARN} is pending deletion.",
            KeyDisabledError,
            6,
            "pending deletion",
        ),
        ("KMSInvalidStateException", 400, f"{ARN} is pending import.", KeyDisabledError, 6, "pending import"),
        ("KMSInvalidStateException", 400, "session-token", KeyDisabledError, 6, "KMSInvalidState"),
        ("InvalidKeyUsageException", 400, "", UnsupportedKeyError, 6, "not for such signatures"),
        ("UnsupportedOperationException", 400, "", UnsupportedKeyError, 6, "not for signatures"),
        ("InvalidArnException", 400, "", UsageError, 2, "no ARN"),
        ("KeyUnavailableException", 500, "", ServerError, 8, "not available"),
        ("DependencyTimeoutException", 503, "", ServerError, 8, "in time"),
        ("KMSInternalException", 500, "", ServerError, 8, "answers with an error"),
        ("CustomKeyStoreInvalidStateException", 400, "", ServerError, 8, "not connected"),
        ("LimitExceededException", 400, "", ThrottledError, 8, "more than the account"),
        ("ThrottlingException", 400, "Rate exceeded", ThrottledError, 8, "too often"),
        ("SomethingNew", 429, "", ThrottledError, 8, "too often"),
        ("AccessDeniedException", 400, "", KeyPermissionError, 7, "kms:Sign"),
        ("AnyOtherName", 403, "", KeyPermissionError, 7, "kms:Sign"),
        ("ExpiredTokenException", 400, "", AuthenticationError, 7, "have expired"),
        ("ExpiredTokenException", 403, "", AuthenticationError, 7, "have expired"),
        ("UnrecognizedClientException", 400, "", AuthenticationError, 7, "refuses the credentials"),
        ("InvalidSignatureException", 403, "", AuthenticationError, 7, "refuses the credentials"),
        (
            *("InvalidSignatureException", 400, "Signature expired: 20261129T1200Z is now earlier"),
            *(AuthenticationError, 7, "the time of this machine"),
        ),
        ("ValidationException", 400, "", ServerError, 8, "ValidationException"),
        ("<script>session-token", 400, "", ServerError, 8, "an error, HTTP 400"),
    ],
)
def test_each_answer_is_an_error_of_its_own(
    kms: fakekms.FakeKms,
    code: str,
    status: int,
    text: str,
    kind: type[NotarypyError],
    exit_code: int,
    said: str,
) -> None:
    signer = opened(kms)
    kms.refuse("Sign", code, f"{text} x-amz-security-token:session-token", status)
    with pytest.raises(kind) as caught:
        signer.sign(b"message")
    error = caught.value
    assert error.exit_code == exit_code
    assert said in f"{error.message} {error.why}"
    assert type(error) is kind
    assert not any(secret in f"{error.message} {error.why} {error.facts}" for secret in SECRETS)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_permission_that_is_missing_is_named_with_key_and_principal(kms: fakekms.FakeKms) -> None:
    signer = opened(kms)
    who = "arn:aws:sts::111122223333:assumed-role/ci/run-7"
    kms.refuse("Sign", "AccessDeniedException", f"User: {who} is not authorized to perform: kms:Sign")
    with pytest.raises(KeyPermissionError) as caught:
        signer.sign(b"message")
    assert caught.value.message == f"AWS does not allow kms:Sign with {signer.uri.removeprefix('awskms:///')}"
    assert caught.value.why[1] == f"it was asked by {who}"
    kms.refuse("GetPublicKey", "AccessDeniedException")
    with pytest.raises(KeyPermissionError, match=r"kms:GetPublicKey with alias/release in eu-west-1"):
        AwsKmsSigner.open("awskms:///alias/release", context(kms.environment))


def test_what_was_throttled_is_tried_again_twice(kms: fakekms.FakeKms) -> None:
    signer = opened(kms)
    kms.refuse("Sign", "ThrottlingException", times=2)
    assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")
    assert kms.operations == ["Sign"] * 3
    kms.refuse("Sign", "ThrottlingException")
    with pytest.raises(ThrottledError):
        signer.sign(b"message")
    assert kms.operations == ["Sign"] * 6


def test_nothing_is_tried_again_when_the_time_is_over(
    kms: fakekms.FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awskms, "_PAUSES", (60, 60))
    signer = opened(kms)
    kms.refuse("Sign", "ThrottlingException")
    with pytest.raises(ThrottledError):
        signer.sign(b"message")
    assert kms.operations == ["Sign"]


@pytest.mark.parametrize("code", ["DisabledException", "AccessDeniedException", "ExpiredTokenException"])
def test_what_stays_so_is_asked_once(kms: fakekms.FakeKms, code: str) -> None:
    signer = opened(kms)
    kms.refuse("Sign", code)
    with pytest.raises(NotarypyError):
        signer.sign(b"message")
    assert kms.operations == ["Sign"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b"[1]",
        b'{"Signature": null}',
        b'{"Signature": "AAAA"}',
        b'{"Signature": "%%%"}',
        b'{"Signature": 7}',
        json.dumps({"Signature": "MCYCIQ" + "D" * 44}).encode(),
    ],
)
def test_an_unusable_answer_is_an_error(kms: fakekms.FakeKms, body: bytes) -> None:
    signer = opened(kms)
    kms.instead["Sign"] = [(200, body)]
    with pytest.raises(ServerError, match="unusable"):
        signer.sign(b"message")


@pytest.mark.parametrize(
    "change", [{"PublicKey": "AAAA"}, {"KeySpec": "RSA_2048"}, {"KeyId": "arn:x"}, {"KeyUsage": 1}]
)
def test_an_unusable_public_key_is_an_error(kms: fakekms.FakeKms, change: dict[str, str]) -> None:
    key = kms.make()
    kms.instead["GetPublicKey"] = [(200, json.dumps({**key.public(), **change}).encode())]
    with pytest.raises((ServerError, UnsupportedKeyError)):
        AwsKmsSigner.open(f"awskms:///{key.arn}", context(kms.environment))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(kms: fakekms.FakeKms, status: int) -> None:
    signer = opened(kms)
    kms.instead["Sign"] = [(status, b"")]
    with pytest.raises(ServerError):
        signer.sign(b"message")
    assert kms.operations == ["Sign"]


def test_no_answer_in_time_is_an_error(kms: fakekms.FakeKms) -> None:
    signer = opened(kms, timeout=1)
    kms.instead["Sign"] = [(0, b"")]
    with pytest.raises(DeadlineError, match="did not answer in time") as caught:
        signer.sign(b"message")
    assert kms.url.removeprefix("http://") in str((caught.value, caught.value.why))
    assert kms.operations == ["Sign"]


def test_an_answer_that_trickles_meets_the_deadline(kms: fakekms.FakeKms) -> None:
    signer = opened(kms, timeout=1)
    kms.instead["Sign"] = [(-1, b"")]
    with pytest.raises(DeadlineError, match=r"AWS KMS at 127\.0\.0\.1:\d+ did not answer in time"):
        signer.sign(b"message")
    assert kms.operations == ["Sign"]


def test_a_program_for_credentials_meets_the_deadline(
    kms: fakekms.FakeKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\ncredential_process = sleep 3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_REGION": "eu-west-1"}
    known = AwsKmsSigner.open(f"awskms:///{kms.make().arn}", context(kms.environment)).public
    signer = AwsKmsSigner.open(f"awskms:///{ARN}", context(environ, known, timeout=0.2))
    with pytest.raises(DeadlineError, match="what gives AWS credentials here did not answer in time"):
        signer.prepare()


@pytest.mark.parametrize("where", ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL", "profile"])
def test_a_jobs_identity_goes_to_nobody_in_the_clear(
    kms: fakekms.FakeKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    (tmp_path / "identity").write_text("identity")
    away = "http://192.0.2.1:28777"
    services = f"[default]\nservices = away\n[services away]\nsts =\n  endpoint_url = {away}\n"
    (tmp_path / "config").write_text(services if where == "profile" else "")
    environ = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_REGION": "eu-west-1",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "identity"),
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/release",
        "AWS_ENDPOINT_URL_KMS": kms.url,
        **({where: away} if where != "profile" else {}),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    known = AwsKmsSigner.open(f"awskms:///{kms.make().arn}", context(kms.environment)).public
    kms.asked.clear()
    signer = AwsKmsSigner.open(f"awskms:///{ARN}", context(environ, known, timeout=5))
    with pytest.raises(ConfigurationError, match="AWS STS is to be asked without TLS") as caught:
        signer.sign(b"message")
    assert "http://192.0.2.1" in caught.value.why[0]
    assert kms.asked == []


def test_endpoints_that_are_set_may_be_passed_over(kms: fakekms.FakeKms) -> None:
    environ = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "http://10.0.0.1"}
    signer = opened(kms, environ)
    signer.prepare()  # it would be refused
    with pytest.raises(ConfigurationError, match="without TLS"):
        opened(kms, {**environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}).prepare()


def test_nobody_there_is_an_error(kms: fakekms.FakeKms) -> None:
    signer = opened(kms, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        signer.sign(b"message")
    assert caught.value.why[0] == "it is at 127.0.0.1:1"


# -- the way there


def test_an_endpoint_is_asked_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()

    def tls() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(made)
        return made

    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    with fakekms.running(tls) as kms:
        key, host = kms.make(), kms.url.removeprefix("https://")
        environ = kms.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
        with pytest.raises(TlsError, match="no TLS with AWS KMS") as caught:
            AwsKmsSigner.open(f"awskms://{host}/{key.arn}", context(environ))
        assert caught.value.why[0] == f"it is at {host}"
        environ["AWS_CA_BUNDLE"] = str(tmp_path / "ca.crt")
        signer = AwsKmsSigner.open(f"awskms://{host}/{key.arn}", context(environ))
        assert signer.uri == f"awskms://{host}/{key.arn}"
        assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")


@pytest.mark.parametrize("url", ["http://kms.example.com", "http://10.0.0.1", "http://127.0.0.1.example.com"])
def test_plain_http_leads_to_this_machine_alone(kms: fakekms.FakeKms, url: str) -> None:
    with pytest.raises(ConfigurationError, match="without TLS") as caught:
        opened(kms, {"AWS_ENDPOINT_URL": url}).sign(b"message")
    assert url in caught.value.why[0]


@pytest.mark.parametrize("url", ["localhost:4566", "nonsense"])
def test_an_endpoint_that_is_no_url_is_an_error(kms: fakekms.FakeKms, url: str) -> None:
    with pytest.raises(ConfigurationError, match="configuration"):
        opened(kms, {"AWS_ENDPOINT_URL": url}).sign(b"message")


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-south-1"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-south-1"}, "eu-south-1"),
    ],
)
def test_the_region_of_an_alias_is_the_environments(
    kms: fakekms.FakeKms, environ: dict[str, str], region: str
) -> None:
    kms.aliases["alias/release"] = kms.make().arn
    base = {name: value for name, value in kms.environment.items() if name != "AWS_REGION"}
    AwsKmsSigner.open("awskms:///alias/release", context(base | environ)).sign(b"message")
    assert f"/{region}/kms/" in kms.asked[0].authorization
    assert f"/{fakekms.REGION}/kms/" in kms.asked[1].authorization  # that of the ARN
    with pytest.raises(ConfigurationError, match="in which AWS region"):
        AwsKmsSigner.open("awskms:///alias/release", context(base))


def test_the_region_of_an_arn_is_its_own(kms: fakekms.FakeKms) -> None:
    opened(kms, {"AWS_REGION": "us-east-1"}).sign(b"message")
    assert f"/{fakekms.REGION}/kms/" in kms.asked[0].authorization


# -- who asks


def test_what_is_handed_in_counts_before_the_process(
    kms: fakekms.FakeKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDPROCESS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    opened(kms).sign(b"message")
    assert "Credential=AKIDEXAMPLE/" in kms.asked[0].authorization
    (tmp_path / "credentials").write_text("[ci]\naws_access_key_id=AKIDFILE\naws_secret_access_key=secret\n")
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "AWS_PROFILE": "ci"}
    nobody = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "")
    opened(kms, files | nobody).sign(b"message")
    assert "Credential=AKIDFILE/" in kms.asked[0].authorization
    for name, value in (kms.environment | nobody).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDPROCESS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    AwsKmsSigner.open(f"awskms:///{kms.make().arn}", context(os.environ))
    assert "Credential=AKIDPROCESS/" in kms.asked[-1].authorization


LOGIN = """[profile old]
sso_session = work
sso_account_id = 111122223333
sso_role_name = signer
region = eu-west-1
[sso-session work]
sso_region = eu-west-1
sso_start_url = https://example.com/start
"""


@pytest.mark.parametrize(
    ("environ", "kind", "said", "advice"),
    [
        ({}, AuthenticationError, "no AWS credentials", "give-aws-credentials"),
        ({"AWS_ACCESS_KEY_ID": "AKID"}, AuthenticationError, "not complete", "give-aws-credentials"),
        ({"AWS_PROFILE": "missing"}, ConfigurationError, "no such AWS profile", "name-aws-profile"),
        ({"AWS_PROFILE": "old"}, AuthenticationError, "login to AWS has expired", "log-in-to-aws"),
        ({"AWS_PROFILE": "role"}, AuthenticationError, "no AWS credentials", "give-aws-credentials"),
    ],
)
def test_no_credentials_are_an_error_that_says_which(
    kms: fakekms.FakeKms,
    tmp_path: Path,
    environ: dict[str, str],
    kind: type[NotarypyError],
    said: str,
    advice: str,
) -> None:
    (tmp_path / "config").write_text(f"{LOGIN}[profile role]\nregion = eu-west-1\n")
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": kms.url}
    with pytest.raises(kind, match=said) as caught:
        AwsKmsSigner.open(f"awskms:///{kms.make().arn}", context(files | environ))
    assert caught.value.advice is not None
    assert caught.value.advice.name == advice


def test_what_is_needed_is_there_before_anything_is_changed(kms: fakekms.FakeKms) -> None:
    signer = opened(kms)
    signer.prepare()
    assert kms.asked == []
    with pytest.raises(AuthenticationError, match="no AWS credentials"):
        AwsKmsSigner.open(signer.uri, context({}, signer.public)).prepare()
    with pytest.raises(ConfigurationError, match="in which AWS region"):
        AwsKmsSigner.open(f"awskms:///{UUID}", context({}, signer.public)).prepare()


def test_a_right_to_make_keys_is_named_with_the_region(kms: fakekms.FakeKms) -> None:
    kms.refuse("CreateKey", "AccessDeniedException")
    with pytest.raises(KeyPermissionError, match=r"kms:CreateKey in eu-west-1"):
        AwsKmsSigner.generate("awskms:///", context(kms.environment), "ecdsa")


def test_a_role_that_is_not_given_is_not_a_missing_right_of_the_key(
    kms: fakekms.FakeKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("session-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/ci")
    environ = {"AWS_ENDPOINT_URL_KMS": kms.url}
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(UnreachableError) as caught:
        AwsKmsSigner.open(f"awskms:///{kms.make().arn}", context(environ))
    assert "127.0.0.1:1" in caught.value.why[0]
    assert kms.asked == []


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(BackendMissingError, match="botocore") as caught:
        AwsKmsSigner.open(f"awskms:///{ARN}", context({}))
    assert caught.value.advice is not None
    assert caught.value.advice.values == {"extra": "aws"}


# -- making keys


@pytest.mark.parametrize(("algorithm", "spec"), [("ecdsa", "ECC_NIST_P256"), ("rsa", "RSA_3072")])
@pytest.mark.parametrize("uri", ["awskms:///alias/new", "awskms:///"])
def test_a_key_is_made_with_its_alias(kms: fakekms.FakeKms, algorithm: str, spec: str, uri: str) -> None:
    signer = AwsKmsSigner.generate(uri, context(kms.environment), algorithm)
    made = next(asked.parameters for asked in kms.asked if asked.operation == "CreateKey")
    assert made == {"KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "Description": "Notary signing key of jeff"}
    arn = signer.uri.removeprefix("awskms:///")
    assert arn in kms.keys
    assert kms.aliases == ({"alias/new": arn} if "alias" in uri else {})
    assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")


def test_an_alias_that_is_taken_is_refused_before_a_key_is_made(kms: fakekms.FakeKms) -> None:
    kms.aliases["alias/old"] = kms.make().arn
    kms.aliases["alias/other"] = kms.make(usage="KEY_AGREEMENT").arn
    for alias in ("alias/old", "alias/other"):
        with pytest.raises(AlreadyExistsError, match=alias):
            AwsKmsSigner.generate(f"awskms:///{alias}", context(kms.environment), "ecdsa")
    kms.refuse("GetPublicKey", "UnsupportedOperationException")
    with pytest.raises(AlreadyExistsError):
        AwsKmsSigner.generate("awskms:///alias/old", context(kms.environment), "ecdsa")
    assert set(kms.operations) == {"GetPublicKey"}


@pytest.mark.parametrize("uri", [f"awskms:///{UUID}", f"awskms:///{ARN}", "awskms:///alias/aws/mine"])
def test_a_key_has_no_id_of_our_choice(kms: fakekms.FakeKms, uri: str) -> None:
    with pytest.raises(UsageError, match="no key can be made there"):
        AwsKmsSigner.generate(uri, context(kms.environment), "ecdsa")
    with pytest.raises(UnsupportedKeyError, match="no ed25519 key"):
        AwsKmsSigner.generate("awskms:///", context(kms.environment), "ed25519")


def test_a_key_that_was_made_without_its_alias_is_named(kms: fakekms.FakeKms) -> None:
    kms.refuse("CreateAlias", "AccessDeniedException")
    with pytest.raises(KeyPermissionError, match="kms:CreateAlias with alias/new in eu-west-1") as caught:
        AwsKmsSigner.generate("awskms:///alias/new", context(kms.environment), "ecdsa")
    assert f"awskms:///{list(kms.keys)[-1]}" in caught.value.why[-1]


def test_making_a_key_is_not_repeated_unless_it_was_throttled(kms: fakekms.FakeKms) -> None:
    kms.refuse("CreateKey", "KMSInternalException", status=500)
    with pytest.raises(ServerError):
        AwsKmsSigner.generate("awskms:///", context(kms.environment), "ecdsa")
    assert kms.operations == ["CreateKey"]
    kms.refuse("CreateKey", "ThrottlingException", times=1)
    AwsKmsSigner.generate("awskms:///", context(kms.environment), "ecdsa")


# -- what KMS says of a key


def test_what_kms_says_is_shown_to_whom_it_says_it(kms: fakekms.FakeKms) -> None:
    signer = opened(kms)
    found = dict(signer.properties())
    assert found["key spec"] == "ECC_NIST_P256"
    assert found["state"] == "Enabled"
    assert found["multi-region"] == "yes"
    kms.refuse("DescribeKey", "AccessDeniedException")
    assert "kms:DescribeKey is not allowed" in signer.properties()["details"]
    kms.refuse("DescribeKey", "KMSInternalException", status=500)
    with pytest.raises(NetworkError):
        signer.properties()


# -- what is said and loaded


def test_the_log_has_no_secret(kms: fakekms.FakeKms, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "notarypy")
    opened(kms).sign(b"message")
    assert "AWS KMS: Sign" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)
    shown = {record.name.partition(".")[0] for record in caplog.records}
    assert shown == {"notarypy"}


def test_what_uses_no_key_loads_nothing_of_it(kms: fakekms.FakeKms, tmp_path: Path) -> None:
    key = kms.make()
    store = KeyStore(tmp_path / "trust" / "private", environ=kms.environment)
    store.refer(f"awskms:///{key.arn}", "jeff", CHAIN)
    program = (
        "import sys\nfrom notarypy.cli.main import main\n"
        f"sys.argv = ['notarypy', '-d', {str(tmp_path / 'trust')!r}, 'key', 'list']\n"
        "import atexit, os\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
    )
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
    )
    assert key.arn in run.stdout
    assert "notarypy.keys.keystore" in run.stderr
    assert "botocore" not in run.stderr
    assert "awskms\n" not in run.stderr
