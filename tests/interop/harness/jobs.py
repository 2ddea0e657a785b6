"""What GitHub is for its jobs: on request it says who a job is, to whoever has the token for that."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

REQUEST_TOKEN = "request-token-of-the-job"


@contextlib.contextmanager
def running(authority: trustme.CA, identity: Callable[[str], str]) -> Iterator[dict[str, str]]:
    """Run it, and yield what a job has in its environment; `identity` is given the audience."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(made)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            allowed = self.headers["Authorization"] == f"Bearer {REQUEST_TOKEN}"
            audience = parse_qs(urlsplit(self.path).query)["audience"][0]
            body = json.dumps({"value": identity(audience)} if allowed else {}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = made.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield {
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"https://127.0.0.1:{server.server_port}/token?api-version=2.0",
            }
        finally:
            server.shutdown()
            thread.join()
