"""Google's and Azure's key services on loopback, behind their real names: a proxy that is all of them.

What is asked for at `https://cloudkms.googleapis.com` is answered here, with a certificate of a throw-away
authority: so libraries do what they do in production, their tokens included, and nothing leaves this machine.
Each service says what its documentation says that it does, really signs, and refuses what it does not know.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

import trustme

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Call(NamedTuple):
    """One request, as a service gets it."""

    method: str
    host: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """What is counted."""
        return f"{self.method} {self.host}{self.path}"

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


class Answer(NamedTuple):
    """What a service answers."""

    status: int
    body: object
    headers: Mapping[str, str] = MappingProxyType({})
    pause: float = 0
    drip: float = 0  # between two bytes of the body


@cache
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@cache
def _context(host: str) -> ssl.SSLContext:
    """Return TLS settings for a host, with a certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(host, key_type=trustme.KeyType.ECDSA).configure_cert(context)
    return context


class Cloud:
    """A proxy on loopback that answers for every host that something was registered for.

    Attributes:
        calls: What was asked for, in order.
        strangers: Hosts that were asked for and are nobody's: nothing was sent there.
        overrides: Answers by the line of a call, used up in their order before the service is asked.
    """

    def __init__(self, directory: Path) -> None:
        self.ca = directory / "cloud-ca.pem"
        _authority().cert_pem.write_to_path(str(self.ca))
        self.services: dict[str, Callable[[Call], Answer]] = {}
        self.calls: list[Call] = []
        self.strangers: list[str] = []
        self.overrides: dict[str, list[Answer]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cloud": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def environment(self) -> dict[str, str]:
        """What leads programs here, and keeps libraries from looking for credentials anywhere else."""
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        return {
            "HTTPS_PROXY": proxy,
            "HTTP_PROXY": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "NO_GCE_CHECK": "true",
        }

    def lines(self) -> list[str]:
        """Return what was asked for since the last time."""
        found = [call.line for call in self.calls]
        self.calls.clear()
        return found

    def answer(self, call: Call) -> Answer:
        """Answer one request."""
        self.calls.append(call)
        planned = self.overrides.get(call.line)
        return planned.pop(0) if planned else self.services[call.host](call)


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud
    host = ""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if host not in self.cloud.services:
            self.cloud.strangers.append(host)
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = _context(host).wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):  # whoever does not trust our authority hangs up
            self.close_connection = True
            return
        self.host, self.rfile = host, self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()
        if self.host:
            with suppress(OSError):
                self.connection.close()

    def _serve(self) -> None:
        split = urlsplit(self.path)
        if not self.host:
            self.cloud.strangers.append(split.netloc)
            self.send_error(502)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.cloud.answer(Call(self.command, self.host, split.path, split.query, headers, body))
        time.sleep(answer.pause)
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        with suppress(OSError):
            self.send_response(answer.status)
            usual = {"content-type": "application/json", "content-length": str(len(data))}
            given = {name.lower(): value for name, value in answer.headers.items()}
            for name, value in {**usual, **given}.items():
                self.send_header(name, value)
            self.end_headers()
            for part in (data,) if not answer.drip else (data[i : i + 1] for i in range(len(data))):
                self.wfile.write(part)
                time.sleep(answer.drip)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - as the base says
