"""What there is to say about staged changes that were applied, beside that they were.

What it is: a note for each that may not have done what was meant. What it is not: an error, or the changes
themselves (`stagedchanges`).

Rules:

1. What is said holds when all changes are applied: a later one may have mended what an earlier one left.
2. A key or path that is to go and is not there is said: the one that was meant may be there still.
3. A role whose keys were changed and are too few is said: nobody can use it until keys are added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.tuf import roles
from notarypy.tuf.keys import SHORT_KEYID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from notarypy.tuf.changes import State

    Note = Callable[[State], str]  # empty where there is nothing to say any more (rule 1)


def missing(state: State, role: str, keys: frozenset[str], paths: Sequence[str]) -> Iterator[Note]:
    """Say what is to be removed from a role that has it not (rule 2)."""
    if unknown := keys - _ids(state, role):
        yield lambda after: _left(role, "key", unknown - _ids(after, role), after)
    if other := frozenset(paths).difference(state.paths(role)):
        yield lambda after: _left(role, "path", other.difference(after.paths(role)), after)


def unknown_keys(keys: frozenset[str]) -> Note:
    """Say which keys no delegation had, of those to be removed from all."""
    return lambda after: f"no delegation has the key {_quoted(left)}" if (left := keys - _all(after)) else ""


def staying(role: str, keys: frozenset[str]) -> Note:
    """Say which keys stay in a role, for what is above it cannot be signed here."""

    def said(after: State) -> str:
        left = keys & _ids(after, role) if after.delegation(role) else ()
        shown = ", ".join(sorted(one[:SHORT_KEYID] for one in left))
        return f"{shown} stays in {role}: the keys here cannot sign {roles.parent(role)}" if left else ""

    return said


def said(notes: Iterable[Note], before: State, after: State) -> tuple[str, ...]:
    """Return what holds of notes, and of roles that have too few keys now (rules 1 and 3), once each."""
    found = [text for note in notes if (text := note(after))]
    return tuple(dict.fromkeys((*found, *_too_few(before, after))))


def _too_few(before: State, after: State) -> Iterator[str]:
    for role in _delegations(after):
        keys, (_, threshold) = _ids(after, role), after.keys_for(role)
        if len(keys) < threshold and not (before.delegation(role) and _ids(before, role) == keys):
            yield (
                f"{role} has {len(keys)} keys left and takes {threshold} signatures: "
                "nobody can use it until keys are added"
            )


def _left(role: str, what: str, names: frozenset[str], after: State) -> str:
    return f"{role} has no {what} {_quoted(names)}" if names and after.delegation(role) else ""


def _ids(state: State, role: str) -> frozenset[str]:
    """Return the keys of a role by what people call them; none of one that is not there."""
    known = role == roles.TARGETS or state.delegation(role)
    return frozenset(key.canonical_id for key in state.keys_for(role)[0]) if known else frozenset()


def _all(state: State) -> frozenset[str]:
    return frozenset().union(*(_ids(state, role) for role in _delegations(state)))


def _delegations(state: State) -> list[str]:
    return sorted(one.name for file in state.targets.values() for one in file.roles)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(json.dumps(name, ensure_ascii=False) for name in sorted(names))
