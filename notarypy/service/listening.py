"""Where the service listens, and the certificate that it shows there and renews while it runs.

What it is: the words of `--listen` in, listening sockets out; files in, TLS contexts out, and again when the
files are replaced, as cert-manager does. What it is not: what comes in over sockets, or trust in any server
that is asked (`remote.http.tls`).

Rules:

1. `ADDR:PORT`, with an IPv6 address in brackets; an empty address is every address of the machine, and port
   0 any free port. `unix:PATH` is a socket in the file system.
2. What is not TLS is taken on loopback addresses and Unix sockets alone, unless the user says otherwise: an
   answer that somebody can change on its way is no verification.
3. A Unix socket never has a wider mode than it is meant to have, not for a moment. One that a dead process
   left is replaced; one that somebody listens on, and anything that is no socket, is refused. At the end it
   is removed, if it still is ours.
4. TLS 1.2 is the least, and HTTP/1.1 the one protocol.
5. A new pair is tried in a context of its own. When it cannot be used, or has ended and the one before has
   not, the one before goes on; that is said in the log, once for each state of the files, and counted.
6. Files are looked at by `stat`, links followed: Kubernetes swaps the link to the directory of a mounted
   secret.
7. With a CA for clients, a certificate that a client shows has to chain to it. Whether one has to be shown
   is decided by path: probes have none (`asgi`). It counts until its end, and as long as the file with the
   CAs holds what it held, however long its connection goes on.
8. An encrypted key is refused: nobody is there to type a passphrase.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.x509 import load_pem_x509_certificates

from notarypy import files, system
from notarypy.errors import Advice, ConfigurationError, NotarypyError
from notarypy.limits import DEFAULT
from notarypy.storage.settings.servers import is_loopback
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

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
    advice = Advice("write-listen")
    return ConfigurationError(f"{text!r} is no place to listen at", why=why, advice=advice)


def _advice(error: Exception) -> Advice:
    code = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError) or code == errno.EADDRNOTAVAIL:
        return Advice("choose-listen-address")
    if code is None:  # Python's own: a path that is too long
        return Advice("choose-shorter-path")
    if code in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST} or isinstance(error, PermissionError):
        return Advice("choose-listen-place")
    return Advice("choose-free-place")


_LOG = logging.getLogger(__name__)


class _Context(ssl.SSLContext):
    """A context that knows the CAs of clients by which it judges."""

    authorities = b""


class ClientCertificate:
    """What the client of one connection has shown, if anything; it may cease to count (rule 7)."""

    def __init__(self, serving: ServingCertificate, tls: ssl.SSLObject) -> None:
        self._serving, self._context = serving, tls.context
        shown = tls.getpeercert()
        self._until = ssl.cert_time_to_seconds(str(shown["notAfter"])) if shown else 0.0

    @property
    def outdated(self) -> bool:
        """Whether other CAs count by now."""
        return getattr(self._context, "authorities", None) != self._serving.context.authorities

    def counts(self) -> bool:
        """Tell whether a certificate was shown that counts now."""
        return time.time() < self._until and not self.outdated


class ServingCertificate:
    """A certificate with its key, and the CAs of clients; `context` has what counts now."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        *,
        loaded: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        """Read the files, or raise ConfigurationError; `loaded` is given their end, None for no use."""
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._loaded, self._ends = loaded, 0.0
        self._seen = self._states()
        self.context = self._read()

    def client(self, tls: ssl.SSLObject) -> ClientCertificate:
        """Return what a client has shown in a handshake."""
        return ClientCertificate(self, tls)

    def look(self) -> None:
        """Look whether the files have changed, and take them if they can be used (rules 5 and 6)."""
        states = self._states()
        if states == self._seen:
            return
        self._seen = states
        try:
            self.context = self._read()
        except NotarypyError as error:
            self._loaded(None)
            why = "; ".join((error.message, *error.why))
            _LOG.error(
                "the certificate files have changed and cannot be used, the ones before go on: %s", why
            )
        else:
            _LOG.warning("the certificate files have changed and are used from now on")

    def _states(self) -> tuple[object, ...]:
        return tuple(_state(path) for path in (self._certificate, self._key, self._client_ca) if path)

    def _read(self) -> _Context:
        end = _end(self._certificate)
        _data(self._key, "there is no key to serve with")
        context = _Context(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, _no_passphrase)
            if self._client_ca is not None:
                context.authorities = _data(self._client_ca, "there are no CAs of clients")
                context.load_verify_locations(cadata=context.authorities.decode("ascii", "ignore"))
                context.verify_mode = ssl.CERT_OPTIONAL  # rule 7
        except (OSError, ValueError) as error:
            raise self._unusable(error) from None
        if end < (now := time.time()) < self._ends:
            raise self._unusable(ValueError("the certificate has ended, and the one before has not"))
        if end < now:
            _LOG.warning("the certificate in %s has ended", self._certificate)
        self._ends = end
        self._loaded(end)
        return context

    def _unusable(self, error: Exception) -> ConfigurationError:
        why = str(error) if isinstance(error, ValueError) else getattr(error, "reason", None) or str(error)
        named = [self._certificate, self._key, *([self._client_ca] if self._client_ca else [])]
        shown = ", ".join(map(str, named))
        advice = Advice("check-tls-pair")
        return ConfigurationError(f"TLS cannot be served with {shown}", why=why, advice=advice)


def _end(path: Path) -> float:
    """Return when the first certificate of a file ends, in seconds of the epoch."""
    none = "there is no certificate to serve"
    try:
        first = load_pem_x509_certificates(_data(path, none))[0]
    except ValueError as error:
        raise _nothing(path, none, error) from None
    return first.not_valid_after_utc.timestamp()


def _data(path: Path, none: str) -> bytes:
    try:
        return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
    except (NotarypyError, OSError) as error:
        raise _nothing(path, none, error) from None


def _nothing(path: Path, none: str, error: Exception) -> ConfigurationError:
    why = getattr(error, "strerror", None) or str(error)
    return ConfigurationError(f"{none} in {path}", why=why, advice=Advice("check-tls-pair"))


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted")


def _state(path: Path) -> object:
    """Return what is different when a file is another one, or was written anew."""
    try:
        found = os.stat(path)  # noqa: PTH116 - the same, without a Path's detour
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
