"""Staged changes of any kind: their text comes back, and however they are divided the outcome is the same."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from notarypy.errors import MetadataError, NotarypyError
from notarypy.tuf import canonical
from notarypy.tuf.applystaged import Applied, apply_staged
from notarypy.tuf.changes import State
from notarypy.tuf.stagedchanges import Staged, in_order, written
from notarypy.values import replace
from support.author import GUN, public_key
from support.repository import delegated, load

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLES = ("targets", "targets/a", "targets/b", "targets/a/x", "targets/nobody", "targets/UP")
SCOPES = (*ROLES, "targets/*", "targets/a/*")
NAMES = ("1", "a1", "a2", "b1")
PATHS = ("", "a", "a1", "b")
KEYS = ("k1", "k2", "k3")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def key_object(name: str) -> dict[str, object]:
    key = public_key(name)
    return {"keytype": key.keytype, "keyval": {"public": b64encode(key.public).decode(), "private": None}}


def entry(length: int) -> bytes:
    return written({"length": length, "hashes": {"sha256": b64encode(bytes([length] * 32)).decode()}})


targets = st.builds(
    lambda role, name, length: Staged("create", role, "target", name, entry(length)),
    st.sampled_from(ROLES), st.sampled_from(NAMES), st.integers(0, 3),
) | st.builds(
    lambda role, name: Staged("delete", role, "target", name), st.sampled_from(ROLES), st.sampled_from(NAMES)
)  # fmt: skip
lists = {
    "add_keys": st.lists(st.sampled_from(KEYS).map(key_object), max_size=2),
    "remove_keys": st.lists(
        st.sampled_from(KEYS).map(lambda name: public_key(name).canonical_id), max_size=2
    ),
    "add_paths": st.lists(st.sampled_from(PATHS), max_size=2),
    "remove_paths": st.lists(st.sampled_from(PATHS), max_size=2),
    "clear_paths": st.booleans(),
}
delegations = st.builds(
    lambda action, role, data: Staged(
        action, role, "delegation", data=None if action == "delete" else written(data)
    ),
    st.sampled_from(("create", "update", "delete")),
    st.sampled_from(SCOPES),
    st.fixed_dictionaries({}, optional=lists),
)
witnesses = st.builds(lambda role: Staged("update", role, "witness"), st.sampled_from(ROLES))
changes = targets | delegations | witnesses


@cache
def start() -> State:
    author = delegated()
    author.delegate("targets/a", [author.key("k1"), author.key("k2")], ("a", "b"))
    author.delegate("targets/b", [author.key("k2")])
    for role in ("targets/a", "targets/b"):
        author.add("a1", b"one", role)
    author.delegate("targets/a/x", [author.key("k1")], ("a1",))
    return State.of(load(author.repository()))


def signable(_state: State, role: str) -> bool:
    return role != "targets/b"


def one_by_one(state: State, staged: Sequence[Staged]) -> tuple[State, set[int], int | None]:
    """Return the state after each was applied alone; dropped ones, and the first that is impossible."""
    dropped: set[int] = set()
    for number, change in enumerate(staged):
        try:
            done = apply_staged(state, [(number, change)], signable)
        except NotarypyError:
            return state, dropped, number
        state, dropped = done.state, dropped.union(done.dropped)
    return state, dropped, None


def together(staged: Sequence[Staged]) -> Applied | object:
    """Return what comes of all, or the number of the one that is impossible."""
    try:
        return apply_staged(start(), list(enumerate(staged)), signable)
    except NotarypyError as error:
        return error.facts["staged"]


@given(st.lists(changes, max_size=12))
def test_together_they_do_what_they_do_alone(staged: list[Staged]) -> None:
    state, dropped, impossible = one_by_one(start(), staged)
    done = together(staged)
    if isinstance(done, Applied):
        assert impossible is None
        assert (done.state.targets, done.state.dirty) == (state.targets, state.dirty)
        assert set(done.dropped) == dropped
    else:
        assert done == impossible


@given(st.lists(changes, max_size=12))
def test_whatever_comes_of_them_can_be_written_and_read(staged: list[Staged]) -> None:
    state, _, _ = one_by_one(start(), staged)
    for role, file in state.targets.items():
        new = replace(file, version=file.version + 1)
        text = canonical.encode(new.to_signed())
        assert type(new).from_signed(canonical.decode(text), role).to_signed() == new.to_signed()
        for delegation in file.roles:
            assert set(delegation.keyids) <= set(file.keys)
            assert len(set(delegation.keyids)) == len(delegation.keyids)
    assert state.root == start().root


@given(texts, texts, texts, texts, st.none() | st.binary(max_size=40))
def test_the_text_of_a_change_comes_back(
    action: str, role: str, kind: str, path: str, data: bytes | None
) -> None:
    staged = Staged(action, role, kind, path, data)
    text = staged.document()
    assert Staged.parse(text) == staged
    assert not {b"<", b">", b"&"} & {bytes([byte]) for byte in text}


@given(st.binary(max_size=80))
def test_any_bytes_are_a_change_or_an_error(data: bytes) -> None:
    try:
        Staged.parse(data)
    except MetadataError:
        return
    assert data.strip().startswith(b"{")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )
)
def test_in_order_is_the_same_value_and_its_text_the_one_that_is_signed(value: object) -> None:
    try:
        found = in_order(value)
    except ValueError:  # control characters are raw in what is signed, and that is no JSON
        return
    assert found == value
    assert canonical.encode(found) == canonical.encode(value)


def test_the_state_that_all_begin_with_has_all_of_the_roles() -> None:
    assert {"targets", "targets/a", "targets/b"} <= set(start().targets)
    assert start().gun == GUN
