"""A verification service on a unix socket that answers as a test wants: a real verifier's word, or any bytes.

What it is: the socket, and the one request that it takes. What it is not: `notarypy serve`.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.loopback import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FakeService:
    """The service.

    Attributes:
        answer: Given the body of a request, returns the whole answer, or does something to the socket.
        requests: The requests so far.
    """

    def __init__(self, path: Path, user: int = 0) -> None:
        """Listen; as root as another user, if one is named."""
        self.path = path
        self.answer: Callable[[bytes, socket.socket], bytes | None] = lambda _body, _sock: whole(503, b"{}")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        with as_user(user):
            listener.listen()
        self._server = Server(self._serve, None, listener)

    @property
    def variable(self) -> str:
        """What NOTARYPY_SERVICE says."""
        return f"unix:{self.path}"

    @property
    def requests(self) -> list[Any]:
        """The requests so far, read as JSON."""
        return [json.loads(body) for body in self._server.bodies]

    @property
    def heads(self) -> list[str]:
        """The heads of the requests."""
        return [head.decode() for head in self._server.heads]

    def says(self, document: object, status: int = 200) -> None:
        """Answer everything with a document."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answer = lambda _body, _sock: whole(status, body)

    def close(self) -> None:
        """Stop."""
        self._server.close()

    def _serve(self, _head: bytes, sock: socket.socket) -> bool:
        if (answer := self.answer(self._server.bodies[-1], sock)) is not None:
            sock.sendall(answer)
        return False


@contextmanager
def as_user(user: int) -> Iterator[None]:
    """Let root be another user for others; who is not root stays who he is."""
    if os.geteuid():
        yield
        return
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """Run a service; its socket has a short path, as sockets must."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        service = FakeService(Path(folder, "s"))
        try:
            yield service
        finally:
            service.close()


def whole(status: int, body: bytes) -> bytes:
    """Return an answer whose length is said."""
    return f"HTTP/1.1 {status} Of Some Kind\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
