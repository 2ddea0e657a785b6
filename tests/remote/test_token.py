from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import AuthenticationError, NetworkError, NotarypyError, ServerError
from notarypy.remote.auth.credentials import Credential, Keychain
from notarypy.remote.auth.tokens import TokenAuthenticator
from notarypy.remote.http.messages import KEPT, Request, Response
from support.scripted import body_of

if TYPE_CHECKING:
    from notarypy.remote.auth.credentials import Kind
    from support.scripted import ScriptedTransport

URL = "https://notary.corp/v2/a/b/_trust/tuf/root.json"
SCOPE = "repository:a/b:pull"
REALM = "https://auth.corp/token"
JO = Credential("jo", "s3cret", "test.json")
BASIC_JO = "Basic " + base64.b64encode(b"jo:s3cret").decode()


class Known:
    """A keychain source for notary.corp."""

    name = "test.json"

    def __init__(self, credential: Credential | None = JO) -> None:
        self.credential = credential
        self.asked: list[str] = []
        self.paths: set[str] = set()

    def get(self, host: str, path: str = "") -> Credential | None:
        self.asked.append(host)
        self.paths.add(path)
        return self.credential if host in ("notary.corp", "localhost:5000") else None


class Site:
    """A server with token authentication: counts the tokens it gives out and takes the last one."""

    def __init__(
        self, fake: ScriptedTransport, challenge: str = f'Bearer realm="{REALM}",service="svc"'
    ) -> None:
        self.fake = fake
        self.challenge = challenge
        self.token_requests: list[Request] = []
        self.lifetime: object = 300
        self.token = ""
        self.refuse_all = False
        fake.handler = self.answer

    def answer(self, request: Request) -> Response:
        if "/token" in request.url:
            self.token_requests.append(request)
            self.token = jwt(f"t{len(self.token_requests)}", ["pull"])
            return Response(200, {}, json.dumps({"token": self.token, "expires_in": self.lifetime}).encode())
        sent = request.headers.get("Authorization")
        if not self.refuse_all and sent in (f"Bearer {self.token}", BASIC_JO):
            return Response(200, {}, b"data")
        return Response(401, {"www-authenticate": self.challenge})


def jwt(identity: str, actions: list[str]) -> str:
    claims = {"jti": identity, "access": [{"type": "repository", "name": "a/b", "actions": actions}]}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def authenticator(
    fake: ScriptedTransport, source: Known | None = None, host: str = "notary.corp"
) -> TokenAuthenticator:
    return TokenAuthenticator(host, Keychain([source or Known()]), monotonic=lambda: fake.now)


def test_token_for_the_own_scope_with_credentials(fake: ScriptedTransport) -> None:
    site = Site(fake, f'Bearer realm="{REALM}?keep=1",service="svc",scope="repository:other:*"')
    assert fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE).body == b"data"
    (asked,) = site.token_requests
    assert asked.method == "GET"
    assert parse_qs(urlsplit(asked.url).query) == {
        "keep": ["1"],
        "service": ["svc"],
        "scope": [SCOPE],
        "account": ["jo"],
    }
    assert asked.headers["Authorization"] == BASIC_JO
    assert asked.headers["Accept-Encoding"] == "identity"
    assert [request.headers.get("Authorization") for request in fake.sent] == [
        None,
        BASIC_JO,
        f"Bearer {site.token}",
    ]


def test_anonymous_token(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake, Known(None)))
    assert exchange.send(Request("GET", URL), scope=SCOPE).body == b"data"
    assert "Authorization" not in site.token_requests[0].headers
    assert "account" not in site.token_requests[0].url


def test_who_is_asked_gives_a_login_only_where_nobody_gets_a_token_that_grants_something(
    fake: ScriptedTransport,
) -> None:
    asked: list[str] = []

    def ask() -> tuple[str, str]:
        asked.append("once")
        return "jo", "s3cret"

    def send(scope: str) -> None:
        keychain = Keychain([Known(None)], ask)
        made = TokenAuthenticator("notary.corp", keychain, monotonic=lambda: fake.now)
        assert fake.exchange(made).send(Request("GET", URL), scope=scope).body == b"data"

    site = Site(fake)
    send(SCOPE)
    assert asked == []
    send("repository:other:pull")  # of which the token says nothing
    assert asked == ["once"]
    assert [("Authorization" in each.headers) for each in site.token_requests] == [False, False, True]
    send("repository:a/b:push,pull")
    assert asked == ["once"] * 2
    assert "Authorization" in site.token_requests[-1].headers
    assert len(site.token_requests) == 4


@pytest.mark.parametrize(
    ("kind", "status", "asks"),
    [
        ("password", 401, True),
        ("password", 503, False),
        ("password", 405, False),
        ("identity", 400, True),
        ("identity", 405, True),
        ("identity", 500, False),
        ("identity", 503, False),
    ],
)
def test_who_is_asked_is_not_for_a_token_service_that_only_fails(
    fake: ScriptedTransport, kind: Kind, status: int, *, asks: bool
) -> None:
    asked: list[str] = []
    challenge = Response(401, {"www-authenticate": f'Bearer realm="{REALM}"'})
    fake.replies.extend([challenge, *[Response(status)] * 6])
    known = Known(Credential("jo", "old", "test.json", kind))
    made = TokenAuthenticator("notary.corp", Keychain([known], lambda: asked.append("once")))
    with pytest.raises(NotarypyError):
        fake.exchange(made).send(Request("GET", URL), scope=SCOPE)
    assert asked == ["once"] * asks


def test_credentials_are_looked_up_only_after_a_challenge(fake: ScriptedTransport) -> None:
    source = Known()
    fake.replies.append(Response(200))
    fake.exchange(authenticator(fake, source)).send(Request("GET", URL), scope=SCOPE)
    assert source.asked == []
    assert "Authorization" not in fake.sent[0].headers


def test_tokens_are_kept_per_scope_until_shortly_before_their_end(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake))
    for _ in range(3):
        exchange.send(Request("GET", URL), scope=SCOPE)
    assert len(site.token_requests) == 1
    fake.now += 289
    exchange.send(Request("GET", URL), scope=SCOPE)
    assert len(site.token_requests) == 1
    fake.now += 2
    exchange.send(Request("GET", URL), scope=SCOPE)
    assert len(site.token_requests) == 2
    assert len(fake.sent) == 1 + 5 + 2  # one challenge in all: the rest knew what to send
    exchange.send(Request("POST", URL), scope="repository:a/b:push,pull")
    assert "push%2Cpull" in site.token_requests[2].url
    assert len(fake.sent) == 8 + 2


def test_a_token_the_server_no_longer_takes_is_replaced_once(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake))
    exchange.send(Request("GET", URL), scope=SCOPE)
    site.token = "revoked"
    assert exchange.send(Request("POST", URL, body=b"x"), scope=SCOPE).body == b"data"
    assert len(site.token_requests) == 2


def test_one_401_is_answered_the_next_is_an_error(fake: ScriptedTransport) -> None:
    site = Site(fake)
    site.refuse_all = True
    with pytest.raises(AuthenticationError, match=r"notary\.corp does not allow changing a/b") as caught:
        fake.exchange(authenticator(fake)).send(
            Request("POST", URL, body=b"x"), scope="repository:a/b:push,pull"
        )
    assert len(fake.sent) == 3
    error = caught.value
    assert error.facts["asked"] == "repository:a/b:push,pull"
    assert error.facts["granted"] == "pull"
    assert error.facts["user"] == "jo"
    assert error.facts["source"] == "test.json"
    assert "user jo from test.json" in error.why
    assert "asked for push,pull; the token grants pull" in error.why
    assert "s3cret" not in f"{error!r} {error.why} {advice(error)} {error.facts}"


def test_forbidden_without_a_challenge(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(403))
    with pytest.raises(AuthenticationError, match="reading a/b") as caught:
        fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE)
    assert caught.value.facts["user"] is None
    assert len(fake.sent) == 1


def test_basic(fake: ScriptedTransport) -> None:
    Site(fake, 'Basic realm="Registry"')
    exchange = fake.exchange(authenticator(fake))
    exchange.send(Request("GET", URL), scope=SCOPE)
    exchange.send(Request("GET", URL))
    assert [request.headers.get("Authorization") for request in fake.sent] == [None, BASIC_JO, BASIC_JO]


def test_refused_basic_is_not_tried_again(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(401, {"www-authenticate": "Basic realm=x"})] * 2)
    exchange = fake.exchange(authenticator(fake))
    with pytest.raises(AuthenticationError) as caught:
        exchange.send(Request("GET", URL), scope=SCOPE)
    assert advice(caught.value) == "check user and password"
    fake.replies.append(Response(401, {"www-authenticate": "Basic realm=x"}))
    with pytest.raises(AuthenticationError):
        exchange.send(Request("GET", URL), scope=SCOPE)
    assert len(fake.sent) == 3


def test_basic_without_credentials_names_the_places(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(401, {"www-authenticate": "Basic realm=x"}))
    with pytest.raises(AuthenticationError) as caught:
        fake.exchange(authenticator(fake, Known(None))).send(Request("GET", URL), scope=SCOPE)
    assert caught.value.why == ("no credentials for notary.corp in: test.json",)
    assert advice(caught.value) == "log in: notarypy login notary.corp"


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.corp/token",
        "http://localhost/token",
        "https://u:p@auth.corp/token",
        "file:///token",
        "/token",
        "",
    ],
)
def test_realms_that_must_not_see_credentials(fake: ScriptedTransport, realm: str) -> None:
    fake.replies.append(Response(401, {"www-authenticate": f'Bearer realm="{realm}",service="svc"'}))
    with pytest.raises(AuthenticationError, match=r"cannot authenticate to notary\.corp"):
        fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE)
    assert len(fake.sent) == 1


def test_loopback_http_may_name_a_loopback_http_realm(fake: ScriptedTransport) -> None:
    Site(fake, 'Bearer realm="http://127.0.0.1:9/token",service="svc"')
    exchange = fake.exchange(authenticator(fake, host="localhost:5000"))
    assert exchange.send(Request("GET", "http://localhost:5000/v2/x"), scope=SCOPE).body == b"data"


def test_loopback_http_may_not_send_credentials_away_in_clear(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(401, {"www-authenticate": 'Bearer realm="http://auth.corp/token"'}))
    with pytest.raises(AuthenticationError):
        fake.exchange(authenticator(fake, host="localhost:5000")).send(
            Request("GET", "http://localhost:5000/v2/x")
        )
    assert len(fake.sent) == 1


@pytest.mark.parametrize("challenge", ["Basic realm=x", f'Bearer realm="{REALM}"'])
def test_nothing_over_plain_http(fake: ScriptedTransport, challenge: str) -> None:
    source = Known()
    fake.replies.append(Response(401, {"www-authenticate": challenge}))
    with pytest.raises(AuthenticationError) as caught:
        fake.exchange(authenticator(fake, source)).send(
            Request("GET", "http://notary.corp/v2/x"), scope=SCOPE
        )
    assert "plain http" in caught.value.why[0]
    assert source.asked == []


def test_what_https_got_is_not_sent_over_http(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake, host="localhost:5000"))
    exchange.send(Request("GET", "https://localhost:5000/v2/x"), scope=SCOPE)
    site.challenge = "Basic realm=x"
    exchange.send(Request("GET", "http://localhost:5000/v2/x"), scope=SCOPE)
    assert [request.headers.get("Authorization") for request in fake.sent[3:]] == [None, BASIC_JO]


def test_another_host_gets_nothing(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake))
    exchange.send(Request("GET", URL), scope=SCOPE)
    count = len(fake.sent)
    with pytest.raises(AuthenticationError):
        exchange.send(Request("GET", "https://evil.corp/v2/x"), scope=SCOPE)
    assert [request.headers.get("Authorization") for request in fake.sent[count:]] == [None]
    assert len(site.token_requests) == 1


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", 'Bearer realm="a",realm="b"'])
def test_schemes_that_cannot_be_answered(fake: ScriptedTransport, header: str) -> None:
    fake.replies.append(Response(401, {"www-authenticate": header}))
    with pytest.raises(AuthenticationError, match="cannot authenticate"):
        fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE)


def test_bearer_is_preferred(fake: ScriptedTransport) -> None:
    site = Site(fake, f'Basic realm="x", Bearer realm="{REALM}",service="svc"')
    fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE)
    assert len(site.token_requests) == 1


def test_identity_token_is_traded(fake: ScriptedTransport) -> None:
    site = Site(fake)
    source = Known(Credential("jo", "refresh-me", "test.json", "identity"))
    assert fake.exchange(authenticator(fake, source)).send(Request("GET", URL), scope=SCOPE).body == b"data"
    (asked,) = site.token_requests
    assert (asked.method, asked.url) == ("POST", REALM)
    assert parse_qs(body_of(asked).decode()) == {
        "service": ["svc"],
        "client_id": ["notarypy"],
        "grant_type": ["refresh_token"],
        "scope": [SCOPE],
        "refresh_token": ["refresh-me"],
    }


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_token_service_without_post_takes_no_identity_tokens(fake: ScriptedTransport, status: int) -> None:
    source = Known(Credential("jo", "refresh-me", "test.json", "identity"))
    fake.replies.extend([Response(401, {"www-authenticate": f'Bearer realm="{REALM}"'}), Response(status)])
    with pytest.raises(AuthenticationError, match="cannot authenticate to") as caught:
        fake.exchange(authenticator(fake, source)).send(Request("GET", URL), scope=SCOPE)
    assert f"answered {status} to POST, by which identity tokens are traded" in caught.value.why[0]
    assert "an identity token from test.json" in caught.value.why[0] or "user jo" in caught.value.why[0]
    assert "with a password" in advice(caught.value)


def test_an_identity_token_is_called_one(fake: ScriptedTransport) -> None:
    source = Known(Credential("", "refresh-me", "test.json", "identity"))
    fake.replies.extend(
        [Response(401, {"www-authenticate": f'Bearer realm="{REALM}"'}), Response(401, {}, b"")]
    )
    with pytest.raises(AuthenticationError) as caught:
        fake.exchange(authenticator(fake, source)).send(Request("GET", URL), scope=SCOPE)
    assert "an identity token from test.json" in caught.value.why


def test_identity_token_is_no_password(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(401, {"www-authenticate": "Basic realm=x"}))
    source = Known(Credential("jo", "refresh-me", "test.json", "identity"))
    with pytest.raises(AuthenticationError) as caught:
        fake.exchange(authenticator(fake, source)).send(Request("GET", URL), scope=SCOPE)
    assert "identity token" in caught.value.why[0]
    assert len(fake.sent) == 1


BEARER = Credential("", "b3arer", "test.json", "bearer")


def test_a_registry_token_is_sent_as_it_is_once_it_is_asked_for(fake: ScriptedTransport) -> None:
    site = Site(fake)
    site.token = BEARER.secret
    exchange = fake.exchange(authenticator(fake, Known(BEARER)))
    for _ in range(2):
        assert exchange.send(Request("GET", URL), scope=SCOPE).body == b"data"
    assert [request.headers.get("Authorization") for request in fake.sent] == [None, *["Bearer b3arer"] * 2]
    assert site.token_requests == []


def test_a_refused_registry_token_is_not_tried_again(fake: ScriptedTransport) -> None:
    site = Site(fake)
    site.token = BEARER.secret
    exchange = fake.exchange(authenticator(fake, Known(BEARER)))
    exchange.send(Request("GET", URL), scope=SCOPE)
    site.refuse_all = True
    for _ in range(2):
        with pytest.raises(AuthenticationError) as caught:
            exchange.send(Request("GET", URL), scope=SCOPE)
    assert caught.value.why[0] == "the registry token from test.json"
    assert BEARER.secret not in f"{caught.value.why} {caught.value.facts}"
    assert len(fake.sent) == 4
    assert site.token_requests == []


@pytest.mark.parametrize(
    ("credential", "challenge", "why"),
    [
        (BEARER, "Basic realm=x", "only a registry token is there"),
        (Credential("", "a\r\nX: y", "test.json", "bearer"), f'Bearer realm="{REALM}"', "is malformed"),
    ],
)
def test_a_registry_token_that_cannot_be_used(
    fake: ScriptedTransport, credential: Credential, challenge: str, why: str
) -> None:
    fake.replies.append(Response(401, {"www-authenticate": challenge}))
    with pytest.raises(AuthenticationError) as caught:
        fake.exchange(authenticator(fake, Known(credential))).send(Request("GET", URL), scope=SCOPE)
    assert why in caught.value.why[0]
    assert len(fake.sent) == 1


def test_a_registry_token_is_not_shown_to_a_notary_server(fake: ScriptedTransport) -> None:
    site = Site(fake)
    keychain = Keychain([Known(BEARER)])
    asking = TokenAuthenticator("notary.other", keychain, ("notary.other", "notary.corp"))
    fake.exchange(asking).send(Request("GET", "https://notary.other/v2/x"), scope=SCOPE)
    assert "Authorization" not in site.token_requests[0].headers
    assert BEARER.secret not in str([request.headers for request in fake.sent])


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("repository:a/b:pull", "a/b"),
        ("repository:registry.corp:5000/a/b:push,pull", "a/b"),
        ("repository:other.corp/a/b:pull", "other.corp/a/b"),
        (None, ""),
    ],
)
def test_the_repository_is_looked_up_without_its_registry(
    fake: ScriptedTransport, scope: str | None, path: str
) -> None:
    Site(fake)
    source = Known()
    names = ("notary.corp", "registry.corp:5000")
    asking = TokenAuthenticator("notary.corp", Keychain([source]), names)
    fake.exchange(asking).send(Request("GET", URL), scope=scope)
    assert source.paths == {path}


def challenged(fake: ScriptedTransport, *replies: Response) -> None:
    fake.replies.append(Response(401, {"www-authenticate": f'Bearer realm="{REALM}"'}))
    fake.replies.extend(replies)
    fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_token_service_that_refuses(fake: ScriptedTransport, status: int) -> None:
    with pytest.raises(AuthenticationError, match=r"auth\.corp") as caught:
        challenged(
            fake, Response(status, {}, b'{"errors": [{"code": "UNAUTHORIZED", "message": "bad login"}]}')
        )
    assert "user jo from test.json" in caught.value.why
    assert "UNAUTHORIZED: bad login" in caught.value.why
    assert caught.value.facts["asked"] == SCOPE


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": ""}',
        b'{"token": 1}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX: y"}',
        b'{"token": "\\u00e9"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_unusable_token_replies(fake: ScriptedTransport, body: bytes) -> None:
    with pytest.raises(ServerError, match=r"auth\.corp"):
        challenged(fake, Response(200, {}, body))


@pytest.mark.parametrize("status", [302, 418])
def test_a_token_service_that_answers_something_else(fake: ScriptedTransport, status: int) -> None:
    with pytest.raises(Exception, match=r"auth\.corp"):
        challenged(fake, Response(status, {"location": "https://evil/"}))
    assert len(fake.sent) == 2


def test_a_token_service_that_knows_nothing_says_nothing_of_what_was_asked(fake: ScriptedTransport) -> None:
    with pytest.raises(AuthenticationError) as caught:
        challenged(fake, Response(404))
    assert "auth.corp, which gives out its tokens, answered 404" in caught.value.why[0]


def test_a_token_service_that_fails_is_asked_again(fake: ScriptedTransport) -> None:
    challenged(fake, Response(503), Response(200, {}, b'{"access_token": "abc"}'), Response(200))
    assert fake.sent[-1].headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("lifetime", "kept"),
    [(None, 49), ("x", 49), (True, 49), (-1, 49), (5, -6), (10**30, 24 * 3600 - 11), (90.5, 80)],
)
def test_lifetimes(fake: ScriptedTransport, lifetime: object, kept: float) -> None:
    site = Site(fake)
    site.lifetime = lifetime
    exchange = fake.exchange(authenticator(fake))
    exchange.send(Request("GET", URL), scope=SCOPE)
    fake.now += max(kept, 0)
    exchange.send(Request("GET", URL), scope=SCOPE)
    assert len(site.token_requests) == (1 if kept > 0 else 2)
    fake.now += 2
    exchange.send(Request("GET", URL), scope=SCOPE)
    assert len(site.token_requests) == (2 if kept > 0 else 3)


def test_a_limit_for_token_replies(fake: ScriptedTransport) -> None:
    site = Site(fake)
    fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=SCOPE)
    assert site.token_requests[0].limit == 1024 * 1024
    fake.handler = None
    with pytest.raises(NetworkError):
        challenged(fake, Response(200, {}, b'{"token": "a"}' + b" " * (1024 * 1024)))


def test_threads_share_one_token(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake))
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        exchange.send(Request("GET", URL), scope=SCOPE)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.token_requests) == 1


def test_a_blank_in_a_repositorys_name_makes_no_second_scope(fake: ScriptedTransport) -> None:
    site = Site(fake)
    scope = "repository:a/b repository:victim:push,pull"
    fake.exchange(authenticator(fake)).send(Request("GET", URL), scope=scope)
    assert parse_qs(urlsplit(site.token_requests[0].url).query)["scope"] == [scope]


def test_without_a_scope_the_challenge_says_what_to_ask(fake: ScriptedTransport) -> None:
    site = Site(fake, f'Bearer realm="{REALM}",scope="registry:catalog:* x:y:z"')
    exchange = fake.exchange(authenticator(fake))
    exchange.send(Request("GET", URL))
    assert parse_qs(urlsplit(site.token_requests[0].url).query)["scope"] == ["registry:catalog:*", "x:y:z"]


@pytest.mark.parametrize("host", ["notary.corp", "Notary.Corp", "notary.corp:443"])
def test_ways_to_write_the_host(fake: ScriptedTransport, host: str) -> None:
    Site(fake)
    assert (
        fake.exchange(authenticator(fake, host=host)).send(Request("GET", URL), scope=SCOPE).body == b"data"
    )


def test_another_port_is_another_server(fake: ScriptedTransport) -> None:
    site = Site(fake)
    with pytest.raises(AuthenticationError):
        fake.exchange(authenticator(fake)).send(Request("GET", "https://notary.corp:444/"), scope=SCOPE)
    assert site.token_requests == []


@pytest.mark.parametrize("location", ["/token/?service=svc", f"{REALM}/?service=svc", "http://auth.corp/t"])
def test_a_token_service_may_have_moved_within_its_origin(fake: ScriptedTransport, location: str) -> None:
    moved = Response(301, {"location": location})
    challenged(fake, moved, Response(200, {}, b'{"token": "abc"}'), Response(200))
    _, _, followed, last = fake.sent
    assert followed.url.startswith("https://auth.corp/t")
    assert followed.headers["Authorization"] == BASIC_JO
    assert last.headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    "location", ["https://evil.corp/token", "http://auth.corp:8080/token", "https://auth.corp:444/token"]
)
def test_a_token_service_sends_no_login_elsewhere(fake: ScriptedTransport, location: str) -> None:
    with pytest.raises(ServerError, match=r"auth\.corp redirects to another place"):
        challenged(fake, Response(307, {"location": location}))
    assert len(fake.sent) == 2


PAGE = b"<html><head><title>Blocked by Corp</title></head></html>"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [PAGE, b"{}"])
def test_a_page_gets_no_password(fake: ScriptedTransport, status: int, body: bytes) -> None:
    exchange = fake.exchange(TokenAuthenticator("notary.corp", Keychain([Known(None)])))
    fake.handler = lambda _: Response(status, {}, body)
    with pytest.raises(AuthenticationError) as caught:
        exchange.send(Request("GET", URL), SCOPE)
    fix, why = advice(caught.value), " ".join(caught.value.why)
    assert (f'with the answer {status}: "Blocked by Corp"' in why) == (body == PAGE)
    assert ("probably a proxy" in fix) == (body == PAGE)
    assert body != PAGE or "notarypy login" not in fix


def test_a_page_beside_a_challenge_is_a_servers_own(fake: ScriptedTransport) -> None:
    exchange = fake.exchange(TokenAuthenticator("notary.corp", Keychain([Known(None)])))
    fake.handler = lambda _: Response(401, {"www-authenticate": 'Basic realm="x"'}, PAGE)
    with pytest.raises(AuthenticationError) as caught:
        exchange.send(Request("GET", URL), SCOPE)
    assert advice(caught.value) == "log in: notarypy login notary.corp"


def test_the_tokens_of_the_latest_repositories_are_kept(fake: ScriptedTransport) -> None:
    site = Site(fake)
    exchange = fake.exchange(authenticator(fake))
    for number in range(KEPT + 1):
        exchange.send(Request("GET", URL), scope=f"repository:a/b{number}:pull")
    assert len(site.token_requests) == KEPT + 1
    exchange.send(Request("GET", URL), scope=f"repository:a/b{KEPT}:pull")
    assert len(site.token_requests) == KEPT + 1
    exchange.send(Request("GET", URL), scope="repository:a/b0:pull")
    assert len(site.token_requests) == KEPT + 2


def test_the_time_that_a_person_takes_is_not_the_servers(fake: ScriptedTransport) -> None:
    Site(fake, 'Basic realm="x"')

    def slow() -> tuple[str, str]:
        fake.now += 1000
        return "jo", "s3cret"

    exchange = fake.exchange(TokenAuthenticator("notary.corp", Keychain([], slow)))
    assert exchange.send(Request("GET", URL), scope=SCOPE).body == b"data"
    assert fake.deadlines[-1] > fake.now
