"""Keep what was verified in the trust directory, whatever other processes keep there meanwhile.

What it is: the writing half of a refresh. What it is not: a judge of metadata; all
that comes here is verified.

Rules:

1. The cache is written under its lock, the timestamp last.
2. Nothing newer is overwritten: neither a root that the chain leads to from ours, nor a
   newer timestamp, nor an anchor that somebody replaced on purpose.
3. Two processes that meet a repository for the first time and are shown different
   roots cannot both be right: the second one is refused.
4. Files of delegations that no longer exist are dropped. Were they to return, it would
   be as new ones, and an old copy would raise a false alarm.
5. A directory that cannot be written is a warning: what was verified stays verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.errors import StorageError, VerificationError
from notarypy.tuf import roles
from notarypy.tuf.trusted import TrustedMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.client.metadata.repository import Repository

_LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Before:
    """The cached root and timestamp that a refresh began with; None where there was none."""

    root: bytes | None
    timestamp: bytes | None


def keep(
    repository: Repository, trusted: TrustedMetadata, files: Mapping[str, bytes], before: Before
) -> None:
    """Write verified files to the cache (rules 1 to 5).

    Raises:
        RootChangedError: Another process met this repository for the first time with another root.
    """
    cache = repository.cache
    try:
        with cache.lock(_LOCK_SECONDS):
            if not _root_moved(repository, trusted, before) and not _timestamp_moved(
                repository, trusted, before
            ):
                cache.store(files)
                cache.drop(_gone(trusted, cache.cached()))
    except StorageError as error:
        repository.warn(f"the trust directory was not updated: {error.message}")


def _root_moved(repository: Repository, trusted: TrustedMetadata, before: Before) -> bool:
    """Tell whether another process has stored another root meanwhile (rules 2 and 3)."""
    data, ours = repository.cache.load_root(), trusted.files[roles.ROOT]
    if data is None or data in {before.root, ours}:
        return False
    try:
        return _anchored(trusted, ours).update_root(data).version > trusted.root.version
    except VerificationError:
        if before.root is not None:
            return True
    _anchored(trusted, data).update_root(ours)
    return False


def _timestamp_moved(repository: Repository, trusted: TrustedMetadata, before: Before) -> bool:
    """Tell whether another process has stored a newer timestamp meanwhile (rule 2)."""
    data = repository.cache.load(roles.TIMESTAMP)
    if data is None or data == before.timestamp or roles.TIMESTAMP not in trusted.files:
        return False
    try:
        theirs = _anchored(trusted, trusted.files[roles.ROOT]).update_timestamp(data)
    except VerificationError:
        return False
    return theirs.version > trusted.timestamp.version


def _anchored(trusted: TrustedMetadata, root: bytes) -> TrustedMetadata:
    other = TrustedMetadata(trusted.gun, trusted.now, limits=trusted.limits)
    other.first_root(root)
    return other


def _gone(trusted: TrustedMetadata, cached: Sequence[str]) -> list[str]:
    """Return the cached delegations that no longer exist (rule 4)."""
    known = trusted.targets
    below = [role for role in cached if role not in roles.BASE_ROLES and roles.parent(role) in known]
    return [role for role in below if known[roles.parent(role)].delegation(role) is None]
