"""Changes: what a publisher wants, applied to values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notarypy.errors import InvalidNameError, TagUnsignedError
from notarypy.tuf import roles
from notarypy.tuf.changes import (
    AddDelegation,
    AddTarget,
    Change,
    Discard,
    RemoveDelegation,
    RemoveKeys,
    RemovePaths,
    RemoveTarget,
    Resign,
    State,
    apply_all,
)
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.keys import PublicKey
from notarypy.tuf.metadata import Delegation
from support.author import GUN, Author, public_key, root_key
from support.counting import TOO_MUCH, growth
from support.repository import delegated, load

ONE = TargetFile.of(b"one")
TWO = TargetFile.of(b"two")
JEFF, BOB = public_key("jeff"), public_key("bob")


def published(author: Author) -> State:
    return State.of(load(author.repository()))


@pytest.fixture
def state() -> State:
    """`v1` in targets; jeff and his role below; releases with jeff's key; an unpublished role."""
    author = delegated()
    author.delegate(roles.RELEASES, [author.key("jeff")])
    author.delegate("targets/jeff", [author.key("jeff")], ("", "rc-"))
    author.delegate("targets/new", [author.key("jeff")])
    author.add("v1", b"one", "targets/jeff")
    author.delegate("targets/jeff/deep", [author.key("deep")], ("rc-",))
    author.add("rc-1", b"one", "targets/jeff/deep")
    return published(author)


def test_a_state_is_what_was_verified(state: State) -> None:
    assert state.gun == GUN
    assert set(state.targets) == {"targets", "targets/jeff", "targets/jeff/deep"}
    assert (state.dirty, dict(state.failures)) == (frozenset(), {})


# -- a change that is already true makes nothing dirty


@pytest.mark.parametrize(
    "change",
    [
        AddTarget("targets", "v1", ONE),
        AddTarget("targets/jeff", "v1", TargetFile(3, {"sha256": ONE.hashes["sha256"]})),
        RemoveTarget("targets", "nothing"),
        RemoveTarget("targets/new", "nothing"),
        RemoveTarget("targets/nobody", "v1"),
        AddDelegation("targets/jeff", [JEFF], ("",)),
        AddDelegation("targets/jeff", [JEFF], ("rc-", "")),
        AddDelegation("targets/jeff", [], ()),
        AddDelegation("targets/jeff", [JEFF], threshold=1),
        RemoveDelegation("targets/nobody"),
        RemoveDelegation("targets/jeff/nobody"),
        RemoveKeys("targets/jeff", frozenset({BOB.keyid})),
        RemoveKeys("targets/jeff", frozenset()),
        RemoveKeys("targets/nobody", frozenset({JEFF.keyid})),
        RemovePaths("targets/jeff", frozenset({"rc", "x"})),
        RemovePaths("targets/nobody", frozenset({""})),
        Discard("targets/jeff"),
        Discard("targets/nobody"),
    ],
    ids=lambda change: type(change).__name__,  # the order of a set differs between processes
)
def test_rule_1_what_is_true_already_changes_nothing(state: State, change: Change) -> None:
    assert change.apply(state) is state


@pytest.mark.parametrize(
    "change",
    [
        AddTarget("targets", "v2", TWO),
        AddTarget("targets", "v1", TWO),
        AddTarget("targets/new", "v1", TWO),
        RemoveTarget("targets", "v1"),
        AddDelegation("targets/bob", [BOB]),
        AddDelegation("targets/jeff", [BOB], ("x",)),
        RemoveDelegation("targets/jeff"),
        RemoveKeys("targets/jeff", frozenset({JEFF.keyid})),
        RemovePaths("targets/jeff", frozenset({"", "x"})),
    ],
    ids=repr,
)
def test_rule_1_a_repeated_change_does_no_harm(state: State, change: Change) -> None:
    once = change.apply(state)
    assert once != state
    assert once.dirty
    assert apply_all(once, [change, change]) == once


def test_rule_1_an_unused_key_in_the_published_table_is_no_reason_to_publish() -> None:
    author = delegated()
    author.targets["targets"] = replace(author.targets["targets"], keys={JEFF.keyid: JEFF})
    state = published(author)
    assert RemoveDelegation("targets/nobody").apply(state) is state


# -- targets


def test_a_target_is_added_beside_the_others(state: State) -> None:
    new = AddTarget("targets", "v2", TWO).apply(state)
    assert dict(new.targets["targets"].targets) == {"v1": state.targets["targets"].targets["v1"], "v2": TWO}
    assert new.dirty == {"targets"}
    assert "v2" not in state.targets["targets"].targets


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (None, {"a": 1}, False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, None, True),
    ],
)
def test_custom_data_counts_when_some_is_given(old: object, new: object, kept: bool) -> None:
    author = delegated()
    author.targets["targets"] = replace(author.targets["targets"], targets={"v1": replace(ONE, custom=old)})
    state = published(author)
    after = AddTarget("targets", "v1", replace(ONE, custom=new)).apply(state)
    assert (after is state) is kept


def test_the_same_custom_data_and_fewer_hashes_is_no_change() -> None:
    author = delegated()
    author.targets["targets"] = replace(author.targets["targets"], targets={"v1": replace(ONE, custom=[1])})
    state = published(author)
    fewer = TargetFile(3, {"sha256": ONE.hashes["sha256"]}, [1])
    assert AddTarget("targets", "v1", fewer).apply(state) is state
    assert AddTarget("targets", "v2", fewer).apply(state).targets["targets"].targets["v2"] == fewer


def test_a_role_that_was_never_published_gets_its_first_file(state: State) -> None:
    new = AddTarget("targets/new", "v1", ONE).apply(state)
    assert new.targets["targets/new"].version == 0
    assert dict(new.targets["targets/new"].targets) == {"v1": ONE}
    assert new.dirty == {"targets/new"}


def test_removing_a_target_leaves_the_others(state: State) -> None:
    more = AddTarget("targets", "v2", TWO).apply(state)
    assert dict(RemoveTarget("targets", "v1").apply(more).targets["targets"].targets) == {"v2": TWO}


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[0m", "\ud800"])
def test_names_that_cannot_be_written_are_refused(state: State, name: str) -> None:
    with pytest.raises(InvalidNameError):
        AddTarget("targets", name, ONE).apply(state)


@pytest.mark.parametrize(
    ("role", "name", "inside"),
    [
        ("targets/jeff", "anything", True),
        ("targets/jeff/deep", "rc-2", True),
        ("targets/jeff/deep", "v2", False),
        ("targets/nobody", "v2", False),
        ("root", "v2", False),
        ("snapshot", "v2", False),
    ],
)
def test_rule_5_names_lie_inside_the_paths_of_the_role(
    state: State, role: str, name: str, inside: bool
) -> None:
    if inside:
        assert AddTarget(role, name, TWO).apply(state).dirty == {role}
    else:
        with pytest.raises(InvalidNameError):
            AddTarget(role, name, TWO).apply(state)


def test_rule_5_paths_are_narrowed_by_the_role_above() -> None:
    author = delegated()
    author.delegate("targets/a", paths=("rc-",))
    author.add("rc-1", b"one", "targets/a")
    author.delegate("targets/a/b", paths=("", "rc-1"))
    state = published(author)
    assert state.paths("targets/a/b") == ("rc-1",)
    assert AddTarget("targets/a/b", "rc-11", ONE).apply(state).dirty
    for name in ("rc-2", "v1"):
        with pytest.raises(InvalidNameError):
            AddTarget("targets/a/b", name, ONE).apply(state)


# -- delegations


def test_rule_2_a_delegation_is_written_into_the_file_above(state: State) -> None:
    assert AddDelegation("targets/bob", [BOB]).apply(state).dirty == {"targets"}
    assert AddDelegation("targets/jeff/x", [BOB]).apply(state).dirty == {"targets/jeff"}
    unpublished = AddDelegation("targets/new/x", [BOB]).apply(state)
    assert unpublished.dirty == {"targets/new"}
    assert unpublished.targets["targets/new"].version == 0


@pytest.mark.parametrize("role", ["targets/nobody/x", "targets", "root", "timestamp"])
def test_rule_2_a_role_needs_one_above_it(state: State, role: str) -> None:
    for change in (AddDelegation(role, [BOB]), RemoveDelegation(role), RemoveKeys(role, frozenset({"x"}))):
        with pytest.raises(InvalidNameError):
            change.apply(state)


@pytest.mark.parametrize("role", ["jeff", "targets/", "targets/A", "targets/../x", "targets/*", ""])
def test_role_names_are_checked(state: State, role: str) -> None:
    with pytest.raises(InvalidNameError):
        AddDelegation(role, [BOB]).apply(state)


def test_a_new_delegation_has_its_keys_paths_and_threshold(state: State) -> None:
    new = AddDelegation("targets/bob", [BOB, JEFF, BOB], ("a", "b", "a"), 2).apply(state)
    expected = Delegation("targets/bob", (BOB.keyid, JEFF.keyid), 2, ("a", "b"))
    assert new.delegation("targets/bob") == expected
    assert new.targets["targets"].roles[-1] == expected
    assert new.targets["targets"].keys[BOB.keyid] == BOB
    plain = AddDelegation("targets/eve", [BOB]).apply(state).delegation("targets/eve")
    assert plain == Delegation("targets/eve", (BOB.keyid,), 1, ("",))


def test_rule_3_keys_and_paths_keep_the_order_of_addition(state: State) -> None:
    new = AddDelegation("targets/jeff", [BOB, JEFF], ("x", "rc-")).apply(state)
    merged = new.delegation("targets/jeff")
    assert merged == Delegation("targets/jeff", (JEFF.keyid, BOB.keyid), 1, ("", "rc-", "x"))
    names = [entry.name for entry in new.targets["targets"].roles]
    assert names == [entry.name for entry in state.targets["targets"].roles]


def test_rule_3_unused_keys_are_dropped_and_shared_ones_stay(state: State) -> None:
    both = AddDelegation("targets/bob", [BOB, JEFF]).apply(state)
    gone = RemoveDelegation("targets/bob").apply(both)
    assert set(gone.targets["targets"].keys) == {JEFF.keyid}
    assert gone.delegation("targets/bob") is None
    assert gone.targets["targets"] == state.targets["targets"]


def test_removing_a_delegation_takes_its_file_and_all_below(state: State) -> None:
    busy = apply_all(
        state, [AddTarget("targets/jeff", "x", TWO), AddTarget("targets/jeff/deep", "rc-2", TWO)]
    )
    assert busy.dirty == {"targets/jeff", "targets/jeff/deep"}
    gone = RemoveDelegation("targets/jeff").apply(busy)
    assert set(gone.targets) == {"targets"}
    assert gone.dirty == {"targets"}


def test_removing_a_delegation_spares_names_that_only_begin_alike() -> None:
    state = published(delegated("targets/a", "targets/ab"))
    assert set(RemoveDelegation("targets/a").apply(state).targets) == {"targets", "targets/ab"}


def test_removing_the_last_key_leaves_the_delegation_without_any(state: State) -> None:
    new = RemoveKeys("targets/jeff", frozenset({JEFF.keyid})).apply(state)
    assert new.delegation("targets/jeff") == Delegation("targets/jeff", (), 1, ("", "rc-"))
    written = new.targets["targets"].to_signed()["delegations"]["roles"][1]
    assert written["keyids"] is None
    assert JEFF.keyid in new.targets["targets"].keys


def test_removing_paths_leaves_the_others_and_the_file(state: State) -> None:
    new = RemovePaths("targets/jeff", frozenset({""})).apply(state)
    assert new.delegation("targets/jeff") == Delegation("targets/jeff", (JEFF.keyid,), 1, ("rc-",))
    assert new.dirty == {"targets"}
    assert new.targets["targets/jeff"] == state.targets["targets/jeff"]
    assert new.paths("targets/jeff/deep") == ("rc-",)
    none = RemovePaths("targets/jeff", frozenset({"rc-"})).apply(new)
    assert (none.paths("targets/jeff"), none.paths("targets/jeff/deep")) == ((), ())


def test_keys_are_removed_by_canonical_id_in_every_wrapping() -> None:
    author = delegated()
    wrapped = root_key("jeff", "anything")
    author.delegate("targets/a", [JEFF, wrapped, BOB])
    state = published(author)
    new = RemoveKeys("targets/a", frozenset({JEFF.keyid})).apply(state)
    delegation = new.delegation("targets/a")
    assert delegation is not None
    assert delegation.keyids == (BOB.keyid,)
    assert set(new.targets["targets"].keys) == {BOB.keyid}
    unchanged = RemoveKeys("targets/a", frozenset({wrapped.keyid})).apply(state)
    assert unchanged is state


def test_a_key_whose_certificate_cannot_be_read_is_no_obstacle() -> None:
    author = delegated()
    hostile = PublicKey("ecdsa-x509", b"junk")
    author.delegate("targets/a", [hostile, JEFF])
    new = RemoveKeys("targets/a", frozenset({hostile.keyid})).apply(published(author))
    delegation = new.delegation("targets/a")
    assert delegation is not None
    assert delegation.keyids == (JEFF.keyid,)


def test_resign_changes_nothing_but_asks_for_signatures(state: State) -> None:
    new = Resign("targets/jeff").apply(state)
    assert new.dirty == {"targets/jeff"}
    assert new.targets == state.targets
    assert Resign("targets/new").apply(state).targets["targets/new"].version == 0


def test_keys_for_a_role_come_from_the_root_or_the_file_above(state: State) -> None:
    assert state.keys_for("targets") == (state.root.signers("targets"), 1)
    assert state.keys_for("targets/jeff") == ((JEFF,), 1)
    with pytest.raises(TagUnsignedError):
        state.keys_for("targets/nobody")


def test_changes_apply_in_order(state: State) -> None:
    changes: list[Change] = [
        AddDelegation("targets/bob", [BOB]),
        AddTarget("targets/bob", "v1", ONE),
        RemoveTarget("targets/bob", "v1"),
        AddTarget("targets/bob", "v2", TWO),
    ]
    new = apply_all(state, changes)
    assert new.dirty == {"targets", "targets/bob"}
    assert dict(new.targets["targets/bob"].targets) == {"v2": TWO}
    with pytest.raises(InvalidNameError):
        apply_all(state, reversed(changes))


# -- many changes


def many(count: int) -> tuple[State, list[Change]]:
    listed = {f"v{number}": TargetFile(number, {"sha256": bytes(32)}) for number in range(count)}
    author = delegated("targets/jeff")
    author.targets["targets/jeff"] = replace(author.targets["targets/jeff"], targets=listed)
    return published(author), [AddTarget("targets/jeff", f"new{number}", ONE) for number in range(count)]


def test_many_tags_in_a_large_file_are_no_copy_of_it_for_each() -> None:
    grown = growth(lambda both: apply_all(*both), many, 1000)
    assert grown < TOO_MUCH


def test_changes_made_at_once_are_those_made_one_by_one(state: State) -> None:
    changes: list[Change] = [
        AddTarget("targets/jeff", "rc-2", TWO),
        AddTarget(roles.TARGETS, "v1", TWO),
        RemoveTarget("targets/jeff", "v1"),
        AddTarget("targets/jeff", "v1", TWO),
        RemoveTarget("targets/jeff", "rc-2"),
        Resign("targets/new"),
        AddTarget("targets/new", "v3", ONE),
    ]
    one_by_one = state
    for change in changes:
        one_by_one = change.apply(one_by_one)
    at_once = apply_all(state, changes)
    assert at_once.targets == one_by_one.targets
    assert at_once.dirty == one_by_one.dirty == {"targets", "targets/jeff", "targets/new"}


def test_what_is_added_and_removed_again_makes_nothing_dirty(state: State) -> None:
    there_and_back = (AddTarget("targets/jeff", "v9", ONE), RemoveTarget("targets/jeff", "v9"))
    assert not apply_all(state, there_and_back).dirty
