"""A session of a service's own, which goes on for months, and its trust directory.

What it is: where warnings of a verification go, and what of servers, logins and files is not left to add up
or to be lost. What it is not: what is verified (`client.session`).

Rules:

1. A warning goes to the list of the thread that it comes from (`hear`); without one it is said in the log.
2. What is to be said once in a session concerns who runs the service, not who asks: the log has it.
3. Logins are read anew after one was refused, and names of servers that nobody has heard of do not add up.
4. What was verified and could not be stored, on a disk that is full or read-only, stays a floor while the
   process runs: it is read in place of what is on the disk.
5. It is stored, all of it, with the next files of the repository or at the next look at it, and then no
   longer remembered.
6. So many bytes are remembered. Beyond that those of the repository that was longest not looked at are
   forgotten, and the log says so: pins hold all the same, the memory of versions is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING

from notarypy.client.connections import Connections
from notarypy.client.session import Session
from notarypy.errors import StorageError
from notarypy.storage.trustdir import RepositoryCache, TrustDirectory
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from notarypy.limits import Limits
    from notarypy.remote.http.transport import Transport
    from notarypy.storage.settings.settings import Settings

_LOG = logging.getLogger(__name__)
_SERVERS = 512
_LOGIN_SECONDS = 30.0
_LOCK_SECONDS = 1.0
_HEARD: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class OwnSession(Session):
    """A session of which nobody reads along."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport | None,
        now: Callable[[], datetime],
        limits: Limits,
        directory: TrustDirectory,
    ) -> None:
        """Ask nobody for anything; the trust `directory` is that of the settings."""
        super().__init__(settings, transport, None, now, _heard, limits=limits)
        self.trust_dir = directory
        self._renewed, self._before = 0.0, list[Connections]()

    @property
    def connections(self) -> Connections:
        """The servers; beyond so many of them all are forgotten (rule 3)."""
        with self._lock:
            found = super().connections
            if found.servers > _SERVERS:
                self._renew()
                found = super().connections
            return found

    def forget_logins(self) -> None:
        """Read the places of logins anew, where that was not done just now: one of them was refused."""
        with self._lock:
            if time.monotonic() > self._renewed + _LOGIN_SECONDS:
                self._renew()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._renew()
            self._renew()

    def _renew(self) -> None:
        """Let go of connections; those that were under way last time are closed now."""
        for connections in self._before:
            connections.close()
        self._before = [] if self._connections is None else [self._connections]
        for connections in self._before:
            connections.close()
        self._connections, self._renewed = None, time.monotonic()

    def _hear_once(self, warning: str) -> None:
        with self._lock:
            known = warning in self._given
            self._given.add(warning)
        if not known:
            _LOG.warning("%s", warning)


def hear(instead: list[str] | None) -> list[str] | None:
    """Have warnings of this thread go to another list; return the one before."""
    before = _HEARD.get()
    _HEARD.set(instead)
    return before


def _heard(warning: str) -> None:
    if (said := _HEARD.get()) is None:
        _LOG.warning("%s", warning)
    else:
        said.append(warning)


class RememberingDirectory(TrustDirectory):
    """A trust directory of a process that runs long; safe to use from several threads."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Remember nothing yet."""
        super().__init__(path, limits)
        self._lock = threading.Lock()
        self._files: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self.remembered_bytes = 0

    def repository(self, gun: str) -> RepositoryCache:
        """Return the cache of one repository; raise InvalidNameError for a GUN that is no safe path."""
        return _RememberingCache(self, gun)

    def remembered(self, gun: str) -> Mapping[str, bytes]:
        """Return the files of a repository that could not be stored, by role."""
        with self._lock:
            if gun in self._files:
                self._files.move_to_end(gun)
            return self._files.get(gun, {})

    def remember(self, gun: str, metadata: Mapping[str, bytes]) -> None:
        """Remember files, none to forget them (rules 4 to 6)."""
        with self._lock:
            before = self._files.pop(gun, {})
            self.remembered_bytes -= sum(map(len, before.values()))
            if not metadata:
                return
            self._files[gun] = {**before, **metadata}
            self.remembered_bytes += sum(map(len, self._files[gun].values()))
            while self.remembered_bytes > self.limits.remembered_bytes and self._files:
                lost, found = self._files.popitem(last=False)
                self.remembered_bytes -= sum(map(len, found.values()))
                _LOG.error("%s: its versions cannot be stored, and are forgotten: too many wait", lost)


class _RememberingCache(RepositoryCache):
    """The cache of one repository, and what of it could not be stored."""

    def __init__(self, directory: RememberingDirectory, gun: str) -> None:
        super().__init__(directory.path, gun, directory.limits)
        self._directory = directory

    def load(self, role: str) -> bytes | None:
        """Return what is remembered of a role, else what is stored."""
        return self._directory.remembered(self.gun).get(role) or super().load(role)

    def load_root(self) -> bytes | None:
        """Return the remembered root, else the stored one."""
        return self._directory.remembered(self.gun).get(roles.ROOT) or super().load_root()

    def size(self, role: str) -> int:
        """Return how many bytes a role has that is remembered or stored."""
        found = self._directory.remembered(self.gun).get(role)
        return super().size(role) if found is None else len(found)

    def cached(self) -> list[str]:
        """Return the roles that are remembered or stored."""
        return sorted({*super().cached(), *self._directory.remembered(self.gun)})

    def store(self, metadata: Mapping[str, bytes]) -> None:
        """Write these files and all that is remembered, which is then forgotten (rule 5)."""
        waiting = self._directory.remembered(self.gun)
        super().store({**waiting, **metadata})
        if waiting:
            self._directory.remember(self.gun, {})

    def remember(self, metadata: Mapping[str, bytes]) -> None:
        """Remember what cannot be stored."""
        self._directory.remember(self.gun, metadata)

    def drop(self, stale: Iterable[str]) -> None:
        """Remove files, those that are remembered too."""
        stale = list(stale)
        if waiting := self._directory.remembered(self.gun):
            left = {role: data for role, data in waiting.items() if role not in stale}
            self._directory.remember(self.gun, {})
            self._directory.remember(self.gun, left)
        super().drop(stale)

    def confirm(self, moment: datetime | None) -> None:
        """Note that the timestamp is current; what waits to be stored is tried again."""
        if self._directory.remembered(self.gun):
            try:
                with self.lock(_LOCK_SECONDS):
                    self.store({})
            except StorageError as error:
                _LOG.debug("%s: it still cannot be stored: %s", self.gun, error.message)
                return
        super().confirm(moment)
