"""Keys in Azure Key Vault, with Azure's own libraries against a fake of the requests that are made."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from azure.keyvault.keys._shared import http_challenge_cache

from notarypy.errors import (
    AuthenticationError,
    BackendMissingError,
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
from notarypy.tuf import envelope
from support.azurecloud import LOGIN, SECRET, TENANT, TOKEN, VAULT, VERSIONS, AzureCloud, failure
from support.clouds import Answer, Call, Cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from notarypy.tuf.keys import PublicKey

READ = f"GET {VAULT}/keys/release/{VERSIONS[0]}"
SIGN = f"POST {VAULT}/keys/release/{VERSIONS[0]}/sign"
TOKENS = f"POST {LOGIN}/{TENANT}/oauth2/v2.0/token"
VARIABLES = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE")


@pytest.fixture(autouse=True)
def _no_memory_of_other_vaults() -> None:
    http_challenge_cache.clear()


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with Cloud(tmp_path) as found:
        for name in (*VARIABLES, "AZURE_AUTHORITY_HOST", "AZURE_TOKEN_CREDENTIALS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**found.environment, "HOME": str(tmp_path), "PATH": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def azure(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureCloud]:
    found = AzureCloud(cloud, tmp_path)
    for name, value in found.client_secret().items():
        monkeypatch.setenv(name, value)
    yield found
    assert cloud.strangers == []


def opened(uri: str, public: PublicKey | None = None, timeout: float = 60) -> ExternalSigner:
    request = PassphraseRequest(public.keyid if public else "", "jeff")
    context = SignerContext(request, PassphraseChain([]), os.environ, timeout, public)
    return backend(uri).open(uri, context)


def asked(cloud: Cloud) -> list[str]:
    """Return what was asked for, but for what the library asks before it asks for tokens."""
    return [line for line in cloud.lines() if not line.startswith(f"GET {LOGIN}")]


@pytest.mark.parametrize(
    ("kind", "bits"), [("EC", 0), ("EC-HSM", 0), ("RSA", 2048), ("RSA-HSM", 3072), ("RSA", 4096)]
)
def test_a_key_signs_with_one_request(azure: AzureCloud, cloud: Cloud, kind: str, bits: int) -> None:
    uri = azure.make("release", kind, bits=bits)
    noted = opened(uri)
    assert noted.uri == uri
    assert asked(cloud) == [READ, TOKENS, READ]  # the first is told which token is wanted
    signer = opened(uri, noted.public)
    assert cloud.lines() == []
    for message in (b"one", b"two"):
        assert envelope.verify(noted.public, *signer.sign(message), message)
    assert asked(cloud) == [TOKENS, SIGN, SIGN]
    assert signer.properties()["protection"] == ("HSM" if kind.endswith("HSM") else "software")


def test_rsa_signs_as_pkcs1v15_for_cosign(azure: AzureCloud) -> None:
    uri = azure.make("release", "RSA", bits=2048)
    signer = CosignSigner(opened(uri), uri)
    assert signer.key.verify(signer.sign(b"message"), b"message")


def test_a_new_process_is_told_once_which_token_is_wanted(azure: AzureCloud, cloud: Cloud) -> None:
    noted = opened(azure.make("release"))
    http_challenge_cache.clear()
    cloud.lines()
    opened(noted.uri, noted.public).sign(b"message")
    first, second = [call for call in cloud.calls if call.host == VAULT]
    assert (first.body, "authorization" in first.headers) == (b"", False)
    assert second.json["alg"] == "ES256"


def test_the_token_of_a_pipeline_is_enough(
    azure: AzureCloud, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in azure.workload_identity().items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    opened(azure.make("release")).sign(b"message")
    assert asked(cloud) == [READ, TOKENS, READ, SIGN]


def test_without_a_version_it_is_the_present_one(azure: AzureCloud) -> None:
    uris = [azure.make("release") for _ in range(2)]
    bare = uris[0].rpartition("/")[0]
    assert opened(bare).uri == opened(f"{bare}/").uri == uris[1]
    assert opened(uris[0]).uri == uris[0]
    assert opened(bare, opened(uris[0]).public).uri == uris[1]


def test_an_answer_without_a_version_names_no_key(azure: AzureCloud, cloud: Cloud) -> None:
    bare = azure.make("release").rpartition("/")[0]
    service = cloud.services[VAULT]

    def unversioned(call: Call) -> Answer:
        found = service(call)
        if isinstance(found.body, dict) and "key" in found.body:
            found.body["key"]["kid"] = f"https://{VAULT}/keys/release"
        return found

    cloud.services[VAULT] = unversioned
    with pytest.raises(ServerError, match="cannot be used") as caught:
        opened(bare)
    assert "which version" in caught.value.why[0]


@pytest.mark.parametrize("curve", ["P-384", "P-521", "P-256K"])
def test_a_curve_that_notary_cannot_use_is_refused(azure: AzureCloud, curve: str) -> None:
    with pytest.raises(UnsupportedKeyError, match="cannot use the key") as caught:
        opened(azure.make("release", curve=curve))
    assert caught.value.why == (f"its kind is {curve}",)


@pytest.mark.parametrize(
    "uri",
    ["azurekms://acme/release", f"azurekms://{VAULT}", f"azurekms://{VAULT}/a/b/c", f"azurekms://{VAULT}:443/a",
     f"azurekms://{VAULT}/a?b=c", f"azurekms://{VAULT}/a\n", f"azurekms://{VAULT}\\@evil.example.com/a"],
)  # fmt: skip
def test_a_uri_of_another_form_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="names no key"):
        opened(uri)


UNUSABLE: dict[str, dict[str, Any]] = {
    "disabled": {"enabled": False},
    "expired since": {"exp": int(time.time()) - 86400},
    "not valid before": {"nbf": int(time.time()) + 86400},
    "not for signing, but for: verify": {"key_ops": ["verify"]},
}


@pytest.mark.parametrize("problem", UNUSABLE)
def test_a_key_that_does_not_sign_now_is_refused(azure: AzureCloud, problem: str) -> None:
    uri = azure.make("release", **UNUSABLE[problem])
    with pytest.raises(KeyDisabledError, match="does not sign") as caught:
        opened(uri)
    assert problem in caught.value.why[0]


@pytest.mark.parametrize("change", [{"enabled": False}, {"exp": 1}])
def test_a_key_that_was_taken_away_is_an_error_of_its_own(
    azure: AzureCloud, change: dict[str, object]
) -> None:
    signer = opened(azure.make("release"))
    azure.keys["release"][VERSIONS[0]]["attributes"] |= change
    with pytest.raises(KeyDisabledError, match="does not sign") as caught:
        signer.sign(b"message")
    assert "not allowed on" in caught.value.why[0]
    assert signer.properties()["state"] in {"disabled", "expired since 1970-01-01"}


def test_what_the_vault_says_of_a_key(azure: AzureCloud) -> None:
    assert opened(azure.make("release", exp=4102444800)).properties() == {
        "algorithm": "ES256",
        "protection": "software",
        "state": "enabled",
        "version": VERSIONS[0],
        "expires": "2100-01-01T00:00:00+00:00",
    }
    assert opened(azure.make("release")).properties()["expires"] == "never"


DISABLED = "Operation sign is not allowed on a disabled key."
FORBIDDEN, MISSING = partial(failure, 403, "Forbidden"), "A key with (name/id) release was not found"
THROTTLED = failure(429, "Throttled", "Request was not processed", Retry_After="3600")
FAILURES = [
    (FORBIDDEN("Caller is not authorized", "ForbiddenByRbac"), KeyPermissionError, "allow-azure-key"),
    (FORBIDDEN("no keys sign permission", "ForbiddenByPolicy"), KeyPermissionError, "allow-azure-key"),
    (FORBIDDEN("Client address", "ForbiddenByFirewall"), KeyPermissionError, "allow-azure-network"),
    (FORBIDDEN("Public network", "ForbiddenByConnection"), KeyPermissionError, "allow-azure-network"),
    (FORBIDDEN(DISABLED, "KeyDisabled"), KeyDisabledError, "enable-key"),
    (failure(401, "Unauthorized", "AKV10032: Invalid issuer."), AuthenticationError, "log-in-azure"),
    (failure(404, "KeyNotFound", MISSING), KeyMissingError, ""),
    (
        failure(409, "Conflict", "Key is being deleted.", "ObjectIsBeingDeleted"),
        KeyDisabledError,
        "enable-key",
    ),
    (failure(400, "BadParameter", "incompatible"), UnsupportedKeyError, "make-azure-key"),
    (THROTTLED, ThrottledError, ""),
    (failure(503, "Unavailable", "Try again later", Retry_After="3600"), ServerError, ""),
    (Answer(504, b""), DeadlineError, ""),
    (Answer(502, b"<html>", {"Retry-After": "3600", "Content-Type": "text/html"}), ServerError, ""),
    (Answer(307, b"", {"Location": "https://example.com/"}), ServerError, ""),
    (Answer(200, b"<html>"), ServerError, ""),
    (Answer(200, {"kid": "x"}), ServerError, ""),
]


@pytest.mark.parametrize(("answer", "kind", "advice"), FAILURES)
def test_each_failure_is_its_own_error(
    azure: AzureCloud, cloud: Cloud, answer: Answer, kind: type[NotarypyError], advice: str
) -> None:
    signer = opened(azure.make("release"))
    signer.sign(b"message")
    cloud.overrides[SIGN] = [answer] * (1 + (answer.status == 401))
    with pytest.raises(kind) as caught:
        signer.sign(b"message")
    assert type(caught.value) is kind
    assert (caught.value.advice.name if caught.value.advice else "") == advice
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_wait_asks_once_more(azure: AzureCloud, cloud: Cloud, status: int) -> None:
    signer = opened(azure.make("release"))
    answer = failure(status, "Busy", "Try again", Retry_After="0")
    cloud.overrides[SIGN] = [answer]
    assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")
    cloud.overrides[SIGN] = [answer, answer, answer]
    with pytest.raises(ServerError):
        signer.sign(b"message")
    assert len(cloud.overrides[SIGN]) == 1


@pytest.mark.usefixtures("azure")
def test_a_vault_that_wants_a_token_for_another_one_gets_none(cloud: Cloud, tmp_path: Path) -> None:
    other = AzureCloud(
        cloud, tmp_path, vault="evil.vault.azure.cn", login=LOGIN, resource="https://vault.azure.net"
    )
    with pytest.raises(AuthenticationError, match="a token that is not for it") as caught:
        opened(other.make("release"))
    assert "vault.azure.net" in caught.value.why[0]
    assert asked(cloud) == ["GET evil.vault.azure.cn/keys/release/" + VERSIONS[0]]


@pytest.mark.parametrize(
    ("vault", "login"),
    [("acme.vault.azure.cn", "login.chinacloudapi.cn"),
     ("acme.vault.usgovcloudapi.net", "login.microsoftonline.us"),
     ("acme.managedhsm.azure.net", LOGIN)],
)  # fmt: skip
@pytest.mark.usefixtures("azure")
def test_tokens_come_from_the_cloud_that_the_vault_is_in(
    cloud: Cloud, tmp_path: Path, vault: str, login: str
) -> None:
    signer = opened(AzureCloud(cloud, tmp_path, vault=vault, login=login).make("release", "EC-HSM"))
    assert envelope.verify(signer.public, *signer.sign(b"message"), b"message")
    assert f"POST {login}/{TENANT}/oauth2/v2.0/token" in asked(cloud)


def test_no_answer_in_time_is_an_error(azure: AzureCloud, cloud: Cloud) -> None:
    noted = opened(azure.make("release"))
    signer = opened(noted.uri, noted.public, timeout=0.3)
    cloud.overrides[SIGN] = [Answer(200, {}, pause=1)]
    with pytest.raises(DeadlineError):
        signer.sign(b"message")


def test_an_answer_that_trickles_meets_the_deadline(azure: AzureCloud, cloud: Cloud) -> None:
    noted = opened(azure.make("release"))
    signer = opened(noted.uri, noted.public, timeout=0.3)
    cloud.overrides[SIGN] = [Answer(200, b" " * 20, drip=0.1)]
    with pytest.raises(DeadlineError, match="did not answer in time"):
        signer.sign(b"message")


def test_a_service_that_cannot_be_reached(azure: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = azure.make("release")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        opened(uri)
    assert caught.value.why


def test_no_way_to_the_tokens_is_no_wrong_login(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure = AzureCloud(cloud, tmp_path)
    for name, value in azure.client_secret().items():
        monkeypatch.setenv(name, value)
    del cloud.services[LOGIN]
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        opened(azure.make("release"))
    assert "EnvironmentCredential" in caught.value.why[0]


def test_a_certificate_that_is_not_trusted(azure: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = opened(azure.make("release"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(TlsError, match="certificate"):
        signer.sign(b"message")


def test_without_credentials_the_error_is_short(
    cloud: Cloud, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = AzureCloud(cloud, tmp_path).make("release")
    with pytest.raises(AuthenticationError, match="no credentials for Azure") as caught:
        opened(uri)
    assert caught.value.exit_code == 7
    assert "EnvironmentCredential" in caught.value.why[-1]
    assert "AzureCliCredential" in caught.value.why[-1]
    assert all(len(line) < 300 for line in caught.value.why)
    assert capfd.readouterr() == ("", "")


def test_credentials_that_are_refused_are_an_error(azure: AzureCloud, cloud: Cloud) -> None:
    uri = azure.make("release")
    said = f"AADSTS7000222: The client secret keys for app are expired {SECRET}. Trace ID: 1\r\nTimestamp: 2"
    cloud.overrides[TOKENS] = [Answer(401, {"error": "invalid_client", "error_description": said})]
    with pytest.raises(AuthenticationError, match="gives no token") as caught:
        opened(uri)
    assert "AADSTS7000222" in caught.value.why[0]
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in str(vars(caught.value))


@pytest.mark.parametrize("name", ["azure.identity", "azure.keyvault.keys"])
def test_without_the_libraries_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendMissingError, match="azure-identity is not installed") as caught:
        opened(f"azurekms://{VAULT}/release")
    assert caught.value.advice is not None
    assert caught.value.advice.values == {"extra": "azure"}


def test_no_key_is_made_from_here() -> None:
    uri, request = f"azurekms://{VAULT}/release", PassphraseRequest("", "jeff")
    with pytest.raises(UnsupportedKeyError, match="from here") as caught:
        backend(uri).generate(uri, SignerContext(request, PassphraseChain([]), {}), "ecdsa")
    assert caught.value.advice is not None
    assert caught.value.advice.name == "make-azure-key"


def at_once(count: int, work: Callable[[], object]) -> None:
    """Do the same in so many threads."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_share_a_token(azure: AzureCloud, cloud: Cloud) -> None:
    signer = opened(azure.make("release"))
    known, results = opened(signer.uri, signer.public), list[bool]()
    cloud.lines()
    at_once(8, lambda: results.append(envelope.verify(signer.public, *known.sign(b"message"), b"message")))
    assert results == [True] * 8
    assert sorted(asked(cloud)) == sorted([TOKENS, *[SIGN] * 8])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_signs_with_connections_of_its_own(azure: AzureCloud) -> None:
    signer = opened(azure.make("release"))
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


def test_no_token_is_logged(azure: AzureCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    opened(azure.make("release")).sign(b"message")
    assert f"Azure Key Vault: sign azurekms://{VAULT}/release/{VERSIONS[0]}" in caplog.text
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text
