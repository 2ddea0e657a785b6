"""Bodies in pieces: over sockets, through redirects, with tokens that end meanwhile."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    AuthenticationError,
    DeadlineError,
    NetworkError,
    ResponseLimitError,
    ServerError,
    StorageError,
)
from notarypy.remote.auth.credentials import Credential, Keychain
from notarypy.remote.auth.tokens import TokenAuthenticator
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import Exchange, RequestPolicy
from support.loopback import PATIENCE, Drip
from support.scripted import ScriptedTransport, body_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    import trustme

    from notarypy.remote.http.adapter import HttpTransport
    from support.loopback import Serve

URL = "https://registry.corp/v2/a/blobs/sha256:0"
MIB = 1 << 20
SCOPES = ("repository:a:pull,push", "repository:b:pull")


class Pieces:
    """A body in pieces."""

    def __init__(self, *pieces: bytes, size: int | None = None, error: Exception | None = None) -> None:
        self._pieces, self._error = pieces, error
        self.size = sum(map(len, pieces)) if size is None else size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error is not None:
            raise self._error


class Keeper:
    """A sink that keeps everything, or refuses it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun: list[int] = []
        self.headers: Mapping[str, str] = {}
        self.data = bytearray()
        self._error = error

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
        self.begun.append(status)
        self.headers = headers
        return self.take

    def take(self, data: bytes) -> None:
        if self._error is not None:
            raise self._error
        self.data += data


def reply(body: bytes, status: str = "200 OK", length: int | None = None) -> Callable[..., object]:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"

    def answer(_: bytes, sock: socket.socket) -> bool:
        sock.sendall(head.encode() + body)
        return length is None

    return answer


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


# -- over sockets


def test_a_body_in_pieces_has_a_length(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    server = serve(reply(b"ok"), leaf)
    body = Pieces(b"one", b"two" * 100_000, b"three")
    for _ in range(2):
        assert transport.send(Request("PATCH", server.url(), {}, body), soon()).body == b"ok"
    assert server.bodies == [b"".join(body)] * 2
    assert b"Content-Length: 300008" in server.heads[0]
    assert b"Transfer-Encoding" not in server.heads[0]
    assert server.connections == 1


def test_an_error_while_a_body_is_made_ends_the_request(transport: HttpTransport, serve: Serve) -> None:
    server = serve(reply(b"ok"))
    body = Pieces(b"half", size=8, error=StorageError("the disk broke"))
    with pytest.raises(StorageError, match="the disk broke"):
        transport.send(Request("PATCH", server.url(), {}, body), soon())
    assert transport.send(Request("GET", server.url()), soon()).body == b"ok"


def test_an_answer_before_the_end_of_the_body_counts(transport: HttpTransport, serve: Serve) -> None:
    def answer(_: bytes, sock: socket.socket) -> bool:
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return False

    server = serve(answer)
    assert transport.send(Request("PATCH", server.url(), {}, Pieces(b"x" * 1000)), soon()).status == 413


def test_a_body_goes_into_a_sink(transport: HttpTransport, serve: Serve) -> None:
    keeper, data = Keeper(), bytes(range(256)) * 4000
    server = serve(reply(data))
    answer = transport.send(Request("GET", server.url(), sink=keeper, limit=len(data)), soon())
    assert (answer.status, answer.body, bytes(keeper.data)) == (200, b"", data)
    assert keeper.headers["content-length"] == str(len(data))


def test_an_error_is_not_for_the_sink(transport: HttpTransport, serve: Serve) -> None:
    keeper = Keeper()
    answer = transport.send(Request("GET", serve(reply(b"no", "404 Not Found")).url(), sink=keeper), soon())
    assert (answer.status, answer.body, keeper.begun) == (404, b"no", [])


def test_a_sink_gets_no_more_than_the_limit(transport: HttpTransport, serve: Serve) -> None:
    keeper = Keeper()
    with pytest.raises(ResponseLimitError):
        transport.send(Request("GET", serve(reply(bytes(MIB))).url(), sink=keeper, limit=100_000), soon())
    assert len(keeper.data) <= 100_000


def test_what_a_sink_raises_stands(transport: HttpTransport, serve: Serve) -> None:
    server = serve(reply(bytes(MIB)))
    request = Request("GET", server.url(), sink=Keeper(StorageError("full")), limit=MIB)
    with pytest.raises(StorageError, match="full"):
        transport.send(request, soon())


def test_a_lost_connection_leaves_what_came(transport: HttpTransport, serve: Serve) -> None:
    keeper = Keeper()
    server = serve(reply(b"x" * 1000, length=2000))
    with pytest.raises(NetworkError, match="lost"):
        transport.send(Request("GET", server.url(), sink=keeper), soon())
    assert len(keeper.data) == 1000


def test_large_bodies_cost_little_memory(transport: HttpTransport, serve: Serve) -> None:
    piece, count = bytes(MIB), 40

    class Endless(Pieces):
        """Forty pieces that are one in memory."""

        def __iter__(self) -> Iterator[bytes]:
            for _ in range(count):
                yield piece

    received = 0

    class Counter(Keeper):
        """A sink that keeps nothing."""

        def take(self, data: bytes) -> None:
            nonlocal received
            received += len(data)

    def answer(head: bytes, sock: socket.socket) -> None:
        size = count * MIB if head.startswith(b"GET") else 0
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // MIB):
            sock.sendall(piece)

    server = serve(answer)
    tracemalloc.start()
    transport.send(Request("GET", server.url(), sink=Counter(), limit=count * MIB), soon(60))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert received == count * MIB
    assert peak < 10 * MIB
    transport.send(Request("PATCH", server.url(), {}, Endless(size=count * MIB)), soon(60))
    assert len(server.bodies[-1]) == count * MIB


def test_a_server_that_falls_silent_is_not_waited_for(transport: HttpTransport, serve: Serve) -> None:
    silence = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", b"67890", 1, pause=PATIENCE)
    server = serve(silence)
    with pytest.raises(DeadlineError):
        transport.send(Request("GET", server.url(), sink=Keeper(), stall=0.2), soon(60))
    assert server.is_left()
    assert silence.sent == 0


def test_a_slow_server_that_goes_on_is_waited_for(transport: HttpTransport, serve: Serve) -> None:
    def answer(_head: bytes, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n")
        for _time in range(16):
            time.sleep(0.05)
            sock.sendall(b"x")

    keeper = Keeper()
    transport.send(Request("GET", serve(answer).url(), sink=keeper, stall=0.6), soon(60))
    assert keeper.data == b"x" * 16


# -- the policy around it


@pytest.fixture
def scripted() -> ScriptedTransport:
    return ScriptedTransport()


def exchange(scripted: ScriptedTransport) -> Exchange:
    """Return an exchange that knows a token and a configured header."""
    source = Keychain([])
    return Exchange(
        scripted,
        timeout=60,
        authenticator=lambda: TokenAuthenticator("registry.corp", source, monotonic=lambda: scripted.now),
        configured=lambda: {"X-Secret": "configured"},
        sleep=scripted.sleep,
        monotonic=lambda: scripted.now,
    )


def redirecting(scripted: ScriptedTransport, *locations: str) -> None:
    """Let the registry want a token, and lead through these places."""

    def answer(request: Request) -> Response:
        if "/token" in request.url:
            return Response(200, {}, b'{"token": "t0ken"}')
        if request.url == URL and "Authorization" not in request.headers:
            return Response(401, {"www-authenticate": 'Bearer realm="https://registry.corp/token"'})
        places = [URL, *locations]
        at = places.index(request.url)
        return Response(307, {"location": places[at + 1]}) if places[at + 1 :] else Response(200, {}, b"blob")

    scripted.handler = answer


def secrets(request: Request) -> set[str]:
    return {name for name in request.headers if name in {"Authorization", "X-Secret"}}


def test_elsewhere_goes_nothing_secret(scripted: ScriptedTransport) -> None:
    redirecting(
        scripted, "https://registry.corp/b", "https://storage.corp/c?signature=x", "https://cdn.corp/d"
    )
    answer = exchange(scripted).send(
        Request("GET", URL, {"Range": "bytes=5-", "X-Mine": "y"}),
        scope="repository:a:pull",
        policy=RequestPolicy(redirects=3, allow_cross_origin=True),
    )
    assert answer.body == b"blob"
    home, away = scripted.sent[-4:-2], scripted.sent[-2:]
    assert [secrets(request) for request in home] == [{"Authorization", "X-Secret"}] * 2
    for request in away:
        assert set(request.headers) == {"Range", "User-Agent", "Accept-Encoding"}


def test_who_has_left_does_not_come_back_as_somebody(scripted: ScriptedTransport) -> None:
    redirecting(scripted, "https://storage.corp/c", "https://registry.corp/d")
    exchange(scripted).send(
        Request("GET", URL),
        scope="repository:a:pull",
        policy=RequestPolicy(redirects=3, allow_cross_origin=True),
    )
    assert secrets(scripted.sent[-1]) == set()


@pytest.mark.parametrize(
    "location", ["http://storage.corp/", "ftp://storage.corp/", "https://jo:pw@x.corp/", "https://["]
)
def test_elsewhere_is_https_alone(scripted: ScriptedTransport, location: str) -> None:
    redirecting(scripted, location)
    with pytest.raises(ServerError, match="redirects to another place"):
        exchange(scripted).send(
            Request("GET", URL),
            scope="repository:a:pull",
            policy=RequestPolicy(redirects=3, allow_cross_origin=True),
        )


@pytest.mark.parametrize(
    ("url", "location", "followed"),
    [
        ("http://localhost:5000/x", "https://storage.corp/", True),
        ("http://localhost:5000/x", "http://127.0.0.1:9000/", True),
        ("http://localhost:5000/x", "http://storage.corp/", False),
        ("http://registry.corp/x", "http://localhost:9000/", False),
        ("http://registry.corp/x", "http://storage.corp/", False),
        ("https://localhost:5000/x", "http://localhost:9000/", False),
    ],
)
def test_from_http_leads_a_way_within_this_machine(
    scripted: ScriptedTransport, url: str, location: str, followed: bool
) -> None:
    scripted.replies.extend([Response(307, {"location": location}), Response(200)])
    policy = RequestPolicy(redirects=3, allow_cross_origin=True)
    if followed:
        assert scripted.exchange().send(Request("GET", url), policy=policy).status == 200
    else:
        with pytest.raises(ServerError, match="redirects to another place"):
            scripted.exchange().send(Request("GET", url), policy=policy)
    assert len(scripted.sent) == 1 + followed


@pytest.mark.parametrize(("status", "sent"), [(307, 2), (308, 2), (301, 1), (302, 1), (303, 1)])
def test_what_changes_something_is_not_sent_on_as_something_else(
    scripted: ScriptedTransport, status: int, sent: int
) -> None:
    scripted.replies.extend([Response(status, {"location": "/y"}), Response(202)])
    policy = RequestPolicy(redirects=3)
    if sent == 2:
        scripted.exchange().send(Request("POST", URL, body=b"form"), policy=policy)
    else:
        with pytest.raises(ServerError, match=str(status)):
            scripted.exchange().send(Request("POST", URL, body=b"form"), policy=policy)
    assert [(request.method, request.body) for request in scripted.sent] == [("POST", b"form")] * sent


def test_redirects_elsewhere_come_to_an_end(scripted: ScriptedTransport) -> None:
    scripted.replies.extend(Response(307, {"location": f"https://{n}.corp/"}) for n in "abcd")
    with pytest.raises(ServerError, match="on and on"):
        scripted.exchange().send(
            Request("GET", URL), policy=RequestPolicy(redirects=3, allow_cross_origin=True)
        )


def test_a_refusal_elsewhere_is_no_question_of_our_login(scripted: ScriptedTransport) -> None:
    redirecting(scripted, "https://storage.corp/c")
    handler = scripted.handler
    assert handler is not None
    scripted.handler = lambda request: Response(403) if "storage" in request.url else handler(request)
    with pytest.raises(ServerError, match=r"storage\.corp answered with status 403"):
        exchange(scripted).send(
            Request("GET", URL),
            scope="repository:a:pull",
            policy=RequestPolicy(redirects=3, allow_cross_origin=True),
        )


def test_what_is_large_gets_more_time(scripted: ScriptedTransport) -> None:
    scripted.replies.extend([Response(200)] * 4)
    made = scripted.exchange(timeout=60)
    made.send(Request("GET", URL))
    made.send(Request("GET", URL, sink=Keeper()), policy=RequestPolicy(allowance=1000))
    made.send(Request("PATCH", URL, body=Pieces(b"x")), policy=RequestPolicy(allowance=1000))
    made.send(Request("PUT", URL, body=b""), policy=RequestPolicy(allowance=1000))
    assert scripted.deadlines == [1060, 2060, 2060, 2060]
    assert [request.stall for request in scripted.sent] == [None, 60, 60, None]


def test_a_stream_is_sent_again_after_a_challenge(scripted: ScriptedTransport) -> None:
    redirecting(scripted)
    exchange(scripted).send(Request("PATCH", URL, body=Pieces(b"a", b"b")), scope="repository:a:pull,push")
    sent = [request for request in scripted.sent if request.method == "PATCH"]
    assert [body_of(request) for request in sent] == [b"ab", b"ab"]
    assert "Authorization" in sent[-1].headers


# -- tokens


def test_one_token_for_several_scopes(scripted: ScriptedTransport) -> None:
    redirecting(scripted)
    exchange(scripted).send(Request("POST", URL), scope=SCOPES)
    asked = next(request for request in scripted.sent if "/token" in request.url)
    assert asked.url == (
        "https://registry.corp/token?scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull"
    )


def test_the_first_scope_says_whose_login_counts(scripted: ScriptedTransport) -> None:
    class Source:
        """Notes the repositories that logins are looked up for."""

        name = "test.json"
        paths: set[str] = set()  # noqa: RUF012 - one test uses it

        def get(self, host: str, path: str = "") -> Credential | None:  # noqa: ARG002 - as sources are
            self.paths.add(path)
            return Credential("jo", "pw", "test.json")

    scripted.handler = lambda _: Response(401, {"www-authenticate": 'Basic realm="x"'})
    made = TokenAuthenticator("registry.corp", Keychain([Source()]), monotonic=lambda: scripted.now)
    with pytest.raises(AuthenticationError, match="does not allow changing a"):
        scripted.exchange(made).send(Request("POST", URL), scope=SCOPES)
    assert Source.paths == {"a"}


def test_a_token_that_ends_during_a_long_push_is_fetched_anew(scripted: ScriptedTransport) -> None:
    fetched: list[str] = []

    def answer(request: Request) -> Response:
        if "/token" in request.url:
            fetched.append(f"t{len(fetched)}")
            return Response(200, {}, f'{{"token": "{fetched[-1]}", "expires_in": 60}}'.encode())
        known = fetched and request.headers.get("Authorization") == f"Bearer {fetched[-1]}"
        challenge = {"www-authenticate": 'Bearer realm="https://registry.corp/token"'}
        return Response(202) if known else Response(401, challenge)

    scripted.handler = answer
    pushing = exchange(scripted)
    for _ in range(4):
        pushing.send(Request("PATCH", URL, body=Pieces(b"x")), scope="repository:a:pull,push")
        scripted.now += 40
    assert fetched == ["t0", "t1"]
    refused = [request for request in scripted.sent if request.method == "PATCH"]
    assert len(refused) == 5  # the first one only: later ones are asked for in time
