"""A session of a service's own, which goes on for months, and its trust directory.

What it is: where warnings of a verification go, and what of servers, logins and files is not left to add up
or to be lost. What it is not: what is verified (`client.session`).

Rules:

1. A warning goes to the list of the thread that it comes from (`hear`); without one it is said in the log.
2. What is to be said once in a session concerns who runs the service, not who asks: the log has it.
3. Logins are read anew after one was refused, and certificates after a server was not trusted. Names of
   servers that nobody has heard of do not add up.
4. What was verified and could not be stored, on a disk that is full or read-only, stays a floor while the
   process runs: it is read in place of what is on the disk, unless that is newer by now. Others store there,
   too. Of a repository the timestamp says what is newer, and the root for itself.
5. It is stored, what of it is not older than what is there, with the next files of the repository or at the
   next look at it, and then no longer remembered. The log says when the first one is remembered, and when
   the last one was stored.
6. So many bytes are remembered. Beyond that those of the repository that was longest not looked at are
   forgotten, and the log says so: pins hold all the same, the memory of versions is lost.
7. Whoever asks may name a pin. It counts beside all others, and where it is the only one nothing is written:
   what fits a stranger's pin must not become anybody's anchor.
8. A root in the trust directory that the operator's pins do not name gives way to one that they name, and to
   which no chain leads, all versions with it: who makes a repository anew changes the pins.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from notarypy.client.connections import Connections
from notarypy.client.metadata.roots import root_policy
from notarypy.client.session import Session
from notarypy.errors import RootNotPinnedError, StorageError, VerificationError
from notarypy.storage.trustdir import RepositoryCache, TrustDirectory, UnwrittenCache
from notarypy.tuf import roles, trustanchors
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from notarypy.client.metadata.repository import Repository
    from notarypy.limits import Limits
    from notarypy.remote.http.transport import Transport
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.storage.settings.settings import Settings
    from notarypy.tuf.trustanchors import RootPolicy

_LOG = logging.getLogger(__name__)
_SERVERS = 512
_ANEW_SECONDS = 30.0
_LOCK_SECONDS = 1.0
_HEARD: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class ServiceSession(Session):
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

    def repository(
        self,
        text: str,
        root: str | None = None,
        scope: Scope | None = None,
        *,
        whole: bool = True,
        publishing: bool = False,
        archive: Path | None = None,
    ) -> Repository:
        """Return the repository that a reference is in; `root` is a pin of whoever asks (rule 7)."""
        found = super().repository(text, root, scope, whole=whole, publishing=publishing, archive=archive)
        own = root_policy(self.settings, found.gun, found.now, None, scope)
        if isinstance(own, trustanchors.Forbidden):
            return found if root is None else replace(found, cache=found.cache.unwritten())
        if isinstance(found.cache, _RememberingCache):
            found.cache.pins = own
        if root is None:
            return found
        asked = trustanchors.policy(root.split(","), "--root")
        return replace(found, roots=trustanchors.every([asked, *trustanchors.parts(own)]))

    def begin_anew(self) -> None:
        """Read logins and certificates anew, where that was not done just now (rule 3)."""
        with self._lock:
            if time.monotonic() > self._renewed + _ANEW_SECONDS:
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


class Remembered(NamedTuple):
    """Files of a repository that could not be stored, and the version of the timestamp that counted then."""

    files: Mapping[str, bytes]
    timestamp: int

    def later(self, other: Remembered) -> Remembered:
        """Return both as one; of what both have this one counts, unless it is older (rule 4)."""
        newer, older = (other, self) if self.timestamp < other.timestamp else (self, other)
        files, root = {**older.files, **newer.files}, roles.ROOT
        if root in self.files and root in other.files:
            files[root] = max(other.files[root], self.files[root], key=partial(_version, root))
        return Remembered(files, newer.timestamp)

    def beside(self, root: bytes | None, timestamp: bytes | None) -> dict[str, bytes]:
        """Return the files that count in place of those of a directory with this root and timestamp."""
        files = dict(self.files) if self.timestamp >= _version(roles.TIMESTAMP, timestamp) else {}
        files.pop(roles.ROOT, None)
        if (own := self.files.get(roles.ROOT)) and _version(roles.ROOT, own) > _version(roles.ROOT, root):
            files[roles.ROOT] = own
        return files


_NOTHING = Remembered({}, -1)


class RememberingDirectory(TrustDirectory):
    """A trust directory of a process that runs long; safe to use from several threads."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Remember nothing yet."""
        super().__init__(path, limits)
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Remembered] = OrderedDict()
        self.remembered_bytes = 0

    def repository(self, gun: str) -> RepositoryCache:
        """Return the cache of one repository; raise InvalidNameError for a GUN that is no safe path."""
        return _RememberingCache(self, gun)

    def remembered(self, gun: str) -> Remembered:
        """Return what could not be stored of a repository."""
        with self._lock:
            if gun in self._found:
                self._found.move_to_end(gun)
            return self._found.get(gun, _NOTHING)

    def remember(self, gun: str, found: Remembered, error: StorageError) -> None:
        """Remember files that cannot be stored because of an error (rules 4 to 6)."""
        with self._lock:
            if not self._found:
                said = "%s cannot be stored, and a restart would forget what was seen: %s"
                _LOG.warning(said, gun, "; ".join((error.message, *error.why)))
            self._put(gun, found.later(self._found.get(gun, _NOTHING)))

    def forget(self, gun: str, known: Remembered, *stale: str) -> None:
        """Forget what was known, all of it or `stale` roles; what was remembered since then stays."""
        with self._lock:
            if (found := self._found.get(gun)) is known or (found is not None and stale):
                files = {role: data for role, data in found.files.items() if stale and role not in stale}
                self._put(gun, Remembered(files, found.timestamp))
                if not self._found:
                    _LOG.warning("everything that was seen is stored again")

    def _put(self, gun: str, found: Remembered) -> None:
        before = self._found.pop(gun, _NOTHING)
        self.remembered_bytes -= sum(map(len, before.files.values()))
        if not found.files:
            return
        self._found[gun] = found
        self.remembered_bytes += sum(map(len, found.files.values()))
        while self.remembered_bytes > self.limits.remembered_bytes and self._found:
            lost, found = self._found.popitem(last=False)
            self.remembered_bytes -= sum(map(len, found.files.values()))
            _LOG.error("%s: its versions cannot be stored, and are forgotten: too many wait", lost)


class _RememberingCache(RepositoryCache):
    """The cache of one repository, and what of it could not be stored."""

    pins: RootPolicy | None = None

    def __init__(self, directory: RememberingDirectory, gun: str) -> None:
        super().__init__(directory.path, gun, directory.limits)
        self._directory = directory

    def afresh(self) -> RepositoryCache | None:
        """Return the same as if nothing were known, if the root that is known is not pinned (rule 8)."""
        found = _Afresh(self._directory, self.gun)
        found.pins = self.pins
        return None if self.pins is None or self._is_pinned() else found

    def _is_pinned(self) -> bool:
        root = RepositoryCache.load_root(self) or b""
        try:
            return bool(TrustedMetadata(self.gun, datetime.now(UTC)).first_root(root, self.pins))
        except RootNotPinnedError:
            return False
        except VerificationError:
            return bool(root)  # whatever that is, it stays

    def unwritten(self) -> UnwrittenCache:
        """Return the same to be looked at, with what is remembered."""
        return _LookedAt(self._directory, self.gun)

    def load(self, role: str) -> bytes | None:
        """Return what is remembered of a role, else what is stored."""
        return self._waiting()[1].get(role) or super().load(role)

    def load_root(self) -> bytes | None:
        """Return the remembered root, else the stored one."""
        return self._waiting()[1].get(roles.ROOT) or super().load_root()

    def size(self, role: str) -> int:
        """Return how many bytes a role has that is remembered or stored, of both the more."""
        return max(super().size(role), len(self._directory.remembered(self.gun).files.get(role, b"")))

    def cached(self) -> list[str]:
        """Return the roles that are remembered or stored."""
        return sorted({*super().cached(), *self._waiting()[1]})

    def store(self, metadata: Mapping[str, bytes]) -> None:
        """Write these files and all that waits to be stored, which is then forgotten (rule 5)."""
        known, waiting = self._waiting()
        super().store({**waiting, **metadata})
        self._directory.forget(self.gun, known)

    def remember(self, metadata: Mapping[str, bytes], error: StorageError) -> None:
        """Remember what cannot be stored."""
        timestamp = metadata.get(roles.TIMESTAMP) or self.load(roles.TIMESTAMP)
        found = Remembered(metadata, _version(roles.TIMESTAMP, timestamp))
        self._directory.remember(self.gun, found, error)

    def drop(self, stale: Iterable[str]) -> None:
        """Remove files, those that are remembered too."""
        if stale := list(stale):
            self._directory.forget(self.gun, _NOTHING, *stale)
        super().drop(stale)

    def confirm(self, moment: datetime | None) -> None:
        """Note that the timestamp is current; what waits to be stored is tried again."""
        if self._directory.remembered(self.gun).files:
            try:
                with self.lock(_LOCK_SECONDS):
                    self.store({})
            except StorageError as error:
                _LOG.debug("%s: it still cannot be stored: %s", self.gun, error.message)
                return
        super().confirm(moment)

    def _waiting(self) -> tuple[Remembered, Mapping[str, bytes]]:
        """Return what is remembered, and the files of it that count (rule 4)."""
        known = self._directory.remembered(self.gun)
        if not known.files:
            return known, known.files
        return known, known.beside(super().load_root(), super().load(roles.TIMESTAMP))


class _Afresh(_RememberingCache):
    """The same as if nothing were known; what is stored takes the place of all that was (rule 8)."""

    def load(self, role: str) -> bytes | None:  # noqa: ARG002 - nothing is known
        """Return nothing."""
        return None

    def load_root(self) -> bytes | None:
        """Return nothing."""
        return None

    def cached(self) -> list[str]:
        """Return nothing."""
        return []

    def store(self, metadata: Mapping[str, bytes]) -> None:
        """Write files in place of all that is there, unless another one was faster."""
        if not self._is_pinned():
            self._directory.forget(self.gun, self._directory.remembered(self.gun))
            self.forget()
            RepositoryCache.store(self, metadata)
            _LOG.warning("%s: its root is not pinned any more, and another one is in its place", self.gun)


class _LookedAt(UnwrittenCache, _RememberingCache):
    """The same, which leaves everything as it is."""


def _version(role: str, data: bytes | None) -> int:
    """Return the version of a file; below all others if there is none, or none that can be read."""
    try:
        version = -1 if data is None else Envelope.parse(data, role).signed.get("version")
    except VerificationError:
        return -1
    return version if isinstance(version, int) else -1
