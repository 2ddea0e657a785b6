"""A docker daemon on a unix socket that has what a test gives it, and says what a test wants.

What it is: the two requests that a push needs. What it is not: a daemon; nothing is pushed but by `on_push`.
"""

from __future__ import annotations

import base64
import json
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.loopback import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Record = dict[str, Any] | bytes

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def aux(tag: str, digest: str, size: int) -> Record:
    """Return the record with which docker says what it pushed."""
    return {"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": size}}


def said(tag: str, digest: str, size: int) -> Record:
    """Return the line for people that says the same."""
    return {"status": f"{tag}: digest: {digest} size: {size}"}


class FakeDaemon:
    """The daemon.

    Attributes:
        images: The names it has, with their tags; None for any.
        on_push: Given repository and tag, returns the records of the push.
        answer: What a push is answered with in place of records: bytes, or something done to the socket.
        logins: The X-Registry-Auth of each push.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: set[str] | None = None
        self.on_push: Callable[[str, str], list[Record]] = lambda _, __: []
        self.answer: Callable[[socket.socket], object] | bytes | None = None
        self.logins: list[dict[str, str]] = []
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        self._server = Server(self._answer, None, listener)

    @property
    def host(self) -> str:
        """What DOCKER_HOST says."""
        return f"unix://{self.path}"

    @property
    def requests(self) -> list[str]:
        """The request lines so far."""
        return [head.partition(b" HTTP/")[0].decode() for head in self._server.heads]

    def close(self) -> None:
        """Stop."""
        self._server.close()

    def _answer(self, head: bytes, sock: socket.socket) -> bool:
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        url = urlsplit(target)
        name = unquote(url.path.removeprefix("/images/"))
        if method == "GET":
            known = self.images is None or name.removesuffix("/json") in self.images
            sock.sendall(_whole("200 OK" if known else "404 Not Found", {"message": "No such image"}))
            return False
        self.logins.append(json.loads(base64.urlsafe_b64decode(_header(head, b"x-registry-auth"))))
        if callable(self.answer):
            self.answer(sock)
        elif self.answer is not None:
            sock.sendall(self.answer)
        else:
            self._push(sock, name.removesuffix("/push"), parse_qs(url.query)["tag"][0])
        return False

    def _push(self, sock: socket.socket, name: str, tag: str) -> None:
        sock.sendall(_OK)
        for record in self.on_push(name, tag):
            sock.sendall(chunk(record))
        sock.sendall(b"0\r\n\r\n")


@contextmanager
def fake_daemon() -> Iterator[FakeDaemon]:
    """Run a daemon; its socket has a short path, as sockets must."""
    with tempfile.TemporaryDirectory(prefix="d-") as folder:
        daemon = FakeDaemon(Path(folder, "s"))
        try:
            yield daemon
        finally:
            daemon.close()


def chunk(record: Record) -> bytes:
    """Return a record as one chunk of a stream."""
    line = record if isinstance(record, bytes) else json.dumps(record).encode() + b"\r\n"
    return b"%x\r\n%s\r\n" % (len(line), line)


def head(status: str = "200 OK") -> bytes:
    """Return the head of an answer whose records follow as chunks."""
    return _OK.replace(b"200 OK", status.encode())


def _whole(status: str, document: object) -> bytes:
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _header(request: bytes, name: bytes) -> bytes:
    for line in request.split(b"\r\n"):
        if line.lower().startswith(name + b":"):
            return line.partition(b":")[2].strip()
    return b""
