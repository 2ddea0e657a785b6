"""Signers: who may sign a repository's tags, added and removed without breaking what is signed.

What it is: what `delegate` and `signer` want to be true, and `delegate purge`, which takes one key out of
every delegation: it was stolen, or its owner left. What it is not: how it is published (`pipeline`); and root
and targets keys are rotated, not purged.

Rules:

1. A signer gets the role `targets/NAME`, and is added to `targets/releases`, where released tags are listed,
   unless asked otherwise.
2. A repository without trust data is initialised in the same publish.
3. Removing keys leaves no file that its readers can no longer verify: such a file is signed again by another
   key that is here, or nothing is changed unless forced.
4. A purged key leaves every delegation that lists it, nested ones included. A signer that has no other key
   leaves with it; `targets/releases` stays, even without keys.
5. As when a signer is removed, no file is left that nobody can verify: another key that is here signs it
   again, or nothing is changed unless forced. A file of the signer who leaves goes with the signer.
6. Delegations below files that the keys here cannot sign are left and named; if there are only such ones, it
   is an error.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.client.publish.initialise import Wanted, additions, initialise
from notarypy.client.publish.pipeline import publisher_for
from notarypy.client.publish.signing import no_signer
from notarypy.client.results import PurgedKey, SignerAdded, SignerRemoved
from notarypy.errors import Advice, AlreadyExistsError, InvalidNameError, KeyNotAuthorisedError
from notarypy.tuf import roles
from notarypy.tuf.changes import Change, RemoveDelegation, RemoveKeys, Resign, State, apply_all
from notarypy.tuf.envelope import Envelope, valid_keys
from notarypy.tuf.keys import meets
from notarypy.tuf.plan import require_signable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
_SHORT = 7


def add(
    session: Session,
    name: str,
    repository: str,
    keys: Sequence[bytes],
    *,
    paths: Sequence[str] = ("",),
    releases: bool = True,
) -> SignerAdded:
    """Let the holders of keys sign, and say so if that lets them do more than it may seem (rules 1 and 2)."""
    role = roles.signer_role(name)
    public = session.public_keys(keys)
    changes = additions(role, public, paths, releases=releases)
    if releases and "" not in paths:
        session.warn(
            f"{name} is limited by those who look at signers only: its key is in targets/releases too, "
            "whose paths cover every tag; --no-releases keeps it out"
        )
    publisher = publisher_for(session, repository)
    ids, gun = tuple(key.canonical_id for key in public), publisher.repository.gun
    _LOG.debug("%s: %s gets the keys %s", gun, role, ids)
    if publisher.repository.cache.load_root() is None:
        with suppress(AlreadyExistsError):
            created = initialise(publisher, session.keys(), Wanted(changes=changes))
            if created.created:
                return SignerAdded(gun, role, ids, created, published=True)
    done = publisher.publish(lambda _: changes)
    return SignerAdded(gun, role, ids, None, published=done.uploaded)


def remove_signer(
    session: Session, name: str, repository: str, *, key: str | None, force: bool
) -> SignerRemoved:
    """Remove a signer, or the key whose id begins with `key`, and keep every tag readable (rule 3)."""
    publisher, role = publisher_for(session, repository), roles.signer_role(name)
    outcome: list[SignerRemoved] = []

    def edit(state: State) -> Sequence[Change]:
        if outcome and _gone(state, role, key):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        mended = _mend(state, _removals(state, role, key), publisher.keys.available, role)
        if mended.lost and not force:
            # Whoever may not do it at all is not asked whether it should be done.
            require_signable(state, roles.parent(role), publisher.available(state))
            raise _would_break(state, roles.signer_name(role), mended)
        found = (mended.resigned, mended.kept, mended.lost, mended.needed)
        outcome[:] = [SignerRemoved(state.gun, role, *found)]
        return mended.changes

    publisher.publish(edit)
    return outcome[-1]


@dataclass(frozen=True)
class _Mended:
    """Removals with what keeps their readers reading (rule 3).

    The files of roles that are `resigned` are signed again by keys here, and their tags `kept`; nobody can
    verify those of the roles that are `lost`, until one of the signers in `needed` signs again.
    """

    changes: tuple[Change, ...]
    resigned: tuple[str, ...]
    kept: tuple[str, ...]
    lost: tuple[str, ...]
    needed: tuple[str, ...]


def _mend(state: State, changes: Sequence[Change], available: Collection[str], gone: str = "") -> _Mended:
    """Return removals with the files to sign again for them; `gone` is who cannot do it himself (rule 3)."""
    after = apply_all(state, changes)
    broken = _broken(after)
    resigned = tuple(name for name in broken if after.signable(name, available))
    kept = sorted({tag for name in resigned for tag in after.targets[name].targets})
    lost = [name for name in broken if name not in resigned]
    releases = state.targets.get(roles.RELEASES)
    if releases and releases.targets and roles.RELEASES not in after.targets:
        lost.append(roles.RELEASES)  # it goes away as a whole, with tags in it
    others = [one.name for one in after.targets[roles.TARGETS].roles if one.keyids]
    needed = tuple(roles.signer_name(name) for name in others if name not in {gone, roles.RELEASES})
    _LOG.debug("%s: signed again by keys here: %s; nobody could verify: %s", state.gun, resigned, lost)
    return _Mended((*changes, *map(Resign, resigned)), resigned, tuple(kept), tuple(lost), needed)


def _removals(state: State, role: str, key: str | None) -> list[Change]:
    delegation = state.delegation(role)
    if delegation is None:
        raise no_signer(state, roles.signer_name(role))
    listed = [entry.canonical_id for entry in state.keys_for(role)[0]]
    gone = frozenset(keyid for keyid in listed if key is None or keyid.startswith(key))
    if key is not None and len(gone) != 1:
        raise InvalidNameError(
            f'"{key}" is not one key of {role}', why=f"its keys: {', '.join(listed) or 'none'}", role=role
        )
    changes: list[Change] = []
    first_level = roles.parent(role) == roles.TARGETS
    if first_level and state.delegation(roles.RELEASES) is not None and role != roles.RELEASES:
        changes.append(RemoveKeys(roles.RELEASES, gone - _used_elsewhere(state, role)))
    changes.append(RemoveDelegation(role) if key is None else RemoveKeys(role, gone))
    return changes


def _gone(state: State, role: str, key: str | None) -> bool:
    if state.delegation(role) is None:
        return True
    listed = [entry.canonical_id for entry in state.keys_for(role)[0]]
    return key is not None and not any(keyid.startswith(key) for keyid in listed)


def _used_elsewhere(state: State, role: str) -> frozenset[str]:
    """Return the keys that another signer has too: those stay in releases."""
    names = {entry.name for entry in state.targets[roles.parent(role)].roles} - {role, roles.RELEASES}
    return frozenset(key.canonical_id for name in names for key in state.keys_for(name)[0])


def _broken(after: State) -> list[str]:
    broken = []
    for role in after.targets:
        if role in {*roles.BASE_ROLES} or role not in after.published:
            continue
        keys, threshold = after.keys_for(role)
        table = {key.keyid: key for key in keys}
        file = Envelope.parse(after.published[role], role, after.limits)
        if not meets(valid_keys(file, table, table), threshold):
            broken.append(role)
    return broken


def _would_break(state: State, who: str, mended: _Mended) -> KeyNotAuthorisedError:
    """Return the refusal to leave files that nobody can verify."""
    tags = sorted({tag for name in mended.lost for tag in state.targets[name].targets})
    left = ", ".join(mended.needed) or "nobody: this is the last signer"
    gone = roles.RELEASES in mended.lost and who == roles.signer_name(roles.RELEASES)
    return KeyNotAuthorisedError(
        f"without {who} nobody could verify {', '.join(mended.lost)} of {state.gun}",
        why=(
            "it would be gone" if gone else "no other key of it is here",
            f"its tags: {', '.join(tags) or 'none'}",
            f"who can sign it again: {left}",
        ),
        advice=Advice("force-or-sign-again"),
        roles=list(mended.lost),
        tags=tags,
        needed=list(mended.needed),
    )


def purge(session: Session, key: str, repository: str, *, force: bool) -> PurgedKey:
    """Remove the key whose id begins with `key` from all delegations (rules 4 to 6)."""
    session.whole_repository(repository)
    publisher = publisher_for(session, repository)
    outcome: list[PurgedKey] = []

    def edit(state: State) -> Sequence[Change]:
        if outcome and not _listing(state, outcome[-1].key):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        keyid = _one_key(state, key)
        listing = _listing(state, keyid)
        editable = [role for role in listing if state.signable(roles.parent(role), publisher.keys.available)]
        if not editable:
            raise _not_ours(state, keyid, listing)
        changes = [_removal(state, role, keyid) for role in editable]
        mended = _mend(state, changes, publisher.keys.available)
        if mended.lost and not force:
            raise _would_break(state, f"key {keyid[:_SHORT]}", mended)
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
                needed=mended.needed,
            )
        ]
        return mended.changes

    publisher.publish(edit)
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
