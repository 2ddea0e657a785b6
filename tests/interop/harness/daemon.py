"""A docker daemon of the tests' own.

1. Everything it keeps is in a folder of its own under the system's temporary folder: sockets have short
   paths, and pytest's folders are long.
2. It sees a `/run` of its own and neither network nor firewall: no bridge, no iptables. An ordinary user
   starts it in a user namespace, where it takes itself for root.
3. It is stopped by its process id, and so is its containerd if that is left over.
4. A registry on loopback is an insecure one to docker: http and unknown certificates will do.
5. A newer daemon is one whose BuildKit knows source policies, and keeps images as containerd does. It may be
   the usual one.
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
from typing import TYPE_CHECKING, Any

from interop.harness import programs, services

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN_RUN = 'mount -t tmpfs tmpfs /run && exec "$@"'
_FLAGS = ("--iptables=false", "--ip6tables=false", "--bridge=none", "--group=0")


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
def running(log: Path, *, newer: bool = False) -> Iterator[str]:
    """Run dockerd, or a newer one (rule 5), and yield what DOCKER_HOST has to say.

    Raises:
        LookupError: dockerd, containerd, runc or unshare is not here.
        RuntimeError: It did not start; the log tells why.
    """
    for program in ("dockerd", "containerd", "runc", "unshare"):
        programs.find(program)
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    try:
        environment = {"LD_LIBRARY_PATH": programs.library_path()}
        if newer:
            environment["PATH"] = programs.newer_path()
        argv = _argv(folder, _newer_config() if newer else _config(folder), "native" if newer else "vfs")
        with services.Service(argv, log, lambda: _is_up(folder / "docker.sock"), environment):
            yield f"unix://{folder / 'docker.sock'}"
    finally:
        _stop_containerd(folder)
        shutil.rmtree(folder)


def _argv(folder: Path, config: dict[str, Any], driver: str) -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [
        *("unshare", "--mount", *as_root, "sh", "-c", _OWN_RUN, "sh", "dockerd", *_FLAGS),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "docker.pid"), "--host", f"unix://{folder / 'docker.sock'}"),
        *("--storage-driver", driver),
        *("--config-file", services.write_json(folder / "daemon.json", config)),
    ]


def _config(folder: Path) -> dict[str, Any]:
    """Keep the old daemon's own key out of /etc/docker; newer ones have none and refuse the setting."""
    version = programs.run(["dockerd", "--version"], {"LD_LIBRARY_PATH": programs.library_path()}).expect(0)
    major = re.search(r"version (\d+)\.", version.stdout)
    assert major is not None, version
    return {"deprecated-key-path": str(folder / "key.json")} if int(major[1]) < 24 else {}


def _newer_config() -> dict[str, Any]:
    return {"features": {"containerd-snapshotter": True}}


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
