"""Connections through a proxy, over requests and urllib3: the only module that imports them.

What it is: pools behind proxies, whose connections keep our deadlines and limits. What it is not: which proxy
is in between (`urls`), or direct connections (`adapter`).

Rules:

1. TLS contexts are used exactly as they were made, for the server and for the proxy: nothing is loaded into
   them.
2. Nothing is followed, decoded or repeated; of the environment nothing is read.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from notarypy.remote.http import sockets
from notarypy.remote.http.urls import host_port, origin, proxy_address, target

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from notarypy.remote.http.messages import Request
    from notarypy.remote.http.sockets import RawAnswer
    from notarypy.remote.http.tls import ContextOf

_POOL_SIZE = 32


class _Connection(sockets.DeadlineConnection, HTTPConnection):
    """A connection to a proxy, or through it."""

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise sockets.NotConnectedError from error

    def _new_conn(self) -> socket.socket:
        return sockets.connect(self._dns_host, self.port)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class ProxiedConnections:
    """Connections by proxy and origin; for several threads."""

    def __init__(self, context: ContextOf) -> None:
        """Open nothing yet; `context` is asked for the TLS context of a host or a proxy."""
        self._context, self._lock = context, threading.Lock()
        self._adapter = HTTPAdapter(_POOL_SIZE, _POOL_SIZE)

    @contextmanager
    def exchange(self, request: Request, proxy: str) -> Iterator[RawAnswer]:
        """Send a request; the value is its answer, whose body is read inside."""
        try:
            answer = self._pool(request.url, proxy).urlopen(
                request.method,
                _target(request.url),
                request.body,
                request.sent_headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=sockets.remaining(),
                preload_content=False,
                decode_content=False,
            )
            try:
                named = {name.lower(): answer.headers[name] for name in answer.headers}
                yield sockets.RawAnswer(answer.status, named, answer.read)
            finally:
                # After a complete body the connection is back in its pool already, and this closes nothing.
                answer.close()
                answer.release_conn()
        except HTTPError as error:
            raise OSError(type(error).__name__) from error

    def close(self) -> None:
        """Close idle connections."""
        self._adapter.close()

    def _pool(self, url: str, proxy: str) -> HTTPConnectionPool:
        """Return the pool of a URL's origin behind a proxy."""
        scheme, host, port = origin(url)
        options: dict[str, Any] = {}
        if scheme == "https":
            options = {"ssl_context": self._context(host_port(url)), "cert_reqs": ssl.CERT_REQUIRED}
        to_proxy = (
            {"proxy_ssl_context": self._context(proxy_address(proxy))} if proxy.startswith("https:") else {}
        )
        with self._lock:
            manager = self._adapter.proxy_manager_for(proxy, **to_proxy)
            manager.pool_classes_by_scheme = _POOLS
        pool: HTTPConnectionPool = manager.connection_from_host(host, port, scheme, pool_kwargs=options)
        return pool


def _target(url: str) -> str:
    """Return what the request line names: a path, and to a proxy that passes on http the whole URL."""
    parts = urlsplit(url)
    return target(url) if parts.scheme == "https" else parts._replace(fragment="").geturl()
