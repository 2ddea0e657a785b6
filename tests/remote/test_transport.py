from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    NetworkError,
    NotFoundError,
    ResponseLimitError,
    ServerError,
    TlsError,
    UnreachableError,
)
from notarypy.remote.http.failures import UnknownHostError
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.throttle import AT_FIRST, Throttles
from notarypy.remote.http.transport import Exchange, RequestPolicy
from notarypy.remote.http.urls import host_port, is_loopback, origin
from support.scripted import ScriptedTransport

if TYPE_CHECKING:
    from notarypy.remote.http.transport import Fetch

URL = "https://notary.corp/v2/x"
OK = Response(200, {}, b"fine")


def test_every_request_asks_for_plain_bytes(fake: ScriptedTransport) -> None:
    fake.replies.append(OK)
    assert fake.exchange().send(Request("GET", URL, {"Accept": "x"})) == OK
    assert fake.sent[0].headers == {"Accept-Encoding": "identity", "User-Agent": "notarypy", "Accept": "x"}
    assert fake.deadlines == [1060.0]


@pytest.mark.parametrize("first", [Response(503), Response(429), UnreachableError("x"), NetworkError("lost")])
def test_get_is_repeated(fake: ScriptedTransport, first: Response | Exception) -> None:
    fake.replies.extend([first, first, OK])
    assert fake.exchange().send(Request("GET", URL)) == OK
    assert len(fake.sent) == 3
    assert 0.1 < fake.slept[0] < fake.slept[1] < 1
    assert len(set(fake.deadlines)) == 1


def test_get_is_repeated_three_times_at_most(fake: ScriptedTransport) -> None:
    fake.replies.extend([UnreachableError("x")] * 9)
    with pytest.raises(UnreachableError) as caught:
        fake.exchange().send(Request("GET", URL))
    assert len(fake.sent) == 4
    assert caught.value.facts["attempts"] == 4


@pytest.mark.parametrize(
    "error",
    [
        DeadlineError("x"),
        TlsError("x"),
        ResponseLimitError("x"),
        ServerError("x"),
        UnknownHostError("x", reason="name"),
    ],
)
def test_what_another_attempt_cannot_cure(fake: ScriptedTransport, error: NetworkError) -> None:
    fake.replies.append(error)
    with pytest.raises(type(error)):
        fake.exchange().send(Request("GET", URL))
    assert len(fake.sent) == 1


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
@pytest.mark.parametrize("reply", [NetworkError("lost"), UnreachableError("x"), Response(503), Response(429)])
def test_nothing_but_get_is_repeated(
    fake: ScriptedTransport, method: str, reply: Response | Exception
) -> None:
    fake.replies.append(reply)
    with pytest.raises(NetworkError):
        fake.exchange().send(Request(method, URL, body=b"x"))
    assert len(fake.sent) == 1


def test_retry_after_is_honoured_when_short(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(503, {"retry-after": "3"}), OK])
    assert fake.exchange().send(Request("GET", URL)) == OK
    assert fake.slept == [3.0]


def test_retry_after_is_reported_when_long(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(429, {"retry-after": "600"}))
    with pytest.raises(ServerError) as caught:
        fake.exchange().send(Request("GET", URL))
    assert fake.slept == []
    assert caught.value.facts["retry_after"] == 600
    assert "600" in caught.value.why[-1]


def test_no_wait_beyond_the_deadline(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(503, {"retry-after": "3"})] * 5)
    with pytest.raises(ServerError, match="503"):
        fake.exchange(timeout=4).send(Request("GET", URL))
    assert fake.slept == [3.0]


@pytest.mark.parametrize("status", [400, 405, 409, 413, 422])
def test_statuses_for_the_caller(fake: ScriptedTransport, status: int) -> None:
    fake.replies.append(Response(status, {}, b"why"))
    assert fake.exchange().send(Request("POST", URL)).status == status


def test_not_found_tells_what_the_server_said(fake: ScriptedTransport) -> None:
    body = json.dumps({"errors": [{"code": "METADATA_NOT_FOUND", "message": "You have asked for metadata"}]})
    fake.replies.append(Response(404, {}, body.encode()))
    with pytest.raises(NotFoundError, match=r"notary\.corp has no /v2/x") as caught:
        fake.exchange().send(Request("GET", URL))
    assert caught.value.facts["server_code"] == "METADATA_NOT_FOUND"
    assert caught.value.why == ("METADATA_NOT_FOUND: You have asked for metadata",)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"errors": 1}', b'{"errors": [1, {"code": 2}]}', b"[" * 60_000]
)
def test_error_documents_may_be_anything(fake: ScriptedTransport, body: bytes) -> None:
    fake.replies.append(Response(500, {}, body))
    with pytest.raises(ServerError, match="500") as caught:
        fake.exchange().send(Request("GET", URL))
    assert caught.value.facts["status"] == 500


@pytest.mark.parametrize("status", [401, 403])
def test_without_authenticator_a_refusal_is_final(fake: ScriptedTransport, status: int) -> None:
    fake.replies.append(Response(status))
    with pytest.raises(AuthenticationError, match="changing a/b"):
        fake.exchange().send(Request("GET", URL), scope="repository:a/b:push,pull")


def test_a_success_above_the_limit_is_refused_whatever_the_transport(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(200, {}, b"12345"))
    with pytest.raises(ResponseLimitError):
        fake.exchange().send(Request("GET", URL), policy=RequestPolicy(limit=4))


def test_redirects_are_refused(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(302, {"location": "/elsewhere"}))
    with pytest.raises(ServerError, match="302"):
        fake.exchange().send(Request("GET", URL))
    assert len(fake.sent) == 1


def test_redirects_within_the_origin_where_allowed(fake: ScriptedTransport) -> None:
    fake.replies.extend(
        [Response(307, {"location": "/b"}), Response(302, {"location": "https://NOTARY.corp:443/c"}), OK]
    )
    assert fake.exchange().send(Request("GET", URL), policy=RequestPolicy(redirects=3)) == OK
    assert [request.url for request in fake.sent[1:]] == [
        "https://notary.corp/b",
        "https://NOTARY.corp:443/c",
    ]


@pytest.mark.parametrize(
    "location",
    [
        "http://notary.corp:8080/x",
        "https://evil/",
        "https://notary.corp:444/",
        "//evil/",
        "https://u@notary.corp/",
        "ftp://a",
        "https://[",
    ],
)
def test_redirects_never_leave_the_origin(fake: ScriptedTransport, location: str) -> None:
    fake.replies.append(Response(302, {"location": location}))
    with pytest.raises(ServerError, match="redirects to another place"):
        fake.exchange().send(Request("GET", URL), policy=RequestPolicy(redirects=3))
    assert len(fake.sent) == 1


def test_redirects_come_to_an_end(fake: ScriptedTransport) -> None:
    fake.replies.extend(Response(302, {"location": f"/{n}"}) for n in range(9))
    with pytest.raises(ServerError, match="on and on") as caught:
        fake.exchange().send(Request("GET", URL), policy=RequestPolicy(redirects=2))
    assert (len(fake.sent), caught.value.facts["status"]) == (3, 302)


def test_redirects_that_lead_back_are_a_loop(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(302, {"location": "/x"})] * 9)
    with pytest.raises(ServerError, match="in a loop"):
        fake.exchange().send(Request("GET", URL), policy=RequestPolicy(redirects=8))
    assert len(fake.sent) == 2


@pytest.mark.parametrize(
    "url", ["notary.corp", "ftp://a/", "https://", "https://jo:s3cret@a/", "https://a:port/", "https://["]
)
def test_unusable_urls(fake: ScriptedTransport, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fake.exchange().send(Request("GET", url))
    assert "s3cret" not in f"{caught.value} {caught.value.why} {caught.value.facts}"
    assert fake.sent == []


def test_origin_and_names() -> None:
    assert origin("https://A.b/x") == ("https", "a.b", 443) == origin("https://a.b:443")
    assert host_port("https://a:443/x") == "a"
    assert host_port("http://a:443/x") == "a:443"
    assert host_port("https://[::1]:4443") == "[::1]:4443"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.evil", False),
        ("127.0.0.1.evil", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_reprs_show_no_secrets() -> None:
    request = Request("GET", URL, {"Authorization": "Bearer s3cret"}, b"s3cret")
    assert "s3cret" not in repr(request) + repr(Response(200, {"set-cookie": "s3cret"}, b"s3cret"))


def test_importing_the_interfaces_is_cheap() -> None:
    names = ["http.transport", "notary", "registry.registry", "auth.tokens", "auth.credentials"]
    names += ["http.tls", "http.urls"]
    program = (
        f"import sys; {'; '.join(f'import notarypy.remote.{name}' for name in names)}; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"requests", "urllib3", "ssl", "http.client", "cryptography"} & set(loaded)


META = {"X-Meta-Team": "a", "User-Agent": "evil"}


@pytest.mark.parametrize(
    ("url", "sent"), [("https://r.corp/", True), ("http://localhost:5000/", True), ("http://r.corp/", False)]
)
def test_configured_headers_go_to_the_server_itself(fake: ScriptedTransport, url: str, *, sent: bool) -> None:
    class Asking:
        """Fetches a token for every challenge."""

        def authorize(self, *_: object) -> str | None:
            return None

        def answer(self, _url: str, _scope: object, _response: object, fetch: Fetch, _used: object) -> str:
            fetch(Request("GET", "https://auth.corp/token"))
            return "Bearer ours"

        def is_login(self, *_: object) -> bool:
            return False

        def refused(self, *_: object) -> AuthenticationError:
            return AuthenticationError("refused")

    fake.replies.extend([Response(401), Response(200), Response(200)])
    exchange = Exchange(fake, timeout=5, authenticator=Asking, configured=lambda: META, monotonic=lambda: 0)
    exchange.send(Request("GET", url, {"Accept": "x"}))
    first, token, second = (request.headers for request in fake.sent)
    assert [headers.get("X-Meta-Team") for headers in (first, token, second)] == [
        "a" if sent else None,
        None,
        "a" if sent else None,
    ]
    assert {headers["User-Agent"] for headers in (first, token, second)} == {"notarypy"}
    assert second["Authorization"] == "Bearer ours"


class Opening(ScriptedTransport):
    """A transport that can open connections ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def connect(self, url: str, deadline: float) -> None:
        assert deadline > self.now
        self.opened.append(url)


def test_a_connection_is_opened_ahead_while_there_is_room_for_a_request() -> None:
    transport, throttles, url = Opening(), Throttles(), "https://notary.test"
    exchange = Exchange(transport, timeout=60, throttles=throttles, monotonic=lambda: transport.now)
    exchange.connect(url)
    throttle = throttles.to(("https", "notary.test", 443))
    under_way = [throttle.passage(flows=False) for _ in range(AT_FIRST)]
    for passage in under_way:
        throttle.enter(passage, lambda: None)
    exchange.connect(url)
    assert transport.opened == [url]
    throttle.leave(under_way[0], good=True)
    exchange.connect(url)
    assert transport.opened == [url, url]


def test_a_transport_that_cannot_open_connections_ahead_is_not_asked_to(fake: ScriptedTransport) -> None:
    fake.exchange().connect("https://notary.test")
    assert fake.sent == []
