"""The transport over requests and urllib3: the only module that imports them.

It is not where policy lives (`transport`); it only moves bytes, and takes care that the libraries add nothing
of their own:

1. TLS contexts are used exactly as they were made: nothing is loaded into them.
2. The environment is read by nobody but `urls.proxy_for`: no netrc, no CA bundle variables, no cookies.
3. Nothing is followed, decoded or repeated.
4. The deadline holds for every byte in either direction, the limits while bytes arrive.
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

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from notarypy.errors import DeadlineError, NetworkError, ResponseLimitError, ServerError
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http import failures, sockets
from notarypy.remote.http.messages import Redaction, Request, Response
from notarypy.remote.http.tls import ContextOf, TlsPlaces
from notarypy.remote.http.urls import host_port, origin, proxy_address, proxy_for

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from urllib3.poolmanager import PoolManager


_CHUNK = 64 * 1024
_POOL_SIZE = 32
_BROKEN = (requests.RequestException, HTTPError, OSError, http.client.HTTPException, ValueError)
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


class _Adapter(HTTPAdapter):
    """Connection pools with our connections and, per host, our TLS contexts."""

    def __init__(self, context: ContextOf) -> None:
        self._context = context
        super().__init__(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:  # noqa: ANN401 - passed on
        """Make or find the pools behind a proxy; TLS to the proxy itself is checked like any other."""
        if proxy not in self.proxy_manager and proxy.startswith("https:"):
            options["proxy_ssl_context"] = self._context(proxy_address(proxy))
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def connect(self, url: str) -> None:
        """Have an idle connection to the server of a URL."""
        pool = self.get_connection_with_tls_context(requests.Request("GET", url).prepare(), verify=True)
        cast("_Pool", pool).connect()

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: bool | str,  # noqa: ARG002, FBT001 - as in the base class
        cert: str | tuple[str, str] | None = None,  # noqa: ARG002 - as in the base class
    ) -> tuple[Any, Any]:
        """Say which pool a request belongs to: its origin, and the TLS context of its host."""
        url = request.url or ""
        key = dict(zip(("scheme", "host", "port"), origin(url), strict=True))
        if key["scheme"] != "https":
            return key, {}
        return key, {"ssl_context": self._context(host_port(url)), "cert_reqs": ssl.CERT_REQUIRED}

    def cert_verify(self, conn: Any, *_: Any) -> None:  # noqa: ANN401 - as in the base class
        """Keep requests from loading its own CA bundle into our context."""
        conn.cert_reqs = ssl.CERT_REQUIRED


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
        self._adapter = _Adapter(self._context)

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
                self._adapter.connect(url)
        except (sockets.DeadlinePassedError, sockets.NotConnectedError, *_BROKEN) as error:
            _LOG.debug("%s: no connection ahead: %s", host_port(url), error)

    def close(self) -> None:
        """Close idle connections."""
        self._adapter.close()

    def _context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._tls(host)
            return self._contexts[host]

    def _exchanged(self, request: Request, host: str, proxy: str | None) -> Response:
        asked = requests.Request(request.method, request.url, dict(request.headers), data=request.body)
        # No session: it reads the environment, keeps cookies, reads a redirect's body whole, and follows it.
        answer = self._adapter.send(
            asked.prepare(),
            stream=True,
            timeout=sockets.remaining(),
            proxies={urlsplit(request.url).scheme: proxy} if proxy else {},
        )
        try:
            headers = {name.lower(): answer.headers[name] for name in answer.headers}
            content, size = _content(answer, headers, request, host, self._limits.error_bytes)
        finally:
            # After a complete body the connection is back in its pool already, and this closes nothing.
            answer.close()
        shown = request.secrets.without(request.url.partition("?")[0])
        _LOG.info("%s %s: %d, %d bytes", request.method, shown, answer.status_code, size)
        return Response(answer.status_code, headers, content)


def _content(
    answer: requests.Response, headers: Mapping[str, str], request: Request, host: str, error_limit: int
) -> tuple[bytes, int]:
    """Read the body: all of a success within its limit, the beginning of anything else; and its size."""
    success = answer.status_code < HTTPStatus.MULTIPLE_CHOICES
    if success and headers.get("content-encoding", "identity").lower() != "identity":
        raise ServerError(f"{host} sent an encoded body though none was asked for", host=host)
    limit = request.limit if success else error_limit
    parts: list[bytes] = []
    take: Callable[[bytes], object] = parts.append
    if success and request.sink is not None:
        take = request.sink.begin(answer.status_code, headers)
    size = 0
    while size <= limit:
        part = answer.raw.read(min(_CHUNK, limit + 1 - size), decode_content=False)
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
