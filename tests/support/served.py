"""A devserver on loopback, in this process or in its own, and talking to it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import uuid
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from notarypy.devserver import sample
from notarypy.remote.auth.credentials import Keychain, NotaryAuth
from notarypy.remote.auth.tokens import TokenAuthenticator
from notarypy.remote.http import tls
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.transport import Exchange
from support.bound import bound
from support.uploads import Answer, Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_TIMEOUT = 20.0


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Line:
    """One connection to a server, which stays open; closed when it is left."""

    def __init__(self, host: str, authority: Path) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        self.connection = http.client.HTTPSConnection(host, timeout=10, context=context)

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request (`_` in header names becomes `-`) and return the answer and its body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body or None, named)
        response = self.connection.getresponse()
        return response, response.read()

    def desk(self, gun: str = "") -> Desk:
        """Return a repository that the Notary server has never seen."""
        return Desk(self.send, gun or f"localhost/{uuid.uuid4().hex}", now())

    def send(self, method: str, path: str, content_type: str = "", body: bytes = b"") -> Answer:
        """Send what a desk sends."""
        response, data = self.ask(
            method, path, body, **({"Content-Type": content_type} if content_type else {})
        )
        return Answer(response.status, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


class Process:
    """`notarypy devserver` in its own process."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.head = ""
        self.notary = self.registry = ""

    def wait_until_ready(self) -> None:
        """Read what it prints first."""
        assert self.process.stdout is not None
        end = time.monotonic() + START_TIMEOUT
        while not self._told_everything():
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            assert time.monotonic() < end
            self.head += line
        found = re.search(r"Notary server https://(\S+), registry (\S+), CA (\S+)", self.head)
        assert found, self.head
        self.notary, self.registry = found[1], found[2]

    def _told_everything(self) -> bool:
        environment = self.directory / "env"
        return environment.exists() and environment.read_text() in self.head

    @property
    def authority(self) -> Path:
        """The CA's file."""
        return self.directory / "ca.crt"

    def line(self) -> Line:
        """Connect to the Notary server."""
        return Line(self.notary, self.authority)

    def push(self, path: str, tag: str, image: sample.Sample) -> str:
        """Push an image to the registry, logged in if it asks, and return its digest."""
        transport = HttpTransport(lambda _: tls.context(replace_ca=self.authority, environ={}), {})
        found = re.search(r"^export NOTARY_AUTH=(\S+)$", self.head, re.MULTILINE)
        logins = Keychain([NotaryAuth({"NOTARY_AUTH": found[1] if found else ""})])
        authenticator = TokenAuthenticator(self.registry, logins)
        with closing(transport):
            exchange = Exchange(transport, timeout=10, authenticator=lambda: authenticator)
            return sample.push(exchange, f"https://{self.registry}", path, tag, image)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return the exit code and what was said on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@contextmanager
def devserver(directory: Path, *arguments: str, **environment: str) -> Iterator[Process]:
    """Run `notarypy devserver --dir` until the end, which kills it if it still runs."""
    command = [sys.executable, "-m", "notarypy", "devserver", "--dir", str(directory), *arguments]
    with subprocess.Popen(
        bound(command),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            running = Process(process, directory)
            running.wait_until_ready()
            yield running
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
