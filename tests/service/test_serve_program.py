"""`notarypy serve` as a program: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
PATIENCE = 60
PIN = "ab" * 32


class Program:
    """The program, listening on a socket."""

    def __init__(self, folder: Path, server: str) -> None:
        self.socket, self.temporary = folder / "s", folder / "tmp"
        self.temporary.mkdir()
        policy = folder / "policy.toml"
        pinned = f'[scope."registry.test"]\nroots.ids = ["{PIN}"]\nserver = "{server}"\n'
        policy.write_text(f'{pinned}[scope."*"]\nmode = "skip"\n')
        words = ["serve", "--listen", f"unix:{self.socket}", "--policy", str(policy), "--memory"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "notarypy", *words],
            env={"HOME": str(folder), "TMPDIR": str(self.temporary), "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"listening on unix:{self.socket}\n"
        assert self.process.stderr is not None
        said = [self.process.stderr.readline() for _ in range(2)]  # the place is the first thing in the log
        found = re.search(r"trust data is in memory, (/dev/shm/\S+): what was seen is forgotten", said[1])
        assert found, said
        self.trust = Path(found[1])

    @contextmanager
    def asking(self, request: bytes) -> Iterator[socket.socket]:
        """Send a request; when it is under way, so is whatever was sent before."""
        with socket.socket(socket.AF_UNIX) as made:
            made.settimeout(PATIENCE)
            made.connect(str(self.socket))
            made.sendall(request)
            yield made

    def seen(self, request: bytes) -> bytes:
        """Return the answer to a request, on a connection of its own."""
        with self.asking(request.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)) as connection:
            return received(connection)

    def end(self) -> tuple[int, list[str]]:
        """Wait for the end; return the exit code and the log."""
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log.splitlines()

    def left(self) -> list[Path]:
        return [path for path in (self.socket, self.trust, *self.temporary.iterdir()) if path.exists()]


@contextmanager
def running(server: str) -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="s-") as folder:  # a short path, as sockets must have
        program = Program(Path(folder), server)
        try:
            yield program
        finally:
            with suppress(ProcessLookupError):
                program.process.kill()
            program.process.communicate()


@pytest.fixture
def silent() -> Iterator[str]:
    """Return a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        yield f"https://localhost:{deaf.getsockname()[1]}"


def post(document: object, query: str = "") -> bytes:
    body = json.dumps(document).encode()
    head = f"POST /verify{query} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def received(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(10_000):
        data += piece
    return data


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_it_is_told_to(silent: str, number: signal.Signals) -> None:
    with running(silent) as program:
        assert stat.S_IMODE(program.trust.stat().st_mode) == 0o700
        program.process.send_signal(number)
        code, log = program.end()
        assert (code, program.left()) == (0, [])
        assert all(json.loads(line)["level"] != "ERROR" for line in log)


def test_a_request_that_waits_for_others_is_answered_before_the_end(silent: str) -> None:
    with running(silent) as program:
        request = post({"images": ["registry.test/app:1"]}, "?timeout=3s")
        with program.asking(request) as waiting:
            program.seen(post({"images": ["other.test/app@sha256:" + "0" * 64]}))
            program.process.send_signal(signal.SIGTERM)
            answer = received(waiting)
        assert b"connection: close" in answer
        (result,) = json.loads(answer.partition(b"\r\n\r\n")[2])["results"]
        assert (result["ok"], result["error"]["code"]) == (False, "service.undecided")
        code, log = program.end()
        assert (code, program.left()) == (0, [])
        found = [json.loads(line)["images"][0]["result"] for line in log if "images" in line]
        assert found == ["skipped", "undecided"]


def test_a_second_signal_ends_it_at_once(silent: str) -> None:
    with running(silent) as program, program.asking(post({"images": ["registry.test/app:1"]})) as waiting:
        with program.asking(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n") as silent_one:
            assert silent_one.recv(1)
            program.process.send_signal(signal.SIGTERM)
            received(silent_one)  # until the first one was noticed
        program.process.send_signal(signal.SIGTERM)
        code, _ = program.end()
        assert (code, program.left()) == (-signal.SIGTERM, [])
        with suppress(ConnectionError):
            assert b"200" not in received(waiting)
