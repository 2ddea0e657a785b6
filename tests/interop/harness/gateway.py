"""A reverse proxy in front of a real server: counts what passes, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import enum
import http.client
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from interop.harness import listener, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Upload(enum.Enum):
    """What becomes of a POST."""

    FORWARD = "passed on"
    CUT = "passed on, but the connection ends before the answer"
    SWALLOW = "read, then the connection ends; the server never sees it"
    DROP = "answered with 200; the server never sees it"
    EMPTY = "replaced by an empty update, and the server's 200 passed back"


@dataclass(frozen=True)
class Seen:
    """One request that came by, with the answer that went back (0: none)."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int


@dataclass
class Gateway:
    """The proxy's settings, changed while it runs, and its records.

    `swallow` tells by method and path which requests the server never sees.
    """

    endpoint: services.Endpoint
    server: listener.Listener
    upload: Upload = Upload.FORWARD
    rewrite: Callable[[str, bytes], bytes] = lambda _path, body: body
    swallow: Callable[[str, str], bool] = lambda _method, _path: False
    seen: list[Seen] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How many connections clients opened since `forget`."""
        return self.server.connections

    def forget(self) -> None:
        """Start counting anew."""
        self.seen.clear()
        self.server.connections = 0

    def requests(self, method: str) -> list[str]:
        """Return the last path segments asked for with this method, in order, hashes left out."""
        paths = (urlsplit(seen.path).path for seen in self.seen if seen.method == method)
        return [re.sub(r"\.[0-9a-f]{64}\.json$", ".HASH.json", path.rpartition("/")[2]) for path in paths]


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes
    headers: dict[str, str]


def ask(
    upstream: services.Endpoint, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    """Pass a request on to a server, over a connection of its own."""
    if upstream.ca is None:
        connection = http.client.HTTPConnection(upstream.host, timeout=30)
    else:
        context = ssl.create_default_context(cafile=str(upstream.ca))
        connection = http.client.HTTPSConnection(upstream.host, timeout=30, context=context)
    passed = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
    with contextlib.closing(connection):
        connection.request(method, path, body or None, passed)
        response = connection.getresponse()
        hidden = HOP_BY_HOP - {"content-length"} if method == "HEAD" else HOP_BY_HOP
        kept = {name: value for name, value in response.getheaders() if name.lower() not in hidden}
        return Answer(response.status, response.read(), kept)


def _empty_update(content_type: str) -> bytes:
    return f"--{content_type.partition('boundary=')[2]}--\r\n".encode()


def _handler(gateway: Callable[[], Gateway], upstream: services.Endpoint) -> type[listener.Handler]:
    class GatewayHandler(listener.Handler):
        def pass_on(self) -> None:
            body, state = self.body(), gateway()
            mode = state.upload if self.command == "POST" else Upload.FORWARD
            mode = Upload.SWALLOW if state.swallow(self.command, self.path) else mode
            answer = self.outcome(mode, body)
            status = 0 if mode in {Upload.CUT, Upload.SWALLOW} else answer.status
            state.seen.append(Seen(self.command, self.path, dict(self.headers), body, status))
            if status == 0:
                self.hang_up()
            else:
                self.reply(status, state.rewrite(self.path, answer.body), answer.headers)

        def outcome(self, mode: Upload, body: bytes) -> Answer:
            if mode in {Upload.DROP, Upload.SWALLOW}:
                return Answer(200, b"", {})
            if mode is Upload.EMPTY:
                body = _empty_update(self.headers["Content-Type"])
            return ask(upstream, self.command, self.path, dict(self.headers), body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - the names http.server calls

    return GatewayHandler


@contextlib.contextmanager
def gateway_to(upstream: services.Endpoint, authority: services.Authority) -> Iterator[Gateway]:
    """Run a gateway that speaks as its upstream does: TLS with this CA, or plain http."""
    gateways: list[Gateway] = []
    context = None if upstream.ca is None else authority.server_context("gateway")
    ca = None if context is None else authority.file
    handler = _handler(lambda: gateways[0], upstream)
    with listener.listening(handler, context) as server:
        gateways.append(Gateway(services.Endpoint(f"localhost:{server.server_port}", ca), server))
        yield gateways[0]
