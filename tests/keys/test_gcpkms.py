"""Keys in Google Cloud KMS, with Google's own library against a fake of the requests that are made."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.auth import _cloud_sdk

from notarypy.errors import (
    Advice,
    AuthenticationError,
    BackendMissingError,
    ConfigurationError,
    DeadlineError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    NotarypyError,
    ServerError,
    ThrottledError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers import backend
from notarypy.keys.signers.base import ExternalSigner, SignerContext
from notarypy.keys.signers.cosignsigner import CosignSigner
from notarypy.keys.signers.services import crc32c
from notarypy.tuf import envelope
from support.clouds import Answer, Cloud
from support.googlecloud import OIDC_TOKEN, RING, TOKEN, GoogleCloud, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.tuf.keys import PublicKey

KMS, KEY = "cloudkms.googleapis.com", f"/v1/{RING}/cryptoKeys/release/cryptoKeyVersions/1"
READ, SIGN = f"GET {KMS}{KEY}/publicKey", f"POST {KMS}{KEY}:asymmetricSign"
TOKENS = "POST oauth2.googleapis.com/token"
ALGORITHMS = ["EC_SIGN_P256_SHA256", *(f"RSA_SIGN_PSS_{bits}_SHA256" for bits in (2048, 3072, 4096))]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with Cloud(tmp_path) as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found
        assert found.strangers == []


@pytest.fixture
def google(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoogleCloud:
    found = GoogleCloud(cloud, tmp_path)
    for name, value in found.service_account().items():
        monkeypatch.setenv(name, value)
    return found


def opened(
    uri: str, public: PublicKey | None = None, timeout: float = 60, *, cosign: bool = False
) -> ExternalSigner:
    request = PassphraseRequest(public.keyid if public else "", "jeff")
    context = SignerContext(request, PassphraseChain([]), os.environ, timeout, public, cosign)
    return backend(uri).open(uri, context)


def hurried(google: GoogleCloud, seconds: float) -> ExternalSigner:
    """Return a signer that has its token, and so many seconds for each answer from now on."""
    signer = opened(google.make("release"))
    signer.sign(b"first")
    vars(vars(signer)["_service"])["_timeout"] = seconds
    return signer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_signs_with_one_request(google: GoogleCloud, cloud: Cloud, algorithm: str) -> None:
    uri = google.make("release", algorithm)
    noted = opened(uri)
    assert noted.uri == uri
    assert cloud.lines() == [TOKENS, READ]
    signer = opened(uri, noted.public)
    assert cloud.lines() == []
    for message in (b"one", b"two"):
        assert envelope.verify(noted.public, *signer.sign(message), message)
    assert cloud.lines() == [TOKENS, SIGN, SIGN]


@pytest.mark.parametrize("algorithm", ["EC_SIGN_P256_SHA256", "RSA_SIGN_PKCS1_2048_SHA256"])
def test_a_key_signs_for_cosign_in_the_one_form_that_it_has(
    google: GoogleCloud, cloud: Cloud, algorithm: str
) -> None:
    uri = google.make("release", algorithm)
    signer = CosignSigner(opened(uri, cosign=True), uri)
    assert signer.key.verify(signer.sign(b"message"), b"message")
    assert cloud.lines() == [TOKENS, READ, SIGN]


def test_a_key_of_the_other_form_is_refused_before_anything_is_signed(google: GoogleCloud) -> None:
    uri = google.make("release", "RSA_SIGN_PKCS1_2048_SHA256")
    with pytest.raises(UnsupportedKeyError) as caught:
        opened(uri)
    assert caught.value.advice == Advice("make-gcp-key")
    uri = google.make("other", "RSA_SIGN_PSS_2048_SHA256")
    with pytest.raises(UnsupportedKeyError) as caught:
        opened(uri, cosign=True)
    assert caught.value.advice == Advice("make-gcp-cosign-key")
    with pytest.raises(UnsupportedKeyError, match="cannot sign as cosign verifies"):
        CosignSigner(opened(uri), uri)  # it is noted for Notary


def test_the_token_of_a_pipeline_is_enough(
    google: GoogleCloud, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in google.workload_identity().items():
        monkeypatch.setenv(name, value)
    opened(google.make("release")).sign(b"message")
    tokens, account = "POST sts.googleapis.com/v1/token", "ci@acme.iam.gserviceaccount.com"
    exchange = (
        f"POST iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    )
    assert cloud.lines() == ["GET run-actions.example/token", tokens, exchange, READ, SIGN]


@pytest.mark.parametrize("word", ["versions", "cryptoKeyVersions"])
def test_a_version_is_written_in_either_way_and_kept_in_one(google: GoogleCloud, word: str) -> None:
    uri = google.make("release", version=7)
    assert opened(uri.replace("/versions/", f"/{word}/")).uri == uri


def test_without_a_version_it_is_the_newest_that_is_enabled(google: GoogleCloud, cloud: Cloud) -> None:
    uris = [google.make("release", version=number) for number in (2, 9, 10, 11)]
    google.states[f"{RING}/cryptoKeys/release/cryptoKeyVersions/11"] = "DISABLED"
    bare = uris[0].partition("/versions")[0]
    assert opened(bare).uri == uris[2]
    cloud.lines()
    google.states |= dict.fromkeys(google.keys, "DESTROYED")
    with pytest.raises(KeyDisabledError, match="no version"):
        opened(bare)


@pytest.mark.parametrize(
    ("answer", "kind", "problem"),
    [
        ({"cryptoKeyVersions": [{"name": "k/1"}], "nextPageToken": "next"}, UsageError, "more versions than"),
        ({"cryptoKeyVersions": [{"name": "k/" + "9" * 5000}]}, KeyDisabledError, "no version"),
    ],
)
def test_a_list_that_does_not_tell_the_newest_version(
    google: GoogleCloud, cloud: Cloud, answer: object, kind: type[NotarypyError], problem: str
) -> None:
    bare = google.make("release").partition("/versions")[0]
    cloud.overrides[f"GET {KMS}{KEY.rpartition('/')[0]}"] = [Answer(200, answer)]
    with pytest.raises(kind, match=problem):
        opened(bare)


@pytest.mark.parametrize(
    "algorithm",
    ["EC_SIGN_P384_SHA384", "EC_SIGN_SECP256K1_SHA256", "EC_SIGN_ED25519", "RSA_SIGN_PKCS1_2048_SHA256",
     "RSA_SIGN_RAW_PKCS1_2048", "RSA_SIGN_PSS_4096_SHA512"],
)  # fmt: skip
def test_a_key_that_notary_cannot_use_is_refused(google: GoogleCloud, algorithm: str) -> None:
    with pytest.raises(UnsupportedKeyError, match="cannot use the key") as caught:
        opened(google.make("release", algorithm))
    assert caught.value.why == (f"its algorithm is {algorithm}",)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "make-gcp-key"


@pytest.mark.parametrize(
    "uri",
    ["gcpkms://x", f"gcpkms://{RING}", f"gcpkms://{RING}/cryptoKeys/k/versions/0",
     f"gcpkms://{RING}/cryptoKeys/k/versions/latest", f"gcpkms://{RING}/cryptoKeys/k/versions/1/",
     f"gcpkms://{RING}/cryptoKeys/k?x=y", f"gcpkms://{RING}/cryptoKeys/..%2f", f"gcpkms://{RING}/cryptoKeys/k:k\n"],
)  # fmt: skip
def test_a_uri_of_another_form_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="names no key"):
        opened(uri)


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED", "DESTROY_SCHEDULED"])
def test_a_key_that_is_not_enabled_is_an_error_of_its_own(google: GoogleCloud, state: str) -> None:
    signer = opened(google.make("release"))
    google.states |= dict.fromkeys(google.keys, state)
    for ask in (lambda: signer.sign(b"message"), lambda: opened(signer.uri)):
        with pytest.raises(KeyDisabledError, match="does not sign") as caught:
            ask()
        assert state in caught.value.why[0]
    assert signer.properties()["state"] == state


def test_what_the_service_says_of_a_key(google: GoogleCloud) -> None:
    signer = opened(google.make("release", version=3))
    said = {"algorithm": "EC_SIGN_P256_SHA256", "protection": "HSM", "state": "ENABLED", "version": "3"}
    assert signer.properties() == said
    google.denied.add("get")
    assert "cloudkms.cryptoKeyVersions.get" in signer.properties()["state"]


FAILURES = [
    (failure(403, "Permission 'cloudkms.cryptoKeyVersions.useToSign' denied"), KeyPermissionError, 7),
    (failure(404, "CryptoKeyVersion not found."), KeyMissingError, 6),
    (failure(400, "The digest is not of the algorithm."), UnsupportedKeyError, 6),
    (failure(429, "Quota exceeded", Retry_After="3600"), ThrottledError, 8),
    (failure(429, "Quota exceeded", Retry_After="Mon, 30 Nov 2026 00:00:00 GMT"), ThrottledError, 8),
    (failure(503, "The service is currently unavailable.", Retry_After="3600"), ServerError, 8),
    (failure(504, "Deadline exceeded."), DeadlineError, 8),
    (Answer(500, b"<html>", {"Retry-After": "3600"}), ServerError, 8),
    (Answer(302, b"", {"Location": "https://example.com/"}), ServerError, 8),
    (Answer(200, b"<html>"), ServerError, 8),
    (Answer(200, []), ServerError, 8),
    (Answer(200, b"[" * 100_000), ServerError, 8),
    (
        Answer(200, {"signature": "AAAA", "signatureCrc32c": "1", "verifiedDigestCrc32c": True}),
        ServerError,
        8,
    ),
    (Answer(200, {"verifiedDigestCrc32c": False}), ServerError, 8),
]


@pytest.mark.parametrize(("answer", "kind", "code"), FAILURES)
def test_each_failure_is_its_own_error(
    google: GoogleCloud, cloud: Cloud, answer: Answer, kind: type[NotarypyError], code: int
) -> None:
    signer = opened(google.make("release"))
    cloud.overrides[SIGN] = [answer]
    with pytest.raises(kind) as caught:
        signer.sign(b"message")
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
    assert cloud.overrides[SIGN] == []
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"signatureCrc32c": "1"}, {"verifiedDigestCrc32c": None}]
)
def test_an_answer_that_was_changed_on_its_way_is_refused(
    google: GoogleCloud, cloud: Cloud, change: dict[str, object]
) -> None:
    signer, service = opened(google.make("release")), cloud.services[KMS]
    changed = {**change}
    cloud.services[KMS] = lambda call: Answer(200, {**dict(service(call).body), **changed})  # type: ignore[call-overload]
    with pytest.raises(ServerError, match="cannot be used"):
        signer.sign(b"message")


@pytest.mark.parametrize(
    "answer", [failure(429, "Quota exceeded", Retry_After="0"), failure(503, "Busy", Retry_After="0")]
)
def test_who_is_told_to_wait_asks_once_more(google: GoogleCloud, cloud: Cloud, answer: Answer) -> None:
    signer = opened(google.make("release"))
    cloud.overrides[SIGN] = [answer]
    assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")
    cloud.overrides[SIGN] = [answer, answer, answer]
    with pytest.raises(ServerError):
        signer.sign(b"message")
    assert len(cloud.overrides[SIGN]) == 1


def test_a_token_that_is_refused_is_asked_for_once_more(google: GoogleCloud, cloud: Cloud) -> None:
    signer = opened(google.make("release"))
    cloud.lines()
    cloud.overrides[SIGN] = [failure(401, "expired")]
    signer.sign(b"message")
    assert cloud.lines() == [SIGN, TOKENS, SIGN]
    cloud.overrides[SIGN] = [failure(401, "expired")] * 5
    with pytest.raises(AuthenticationError, match="does not accept"):
        signer.sign(b"message")
    assert len(cloud.overrides[SIGN]) == 3


def test_a_permission_that_is_lost_is_no_wrong_login(google: GoogleCloud) -> None:
    signer = opened(google.make("release"))
    google.denied.add("useToSign")
    with pytest.raises(KeyPermissionError, match="does not allow") as caught:
        signer.sign(b"message")
    assert "cloudkms.cryptoKeyVersions.useToSign" in caught.value.why[0]


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("service_account", "token_uri"),
        ("workload_identity", "token_url"),
        ("workload_identity", "url"),
        ("workload_identity", "service_account_impersonation_url"),
    ],
)
def test_what_buys_a_token_goes_to_nobody_in_the_clear(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch, kind: str, field: str
) -> None:
    uri, environ = google.make("release"), getattr(google, kind)()
    file = Path(environ["GOOGLE_APPLICATION_CREDENTIALS"])
    document = json.loads(file.read_text())
    (document["credential_source"] if field == "url" else document)[field] = (
        "http://192.0.2.1/ci@acme.iam.gserviceaccount.com:generateAccessToken"
    )
    file.write_text(json.dumps(document))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="without TLS") as caught:
        opened(uri)
    assert "http://192.0.2.1:" in caught.value.why[0]


def test_no_answer_in_time_is_an_error(google: GoogleCloud, cloud: Cloud) -> None:
    signer = hurried(google, 0.2)
    cloud.overrides[SIGN] = [Answer(200, {}, pause=1)]
    with pytest.raises(DeadlineError):
        signer.sign(b"message")


def test_an_answer_that_trickles_meets_the_deadline(google: GoogleCloud, cloud: Cloud) -> None:
    signer = hurried(google, 0.3)
    cloud.overrides[SIGN] = [Answer(200, b" " * 20, drip=0.1)]
    with pytest.raises(DeadlineError, match="did not answer in time"):
        signer.sign(b"message")


def test_a_service_that_cannot_be_reached(google: GoogleCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = google.make("release")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        opened(uri)
    assert caught.value.why


def test_a_certificate_that_is_not_trusted(google: GoogleCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = opened(google.make("release"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(TlsError, match="certificate"):
        signer.sign(b"message")


@pytest.mark.usefixtures("cloud")
def test_without_credentials_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(AuthenticationError, match="no credentials for Google") as caught:
        opened(f"gcpkms://{RING}/cryptoKeys/release/versions/1")
    assert caught.value.exit_code == 7


def test_credentials_that_ended_are_an_error(google: GoogleCloud, cloud: Cloud) -> None:
    uri = google.make("release")
    secret = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0"
    said = {"error": "invalid_grant", "error_description": f"Token {secret} has been expired or revoked."}
    cloud.overrides[TOKENS] = [Answer(400, said)]
    with pytest.raises(AuthenticationError, match="gives no token") as caught:
        opened(uri)
    assert "invalid_grant" in caught.value.why[0]
    assert secret not in "".join(traceback.format_exception(caught.value))
    assert secret not in str(vars(caught.value))


def test_a_pipeline_that_is_not_trusted_is_an_error(
    google: GoogleCloud, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in google.workload_identity().items():
        monkeypatch.setenv(name, value)
    said = "The given credential is rejected by the attribute condition."
    refusal = Answer(400, {"error": "unauthorized_client", "error_description": said})
    cloud.overrides["POST sts.googleapis.com/v1/token"] = [refusal]
    with pytest.raises(AuthenticationError, match="gives no token") as caught:
        opened(google.make("release"))
    assert said in caught.value.why[0]
    assert OIDC_TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("change", ["{", '{"type": "service_account"}', '"private_key": "none"'])
def test_a_file_of_credentials_that_cannot_be_read_is_an_error(
    google: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = Path(google.service_account()["GOOGLE_APPLICATION_CREDENTIALS"])
    whole = json.loads(path.read_text())
    none = json.dumps({**whole, "private_key": "none"})
    path.write_text(none if change.startswith('"') else change)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    with pytest.raises(AuthenticationError) as caught:
        opened(google.make("release"))
    assert whole["private_key"][40:80] not in "".join(traceback.format_exception(caught.value))


def test_threads_share_a_token(google: GoogleCloud, cloud: Cloud) -> None:
    signer = opened(google.make("release"))
    known, results = opened(signer.uri, signer.public), list[bool]()
    cloud.lines()

    def work() -> None:
        results.append(envelope.verify(signer.public, *known.sign(b"message"), b"message"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert sorted(cloud.lines()) == sorted([TOKENS, *[SIGN] * 8])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_signs_with_connections_of_its_own(google: GoogleCloud) -> None:
    signer = opened(google.make("release"))
    signer.sign(b"message")
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = envelope.verify(signer.public, *signer.sign(b"message"), b"message")
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert envelope.verify(signer.public, *signer.sign(b"again"), b"again")


def test_no_token_is_logged(google: GoogleCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    opened(google.make("release")).sign(b"message")
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("notarypy"))
    assert TOKEN not in ours
    assert f"Google Cloud KMS: POST {KEY.removeprefix('/v1/')}:asymmetricSign" in ours
    assert TOKEN not in caplog.text


def test_what_people_who_log_in_themselves_are_advised_is_not_shown(
    google: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    content = {"type": "authorized_user", "client_id": _cloud_sdk.CLOUD_SDK_CLIENT_ID, "client_secret": "s"}
    path = tmp_path / "application_default_credentials.json"
    path.write_text(json.dumps({**content, "refresh_token": "1//refresh"}))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("PATH", str(tmp_path))
    signer = opened(google.make("release"))
    assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")
    assert capfd.readouterr() == ("", "")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    with pytest.raises(BackendMissingError, match="google-auth is not installed") as caught:
        opened(f"gcpkms://{RING}/cryptoKeys/release/versions/1")
    assert caught.value.advice is not None
    assert caught.value.advice.values == {"extra": "gcp"}


def test_no_key_is_made_from_here() -> None:
    uri, request = f"gcpkms://{RING}/cryptoKeys/release", PassphraseRequest("", "jeff")
    with pytest.raises(UnsupportedKeyError, match="from here") as caught:
        backend(uri).generate(uri, SignerContext(request, PassphraseChain([]), {}), "ecdsa")
    assert caught.value.advice is not None
    assert caught.value.advice.name == "make-gcp-key"


def test_the_checksum_is_that_of_the_specification() -> None:
    assert crc32c(b"123456789") == 0xE3069283
