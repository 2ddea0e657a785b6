"""The relay, with a clock that moves only when the test says so."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from benchmarks.relay import Delayed, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 5


def test_bytes_arrive_in_order_after_the_delay() -> None:
    way = Delayed()
    way.put(1.0, 0.5, b"a")
    way.put(1.2, 0.5, b"b")
    assert way.next == 1.5
    assert way.take(1.4) == []
    assert way.take(1.5) == [b"a"]
    assert way.take(9.0) == [b"b"]
    assert way.next is None


def test_nothing_leaves_before_the_connection_is_open() -> None:
    way = Delayed(leaving=2.0)
    way.put(1.0, 0.5, b"early")
    way.put(3.0, 0.5, b"late")
    assert way.take(2.4) == []
    assert way.take(2.5) == [b"early"]
    assert way.take(3.5) == [b"late"]


def test_a_shorter_delay_does_not_overtake() -> None:
    way = Delayed()
    way.put(1.0, 2.0, b"a")
    way.put(1.1, 0.0, b"b")
    assert way.take(2.9) == []
    assert way.take(3.0) == [b"a", b"b"]


class Line:
    """A client and a server with the relay between them, and its clock."""

    def __init__(self, round_trip: float) -> None:
        self.now = 0.0
        self.relay = Relay(lambda: self.now)
        self.relay.round_trip = round_trip
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.door = self.relay.door(self.listener.getsockname()[1])
        self.client = socket.create_connection(("127.0.0.1", self.door.port))
        self.relay.step(10)  # it accepts, and connects
        self.server, _ = self.listener.accept()
        for end in (self.client, self.server):
            end.settimeout(0)

    def at(self, now: float) -> None:
        """Let it be that late, and the relay do what it has to do by then."""
        self.now = now
        for _ in range(STEPS):
            self.relay.step(0.005)

    def close(self) -> None:
        """Close everything."""
        for end in (self.client, self.server, self.listener):
            end.close()
        self.relay.close()


def received(end: socket.socket) -> bytes | None:
    """Return what has come, or None if nothing has."""
    try:
        return end.recv(100)
    except BlockingIOError:
        return None


@pytest.fixture
def near() -> Iterator[Line]:
    with contextlib.closing(Line(0.0)) as line:
        yield line


@pytest.fixture
def far() -> Iterator[Line]:
    with contextlib.closing(Line(1.0)) as line:
        yield line


def test_the_first_bytes_wait_for_the_connection_and_answers_do_not(far: Line) -> None:
    far.client.sendall(b"hello")
    far.at(0.0)
    far.at(1.49)
    assert received(far.server) is None
    far.at(1.5)
    assert received(far.server) == b"hello"
    far.server.sendall(b"and to you")
    far.at(1.5)
    far.at(1.99)
    assert received(far.client) is None
    far.at(2.0)
    assert received(far.client) == b"and to you"


def test_a_request_on_an_open_connection_takes_one_round_trip(far: Line) -> None:
    far.at(5.0)
    far.client.sendall(b"ask")
    far.at(5.0)
    far.at(5.5)
    assert received(far.server) == b"ask"
    far.server.sendall(b"answer")
    far.at(5.5)
    far.at(5.99)
    assert received(far.client) is None
    far.at(6.0)
    assert received(far.client) == b"answer"


def test_the_end_of_a_stream_comes_after_its_bytes_and_no_earlier(far: Line) -> None:
    far.client.sendall(b"last words")
    far.client.shutdown(socket.SHUT_WR)
    far.at(0.0)
    far.at(1.5)
    assert received(far.server) == b"last words"
    assert received(far.server) == b""
    far.server.sendall(b"bye")
    far.server.close()
    far.at(1.5)
    assert far.relay.connected == 1
    far.at(2.0)
    assert received(far.client) == b"bye"
    assert received(far.client) == b""
    assert far.relay.connected == 0


def test_without_a_distance_bytes_pass_at_once(near: Line) -> None:
    near.client.sendall(b"hello")
    near.at(0.0)
    assert received(near.server) == b"hello"


def test_much_arrives_whole_and_is_counted(near: Line) -> None:
    sent, got = bytes(range(256)) * 8192, bytearray()
    near.client.settimeout(10)
    left = memoryview(sent)
    while len(got) < len(sent):
        with contextlib.suppress(BlockingIOError):
            near.client.settimeout(0)
            left = left[near.client.send(left) :]
        near.relay.step(0.001)
        with contextlib.suppress(BlockingIOError):
            got += near.server.recv(1 << 16)
    assert bytes(got) == sent
    traffic = near.door.traffic
    assert (traffic.connections, traffic.sent, traffic.received) == (1, len(sent), 0)
    traffic.forget()
    assert (traffic.connections, traffic.sent, traffic.received) == (0, 0, 0)


def test_a_server_that_is_gone_ends_the_connection() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay()
    door = relay.door(listener.getsockname()[1])
    listener.close()
    with relay, socket.create_connection(("127.0.0.1", door.port), timeout=10) as client:
        assert client.recv(1) == b""
