from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.calls import LIFETIME, Call, Login, notary_scope, registry_scope
from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST, Fake
from notarypy.errors import AuthenticationError, ImageMissingError, NotFoundError
from notarypy.remote.auth.credentials import Keychain, NotaryAuth
from notarypy.remote.auth.tokens import TokenAuthenticator
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.notary import NotaryClient
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import NO_DEADLINE, Clock, make_fake, repeatable_random

if TYPE_CHECKING:
    from notarypy.devserver.calls import Kind

GUN = "registry.test/app"
URL = f"https://{NOTARY_HOST}"


def guarded(kind: Kind, clock: Clock | None = None) -> Fake:
    fake, clock = make_fake(), clock or Clock()
    for host, scope_of in ((NOTARY_HOST, notary_scope), (REGISTRY_HOST, registry_scope)):
        random = repeatable_random(host)
        service = fake.services[host]
        users = {"dev": "secret"}
        fake.services[host] = Login(service, scope_of, kind=kind, users=users, clock=clock, random=random)
    return fake


def ask(
    fake: Fake, path: str, authorization: str = "", method: str = "GET", host: str = NOTARY_HOST
) -> Response:
    headers = {"Authorization": authorization} if authorization else {}
    return fake.send(Request(method, f"https://{host}{path}", headers), NO_DEADLINE)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def token(fake: Fake, scope: str, authorization: str = basic("dev", "secret")) -> str:
    answer = ask(fake, f"/token?service=x&scope={scope}", authorization)
    assert answer.status == 200
    return f"Bearer {json.loads(answer.body)['token']}"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", "registry:catalog:*"),
        ("GET", "/v2/_trust/changefeed", "registry:catalog:*"),
        ("GET", "/metrics", "registry:catalog:*"),
        ("GET", f"/v2/{GUN}/_trust/tuf/root.json", f"repository:{GUN}:pull"),
        ("GET", f"/v2/{GUN}/_trust/tuf/1.targets/a.json", f"repository:{GUN}:pull"),
        ("GET", f"/v2/{GUN}/_trust/changefeed", f"repository:{GUN}:pull"),
        ("POST", f"/v2/{GUN}/_trust/tuf/", f"repository:{GUN}:push,pull"),
        ("GET", f"/v2/{GUN}/_trust/tuf/timestamp.key", f"repository:{GUN}:push,pull"),
        ("POST", f"/v2/{GUN}/_trust/tuf/timestamp.key", f"repository:{GUN}:*"),
        ("DELETE", f"/v2/{GUN}/_trust/tuf/", f"repository:{GUN}:*"),
        ("GET", "/_notary_server/health", None),
    ],
)
def test_scopes_of_the_notary_server(method: str, path: str, scope: str | None) -> None:
    assert notary_scope(Call(method, URL, path)) == scope


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", "registry:catalog:*"),
        ("HEAD", "/v2/a/b/manifests/1", "repository:a/b:pull"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/1", "repository:a/b:delete"),
    ],
)
def test_scopes_of_the_registry(method: str, path: str, scope: str) -> None:
    assert registry_scope(Call(method, URL, path)) == scope


def test_basic() -> None:
    fake = guarded("basic")
    refused = ask(fake, "/v2/")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Basic realm="notarypy devserver"')
    assert json.loads(refused.body)["errors"][0]["code"] == "UNAUTHORIZED"
    assert ask(fake, "/v2/", basic("dev", "secret")).status == 200
    for wrong in (basic("dev", "wrong"), basic("eve", "secret"), "Basic ???", "Bearer x", basic("", "")):
        assert ask(fake, "/v2/", wrong).status == 401
    assert ask(fake, "/_notary_server/health").status == 200


def test_challenges_for_tokens() -> None:
    fake = guarded("token")
    path = f"/v2/{GUN}/_trust/tuf/root.json"
    wanted = f'Bearer realm="{URL}/token",service="notarypy devserver",scope="repository:{GUN}:pull"'
    assert ask(fake, path).headers["www-authenticate"] == wanted
    assert ask(fake, path, "Bearer nonsense").headers["www-authenticate"] == f'{wanted},error="invalid_token"'
    other = token(fake, "repository:other:pull")
    assert ask(fake, path, other).headers["www-authenticate"] == f'{wanted},error="insufficient_scope"'
    assert ask(fake, path, token(fake, f"repository:{GUN}:pull")).status == 404


def test_a_token_is_for_what_was_asked() -> None:
    fake = guarded("token")
    path = f"/v2/{GUN}/_trust/tuf/"
    for scope, status in (("pull", 401), ("push", 401), ("pull,push", 400), ("*", 400)):
        assert ask(fake, path, token(fake, f"repository:{GUN}:{scope}"), "POST").status == status
    assert ask(fake, path, token(fake, f"repository:{GUN}:push,pull"), "DELETE").status == 401
    assert ask(fake, "/v2/", token(fake, f"repository:{GUN}:pull")).status == 200


def test_no_password_makes_a_token_for_nothing_and_a_wrong_one_none() -> None:
    fake = guarded("token")
    nothing = token(fake, f"repository:{GUN}:pull", "")
    assert ask(fake, "/v2/", nothing).status == 401
    assert ask(fake, f"/v2/{GUN}/_trust/tuf/root.json", nothing).status == 401
    assert ask(fake, "/token?scope=x", basic("dev", "wrong")).status == 401


def test_tokens_end() -> None:
    clock = Clock()
    fake = guarded("token", clock)
    held = token(fake, "repository:a:pull")
    clock.advance(timedelta(seconds=LIFETIME - 1))
    assert ask(fake, "/v2/", held).status == 200
    clock.advance(timedelta(seconds=1))
    assert ask(fake, "/v2/", held).status == 401
    token(fake, "repository:a:pull")
    assert ask(fake, "/v2/", held).status == 401


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_the_clients_own_code_logs_in(kind: Kind) -> None:
    fake = guarded(kind)

    def exchange(host: str, password: str) -> Exchange:
        known = NotaryAuth({"NOTARY_AUTH": basic("dev", password).removeprefix("Basic ")})
        authenticator = TokenAuthenticator(host, Keychain([known]), (host,))
        return Exchange(fake, timeout=5, authenticator=lambda: authenticator)

    notary = NotaryClient(exchange(NOTARY_HOST, "secret"), URL)
    assert notary.get_key(GUN, "timestamp")
    with pytest.raises(NotFoundError):
        notary.get(GUN, "root", 100)
    with pytest.raises(ImageMissingError):
        RegistryClient(exchange(REGISTRY_HOST, "secret"), REGISTRY_HOST).manifest("app", "1")
    with pytest.raises(AuthenticationError):
        NotaryClient(exchange(NOTARY_HOST, "wrong"), URL).get_key(GUN, "timestamp")
