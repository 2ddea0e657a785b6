"""A distance: a relay in front of a server that lets every byte arrive later than it was sent.

What it is: one thread on loopback for any number of servers, which counts connections and bytes. What it is
not: a slow line. It delays and does not throttle: however much is sent at once arrives at once, as on a line
that is wide and long, and there is no slow start. Rules:

1. Each direction takes half of the round-trip time; bytes keep their order, and the end of a stream comes
   after them.
2. Opening a connection takes a whole round trip before the client's first byte can leave. The kernel opens
   connections on loopback at once, so what the client sends meanwhile leaves when the round trip is over.
3. So TLS 1.3 and one request on a new connection take three round trips, each further request one.
4. Without a distance, bytes still pass here: every client pays the same tenth of a millisecond.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 256 * 1024
END = b""  # of a stream, as `recv` says it
# select.select, as its timeouts are exact to the microsecond, where epoll counts in milliseconds.
LONG = 0.5


class Delayed:
    """Bytes on their way in one direction, in order, each with the time at which it arrives.

    Args:
        leaving: Before this time nothing leaves (rule 2).
    """

    def __init__(self, leaving: float = 0.0) -> None:
        """Begin with nothing on the way."""
        self._leaving = leaving
        self._way: deque[tuple[float, bytes]] = deque()

    def put(self, now: float, delay: float, data: bytes) -> None:
        """Send bytes now; they arrive `delay` later, and not before those that were sent earlier."""
        arrival = max(now, self._leaving) + delay
        if self._way:
            arrival = max(arrival, self._way[-1][0])
        self._way.append((arrival, data))

    def take(self, now: float) -> list[bytes]:
        """Return what has arrived by now."""
        arrived = []
        while self._way and self._way[0][0] <= now:
            arrived.append(self._way.popleft()[1])
        return arrived

    @property
    def next(self) -> float | None:
        """When the next bytes arrive, or None if none are on the way."""
        return self._way[0][0] if self._way else None


@dataclass
class Traffic:
    """What came by at one server since `forget`."""

    connections: int = 0
    sent: int = 0
    received: int = 0

    def forget(self) -> None:
        """Start counting anew."""
        self.connections = self.sent = self.received = 0


class _Stream:
    """One direction of a connection: from a socket, over the distance, into another."""

    def __init__(self, source: socket.socket, sink: socket.socket, way: Delayed) -> None:
        self.source, self.sink, self.way = source, sink, way
        self.unsent = bytearray()
        self.reading, self.ending, self.done = True, False, False

    def read(self) -> bytes | None:
        """Return what the source has, END if nothing more will come, or None if nothing is there yet."""
        try:
            data = self.source.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            data = END
        self.reading = data != END
        return data

    def deliver(self, now: float) -> None:
        """Give to the sink what has arrived."""
        for data in self.way.take(now):
            self.unsent += data
            self.ending = self.ending or data == END
        try:
            while self.unsent:
                del self.unsent[: self.sink.send(self.unsent)]
        except BlockingIOError:
            return
        except OSError:
            self.unsent.clear()
            self.reading, self.ending = False, True
        if self.ending and not self.done:
            self.done = True
            with suppress(OSError):
                self.sink.shutdown(socket.SHUT_WR)


@dataclass(eq=False)
class Door:
    """Where clients connect in place of a server.

    Attributes:
        port: Of loopback, where the relay listens.
        upstream: The server's port.
    """

    listener: socket.socket
    upstream: int
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def port(self) -> int:
        """The port to connect to."""
        port = self.listener.getsockname()[1]
        assert isinstance(port, int)
        return port


class _Connection:
    """Both directions between a client and a server."""

    def __init__(self, door: Door, client: socket.socket, leaving: float) -> None:
        self.door = door
        server = socket.create_connection(("127.0.0.1", door.upstream))
        for end in (client, server):
            end.settimeout(0)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.up = _Stream(client, server, Delayed(leaving))
        self.down = _Stream(server, client, Delayed())

    @property
    def done(self) -> bool:
        """Whether both directions have ended."""
        return self.up.done and self.down.done

    def close(self) -> None:
        """Close both sockets."""
        self.up.source.close()
        self.up.sink.close()


class Relay:
    """All doors, served by one thread while a `with` block runs.

    Attributes:
        round_trip: The distance in seconds; set it while no client is connected.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Make a relay without doors and without a distance; a test gives it another clock."""
        self.round_trip = 0.0
        self._clock = clock
        self._doors: dict[socket.socket, Door] = {}
        self._connections: list[_Connection] = []
        self._wake, self._bell = socket.socketpair()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def door(self, upstream: int) -> Door:
        """Open a door to a server on this port of loopback, before the relay starts."""
        door = Door(socket.create_server(("127.0.0.1", 0), backlog=512), upstream)
        door.listener.settimeout(0)
        self._doors[door.listener] = door
        return door

    @property
    def connected(self) -> int:
        """How many connections are open, or have not reached the other side's end."""
        return len(self._connections)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and close everything."""
        self._open = False
        self._bell.send(b".")
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Close all sockets."""
        for connection in self._connections:
            connection.close()
        for end in (*self._doors, self._wake, self._bell):
            end.close()

    def _run(self) -> None:
        while self._open:
            self.step()

    def step(self, patience: float = LONG) -> None:
        """Wait until something comes, or arrives, at most this long, and deal with it."""
        streams = [stream for connection in self._connections for stream in (connection.up, connection.down)]
        times = [stream.way.next for stream in streams]
        waits = [max(0.0, time_ - self._clock()) for time_ in times if time_ is not None]
        readable, _, _ = select.select(
            [self._wake, *self._doors, *(stream.source for stream in streams if stream.reading)],
            [stream.sink for stream in streams if stream.unsent],
            [],
            min((patience, *waits)),
        )
        ready = set(readable)
        for door in self._doors.values():
            if door.listener in ready:
                self._accept(door)
        for connection in self._connections:
            self._carry(connection, ready)
        for connection in self._connections:
            if connection.done:
                connection.close()
        self._connections = [connection for connection in self._connections if not connection.done]

    def _accept(self, door: Door) -> None:
        try:
            client, _ = door.listener.accept()
        except OSError:
            return
        door.traffic.connections += 1
        try:
            connection = _Connection(door, client, self._clock() + self.round_trip)
        except OSError:
            client.close()
            return
        self._connections.append(connection)

    def _carry(self, connection: _Connection, ready: set[socket.socket]) -> None:
        now = self._clock()
        for stream in (connection.up, connection.down):
            data = stream.read() if stream.reading and stream.source in ready else None
            if data is not None:
                stream.way.put(now, self.round_trip / 2, data)
                if stream is connection.up:
                    connection.door.traffic.sent += len(data)
                else:
                    connection.door.traffic.received += len(data)
            stream.deliver(now)
