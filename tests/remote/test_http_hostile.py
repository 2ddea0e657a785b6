"""Answers that try to make more of the libraries than of us: redirects, lengths, cookies."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import NetworkError, ResponseLimitError, ServerError
from notarypy.limits import DEFAULT
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.tls import context
from notarypy.remote.http.transport import Exchange, RequestPolicy
from support.loopback import Drip

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from support.loopback import Serve

FOUND = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"


def sending(*parts: bytes) -> Callable[[bytes, socket.socket], bool]:
    """Send parts, then end the connection."""

    def answer(_: bytes, sock: socket.socket) -> bool:
        for part in parts:
            sock.sendall(part)
        return False

    return answer


def get(transport: HttpTransport, url: str, seconds: float = 5) -> Response:
    return transport.send(Request("GET", url, {}, None, 1000), time.monotonic() + seconds)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
def test_the_body_of_a_redirect_is_cut(transport: HttpTransport, serve: Serve, status: bytes) -> None:
    flood = Drip(b"HTTP/1.1 " + status + b"\r\nLocation: /x\r\n\r\n", b"x" * 100_000, 1000)
    server = serve(flood)
    assert get(transport, server.url(), 60).body == b"x" * DEFAULT.error_bytes
    assert server.is_left()
    assert flood.sent < flood.count
    assert len(server.heads) == 1


def test_the_body_of_a_redirect_is_not_decoded(transport: HttpTransport, serve: Serve) -> None:
    body = b"this is not gzip"
    head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert get(transport, serve(sending(FOUND, head, body)).url()).body == body


@pytest.mark.parametrize(
    "location",
    [b"/\xff\xfe", b"http://[/", b"//[::1", b"http://a:99999999/", b"\x00", b"", b"x" * 60_000, b"https://"],
)
@pytest.mark.parametrize("redirects", [0, 3])
def test_a_redirect_to_nonsense_is_an_error_of_ours(
    transport: HttpTransport, serve: Serve, location: bytes, redirects: int
) -> None:
    server = serve(sending(b"HTTP/1.1 302 Found\r\nLocation: ", location, b"\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(ServerError):
        Exchange(transport, timeout=5).send(
            Request("GET", server.url("/v2/x")), policy=RequestPolicy(redirects=redirects)
        )


@pytest.mark.parametrize("size", [b"-5", b"zz", b"+5", b" ", b"0x5", b"\xb2", b"f" * 40])
def test_a_chunk_of_an_impossible_size_is_an_error_of_ours(
    transport: HttpTransport, serve: Serve, size: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(NetworkError):
        get(transport, serve(sending(head, size, b"\r\nab\r\n")).url())


@pytest.mark.parametrize("length", [b"-5", b"\xb2", b"", b"five"])
def test_a_body_of_an_impossible_length_ends_with_the_connection(
    transport: HttpTransport, serve: Serve, length: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n"
    assert get(transport, serve(sending(head, b"all of it")).url()).body == b"all of it"
    with pytest.raises(ResponseLimitError):
        get(transport, serve(sending(head, b"x" * 1001)).url())


def test_two_lengths_are_an_error_of_ours(transport: HttpTransport, serve: Serve) -> None:
    with pytest.raises(NetworkError):
        get(transport, serve(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!")).url())


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"401 No"])
def test_no_answer_leaves_a_cookie(transport: HttpTransport, serve: Serve, status: bytes) -> None:
    cookies = b'Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d; version=\xb2; port="x; Max-Age=9e99\r\n'
    server = serve(
        sending(
            b"HTTP/1.1 ",
            status,
            b"\r\nLocation: /x\r\nConnection: close\r\nContent-Length: 0\r\n",
            cookies,
            b"\r\n",
        )
    )
    for path in ("/v2/", "/x"):
        get(transport, server.url(path))
    assert len(server.heads) == 2
    assert b"cookie" not in server.heads[1].lower()


def test_a_redirect_through_a_proxy_is_cut_and_not_followed(serve: Serve) -> None:
    head = b"Content-Length: 900000\r\n\r\n"
    proxy = serve(sending(b"HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\n", head, b"x" * 900_000))
    made = HttpTransport(lambda _: context(environ={}), {"HTTP_PROXY": proxy.url("")})
    with closing(made) as transport:
        found = get(transport, "http://notary.test/v2/")
    assert (found.status, found.body) == (302, b"x" * DEFAULT.error_bytes)
    assert [line.split(b"\r\n")[0] for line in proxy.heads] == [b"GET http://notary.test/v2/ HTTP/1.1"]
