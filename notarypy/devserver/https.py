"""The services over HTTPS, on werkzeug's development server.

What it is: the only module that imports werkzeug; from its requests to ours, and back. What it is not: for
production; whoever reaches the port can fill memory and disk.

Rules:

1. Connections stay open, unless the client says `Connection: close`, or a body was not read to its end.
2. A slow or silent client, even before its TLS handshake, holds up nobody else.
3. `close` returns when no connection and no thread is left.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request as WebRequest
from werkzeug.wrappers import Response as WebResponse

from notarypy.devserver.calls import Refused
from notarypy.errors import Advice, ConfigurationError, NetworkError
from notarypy.remote.http.messages import Request, Response

if TYPE_CHECKING:
    import ssl

Answer = Callable[[Request], Response]

BODY_LIMIT = 512 * 1024 * 1024
IDLE_SECONDS = 120.0
_POLL_SECONDS = 0.05
_JOIN_SECONDS = 5.0
_BODILESS = frozenset({204, 304})
_LOG = logging.getLogger(__name__)


def _respond(answer: Answer, request: WebRequest) -> WebResponse:
    request.max_content_length = BODY_LIMIT
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return _unread(Refused(413, "SIZE_INVALID", "too long", f"the limit is {BODY_LIMIT} bytes"))
    except (HTTPException, OSError):
        return _unread(Refused(400, "UNKNOWN", "the body of the request cannot be read"))
    try:
        return _web_response(answer(_request(request, body)))
    except NetworkError as error:
        raise ConnectionAbortedError(error.message) from error
    except Exception:  # noqa: BLE001 - the last frame of a request: whatever it is, the server goes on
        _LOG.exception("%s %s failed", request.method, request.path)
        return _web_response(Refused(500, "UNKNOWN", "unknown error").response)


def _request(request: WebRequest, body: bytes) -> Request:
    target = request.environ["REQUEST_URI"]
    if not target.startswith("/"):
        absolute = urlsplit(target)
        target = f"{absolute.path}?{absolute.query}" if absolute.query else absolute.path
    url = f"{request.scheme}://{request.host}{target}"
    return Request(request.method, url, dict(request.headers), body or None)


def _unread(refused: Refused) -> WebResponse:
    """Refuse a request, and end the connection: what is left of the body is no next request."""
    return _web_response(refused.response, {"Connection": "close"})


def _web_response(response: Response, more: dict[str, str] | None = None) -> WebResponse:
    headers = {name.title(): value for name, value in response.headers.items()}
    if response.status not in _BODILESS:
        headers.setdefault("Content-Length", str(len(response.body)))
    made = WebResponse(status=response.status, headers={**headers, **(more or {})})
    # Otherwise the answer to a HEAD gets the length of its own empty body.
    made.automatically_set_content_length = False
    made.set_data(response.body)
    return made


class _Handler(WSGIRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "notarypy-devserver"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer a request and leave the connection as it should be (rule 1).

        werkzeug's own closes every connection.
        """
        answer = WebResponse.from_app(self.server.app, self.make_environ(), buffered=True)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection and "connection" not in answer.headers:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status_code not in _BODILESS:
            self.wfile.write(answer.get_data())

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401, ARG002 - werkzeug's
        _LOG.info(message, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - as above
        _LOG.info("%s %s", self.requestline, int(code))


class Server(ThreadedWSGIServer):
    """Listens on one port, with a thread for each connection (rules 2 and 3)."""

    def __init__(self, address: str, port: int, answer: Answer, tls: ssl.SSLContext) -> None:
        """Listen at once, or raise ConfigurationError; `start` answers.

        `answer` may raise a NetworkError to break the connection.
        """
        app = WebRequest.application(partial(_respond, answer))
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        with _listening(address, port) as listener:
            super().__init__(address, port, app, _Handler, fd=listener.fileno())
        self.ssl_context = tls
        # The handshake is left to the connection's own thread (rule 2).
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    def start(self) -> None:
        """Answer requests from now on, in the background."""
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver
        """Give a new connection its thread."""
        serve = self.process_request_thread
        thread = threading.Thread(target=serve, args=(request, client_address), daemon=True)
        with self._lock:
            self._open[request] = thread
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._open[request]

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401, ARG002 - werkzeug's
        """Log as this package does: werkzeug's own logging prints."""
        _LOG.info(message, *args)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as socketserver
        """Log what broke a connection."""
        _LOG.info("a connection broke", exc_info=True)

    def close(self) -> None:
        """Stop listening, end all connections, and wait for their threads (rule 3)."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join(_JOIN_SECONDS)
        self.server_close()
        with self._lock:
            left = dict(self._open)
        for connection, thread in left.items():
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            thread.join(_JOIN_SECONDS)


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.getaddrinfo(address, port, family)  # create_server hides what is wrong with a name
        return socket.create_server((address, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"cannot listen on {address}, port {port}"
        raise ConfigurationError(message, why=why, advice=_advice(error), port=port) from None


def _advice(error: Exception) -> Advice:
    code = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError) or code == errno.EADDRNOTAVAIL:
        return Advice("choose-host")
    if code == errno.EACCES:
        return Advice("choose-high-ports")
    return Advice("choose-free-port")
