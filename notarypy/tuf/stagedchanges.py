"""Staged changes, as Go notary writes them for its next publish, and what they make of a repository's state.

What it is: one change file's text and value, and all of them applied in order. What it is not: the folder
that they are in (`storage.changelist`), or how they are published (`client.publish.staged`).

Rules:

1. A change file is one JSON object: action, role, type, path, and as base64 what belongs to it, or null. It
   is written byte for byte as Go does, for Go reads it too.
2. Changes are applied in order, each to what those before it left. One that is impossible is an error that
   names its number; nothing of all of them counts then.
3. What is witnessed and is no role that exists is dropped instead, and said: nothing is lost by it, and with
   Go notary it stands in the way of everything that was staged with it.
4. `targets/*` and `targets/x/*` are every delegation below, to take keys out of. Those above which nothing
   can be signed here are said and left as they are.
5. An entry is listed as it was staged (`stagedtargets`), and a path too, where a file can have it.
6. To create a delegation that is there adds keys and paths to it, and leaves its threshold. One that is not
   there takes keys to begin with: a role without any is of no use to anybody.
7. A path that is added is within those of the role above, as Go has it too: readers would ignore it.
8. Keys of root, targets, snapshot and timestamp are never taken from a file: who may put a file into a folder
   would make others sign that.
9. Members of a change file are read in any case, as Go reads them; one that is there twice makes it no
   change.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Self

from notarypy.errors import Advice, InvalidNameError, MetadataError, NotarypyError, UsageError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, roles, stagednotes
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
from notarypy.tuf.keys import PublicKey, decode_base64
from notarypy.tuf.stagedtargets import ListTarget, content_of
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from notarypy.tuf.stagednotes import Note

CREATE, UPDATE, DELETE = "create", "update", "delete"
TARGET, DELEGATION, WITNESS = "target", "delegation", "witness"
ALL_DELEGATIONS = "targets/*"
_ESCAPES = {one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
_NOT_FROM_FILES = "no change file changes root, snapshot or timestamp"
_NO_ROLE = "change files change targets, and delegations, which are called targets/NAME"


@dataclass(frozen=True)
class Staged:
    """One staged change: `action` on what `path` or `role` names, of a `type`; `data` is JSON, or None."""

    action: str
    role: str
    type: str
    path: str = ""
    data: bytes | None = None

    @classmethod
    def parse(cls, text: bytes, limits: Limits = DEFAULT) -> Self:
        """Read a change file (rule 1); raise MetadataError. What it asks for may still be impossible."""
        found = canonical.decode(text, "a change file", limits)
        given = {name.lower(): value for name, value in found.items() if value is not None}
        fields = [given.get(name, "") for name in ("action", "role", "type", "path")]
        if not all(isinstance(one, str) for one in fields):
            raise MetadataError("a change file has something in the place of a text")
        data = given.get("data")
        action, role, kind, path = fields
        return cls(action, role, kind, path, None if data is None else decode_base64(data, "a change's data"))

    def document(self) -> bytes:
        """Return the text of the change file (rule 1)."""
        data = None if self.data is None else b64encode(self.data).decode()
        fields = {"action": self.action, "role": self.role, "type": self.type, "path": self.path}
        return written({**fields, "data": data})

    @property
    def words(self) -> str:
        """What the change is, for people."""
        action, role, kind, path = (one or '""' for one in (self.action, self.role, self.type, self.path))
        return f"{action} target {path} in {role}" if kind == TARGET else f"{action} {kind} {role}"


def written(value: object) -> bytes:
    """Return JSON as Go writes it: members in the order given, five characters escaped; or UsageError."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for raw, escaped in _ESCAPES.items():
        text = text.replace(raw, escaped)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("what is to be staged is not written in UTF-8") from None


def in_order(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with its members in the order that is signed: Go signs them as they stand."""
    return json.loads(canonical.encode(value))


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
    """Apply numbered changes in order (rules 2 to 8); `signable` tells if a role can be signed here.

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
    return Applied(state, dropped, stagednotes.said(notes, before, state))


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
    notes += stagednotes.missing(state, role, removed, () if cleared else paths)
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
    """Yield what takes keys out of every delegation below a role, from the top to the bottom (rule 4)."""
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
            notes.append(stagednotes.staying(role, ids))
    if unknown:
        notes.append(stagednotes.unknown_keys(unknown))


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
    """Tell whether what is to be witnessed is no role that exists (rule 3)."""
    return role not in roles.BASE_ROLES and state.delegation(role) is None


def _require_known(state: State, role: str) -> None:
    if role != roles.TARGETS and state.delegation(roles.check_role(role)) is None:
        raise InvalidNameError(f"{state.gun} has no role {role}", role=role, unknown=role)


def _require_within(state: State, role: str, paths: Sequence[str]) -> None:
    """Refuse paths that the role above has not (rule 7), and those that no file can have (rule 5)."""
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
    """Return an error that names the change which cannot be made (rule 2)."""
    # What is wrong with a change is a mistake, and no sign that published files cannot be trusted.
    if isinstance(error, MetadataError) and not any(error is one for one in state.failures.values()):
        error = UsageError(error.message, why=error.why)
    found = error.saying(f"that is staged change {number}: {staged.words}", staged=number)
    found.advice = Advice("reset-staged", number=number, gun=state.gun)
    return found
