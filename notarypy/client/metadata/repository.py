"""One repository as the use cases see it: its server, its cache, its pins, and the moment.

What it is: what belongs together for one GUN, the files that are known before asking, and the writing
half of a refresh. What it is not: a judge; `refresh` and `publish` have the steps, and all that is
stored here is verified.

Rules:

1. A refresh has one deadline for all its requests. A server that answers each of hundreds of requests
   just in time does not hold anybody for hours.
2. A file has a limit (`limits`), and never more than the length that is signed. What is asked for before that
   length is known (`flight`) has a small limit of its own.
3. Of cached files only short ones stay in memory, and the long one that was read last: it is compared with
   itself. What is not in the folder is not looked for: metadata may name a million roles.
4. The cache is written under its lock, the root first and the timestamp last. A root that could be written
   lasts, whatever else could not.
5. Nothing newer is overwritten: neither a root that the chain leads to from ours, nor a newer
   timestamp, nor an anchor that somebody replaced on purpose.
6. Two processes that meet a repository for the first time and are shown different roots cannot both be
   right: the second one is refused.
7. Files of delegations that no longer exist are dropped. Were they to return, it would be as new ones,
   and an old copy would raise a false alarm.
8. A directory that cannot be written is a warning: what was verified stays verified.
9. What is no signed file at all is an alarm where the repository is known here. Where it is not, who sends
   it is no Notary server: an address that is wrong is likelier, and nothing is trusted of it either way.
10. Of repositories that are read side by side the large ones go one at a time (`client.weight`).
11. Where a delegation's file cannot be had the repository is refused. Who publishes is told so and goes on,
    as with one that is not to be trusted: to take it out or to start it over is what mends the repository.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self

from notarypy.client.weight import clock
from notarypy.errors import (
    Advice,
    DeadlineError,
    FileMissingError,
    NotFoundError,
    OperationError,
    ResponseLimitError,
    StorageError,
    UnreachableError,
    VerificationError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from notarypy.tuf.canonical import too_many
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.client.archived import ArchivedNotary
    from notarypy.client.verdicts import FirstRoot
    from notarypy.remote.notary import NotaryClient
    from notarypy.storage.trustdir import RepositoryCache
    from notarypy.tuf.fields import MetaFile
    from notarypy.tuf.trustanchors import RootPolicy
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_KEPT = 1 << 20
_VERSIONS_END = 1 << 31  # of a server's databases: a 32-bit column
LOCK_SECONDS = 10.0


class Decision(Protocol):
    """Raises FirstUseError unless a root may be trusted that nothing vouches for."""

    def __call__(self, root: FirstRoot, *, allowed: bool) -> Callable[..., None]:
        """Look at a root, maybe `allowed` beforehand; return what to call once it is `lasting`, or is not."""


@dataclass(frozen=True)
class Repository:
    """One GUN with everything that is needed to read or publish it.

    Without a `server` only the cache may be used; `server_url` is for people. `roots` decides whether a root
    may be trusted, and `decide` raises unless one is taken on first use that nothing vouches for; dates are
    compared with `now`. `warn` is given what a person should know and no program needs. A refresh may take
    `patience` seconds, and sends no request after `until`, by `weight.clock`.
    With `fresh` the server itself is asked, past any cache in between. Of `renewed` roles the server is known
    to have other files than the cache, and so many `connections` are wanted beforehand (`flight`). An
    `archive` answers in place of a server, and takes nothing (`client.archived`). Who publishes is told by
    `lacking` of a delegation that cannot be had (rule 11).
    """

    gun: str
    server: NotaryClient | None
    server_url: str
    cache: RepositoryCache
    roots: RootPolicy
    decide: Decision
    now: datetime
    warn: Callable[[str], None]
    patience: float | None = None
    limits: Limits = DEFAULT
    until: float | None = None
    fresh: bool = False
    renewed: tuple[str, ...] = ()
    connections: int = 1
    archive: ArchivedNotary | None = None
    lacking: Callable[[str], None] | None = None

    @property
    def source(self) -> NotaryClient | ArchivedNotary | None:
        """The archive or the server that is asked; None where only the cache may be used."""
        return self.archive or self.server

    def past_caches(self) -> Self:
        """Return the repository as the server has it, whatever caches in between may hold."""
        return replace(self, fresh=True)

    def timed(self) -> Self:
        """Return the repository for one refresh that begins now."""
        return self if self.patience is None else replace(self, until=clock() + self.patience)

    def ceiling(self, role: str) -> int:
        """Return the most bytes that a role's file may have."""
        of_role = {roles.ROOT: self.limits.root_bytes, roles.TIMESTAMP: self.limits.timestamp_bytes}
        return of_role.get(role, self.limits.metadata_bytes)

    def fetch(self, role: str) -> bytes:
        """Return a role's current file from the server; NotNotaryError: it is a stranger's (rule 9)."""
        most = self.ceiling(role)
        if role not in {roles.ROOT, roles.TIMESTAMP}:  # it is asked for ahead
            most = min(most, self.limits.ahead_bytes)
        data = self.online().get(self.gun, role, most, fresh=self.fresh)
        if roles.ROOT not in self.cache.cached():
            self.online().require_metadata(data)
        return data

    def fetch_by_hash(self, role: str, sha256: str, length: int) -> bytes:
        """Return the file with this hash from the server; never more than `length` bytes."""
        limit = min(length, self.ceiling(role))
        return self.online().get_by_hash(self.gun, role, sha256, limit, fresh=self.fresh)

    def fetch_announced(self, role: str, meta: MetaFile) -> bytes:
        """Return the file that verified metadata names; FileMissingError if the server does not have it."""
        if meta.length > (most := self.ceiling(role)):
            raise too_many(role, "bytes", meta.length, most)
        _LOG.debug("%s: fetching %s, %s bytes, sha256 %s", self.gun, role, meta.length, meta.sha256)
        try:
            return self.fetch_by_hash(role, meta.sha256, meta.length)
        except NotFoundError:
            message, why = f"the server does not have the {role} that it announces", f"sha256 {meta.sha256}"
            advice = Advice("file-missing", role=role, gun=self.gun) if roles.is_delegation(role) else None
            raise FileMissingError(message, why=why, advice=advice, role=role) from None
        except ResponseLimitError as error:
            message = f"the server sends another {role} than it announces"
            raise VerificationError(message, why=f"longer than {meta.length} bytes", role=role) from error

    def fetch_version(self, role: str, version: int) -> bytes | None:
        """Return one version of a role's file from the server, or None if it has no such version."""
        try:
            return self.online().get_version(self.gun, role, version, self.ceiling(role), fresh=self.fresh)
        except NotFoundError:
            return None

    def has_other(self, timestamp: bytes) -> bool:
        """Tell whether the server has another timestamp than this one; False if it cannot be asked."""
        try:
            return self.fetch(roles.TIMESTAMP) != timestamp
        except OperationError:
            return False

    def newest(self, role: str, low: int) -> tuple[int, bytes] | None:
        """Return the newest file of a role and its version, `low` or above; None if the server has none.

        It is found by number: a server keeps every version, and each publisher takes the next.
        """
        step, data = 1, self.fetch_version(role, low)
        if data is None:
            return None
        newest = low, data
        while step < _VERSIONS_END and (found := self.fetch_version(role, newest[0] + step)) is not None:
            newest, step = (newest[0] + step, found), step * 2
        while step > 1:
            step //= 2
            if (found := self.fetch_version(role, newest[0] + step)) is not None:
                newest = newest[0] + step, found
        return newest

    def online(self) -> NotaryClient | ArchivedNotary:
        """Return who is asked; UnreachableError: only the cache may be used; DeadlineError: too late."""
        if self.source is None:
            message, why = f"the cache does not hold all of {self.gun}", "--offline allows no request"
            raise UnreachableError(message, why=why, advice=Advice("go-online"), gun=self.gun)
        if self.until is not None and clock() > self.until:
            why = f"gave up after {self.patience:.0f} seconds in all"
            message, advice = f"reading {self.gun} took too long", Advice("give-time")
            raise DeadlineError(message, why=why, advice=advice, gun=self.gun)
        return self.source

    def warn_of_a_cache(self) -> None:
        """Say that the server, asked past caches, has something newer (`refresh`: 8)."""
        url = self.server_url
        self.warn(f"a cache between here and {url} answers with old data; the server itself was asked")

    def notary(self) -> NotaryClient:
        """Return the server for what is published; errors as of `online`."""
        self.online()
        if self.server is None:
            raise RuntimeError("nobody publishes to an archive")
        return self.server


class KnownFiles(Mapping[str, bytes]):
    """The files of one repository known before asking: own new ones first, then the cache.

    As a mapping it is the trust directory's copies that were read so far: those that set floors.
    """

    def __init__(self, cache: RepositoryCache, own: Mapping[str, bytes]) -> None:
        """Look into `own`, then into `cache`."""
        self._cache, self._own = cache, own
        self._loaded: dict[str, bytes | None] = {}
        self._long: tuple[str, bytes] = ("", b"")

    @cached_property
    def _there(self) -> frozenset[str]:
        return frozenset(self._cache.cached())

    def cached(self, role: str) -> bytes | None:
        """Return the file of the trust directory; a short one is read once (rule 3)."""
        if role in self._loaded:
            return self._loaded[role]
        if role == self._long[0]:
            return self._long[1]
        if role not in roles.BASE_ROLES and role not in self._there:
            return None
        found = self._cache.load(role)
        if found is None or len(found) <= _KEPT:
            self._loaded[role] = found
        else:
            self._long = role, found
        return found

    def candidates(self, role: str) -> Iterator[bytes]:
        """Yield every copy at hand, newest first."""
        for data in (self._own.get(role), self.cached(role)):
            if data is not None:
                yield data

    def __getitem__(self, role: str) -> bytes:
        """Return the trust directory's copy."""
        data = self.cached(role)
        if data is None:
            raise KeyError(role)
        return data

    def __iter__(self) -> Iterator[str]:
        """Yield the roles read so far."""
        return iter([role for role, data in self._loaded.items() if data is not None])

    def __len__(self) -> int:
        """Count the roles read so far."""
        return sum(1 for _ in self)


def store(
    repository: Repository,
    trusted: TrustedMetadata,
    files: Mapping[str, bytes],
    root: bytes | None,
    timestamp: bytes | None,
) -> None:
    """Write verified files to the cache, whose root and timestamp were these before (rules 4 to 8)."""
    cache = repository.cache
    try:
        with cache.lock(LOCK_SECONDS):
            if _root_moved(repository, trusted, root) or _timestamp_moved(repository, trusted, timestamp):
                _LOG.debug("%s: another process stored something newer meanwhile", repository.gun)
                return
            cache.store(files)
            cache.drop(gone := _gone(trusted, cache.cached()))
            _LOG.debug("%s: stored %s, dropped %s", repository.gun, list(files), gone)
    except StorageError as error:
        cache.lasting = _has_stored(cache, trusted.files[roles.ROOT])
        cache.remember(files, error)
        repository.warn("; ".join((f"the trust directory was not updated: {error.message}", *error.why)))


def _has_stored(cache: RepositoryCache, root: bytes) -> bool:
    """Tell whether the next run goes by this root, which may be all that was written (rule 4)."""
    try:
        return cache.load_root() == root
    except (StorageError, VerificationError):
        return False


def _root_moved(repository: Repository, trusted: TrustedMetadata, before: bytes | None) -> bool:
    """Tell whether another process has stored another root meanwhile (rules 5 and 6)."""
    data, ours = repository.cache.load_root(), trusted.files[roles.ROOT]
    if data is None or data in {before, ours}:
        return False
    try:
        return _anchored(trusted, ours).update_root(data).version > trusted.root.version
    except VerificationError:
        if before is not None:
            return True
    _anchored(trusted, data).update_root(ours)
    return False


def _timestamp_moved(repository: Repository, trusted: TrustedMetadata, before: bytes | None) -> bool:
    """Tell whether another process has stored a newer timestamp meanwhile (rule 5)."""
    data = repository.cache.load(roles.TIMESTAMP)
    if data is None or data == before or roles.TIMESTAMP not in trusted.files:
        return False
    try:
        theirs = _anchored(trusted, trusted.files[roles.ROOT]).update_timestamp(data)
    except VerificationError:
        return False
    return theirs.version > trusted.timestamp.version


def _anchored(trusted: TrustedMetadata, root: bytes) -> TrustedMetadata:
    other = type(trusted)(trusted.gun, trusted.now, limits=trusted.limits)
    other.first_root(root)
    return other


def _gone(trusted: TrustedMetadata, cached: Iterable[str]) -> list[str]:
    """Return the cached delegations that no longer exist (rule 7)."""
    known = trusted.targets
    below = [role for role in cached if role not in roles.BASE_ROLES and roles.parent(role) in known]
    return [role for role in below if known[roles.parent(role)].delegation(role) is None]
