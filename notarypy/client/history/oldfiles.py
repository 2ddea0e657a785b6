"""The files that a server once published: fetched by number and by hash, each once, several at a time.

What it is: what is at hand of the next versions of a repository, and how to get the rest. What it is not:
verified; whoever asks by hash may look whether that fits, and by number whoever likes to answers.

Rules:

1. Each file is asked for once, and those of today not at all. Files are fetched ahead, several at a time, as
   long as all that is held fits; large ones one by one.
2. What the server does not have is no error here: who asks is told so, and goes on. That a server cannot be
   reached is one.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

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
from notarypy.tuf.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.workers import Outcome
    from notarypy.tuf.fields import MetaFile
    from notarypy.tuf.trusted import TrustedMetadata

AHEAD = 16 << 20
_FAILED = 500  # what databases of Notary servers make of a file that is not there
_Key = tuple[str, str]  # a role, and the number or the hash of a file
_Numbered = tuple[str, int]


class MissingFileError(Exception):
    """The server does not give a file that it once published."""


class OldFiles:
    """Old files of one repository; `last` are those of the targets' roles that were asked for last."""

    def __init__(self, repository: Repository, trusted: TrustedMetadata) -> None:
        """Begin with the files of today."""
        self._repository = repository
        meta = {**trusted.snapshot.meta, roles.SNAPSHOT: trusted.timestamp.snapshot}
        keys = {role: meta[role].sha256 for role in trusted.files if role in meta}
        keys[roles.TIMESTAMP] = str(trusted.timestamp.version)
        self._present = {(role, key): trusted.files[role] for role, key in keys.items()}
        self._ahead: dict[_Key, Outcome[bytes]] = {}
        self._numbers: dict[_Key, int] = {}
        self.last: dict[str, bytes] = {}

    def drop(self) -> None:
        """Let go of what was fetched ahead."""
        self._ahead, self._numbers = {}, {}

    def numbered(self, role: str, number: int) -> bytes:
        """Return a version of a role's file; MissingFileError: the server does not have it."""
        return self._got((role, str(number)), self._numbered(role, number))

    def named(self, role: str, meta: MetaFile) -> bytes:
        """Return a role's file by its hash, which nobody has compared; MissingFileError as above."""
        last = self.last.get(role)
        if last is not None and meta.matches(last):
            return last
        data = self._got((role, meta.sha256), self._hashed(role, meta))
        if role != roles.SNAPSHOT:
            self.last[role] = data
        return data

    def fetch_numbered(
        self, wanted: Iterable[_Numbered], limits: Mapping[str, int] | None = None
    ) -> list[bytes]:
        """Fetch files by number, none longer than its role's limit; return those that are there."""
        most = limits or {}
        calls = {(role, str(number)): self._numbered(role, number, most.get(role)) for role, number in wanted}
        self._fetch(calls)
        return [each.get() for key in calls if (each := self._ahead.get(key)) is not None and not each.error]

    def fetch_named(self, wanted: Iterable[tuple[str, MetaFile]]) -> None:
        """Fetch files by hash as long as they fit (rule 1)."""
        left = AHEAD - sum(len(each.get()) for each in self._ahead.values() if each.error is None)
        chosen: dict[_Key, Callable[[], bytes]] = {}
        for role, meta in wanted:
            if "sha256" not in meta.hashes or meta.length > left or meta.matches(self.last.get(role, b"")):
                continue
            key = role, meta.sha256
            if not any(key in held for held in (chosen, self._ahead, self._present)):
                left -= meta.length
                chosen[key] = self._hashed(role, meta)
        self._fetch(chosen)

    def number(self, role: str, meta: MetaFile | None) -> int | None:
        """Return the version of the file with this hash, 0 for no file; None if it is not at hand."""
        if meta is None or "sha256" not in meta.hashes:
            return 0 if meta is None else None
        key = role, meta.sha256
        ahead = self._ahead.get(key)
        last = ahead.get() if ahead is not None and ahead.error is None else self.last.get(role)
        data = self._present.get(key, last)
        if key not in self._numbers and data is not None and meta.matches(data):
            with suppress(TrustError):
                version = Envelope.parse(data, role, self._repository.limits).signed.get("version")
                if isinstance(version, int):
                    self._numbers[key] = version
        return self._numbers.get(key)

    def _got(self, key: _Key, call: Callable[[], bytes]) -> bytes:
        if (data := self._present.get(key)) is not None:
            return data
        # a snapshot may be that of several timestamps
        ahead = self._ahead.get(key) if key[0] == roles.SNAPSHOT else self._ahead.pop(key, None)
        return call() if ahead is None else ahead.get()

    def _fetch(self, calls: Mapping[_Key, Callable[[], bytes]]) -> None:
        """Make calls several at a time; what fails is told when its turn comes, unless nobody is there."""
        wanted = {key: call for key, call in calls.items() if key not in self._present}
        for key, outcome in zip(wanted, workers.outcomes(list(wanted.values())), strict=True):
            if isinstance(outcome.error, OperationError):
                outcome.get()
            self._ahead[key] = outcome

    def _numbered(self, role: str, number: int, most: int | None = None) -> Callable[[], bytes]:
        repository, limit = self._repository, self._repository.ceiling(role)
        limit = limit if most is None else min(most, limit)
        return partial(given, lambda: repository.online().get_version(repository.gun, role, number, limit))

    def _hashed(self, role: str, meta: MetaFile) -> Callable[[], bytes]:
        return partial(given, partial(self._repository.fetch_by_hash, role, meta.sha256, meta.length))


def given(fetch: Callable[[], bytes | None]) -> bytes:
    """Return what is fetched; raise MissingFileError if the server does not have it (rule 2)."""
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
