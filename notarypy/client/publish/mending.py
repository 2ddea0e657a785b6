"""Removals made whole: which files other keys must sign again, and whether anybody is left who can.

What it is: from changes that take keys away to those that leave readers files that verify. What it is not:
which keys go, or what becomes of tags that rest on them (`removing`).

Rules:

1. A file that its role's keys no longer sign is signed again by one that is here. Without one it is lost:
   nobody could verify it.
2. Where the last key of `targets/releases` goes, and no tag in it is to stay (there is none, or all of them
   are revoked), the targets key takes its place and signs the empty list. To take the role away would not
   do: a server keeps its last file, and brings it back with the role, for the next signer's key or the same.
3. A list with tags that are to stay is lost with its last signer, and never taken away unasked.
4. Tags and delegations that rest on the removed keys alone are named for whoever decides (`tuf.vouching`).
5. A role that keeps keys keeps as many as its threshold takes; to take fewer signatures is a decision of its
   own (`delegations`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.errors import Advice, KeyNotAuthorisedError, UsageError, beginning
from notarypy.tuf import roles
from notarypy.tuf.changes import AddDelegation, Change, RemoveKeys, RemovePaths, Resign, State, apply_all
from notarypy.tuf.keys import SHORT_KEYID, meets, require_enough
from notarypy.tuf.vouching import RestingTag, outside, resting, signatures
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.client.parameters import RemovalOptions

_LOG = logging.getLogger(__name__)
SHOWN = 20


@dataclass(frozen=True)
class Mended:
    """Removals with what keeps their readers reading (rule 1).

    The files of roles that are `resigned` are signed again by keys here; nobody can verify those of the roles
    that are `lost`, until one of the signers in `needed` signs again. Of the other files these tags are
    `resting` on what is removed, and so are `delegations` (rule 4); `outside` are tags that are listed, and
    count no more.
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


def who_signs(state: State, available: Collection[str]) -> frozenset[str]:
    """Return the canonical ids of the keys that sign: those at hand, and in a partial state all others."""
    if not state.partial:
        return frozenset(available)
    listed = [roles.TARGETS, *(entry.name for file in state.targets.values() for entry in file.roles)]
    return frozenset(key.canonical_id for role in listed for key in state.keys_for(role)[0])


def mend(
    state: State, changes: Sequence[Change], available: Collection[str], options: RemovalOptions
) -> Mended:
    """Return removals with the files to sign again for them (rule 1)."""
    after = apply_all(state, changes)
    _require_reachable(after, changes)
    signed = signatures(after)
    found = resting(state, after, signed)
    if _ended(state, after, found, revoking=options.tags == "revoke"):
        owners = [key for key in state.root.signers(roles.TARGETS) if key.canonical_id in available]
        changes = (AddDelegation(roles.RELEASES, owners, paths=(), threshold=1), *changes)
        after = apply_all(state, changes)
        signed = signatures(after)
        found = resting(state, after, signed)
    broken = [role for role, keys in sorted(signed.items()) if not meets(keys, after.keys_for(role)[1])]
    resigned = tuple(role for role in broken if after.signable(role, available))
    lost = [role for role in broken if role not in resigned]
    releases = state.targets.get(roles.RELEASES)
    if releases and releases.targets and roles.RELEASES not in after.targets:
        lost.append(roles.RELEASES)  # it goes away as a whole, with tags in it
    needed = _who_could(after, lost) + (_nameless(after) if roles.RELEASES in lost else ())
    found = tuple(one for one in found if one.role not in lost)
    made = [entry.name for role in resigned if not signed[role] for entry in after.targets[role].roles]
    _LOG.debug("%s: signed again by keys here: %s; nobody could verify: %s", state.gun, resigned, lost)
    _LOG.debug("%s: on the removed keys alone rest %s and %s", state.gun, found, made)
    changed = (*changes, *map(Resign, resigned))
    return Mended(changed, after, resigned, tuple(lost), needed, found, outside(state, after), tuple(made))


def _require_reachable(after: State, changes: Sequence[Change]) -> None:
    """Raise UsageError where keys go and too few are left for a threshold (rule 5)."""
    gone = [change.role for change in changes if isinstance(change, RemoveKeys)]
    for role in sorted(gone, key=lambda role: role == roles.RELEASES):  # last, for it follows its signers
        if after.delegation(role) is not None:
            try:
                require_enough(role, *after.keys_for(role))
            except UsageError as error:
                error.advice = Advice("add-key-before", name=roles.signer_name(role), gun=after.gun)
                raise


def _who_could(after: State, lost: Sequence[str]) -> tuple[str, ...]:
    """Return the signers that have keys of lost files; all where none is lost, or one goes as a whole."""
    names = [entry.name for file in after.targets.values() for entry in file.roles]
    keys = {name: frozenset(key.canonical_id for key in after.keys_for(name)[0]) for name in names}
    signers = {
        name: ids
        for name, ids in keys.items()
        if name != roles.RELEASES and (name in lost or roles.parent(name) == roles.TARGETS)
    }
    anybody = frozenset[str]().union(*signers.values())
    able = frozenset[str]().union(*(keys.get(role, anybody) for role in lost)) if lost else anybody
    return tuple(roles.signer_name(name) for name, ids in signers.items() if ids & able)


def _ended(state: State, after: State, found: Sequence[RestingTag], *, revoking: bool) -> bool:
    """Tell whether releases has no key left, and no tag that is to stay (rules 2 and 3)."""
    had, left = state.delegation(roles.RELEASES), after.delegation(roles.RELEASES)
    if had is None or not had.keyids or left is None or left.keyids or roles.RELEASES in state.failures:
        return False
    listed = set(after.targets[roles.RELEASES].targets) if roles.RELEASES in after.targets else set[str]()
    return not listed or (revoking and listed <= {one.tag for one in found if one.role == roles.RELEASES})


def _nameless(state: State) -> tuple[str, ...]:
    """Return the keys that release tags and are no signer's: Go notary's guides make such ones."""
    if state.delegation(roles.RELEASES) is None:
        return ()
    others = used_elsewhere(state, roles.RELEASES)
    left = [key.canonical_id for key in state.keys_for(roles.RELEASES)[0] if key.canonical_id not in others]
    return tuple(f"whoever has key {keyid[:SHORT_KEYID]} of {roles.RELEASES}" for keyid in left)


def used_elsewhere(state: State, role: str) -> frozenset[str]:
    """Return the keys that another signer has too: those stay in releases."""
    names = {entry.name for entry in state.targets[roles.parent(role)].roles} - {role, roles.RELEASES}
    return frozenset(key.canonical_id for name in names for key in state.keys_for(name)[0])


def would_break(state: State, who: str, mended: Mended, options: RemovalOptions) -> KeyNotAuthorisedError:
    """Return the refusal to leave files that nobody can verify; a dry run names all of their tags."""
    listed = [
        RestingTag(role, tag, entry.digest)
        for role in mended.lost
        for tag, entry in sorted(state.targets[role].targets.items())
    ]
    left = ", ".join(mended.needed) or "nobody: this is the last signer"
    gone = roles.RELEASES in mended.lost and who == roles.signer_name(roles.RELEASES)
    most = len(listed) if options.dry_run else SHOWN
    kept = [role for role in mended.lost if mended.after.delegation(role) is not None]
    takes = max((mended.after.keys_for(role)[1] for role in kept), default=1)
    again = Advice("force-or-sign-again" if takes == 1 else "sign-in-parts")
    few = "no other key of it is here" if takes == 1 else f"it takes {takes} keys, and fewer are here"
    return KeyNotAuthorisedError(
        f"without {who} nobody could verify {', '.join(mended.lost)} of {state.gun}",
        why=(
            "it would be gone" if gone else few,
            *(named(listed, most) or ["its tags: none"]),
            f"who can sign it again: {left}",
        ),
        advice=again if mended.needed else Advice("replace-before", gun=state.gun),
        roles=list(mended.lost),
        tags=sorted({one.tag for one in listed}),
        resting=as_facts(listed),
        needed=list(mended.needed),
    )


def named(tags: Sequence[RestingTag], most: int = SHOWN) -> list[str]:
    """Return tags in words, at most so many of them."""
    return [*beginning(list(map(str, tags)), most)]


def as_facts(tags: Sequence[RestingTag]) -> list[dict[str, str | None]]:
    """Return tags as the facts of an error."""
    return [{"role": one.role, "tag": one.tag, "digest": one.digest} for one in tags]
