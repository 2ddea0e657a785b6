"""What is said when metadata is refused: the longer errors of the state machine.

What it is: facts in, an error out. What it is not: a decision; `trusted` decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    ExpiredError,
    MetadataError,
    RootChangedError,
    RootNotPinnedError,
    VerificationError,
)
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from notarypy.tuf.metadata import Root


def not_pinned(gun: str, root: Root, reasons: Iterable[str]) -> RootNotPinnedError:
    """Return the error for a first root that the pins do not mean."""
    offered = root.roles[roles.ROOT].keyids
    return RootNotPinnedError(
        f"the root of {gun} is not a pinned one",
        why=(f"offered: {', '.join(offered)} (version {root.version})", *reasons),
        advice=Advice("compare-pin"),
        role=roles.ROOT,
        offered=list(offered),
    )


def root_changed(gun: str, trusted: Root, offered: Root) -> RootChangedError:
    """Return the alarm for a root that no chain of signatures leads to."""
    known, found = trusted.roles[roles.ROOT].keyids, offered.roles[roles.ROOT].keyids
    return RootChangedError(
        f"{gun} has another root than the one you trust",
        why=(
            f"trusted: {', '.join(known)} (version {trusted.version})",
            f"offered: {', '.join(found)} (version {offered.version}), not signed by the trusted one",
            "this is what an attack looks like; a server reset or a second initialisation looks the same",
        ),
        advice=Advice("ask-owner-for-root", gun=gun),
        trusted=list(known),
        offered=list(found),
    )


def expired(gun: str, role: str, expires: datetime) -> ExpiredError:
    """Return the error for a file that is past its date."""
    return ExpiredError(
        f"{gun} is expired: {role} ended on {expires:%Y-%m-%d %H:%M}Z",
        why="the server did not renew its timestamp"
        if role == roles.TIMESTAMP
        else "its signatures are valid",
        advice=Advice("check-clock") if role == roles.TIMESTAMP else Advice("sign-role-again", gun=gun),
        role=role,
        expires=expires.isoformat(),
    )


def beyond(gun: str, role: str) -> VerificationError:
    """Return the failure of a delegation that is one too many, or too deep."""
    return VerificationError(
        f"{gun} has too many delegations, or too deep ones", why=f"{role} is not looked at", role=role
    )


def too_much(gun: str, role: str, limit: int) -> MetadataError:
    """Return the error for a file that does not fit into memory together with those before it."""
    return MetadataError(
        f"the metadata of {gun} is too large",
        why=f"with {role} it would take more than {limit} bytes of memory",
        role=role,
    )
