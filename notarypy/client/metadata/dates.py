"""When the roles of a repository end, whether they are due, and whose keys could sign them again.

What it is: verified metadata as dates, and what people are warned of. What it is not: a judge; what is out of
date is refused by `tuf.trusted`, and read all the same by `lenientrefresh`.

Rules:

1. The root ends with its file or with the certificates that it takes to meet its threshold, whichever is
   earlier.
2. A role is due when it ends within the window. What a server signs is renewed by the server: its timestamp,
   and a snapshot whose key is not here, are due only when they are over. In an archive nobody renews them.
3. A delegation whose keys cannot reach its threshold, for some of them cannot be used, has a problem, whether
   it has published anything or not.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notarypy.client.verdicts import RoleEntry, RoleStatus, RoleVersion
from notarypy.tuf import certificates, policy, roles
from notarypy.tuf.envelope import too_few_usable
from notarypy.tuf.keys import meets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.metadata import Delegation, Root, Snapshot, Targets, Timestamp
    from notarypy.tuf.trusted import TrustedMetadata

_WARN_BEFORE = timedelta(days=180)
_SKEW = timedelta(minutes=5)


def role_entries(trusted: TrustedMetadata) -> Iterator[RoleEntry]:
    """Yield every role: the base roles, then all delegations below the files that loaded."""
    root, targets = trusted.root, trusted.targets[roles.TARGETS]
    files: list[Root | Targets | Snapshot | Timestamp] = [root, targets, trusted.snapshot, trusted.timestamp]
    for role, file in zip(roles.BASE_ROLES, files, strict=True):
        keys = tuple(key.canonical_id for key in root.signers(role))
        yield RoleEntry(role, file.version, file.expires, keys, root.roles[role].threshold, (), "")
    for above in trusted.targets:
        for delegation in trusted.targets[above].roles:
            yield _delegation_entry(trusted, above, delegation)


def _delegation_entry(trusted: TrustedMetadata, above: str, delegation: Delegation) -> RoleEntry:
    table = trusted.targets[above].keys
    file = trusted.targets.get(delegation.name)
    failure = trusted.failures.get(delegation.name)
    version, expires = (file.version, file.expires) if file else (None, None)
    keys = tuple(table[keyid].canonical_id for keyid in delegation.keyids)
    lines = [failure.message, *failure.why] if failure else []
    few = too_few_usable(*trusted.targets[above].signers(delegation.name))
    problem = "; ".join([*lines, *few])
    threshold, paths = delegation.threshold, delegation.paths
    return RoleEntry(delegation.name, version, expires, keys, threshold, paths, problem, not few)


def statuses(
    trusted: TrustedMetadata,
    available: Collection[str],
    within: timedelta,
    elsewhere: Callable[[str], bool] = lambda _: False,
    *,
    archived: bool = False,
) -> list[RoleStatus]:
    """Return every role with its date; `available` are canonical ids of the private keys here (rule 2).

    `elsewhere` tells which of these keys are only noted here.
    """
    found = []
    for entry in role_entries(trusted):
        expires = root_end(trusted) if entry.role == roles.ROOT else entry.expires
        here = tuple(keyid for keyid in entry.keys if keyid in available)
        by_server = entry.role == roles.TIMESTAMP or (
            entry.role == roles.SNAPSHOT and not meets(here, entry.threshold)
        )
        by_server = by_server and not archived
        found.append(
            RoleStatus(
                role=entry.role,
                version=entry.version,
                expires=expires,
                keys=entry.keys,
                threshold=entry.threshold,
                here=here,
                due=ended(expires, trusted.now + (timedelta() if by_server else within)),
                problem=entry.problem,
                usable=entry.usable,
                elsewhere=tuple(filter(elsewhere, here)),
                days_left=None if expires is None else (expires - trusted.now).days,
            )
        )
    return found


def file_ends(trusted: TrustedMetadata) -> dict[str, datetime]:
    """Return the date of each file that was loaded, by role."""
    ends = {role: targets.expires for role, targets in trusted.targets.items()}
    ends[roles.ROOT], ends[roles.SNAPSHOT] = trusted.root.expires, trusted.snapshot.expires
    return {**ends, roles.TIMESTAMP: trusted.timestamp.expires}


def role_ends(trusted: TrustedMetadata) -> dict[str, datetime]:
    """Return when each file that was loaded ends to count, by role, the root's certificates too (rule 1)."""
    return {**file_ends(trusted), roles.ROOT: root_end(trusted)}


def ages_reached(trusted: TrustedMetadata, most: policy.MaxAge) -> list[datetime]:
    """Return when files that are young enough now will be older than they may be (`tuf.policy`: 3)."""
    kinds = [(trusted.timestamp.expires, most.timestamp, most.timestamp_lifetime)]
    kinds += [(file.expires, most.signatures, most.signatures_lifetime) for file in trusted.targets.values()]
    return [
        expires - (lifetime - limit)
        for expires, limit, lifetime in kinds
        if limit is not None and limit < lifetime and expires - trusted.now > lifetime - limit
    ]


def relied_on(trusted: TrustedMetadata, tag: str, digest: str) -> tuple[RoleVersion, ...]:
    """Return the files that say which digest a tag has: the base roles, and all that list it."""
    ends, versions = file_ends(trusted), {role: file.version for role, file in trusted.targets.items()}
    versions[roles.ROOT], versions[roles.SNAPSHOT] = trusted.root.version, trusted.snapshot.version
    versions[roles.TIMESTAMP] = trusted.timestamp.version
    listing = [role for role, entry in policy.entries(trusted, tag) if entry.digest == digest]
    relied = dict.fromkeys((*roles.BASE_ROLES, *listing))
    return tuple(RoleVersion(role, versions[role], ends[role]) for role in relied)


def root_end(trusted: TrustedMetadata) -> datetime:
    """Return when a root ends (rule 1)."""
    root, gun = trusted.root, trusted.gun
    usable = [key for key in root.signers(roles.ROOT) if not certificates.problem(key, gun, None)]
    ends = sorted(map(certificates.expiry, usable), reverse=True)
    return min(root.expires, ends[root.roles[roles.ROOT].threshold - 1])


def ended(expires: datetime | None, now: datetime) -> bool:
    """Tell whether what has this date is over at a moment."""
    return expires is not None and expires <= now


def warn_of_expiry(trusted: TrustedMetadata, repository: Repository) -> None:
    """Warn about every role but the timestamp that ends within 180 days."""
    for role, expires in sorted(file_ends(trusted).items()):
        if role != roles.TIMESTAMP and expires - repository.now < _WARN_BEFORE:
            repository.warn(f"{role} of {repository.gun} expires on {expires:%Y-%m-%d}")


def warn_of_age(repository: Repository, expires: datetime) -> None:
    """Warn how old the trust data is, cached or of an archive, which is used without asking the server."""
    archive, where, confirmed, word = repository.archive, "offline", repository.cache.confirmed(), ""
    if archive is not None:
        where, confirmed, word = archive.path, archive.exported, ", as the archive says"
    repository.warn(
        f"{where}: the trust data of {repository.gun} {_age(confirmed, repository.now)}{word}; "
        f"what changed since is not known, and it ends on {expires:%Y-%m-%d}"
    )


def _age(confirmed: datetime | None, now: datetime) -> str:
    if confirmed is None:
        return "is of unknown age"
    since = f"is as of {confirmed:%Y-%m-%d %H:%M}Z"
    if confirmed > now + _SKEW:
        return f"{since}, which this machine's clock says is still to come"
    if (age := now - confirmed) < timedelta(hours=1):
        return since
    unit, count = ("day", age.days) if age.days else ("hour", age.seconds // 3600)
    return f"{since}, {count} {unit}{'' if count == 1 else 's'} ago"
