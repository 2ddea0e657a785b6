"""`notarypy serve` in its own process, and what the kernel says of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from interop.harness import programs, services
from support.bound import bound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interop.harness.services import Authority, Pair

# Nothing here takes that long unless it hangs: a guard, and no bound for any test.
PATIENCE = 30.0


class Usage(NamedTuple):
    """What a process has: memory in KiB, threads, open files."""

    memory: int
    threads: int
    files: int


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        """The JSON object in it."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Serving:
    """A verification service with TLS on a loopback port, from `start` to `end`, or as long as the block."""

    def __init__(
        self, directory: Path, authority: Authority, environment: Mapping[str, str], options: Sequence[str]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = services.free_port()
        self.pair: Pair = authority.issue(f"serve-{self.port}")
        self.context = authority.client_context()
        self.log: deque[str] = deque(maxlen=2000)
        self._environment = {name: value for name, value in environment.items() if value}
        argv = [
            *(programs.find("notarypy"), "serve", "--listen", f"127.0.0.1:{self.port}", *options),
            *("--tls-cert", str(self.pair.certificate), "--tls-key", str(self.pair.key)),
        ]
        self._argv = bound(argv)
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []

    def start(self) -> Self:
        """Start it, and wait until it is ready."""
        self._process = programs.start(self._argv, self._environment)
        streams = (self._process.stdout, self._process.stderr)
        self._readers = [threading.Thread(target=self.log.extend, args=(stream,)) for stream in streams]
        for reader in self._readers:
            reader.start()
        end = time.monotonic() + PATIENCE
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("notarypy serve did not start:\n" + "".join(self.log))
            time.sleep(0.05)
        return self

    def ready(self) -> bool:
        """Return whether it says that it is ready."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/readyz").status == 200
        return False

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPSConnection:
        """Return a connection to it."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context)

    def socket(self, *, wrapped: bool = True, timeout: float = PATIENCE) -> socket.socket:
        """Return a bare connection, on which TLS is spoken or not."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout)
        return self.context.wrap_socket(plain, server_hostname="localhost") if wrapped else plain

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send one request over a connection of its own."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll() if self._process else None

    def usage(self) -> Usage:
        """Return what it has of what can leak."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        numbers = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
        files = sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        return Usage(int(numbers["VmRSS"]), int(numbers["Threads"]), files)

    def fill_disk(self, full: bool = True) -> None:  # noqa: FBT002 - full, or not any more
        """Let no file that it writes grow by a byte, as on a disk that is full, or let them again."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        assert self._process is not None
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        return code

    def end(self) -> None:
        """End it, and insist."""
        self.signal()
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self.wait()

    def peer_certificate(self) -> bytes:
        """Return the certificate that it shows."""
        return ssl.get_server_certificate(("127.0.0.1", self.port)).encode()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()
