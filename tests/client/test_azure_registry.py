"""Azure Container Registry: every way to log in, wherever tools leave a login, and who may sign."""

from __future__ import annotations

import base64
import json
import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import pytest

from notarypy.client.api import Client
from notarypy.errors import AuthenticationError, BackendMissingError, ServerError, UsageError
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.keys.signers import azurecredential
from notarypy.storage.settings.settings import load
from support.clouds import Answer
from support.fakes import Clock, make_fake
from support.helpers import write_helper
from support.people import PASSPHRASE, manifest
from support.registries import ENTRA_TOKEN, NOBODY, Account, AzureRegistry

if TYPE_CHECKING:
    from pathlib import Path

HOST = AzureRegistry.registry
REPOSITORY = f"{HOST}/team/app"
APPLICATION, SECRET = "66666666-7777-8888-9999-000000000000", "abc8Q~THESECRETofTHEapplication"
TOKEN = f"{ENTRA_TOKEN}+/="  # which is written otherwise in a form
REFUSALS = ["bearer", "basic", "token"]


class Desk:
    """Somebody with docker's directory in a folder, in front of a registry of Azure."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.warnings = folder, list[str]()
        self.clock = Clock()
        self.fake = make_fake(self.clock)
        self.acr = AzureRegistry(self.fake)
        self.fake.registry.push("team/app", "1", manifest("1"), OCI_MANIFEST)
        self.environ = {"HOME": str(folder), "PATH": str(folder), "DOCKER_CONFIG": str(folder)}

    def client(self, **flags: object) -> Client:
        settings = load({"first_use": True, "retry_for": 1, **flags}, self.environ, self.folder)
        return Client(
            settings,
            passphrases=lambda _: PASSPHRASE,
            transport=self.acr,
            clock=self.clock,
            warn=self.warnings.append,
        )

    def leave(self, **entry: object) -> None:
        """Leave a login in docker's file, as some tool does."""
        document = {"auths": {HOST: entry}, "HttpHeaders": {"X-Meta-Source-Client": "VSTS"}}
        (self.folder / "config.json").write_text(json.dumps(document))

    def sign(self) -> None:
        """Sign and verify, with a client each."""
        self.client().init(REPOSITORY)
        self.client().sign([f"{REPOSITORY}:1"])
        assert self.client().verify(f"{REPOSITORY}:1").tag == "1"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def encoded(user: str, secret: str = "") -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


def tokens_of_entra(patch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Have Azure's library give a token; return what it is asked for."""
    asked: list[tuple[Any, ...]] = []

    def token(*wanted: object) -> str:
        asked.append(wanted)
        return ENTRA_TOKEN

    patch.setattr(azurecredential, "token", token)
    return asked


def forms(desk: Desk) -> list[dict[str, list[str]]]:
    """Return what the token server was posted."""
    return [
        parse_qs(call.body.decode())
        for call in desk.acr.calls
        if call.method == "POST" and call.path == "/oauth2/token"
    ]


def test_docker_left_the_refresh_token_as_an_identity_token(desk: Desk) -> None:
    token = desk.acr.refresh_token(Account(""))
    desk.leave(auth=encoded(NOBODY), identitytoken=token)  # `az acr login` has docker do so
    desk.sign()
    assert all(form["refresh_token"] == [token] and form["service"] == [HOST] for form in forms(desk))
    assert [f"repository:{REPOSITORY}:push,pull"] in [form["scope"] for form in forms(desk)]


def test_azure_devops_left_the_refresh_token_as_a_password(desk: Desk) -> None:
    """A service connection with a workload identity or a managed one; the agent names docker's directory."""
    token = desk.acr.refresh_token(Account(""))
    desk.leave(auth=encoded(NOBODY, token), email="WorkloadIdentityFederation@AzureRM")
    desk.sign()
    assert forms(desk) == []
    assert {call.method for call in desk.acr.calls if call.path == "/oauth2/token"} == {"GET"}
    assert any(call.headers.get("x-meta-source-client") == "VSTS" for call in desk.acr.calls)


def test_azure_devops_left_a_service_principal(desk: Desk) -> None:
    desk.acr.accounts[APPLICATION] = Account(SECRET)
    desk.leave(auth=encoded(APPLICATION, SECRET), email="ServicePrincipal@AzureRM")
    desk.sign()


def test_the_credential_helper_for_pods_and_runners(desk: Desk) -> None:
    token = desk.acr.refresh_token(Account(""))
    answer = json.dumps({"Username": "<token>", "Secret": token})
    write_helper(desk.folder, "acr-env", f"echo '{answer}'")
    (desk.folder / "config.json").write_text(json.dumps({"credHelpers": {HOST: "acr-env"}}))
    desk.sign()


def test_the_token_of_az_is_typed_in(desk: Desk) -> None:
    token = desk.acr.refresh_token(Account(""))
    done = desk.client().images.login(HOST, NOBODY, token)
    assert (done.registry, done.user, done.tried) == (HOST, NOBODY, True)
    desk.sign()


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("entry", ["identity", "password", "application", "admin"])
def test_who_has_no_right_to_sign_is_told_so(desk: Desk, refusal: str, entry: str) -> None:
    rights = frozenset({"pull", "push"})
    token = desk.acr.refresh_token(Account("", rights))
    desk.acr.accounts |= {APPLICATION: Account(SECRET, rights), "contoso": Account("admin-pw", kind="admin")}
    desk.leave(
        **{
            "identity": {"auth": encoded(NOBODY), "identitytoken": token},
            "password": {"auth": encoded(NOBODY, token)},
            "application": {"auth": encoded(APPLICATION, SECRET)},
            "admin": {"auth": encoded("contoso", "admin-pw")},
        }[entry]
    )
    desk.acr.refusal = refusal
    with pytest.raises(AuthenticationError) as caught:
        desk.client().init(REPOSITORY)
    said = " ".join([caught.value.message, *caught.value.why])
    assert f"does not allow changing {REPOSITORY}" in said
    assert "asked for push,pull; the token grants pull" in said
    assert caught.value.advice is not None
    assert caught.value.advice.name == "get-azure-role"
    assert token not in said


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_token_for_a_repository_reads_images_and_no_trust_data(desk: Desk, refusal: str) -> None:
    desk.acr.accounts["reader"] = Account("s3cret", frozenset({"pull"}), "scoped")
    desk.leave(auth=encoded("reader", "s3cret"))
    desk.acr.refusal = refusal
    session = desk.client()._session  # noqa: SLF001 - reading an image alone
    image = session.parse(f"{REPOSITORY}:1")
    assert session.connections.registry(image).manifest(image.path, "1").digest
    with pytest.raises(AuthenticationError) as caught:
        desk.client().verify(f"{REPOSITORY}:1")
    assert "does not allow reading" in caught.value.message or "gives out the tokens" in caught.value.why[0]


def test_an_old_token_is_replaced_though_a_password_is_asked_for(desk: Desk) -> None:
    token = desk.acr.refresh_token(Account(""))
    desk.leave(auth=encoded(NOBODY), identitytoken=token)
    desk.acr.refusal = "basic"
    client = desk.client()
    client.init(REPOSITORY)
    desk.acr.tokens.clear()
    client.sign([f"{REPOSITORY}:1"])


def test_a_login_by_entra(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tokens_of_entra(monkeypatch)
    done = desk.client().images.azure_login(HOST.upper())
    assert (done.registry, done.user, done.tried, done.encrypted) == (HOST, NOBODY, True, False)
    assert asked == [("https://containerregistry.azure.net/.default", None, 60.0, HOST)]
    path = desk.folder / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ENTRA_TOKEN not in path.read_text()
    assert len([call for call in desk.acr.calls if ENTRA_TOKEN in call.body.decode()]) == 1
    desk.sign()


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("contoso.azurecr.cn", "login.chinacloudapi.cn"),
        ("contoso-abc.azurecr.us", "login.microsoftonline.us"),
        ("contoso.westeurope.geo.azurecr.io", None),
    ],
)
def test_tokens_come_from_the_registrys_cloud(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, host: str, authority: str | None
) -> None:
    asked = tokens_of_entra(monkeypatch)
    with pytest.raises(AssertionError, match="nobody's"):
        desk.client().images.azure_login(host)
    assert [wanted[1] for wanted in asked] == [authority]


@pytest.mark.parametrize(
    "host",
    [
        "registry.example.com",
        "azurecr.io",
        ".azurecr.io",
        "contoso.azurecr.io.example.com",
        "contoso.azurecr.io:8443",
        "contosoazurecr.io",
        "-x.azurecr.io",
        "localhost:5000",
        "docker.io",
    ],
)
def test_no_token_is_got_for_what_is_no_registry_of_azure(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(azurecredential, "token", lambda *_: pytest.fail("a token was asked for"))
    desk.environ["AZURE_AUTHORITY_HOST"] = "https://login.example.com"
    with pytest.raises(UsageError) as caught:
        desk.client().images.azure_login(host)
    assert ("port 443" in caught.value.why[0]) == host.endswith(":8443")
    assert desk.acr.calls == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": f"no: {TOKEN}"}]}), AuthenticationError),
        (
            Answer(401, {"errors": [{"code": "DENIED", "message": quote(TOKEN, safe="")}]}),
            AuthenticationError,
        ),
        (Answer(403, {"errors": [{"code": "DENIED", "message": TOKEN}]}), AuthenticationError),
        (Answer(403, f"no: {quote(TOKEN, safe='')}".encode()), AuthenticationError),
        (Answer(403, b""), AuthenticationError),
        (Answer(400, {"errors": [{"code": "UNSUPPORTED", "message": TOKEN}]}), AuthenticationError),
        (Answer(307, b"", {"Location": "https://elsewhere.example.com/"}), ServerError),
        (Answer(308, b"", {"Location": f"https://{HOST}/oauth2/other"}), ServerError),
        (Answer(500, b""), ServerError),
        (Answer(200, {"refresh_token": "a b"}), ServerError),
        (Answer(200, {"refresh_token": 7}), ServerError),
        (Answer(200, b"<html>"), ServerError),
    ],
)
def test_a_registry_that_gives_no_login(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: Answer, error: type[Exception]
) -> None:
    monkeypatch.setattr(azurecredential, "token", lambda *_: TOKEN)
    monkeypatch.setattr(desk.acr, "_exchange", lambda _: answer)
    with pytest.raises(error) as caught:
        desk.client().images.azure_login(HOST)
    said = f"{caught.value} {vars(caught.value)}"
    assert [one for one in (TOKEN, quote(TOKEN, safe=""), quote(TOKEN, safe="").lower()) if one in said] == []
    assert [call.path for call in desk.acr.calls] == ["/oauth2/exchange"]
    assert not (desk.folder / "config.json").exists()


def test_who_is_not_logged_in_is_told_how(desk: Desk) -> None:
    with pytest.raises(AuthenticationError) as caught:
        desk.client().verify(f"{REPOSITORY}:1")
    assert any(f"no credentials for {HOST} in: " in why for why in caught.value.why)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "log-in-azure-registry"


def test_without_azures_library(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(BackendMissingError) as caught:
        desk.client().images.azure_login(HOST)
    assert caught.value.exit_code == 6
    assert desk.acr.calls == []


def test_nobody_is_asked_in_a_browser(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "InteractiveBrowserCredential")
    with pytest.raises(AuthenticationError, match="cannot be used"):
        desk.client().images.azure_login(HOST)


def test_offline_there_is_no_login(desk: Desk) -> None:
    with pytest.raises(UsageError):
        Client(replace(desk.client()._session.settings, offline=True)).images.azure_login(HOST)  # noqa: SLF001
