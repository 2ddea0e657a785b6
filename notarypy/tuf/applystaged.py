"""What staged changes make of a repository's state, and what there is to say about them.

What it is: all of them applied in order, and a note for each that may not have done what was meant. What it
is not: change files (`stagedchanges`), or how changes are published (`client.publish.staged`).

Rules:

1. Changes are applied in order, each to what those before it left. One that is impossible is an error that
   names its number; nothing of all of them counts then.
2. What is witnessed and is no role that exists is dropped instead, and said: nothing is lost by it, and with
   Go notary it stands in the way of everything that was staged with it.
3. `targets/*` and `targets/x/*` are every delegation below, to take keys out of. Those above which nothing
   can be signed here are said and left as they are.
4. An entry is listed as it was staged (`stagedchanges`, rule 3), and a path too, where a file can have it.
5. To create a delegation that is there adds keys and paths to it, and leaves its threshold. One that is not
   there takes keys to begin with: a role without any is of no use to anybody.
6. A path that is added is within those of the role above, as Go has it too: readers would ignore it.
7. Keys of root, targets, snapshot and timestamp are never taken from a file: who may put a file into a folder
   would make others sign that.
8. What is said holds when all changes are applied: a later one may have mended what an earlier one left.
9. A key or path that is to go and is not there is said: the one that was meant may be there still.
10. A role whose keys were changed and are too few is said: nobody can use it until keys are added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.errors import Advice, InvalidNameError, MetadataError, NotarypyError, UsageError
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import (
    AddDelegation,
    Change,
    RemoveDelegation,
    RemoveKeys,
    RemovePaths,
    RemoveTarget,
    Resign,
    State,
    apply_all,
)
from notarypy.tuf.fields import is_integer, strings
from notarypy.tuf.keys import SHORT_KEYID, PublicKey
from notarypy.tuf.stagedchanges import (
    CREATE,
    DELEGATION,
    DELETE,
    TARGET,
    UPDATE,
    WITNESS,
    ListTarget,
    Staged,
    content_of,
)
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Note = Callable[[State], str]  # empty where there is nothing to say any more (rule 8)

_NOT_FROM_FILES = "no change file changes root, snapshot or timestamp"
_NO_ROLE = "change files change targets, and delegations, which are called targets/NAME"


@dataclass(frozen=True)
class Applied:
    """What staged changes lead to: a state, the numbers of dropped ones and why, and what else to say."""

    state: State
    dropped: dict[int, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reached:
    """The state that several changes lead to, as one change."""

    after: State

    def apply(self, state: State) -> State:  # noqa: ARG002 - the changes were applied to it
        """Return the state that was reached."""
        return self.after


def apply_staged(
    state: State, changes: Sequence[tuple[int, Staged]], signable: Callable[[State, str], bool]
) -> Applied:
    """Apply numbered changes in order (rules 1 to 7); `signable` tells if a role can be signed here.

    Raises the error of the first one that is impossible, with its number.
    """
    dropped: dict[int, str] = {}
    notes: list[Note] = []
    before = state
    for entries in _runs(changes):
        number, first = entries[0]
        if first.type == TARGET:
            state = _with_targets(state, entries)
        elif first.type == WITNESS and _unknown(state, first.role):
            role = first.role or '""'
            dropped[number] = f"{state.gun} has no role {role}"
        else:
            try:
                for change in _changes(state, first, signable, notes):
                    state = change.apply(state)
            except NotarypyError as error:
                raise _impossible(number, first, error, state) from error
    return Applied(state, dropped, _said(notes, before, state))


def _runs(changes: Sequence[tuple[int, Staged]]) -> Iterator[list[tuple[int, Staged]]]:
    """Yield changes one by one, but entries that follow each other together: a file is copied once."""
    run: list[tuple[int, Staged]] = []
    for numbered in changes:
        if numbered[1].type == TARGET:
            run.append(numbered)
            continue
        if run:
            yield run
            run = []
        yield [numbered]
    if run:
        yield run


def _with_targets(state: State, entries: Sequence[tuple[int, Staged]]) -> State:
    changes: list[Change] = []
    wrong: NotarypyError | None = None
    for number, staged in entries:
        try:
            changes.append(_target(state, staged))
        except NotarypyError as error:
            wrong = _impossible(number, staged, error, state)
            break  # though one before it may be outside of its role's paths
    try:
        after = apply_all(state, changes)
    except NotarypyError:
        for (number, staged), change in zip(entries, changes, strict=False):
            try:
                state = apply_all(state, [change])
            except NotarypyError as error:
                raise _impossible(number, staged, error, state) from error
        raise
    if wrong is not None:
        raise wrong
    return after


def _target(state: State, staged: Staged) -> ListTarget | RemoveTarget:
    _require_known(state, staged.role)
    if staged.action == DELETE:
        return RemoveTarget(staged.role, staged.path)
    if staged.action != CREATE:
        raise _unsupported(staged)
    return ListTarget(staged.role, staged.path, content_of(_data(staged)))


def _changes(
    state: State, staged: Staged, signable: Callable[[State, str], bool], notes: list[Note]
) -> Iterator[Change]:
    if staged.role != roles.TARGETS and not staged.role.startswith(f"{roles.TARGETS}/"):
        why = _NOT_FROM_FILES if staged.role in roles.BASE_ROLES else _NO_ROLE
        raise UsageError(f"scope not supported: {staged.role}", why=why)
    if staged.type == WITNESS and staged.action == UPDATE:
        yield Resign(staged.role)
    elif staged.type != DELEGATION or staged.role == roles.TARGETS:
        raise _unsupported(staged)
    elif staged.action == CREATE:
        yield _created(state, staged)
    elif staged.action == DELETE:
        yield RemoveDelegation(staged.role)
    elif staged.action != UPDATE:
        raise _unsupported(staged)
    elif staged.role.endswith("/*"):
        yield from _purged(state, staged, signable, notes)
    else:
        yield from _updated(state, staged, notes)


def _created(state: State, staged: Staged) -> Change:
    data, present = _data(staged), state.delegation(roles.check_role(staged.role))
    keys, paths = _keys(data), strings(data.get("add_paths"), "add_paths")
    _require_within(state, staged.role, paths)
    if present is not None:
        return AddDelegation(staged.role, keys, paths)
    if not keys:
        role, why = staged.role, "a role begins with the keys that sign it"
        raise InvalidNameError(f"{state.gun} has no role {role}", why=why, role=role, keyless=role)
    threshold = data.get("threshold", 1)
    if not is_integer(threshold):
        raise MetadataError("the threshold is no number")
    return AddDelegation(staged.role, keys, paths, threshold)


def _updated(state: State, staged: Staged, notes: list[Note]) -> Iterator[Change]:
    role, data = staged.role, _data(staged)
    _require_known(state, role)
    delegation = state.delegation(role)
    removed = frozenset(strings(data.get("remove_keys"), "remove_keys"))
    cleared = data.get("clear_paths") is True and delegation is not None
    paths = delegation.paths if cleared and delegation else strings(data.get("remove_paths"), "remove_paths")
    notes += _not_there(state, role, removed, () if cleared else paths)
    if keys := _keys(data):
        yield AddDelegation(role, keys, ())
    if removed:
        yield RemoveKeys(role, removed)
    if added := strings(data.get("add_paths"), "add_paths"):
        _require_within(state, role, added)
        yield AddDelegation(role, (), added)
    if paths:
        yield RemovePaths(role, frozenset(paths))


def _purged(
    state: State, staged: Staged, signable: Callable[[State, str], bool], notes: list[Note]
) -> Iterator[Change]:
    """Yield what takes keys out of every delegation below a role, from the top to the bottom (rule 3)."""
    above = staged.role.removesuffix("*")
    gone = unknown = frozenset(strings(_data(staged).get("remove_keys"), "remove_keys"))
    below = [one.name for file in state.targets.values() for one in file.roles if one.name.startswith(above)]
    for role in sorted(below, key=lambda one: (one.count("/"), one)):
        ids = gone.intersection(key.canonical_id for key in state.keys_for(role)[0])
        unknown -= ids
        if ids and signable(state, roles.parent(role)):
            yield (removal := RemoveKeys(role, gone))
            state = removal.apply(state)
        elif ids:
            notes.append(_staying(role, ids))
    if unknown:
        notes.append(_in_no_role(unknown))


def _keys(data: canonical.JsonObject) -> list[PublicKey]:
    listed = data.get("add_keys") or []
    if not isinstance(listed, list):
        raise MetadataError("add_keys is not a list")
    return [PublicKey.from_json(entry) for entry in listed]


def _data(staged: Staged) -> canonical.JsonObject:
    if staged.data is None:
        raise MetadataError("the change says nothing of what it changes")
    return canonical.decode(staged.data, "the data of the change")


def _unknown(state: State, role: str) -> bool:
    """Tell whether what is to be witnessed is no role that exists (rule 2)."""
    return role not in roles.BASE_ROLES and state.delegation(role) is None


def _require_known(state: State, role: str) -> None:
    if role != roles.TARGETS and state.delegation(roles.check_role(role)) is None:
        raise InvalidNameError(f"{state.gun} has no role {role}", role=role, unknown=role)


def _require_within(state: State, role: str, paths: Sequence[str]) -> None:
    """Refuse paths that the role above has not (rule 6), and those that no file can have (rule 4)."""
    for path in paths:
        roles.check_listed_path(path)
    above = roles.parent(role)
    allowed = state.paths(above) if above == roles.TARGETS or state.delegation(above) else ("",)
    outside = [path for path in paths if not roles.covers(allowed, path)]
    if outside:
        shown = f'"{outside[0]}"' if outside[0] else "all paths"
        message = f"{shown} cannot be given to {role}: {above} has not so much itself"
        raise InvalidNameError(message, why=f"it has: {', '.join(allowed) or 'nothing'}", role=role)


def _unsupported(staged: Staged) -> UsageError:
    return UsageError(f"there is no change of this kind: {staged.words}")


def _impossible(number: int, staged: Staged, error: NotarypyError, state: State) -> NotarypyError:
    """Return an error that names the change which cannot be made (rule 1)."""
    # What is wrong with a change is a mistake, and no sign that published files cannot be trusted.
    if isinstance(error, MetadataError) and not any(error is one for one in state.failures.values()):
        error = UsageError(error.message, why=error.why)
    found = error.saying(f"that is staged change {number}: {staged.words}", staged=number)
    found.advice = Advice("reset-staged", number=number, gun=state.gun)
    return found


def _not_there(state: State, role: str, keys: frozenset[str], paths: Sequence[str]) -> Iterator[Note]:
    """Say what is to be removed from a role that has it not (rule 9)."""
    if unknown := keys - _ids(state, role):
        yield lambda after: _left(role, "key", unknown - _ids(after, role), after)
    if other := frozenset(paths).difference(state.paths(role)):
        yield lambda after: _left(role, "path", other.difference(after.paths(role)), after)


def _in_no_role(keys: frozenset[str]) -> Note:
    """Say which keys no delegation had, of those to be removed from all."""
    return lambda after: f"no delegation has the key {_quoted(left)}" if (left := keys - _all(after)) else ""


def _staying(role: str, keys: frozenset[str]) -> Note:
    """Say which keys stay in a role, for what is above it cannot be signed here."""

    def said(after: State) -> str:
        left = keys & _ids(after, role) if after.delegation(role) else ()
        shown = ", ".join(sorted(one[:SHORT_KEYID] for one in left))
        return f"{shown} stays in {role}: the keys here cannot sign {roles.parent(role)}" if left else ""

    return said


def _said(notes: Iterable[Note], before: State, after: State) -> tuple[str, ...]:
    """Return what holds of notes, and of roles that have too few keys now (rules 8 and 10), once each."""
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
