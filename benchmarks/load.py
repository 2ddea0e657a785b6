"""A load: requests over kept connections, as fast as they are answered or at a rate of their own.

What it is: one process beside the service, on the same cores, so it spends little: prepared bytes, plain
sockets, one thread, and of an answer the status, the length and how often it says what it has to say. What it
is not: a reader of JSON; who prepares requests looks at one answer closely. It is run as a file by a bare
interpreter, reads one `Plan` and writes one `Answered`, both marshalled. Rules:

1. Without a rate each connection has one request under way, and the next one as soon as it is answered.
2. With a rate requests arrive when they are due, whatever the service does. One that finds no connection free
   waits for one, and its time counts from its arrival: who is slow cannot make others come later.
3. Nothing is pipelined, and connections stay open until the end.
4. An answer that is not 200, or does not say what it has to, ends everything: its time would say nothing.
"""

from __future__ import annotations

import array
import itertools
import marshal
import select
import socket
import ssl
import sys
import time
from collections import deque
from typing import NamedTuple

CHUNK = 256 * 1024
PATIENCE = 60.0


class Request(NamedTuple):
    """The bytes of a request, and what the answer must contain, how many times."""

    data: bytes
    says: bytes
    times: int


class Plan(NamedTuple):
    """What is asked of whom.

    Attributes:
        place: A path of a unix socket, or HOST:PORT.
        authority: The file of the CA that vouches for it, or "": no TLS.
        rate: Requests a second (rule 2), or 0: as fast as they are answered (rule 1).
        seconds: How long requests are begun.
        most: How many are begun at most, or 0: as many as there is time for.
    """

    place: str
    authority: str
    requests: tuple[Request, ...]
    connections: int
    rate: float = 0.0
    seconds: float = PATIENCE
    most: int = 0


class Answered(NamedTuple):
    """What came of it.

    Attributes:
        seconds: From the first request to the last answer.
        cpu: Seconds of a processor that the load itself took.
        times: Seconds that each answer took, as doubles, in the order of the answers.
    """

    seconds: float
    cpu: float
    times: bytes


class UnexpectedAnswerError(Exception):
    """The service did not say what it had to (rule 4)."""


class Reader:
    """Takes answers out of what one connection receives."""

    def __init__(self) -> None:
        """Begin before the first answer."""
        self._received = b""
        self._end = 0  # of the answer under way, once its length is known
        self._body = 0

    def take(self, data: bytes) -> bytes | None:
        """Return the body of the answer that these bytes make whole, or None.

        Raises:
            UnexpectedAnswerError: it is not 200, or of no length, or more than one answer.
        """
        self._received += data
        if not self._end:
            self._body = self._received.find(b"\r\n\r\n") + 4
            if self._body < 4:  # noqa: PLR2004 - not found
                return None
            self._end = self._body + _length(self._received[: self._body])
        if len(self._received) < self._end:
            return None
        if len(self._received) > self._end:
            raise UnexpectedAnswerError(f"more than was asked for: {self._received[self._end :][:200]!r}")
        body = self._received[self._body :]
        self._received, self._end = b"", 0
        return body


def _length(head: bytes) -> int:
    lowered = head.lower()
    _, found, rest = lowered.partition(b"\r\ncontent-length:")
    if not (lowered.startswith(b"http/1.1 200 ") and found):
        raise UnexpectedAnswerError(f"{head[:500]!r}")
    return int(rest[: rest.find(b"\r")])


class Connection:
    """A kept connection, with at most one request under way."""

    def __init__(self, plan: Plan) -> None:
        """Connect."""
        self.socket = _connected(plan)
        self.socket.settimeout(0)
        self._reader = Reader()
        self._request = plan.requests[0]
        self._begin = 0.0

    def fileno(self) -> int:
        """Let `select` wait for it."""
        return self.socket.fileno()

    def ask(self, request: Request, begin: float) -> None:
        """Send a request whose time counts from `begin`."""
        self._request, self._begin = request, begin
        self.socket.sendall(request.data)

    def answered(self) -> float | None:
        """Read what is there; return how long the answer took if it is whole now (rule 4)."""
        while True:
            try:
                data = self.socket.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            if not data:
                raise UnexpectedAnswerError("the connection has ended")
            body = self._reader.take(data)
            if body is not None:
                self._check(body)
                return time.perf_counter() - self._begin

    def _check(self, body: bytes) -> None:
        _, says, times = self._request
        if body.count(says) != times:
            raise UnexpectedAnswerError(f"not {times} times {says!r}: {body[:2000]!r}")


def _connected(plan: Plan) -> socket.socket:
    if plan.place.startswith("/"):
        local = socket.socket(socket.AF_UNIX)
        local.connect(plan.place)
        return local
    host, _, port = plan.place.rpartition(":")
    plain = socket.create_connection((host, int(port)), PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not plan.authority:
        return plain
    return ssl.create_default_context(cafile=plan.authority).wrap_socket(plain, server_hostname=host)


class Arrivals:
    """When requests arrive.

    Args:
        begin: The time of the first.
    """

    def __init__(self, plan: Plan, begin: float) -> None:
        """Read the plan."""
        self._rate, self._begin, self._end = plan.rate, begin, begin + plan.seconds
        self._left = plan.most or sys.maxsize
        self._begun = 0

    def due(self, now: float) -> float | None:
        """Return when the next request arrives, or None if there is none any more."""
        when = self._begin + self._begun / self._rate if self._rate else now
        return when if self._begun < self._left and when < self._end else None

    def begun(self) -> None:
        """Go on to the one after it."""
        self._begun += 1


class Load:
    """The connections, and what is under way on them."""

    def __init__(self, plan: Plan) -> None:
        """Connect."""
        self._requests = itertools.cycle(plan.requests)
        self._free = deque(Connection(plan) for _ in range(plan.connections))
        self._asked: set[Connection] = set()
        self._begin = time.perf_counter()
        self._arrivals = Arrivals(plan, self._begin)
        self.times = array.array("d")

    def step(self) -> bool:
        """Send what is due, wait for answers or for what is due next; return whether anything is left."""
        now = time.perf_counter()
        due = self._arrivals.due(now)
        while self._free and due is not None and due <= now:
            connection = self._free.popleft()
            connection.ask(next(self._requests), due)
            self._asked.add(connection)
            self._arrivals.begun()
            due = self._arrivals.due(now)
        if due is None and not self._asked:
            return False
        self._wait(PATIENCE if due is None or not self._free else max(0.0, due - time.perf_counter()))
        return True

    def close(self) -> None:
        """Close the connections, none of which waits for an answer any more."""
        for connection in self._free:
            connection.socket.close()

    def _wait(self, patience: float) -> None:
        # select.select, as its timeouts are exact to the microsecond, where epoll counts in milliseconds.
        ready, _, _ = select.select(self._asked, (), (), patience)
        if not ready and patience == PATIENCE:
            raise UnexpectedAnswerError(f"no answer for {PATIENCE:.0f} seconds")
        for connection in ready:
            taken = connection.answered()
            if taken is not None:
                self.times.append(taken)
                self._asked.remove(connection)
                self._free.append(connection)


def run(plan: Plan) -> Answered:
    """Ask what is planned, and return how long it took."""
    load, cpu, begin = Load(plan), time.process_time(), time.perf_counter()
    while load.step():
        pass
    load.close()
    return Answered(time.perf_counter() - begin, time.process_time() - cpu, load.times.tobytes())


def packed(plan: Plan) -> bytes:
    """Return a plan as `main` reads it."""
    place, authority, requests, *rest = plan
    return marshal.dumps((place, authority, [tuple(request) for request in requests], *rest))


def main() -> None:
    """Read a plan, and write what came of it."""
    place, authority, requests, *rest = marshal.load(sys.stdin.buffer)  # noqa: S302 - from our own parent
    answered = run(Plan(place, authority, tuple(Request(*request) for request in requests), *rest))
    marshal.dump(tuple(answered), sys.stdout.buffer)


if __name__ == "__main__":
    main()
