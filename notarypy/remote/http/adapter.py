"""The transport over urllib3 and requests: the only module that imports them.

It is not where policy lives (`transport`); it only moves bytes, and takes care that the libraries add nothing
of their own:

1. TLS contexts are used exactly as they were made: nothing is loaded into them.
2. The environment is read by nobody but `urls.proxy_for`: no netrc, no CA bundle variables, no cookies.
3. Nothing is followed, decoded or repeated.
4. The deadline holds for every byte in either direction, the limits while bytes arrive.
5. Pools are those of urllib3, and every request goes through them in one way. requests, which adds nothing to
   a direct connection and takes a sixth of a small command's time to load, makes those behind a proxy.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import PoolManager

from notarypy.errors import DeadlineError, NetworkError, ResponseLimitError, ServerError
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http import failures, sockets
from notarypy.remote.http.messages import Redaction, Request, Response
from notarypy.remote.http.tls import ContextOf, TlsPlaces
from notarypy.remote.http.urls import host_port, origin, proxy_address, proxy_for

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from requests.adapters import HTTPAdapter
    from urllib3.response import BaseHTTPResponse


_CHUNK = 64 * 1024
_POOL_SIZE = 32
_BROKEN = (HTTPError, OSError, http.client.HTTPException, ValueError)
_LOG = logging.getLogger(__name__)


class _DeadlineConnection(HTTPConnection):
    """A connection whose every step keeps the deadline."""

    response_class = sockets.LimitedResponse

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise sockets.NotConnectedError from error

    def _new_conn(self) -> socket.socket:
        return sockets.connect(self._dns_host, self.port)

    def send(self, data: Any) -> None:  # noqa: ANN401 - the base class takes more; only bytes come here
        if self.sock is None:
            self.connect()
        sockets.send(self.sock, data)


class _DeadlineTlsConnection(_DeadlineConnection, HTTPSConnection):
    @property
    def is_connected(self) -> bool:
        """Whether a connection that waited can be used: session tickets that came meanwhile do not end it."""
        return super().is_connected or sockets.is_quiet(self.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection

    def connect(self) -> None:
        """Have one idle connection that is open."""
        connection = self._get_conn()
        try:
            if getattr(connection, "sock", None) is None:
                connection.connect()
        except BaseException:
            connection.close()  # it may hold a socket that TLS did not come about on
            raise
        finally:
            self._put_conn(connection)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _DeadlineTlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Pools:
    """Connection pools with our connections and, per host, our TLS contexts."""

    def __init__(self, context: ContextOf) -> None:
        self._context = context
        self._direct = _ours(PoolManager(_POOL_SIZE, maxsize=_POOL_SIZE))
        self._adapter: HTTPAdapter | None = None
        self._lock = threading.Lock()

    def to(self, url: str, proxy: str | None) -> _Pool:
        """Return the pool of a URL's origin, with the TLS context of its host."""
        scheme, host, port = origin(url)
        options: dict[str, Any] = {}
        if scheme == "https":
            options = {"ssl_context": self._context(host_port(url)), "cert_reqs": ssl.CERT_REQUIRED}
        manager = self._behind(proxy) if proxy else self._direct
        return cast("_Pool", manager.connection_from_host(host, port, scheme, pool_kwargs=options))

    def _behind(self, proxy: str) -> PoolManager:
        """Make or find the pools behind a proxy; TLS to the proxy itself is checked like any other."""
        from requests.adapters import HTTPAdapter  # rule 5

        options = (
            {"proxy_ssl_context": self._context(proxy_address(proxy))} if proxy.startswith("https:") else {}
        )
        with self._lock:
            self._adapter = self._adapter or HTTPAdapter(_POOL_SIZE, _POOL_SIZE)
            return _ours(self._adapter.proxy_manager_for(proxy, **options))

    def close(self) -> None:
        """Close idle connections."""
        self._direct.clear()
        if self._adapter is not None:
            self._adapter.close()


def _ours(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = _POOLS
    return manager


class RequestsTransport:
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
        self._pools = _Pools(self._context)

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
                self._pools.to(url, None).connect()
        except (sockets.DeadlinePassedError, sockets.NotConnectedError, *_BROKEN) as error:
            _LOG.debug("%s: no connection ahead: %s", host_port(url), error)

    def close(self) -> None:
        """Close idle connections."""
        self._pools.close()

    def _context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._tls(host)
            return self._contexts[host]

    def _exchanged(self, request: Request, host: str, proxy: str | None) -> Response:
        answer = self._pools.to(request.url, proxy).urlopen(
            request.method,
            _target(request.url, proxied=proxy is not None),
            request.body,
            _headers(request),
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=sockets.remaining(),
            preload_content=False,
            decode_content=False,
        )
        try:
            headers = {name.lower(): answer.headers[name] for name in answer.headers}
            content, size = _content(answer, headers, request, host, self._limits.error_bytes)
        finally:
            # After a complete body the connection is back in its pool already, and this closes nothing.
            answer.close()
            answer.release_conn()
        shown = request.secrets.without(request.url.partition("?")[0])
        _LOG.info("%s %s: %d, %d bytes", request.method, shown, answer.status, size)
        return Response(answer.status, headers, content)


def _target(url: str, *, proxied: bool) -> str:
    """Return what the request line names: a path, and to a proxy that passes on http the whole URL."""
    parts = urlsplit(url)
    if proxied and parts.scheme == "http":
        return parts._replace(fragment="").geturl()
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(request: Request) -> dict[str, str]:
    """Return the headers of a request, with the length of a body that knows it."""
    body = request.body
    known = {} if body is None or isinstance(body, bytes) else {"Content-Length": str(len(body))}
    return {**request.headers, **known}


def _content(
    answer: BaseHTTPResponse, headers: Mapping[str, str], request: Request, host: str, error_limit: int
) -> tuple[bytes, int]:
    """Read the body: all of a success within its limit, the beginning of anything else; and its size."""
    success = answer.status < HTTPStatus.MULTIPLE_CHOICES
    if success and headers.get("content-encoding", "identity").lower() != "identity":
        raise ServerError(f"{host} sent an encoded body though none was asked for", host=host)
    limit = request.limit if success else error_limit
    parts: list[bytes] = []
    take: Callable[[bytes], object] = parts.append
    if success and request.sink is not None:
        take = request.sink.begin(answer.status, headers)
    size = 0
    while size <= limit:
        part = answer.read(min(_CHUNK, limit + 1 - size), decode_content=False)
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
            return failures.lost(host, cause)
    for cause in chain:
        if isinstance(cause, http.client.HTTPException):
            why = type(cause).__name__
            return failures.NotHttpError(
                f"{host} sent something that is not HTTP", why=why, host=host, reason="garbled"
            )
    return failures.lost(host, chain[-1])
