"""Parts that become one, and the place of one in a repository's state.

What it is: parts compared with each other, and with what is published. What it is not: the form of a part,
and whose signatures count (`parts`).

Rules:

1. Parts become one if they build on the same files and draft the same bytes. Signatures that do not count are
   left out then, and of one key the first is kept.
2. A part takes its place in a state whose files are those that it replaces, and all that go with it: what
   goes is shown. The root stays the present one, unless it is what the part drafts. Of the other files above
   these it is enough that they say the same of whose keys sign what, and which names: signatures of others
   stay good while something else is published.
3. What is published already changes nothing.
4. In a base each file is signed by the keys that the files above it name; the root is for others to verify.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import Advice, OutdatedPartError, PartError
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope, valid_keys
from notarypy.tuf.keys import meets
from notarypy.tuf.parts import reached
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.tuf.changes import State
    from notarypy.tuf.parts import Part


def merged(parts: Sequence[Part]) -> Part:
    """Return one part with the signatures of all that count (rule 1); PartError if they do not fit."""
    first, *others = parts
    for other in others:
        _require_fits(first, other)
        for role, file in other.files.items():
            first = first.with_signatures(role, file.signatures)
    return first.counting()


def _require_fits(first: Part, other: Part) -> None:
    """Raise PartError unless two parts are of the same repository, base and content."""
    texts = [{role: file.text for role, file in part.files.items()} for part in (first, other)]
    differ = [role for role in texts[0].keys() | texts[1].keys() if texts[0].get(role) != texts[1].get(role)]
    base = [
        role for role in first.base.keys() | other.base.keys() if first.base.get(role) != other.base.get(role)
    ]
    if first.gun != other.gun:
        why = f"they are of {first.gun} and {other.gun}"
    elif base:
        why = f"they build on different files: {', '.join(sorted(base))}"
    elif differ:
        why = f"they sign different content: {', '.join(sorted(differ))}"
    else:
        return
    raise PartError("these parts do not belong together", why=why, gun=first.gun)


@dataclass(frozen=True)
class Joined:
    """The change that a part makes of a state (`changes`)."""

    part: Part

    def apply(self, state: State) -> State:
        """Return the state with the drafts in their place (rules 2 and 3); else OutdatedPartError."""
        part, after = self.part, self.part.after
        if all(_is_published(part, role, state) for role in part.files):
            return state
        drafted = {role: after.targets[role] for role in part.files if role != roles.ROOT}
        new = replace(state, targets={**state.targets, **drafted}, dirty=after.dirty)
        if roles.ROOT in part.files:
            new = replace(new, root=after.root, former=after.former)
        new = reached(new)
        _require_present(part, state, {*part.files, *part.gone, *(state.targets.keys() - new.targets.keys())})
        return new


def _is_published(part: Part, role: str, state: State) -> bool:
    data = state.published.get(role)
    return data is not None and Envelope.parse(data, role, part.limits).canonical == part.files[role].text


def _require_present(part: Part, state: State, replaced: Collection[str]) -> None:
    """Raise OutdatedPartError unless a part builds on this state (rule 2)."""
    moved = {role for role in replaced if part.base.get(role) != state.published.get(role)}
    moved |= {_above(role) for role in part.files if _otherwise(part, role, state)}
    if moved:
        raise OutdatedPartError(
            f"{part.gun} has moved on since the part was made",
            why=f"others published: {', '.join(sorted(moved))}",
            advice=Advice("make-part-anew"),
            gun=part.gun,
            roles=sorted(moved),
        )


def _above(role: str) -> str:
    return roles.parent(role) if roles.is_delegation(role) else roles.ROOT


def _otherwise(part: Part, role: str, state: State) -> bool:
    """Tell whether another file than one of the part says something else of who signs a role (rule 2)."""
    before = part.before
    if role == roles.ROOT or _above(role) in part.files:
        return False
    if before is None or (roles.is_delegation(role) and state.delegation(role) is None):
        return True
    return (before.keys_for(role), before.paths(role)) != (state.keys_for(role), state.paths(role))


def require_verified(part: Part) -> None:
    """Raise PartError unless the base hangs together below its root (rule 4)."""
    before = part.before
    for role, data in part.base.items():
        if role == roles.ROOT or before is None:
            continue
        keys, threshold = before.keys_for(role)
        table = {key.keyid: key for key in keys}
        if not meets(
            valid_keys(Envelope.parse(data, role, part.limits), table, table, part.budget), threshold
        ):
            raise PartError(f"{role} in the part's base is not signed by its keys", role=role)
