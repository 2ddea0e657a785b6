from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from notarypy.remote.http import sockets

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_a_dead_address_does_not_hide_a_living_one(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        refused = dead.getsockname()
    resolve_to(monkeypatch, refused, listener.getsockname())
    with sockets.until(time.monotonic() + 5), sockets.connect("x", 1) as sock:
        assert sock.getpeername() == listener.getsockname()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_name_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    with sockets.until(time.monotonic() + 5), pytest.raises(OSError, match="no address"):
        sockets.connect("x", 1)


def test_no_connection_after_the_deadline(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    resolve_to(monkeypatch, listener.getsockname())
    with sockets.until(time.monotonic() - 1), pytest.raises(sockets.DeadlinePassedError):
        sockets.connect("x", 1)


def test_deadlines_end_with_their_block() -> None:
    with sockets.until(time.monotonic() + 5):
        assert 4 < sockets.remaining() <= 5
    assert sockets.remaining() == float("inf")


@pytest.mark.parametrize("error", [ssl.SSLEOFError, ssl.SSLZeroReturnError])
def test_a_server_that_stops_listening_may_still_have_answered(
    monkeypatch: pytest.MonkeyPatch, error: type[ssl.SSLError]
) -> None:
    def sendall(*_: object) -> None:
        raise error(8, "EOF occurred in violation of protocol")

    monkeypatch.setattr(socket.socket, "sendall", sendall)
    with sockets.until(time.monotonic() + 5), socket.socket() as sock, pytest.raises(BrokenPipeError):
        sockets.send(sock, b"x")
