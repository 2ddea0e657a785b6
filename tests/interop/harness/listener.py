"""One way to serve HTTP from a test: threads, loopback, TLS with a throw-away CA, connections counted."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


class Handler(BaseHTTPRequestHandler):
    """An HTTP/1.1 handler with keep-alive that prints nothing."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: object) -> None:
        """Stay silent: a test that fails shows what it recorded."""

    def body(self) -> bytes:
        """Read the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers or ()}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self) -> None:
        """Close the connection without another byte."""
        self.close_connection = True
        self.connection.close()


class Listener(ThreadingHTTPServer):
    """The server behind `listening`."""

    daemon_threads = True
    connections = 0

    def __init__(self, handler: type[Handler], context: ssl.SSLContext | None, port: int = 0) -> None:
        self._context, self._open = context, set[socket.socket]()
        super().__init__(("127.0.0.1", port), handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; the TLS handshake waits for the connection's own thread."""
        plain, address = super().get_request()
        self.connections += 1
        self._open.add(plain)
        if self._context is None:
            return plain, address
        wrapped = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._open.discard(plain)
        self._open.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """End a connection that is done."""
        super().shutdown_request(request)
        if isinstance(request, socket.socket):
            self._open.discard(request)

    def cut(self) -> None:
        """End all connections, whatever goes on over them."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Let clients that go away, or refuse our certificate, do so quietly."""


@contextlib.contextmanager
def listening(handler: type[Handler], context: ssl.SSLContext | None, port: int = 0) -> Iterator[Listener]:
    """Serve on a loopback port (0: a free one) until the block ends."""
    with Listener(handler, context, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
