"""What kube-proxy does for a Service: each connection goes to one of the replicas that are ready, in turn."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import socketserver
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 65536


class _Handler(socketserver.BaseRequestHandler):
    """Passes bytes on in both directions until either side has ended."""

    def handle(self) -> None:
        assert isinstance(self.server, Balancer)
        with contextlib.suppress(OSError), self.server.connection() as upstream:
            ways = {self.request: upstream, upstream: self.request}
            with selectors.DefaultSelector() as selector:
                for one in ways:
                    selector.register(one, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        assert isinstance(key.fileobj, socket.socket)
                        data = key.fileobj.recv(_PIECE)
                        if not data:
                            return
                        ways[key.fileobj].sendall(data)


class Balancer(socketserver.ThreadingTCPServer):
    """The Service: `ports` are its endpoints, changed while it runs, and `port` is its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ports: list[int] = []
        self.port: int = self.server_address[1]
        self._turn = itertools.count()

    def connection(self) -> socket.socket:
        """Return a connection to the replica whose turn it is, or to the next that takes it."""
        ports, first = list(self.ports), next(self._turn)
        for step in range(len(ports)):
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", ports[(first + step) % len(ports)]))
        raise ConnectionRefusedError


@contextlib.contextmanager
def balancing() -> Iterator[Balancer]:
    """Balance until the block ends."""
    with Balancer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
