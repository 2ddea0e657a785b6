"""The real program against a Notary server and a registry on real sockets, with its memory measured.

What it is: one image, served honestly except where a test says otherwise. What it is not:
the devserver, which answers in process.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from notarypy.images.manifests import OCI_MANIFEST
from notarypy.tuf.fields import MetaFile
from support.author import Author
from support.loopback import Server
from support.people import manifest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Answer = Callable[[socket.socket], object]

# How long the program may take before it counts as hanging.
SECONDS, MEGABYTES = 60, 800
# Linux tells the peak of this very program; elsewhere it is good enough to ask for it.
PROGRAM = """
import pathlib, re, resource, sys
from notarypy.cli.main import run
code = run(sys.argv[1:])
try:
    status = pathlib.Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024
except FileNotFoundError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2
print(peak)
sys.exit(code)
"""


class Wire:
    """A Notary server and registry that serve one image honestly, except where they are told otherwise."""

    def __init__(self, home: Path) -> None:
        self.trust_dir = home / "trust"
        self.attacks: dict[str, Answer] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.server = Server(self._answer, None)
        self.author = author = Author(f"localhost:{self.server.port}/app", datetime.now(UTC))
        author.add("1", manifest("1"))
        self.files["/v2/app/manifests/1"] = (OCI_MANIFEST, manifest("1"))
        self.serve(author.repository())
        self.argv = [
            "-s",
            self.server.url("").rstrip("/"),
            "--first-use",
            "-d",
            str(self.trust_dir),
            "verify",
            f"{author.gun}:1",
        ]

    def serve(self, files: Mapping[str, bytes]) -> None:
        """Have these as the current files."""
        for role, data in files.items():
            for name in (role, f"{role}.{MetaFile.of(data).sha256}"):
                self.files[f"/v2/{self.author.gun}/_trust/tuf/{name}.json"] = ("application/json", data)

    def _answer(self, head: bytes, sock: socket.socket) -> object:
        path = head.split()[1].decode().partition("?")[0]
        for pattern, attack in self.attacks.items():
            if re.search(pattern, path):
                return attack(sock)
        kind, body = self.files.get(path, ("", b""))
        status = "200 OK" if kind else "404 Not Found"
        sock.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        sock.sendall(body)
        return None

    def cached(self) -> dict[str, bytes]:
        """Return every file of the trust directory."""
        found = [path for path in self.trust_dir.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in found}

    def spent(self, *argv: str) -> tuple[int, str, str]:
        """Run the real program within the memory that it may take; return exit code and what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *argv],
            env={"HOME": str(self.trust_dir.parent)},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        told, _, peak = done.stdout.rstrip().rpartition("\n")
        assert int(peak) < MEGABYTES, done.stderr[-1000:]
        return done.returncode, told, done.stderr

    def refused(self, exit_code: int, code: str, timeout: str = "10") -> None:
        """Insist that the program comes to an end, fails with little memory, and changes no file."""
        before = self.cached()
        status, document, _ = self.spent("--timeout", timeout, "--json", *self.argv)
        (result,) = json.loads(document)["results"]
        assert (status, result["error"]["code"]) == (exit_code, code), document
        assert self.cached() == before
