"""When the roles of a repository end, and whose keys could sign them again.

What it is: verified metadata as dates. What it is not: verification of images; dates are
let pass, so that there is something to see when they are over.

Rules:

1. The root ends with its file or with the certificates that it takes to meet its
   threshold, whichever is earlier.
2. A role is due when it ends within the window. What a server signs is renewed by the
   server: its timestamp, and a snapshot whose key is not here, are due only when they
   are over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from notarypy.client.inspect import role_entries
from notarypy.client.keyresults import RoleStatus
from notarypy.tuf import certificates, roles

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from notarypy.client.results import RoleEntry
    from notarypy.tuf.trusted import TrustedMetadata


def statuses(trusted: TrustedMetadata, held: Collection[str], within: timedelta) -> tuple[RoleStatus, ...]:
    """Return every role with its date.

    Args:
        trusted: The repository, verified in all but dates.
        held: Canonical ids of the private keys at hand.
        within: How far ahead of its end a role is due.
    """
    return tuple(_status(trusted, entry, held, within) for entry in role_entries(trusted))


def root_end(trusted: TrustedMetadata) -> datetime:
    """Return when a root ends (rule 1)."""
    root, gun = trusted.root, trusted.gun
    usable = [key for key in root.signers(roles.ROOT) if not certificates.problem(key, gun, None)]
    ends = sorted(map(certificates.expiry, usable), reverse=True)
    return min(root.expires, ends[root.roles[roles.ROOT].threshold - 1])


def _status(
    trusted: TrustedMetadata, entry: RoleEntry, held: Collection[str], within: timedelta
) -> RoleStatus:
    expires = root_end(trusted) if entry.role == roles.ROOT else entry.expires
    here = tuple(keyid for keyid in entry.keys if keyid in held)
    status = RoleStatus(
        role=entry.role,
        version=entry.version,
        expires=expires,
        keys=entry.keys,
        threshold=entry.threshold,
        here=here,
        due=False,
        problem=entry.problem,
    )
    return replace(status, due=_due(status, trusted.now, within))


def _due(status: RoleStatus, now: datetime, within: timedelta) -> bool:
    if status.expires is None:
        return False
    servers = status.role == roles.TIMESTAMP or (status.role == roles.SNAPSHOT and not status.signable)
    return status.expires <= (now if servers else now + within)
