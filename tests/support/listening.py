"""A service that was started as a program, and asking it for its pages."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ENDING = 30


class Listening:
    """A process that says where it listens."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def page(self, path: str, host: str, authorities: str) -> str:
        """Return the first line of the answer to GET, over TLS that is as strict as it can be."""
        context = ssl.create_default_context(cadata=authorities)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=_ENDING) as plain,
            context.wrap_socket(plain, server_hostname=host) as stream,
        ):
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return stream.makefile("rb").readline().decode().strip()


@contextmanager
def listening(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[Listening]:
    """Start a program, wait until it says where it listens, and have it end well."""
    with subprocess.Popen(
        words, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        log: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        reader = threading.Thread(target=_keep, args=(process.stderr, log), daemon=True)
        reader.start()
        try:
            line = process.stdout.readline()
            found = re.search(r"listening on https://\S+:(\d+)$", line.strip())
            assert found, (line, process.poll(), "".join(log))
            yield Listening(process, int(found[1]))
            os.kill(_innermost(process.pid), signal.SIGTERM)
            code = process.wait(_ENDING)
            assert code == 0, "".join(log)
        finally:
            process.kill()
            process.wait()
            reader.join(_ENDING)


def _innermost(pid: int) -> int:
    """Return the process that others run, which do not pass signals on: the service itself."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return _innermost(children[0]) if children else pid


def _keep(stream: IO[str], log: list[str]) -> None:
    log.extend(stream)
