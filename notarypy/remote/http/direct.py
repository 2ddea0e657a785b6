"""Direct connections over the standard library's HTTP client, kept open between requests.

What it is: which connection a request goes over, and what becomes of it afterwards. What it is not: a reader
of HTTP (`http.client` is), deadlines and limits (`sockets`), or the way through a proxy (`proxied`).

Rules:

1. A TLS context is used exactly as it was made.
2. A connection waits for the next request only if the answer before was read to its end, and is used only
   while the server has sent nothing since but what belongs to TLS itself.
3. Whoever takes no more of a request may have answered it: the answer is read all the same.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from notarypy.remote.http import sockets
from notarypy.remote.http.urls import host_port, origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from notarypy.remote.http.messages import Request
    from notarypy.remote.http.sockets import RawAnswer
    from notarypy.remote.http.tls import ContextOf

    Origin = tuple[str, str, int]

_KEPT = 32
_SAFE = "%/:?#[]@!$&'()+*,;=~"  # what stands in a URL as it is; the rest is escaped


class _Connection(sockets.DeadlineConnection):
    """A connection to the server itself."""

    def __init__(self, place: Origin, context: ssl.SSLContext | None) -> None:
        scheme, host, port = place
        super().__init__(host, port)
        self.default_port = 443 if scheme == "https" else 80  # Host is said without it
        self._context = context

    def connect(self) -> None:
        try:
            self.sock = sockets.connect(self.host, self.port)
            if self._context is not None:
                self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host.rstrip("."))
        except (OSError, ValueError) as error:
            self.close()
            raise sockets.NotConnectedError from error


class DirectConnections:
    """Connections by origin; for several threads. `context` is asked for the TLS context of a host."""

    def __init__(self, context: ContextOf) -> None:
        """Open nothing yet."""
        self._context = context
        self._idle: dict[Origin, list[_Connection]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def exchange(self, request: Request) -> Iterator[RawAnswer]:
        """Send a request; the value is its answer, whose body is read inside (rules 2 and 3)."""
        place = origin(request.url)
        connection = self._connection(place, request.url)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(request.method, target(request.url), request.body, headers(request))
            answer = connection.getresponse()
            yield sockets.answer_of(answer)
            if answer.isclosed() and connection.sock is not None:
                self._keep(place, connection)
                return
        except BaseException:
            connection.close()
            raise
        connection.close()
        answer.close()

    def connect(self, url: str) -> None:
        """Have one idle connection to the server of a URL."""
        place = origin(url)
        connection = self._connection(place, url)
        if connection.sock is None:
            connection.connect()
        self._keep(place, connection)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in (one for waiting in idle.values() for one in waiting):
            connection.close()

    def _connection(self, place: Origin, url: str) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle[place].pop() if self._idle.get(place) else None
            if connection is None:
                return _Connection(place, self._context(host_port(url)) if place[0] == "https" else None)
            if sockets.is_quiet(connection.sock):
                return connection
            connection.close()

    def _keep(self, place: Origin, connection: _Connection) -> None:
        with self._lock:
            waiting = self._idle.pop(place, [])
            self._idle[place] = [*waiting, connection]  # the latest origin is the last
            gone = self._idle[place][:-_KEPT]
            self._idle[place] = self._idle[place][-_KEPT:]
            if len(self._idle) > _KEPT:
                gone += self._idle.pop(next(iter(self._idle)))
        for one in gone:
            one.close()


def target(url: str) -> str:
    """Return what the request line names: path and query."""
    parts = urlsplit(url)
    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)


def headers(request: Request) -> dict[str, str]:
    """Return the headers of a request, with the length of a body that knows it."""
    body = request.body
    known = {} if body is None or isinstance(body, bytes) else {"Content-Length": str(len(body))}
    return {**request.headers, **known}
