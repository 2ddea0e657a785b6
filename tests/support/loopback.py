"""A loopback server that does to a connection whatever a test wants."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme


# Whoever has not given up by then has no deadline: a guard against hanging, and no bound for any test.
PATIENCE = 10


class Drip:
    """An answer that goes on, piece by piece, until the other side hangs up or everything is sent.

    Attributes:
        sent: How many pieces the other side was sent.
    """

    def __init__(self, head: bytes, piece: bytes, count: int, pause: float = 0) -> None:
        """Send a head, and then so many pieces, with a pause before each."""
        self._head, self._piece, self._pause = head, piece, pause
        self.count, self.sent = count, 0

    def __call__(self, _: bytes, sock: socket.socket) -> bool:
        """Answer a request; what can be read after it is the end of the connection."""
        sock.sendall(self._head)
        while self.sent < self.count and not select.select([sock], [], [], self._pause)[0]:
            sock.sendall(self._piece)
            self.sent += 1
        return False


class Deaf:
    """A server that takes a connection and nothing that comes over it, until it loses its patience."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._given_up = threading.Event()
        self._outlasted = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def outlasted(self) -> bool:
        """Tell whether the client, which has given up by now, did so first, and closed its connection."""
        self._given_up.set()
        self._thread.join(2 * PATIENCE)
        return self._outlasted

    def _serve(self) -> None:
        with self._listener:
            sock, _ = self._listener.accept()
        with sock:
            if not self._given_up.wait(PATIENCE):
                return
            sock.settimeout(PATIENCE)
            with suppress(ConnectionError):
                while sock.recv(1 << 20):
                    continue
            self._outlasted = True


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

    def is_left(self) -> bool:
        """Wait for the other side to close every connection; tell whether it did."""
        for thread in self._threads[1:]:
            thread.join(2 * PATIENCE)
        return not any(thread.is_alive() for thread in self._threads[1:])

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
