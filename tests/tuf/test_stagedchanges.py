"""Staged changes: their text, and what they make of a state."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from notarypy.errors import MetadataError, NotarypyError, UsageError
from notarypy.tuf import roles
from notarypy.tuf.applystaged import Applied, Reached, apply_staged
from notarypy.tuf.changes import State, apply_all
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.stagedchanges import Staged, in_order, written
from support.author import GUN, NOW, public_key
from support.counting import TOO_MUCH, growth
from support.repository import delegated, load

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "go" / "changelist").iterdir())
JEFF, BOB = public_key("jeff"), public_key("bob")
RELEASES, TEAM, DEEP = "targets/releases", "targets/team", "targets/team/deep"
ONE = {"length": 3, "hashes": {"sha256": b64encode(bytes(32)).decode()}}


@pytest.fixture
def state() -> State:
    """`v1` in targets; team with jeff and bob for what begins with a, with a role below; releases; new."""
    author = delegated()
    author.delegate(RELEASES, [author.key("jeff")])
    author.delegate(TEAM, [author.key("jeff"), author.key("bob")], ("a", "b"))
    author.delegate("targets/new", [author.key("jeff")])
    author.add("a1", b"one", TEAM)
    author.add("v1", b"one", RELEASES)
    author.delegate(DEEP, [author.key("bob")], ("ab",))
    author.add("ab1", b"one", DEEP)
    return State.of(load(author.repository()))


def key_object(name: str) -> dict[str, object]:
    key = public_key(name)
    return {"keytype": key.keytype, "keyval": {"public": b64encode(key.public).decode(), "private": None}}


def delegation(action: str, role: str, **data: object) -> Staged:
    return Staged(action, role, "delegation", data=written(data) if data else None)


def target(name: str, role: str = "targets", entry: dict[str, object] | None = None) -> Staged:
    return Staged("create", role, "target", name, written({**ONE, **(entry or {})}))


def removal(name: str, role: str = "targets") -> Staged:
    return Staged("delete", role, "target", name)


def witness(role: str) -> Staged:
    return Staged("update", role, "witness")


def applied(state: State, *changes: Staged, signable: frozenset[str] | None = None) -> Applied:
    def can(_: State, role: str) -> bool:
        return signable is None or role in signable

    return apply_staged(state, list(enumerate(changes)), can)


def dirty(state: State, *changes: Staged) -> frozenset[str]:
    return applied(state, *changes).state.dirty


# -- the text


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name[-12:-7])
def test_what_go_writes_is_read_and_written_byte_for_byte(path: Path) -> None:
    text = path.read_bytes()
    staged = Staged.parse(text)
    assert staged.document() == text
    if staged.data is not None:
        assert written(json.loads(staged.data)) == staged.data


def test_names_are_written_as_go_writes_them() -> None:
    text = Staged("delete", "targets", "target", 'é<1>&"\\\u2028').document()
    assert b'"path":"\xc3\xa9\\u003c1\\u003e\\u0026\\"\\\\\\u2028"' in text
    assert Staged.parse(text).path == 'é<1>&"\\\u2028'


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"role":5}', b'{"data":"x"}', b'{"data":{}}', b'{"path":"a","path":"b"}', b"\xff"],
)
def test_what_is_no_change_is_refused(text: bytes) -> None:
    with pytest.raises(MetadataError):
        Staged.parse(text)


def test_members_that_are_not_there_are_empty_as_for_go() -> None:
    assert Staged.parse(b"{}") == Staged("", "", "", "", None)


def test_members_have_any_case_as_for_go_and_the_last_counts() -> None:
    found = Staged.parse(
        b'{"Action":"delete","action":null,"ROLE":"x","role":"targets","tyPe":"target","PATH":"n"}'
    )
    assert found == removal("n")


def test_members_are_put_in_the_order_that_is_signed() -> None:
    assert json.dumps(in_order({"b": [{"d": 1, "c": 2}], "a": 1})) == '{"a": 1, "b": [{"c": 2, "d": 1}]}'


# -- targets


def test_entries_are_listed_and_removed(state: State) -> None:
    after = applied(state, target("n"), removal("v1"), target("a2", TEAM), removal("v1", RELEASES)).state
    assert set(after.targets["targets"].targets) == {"n"}
    assert set(after.targets[TEAM].targets) == {"a1", "a2"}
    assert set(after.targets[RELEASES].targets) == set()
    assert after.dirty == {"targets", TEAM, RELEASES}


def test_an_entry_is_the_one_that_was_staged(state: State) -> None:
    """Other hashes, other custom data and none are all another entry."""
    both: dict[str, object] = {"hashes": {**ONE["hashes"], "sha512": b64encode(bytes(64)).decode()}}  # type: ignore[dict-item]
    entries: list[dict[str, object]] = [both, {"custom": {"a": 1}}, {"custom": 2}, {}, {"length": 4}]
    for entry in entries:
        state = applied(state, target("n", entry=entry)).state
        assert state.targets["targets"].targets["n"] == TargetFile.from_json({**ONE, **entry}, "")
        state = State(GUN, state.root, state.targets)
        assert dirty(state, target("n", entry=entry)) == frozenset()


@pytest.mark.parametrize("name", ["", "a\x7f"])
def test_names_that_go_publishes_are_listed_and_go_again(state: State, name: str) -> None:
    after = applied(state, target(name)).state
    assert name in after.targets["targets"].targets
    assert name not in applied(after, removal(name)).state.targets["targets"].targets


def test_custom_data_that_go_signs_in_the_form_of_ours_is_taken(state: State) -> None:
    after = applied(state, target("n", entry={"custom": {"b": "\u00e9", "a": [1, 1e2]}})).state
    assert after.targets["targets"].targets["n"].custom == {"b": "\u00e9", "a": [1, 100]}


def test_an_empty_name_is_one_in_errors(state: State) -> None:
    with pytest.raises(NotarypyError) as caught:
        applied(state, target("", entry={"length": -1}))
    assert 'that is staged change 0: create target "" in targets' in caught.value.why


def test_the_last_of_several_counts(state: State) -> None:
    after = applied(
        state, target("n"), removal("n"), target("n", entry={"length": 9}), target("m"), removal("m")
    ).state
    assert after.targets["targets"].targets["n"].length == 9
    assert "m" not in after.targets["targets"].targets


@pytest.mark.parametrize(
    "entry",
    [
        {"length": -1},
        {"length": "3"},
        {"hashes": {}},
        {"hashes": {"md5": "AAAA"}},
        {"hashes": {"sha256": "AAAA"}},
        {"hashes": 1},
        {"custom": 1.5},
        {"custom": "<"},
        {"custom": {"&": 1}},
        {"custom": "\u2028"},
        {"custom": "a\nb"},
    ],
)
def test_entries_that_nobody_could_use_are_refused(state: State, entry: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:  # a mistake of who staged it: published files are as they were
        applied(state, removal("x"), target("n", entry=entry))
    assert caught.value.facts["staged"] == 1


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ([target("b"), target("x", TEAM)], 1),  # outside of its paths
        ([target("x", TEAM), target("n", "targets/nobody")], 0),
        ([target("n", "targets/nobody")], 0),
        ([removal("n", "targets/nobody")], 0),
        ([target("\x00", "targets")], 0),
        ([delegation("create", "targets/n", add_keys=[key_object("bob")], add_paths=["a\tb"])], 0),
        ([delegation("create", TEAM, add_paths=["a\nb"])], 0),
        ([delegation("update", TEAM, add_paths=["a\x00"])], 0),
        ([target("a1", TEAM), target("a\nb", TEAM)], 1),
        ([Staged("update", "targets", "target", "n", b"{}")], 0),
        ([Staged("create", "targets", "target", "n")], 0),
        ([Staged("create", "targets", "target", "n", b"not json")], 0),
        ([Staged("create", "root", "target", "n", written(ONE))], 0),
        ([Staged("", "", "")], 0),
        ([Staged("create", "root", "role", "targets", b'{"keys":[],"role":"targets"}')], 0),
        ([witness("targets"), witness("root")], 1),
        ([witness("snapshot")], 0),
        ([Staged("create", TEAM, "witness")], 0),
        ([Staged("update", TEAM, "unheard")], 0),
        ([Staged("rename", TEAM, "delegation")], 0),
        ([delegation("create", "targets/n", add_paths=[""])], 0),  # without a key
        ([delegation("create", "targets/x/y", add_keys=[key_object("bob")])], 0),
        ([delegation("create", "targets/UP", add_keys=[key_object("bob")])], 0),
        ([delegation("create", "targets", add_keys=[key_object("bob")])], 0),
        ([delegation("create", "targets/n", add_keys=[{"keytype": "ecdsa"}])], 0),
        ([delegation("create", "targets/n", add_keys={"a": 1})], 0),
        ([delegation("create", "targets/n", add_keys=[key_object("bob")], threshold=2)], 0),
        ([delegation("create", "targets/n", add_keys=[key_object("bob")], threshold=0)], 0),
        ([delegation("create", "targets/n", add_keys=[key_object("bob")], threshold="1")], 0),
        ([delegation("create", f"{TEAM}/n", add_keys=[key_object("bob")], add_paths=[""])], 0),
        ([delegation("update", DEEP, add_paths=["c"])], 0),
        ([delegation("update", "targets/nobody", remove_paths=["a"])], 0),
        ([delegation("update", TEAM)], 0),
        ([delegation("update", TEAM, remove_keys="x")], 0),
    ],
)
def test_what_is_impossible_names_its_number(state: State, changes: list[Staged], number: int) -> None:
    with pytest.raises(NotarypyError) as caught:
        applied(state, *changes)
    error = caught.value
    assert isinstance(error, UsageError)
    assert error.facts["staged"] == number
    assert error.advice is not None
    assert (error.advice.name, error.advice.values) == ("reset-staged", {"number": number, "gun": GUN})
    assert any(f"staged change {number}: " in line for line in error.why)


# -- delegations


def test_a_role_begins_with_keys_and_gets_paths_after_that(state: State) -> None:
    made = delegation("create", "targets/n", threshold=1, add_keys=[key_object("bob"), key_object("jeff")])
    after = applied(state, made, delegation("create", "targets/n", add_paths=["z", "y", "z"])).state
    found = after.delegation("targets/n")
    assert found is not None
    assert (found.keyids, found.threshold, found.paths) == ((BOB.keyid, JEFF.keyid), 1, ("z", "y"))
    assert after.dirty == {"targets"}


def test_what_is_created_and_there_is_added_to_and_keeps_its_threshold(state: State) -> None:
    more = delegation("create", "targets/new", threshold=2, add_keys=[key_object("bob"), key_object("jeff")])
    found = applied(state, more).state.delegation("targets/new")
    assert found is not None
    assert (found.keyids, found.threshold) == ((JEFF.keyid, BOB.keyid), 1)


def test_a_threshold_is_that_of_a_new_role(state: State) -> None:
    both = [key_object("bob"), key_object("jeff")]
    found = applied(state, delegation("create", "targets/n", threshold=2, add_keys=both)).state
    assert found.keys_for("targets/n")[1] == 2


def test_keys_and_paths_go(state: State) -> None:
    first = delegation("update", TEAM, remove_keys=[JEFF.keyid, "0" * 64])
    after = applied(state, first, delegation("update", TEAM, remove_paths=["b", "none"])).state
    found = after.delegation(TEAM)
    assert found is not None
    assert (found.keyids, found.paths) == ((BOB.keyid,), ("a",))
    cleared = applied(state, delegation("update", TEAM, clear_paths=True)).state.delegation(TEAM)
    assert cleared is not None
    assert cleared.paths == ()


def test_a_role_without_enough_keys_is_said(state: State) -> None:
    done = applied(state, delegation("update", TEAM, remove_keys=[JEFF.keyid, BOB.keyid]))
    assert done.state.keys_for(TEAM) == ((), 1)
    assert done.notes == (
        f"{TEAM} has 0 keys left and takes 1 signatures: nobody can use it until keys are added",
    )


def test_what_is_said_of_keys_and_paths_holds_in_the_end(state: State) -> None:
    gone = delegation("update", "targets/new", remove_keys=[JEFF.keyid, BOB.keyid], remove_paths=["x"])
    come = delegation("create", "targets/new", add_keys=[key_object("bob")])
    too_few = "targets/new has 0 keys left and takes 1 signatures: nobody can use it until keys are added"
    not_there = (f'targets/new has no key "{BOB.keyid}"', 'targets/new has no path "x"', too_few)
    assert applied(state, gone).notes == not_there
    assert applied(state, gone, come).notes == ('targets/new has no path "x"',)
    assert applied(state, come, gone).notes == ('targets/new has no path "x"', too_few)
    both = delegation("update", "targets/new", add_keys=[key_object("bob")], remove_keys=[JEFF.keyid])
    assert applied(state, both).notes == ()
    assert applied(state, gone, delegation("delete", "targets/new")).notes == ()
    purge = delegation("update", "targets/*", remove_keys=[BOB.keyid])
    before = applied(state, delegation("delete", TEAM)).state
    assert applied(before, purge).notes == (f'no delegation has the key "{BOB.keyid}"',)
    assert applied(before, purge, come).notes == ()


@pytest.mark.parametrize("role", ["", "bogus", "snapshot"])
def test_a_change_of_no_role_that_has_any_says_so_as_go_does(state: State, role: str) -> None:
    with pytest.raises(UsageError, match=f"^scope not supported: {role}$") as caught:
        applied(state, Staged("", role, ""))
    assert ("snapshot" in caught.value.why[0]) == (role == "snapshot")
    named = role or '""'
    assert caught.value.why[-1] == f'that is staged change 0: "" "" {named}'


def test_a_role_goes_with_what_is_below_it(state: State) -> None:
    after = applied(state, delegation("delete", TEAM)).state
    assert after.delegation(TEAM) is None
    assert set(after.targets) == {"targets", RELEASES}
    assert dirty(state, delegation("delete", "targets/nobody")) == frozenset()


def test_a_path_that_the_role_above_gained_before_can_be_given(state: State) -> None:
    below = delegation("create", DEEP, add_paths=["c1"])
    after = applied(state, delegation("create", TEAM, add_paths=["c"]), below).state
    assert after.paths(DEEP) == ("ab", "c1")


# -- every delegation


@pytest.mark.parametrize(
    ("scope", "without"),
    [("targets/*", {TEAM, DEEP}), (f"{TEAM}/*", {DEEP}), (f"{DEEP}/*", set()), ("targets/tea/*", set())],
)
def test_keys_go_from_everything_below(state: State, scope: str, without: set[str]) -> None:
    after = applied(state, delegation("update", scope, remove_keys=[BOB.keyid])).state
    held = {one for one in (TEAM, DEEP) if BOB in after.keys_for(one)[0]}
    assert held == {TEAM, DEEP} - without
    assert after.dirty == {roles.parent(role) for role in without}
    assert JEFF in after.keys_for(TEAM)[0]


def test_a_role_below_one_that_cannot_be_signed_here_keeps_them_and_that_is_said(state: State) -> None:
    purge = delegation("update", "targets/*", remove_keys=[BOB.keyid])
    done = applied(state, purge, signable=frozenset({"targets"}))
    assert done.state.dirty == {"targets"}
    assert BOB in done.state.keys_for(DEEP)[0]
    assert done.notes == (f"{BOB.keyid[:7]} stays in {DEEP}: the keys here cannot sign {TEAM}",)


def test_a_key_that_nobody_has_changes_nothing(state: State) -> None:
    nobodys = "0" * 64
    found = applied(state, delegation("update", "targets/*", remove_keys=[nobodys]))
    assert found == Applied(state, {}, (f'no delegation has the key "{nobodys}"',))


# -- witnesses


def test_roles_are_signed_anew_also_those_without_a_file(state: State) -> None:
    assert dirty(state, witness("targets"), witness(TEAM), witness("targets/new")) == {
        "targets",
        TEAM,
        "targets/new",
    }


def test_a_witness_of_nobody_is_dropped_and_the_rest_counts(state: State) -> None:
    nobody = [witness(role) for role in ("targets/nobody", "targets/UP", "bogus", "", "targets/")]
    done = applied(state, *nobody, target("n"), witness(TEAM))
    assert list(done.dropped) == [0, 1, 2, 3, 4]
    assert done.dropped[0] == f"{GUN} has no role targets/nobody"
    assert done.dropped[3] == f'{GUN} has no role ""'
    assert done.state.dirty == {"targets", TEAM}


def test_a_witness_of_what_was_staged_before_it_counts(state: State) -> None:
    made = delegation("create", "targets/n", add_keys=[key_object("bob")])
    assert dirty(state, made, witness("targets/n")) == {"targets", "targets/n"}


def test_a_role_that_cannot_be_trusted_is_not_written_over() -> None:
    author = delegated(TEAM)
    author.targets[TEAM] = replace(author.targets[TEAM], expires=NOW)
    state = State.of(load(author.repository()))
    assert TEAM in state.failures
    for change in (witness(TEAM), target("n", TEAM), removal("a1", TEAM)):
        with pytest.raises(NotarypyError) as caught:
            applied(state, change)
        assert caught.value.code == state.failures[TEAM].code
        assert caught.value.facts["staged"] == 0
        assert "staged" not in state.failures[TEAM].facts


# -- all of them


def test_done_again_it_changes_nothing(state: State) -> None:
    """As after a conflict, or an answer that was lost."""
    changes = [
        target("n"), removal("v1"), delegation("create", "targets/n", add_keys=[key_object("bob")]),
        delegation("create", "targets/n", add_paths=["a"]), delegation("update", TEAM, clear_paths=True),
        delegation("update", "targets/*", remove_keys=[JEFF.keyid]), delegation("delete", RELEASES),
    ]  # fmt: skip
    after = applied(state, *changes).state
    again = State(GUN, after.root, after.targets)
    assert applied(again, *changes).state.dirty == frozenset()


def test_the_state_that_is_reached_is_one_change(state: State) -> None:
    after = applied(state, target("n")).state
    assert apply_all(state, [Reached(after)]) is after


def test_the_work_grows_with_the_changes_alone(state: State) -> None:
    """A file is copied once for entries that follow each other, not once for each."""

    def many(count: int) -> list[Staged]:
        return [target(f"n{number}") for number in range(count)]

    assert growth(lambda changes: applied(state, *changes), many, 1000) < TOO_MUCH
