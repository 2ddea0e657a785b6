"""What to sign for a changed state: versions, dates, and with which keys.

What it is: drafts of files, as values. What it is not: signing; no private key, no disk, no clock but the
moment handed in.

Rules:

1. Every dirty file gets the version after the published one, and a full lifetime.
2. A file is signed by every key of its role that is here, and by at least the threshold; otherwise nothing
   at all is signed. In a partial state others add their signatures, and none here is enough (`parts`).
3. Metadata that is not dirty is left as it is, byte for byte.
4. The snapshot is made here only where its key is here; else the server makes it. It lists what the last one
   listed, the new files, and no removed delegation; what is below a file that cannot be trusted now may
   still be needed, and stays.
5. Versions stop far below the limit that locks readers out.
6. A snapshot that is dirty by itself is made by whoever makes snapshots (rule 4).
7. A root is signed by its own root keys and, where those are new, by the ones before: each by its threshold,
   so that readers can follow. Keys of earlier versions that are asked for sign it too, where they are here.
8. What is published can be read: a file goes through the reader, under the reader's limits, before it is
   uploaded. Only a file that readers refuse already may be published again beyond them, for it may take
   several steps to make it small enough.
9. More signatures than readers look at are not made.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    KeyNotAuthorisedError,
    MetadataError,
    MetadataLimitError,
    UnreadableUpdateError,
    VerificationError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from notarypy.tuf.canonical import too_many
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.fields import MAX_VERSION, MetaFile, RoleKeys
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, meets, require_reachable
from notarypy.tuf.metadata import Root, Snapshot, Targets
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from notarypy.tuf.canonical import JsonObject
    from notarypy.tuf.changes import State

ROOT_LIFETIME = timedelta(days=10 * 365)
TARGETS_LIFETIME = timedelta(days=3 * 365)
LAST_VERSION = MAX_VERSION - 1024


@dataclass(frozen=True)
class Draft:
    """A file to sign: its role, its signed part, and the keys at hand that sign it."""

    role: str
    signed: JsonObject
    keys: tuple[PublicKey, ...]


def plan(state: State, now: datetime, available: Collection[str]) -> tuple[Draft, ...]:
    """Return a draft for every dirty root, targets file or delegation, parents first (rules 1, 2, 6 and 7).

    `available` are canonical ids of the private keys at hand; too few raise KeyNotAuthorisedError.
    """
    # Rule 3: nothing else is drafted.
    dirty = sorted(state.dirty - {roles.SNAPSHOT}, key=lambda role: (role.count("/"), role))
    return tuple(
        _root_draft(state, now, available) if role == roles.ROOT else _draft(state, role, now, available)
        for role in dirty
    )


def require_signable(state: State, role: str, available: Collection[str]) -> None:
    """Raise KeyNotAuthorisedError unless the keys at hand may sign a targets file or a delegation."""
    _usable(state, role, *state.keys_for(role), available)


def first_root(keys: Mapping[str, Sequence[PublicKey]], now: datetime, threshold: int = 1) -> Root:
    """Return a root to be signed first, from the keys of the four roles; `threshold` of its own sign it."""
    require_reachable(roles.ROOT, keys[roles.ROOT], threshold)
    table = {key.keyid: key for listed in keys.values() for key in listed}
    assigned = {role: RoleKeys(tuple(key.keyid for key in listed), 1) for role, listed in keys.items()}
    own = replace(assigned[roles.ROOT], threshold=threshold)
    return Root(0, now + ROOT_LIFETIME, table, {**assigned, roles.ROOT: own})


def snapshot_draft(
    root: Root, old: Snapshot | None, files: Mapping[str, bytes], state: State, now: datetime
) -> Draft:
    """Return the draft of a snapshot that is signed here, by the key of this root (rule 4).

    Args:
        root: The root whose snapshot key signs.
        old: The snapshot published last, None for the first one.
        files: The newly signed files by role, the root too when it is new.
        state: Tells which delegations still exist.
        now: The moment its lifetime begins.
    """
    kept = {} if old is None else dict(old.meta)
    meta = {**kept, **{role: MetaFile.of(data) for role, data in files.items()}}
    live = {name: entry for name, entry in meta.items() if _lives(state, name)}
    version = _next(roles.SNAPSHOT, old.version if old else 0)
    signed = Snapshot(version, now + TARGETS_LIFETIME, live).to_signed()
    return Draft(roles.SNAPSHOT, signed, root.signers(roles.SNAPSHOT))


def _lives(state: State, role: str) -> bool:
    if not roles.is_delegation(role):
        return role in roles.BASE_ROLES
    above = roles.parent(role)
    if above in state.targets:
        return state.delegation(role) is not None
    return _lives(state, above)


def _draft(state: State, role: str, now: datetime, available: Collection[str]) -> Draft:
    usable = _usable(state, role, *state.keys_for(role), available)
    old: Targets = state.targets[role]
    new = replace(old, version=_next(role, old.version), expires=now + TARGETS_LIFETIME)
    return Draft(role, new.to_signed(), usable[: max(state.limits.signatures, 1)])  # rule 9


def _root_draft(state: State, now: datetime, available: Collection[str]) -> Draft:
    signers: dict[str, PublicKey] = {}
    for root in (state.root, state.former or state.root):
        keys, threshold = root.signers(roles.ROOT), root.roles[roles.ROOT].threshold
        usable = _usable(state, roles.ROOT, keys, threshold, available)
        signers.update((key.keyid, key) for key in usable)
    signers.update((key.keyid, key) for key in state.earlier if key.canonical_id in available)
    root = replace(state.root, version=_next(roles.ROOT, state.root.version), expires=now + ROOT_LIFETIME)
    return Draft(roles.ROOT, root.to_signed(), tuple(signers.values()))


def _next(role: str, version: int) -> int:
    if version >= LAST_VERSION:  # rule 5
        text = f"{role} has reached version {version}; one more could lock its readers out for good"
        raise VerificationError(text, role=role)
    return version + 1


def _usable(
    state: State, role: str, keys: tuple[PublicKey, ...], threshold: int, available: Collection[str]
) -> tuple[PublicKey, ...]:
    """Return those keys of a role that are here; raise KeyNotAuthorisedError for too few (rule 2)."""
    usable = tuple(key for key in keys if key.canonical_id in available)
    if state.partial or meets((key.canonical_id for key in usable), threshold):
        return usable
    accepted = [key.canonical_id for key in keys]
    advice = Advice("load-base-key") if role in roles.BASE_ROLES else Advice("load-role-key", gun=state.gun)
    if usable or threshold > 1:
        advice = Advice("sign-in-parts")
    short = ", ".join(keyid[:SHORT_KEYID] for keyid in accepted) or "none: the role has no keys"
    raise KeyNotAuthorisedError(
        f"the keys here cannot sign {role} of {state.gun}",
        why=f"{threshold} of these must be here: {short}",
        advice=advice,
        role=role,
        accepted=accepted,
        threshold=threshold,
    )


def half_signable(state: State, listing: Collection[str], available: Collection[str]) -> list[str]:
    """Say which of these roles the keys at hand sign in part: others of theirs are needed, too."""
    found = []
    for role in listing:
        if role not in state.root.roles and state.delegation(role) is None:
            continue  # there is no such role
        keys, threshold = state.keys_for(role)
        here = {key.canonical_id for key in keys}.intersection(available)
        if here and not meets(here, threshold):
            found.append(f"{role} takes {threshold} signatures; of its keys here: {len(here)}")
    return found


def require_readable(
    gun: str,
    files: Mapping[str, bytes],
    ceiling: Callable[[str], int],
    limits: Limits = DEFAULT,
    published: Mapping[str, bytes] | None = None,
) -> list[MetadataError]:
    """Read finished files as readers will, each of at most `ceiling(role)` bytes (rule 8).

    Returns what they will still refuse of files that they refuse as they are `published`.

    Raises:
        UnreadableUpdateError: They would refuse one of them, and with it the repository.
    """
    still = []
    for role, data in files.items():
        most = min(ceiling(role), limits.delegation_bytes) if roles.is_delegation(role) else ceiling(role)
        error = _refusal(role, data, most, limits)
        if error is None:
            continue
        before = (published or {}).get(role)
        if before is None or _refusal(role, before, most, limits) is None:
            raise UnreadableUpdateError(
                f"{role} of {gun} would be refused by readers, so it is not published",
                why=(error.message, *error.why),
                advice=Advice("publish-less"),
                gun=gun,
                role=role,
            ) from error
        still.append(error)
    return still


def _refusal(role: str, data: bytes, most: int, limits: Limits) -> MetadataError | None:
    try:
        _read(role, data, most, limits)
    except MetadataError as error:
        return error
    return None


def _read(role: str, data: bytes, most: int, limits: Limits) -> None:
    if len(data) > most:
        raise too_many(role, "bytes", len(data), most)
    signed = Envelope.parse(data, role, limits).signed
    if role == roles.ROOT:
        Root.from_signed(signed, limits)
    elif role == roles.SNAPSHOT:
        Snapshot.from_signed(signed)
    else:
        for delegation in Targets.from_signed(signed, role, limits).roles:
            if delegation.excess:
                raise MetadataLimitError(f"{role} is beyond a limit of readers", why=delegation.excess)
