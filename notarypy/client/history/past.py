"""The files of a repository as they were: fetched by number and by hash, each once, and verified.

What it is: for one version of the timestamp after the other all that it named, under the root of its time.
What it is not: what is different (`tuf.differences`), or when it was.

Rules:

1. Everything is verified as `TrustedMetadata` does it, but for dates, by the root that the snapshot of that
   time names. That root is one that the trusted root of today vouches for (`tuf.earlier`).
2. Each file of each version is asked for once, and only those that are other ones than before; those of today
   are there already. Small ones of the next versions are fetched several at a time, ahead; large ones one by
   one.
3. What the server does not have is no error here: who asks is told so, and goes on. That a server cannot be
   reached is one.
4. At most three states of the repository are in memory, one of them today's, and what was fetched ahead.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from notarypy.client import workers
from notarypy.errors import (
    NotFoundError,
    OperationError,
    ResponseLimitError,
    ServerError,
    TrustError,
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.earlier import earlier_root
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.metadata import Snapshot, Timestamp
from notarypy.tuf.trusted import TrustedMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.workers import Outcome
    from notarypy.tuf.fields import MetaFile

_File = TypeVar("_File", Timestamp, Snapshot)
_SMALL = 1 << 20
_AHEAD = 16 << 20
_FAILED = 500  # what databases of Notary servers make of a file that is not there


class MissingFileError(Exception):
    """The server does not give a file that it once published."""


class PastMetadata(TrustedMetadata):
    """Everything of one moment in the past, verified in all but its dates: nobody looks at them (rule 1)."""

    def _require_date(self, role: str, expires: datetime) -> None:
        pass

    def _require_final_root(self) -> None:
        pass


class PastRoots:
    """The roots of a repository, from the trusted one backwards as far as they are wanted (rule 1)."""

    def __init__(self, repository: Repository, trusted: TrustedMetadata) -> None:
        """Begin with the trusted one."""
        self._repository = repository
        data = trusted.files[roles.ROOT]
        self._known = {trusted.root.version: data}
        self._next = trusted.root.version - 1
        self._left = repository.limits.root_versions
        self.problem: TrustError | None = None

    def find(self, named: MetaFile) -> bytes:
        """Return the root that a snapshot names; VerificationError: none that can be relied on is that."""
        found = next((data for data in self._known.values() if named.matches(data)), None)
        while found is None and self.problem is None and self._next > 0:
            data = self._step()
            found = data if data is not None and named.matches(data) else None
        if found is None:
            why = (self.problem.message, *self.problem.why) if self.problem else ()
            raise VerificationError("no root that can be relied on is the one it names", why=why)
        return found

    def between(self, low: int, high: int) -> list[bytes]:
        """Return the roots above one version and up to another, oldest first."""
        return [self._known[number] for number in sorted(self._known) if low < number <= high]

    def _step(self) -> bytes | None:
        """Take one more root, if the oldest so far vouches for it."""
        number, repository = self._next, self._repository
        self._next, self._left = number - 1, self._left - 1
        try:
            if self._left < 0:
                raise VerificationError("too many roots came after it")
            data = given(partial(repository.fetch_version, roles.ROOT, number))
            earlier_root(repository.gun, self._known[min(self._known)], data, repository.limits)
        except MissingFileError:
            return None
        except TrustError as error:
            self.problem = error
            return None
        self._known[number] = data
        return data


class Past:
    """One version after the other, oldest first; `roots` is where their roots are from."""

    def __init__(self, repository: Repository, trusted: TrustedMetadata, only: str | None) -> None:
        """Read a repository's past; `only` is the one role that is of interest, None for all."""
        self.repository, self._only = repository, only
        self.roots = PastRoots(repository, trusted)
        self._last: dict[str, bytes] = {}
        meta = {**trusted.snapshot.meta, roles.SNAPSHOT: trusted.timestamp.snapshot}
        keys = {role: meta[role].sha256 for role in trusted.files if role in meta}
        keys[roles.TIMESTAMP] = str(trusted.timestamp.version)
        self._present = {(role, key): trusted.files[role] for role, key in keys.items()}
        self._ahead: dict[tuple[str, str], Outcome[bytes]] = {}

    def look_ahead(self, versions: Sequence[int]) -> None:
        """Fetch what can be fetched of these versions of the timestamp before it is needed (rule 2)."""
        self._ahead = {}
        self._fetch({(roles.TIMESTAMP, str(number)): self._numbered(number) for number in versions})
        named = [(roles.SNAPSHOT, each.snapshot) for each in self._at_hand(roles.TIMESTAMP, Timestamp)]
        self._fetch(self._small(named))
        listed = [
            (role, meta)
            for snapshot in self._at_hand(roles.SNAPSHOT, Snapshot)
            for role, meta in snapshot.meta.items()
            if self._is_wanted(role) and not snapshot.unusable(role)
        ]
        self._fetch(self._small(listed))

    def at(self, version: int) -> PastMetadata:
        """Return the verified state that a version of the timestamp stands for.

        MissingFileError: the server does not have all of it. TrustError: it does not hold.
        """
        repository = self.repository
        stamp = self._got((roles.TIMESTAMP, str(version)), self._numbered(version))
        past = PastMetadata(repository.gun, repository.now, limits=repository.limits)
        timestamp = self._read(stamp, roles.TIMESTAMP, Timestamp)
        if timestamp.version != version:
            raise VerificationError(f"it is version {timestamp.version}", role=roles.TIMESTAMP)
        data = self._file(roles.SNAPSHOT, timestamp.snapshot)
        timestamp.snapshot.check(data, roles.SNAPSHOT)
        snapshot = self._read(data, roles.SNAPSHOT, Snapshot)
        past.first_root(self.roots.find(snapshot.meta[roles.ROOT]))
        past.update_timestamp(stamp)
        past.update_snapshot(data)
        if self._is_wanted(roles.TARGETS):
            self._targets(past)
        return past

    def _targets(self, past: PastMetadata) -> None:
        meta = past.snapshot.meta
        past.update_targets(self._file(roles.TARGETS, meta[roles.TARGETS]))
        while (role := past.pending()) is not None:
            if not self._is_wanted(role):
                past.skip_delegation(role, VerificationError("it was not asked for", role=role))
                continue
            try:
                past.update_delegation(role, self._file(role, meta[role]))
            except (VerificationError, MissingFileError) as error:
                text = f"{role} cannot be read as it was"
                past.skip_delegation(role, VerificationError(text, why=str(error), role=role))
        self._last = {role: data for role, data in self._last.items() if role in {*meta, roles.SNAPSHOT}}

    def _is_wanted(self, role: str) -> bool:
        """Tell whether a file says anything of the role of interest: it is its own, or that of one above."""
        if role == roles.ROOT:  # they come one by one (`PastRoots`)
            return False
        return self._only is None or role == self._only or self._only.startswith(f"{role}/")

    def _read(self, data: bytes, role: str, kind: type[_File]) -> _File:
        return kind.from_signed(Envelope.parse(data, role, self.repository.limits).signed)

    def _at_hand(self, role: str, kind: type[_File]) -> list[_File]:
        """Return what was fetched ahead of a role and can be read; nothing of it is verified."""
        found = []
        for (name, _), outcome in self._ahead.items():
            if name == role and outcome.error is None:
                with suppress(TrustError):
                    found.append(self._read(outcome.get(), role, kind))
        return found

    def _file(self, role: str, meta: MetaFile) -> bytes:
        """Return the file with this hash: the last one, one that was fetched ahead, or the server's."""
        last = self._last.get(role)
        if last is not None and meta.matches(last):
            return last
        self._last[role] = data = self._got((role, meta.sha256), self._hashed(role, meta))
        return data

    def _got(self, key: tuple[str, str], call: Callable[[], bytes]) -> bytes:
        if (data := self._present.get(key)) is not None:
            return data
        ahead = self._ahead.pop(key, None)
        return call() if ahead is None else ahead.get()

    def _small(self, wanted: Iterable[tuple[str, MetaFile]]) -> dict[tuple[str, str], Callable[[], bytes]]:
        """Return how to fetch small files by hash, each once, as long as they fit (rule 2)."""
        left = _AHEAD
        chosen: dict[tuple[str, str], Callable[[], bytes]] = {}
        for role, meta in wanted:
            last = self._last.get(role)
            if meta.length > min(_SMALL, left) or (last is not None and meta.matches(last)):
                continue
            if (role, meta.sha256) not in chosen:
                left -= meta.length
                chosen[role, meta.sha256] = self._hashed(role, meta)
        return chosen

    def _fetch(self, calls: Mapping[tuple[str, str], Callable[[], bytes]]) -> None:
        """Make calls several at a time; what fails is told when its turn comes, unless nobody is there."""
        wanted = {key: call for key, call in calls.items() if key not in self._present}
        for key, outcome in zip(wanted, workers.outcomes(list(wanted.values())), strict=True):
            if isinstance(outcome.error, OperationError):
                outcome.get()
            self._ahead[key] = outcome

    def _numbered(self, version: int) -> Callable[[], bytes]:
        return partial(given, partial(self.repository.fetch_version, roles.TIMESTAMP, version))

    def _hashed(self, role: str, meta: MetaFile) -> Callable[[], bytes]:
        return partial(given, partial(self.repository.fetch_by_hash, role, meta.sha256, meta.length))


def given(fetch: Callable[[], bytes | None]) -> bytes:
    """Return what is fetched; raise MissingFileError if the server does not have it (rule 3)."""
    try:
        data = fetch()
    except NotFoundError:
        data = None
    except ResponseLimitError as error:
        raise VerificationError("the server sends more than was published", why=error.message) from None
    except ServerError as error:
        if error.facts.get("status") != _FAILED:
            raise
        raise MissingFileError("the server failed to give it") from None
    if data is None:
        raise MissingFileError("the server no longer has it")
    return data
