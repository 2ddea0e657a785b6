"""What publishing again would do that somebody has to agree to: what the server loses, whose keys come.

What it is: the server's files beside those that are known here. What it is not: sending (`republishing`).

Rules:

1. The server's files are verified under its own root, which is linked to ours. What cannot be verified counts
   as lost: what it says nobody knows.
2. Lost is what they list and ours do not, or otherwise, of files that ours would replace. Whether ours
   removed it, or never knew it, nobody can tell.
3. A file that is newer than ours is not replaced: that is an alarm.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.client.metadata.lenientrefresh import OutdatedMetadata, refresh_outdated
from notarypy.client.metadata.refresh import Refresh, refresh
from notarypy.errors import (
    Advice,
    ConfirmationNeededError,
    NothingThereError,
    RollbackError,
    UnreachableError,
    VerificationError,
    beginning,
)
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import roles
from notarypy.tuf.differences import of_targets
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.envelope import Envelope
    from notarypy.tuf.metadata import Snapshot
    from notarypy.tuf.trusted import TrustedMetadata

SHOWN = 100
OF_SERVER = (roles.ROOT, roles.TIMESTAMP, roles.SNAPSHOT)


@dataclass
class RepublishPlan:
    """What somebody has to agree to before trust data is published again.

    The server has what is `lost` then. The next root names `server_keys`, by role, which the server offers.
    """

    repository: str
    server: str
    lost: tuple[str, ...]
    server_keys: Mapping[str, str]

    def lines(self) -> tuple[str, ...]:
        """Say it for people."""
        lines = []
        if self.lost:
            lines = [f"{self.server} has what is not known here of {self.repository}, and loses it:"]
            lines += [f"  {line}" for line in beginning(self.lost, SHOWN)]
        if self.server_keys:
            lines += [f"a new root of {self.repository} names keys that {self.server} offers:"]
            lines += [f"  {role}: {keyid}" for role, keyid in sorted(self.server_keys.items())]
        return tuple(lines)

    def require_agreed(self, agree: Agree | None) -> None:
        """Raise ConfirmationNeededError unless somebody agrees to what there is to agree to."""
        if not (self.lost or self.server_keys):
            return
        if agree is None:
            raise ConfirmationNeededError(
                f"somebody has to agree to how {self.repository} is published again",
                why=self.lines(),
                advice=Advice("add-yes"),
                lost=list(self.lost),
                server_keys=dict(self.server_keys),
            )
        if not agree(self):
            raise ConfirmationNeededError("nothing was published", why="the answer was not yes")


Agree = Callable[[RepublishPlan], bool]
"""Tells whether somebody agrees to a plan."""


def held_files(repository: Repository) -> TrustedMetadata:
    """Return what is known here, verified under the root that is trusted now."""
    try:
        return refresh(replace(repository, server=None), None, _HeldRefresh)
    except UnreachableError:
        raise nothing_here(repository, "not all") from None


def nothing_here(repository: Repository, what: str) -> NothingThereError:
    """Return the error for a repository of which nothing, or not all, is known here."""
    return NothingThereError(
        f"{what} of {repository.gun} is known here, so it cannot be published again",
        advice=Advice("republish-elsewhere"),
        gun=repository.gun,
    )


class _HeldMetadata(OutdatedMetadata):
    """What the cache holds under the root that is trusted now, whose server keys may be others."""

    def outdated_root(self) -> None:
        """Return none: the cached snapshot may name the root before."""

    def _base_file(self, data: bytes, role: str) -> Envelope:
        return self._parse(data, role) if role in OF_SERVER else super()._base_file(data, role)


class _HeldRefresh(Refresh):
    kind = _HeldMetadata

    def _persist(self) -> None:
        """Store nothing: this is what is stored."""

    def _warn_of_dates(self) -> None:
        """Say nothing: the server refuses what has ended."""


def look(
    repository: Repository, held: TrustedMetadata, root: bytes, files: Mapping[str, bytes], *, over: bool
) -> tuple[tuple[str, ...], Snapshot | None]:
    """Return what the server loses by files of ours, and its snapshot.

    RollbackError: it has a newer file, or would lose something and `over` does not allow that.
    """
    with tempfile.TemporaryDirectory() as scratch:
        cache = TrustDirectory(Path(scratch), repository.limits).repository(repository.gun)
        stranger = replace(repository, cache=cache, warn=lambda _: None)
        try:
            theirs = refresh_outdated(stranger, {roles.ROOT: root})
        except VerificationError as error:
            lost: tuple[str, ...] = (f"what nobody can verify: {error.message}",)
            snapshot = None
        else:
            lost, snapshot = tuple(_lost(held, theirs, files)), theirs.snapshot
    if lost and not over:
        raise RollbackError(
            f"{repository.server_url} has what is not known here of {repository.gun}, and would lose it",
            why=beginning(lost, SHOWN),
            advice=Advice("republish-over", gun=repository.gun),
            lost=list(lost),
        )
    return lost, snapshot


def _lost(held: TrustedMetadata, theirs: TrustedMetadata, files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what the server would lose (rules 2 and 3)."""
    for role in files.keys() & theirs.targets.keys():
        there, here = theirs.targets[role].version, held.targets[role].version
        if there > here:
            raise another_file(held.gun, role, f"it has version {there}, and the one here is {here}")
    known = {role: (theirs.files[role], file) for role, file in theirs.targets.items()}
    for change in of_targets(known, held):
        role = change.role
        while role not in held.files:
            role = roles.parent(role)
        if role in files and change.before is not None:
            what, ours = change.kind.split("-")[0], change.after or "nothing"
            yield f"{change.role}: {what} {change.name}: {change.before}, and {ours} here"


def another_file(gun: str, role: str, why: str) -> RollbackError:
    """Return the alarm for a file that somebody signed beside ours."""
    return RollbackError(
        f"the server has another {role} of {gun} than the one known here",
        why=f"{why}: somebody published after the server lost it",
        advice=Advice("sign-over"),
        role=role,
    )
