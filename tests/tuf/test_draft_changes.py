"""Of drafts of which the same is said the same is signed, but for the order of keys and paths."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import chain, combinations, permutations
from typing import TYPE_CHECKING, Any

from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import State
from notarypy.tuf.draftchanges import draft_changes
from notarypy.tuf.fields import RoleKeys, TargetFile, UnusableEntry
from notarypy.tuf.keys import PublicKey, UnusableKey
from notarypy.tuf.metadata import Delegation, Root, Targets
from support.author import GUN, NOW, public_key, root_key

if TYPE_CHECKING:
    from collections.abc import Iterator

LATER = NOW + timedelta(days=1)
KEYS: list[PublicKey] = [
    public_key("ann"),
    public_key("bob"),
    root_key("ann", GUN),
    root_key("ann", GUN, NOW - timedelta(days=1)),
    UnusableKey.of("0" * 64, {"keytype": "strange"}, "it is strange"),
]
OTHER = {"0" * 64: UnusableKey.of("0" * 64, {"keytype": "stranger"}, "it is stranger")}
TABLE = {key.keyid: key for key in KEYS}
SOME = [{key.keyid: key for key in some} for count in (0, 1, 2) for some in combinations(KEYS, count)]
SHA256 = {"sha256": b"1" * 32}
ENTRIES = [
    TargetFile(3, SHA256),
    TargetFile(4, SHA256),
    TargetFile(3, {"sha256": b"2" * 32}),
    TargetFile(3, {**SHA256, "sha512": b"1" * 64}),
    TargetFile(3, SHA256, {"build": 7}),
    TargetFile(3, {"sha512": b"1" * 64}),
    TargetFile(3, {}),
    UnusableEntry(0, {}, None, {"length": "x"}, "it has no length"),
]
NAMES = [f"targets/{name}" for name in "abc"]
ANN = Delegation(NAMES[0], (KEYS[0].keyid,), 1, ("v",))
FILE = Targets(2, NOW, {"x": ENTRIES[0]}, TABLE, (ANN, replace(ANN, name=NAMES[1])))
ASSIGNED = {name: RoleKeys((KEYS[2].keyid,), 1) for name in roles.BASE_ROLES}
ROOT = Root(2, NOW, TABLE, ASSIGNED)


def files() -> Iterator[Targets]:
    """Yield files that differ from one file in one thing."""
    yield from (FILE, replace(FILE, version=3), replace(FILE, expires=LATER))
    yield from (replace(FILE, targets=tags) for tags in ({}, *({"x": one} for one in ENTRIES)))
    for some in SOME:
        yield replace(FILE, keys={**some, KEYS[0].keyid: KEYS[0]})
        yield replace(FILE, roles=(replace(ANN, keyids=tuple(some)),))
        yield replace(FILE, roles=(replace(ANN, keyids=tuple(some)),), keys={**TABLE, **OTHER})
    yield from (replace(FILE, roles=(replace(ANN, threshold=2),)), replace(FILE, roles=(ANN, ANN)[:1]))
    yield from (replace(FILE, roles=(replace(ANN, paths=paths),)) for paths in ((), ("",), ("", "v")))
    for listed in chain.from_iterable(permutations(NAMES, count) for count in range(4)):
        yield replace(FILE, roles=tuple(replace(ANN, name=name) for name in listed))


def all_roots() -> Iterator[Root]:
    """Yield roots that differ from one root in one thing."""
    yield from (ROOT, replace(ROOT, version=3), replace(ROOT, expires=LATER), replace(ROOT, consistent=True))
    yield replace(ROOT, others={"consistent_snapshot": True})
    yield replace(ROOT, others={"mirrors": {"keyids": [], "threshold": 1}})
    for some in SOME:
        yield replace(ROOT, keys={**some, KEYS[2].keyid: KEYS[2]})
        for name in roles.BASE_ROLES:
            assigned = {**ASSIGNED, name: RoleKeys(tuple(some), 1)}
            yield replace(ROOT, roles=assigned)
            yield replace(ROOT, roles=assigned, keys={**TABLE, **OTHER})
    for name in roles.BASE_ROLES:
        yield replace(ROOT, roles={**ASSIGNED, name: replace(ASSIGNED[name], threshold=2)})


def require_told_apart(said: list[tuple[object, ...]], signed: list[dict[str, Any]]) -> None:
    texts = [canonical.encode(each) for each in signed]
    assert len({*said}) == len({*texts}) == len({*zip(said, texts, strict=True)})


def test_what_is_said_of_files_is_all_that_is_different() -> None:
    variants = [*files()]
    states = [State(GUN, ROOT, {roles.TARGETS: file}) for file in variants]
    signed = [file.to_signed() for file in variants]
    for old in (State(GUN, ROOT, {}), *states[::4]):
        require_told_apart([draft_changes(old, new, {roles.TARGETS}) for new in states], signed)


def test_what_is_said_of_roots_is_all_that_is_different() -> None:
    variants = [*all_roots()]
    states = [State(GUN, root, {}) for root in variants]
    signed = [root.to_signed() for root in variants]
    for old in (None, *states[:: len(states) // 6]):
        require_told_apart([draft_changes(old, new, {roles.ROOT}) for new in states], signed)
