"""New keys for base roles: what the next root names, and who signs it."""

from __future__ import annotations

import pytest

from notarypy.errors import KeyNotAuthorisedError
from notarypy.tuf import roles
from notarypy.tuf.changes import State
from notarypy.tuf.metadata import Root, Targets
from notarypy.tuf.plan import ROOT_LIFETIME, plan
from notarypy.tuf.rootchanges import AssignKeys
from support.author import GUN, NOW, public_key, root_key
from support.repository import LATER, delegated, load

NEXT = public_key("next")
NEXT_ROOT = root_key("next root", GUN)


@pytest.fixture
def state() -> State:
    return State.of(load(delegated("targets/jeff").repository()))


def _held(state: State, *more: str) -> set[str]:
    held = {key.canonical_id for key in state.root.keys.values()}
    return held | {public_key(name).canonical_id for name in more}


def test_a_targets_key_is_replaced_and_signs_targets_anew(state: State) -> None:
    after = AssignKeys(roles.TARGETS, [NEXT]).apply(state)
    assert after.dirty == {roles.ROOT, roles.TARGETS}
    assert after.root.signers(roles.TARGETS) == (NEXT,)
    assert state.root.roles[roles.TARGETS].keyids[0] not in after.root.keys
    assert after.root.roles[roles.ROOT] == state.root.roles[roles.ROOT]
    root, targets = plan(after, LATER, _held(state, "next"))
    assert (root.role, targets.role) == (roles.ROOT, roles.TARGETS)
    assert root.keys == state.root.signers(roles.ROOT)
    assert targets.keys == (NEXT,)
    assert Root.from_signed(root.signed).expires == LATER + ROOT_LIFETIME
    assert Root.from_signed(root.signed).version == state.root.version + 1
    assert Targets.from_signed(targets.signed).version == state.targets[roles.TARGETS].version + 1


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TIMESTAMP])
def test_of_the_other_roles_only_the_root_changes(state: State, role: str) -> None:
    after = AssignKeys(role, [NEXT]).apply(state)
    assert after.dirty == {roles.ROOT}
    assert [draft.role for draft in plan(after, LATER, _held(state))] == [roles.ROOT]


def test_a_root_key_is_replaced_with_the_signature_of_both(state: State) -> None:
    after = AssignKeys(roles.ROOT, [NEXT_ROOT]).apply(state)
    (old,) = state.root.signers(roles.ROOT)
    (draft,) = plan(after, LATER, _held(state, "next root"))
    assert set(draft.keys) == {old, NEXT_ROOT}
    root = Root.from_signed(draft.signed)
    assert root.signers(roles.ROOT) == (NEXT_ROOT,)
    assert old.keyid in root.keys


def test_rule_3_root_keys_of_earlier_versions_sign_where_they_are_named_and_here(state: State) -> None:
    here, elsewhere = root_key("earlier", GUN), root_key("earlier, elsewhere", GUN)
    after = AssignKeys(roles.TARGETS, [NEXT], None, (here, elsewhere)).apply(state)
    root, targets = plan(after, LATER, _held(state, "next", "earlier"))
    assert set(root.keys) == {*state.root.signers(roles.ROOT), here}
    assert targets.keys == (NEXT,)
    assert here.keyid not in Root.from_signed(root.signed).roles[roles.ROOT].keyids


def test_earlier_root_keys_of_two_changes_sign_the_one_root(state: State) -> None:
    one, two = root_key("earlier", GUN), root_key("earlier still", GUN)
    after = AssignKeys(roles.TARGETS, [NEXT], None, (one,)).apply(state)
    after = AssignKeys(roles.ROOT, [NEXT_ROOT], None, (two,)).apply(after)
    root, _ = plan(after, LATER, _held(state, "next", "next root", "earlier", "earlier still"))
    assert {one, two} < set(root.keys)


def test_two_changes_are_one_next_root(state: State) -> None:
    after = AssignKeys(roles.TARGETS, [NEXT]).apply(AssignKeys(roles.ROOT, [NEXT_ROOT]).apply(state))
    assert after.former == state.root
    root, _ = plan(after, LATER, _held(state, "next", "next root"))
    assert Root.from_signed(root.signed).version == state.root.version + 1
    assert len(root.keys) == 2


def test_the_same_key_again_changes_nothing(state: State) -> None:
    assert AssignKeys(roles.TARGETS, state.root.signers(roles.TARGETS)).apply(state) is state


@pytest.mark.parametrize("missing", ["old", "new"])
def test_a_root_that_readers_could_not_follow_is_not_signed(state: State, missing: str) -> None:
    after = AssignKeys(roles.ROOT, [NEXT_ROOT]).apply(state)
    held = _held(state, "next root") - {
        (NEXT_ROOT if missing == "new" else state.root.signers(roles.ROOT)[0]).canonical_id
    }
    with pytest.raises(KeyNotAuthorisedError) as caught:
        plan(after, NOW, held)
    assert caught.value.facts["role"] == roles.ROOT


def test_a_key_that_two_roles_share_stays_for_the_other(state: State) -> None:
    shared = AssignKeys(roles.SNAPSHOT, state.root.signers(roles.TARGETS)).apply(state)
    after = AssignKeys(roles.TARGETS, [NEXT]).apply(shared)
    assert state.root.roles[roles.TARGETS].keyids[0] in after.root.keys
