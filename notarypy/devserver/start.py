"""Starting a Notary server and a registry, and stopping them.

What it is: folder, memory, certificates, logins and ports joined into two running servers. What it is not:
waiting, signals or printing; a command does that.

Rules:

1. They listen on this machine's loopback address, unless another is asked for.
2. When they have stopped, nothing of theirs runs, and nothing is left on the disk but in a folder that the
   caller named.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from notarypy import files
from notarypy.devserver import folder, sqlite
from notarypy.devserver.calls import Call, Login, Service, notary_scope, registry_scope
from notarypy.devserver.core import Fake
from notarypy.errors import Advice, ConfigurationError, StorageError
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.devserver.https import Server

Authentication = Literal["none", "basic", "token"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to recognise it, not to use it


@dataclass(frozen=True)
class ServerOptions:
    """How to serve.

    Attributes:
        host: Name or address to listen on, and to be known by.
        port: The Notary server's port; 0 for the one of last time, or any free one.
        registry_port: The registry's port, likewise.
        strict: Whether to refuse what the real Notary server accepts to everybody's harm.
        authentication: How clients have to log in.
        referrers: Whether the registry lists what refers to an image, as OCI 1.1 has it.
    """

    host: str = "localhost"
    port: int = 0
    registry_port: int = 0
    strict: bool = True
    authentication: Authentication = "none"
    referrers: bool = True

    @property
    def public(self) -> bool:
        """Whether other machines can reach it."""
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() != LOOPBACK[0]

    @property
    def address(self) -> str:
        """What to listen on (rule 1)."""
        return LOOPBACK[1] if self._usual else self.host

    @property
    def name(self) -> str:
        """The host name or address for URLs."""
        if self.host in _EVERYWHERE:
            return socket.gethostname()
        return LOOPBACK[0] if self._usual else self.host

    @property
    def names(self) -> list[str]:
        """The names and addresses that a certificate has to be for."""
        given = () if self.host in _EVERYWHERE else (self.host,)
        return list(dict.fromkeys((*LOOPBACK, self.name, *given)))

    @property
    def _usual(self) -> bool:
        return self.host.lower() in LOOPBACK[:2]

    def require_usable(self) -> None:
        """Raise ConfigurationError for a host that cannot be one, or one port for two servers."""
        if not self.host or not self.host.isascii():
            advice = Advice("choose-host-or-none")
            raise ConfigurationError(f'"{self.host}" is no host to listen on', advice=advice)
        if self.port and self.port == self.registry_port:
            message, advice = f"two servers cannot listen on port {self.port}", Advice("choose-two-ports")
            raise ConfigurationError(message, advice=advice, port=self.port)


@dataclass(frozen=True)
class Running:
    """A Notary server and a registry that answer.

    Attributes:
        fake: What they serve; tampering with it shows at once.
        notary: The Notary server's URL.
        registry: The registry's host and port.
        directory: Their folder.
        environment: What a shell has to export to use them.
    """

    fake: Fake
    notary: str
    registry: str
    directory: Path
    environment: dict[str, str]

    @property
    def authority(self) -> Path:
        """The CA certificate to trust."""
        return self.directory / "ca.crt"

    @property
    def environment_file(self) -> Path:
        """The file that a shell can source."""
        return self.directory / "env"

    @property
    def docker_config(self) -> Path:
        """The directory for DOCKER_CONFIG."""
        return self.directory / "docker"


@contextmanager
def running(
    directory: Path | None,
    options: ServerOptions,
    *,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes] = os.urandom,
    fake: Fake | None = None,
) -> Iterator[Running]:
    """Start both servers, and stop them at the end (rules 1 and 2).

    `directory` is where everything is kept, None to keep nothing; `fake` is served instead of what is kept.
    Raises StorageError for a folder that cannot be used, ConfigurationError where nobody can listen.
    """
    options.require_usable()
    with ExitStack() as stack:
        if directory is None:
            temporary = tempfile.TemporaryDirectory(prefix="notarypy-devserver-", ignore_cleanup_errors=True)
            place = folder.Folder(Path(stack.enter_context(temporary)))
        else:
            place = folder.Folder(directory)
        _own(stack, place)
        if fake is None:
            try:
                saved = None if directory is None else stack.enter_context(sqlite.saved(place.path, random))
            except (sqlite3.Error, OSError) as error:
                raise StorageError(f"cannot use the data in {place.path}", why=str(error)) from None
            fake = Fake(
                clock=clock, random=random, strict=options.strict, referrers=options.referrers, holdings=saved
            )
        yield _Start(place, options, clock, random).serve(stack, fake)


def _own(stack: ExitStack, place: folder.Folder) -> None:
    try:
        stack.enter_context(files.locked(place.lock, 0))
    except StorageError as error:
        if error.message != files.AT_WORK:
            raise
        message, advice = f"another devserver uses {place.path}", Advice("choose-devserver-folder")
        raise StorageError(message, why=error.why, advice=advice) from None


def _ports(given: tuple[int, int], known: tuple[int, int]) -> tuple[int, int]:
    """Return the ports that were given, else those of last time, unless the other server has them now."""
    notary, registry = given[0] or known[0], given[1] or known[1]
    return given if notary == registry else (notary, registry)


@dataclass(frozen=True)
class _Start:
    """The steps of starting."""

    place: folder.Folder
    options: ServerOptions
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]

    def serve(self, stack: ExitStack, fake: Fake) -> Running:
        """Start answering; `stack` stops it."""
        name = f"[{self.options.name}]" if ":" in self.options.name else self.options.name
        self.place.certify(self.options.names, self.clock(), self.random)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(self.place.server)
        ports = _ports((self.options.port, self.options.registry_port), self.place.ports())
        fronts = [self._front(fake.notary, notary_scope), self._front(fake.registry, registry_scope)]
        servers = [
            stack.enter_context(closing(self._listen(port, fake, front, tls)))
            for port, front in zip(ports, fronts, strict=True)
        ]
        notary, registry = (f"{name}:{server.port}" for server in servers)
        self.place.keep_ports(*(server.port for server in servers))
        self.place.introduce(notary, registry)
        variables = self._variables(notary, registry)
        self.place.write_environment(variables)
        for server in servers:
            server.start()
        return Running(fake, f"https://{notary}", registry, self.place.path, variables)

    def _front(self, service: Service, scope_of: Callable[[Call], str | None]) -> Service:
        kind = self.options.authentication
        if kind == "none":
            return service
        users = {folder.USER: self.place.password(self.random)}
        return Login(service, scope_of, kind=kind, users=users, clock=self.clock, random=self.random)

    def _listen(self, port: int, fake: Fake, front: Service, tls: ssl.SSLContext) -> Server:
        try:
            from notarypy.devserver.https import Server
        except ModuleNotFoundError as error:
            advice = Advice("install-extra", extra="devserver")
            raise ConfigurationError(f"the devserver needs {error.name}", advice=advice) from None
        return Server(self.options.address, port, partial(fake.answer, service=front), tls)

    def _variables(self, notary: str, registry: str) -> dict[str, str]:
        variables = {
            "DOCKER_CONTENT_TRUST_SERVER": f"https://{notary}",
            "DOCKER_CONFIG": str(self.place.docker),
        }
        if self.options.authentication != "none":
            password = self.place.password(self.random)
            self.place.log_in([notary, registry], password)
            variables["NOTARY_AUTH"] = folder.basic(password)
        return variables
