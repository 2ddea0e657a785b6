"""Where the service listens: addresses and Unix sockets, read, checked and bound.

What it is: the words of `--listen` in, listening sockets out. What it is not: what comes in over them.

Rules:

1. `ADDR:PORT`, with an IPv6 address in brackets; an empty address is every address of the machine, and port
   0 any free port. `unix:PATH` is a socket in the file system.
2. What is not TLS is taken on loopback addresses and Unix sockets alone, unless the user says otherwise: an
   answer that somebody can change on its way is no verification.
3. A Unix socket never has a wider mode than it is meant to have, not for a moment. One that a dead process
   left is replaced; one that somebody listens on, and anything that is no socket, is refused. At the end it
   is removed, if it still is ours.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from notarypy import system
from notarypy.errors import Advice, ConfigurationError
from notarypy.storage.settings.servers import is_loopback
from notarypy.values import dataclass

_UNIX = "unix:"
_HIGHEST_PORT, _PORT_DIGITS = 65_535, 5
_BACKLOG = 1024


@dataclass(frozen=True)
class Place:
    """A place to listen at: a host and port, or the path of a Unix socket."""

    text: str
    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def local(self) -> bool:
        """Whether nobody on another machine can reach it (rule 2)."""
        return self.path is not None or is_loopback(f"[{self.host}]" if ":" in self.host else self.host)


def place(text: str) -> Place:
    """Read a place; raise ConfigurationError (rule 1)."""
    if text.startswith(_UNIX):
        if not text.removeprefix(_UNIX):
            raise _unusable(text, "there is no path")
        return Place(text, path=Path(text.removeprefix(_UNIX)).absolute())
    if "://" in text:
        raise _unusable(text, "it is a URL: whether TLS is served, --tls-cert says")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise _unusable(text, "it has no port")
    if not port.isascii() or not port.isdigit() or len(port) > _PORT_DIGITS or int(port) > _HIGHEST_PORT:
        raise _unusable(text, f"its port is no number from 0 to {_HIGHEST_PORT}")
    if host.startswith("[") and host.endswith("]"):
        return Place(text, host[1:-1], int(port))
    if ":" in host:
        raise _unusable(text, "an IPv6 address is written in brackets")
    return Place(text, host, int(port))


class Listener:
    """A listening socket, with the words that say where it is."""

    def __init__(self, where: Place, *, tls: bool, mode: int = 0o600) -> None:
        """Listen at a place, or raise ConfigurationError; a Unix socket has `mode` and never TLS."""
        self.place, self.tls = where, tls and where.path is None
        try:
            self.socket = _bound_unix(where.path, mode) if where.path is not None else _bound(where)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"cannot listen on {where.text}", why=why, advice=_advice(error)
            ) from None
        self.socket.settimeout(0)
        self._file = _file(where.path)

    @property
    def url(self) -> str:
        """Where it listens: `https://127.0.0.1:8443`, `unix:/run/notarypy.sock`."""
        if self.place.path is not None:
            return f"{_UNIX}{self.place.path}"
        host, port = self.socket.getsockname()[:2]
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def close(self) -> None:
        """Listen no more; a Unix socket is removed if it is still ours (rule 3)."""
        if self.place.path is not None and self._file is not None and _file(self.place.path) == self._file:
            with suppress(OSError):
                self.place.path.unlink()
        self.socket.close()


def _bound(where: Place) -> socket.socket:
    if not where.host and socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", where.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    socket.getaddrinfo(
        where.host or None, where.port, family
    )  # create_server hides what is wrong with a name
    return socket.create_server((where.host, where.port), family=family, backlog=_BACKLOG)


def _bound_unix(path: Path, mode: int) -> socket.socket:
    """Bind a Unix socket (rule 3); the umask is the whole process's, and no other thread makes files yet."""
    _remove_stale(path)
    made = system.unix_socket()
    before = os.umask(0o777 & ~mode)
    try:
        made.bind(str(path))
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    return made


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "there is something else than a socket")
    with system.unix_socket() as asking:
        asking.settimeout(1)
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")


def _file(path: Path | None) -> tuple[int, int] | None:
    """Return what identifies the file at a path."""
    if path is None:
        return None
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unusable(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{text!r} is no place to listen at", why=why, advice=Advice("write-listen"))


def _advice(error: Exception) -> Advice:
    code = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError) or code == errno.EADDRNOTAVAIL:
        return Advice("choose-listen-address")
    if code is None:  # Python's own: a path that is too long
        return Advice("choose-shorter-path")
    if code in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST} or isinstance(error, PermissionError):
        return Advice("choose-listen-place")
    return Advice("choose-free-place")
