"""What several people sign: the form of a part, and whose signatures count."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    MetadataLimitError,
    NotarypyError,
    OutdatedPartError,
    PartError,
    SignatureError,
    UsageError,
)
from notarypy.limits import Limits
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import (
    AddDelegation,
    AddTarget,
    Change,
    RemoveDelegation,
    RemoveKeys,
    State,
    apply_all,
)
from notarypy.tuf.draftchanges import draft_changes, require_usable
from notarypy.tuf.envelope import Envelope, VerificationBudget
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.joinedparts import Joined, merged, require_verified
from notarypy.tuf.parts import HalfSigned, Part
from notarypy.tuf.plan import plan
from support.author import GUN, NOW, Author, public_key, root_key, signature

if TYPE_CHECKING:
    from notarypy.tuf.keys import PublicKey

TEAM = "targets/team"
CONTENT = TargetFile(3, {"sha256": b"1" * 32})


@pytest.fixture
def author() -> Author:
    author = Author(GUN, NOW)
    author.delegate(TEAM, [author.key("ann"), author.key("bob")], threshold=2)
    return author


def state_of(author: Author) -> State:
    files = author.repository()
    published = {role: files[role] for role in author.targets if role in files}
    published[roles.ROOT] = files[roles.ROOT]
    return State(GUN, author.root, author.targets, published=published)


def part_of(author: Author, *, tag: str = "1") -> Part:
    """Return an unsigned part that adds a tag to the team's file."""
    before = replace(state_of(author), partial=True)
    after = apply_all(before, [AddTarget(TEAM, tag, CONTENT)])
    (draft,) = plan(after, NOW, ())
    part = Part(GUN, before.published, {TEAM: HalfSigned(draft.signed)})
    part.require_sound()
    return part


def signed(part: Part, name: str, key: PublicKey | None = None) -> Part:
    made = signature(name, key or public_key(name), part.files[TEAM].text)
    return part.with_signatures(TEAM, [made])


def test_rule_1_what_is_written_is_read(author: Author) -> None:
    part = signed(part_of(author), "ann")
    document = part.document()
    assert Part.parse(document) == part
    assert document == Part.parse(document).document()
    assert document.isascii()
    assert list(json.loads(document)) == ["base", "files", "gun", "part"]
    assert document.count(b"\n") > 20


def test_rule_1_a_part_has_a_limit(author: Author) -> None:
    document = part_of(author).document()
    limits = Limits(part_bytes=len(document) - 1)
    with pytest.raises(MetadataLimitError):
        Part.parse(document, limits)
    assert Part.parse(document, Limits(part_bytes=len(document))).gun == GUN


def test_rule_4_no_draft_locks_a_role(author: Author) -> None:
    before = replace(state_of(author), partial=True)
    after = apply_all(before, [AddDelegation("targets/new", [public_key("carol")], threshold=1)])
    (draft,) = plan(after, NOW, ())
    draft.signed["delegations"]["roles"][-1]["threshold"] = 2
    with pytest.raises(UsageError):
        Part(GUN, before.published, {roles.TARGETS: HalfSigned(draft.signed)}).require_sound()


def test_rule_4_no_draft_lists_a_key_once_more(author: Author) -> None:
    before = replace(state_of(author), partial=True)
    after = apply_all(before, [AddDelegation("targets/new", [public_key("carol")])])
    (draft,) = plan(after, NOW, ())
    draft.signed["delegations"]["roles"][-1]["keyids"] *= 2
    part = Part(GUN, before.published, {roles.TARGETS: HalfSigned(draft.signed)})
    with pytest.raises(PartError, match="twice"):
        part.require_sound()
    require_usable(GUN, roles.TARGETS, part.after.targets[roles.TARGETS], part.after.targets[roles.TARGETS])


@pytest.mark.parametrize("name", roles.BASE_ROLES)
def test_rule_4_no_role_of_a_root_is_locked(author: Author, name: str) -> None:
    before = replace(state_of(author), partial=True)
    (draft,) = plan(replace(before, dirty=frozenset({roles.ROOT})), NOW, ())
    Part(GUN, before.published, {roles.ROOT: HalfSigned(draft.signed)}).require_sound()
    draft.signed["roles"][name]["threshold"] = 2
    with pytest.raises(UsageError):
        Part(GUN, before.published, {roles.ROOT: HalfSigned(draft.signed)}).require_sound()


def test_rule_4_a_delegation_may_be_left_to_nobody(author: Author) -> None:
    before = replace(state_of(author), partial=True)
    keys = frozenset(key.canonical_id for key in before.keys_for(TEAM)[0])
    (draft,) = plan(apply_all(before, [RemoveKeys(TEAM, keys)]), NOW, ())
    Part(GUN, before.published, {roles.TARGETS: HalfSigned(draft.signed)}).require_sound()


def test_rule_6_of_all_that_is_read_together_so_many_signatures_are_checked(author: Author) -> None:
    document = signed(signed(part_of(author), "ann"), "bob").document()
    budget = VerificationBudget(2, "these files")
    assert Part.parse(document, budget=budget).counting().missing == ()
    with pytest.raises(SignatureError, match="too many"):
        assert Part.parse(document, budget=budget).missing
    with pytest.raises(SignatureError, match="too many"):
        assert Part.parse(document, Limits(signature_checks=1)).missing


def test_rule_5_a_root_takes_both_thresholds(author: Author) -> None:
    before = replace(state_of(author), partial=True)
    key = root_key("new", GUN)
    keys = {**before.root.keys, key.keyid: key}
    assigned = replace(before.root.roles[roles.ROOT], keyids=(key.keyid,))
    root = replace(before.root, keys=keys, roles={**before.root.roles, roles.ROOT: assigned})
    after = replace(before, root=root, former=before.root, dirty=frozenset({roles.ROOT}))
    (draft,) = plan(after, NOW, ())
    part = Part(GUN, before.published, {roles.ROOT: HalfSigned(draft.signed)})
    part.require_sound()
    assert [(one.former, one.threshold, one.missing) for one in part.required] == [
        (True, 1, 1),
        (False, 1, 1),
    ]
    text = part.files[roles.ROOT].text
    half = part.with_signatures(roles.ROOT, [signature("new", key, text)])
    assert [(one.former, one.missing) for one in half.missing] == [(True, 1)]
    with pytest.raises(PartError):
        half.sealed()
    (old,) = before.root.signers(roles.ROOT)
    sealed = author.seal(draft.signed, [old])
    whole = half.with_signatures(roles.ROOT, Envelope.parse(sealed, roles.ROOT).signatures)
    assert whole.missing == ()
    assert set(whole.sealed()) == {roles.ROOT}


def test_rule_6_one_key_counts_once_bare_and_in_a_certificate() -> None:
    author = Author(GUN, NOW)
    bare, certified = author.key("ann"), author.root_key("ann")
    assert bare.canonical_id == certified.canonical_id
    author.delegate(TEAM, [bare, certified], threshold=2)
    part = part_of(author)
    both = signed(signed(part, "ann"), "ann", certified)
    (required,) = both.required
    assert (len(required.signed), required.missing) == (1, 1)
    with pytest.raises(PartError):
        both.sealed()


def test_rule_6_what_does_not_verify_counts_for_nothing(author: Author) -> None:
    part, other = part_of(author), part_of(author, tag="2")
    foreign = signature("ann", public_key("ann"), other.files[TEAM].text)
    mixed = part.with_signatures(TEAM, [foreign, signature("eve", public_key("eve"), part.files[TEAM].text)])
    (required,) = mixed.required
    assert required.signed == ()
    assert mixed.counting().files[TEAM].signatures == ()


def test_rule_6_a_bad_signature_before_a_good_one_does_no_harm(author: Author) -> None:
    part = part_of(author)
    bad = signature("ann", public_key("ann"), b"else")
    assert merged([part.with_signatures(TEAM, [bad]), signed(part, "ann"), signed(part, "bob")]).missing == ()


def test_parts_become_one_in_any_order(author: Author) -> None:
    part = part_of(author)
    ann, bob = signed(part, "ann"), signed(part, "bob")
    assert merged([ann, bob]).document() == merged([bob, ann, bob]).document()
    assert merged([ann, bob]).missing == ()


def test_parts_of_other_content_base_or_repository_do_not(author: Author) -> None:
    part = part_of(author)
    older = replace(part, base={**part.base, "targets": part.base["targets"] + b" "})
    for other in (part_of(author, tag="2"), older, replace(part, gun="registry.test/other")):
        with pytest.raises(PartError) as caught:
            merged([part, other])
        assert caught.value.why


def test_a_base_that_its_keys_did_not_sign_is_none(author: Author) -> None:
    part = part_of(author)
    require_verified(part)
    value = canonical.decode(part.base[roles.TARGETS])
    value["signed"]["delegations"]["roles"][0]["threshold"] = 1
    forged = {**part.base, roles.TARGETS: json.dumps(value).encode()}
    with pytest.raises(NotarypyError):
        require_verified(replace(part, base=forged))


def test_a_part_takes_its_place_once_and_nowhere_else(author: Author) -> None:
    part, state = part_of(author), state_of(author)
    after = Joined(part).apply(state)
    assert after.dirty == {TEAM}
    assert dict(after.targets[TEAM].targets) == {"1": CONTENT}
    whole = signed(signed(part, "ann"), "bob").sealed()
    there = replace(state, published={**state.published, **whole})
    assert Joined(part).apply(there) is there
    author.add("2", b"2", TEAM)
    author.bump(TEAM)
    with pytest.raises(OutdatedPartError):
        Joined(part).apply(state_of(author))


def test_all_that_goes_with_a_delegation_is_shown_and_is_there(author: Author) -> None:
    author.add("1", b"1", TEAM)
    before = replace(state_of(author), partial=True)
    (draft,) = plan(apply_all(before, [RemoveDelegation(TEAM)]), NOW, ())
    part = Part(GUN, before.published, {roles.TARGETS: HalfSigned(draft.signed)})
    part.require_sound()
    assert part.gone == (TEAM,)
    shown = draft_changes(part.before, part.after, {*part.files, *part.gone})
    assert [(one.kind, one.name) for one in shown if one.role == TEAM] == [("tag", "1")]
    unseen = replace(part, base={role: data for role, data in part.base.items() if role != TEAM})
    with pytest.raises(OutdatedPartError):
        Joined(unseen).apply(before)


def test_all_that_a_draft_changes_is_shown(author: Author) -> None:
    before = state_of(author)
    carol = public_key("carol")
    custom = replace(CONTENT, custom={"build": 7})
    changes: list[Change] = [
        AddDelegation("targets/carol", [carol], ("v",)),
        AddTarget(roles.TARGETS, "1", custom),
    ]
    after = apply_all(replace(before, partial=True), changes)
    found = [
        (one.kind, one.name, one.before, one.after)
        for one in draft_changes(before, after, {roles.TARGETS})
        if one.kind not in {"version", "expires"}
    ]
    assert found == [
        ("delegation", "targets/carol", None, "targets/carol"),
        ("key", "targets/carol", None, carol.canonical_id),
        ("threshold", "targets/carol", None, "1"),
        ("path", "targets/carol", None, "v"),
        ("tag", "1", None, f"{custom.digest}, 3 bytes"),
        ("entry", "1", None, '{"custom":{"build":7}}'),
    ]
