"""Sockets under one deadline, for the HTTP implementation.

A socket's own timeout starts anew with every call, so a server that sends a byte now and then would never
meet it. Here each single send and receive gets only what is left of the whole request's time, and the bytes
of an answer's head are counted. Name look-up is the one step that only the system's resolver can bound.

A request that may take long for its size has a second limit, for each of these steps alone: a server that
falls silent is not waited for.

The deadline belongs to the thread that sends: nothing between `until` and the socket has to hand it on.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

CONNECT_SECONDS = 10.0
_RECORD = 16 * 1024
_BOUNDS: ContextVar[tuple[float, float, int]] = ContextVar(
    "bounds", default=(math.inf, math.inf, DEFAULT.header_bytes)
)


class DeadlinePassedError(Exception):
    """The whole request took too long."""


class HeaderFloodError(Exception):
    """The head of the answer is longer than it may be."""


class NotConnectedError(Exception):
    """No connection was made; the reason is the cause."""


@contextmanager
def until(
    deadline: float, stall: float | None = None, header_bytes: int = DEFAULT.header_bytes
) -> Iterator[None]:
    """Hold all sockets of this thread to a deadline, each step to so many seconds, heads to so many bytes."""
    token = _BOUNDS.set((deadline, math.inf if stall is None else stall, header_bytes))
    try:
        yield
    finally:
        _BOUNDS.reset(token)


def remaining() -> float:
    """Return the seconds that are left for the next step.

    Raises:
        DeadlinePassedError: There are none.
    """
    deadline, stall, _ = _BOUNDS.get()
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlinePassedError
    return min(left, stall)


def connect(host: str, port: int) -> socket.socket:
    """Connect to the first address that answers; a dead one costs only its share of the time.

    Raises:
        OSError: No address answers.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        share = remaining() / (len(addresses) - index)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(CONNECT_SECONDS, share))
            sock.connect(address)
            sock.settimeout(remaining())
        except OSError as error:
            sock.close()
            failure = error
        except DeadlinePassedError:
            sock.close()
            raise
        else:
            return sock
    raise failure


def send(sock: socket.socket, data: bytes) -> None:
    """Send everything, one TLS record at a time, under the deadline.

    Raises:
        DeadlinePassedError: The other side does not take it in time.
        BrokenPipeError: The other side takes no more; its answer may be there all the same.
    """
    import ssl

    view = memoryview(data)
    for start in range(0, len(view), _RECORD):
        sock.settimeout(remaining())
        try:
            sock.sendall(view[start : start + _RECORD])
        except TimeoutError:
            raise DeadlinePassedError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise BrokenPipeError from error


class _Reader(io.RawIOBase):
    """The receiving side of a socket: deadline on every read, and a count while the head is read."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._head: int | None = 0

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def end_of_head(self) -> None:
        """Stop counting: what follows has its own limit."""
        self._head = None

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what there is."""
        if self._head is not None and self._head > _BOUNDS.get()[2]:
            raise HeaderFloodError
        self._sock.settimeout(remaining())
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            raise DeadlinePassedError from None
        if self._head is not None:
            self._head += count or 0
        return count

    def close(self) -> None:
        """Give the socket back to its connection."""
        self._raw.close()
        super().close()


class LimitedResponse(http.client.HTTPResponse):
    """The standard library's HTTP answer, read under deadline and header limit."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *args, **options)
        self._reader = _Reader(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        self._reader.end_of_head()
