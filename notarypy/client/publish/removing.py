"""Signers and keys go: out of a repository's delegations, without breaking or vouching for what is signed.

What it is: what `delegate remove` and `signer remove` want to be true, of whole signers, keys or paths, and
`delegate purge`, which takes one key out of every delegation: it was stolen, or its owner left. What it is
not: how it is published (`pipeline`), or how signers come (`delegations`); and root and targets keys are
rotated, not purged.

Rules:

1. Removing keys leaves no file that its readers can no longer verify: such a file is signed again by another
   key that is here, or nothing is changed unless forced. A file of a signer who leaves goes with the signer.
2. A purged key leaves every delegation that lists it, nested ones included. A signer that has no other key
   leaves with it; `targets/releases` stays, even without keys.
3. Delegations below files that the keys here cannot sign are left and named; if there are only such ones, it
   is an error.
4. Nobody's signature takes the place of a removed one without a word. Whoever removes keys says what becomes
   of the tags that rest on them alone (`tuf.vouching`): they are kept, or revoked in the same publish, in
   every file that would list them. Where nothing rests on them there is nothing to say; a dry run names them.
5. Delegations in a file that rests on the removed keys are named too: nobody else made them.
6. A path goes as it was written. Tags that its role lists and may speak for no more are named; those that are
   released, and that nobody else vouches for, are kept or revoked as for a removed key.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists
from notarypy.client.publish.delegations import paths_left
from notarypy.client.publish.pipeline import Edit, publisher_for
from notarypy.client.publish.signing import no_signer
from notarypy.client.results import PurgedKey, SignerRemoved
from notarypy.errors import Advice, InvalidNameError, KeyNotAuthorisedError, UndecidedTagsError
from notarypy.tuf import roles
from notarypy.tuf.changes import (
    Change,
    RemoveDelegation,
    RemoveKeys,
    RemovePaths,
    RemoveTarget,
    Resign,
    State,
    apply_all,
)
from notarypy.tuf.keys import meets
from notarypy.tuf.plan import require_signable
from notarypy.tuf.vouching import RestingTag, outside, resting, signatures

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.client.parameters import RemovalOptions
    from notarypy.client.publish.pipeline import Publisher
    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
_SHORT = 7
_SHOWN = 20


def remove_signer(
    session: Session,
    name: str,
    repository: str,
    options: RemovalOptions,
    *,
    key: str | None = None,
    paths: Sequence[str] = (),
) -> SignerRemoved:
    """Remove a signer, or only the key whose id begins with `key`, or `paths` (rules 1 and 6)."""
    require_lists(paths=paths)
    publisher, role = publisher_for(session, repository), roles.signer_role(name)
    outcome: list[tuple[str, _Mended]] = []

    def edit(state: State) -> Sequence[Change]:
        if outcome and _gone(state, role, key, paths):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        mended = _mend(state, _removals(state, role, key, paths), publisher.keys.available, role)
        if mended.lost and not options.force:
            # Whoever may not do it at all is not asked whether it should be done.
            require_signable(state, roles.parent(role), publisher.available(state))
            raise _would_break(state, roles.signer_name(role), mended)
        outcome[:] = [(state.gun, mended)]
        return _decided(state, mended, options)

    published = _publish(publisher, edit, options)
    gun, mended = outcome[-1]
    revoked = options.tags == "revoke"
    _warn(session, gun, mended, revoked=revoked)
    left = paths_left(session, mended.after, role) if paths else mended.after.paths(role)
    found = (mended.resigned, mended.kept(revoked=revoked), mended.lost, mended.needed)
    named = (mended.resting, mended.outside)
    return SignerRemoved(gun, role, *found, *named, revoked=revoked, published=published, paths=left)


@dataclass(frozen=True)
class _Mended:
    """Removals with what keeps their readers reading (rule 1).

    The files of roles that are `resigned` are signed again by keys here; nobody can verify those of the roles
    that are `lost`, until one of the signers in `needed` signs again. Of the other files these tags are
    `resting` on what is removed, and so are `delegations` (rules 4 and 5); `outside` is that of rule 6.
    """

    changes: tuple[Change, ...]
    after: State
    resigned: tuple[str, ...]
    lost: tuple[str, ...]
    needed: tuple[str, ...]
    resting: tuple[RestingTag, ...]
    outside: tuple[RestingTag, ...]
    delegations: tuple[str, ...]

    @property
    def what(self) -> str:
        """What tags rest on that is removed."""
        return "paths" if any(isinstance(change, RemovePaths) for change in self.changes) else "keys"

    def kept(self, *, revoked: bool) -> tuple[str, ...]:
        """Return the tags that stay readable because their file is signed again."""
        left = {(one.role, one.tag) for one in self.resting} if revoked else set()
        listed = ((role, tag) for role in self.resigned for tag in self.after.targets[role].targets)
        return tuple(sorted({tag for role, tag in listed if (role, tag) not in left}))


def _mend(state: State, changes: Sequence[Change], available: Collection[str], gone: str = "") -> _Mended:
    """Return removals with the files to sign again for them; `gone` is who cannot do it himself (rule 1)."""
    after = apply_all(state, changes)
    signed = signatures(after)
    broken = [role for role, keys in sorted(signed.items()) if not meets(keys, after.keys_for(role)[1])]
    resigned = tuple(role for role in broken if after.signable(role, available))
    lost = [role for role in broken if role not in resigned]
    releases = state.targets.get(roles.RELEASES)
    if releases and releases.targets and roles.RELEASES not in after.targets:
        lost.append(roles.RELEASES)  # it goes away as a whole, with tags in it
    others = [one.name for one in after.targets[roles.TARGETS].roles if one.keyids]
    needed = tuple(roles.signer_name(name) for name in others if name not in {gone, roles.RELEASES})
    needed += _nameless(after) if roles.RELEASES in lost else ()
    found = tuple(one for one in resting(state, after, signed) if one.role not in lost)
    made = [entry.name for role in resigned if not signed[role] for entry in after.targets[role].roles]
    _LOG.debug("%s: signed again by keys here: %s; nobody could verify: %s", state.gun, resigned, lost)
    _LOG.debug("%s: on the removed keys alone rest %s and %s", state.gun, found, made)
    changed = (*changes, *map(Resign, resigned))
    return _Mended(changed, after, resigned, tuple(lost), needed, found, outside(state, after), tuple(made))


def _nameless(state: State) -> tuple[str, ...]:
    """Return the keys that release tags and are no signer's: Go notary's guides make such ones."""
    if state.delegation(roles.RELEASES) is None:
        return ()
    others = _used_elsewhere(state, roles.RELEASES)
    left = [key.canonical_id for key in state.keys_for(roles.RELEASES)[0] if key.canonical_id not in others]
    return tuple(f"whoever has key {keyid[:_SHORT]} of {roles.RELEASES}" for keyid in left)


def _decided(state: State, mended: _Mended, options: RemovalOptions) -> Sequence[Change]:
    """Return the changes, with what was decided of the tags that rest on removed keys (rule 4)."""
    if options.tags == "revoke":
        return (*mended.changes, *(RemoveTarget(one.role, one.tag) for one in mended.resting))
    if options.tags is None and mended.resting and not options.dry_run:
        tags = dict.fromkeys(one.tag for one in mended.resting)
        raise UndecidedTagsError(
            f"{len(tags)} tags of {state.gun} rest on the removed {mended.what} alone" if len(tags) > 1
            else f"tag {next(iter(tags))} of {state.gun} rests on the removed {mended.what} alone",
            why=(
                *map(str, mended.resting[:_SHOWN]),
                *([f"and {left} more"] if (left := len(mended.resting) - _SHOWN) > 0 else []),
                "nothing here shows that anybody else signed them; what earlier versions held is not known",
            ),
            advice=Advice("keep-or-revoke"),
            gun=state.gun,
            resting=[{"role": one.role, "tag": one.tag, "digest": one.digest} for one in mended.resting],
        )  # fmt: skip
    return mended.changes


def _publish(publisher: Publisher, edit: Edit, options: RemovalOptions) -> bool:
    return (publisher.preview(edit) if options.dry_run else publisher.publish(edit)).uploaded


def _warn(session: Session, gun: str, mended: _Mended, *, revoked: bool) -> None:
    """Say what else rests on the removed keys (rule 5), and which tag something else releases then."""
    if mended.delegations:
        names = ", ".join(mended.delegations)
        session.warn(
            f"{names} of {gun} stay, and nothing shows that another key than the removed one made them"
        )
    below = mended.after.targets[roles.TARGETS].targets
    if revoked and (found := [one.tag for one in mended.resting if one.tag in below]):
        session.warn(f"{', '.join(dict.fromkeys(found))} of {gun}: another digest in targets is released now")


def _removals(state: State, role: str, key: str | None, paths: Sequence[str]) -> list[Change]:
    delegation = state.delegation(role)
    if delegation is None:
        raise no_signer(state, roles.signer_name(role))
    changes: list[Change] = []
    if paths:
        if unknown := [path for path in paths if path not in delegation.paths]:
            why = f"its paths: {', '.join(map(_quoted, delegation.paths)) or 'none'}"
            raise InvalidNameError(f"{_quoted(unknown[0])} is no path of {role}", why=why, role=role)
        changes.append(RemovePaths(role, frozenset(paths)))
        if key is None:
            return changes
    listed = [entry.canonical_id for entry in state.keys_for(role)[0]]
    gone = frozenset(keyid for keyid in listed if key is None or keyid.startswith(key))
    if key is not None and len(gone) != 1:
        raise InvalidNameError(
            f'"{key}" is not one key of {role}', why=f"its keys: {', '.join(listed) or 'none'}", role=role
        )
    first_level = roles.parent(role) == roles.TARGETS
    if first_level and state.delegation(roles.RELEASES) is not None and role != roles.RELEASES:
        changes.append(RemoveKeys(roles.RELEASES, gone - _used_elsewhere(state, role)))
    changes.append(RemoveDelegation(role) if key is None else RemoveKeys(role, gone))
    return changes


def _quoted(path: str) -> str:
    return f'"{path}"' if path else '"", all tags'


def _gone(state: State, role: str, key: str | None, paths: Sequence[str]) -> bool:
    delegation = state.delegation(role)
    if delegation is None:
        return True
    if paths:
        return set(paths).isdisjoint(delegation.paths)
    listed = [entry.canonical_id for entry in state.keys_for(role)[0]]
    return key is not None and not any(keyid.startswith(key) for keyid in listed)


def _used_elsewhere(state: State, role: str) -> frozenset[str]:
    """Return the keys that another signer has too: those stay in releases."""
    names = {entry.name for entry in state.targets[roles.parent(role)].roles} - {role, roles.RELEASES}
    return frozenset(key.canonical_id for name in names for key in state.keys_for(name)[0])


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


def purge(session: Session, key: str, repository: str, options: RemovalOptions) -> PurgedKey:
    """Remove the key whose id begins with `key` from all delegations (rules 2 and 3)."""
    session.whole_repository(repository)
    publisher = publisher_for(session, repository)
    outcome: list[tuple[State, str, list[str], _Mended]] = []

    def edit(state: State) -> Sequence[Change]:
        if outcome and not _listing(state, outcome[-1][1]):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        keyid = _one_key(state, key)
        listing = _listing(state, keyid)
        editable = [role for role in listing if state.signable(roles.parent(role), publisher.keys.available)]
        if not editable:
            raise _not_ours(state, keyid, listing)
        mended = _mend(state, [_removal(state, role, keyid) for role in editable], publisher.keys.available)
        if mended.lost and not options.force:
            raise _would_break(state, f"key {keyid[:_SHORT]}", mended)
        outcome[:] = [(state, keyid, editable, mended)]
        return _decided(state, mended, options)

    published = _publish(publisher, edit, options)
    state, keyid, editable, mended = outcome[-1]
    revoked = options.tags == "revoke"
    _warn(session, state.gun, mended, revoked=revoked)
    return PurgedKey(
        repository=state.gun,
        key=keyid,
        roles=tuple(editable),
        left=tuple(role for role in _listing(state, keyid) if role not in editable),
        removed=tuple(change.role for change in mended.changes if isinstance(change, RemoveDelegation)),
        resigned=mended.resigned,
        kept=mended.kept(revoked=revoked),
        unreadable=mended.lost,
        needed=mended.needed,
        resting=mended.resting,
        revoked=revoked,
        published=published,
    )


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
