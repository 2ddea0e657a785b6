"""What was seen before sets floors: versions that never fall, delegations that never hide.

What it is: the comparison of a newly verified file with the copy of it that was trusted earlier (rules 8 and
9 of `trusted`). What it is not: a reason to trust anything; a copy can only refuse.

Rules:

1. A copy counts only while one of the role's present keys signed it.
2. A copy that cannot be read sets no floor; its size and date do not matter.
3. Most files are newer than their copies: nothing else of those is looked at, and one valid signature is
   enough of a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from notarypy.errors import Advice, RollbackError, RootChangedError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.envelope import Envelope, VerificationBudget, signers

if TYPE_CHECKING:
    from notarypy.tuf.keys import KeyTable
    from notarypy.tuf.metadata import Root, Snapshot, Targets


class Floors:
    """The copies of one repository's files that were trusted before."""

    def __init__(self, seen: Mapping[str, bytes], limits: Limits = DEFAULT) -> None:
        """Remember where the copies are; they are read only when they are asked for."""
        self._seen, self._limits = seen, limits

    def require_version(
        self,
        file: Envelope,
        role: str,
        keys: KeyTable,
        keyids: Sequence[str],
        budget: VerificationBudget | None = None,
    ) -> None:
        """Raise RollbackError for a file below its copy's version, or another one of the same version."""
        if self._seen.get(role) == file.raw:
            return
        seen = self._envelope(role)
        if seen is None:
            return
        old, new = seen.signed.get("version"), file.signed["version"]
        if not isinstance(old, int) or new > old or not _signed(seen, keys, keyids, budget):  # rules 1 and 3
            return
        if new < old:
            raise rollback(role, new, old)
        if file.canonical != seen.canonical:
            why = f"version {new} twice"
            raise RollbackError(f"{role} changed without a new version", why=why, role=role)

    def require_listed(self, targets: Targets, snapshot: Snapshot, budget: VerificationBudget) -> None:
        """Raise RollbackError for a snapshot that hides a delegation of `targets` that was seen before."""
        for delegation in targets.roles:
            if delegation.name in snapshot.meta:
                continue
            seen = self._envelope(delegation.name)
            if seen is not None and _signed(seen, targets.keys, delegation.keyids, budget):  # rule 1
                text = f"the snapshot no longer lists {delegation.name}"
                why = "its file was seen before, and one of its present keys signed it"
                raise RollbackError(text, why=why, role=delegation.name)

    def _envelope(self, role: str) -> Envelope | None:
        """Return a copy that can be read (rule 2)."""
        data = self._seen.get(role)
        try:
            return None if data is None else Envelope.parse(data, role, self._limits)
        except VerificationError:
            return None


def _signed(seen: Envelope, keys: KeyTable, keyids: Sequence[str], budget: VerificationBudget | None) -> bool:
    return next(signers(seen, keys, keyids, budget), None) is not None


def rollback(role: str, offered: int, seen: int) -> RollbackError:
    """Return the error for a version below one that was seen before."""
    return RollbackError(
        f"the server offers an older {role} than before",
        why=f"version {offered}, seen before: {seen}",
        role=role,
        offered=offered,
        seen=seen,
    )


def root_changed(gun: str, trusted: Root, offered: Root) -> RootChangedError:
    """Return the alarm for a root that no chain of signatures leads to."""
    known, found = trusted.pins, offered.pins
    same = ("the same key made both: the repository was made anew",) if set(known) & set(found) else ()
    return RootChangedError(
        f"{gun} has another root than the one you trust",
        why=(
            f"trusted: {', '.join(known)} (version {trusted.version})",
            f"offered: {', '.join(found)} (version {offered.version}), not signed by the trusted one",
            *same,
            "this is what an attack looks like; a server reset or a second initialisation looks the same",
        ),
        advice=Advice("ask-owner-for-root", gun=gun),
        trusted=list(known),
        offered=list(found),
    )
