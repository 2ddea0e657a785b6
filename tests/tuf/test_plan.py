"""Plans: which files to sign, with which keys, versions and dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notarypy.errors import KeyNotAuthorisedError, TagUnsignedError, VerificationError
from notarypy.tuf import roles
from notarypy.tuf.changes import (
    AddDelegation,
    AddTarget,
    Discard,
    RemoveDelegation,
    Resign,
    State,
    apply_all,
)
from notarypy.tuf.fields import MAX_VERSION, MetaFile, TargetFile, format_time
from notarypy.tuf.keys import PublicKey
from notarypy.tuf.metadata import Root, Snapshot, Targets
from notarypy.tuf.plan import (
    ROOT_LIFETIME,
    TARGETS_LIFETIME,
    first_root,
    plan,
    snapshot_draft,
)
from support.author import GUN, NOW, Author, public_key, root_key
from support.repository import LATER, delegated, load

ONE = TargetFile.of(b"one")
JEFF, BOB = public_key("jeff"), public_key("bob")


def everything(author: Author) -> set[str]:
    """Return the canonical ids of all keys that sign anything here."""
    return {
        key.canonical_id for role in (*author.root.roles, *author.targets) for key in author.signers(role)
    }


def published(author: Author) -> State:
    return State.of(load(author.repository()))


def test_rule_1_a_dirty_file_gets_the_next_version_and_a_full_lifetime() -> None:
    author = delegated()
    author.targets["targets"] = replace(author.targets["targets"], version=41)
    state = AddTarget("targets", "v2", ONE).apply(published(author))
    (draft,) = plan(state, LATER, everything(author))
    new = Targets.from_signed(draft.signed)
    assert (draft.role, new.version, new.expires) == ("targets", 42, LATER + timedelta(days=3 * 365))
    assert set(new.targets) == {"v1", "v2"}
    assert draft.keys == author.root.signers("targets")


def test_rule_1_the_first_file_of_a_delegation_is_version_1() -> None:
    author = delegated()
    author.delegate("targets/a")
    state = AddTarget("targets/a", "v1", ONE).apply(published(author))
    (draft,) = plan(state, LATER, everything(author) | {author.key(f"{author.gun}/targets/a").keyid})
    assert draft.signed["version"] == 1


def test_rule_1_a_discarded_file_goes_on_above_its_version() -> None:
    author = delegated("targets/a")
    author.targets["targets/a"] = replace(author.targets["targets/a"], version=7, expires=NOW)
    state = Discard("targets/a").apply(published(author))
    (draft,) = plan(state, LATER, everything(author))
    assert (draft.signed["version"], draft.signed["targets"]) == (8, {})


def test_rule_3_what_is_not_dirty_is_not_drafted() -> None:
    author = delegated("targets/a")
    assert plan(published(author), LATER, everything(author)) == ()


def test_parents_are_drafted_first() -> None:
    author = delegated("targets/b", "targets/a", "targets/b/c")
    state = apply_all(
        published(author), [Resign(role) for role in ("targets/b/c", "targets/b", "targets/a", "targets")]
    )
    drafts = plan(state, LATER, everything(author))
    assert [draft.role for draft in drafts] == ["targets", "targets/a", "targets/b", "targets/b/c"]


def two_keys(threshold: int) -> tuple[Author, State]:
    author = delegated()
    author.delegate("targets/a", [author.key("jeff"), author.key("bob")], threshold=threshold)
    return author, AddTarget("targets/a", "v1", ONE).apply(published(author))


@pytest.mark.parametrize(
    ("threshold", "held", "signers"),
    [
        (1, {JEFF.keyid}, (JEFF,)),
        (1, {BOB.keyid}, (BOB,)),
        (1, {JEFF.keyid, BOB.keyid, "x"}, (JEFF, BOB)),
        (1, set(), None),
        (1, {"x"}, None),
        (2, {JEFF.keyid}, None),
        (2, {JEFF.keyid, BOB.keyid}, (JEFF, BOB)),
        (3, {JEFF.keyid, BOB.keyid}, None),
    ],
)
def test_rule_2_every_key_at_hand_signs_and_the_threshold_is_met(
    threshold: int, held: set[str], signers: tuple[PublicKey, ...] | None
) -> None:
    _, state = two_keys(threshold)
    if signers is not None:
        assert plan(state, LATER, held)[0].keys == signers
    else:
        with pytest.raises(KeyNotAuthorisedError) as caught:
            plan(state, LATER, held)
        assert caught.value.facts == {
            "role": "targets/a",
            "accepted": [JEFF.keyid, BOB.keyid],
            "threshold": threshold,
        }


def test_rule_2_nothing_at_all_is_signed_when_one_role_cannot_be() -> None:
    author, state = two_keys(1)
    with pytest.raises(KeyNotAuthorisedError):
        plan(Resign("targets").apply(state), LATER, {JEFF.keyid})
    assert len(plan(Resign("targets").apply(state), LATER, {JEFF.keyid} | everything(author))) == 2


def test_rule_2_one_key_in_two_wrappings_signs_twice_and_counts_once() -> None:
    author = delegated()
    wrapped = root_key("jeff", "anything")
    author.delegate("targets/a", [JEFF, wrapped], threshold=2)
    state = AddTarget("targets/a", "v1", ONE).apply(published(author))
    with pytest.raises(KeyNotAuthorisedError):
        plan(state, LATER, {JEFF.keyid})
    author.delegate("targets/a", [JEFF, wrapped])
    state = AddTarget("targets/a", "v1", ONE).apply(published(author))
    assert plan(state, LATER, {JEFF.keyid})[0].keys == (JEFF, wrapped)


def test_rule_2_a_role_without_keys_says_so() -> None:
    author = delegated()
    author.delegate("targets/a", [JEFF])
    author.targets["targets"] = replace(
        author.targets["targets"], roles=(replace(author.targets["targets"].roles[0], keyids=()),), keys={}
    )
    state = AddTarget("targets/a", "v1", ONE).apply(published(author))
    with pytest.raises(KeyNotAuthorisedError) as caught:
        plan(state, LATER, {JEFF.keyid})
    assert "the role has no keys" in caught.value.why[0]


def test_a_key_whose_certificate_cannot_be_read_does_not_stop_the_others() -> None:
    author = delegated()
    author.delegate("targets/a", [PublicKey("ecdsa-x509", b"junk"), JEFF])
    state = AddTarget("targets/a", "v1", ONE).apply(published(author))
    assert plan(state, LATER, {JEFF.keyid})[0].keys == (JEFF,)


def test_keys_of_a_role_that_the_same_changes_create_are_known() -> None:
    author = delegated()
    state = apply_all(
        published(author), [AddDelegation("targets/bob", [BOB]), AddTarget("targets/bob", "v1", ONE)]
    )
    drafts = plan(state, LATER, everything(author) | {BOB.keyid})
    assert [(draft.role, draft.keys) for draft in drafts] == [
        ("targets", author.root.signers("targets")),
        ("targets/bob", (BOB,)),
    ]


def test_resigning_what_nobody_delegates_to_is_refused() -> None:
    author = delegated()
    with pytest.raises(TagUnsignedError):
        plan(Resign("targets/nobody").apply(published(author)), LATER, everything(author))


@pytest.mark.parametrize(("version", "accepted"), [(MAX_VERSION - 1025, True), (MAX_VERSION - 1024, False)])
def test_rule_5_versions_stop_below_the_limit(version: int, accepted: bool) -> None:
    author = delegated()
    author.targets["targets"] = replace(author.targets["targets"], version=version)
    state = Resign("targets").apply(published(author))
    if accepted:
        assert plan(state, LATER, everything(author))[0].signed["version"] == version + 1
    else:
        with pytest.raises(VerificationError, match="lock its readers out"):
            plan(state, LATER, everything(author))


# -- root and snapshot


def test_a_first_root_has_one_key_for_each_role() -> None:
    keys = {
        roles.ROOT: root_key("r", "gun"),
        **{role: public_key(role) for role in ("targets", "snapshot", "timestamp")},
    }
    root = first_root({role: [key] for role, key in keys.items()}, NOW)
    assert timedelta(days=3650) == ROOT_LIFETIME
    assert (root.version, root.expires) == (0, NOW + ROOT_LIFETIME)
    assert {role: assigned.keyids for role, assigned in root.roles.items()} == {
        role: (key.keyid,) for role, key in keys.items()
    }
    assert {assigned.threshold for assigned in root.roles.values()} == {1}
    first = State(GUN, root, {}, dirty=frozenset({roles.ROOT}))
    [draft] = plan(first, NOW, {keys[roles.ROOT].canonical_id})
    assert (draft.role, draft.keys) == (roles.ROOT, (keys[roles.ROOT],))
    assert Root.from_signed(draft.signed) == replace(root, version=1)


def snapshot_after(author: Author, state: State, **files: bytes) -> Snapshot:
    old = Snapshot.from_signed(
        snapshot_draft(author.root, None, author.files(), published(author), NOW).signed
    )
    draft = snapshot_draft(author.root, old, files, state, LATER)
    assert (draft.role, draft.keys) == (roles.SNAPSHOT, author.root.signers(roles.SNAPSHOT))
    assert draft.signed["expires"] == format_time(LATER + TARGETS_LIFETIME)
    return Snapshot.from_signed(draft.signed)


def test_rule_4_a_first_snapshot_lists_the_new_files_with_both_hashes() -> None:
    author = delegated("targets/a")
    draft = snapshot_draft(author.root, None, author.files(), published(author), NOW)
    snapshot = Snapshot.from_signed(draft.signed)
    assert snapshot.version == 1
    assert snapshot.meta == {role: MetaFile.of(data) for role, data in author.files().items()}


def test_rule_4_a_snapshot_lists_what_the_last_one_did_and_the_new_files() -> None:
    author = delegated("targets/a", "targets/b")
    snapshot = snapshot_after(author, published(author), targets=b"new targets")
    expected = {**author.files(), "targets": b"new targets"}
    assert snapshot.version == 2
    assert snapshot.meta == {role: MetaFile.of(data) for role, data in expected.items()}


def test_rule_4_a_snapshot_lists_no_removed_delegation_nor_what_is_below() -> None:
    author = delegated("targets/a", "targets/a/b", "targets/c")
    state = RemoveDelegation("targets/a").apply(published(author))
    assert set(snapshot_after(author, state).meta) == {"root", "targets", "targets/c"}


def test_rule_4_what_is_below_a_distrusted_file_stays_listed() -> None:
    author = delegated("targets/a", "targets/a/b", "targets/a/b/c", "targets/d")
    files = set(author.files())
    author.targets["targets/a"] = replace(author.targets["targets/a"], expires=NOW)
    state = published(author)
    assert "targets/a/b" not in state.targets
    assert set(snapshot_after(author, state).meta) == files
    gone = RemoveDelegation("targets/a").apply(state)
    assert set(snapshot_after(author, gone).meta) == {"root", "targets", "targets/d"}


def test_rule_4_strange_names_are_not_carried_on() -> None:
    author = delegated()
    strange = {**author.files(), "mirrors": b"x", "targets/a.b": b"x", "": b"x", "targets/stray": b"x"}
    draft = snapshot_draft(author.root, None, strange, published(author), NOW)
    assert set(draft.signed["meta"]) == {"root", "targets"}


def test_rule_5_holds_for_the_snapshot_too() -> None:
    author = delegated()
    old = Snapshot(MAX_VERSION - 1, NOW, {})
    with pytest.raises(VerificationError, match="snapshot has reached version"):
        snapshot_draft(author.root, old, {}, published(author), NOW)
