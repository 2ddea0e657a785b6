"""Logging in and out: what is asked, what is stored, what is said."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.api import Client
from notarypy.errors import (
    AuthenticationError,
    InvalidNameError,
    NotNotaryError,
    NotRegistryError,
    ServerError,
    UnreachableError,
    UsageError,
)
from notarypy.remote.http.messages import Response
from notarypy.storage.settings.settings import RegistrySettings, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.remote.http.messages import Request

HOST, NOTARY = "registry.test", "https://notary.test"
GOOD = f"Basic {base64.b64encode(b'jo:s3cret').decode()}"


class Servers:
    """Servers by name: what each takes for a login; None asks nobody, an error is raised, an answer given."""

    def __init__(self, **taken: str | Exception | Response | None) -> None:
        self.taken = {name.replace("_", "."): login for name, login in taken.items()}
        self.asked: list[str] = []
        self.body = b"{}"

    def send(self, request: Request, deadline: float) -> Response:
        assert deadline
        host = request.url.split("/")[2]
        self.asked.append(request.url)
        wanted = self.taken[host]
        if isinstance(wanted, Exception):
            raise wanted
        if isinstance(wanted, Response):
            return wanted
        if wanted in (None, request.headers.get("Authorization")):
            return Response(200, {}, self.body)
        return Response(401, {"www-authenticate": 'Basic realm="x"'})

    def close(self) -> None:
        """Nothing is open."""


class Desk:
    """A client with docker's directory in a folder, and what it said."""

    def __init__(self, folder: Path, servers: Servers, environ: Mapping[str, str] | None = None) -> None:
        self.folder, self.servers, self.warnings = folder, servers, list[str]()
        self.environ = {"HOME": str(folder), **(environ or {})}

    def client(self, **more: Any) -> Client:  # noqa: ANN401 - whatever settings are called
        settings = Settings(self.folder / "trust", self.folder, environ=self.environ, **more)
        return Client(settings, transport=self.servers, warn=self.warnings.append)

    def auths(self, name: str = "config.json") -> object:
        path = self.folder / name
        return json.loads(path.read_text())["auths"] if path.exists() else None


@pytest.fixture(autouse=True)
def _quick_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no server that does not answer."""
    monkeypatch.setattr("notarypy.remote.http.attempts.backoff", lambda _: 0.001)


def test_a_login_that_the_registry_takes_is_stored(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Servers(registry_test=GOOD))
    done = desk.client().images.login(f"https://{HOST.upper()}/", "jo", "s3cret")
    assert (done.registry, done.user, done.stored_in) == (HOST, "jo", str(tmp_path / "config.json"))
    assert (done.tried, done.encrypted, done.notary) == (True, False, None)
    assert desk.auths() == {HOST: {"auth": GOOD.removeprefix("Basic ")}}
    assert desk.servers.asked == [f"https://{HOST}/v2/"] * 2
    assert [warning.partition(" has ")[2] for warning in desk.warnings] == [
        "the password unencrypted: a credential helper (credHelpers, credsStore) keeps it safe"
    ]
    assert desk.client().login(f"{HOST}/app") == "jo"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("Basic other", AuthenticationError),
        (UnreachableError("gone"), UnreachableError),
        (ServerError("no"), ServerError),
    ],
)
def test_nothing_is_stored_that_was_not_taken(
    tmp_path: Path, answer: str | Exception, error: type[Exception]
) -> None:
    desk = Desk(tmp_path, Servers(registry_test=answer))
    with pytest.raises(error) as caught:
        desk.client().images.login(HOST, "jo", "s3cret")
    assert "s3cret" not in str(caught.value)
    assert desk.auths() is None


def test_a_registry_that_asks_nobody(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Servers(registry_test=None))
    assert not desk.client().images.login(HOST, "jo", "s3cret").tried
    assert desk.warnings[0] == f"{HOST} asks nobody who he is: the login could not be tried"
    assert desk.auths() is not None


PAGE = b"<html><head><title>Sign in</title></head></html>"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Response(200, {}, PAGE), 'came with the answer 200: "Sign in"'),
        (Response(404, {}, PAGE), 'came with the answer 404: "Sign in"'),
        (Response(404), "has no /v2/"),
        (Response(302, {"location": "https://sso.test/login"}, PAGE), 'the answer 200: "Sign in"'),
        (Response(302, {"location": "http://sso.test/login"}), "redirects to another place"),
        (Response(200, {}, b"It works!"), "no JSON"),
    ],
)
@pytest.mark.parametrize("host", [HOST, "notary.test"])
def test_what_is_no_registry_gets_no_login(tmp_path: Path, answer: Response, why: str, host: str) -> None:
    desk = Desk(tmp_path, Servers(registry_test=answer, notary_test=answer, sso_test=Response(200, {}, PAGE)))
    kind = NotRegistryError if host == HOST else NotNotaryError
    with pytest.raises(kind) as caught:
        desk.client(server=NOTARY).images.login(host, "jo", "s3cret")
    assert why in " ".join(caught.value.why) or (kind is NotNotaryError and answer.is_redirect)
    assert desk.auths() is None


@pytest.mark.parametrize("body", [b"", b"{}", b"true"])
def test_a_registry_says_nothing_or_json(tmp_path: Path, body: bytes) -> None:
    desk = Desk(tmp_path, Servers(registry_test=Response(200, {}, body)))
    assert not desk.client().images.login(HOST, "jo", "s3cret").tried


def test_a_missing_token_service_makes_nobody_another_thing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Tokens(token_test=Response(404)))
    with pytest.raises(AuthenticationError):
        desk.client().images.login(HOST, "jo", "s3cret")


@pytest.mark.parametrize("host", [HOST, "notary.test"])
def test_a_notary_server_that_asks_nobody_takes_nothing(tmp_path: Path, host: str) -> None:
    desk = Desk(tmp_path, Servers(registry_test=GOOD, notary_test=None))
    done = desk.client(server=NOTARY).images.login(host, "jo", "s3cret")
    assert done.notary_refusal == "asks nobody who he is: the login could not be tried"
    assert "asks nobody" in desk.warnings[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (GOOD, None),
        ("Basic other", f"the Notary server {NOTARY} does not take this login, it may have others"),
        (UnreachableError("gone"), f"the Notary server {NOTARY} could not be shown the login: gone"),
    ],
)
def test_the_notary_server_that_is_named_is_shown_it_too(
    tmp_path: Path, answer: str | Exception, said: str | None
) -> None:
    desk = Desk(tmp_path, Servers(registry_test=GOOD, notary_test=answer))
    done = desk.client(server=NOTARY).images.login(HOST, "jo", "s3cret")
    assert (done.notary, done.notary_refusal is None) == (NOTARY, said is None)
    assert desk.auths() is not None
    assert said is None or desk.warnings[0].startswith(said)
    assert f"{NOTARY}/v2/" in desk.servers.asked


class Tokens(Servers):
    """Servers that take tokens, which know everybody and let nobody list what they have."""

    def send(self, request: Request, deadline: float) -> Response:
        if request.url.startswith("https://token.test/"):
            return super().send(request, deadline)
        challenge = 'Bearer realm="https://token.test/t",service="s",scope="registry:catalog:*"'
        if "Authorization" in request.headers:
            challenge += ',error="insufficient_scope"'
        return Response(401, {"www-authenticate": challenge})


@pytest.mark.parametrize("host", [HOST, "notary.test"])
def test_who_is_known_and_may_not_list_everything_is_logged_in(tmp_path: Path, host: str) -> None:
    servers = Tokens(token_test=None)
    desk = Desk(tmp_path, servers)
    servers.taken["token.test"] = "Basic other"
    with pytest.raises(AuthenticationError):
        desk.client(server=NOTARY).images.login(host, "jo", "s3cret")
    assert desk.auths() is None
    servers.taken["token.test"] = GOOD
    servers.body = b'{"token": "abc"}'
    assert desk.client(server=NOTARY).images.login(host, "jo", "s3cret").tried


@pytest.mark.parametrize("by_option", [True, False])
def test_to_a_notary_server_one_logs_in_by_its_own_name(tmp_path: Path, by_option: bool) -> None:
    desk = Desk(tmp_path, Servers(notary_test=GOOD))
    tables = {HOST: RegistrySettings(server=NOTARY)}
    client = desk.client(server=NOTARY) if by_option else desk.client(registries=tables)
    assert client.images.login("notary.test", "jo", "s3cret").notary == NOTARY
    assert desk.auths() == {"notary.test": {"auth": GOOD.removeprefix("Basic ")}}


@pytest.mark.parametrize("text", [f"https://{HOST}/v2/", f"https://{HOST}", f"{HOST}/"])
def test_a_registry_by_its_address(tmp_path: Path, text: str) -> None:
    desk = Desk(tmp_path, Servers(registry_test=GOOD))
    assert desk.client().images.login(text, "jo", "s3cret").registry == HOST


def test_a_repository_is_no_registry(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a registry's name alone"):
        Desk(tmp_path, Servers()).client().images.login(f"{HOST}/team/app", "jo", "s3cret")


def test_the_file_of_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "ci" / "auth.json"
    desk = Desk(tmp_path, Servers(registry_test=GOOD), {"REGISTRY_AUTH_FILE": str(path)})
    assert desk.client().images.login(HOST, "jo", "s3cret").stored_in == str(path)
    assert desk.auths("ci/auth.json") == {HOST: {"auth": GOOD.removeprefix("Basic ")}}
    assert desk.auths() is None
    assert desk.client().images.logout(HOST).erased
    assert desk.auths("ci/auth.json") == {}


def test_what_comes_first_or_stays_behind_is_named(tmp_path: Path) -> None:
    text = json.dumps({"auths": {HOST: {"username": "other", "password": "x"}}})
    desk = Desk(tmp_path, Servers(registry_test=GOOD), {"DOCKER_AUTH_CONFIG": text})
    desk.client().images.login(HOST, "jo", "s3cret")
    assert desk.warnings[-1] == f"DOCKER_AUTH_CONFIG has another login for {HOST}, and is asked first"
    assert desk.client().images.logout(HOST).erased
    assert desk.warnings[-1] == f"DOCKER_AUTH_CONFIG still has a login for {HOST}"
    assert not desk.client().images.logout(HOST).erased


@pytest.mark.parametrize(
    ("registry", "user", "password", "error"),
    [
        (f"{HOST}/app", "jo", "x", UsageError),
        ("", "jo", "x", InvalidNameError),
        (HOST, "", "x", UsageError),
        (HOST, "j:o", "x", UsageError),
        (HOST, "jo", "", UsageError),
        (HOST, "jo", "x\ny", UsageError),
    ],
)
def test_what_is_no_login(
    tmp_path: Path, registry: str, user: str, password: str, error: type[Exception]
) -> None:
    desk = Desk(tmp_path, Servers())
    with pytest.raises(error):
        desk.client().images.login(registry, user, password)


def test_offline_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="asks a registry"):
        Desk(tmp_path, Servers()).client(offline=True).images.login(HOST, "jo", "x")
