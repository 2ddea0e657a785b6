"""A loopback server that does to a connection whatever a test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme


class Server:
    """A loopback server: every request's head goes to `answer`, with the socket to misbehave on."""

    def __init__(
        self,
        answer: Callable[[bytes, socket.socket], object],
        tls: ssl.SSLContext | None,
        listener: socket.socket | None = None,
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1] if listener is None else 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        if self._tls:
            sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._open.append(sock)
        with sock, suppress(OSError):
            try:
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()
                self._converse(sock)
            finally:
                # Closing with unread bytes resets the connection and may overtake what was sent.
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    continue

    def _converse(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as file:
            while head := _head(file):
                self.heads.append(head)
                self.bodies.append(file.read(_length(head)))
                if self._answer(head, sock) is False:
                    break


def _head(file: BinaryIO) -> bytes:
    lines = []
    while (line := file.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


class Serve(Protocol):
    """Starts a server that is stopped when the test ends."""

    def __call__(
        self,
        answer: Callable[[bytes, socket.socket], object],
        cert: trustme.LeafCert | None = None,
        client_ca: trustme.CA | None = None,
    ) -> Server: ...
