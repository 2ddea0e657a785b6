"""A docker daemon of the tests' own.

1. Everything it keeps is in a folder of its own under the system's temporary folder: sockets have short
   paths, and pytest's folders are long.
2. It sees a `/run` of its own and neither network nor firewall: no bridge, no iptables. An ordinary user
   starts it in a user namespace, where it takes itself for root.
3. It is stopped by its process id, and so is its containerd if that is left over.
4. A registry on loopback is an insecure one to docker: http and unknown certificates will do.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import programs, services

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN_RUN = 'mount -t tmpfs tmpfs /run && exec "$@"'
_FLAGS = ("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", "--group=0")


class _Connection(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=2)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@contextlib.contextmanager
def running(log: Path) -> Iterator[str]:
    """Run dockerd and yield what DOCKER_HOST has to say.

    Raises:
        LookupError: dockerd, containerd, runc or unshare is not here.
        RuntimeError: It did not start; the log tells why.
    """
    for program in ("dockerd", "containerd", "runc", "unshare"):
        programs.find(program)
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    try:
        libraries = {"LD_LIBRARY_PATH": programs.library_path()}
        with services.Service(_argv(folder), log, lambda: _is_up(folder / "docker.sock"), libraries):
            yield f"unix://{folder / 'docker.sock'}"
    finally:
        _stop_containerd(folder)
        shutil.rmtree(folder)


def _argv(folder: Path) -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [
        *("unshare", "--mount", *as_root, "sh", "-c", _OWN_RUN, "sh", "dockerd", *_FLAGS),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "docker.pid"), "--host", f"unix://{folder / 'docker.sock'}"),
        *("--config-file", services.write_json(folder / "daemon.json", _config(folder))),
    ]


def _config(folder: Path) -> dict[str, str]:
    """Keep the old daemon's own key out of /etc/docker; newer ones have none and refuse the setting."""
    version = programs.run(["dockerd", "--version"], {"LD_LIBRARY_PATH": programs.library_path()}).expect(0)
    major = re.search(r"version (\d+)\.", version.stdout)
    assert major is not None, version
    return {"deprecated-key-path": str(folder / "key.json")} if int(major[1]) < 24 else {}


def _is_up(path: Path) -> bool:
    with contextlib.closing(_Connection(path)) as connection:
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().read() == b"OK"
        except (OSError, http.client.HTTPException):
            return False


def _stop_containerd(folder: Path) -> None:
    """End the containerd of a daemon that could not do so itself."""
    pidfile = folder / "exec/containerd/containerd.pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        process = int(pidfile.read_text())
        if str(folder).encode() in Path(f"/proc/{process}/cmdline").read_bytes():
            os.kill(process, signal.SIGKILL)
