"""The transport of bytes: every request goes this way, over a direct connection or through a proxy.

What it is: the connection that a request goes over, and what becomes of it afterwards. What it is not: policy
(`transport`), a reader of HTTP (`http.client` is), deadlines and limits (`sockets`), or the way through a
proxy (`proxied`).

Rules:

1. The environment is read by nobody but `urls.proxy_for`: no netrc, no CA bundle variables, no cookies.
2. Nothing is followed, decoded or repeated.
3. The deadline holds for every byte in either direction, the limits while bytes arrive.
4. A direct connection needs the standard library alone. requests and urllib3, a third of a small command's
   work to load, are there for the way through a proxy (`proxied`).
5. A TLS context is used exactly as it was made.
6. A connection waits for the next request only if the answer before was read to its end, and is used only
   while the server has sent nothing since but what belongs to TLS itself.
7. Whoever takes no more of a request may have answered it: the answer is read all the same.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from notarypy.errors import DeadlineError, NetworkError, ResponseLimitError, ServerError
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http import failures, sockets
from notarypy.remote.http.messages import Redaction, Request, Response
from notarypy.remote.http.tls import ContextOf, TlsPlaces
from notarypy.remote.http.urls import host_port, origin, proxy_address, proxy_for, target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from notarypy.remote.http.proxied import ProxiedConnections
    from notarypy.remote.http.sockets import RawAnswer

    Origin = tuple[str, str, int]

_CHUNK = 64 * 1024
_BROKEN = (OSError, http.client.HTTPException, ValueError)
_LOG = logging.getLogger(__name__)


class HttpTransport:
    """A keep-alive transport for several hosts and threads.

    `tls` is asked once for a host, and `places` where it looked, for error texts. Of `environ` only
    HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read, of `limits` those of headers and of errors.
    """

    def __init__(
        self,
        tls: ContextOf,
        environ: Mapping[str, str],
        places: Callable[[str], TlsPlaces] = lambda _: TlsPlaces(),
        limits: Limits = DEFAULT,
    ) -> None:
        self._tls, self._places = tls, places
        self._environ, self._limits = dict(environ), limits
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._direct = DirectConnections(self._context)
        self._proxied: ProxiedConnections | None = None

    def send(self, request: Request, deadline: float) -> Response:
        """See `Transport.send`."""
        host = host_port(request.url)
        proxy = proxy_for(request.url, self._environ)
        started = time.monotonic()
        try:
            with sockets.until(deadline, request.stall, self._limits.header_bytes):
                return self._exchanged(request, host, proxy)
        except sockets.DeadlinePassedError:
            seconds = time.monotonic() - started
            raise DeadlineError(
                f"{host} took too long", why=f"gave up after {seconds:.1f} seconds", host=host
            ) from None
        except sockets.HeaderFloodError:
            raise ResponseLimitError(
                f"{host} sent more than the limit of {self._limits.header_bytes} bytes of headers", host=host
            ) from None
        except sockets.NotConnectedError as error:
            via = proxy_address(proxy) if proxy else ""
            cause, secrets = error.__cause__ or error, Redaction()
            secrets.note_url(proxy or "")
            raise sockets.not_connected(host, cause, via, self._places(host), secrets) from None
        except _BROKEN as error:
            raise _broken(host, error, self._places) from None

    def connect(self, url: str, deadline: float) -> None:
        """See `Connecting.connect`; the way through a proxy is made by a request alone."""
        if proxy_for(url, self._environ):
            return
        try:
            with sockets.until(deadline):
                self._direct.connect(url)
        except (sockets.DeadlinePassedError, sockets.NotConnectedError, *_BROKEN) as error:
            _LOG.debug("%s: no connection ahead: %s", host_port(url), error)

    def close(self) -> None:
        """Close idle connections."""
        self._direct.close()
        if self._proxied is not None:
            self._proxied.close()

    def _context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._tls(host)
            return self._contexts[host]

    def _exchange(self, request: Request, proxy: str | None) -> AbstractContextManager[RawAnswer]:
        if not proxy:
            return self._direct.exchange(request)
        from notarypy.remote.http.proxied import ProxiedConnections  # rule 4

        with self._lock:
            self._proxied = self._proxied or ProxiedConnections(self._context)
        return self._proxied.exchange(request, proxy)

    def _exchanged(self, request: Request, host: str, proxy: str | None) -> Response:
        with self._exchange(request, proxy) as answer:
            content, size = _content(answer, request, host, self._limits.error_bytes)
        shown = request.secrets.without(request.url.partition("?")[0])
        _LOG.info("%s %s: %d, %d bytes", request.method, shown, answer.status, size)
        return Response(answer.status, answer.headers, content)


def _content(answer: RawAnswer, request: Request, host: str, error_limit: int) -> tuple[bytes, int]:
    """Read the body: all of a success within its limit, the beginning of anything else; and its size."""
    success = answer.status < HTTPStatus.MULTIPLE_CHOICES
    if success and answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise ServerError(f"{host} sent an encoded body though none was asked for", host=host)
    limit = request.limit if success else error_limit
    parts: list[bytes] = []
    take: Callable[[bytes], object] = parts.append
    if success and request.sink is not None:
        take = request.sink.begin(answer.status, answer.headers)
    size = 0
    while size <= limit:
        part = answer.read(min(_CHUNK, limit + 1 - size))
        if not part:
            return b"".join(parts), size
        size += len(part)
        if size <= limit or not success:
            take(part)
    if success:
        raise ResponseLimitError(f"{host} sent more than the limit of {limit} bytes", host=host, limit=limit)
    return b"".join(parts)[:limit], limit


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it comes from; the libraries wrap some only as an argument."""
    found = [error]
    for link in found:
        yield link
        inner = (link.__cause__, link.__context__, *link.args)
        found += [cause for cause in inner if isinstance(cause, BaseException) and cause not in found]


def _broken(host: str, error: BaseException, places: Callable[[str], TlsPlaces]) -> NetworkError:
    chain = list(_causes(error))
    for cause in chain:
        if sockets.is_tls_failure(cause):
            return sockets.tls_failed(host, cause, places(host))
        if isinstance(cause, ConnectionError | http.client.IncompleteRead):
            return failures.lost(host, cause, answered=isinstance(cause, http.client.IncompleteRead))
    for cause in chain:
        if isinstance(cause, http.client.HTTPException):
            why = type(cause).__name__
            return failures.NotHttpError(
                f"{host} sent something that is not HTTP", why=why, host=host, reason="garbled"
            )
    return failures.lost(host, chain[-1])


_KEPT = 32


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
        """Send a request; the value is its answer, whose body is read inside (rules 6 and 7)."""
        place = origin(request.url)
        connection = self._connection(place, request.url)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(request.method, target(request.url), request.body, request.sent_headers)
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
