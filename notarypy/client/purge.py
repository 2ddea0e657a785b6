"""Take one key out of every delegation of a repository: it was stolen, or its owner left.

What it is: what `delegate purge` wants to be true. What it is not: how it is published
(`publish`); and root and targets keys are rotated, not purged.

Rules:

1. The key leaves every delegation that lists it, nested ones included. A signer that
   has no other key leaves with it; `targets/releases` stays, even without keys.
2. As when a signer is removed, no file is left that nobody can verify: another key
   that is here signs it again, or nothing is changed unless forced. A file of the
   signer who leaves goes with the signer.
3. Delegations below files that the keys here cannot sign are left and named; if there
   are only such ones, it is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.delegate import mend, others, would_break
from notarypy.client.keyresults import PurgedKey
from notarypy.errors import Advice, InvalidNameError, KeyNotAuthorisedError
from notarypy.tuf import roles
from notarypy.tuf.changes import Change, RemoveDelegation, RemoveKeys, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.publish import Publisher

_SHORT = 7


def purge(publisher: Publisher, key: str, *, force: bool) -> PurgedKey:
    """Remove a key from all delegations (rules 1 to 3).

    Args:
        publisher: The repository and the keys at hand.
        key: The beginning of a canonical key id.
        force: Publish even if a file cannot be verified afterwards.

    Raises:
        InvalidNameError: No delegation has such a key, or it fits several.
        KeyNotAuthorisedError: The keys here may not remove it, or a file would lose its last valid signature.
    """
    outcome: list[PurgedKey] = []

    def wish(state: State) -> Sequence[Change]:
        if outcome and not _listing(state, outcome[-1].key):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        keyid = _one_key(state, key)
        listing = _listing(state, keyid)
        editable = [role for role in listing if state.signable(roles.parent(role), publisher.keys.held)]
        if not editable:
            raise _not_ours(state, keyid, listing)
        changes = [_removal(state, role, keyid) for role in editable]
        mended = mend(state, changes, publisher.keys.held)
        needed = others(mended.after, ())
        if mended.lost and not force:
            raise would_break(state, f"key {keyid[:_SHORT]}", mended.lost, needed)
        outcome[:] = [
            PurgedKey(
                repository=state.gun,
                key=keyid,
                roles=tuple(editable),
                left=tuple(role for role in listing if role not in editable),
                removed=tuple(change.role for change in changes if isinstance(change, RemoveDelegation)),
                resigned=mended.resigned,
                kept=mended.kept,
                unreadable=mended.lost,
                needed=tuple(needed),
            )
        ]
        return mended.changes

    publisher.publish(wish)
    return outcome[-1]


def _delegated(state: State) -> dict[str, tuple[str, ...]]:
    """Return every delegation with the canonical ids of its keys, those nearest to the top last."""
    listed = [entry.name for file in state.targets.values() for entry in file.roles]
    deepest_first = sorted(listed, key=lambda role: -role.count("/"))
    return {role: tuple(key.canonical_id for key in state.keys_for(role)[0]) for role in deepest_first}


def _listing(state: State, keyid: str) -> list[str]:
    return [role for role, keyids in _delegated(state).items() if keyid in keyids]


def _one_key(state: State, key: str) -> str:
    known = {keyid for keyids in _delegated(state).values() for keyid in keyids}
    found = sorted(keyid for keyid in known if keyid.startswith(key))
    if len(found) == 1 and len(key) >= _SHORT:
        return found[0]
    raise InvalidNameError(
        f'"{key}" is not one key of the delegations of {state.gun}',
        why=f"their keys: {', '.join(found or sorted(known)) or 'none'}",
        advice=Advice("list-delegation-keys", gun=state.gun),
    )


def _removal(state: State, role: str, keyid: str) -> RemoveDelegation | RemoveKeys:
    only = {key.canonical_id for key in state.keys_for(role)[0]} == {keyid}
    if only and role != roles.RELEASES:
        return RemoveDelegation(role)
    return RemoveKeys(role, frozenset({keyid}))


def _not_ours(state: State, keyid: str, listing: Sequence[str]) -> KeyNotAuthorisedError:
    above = sorted({roles.parent(role) for role in listing})
    return KeyNotAuthorisedError(
        f"the keys here cannot remove key {keyid[:_SHORT]} from {', '.join(listing)} of {state.gun}",
        why=f"this takes the keys of {', '.join(above)}",
        advice=Advice("import-role-keys"),
        roles=list(listing),
    )
