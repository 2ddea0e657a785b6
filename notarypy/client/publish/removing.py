"""Signers and keys go: out of a repository's delegations, without breaking or vouching for what is signed.

What it is: what `delegate remove` and `signer remove` want to be true, of whole signers, keys or paths, and
`delegate purge`, which takes one key out of every delegation: it was stolen, or its owner left. What it is
not: how it is published (`pipeline`), or how signers come (`delegations`); and root and targets keys are
rotated, not purged.

Rules:

1. Removing keys leaves no file that its readers can no longer verify (`mending`), or nothing is changed
   unless forced. A file of a signer who leaves goes with the signer.
2. A purged key leaves every delegation that lists it, nested ones included. A signer that has no other key
   leaves with it.
3. Delegations below files that the keys here cannot sign are left and named; if there are only such ones, it
   is an error.
4. Nobody's signature takes the place of a removed one without a word. Whoever removes keys says what becomes
   of the tags that rest on them alone (`tuf.vouching`): they are kept, or revoked in the same publish, in
   every file that would list them. Where nothing rests on them there is nothing to say; a dry run names them.
5. Delegations in a file that rests on the removed keys are named too: nobody else made them.
6. A path goes as it was written. Tags that its role lists and may speak for no more are named; those that are
   released, and that nobody else vouches for, are kept or revoked as for a removed key.
7. A key is named by at least 7 digits of its id, and the result names it in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists
from notarypy.client.publish.delegations import paths_left
from notarypy.client.publish.mending import (
    Mended,
    as_facts,
    mend,
    named,
    used_elsewhere,
    who_signs,
    would_break,
)
from notarypy.client.publish.pipeline import Edit, publisher_for
from notarypy.client.publish.signing import no_signer, shortened
from notarypy.client.results import PurgedKey, SignerRemoved
from notarypy.errors import Advice, InvalidNameError, KeyNotAuthorisedError, UndecidedTagsError
from notarypy.tuf import roles
from notarypy.tuf.changes import Change, RemoveDelegation, RemoveKeys, RemovePaths, RemoveTarget, State
from notarypy.tuf.keys import SHORT_KEYID
from notarypy.tuf.plan import require_signable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.client.parameters import RemovalOptions
    from notarypy.client.publish.pipeline import Publisher
    from notarypy.client.session import Session


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
    outcome: list[tuple[str, str | None, Mended]] = []

    def edit(state: State) -> Sequence[Change]:
        if outcome and _gone(state, role, key, paths):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        keyid = None if key is None else _key_of(state, role, key)
        removals = _removals(state, role, keyid, paths)
        mended = mend(state, removals, who_signs(state, publisher.keys.available), options)
        if mended.lost and not options.force:
            # Whoever may not do it at all is not asked whether it should be done.
            require_signable(state, roles.parent(role), publisher.available(state))
            raise would_break(state, roles.signer_name(role), mended, options)
        outcome[:] = [(state.gun, keyid, mended)]
        return _decided(state, mended, options)

    published = _publish(publisher, edit, options)
    gun, keyid, mended = outcome[-1]
    revoked = _revoked(options, mended)
    _warn(session, gun, mended, revoked=revoked is True)
    left = paths_left(session, mended.after, role) if paths else mended.after.paths(role)
    found = (mended.resigned, mended.kept(revoked=revoked is not False), mended.lost, mended.needed)
    tags = (mended.resting, mended.outside)
    return SignerRemoved(gun, role, *found, *tags, revoked, published, paths=left, key=keyid)


def _decided(state: State, mended: Mended, options: RemovalOptions) -> Sequence[Change]:
    """Return the changes, with what was decided of the tags that rest on removed keys (rule 4)."""
    if options.tags == "revoke":
        return (*mended.changes, *(RemoveTarget(one.role, one.tag) for one in mended.resting))
    if options.tags is None and mended.resting and not options.dry_run:
        tags = dict.fromkeys(one.tag for one in mended.resting)
        raise UndecidedTagsError(
            f"{len(tags)} tags of {state.gun} rest on the removed {mended.what} alone" if len(tags) > 1
            else f"tag {next(iter(tags))} of {state.gun} rests on the removed {mended.what} alone",
            why=(
                *named(mended.resting),
                "nothing here shows that anybody else signed them; what earlier versions held is not known",
            ),
            advice=Advice("keep-or-revoke"),
            gun=state.gun,
            resting=as_facts(mended.resting),
        )  # fmt: skip
    return mended.changes


def _revoked(options: RemovalOptions, mended: Mended) -> bool | None:
    """Tell whether resting tags are revoked; None where a dry run found some and nobody decided (rule 4)."""
    return None if options.tags is None and mended.resting else options.tags == "revoke"


def _publish(publisher: Publisher, edit: Edit, options: RemovalOptions) -> bool:
    return (publisher.preview(edit) if options.dry_run else publisher.publish(edit)).uploaded


def _warn(session: Session, gun: str, mended: Mended, *, revoked: bool) -> None:
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
            why = f"its paths: {shortened(list(map(_quoted, delegation.paths))) or 'none'}"
            raise InvalidNameError(f"{_quoted(unknown[0])} is no path of {role}", why=why, role=role)
        changes.append(RemovePaths(role, frozenset(paths)))
        if key is None:
            return changes
    listed = [entry.canonical_id for entry in state.keys_for(role)[0]]
    gone = frozenset(listed if key is None else [key])
    first_level = roles.parent(role) == roles.TARGETS
    if first_level and state.delegation(roles.RELEASES) is not None and role != roles.RELEASES:
        changes.append(RemoveKeys(roles.RELEASES, gone - used_elsewhere(state, role)))
    changes.append(RemoveDelegation(role) if key is None else RemoveKeys(role, gone))
    return changes


def _key_of(state: State, role: str, key: str) -> str:
    if state.delegation(role) is None:
        raise no_signer(state, roles.signer_name(role))
    return _one_of([entry.canonical_id for entry in state.keys_for(role)[0]], key, role, state.gun)


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


def purge(session: Session, key: str, repository: str, options: RemovalOptions) -> PurgedKey:
    """Remove the key whose id begins with `key` from all delegations (rules 2 and 3)."""
    session.whole_repository(repository)
    publisher = publisher_for(session, repository)
    outcome: list[tuple[State, str, list[str], Mended]] = []

    def edit(state: State) -> Sequence[Change]:
        if outcome and not _listing(state, outcome[-1][1]):
            return ()  # an earlier try did it, though its answer was lost, or somebody else did
        known = {keyid for keyids in _delegated(state).values() for keyid in keyids}
        keyid = _one_of(known, key, f"the delegations of {state.gun}", state.gun)
        listing = _listing(state, keyid)
        editable = [
            role
            for role in listing
            if state.signable(roles.parent(role), who_signs(state, publisher.keys.available))
        ]
        if not editable:
            raise _not_ours(state, keyid, listing)
        removals = [_removal(state, role, keyid) for role in editable]
        mended = mend(state, removals, who_signs(state, publisher.keys.available), options)
        if mended.lost and not options.force:
            raise would_break(state, f"key {keyid[:SHORT_KEYID]}", mended, options)
        outcome[:] = [(state, keyid, editable, mended)]
        return _decided(state, mended, options)

    published = _publish(publisher, edit, options)
    state, keyid, editable, mended = outcome[-1]
    revoked = _revoked(options, mended)
    _warn(session, state.gun, mended, revoked=revoked is True)
    return PurgedKey(
        repository=state.gun,
        key=keyid,
        roles=tuple(editable),
        left=tuple(role for role in _listing(state, keyid) if role not in editable),
        removed=tuple(change.role for change in mended.changes if isinstance(change, RemoveDelegation)),
        resigned=mended.resigned,
        kept=mended.kept(revoked=revoked is not False),
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


def _one_of(known: Collection[str], key: str, whose: str, gun: str) -> str:
    """Return the one key whose id begins so, with at least 7 digits (rule 7)."""
    found = sorted(keyid for keyid in known if keyid.startswith(key))
    if len(found) == 1 and len(key) >= SHORT_KEYID:
        return found[0]
    short = [f"it takes at least {SHORT_KEYID} digits of the id"] if len(key) < SHORT_KEYID else []
    raise InvalidNameError(
        f'"{key}" is not one key of {whose}',
        why=(*short, f"its keys: {', '.join(found or sorted(known)) or 'none'}"),
        advice=Advice("list-delegation-keys", gun=gun),
    )


def _removal(state: State, role: str, keyid: str) -> RemoveDelegation | RemoveKeys:
    only = {key.canonical_id for key in state.keys_for(role)[0]} == {keyid}
    if only and role != roles.RELEASES:
        return RemoveDelegation(role)
    return RemoveKeys(role, frozenset({keyid}))


def _not_ours(state: State, keyid: str, listing: Sequence[str]) -> KeyNotAuthorisedError:
    above = sorted({roles.parent(role) for role in listing})
    return KeyNotAuthorisedError(
        f"the keys here cannot remove key {keyid[:SHORT_KEYID]} from {', '.join(listing)} of {state.gun}",
        why=f"this takes the keys of {', '.join(above)}",
        advice=Advice("import-role-keys"),
        roles=list(listing),
    )
