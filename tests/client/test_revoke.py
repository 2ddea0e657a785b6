from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.client.publish.pipeline import publisher_for
from notarypy.errors import (
    Advice,
    DigestMismatchError,
    InvalidNameError,
    KeyNotAuthorisedError,
    RepositoryMissingError,
    SignatureError,
    TagUnsignedError,
    UsageError,
)
from notarypy.tuf import roles
from notarypy.tuf.changes import AddDelegation, AddTarget, RemoveKeys
from notarypy.tuf.signerkeys import load_public_pem
from support.author import GUN
from support.people import owned, released_tags

if TYPE_CHECKING:
    from notarypy.tuf.changes import Change
    from support.people import Person, World

JEFF, BOB = "targets/jeff", "targets/bob"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def _sign(world: World, person: Person, *tags: str, signer: str | None = None) -> None:
    for tag in tags:
        world.push(tag)
    person.client().sign([f"{GUN}:{tag}" for tag in tags], signer=signer)
    world.requests()


def _listing(world: World, tag: str) -> set[str]:
    trusted = world.person("reader").client().refresh(GUN)
    return {role for role, file in trusted.targets.items() if tag in file.targets}


def _publish(person: Person, *changes: Change) -> None:
    """Publish what no command can."""
    publisher_for(person.client()._session, GUN).publish(lambda _: changes)  # noqa: SLF001 - below what it offers


def _unsigned(world: World, tag: str) -> bool:
    try:
        world.person("reader").client().verify(f"{GUN}:{tag}")
    except TagUnsignedError:
        return True
    return False


# -- what is removed


def test_a_revoked_tag_is_signed_no_more_and_the_others_are(world: World, owner: Person) -> None:
    _sign(world, owner, "1", "2")
    [done] = owner.client().revoke([f"{GUN}:1"])
    requests = world.requests()
    assert requests[:2] == ["GET timestamp.json", "POST"]
    assert sorted(requests[2:]) == ["GET snapshot.json", "GET timestamp.json"]
    assert (done.reference, done.roles, done.still) == (f"{GUN}:1", (JEFF, roles.RELEASES), ())
    assert (done.published, done.still_released) == (True, False)
    assert done.digest == owner.client().sign([f"{GUN}:1"], dry_run=True)[0].digest
    assert _unsigned(world, "1")
    assert released_tags(world) == {"2"}
    assert owner.warnings == []


def test_many_tags_are_one_publish(world: World, owner: Person) -> None:
    _sign(world, owner, "1", "2", "3")
    done = owner.client().revoke([f"{GUN}:1", f"{GUN}:2", f"{GUN}:1"])
    assert [one.tag for one in done] == ["1", "2"]
    assert world.requests().count("POST") == 1
    assert released_tags(world) == {"3"}


def test_without_delegations_targets_alone_lists_tags(world: World) -> None:
    owner = owned(world)
    _sign(world, owner, "1")
    [done] = owner.client().revoke([f"{GUN}:1"])
    assert done.roles == (roles.TARGETS,)
    assert _unsigned(world, "1")


def test_a_tag_of_the_time_before_delegations_goes_too(world: World) -> None:
    owner = owned(world)
    _sign(world, owner, "1")
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    _sign(world, owner, "1")
    [done] = owner.client().revoke([f"{GUN}:1"])
    assert set(done.roles) == {roles.TARGETS, JEFF, roles.RELEASES}
    assert _unsigned(world, "1")


def test_a_nested_delegation_is_cleared_too(world: World, owner: Person) -> None:
    owner.client().add_signer("targets/jeff/ci", GUN, [owner.key("ci")])
    _sign(world, owner, "1")
    entry = owner.client().refresh(GUN).targets[JEFF].targets["1"]
    _publish(owner, AddTarget("targets/jeff/ci", "1", entry))
    [done] = owner.client().revoke([f"{GUN}:1"])
    assert set(done.roles) == {JEFF, "targets/jeff/ci", roles.RELEASES}
    assert _listing(world, "1") == set()


# -- what is not there, or not ours


def test_a_tag_that_nobody_signed_is_an_error_and_stops_the_others(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    with pytest.raises(TagUnsignedError) as caught:
        owner.client().revoke([f"{GUN}:1", f"{GUN}:zzz"])
    assert caught.value.facts["tag"] == "zzz"
    assert "POST" not in world.requests()
    assert released_tags(world) == {"1"}


def test_the_second_time_it_is_unsigned(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    owner.client().revoke([f"{GUN}:1"])
    with pytest.raises(TagUnsignedError):
        owner.client().revoke([f"{GUN}:1"])


def test_who_has_no_key_is_told_who_could(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    keyid = owner.client().keys.find("jeff").keyid
    with pytest.raises(KeyNotAuthorisedError) as caught:
        world.person("stranger").client().revoke([f"{GUN}:1"])
    assert caught.value.facts["accepted"] == {JEFF: [keyid], roles.RELEASES: [keyid]}
    assert keyid[:7] in caught.value.why[0]
    assert "POST" not in world.requests()


def test_a_repository_without_trust_data_is_missing(world: World) -> None:
    with pytest.raises(RepositoryMissingError) as caught:
        world.person().client().revoke([f"{GUN}:1"])
    assert caught.value.advice == Advice("init", gun=GUN)  # which is not to sign there


def test_another_signer_still_lists_it_and_is_named(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    _sign(world, owner, "1")
    _sign(world, bob, "1")
    [done] = owner.client().revoke([f"{GUN}:1"])
    assert (done.roles, done.still, done.still_released) == ((JEFF, roles.RELEASES), (BOB,), False)
    assert owner.warnings == [f"{BOB} still lists {GUN}:1"]
    assert _unsigned(world, "1")
    with pytest.raises(KeyNotAuthorisedError):
        owner.client().revoke([f"{GUN}:1"])


def test_a_tag_that_stays_released_is_warned_of(world: World) -> None:
    owner = owned(world)
    jeff = world.person("jeff")
    _sign(world, owner, "1")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    _sign(world, jeff, "1")
    [done] = jeff.client().revoke([f"{GUN}:1"])
    assert (done.still, done.still_released) == ((roles.TARGETS,), True)
    assert any("still released: targets lists it" in warning for warning in jeff.warnings)
    assert not _unsigned(world, "1")


# -- narrowing


def test_a_signer_takes_back_only_its_own_signature_and_the_release(world: World, owner: Person) -> None:
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    _sign(world, owner, "1", "2")
    done = owner.client().revoke([f"{GUN}:1"], signer="jeff")
    assert [(one.roles, one.still) for one in done] == [((JEFF, roles.RELEASES), (BOB,))]
    assert _unsigned(world, "1")
    with pytest.raises(TagUnsignedError, match="jeff has not signed"):
        owner.client().revoke([f"{GUN}:1"], signer="jeff")


def test_a_signer_that_does_not_exist_is_a_mistake(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    with pytest.raises(InvalidNameError, match="has no signer"):
        owner.client().revoke([f"{GUN}:1"], signer="eve")


def test_a_signer_without_its_key_here_is_refused(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    _sign(world, bob, "1")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().revoke([f"{GUN}:1"], signer="bob")
    assert list(caught.value.facts["accepted"]) == [BOB]  # type: ignore[call-overload]  # facts are JSON


def test_a_digest_is_a_condition(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    digest = owner.client().verify(f"{GUN}:1").digest
    with pytest.raises(DigestMismatchError):
        owner.client().revoke([f"{GUN}:1@sha256:{'0' * 64}"])
    assert released_tags(world) == {"1"}
    assert owner.client().revoke([f"{GUN}:1@{digest}"])[0].digest == digest


@pytest.mark.parametrize(
    "references",
    [[f"{GUN}@sha256:{'0' * 64}"], [f"{GUN}:1@sha256:{'0' * 64}", f"{GUN}:1@sha256:{'1' * 64}"]],
)
def test_references_that_make_no_sense_reach_no_server(
    world: World, owner: Person, references: list[str]
) -> None:
    with pytest.raises(UsageError):
        owner.client().revoke(references)
    assert world.requests() == []


# -- all of them


def test_all_tags_of_all_roles_go_at_once(world: World, owner: Person) -> None:
    _sign(world, owner, "1", "2")
    done = owner.client().revoke_all(GUN)
    assert [(one.tag, one.published) for one in done] == [("1", True), ("2", True)]
    assert world.requests().count("POST") == 1
    assert released_tags(world) == set()
    assert owner.client().revoke_all(GUN) == []


def test_all_is_of_a_repository_never_of_an_image(world: World, owner: Person) -> None:
    with pytest.raises(InvalidNameError):
        owner.client().revoke_all(f"{GUN}:1")
    assert world.requests() == []


def test_all_of_one_signer_leaves_what_others_alone_signed(world: World, owner: Person) -> None:
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    _sign(world, owner, "1", signer="jeff")
    _sign(world, owner, "2", signer="bob")
    assert [one.tag for one in owner.client().revoke_all(GUN, signer="jeff")] == ["1"]
    assert released_tags(world) == {"2"}


def test_all_passes_over_what_others_only_vouch_for(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")], releases=False)
    _sign(world, owner, "1")
    _sign(world, bob, "2")
    done = {one.tag: one for one in owner.client().revoke_all(GUN)}
    assert (done["2"].roles, done["2"].still, done["2"].published) == ((), (BOB,), False)
    assert done["1"].published


def test_all_stops_at_a_released_tag_that_others_hold(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    with pytest.raises(KeyNotAuthorisedError):
        world.person("stranger").client().revoke_all(GUN)
    assert released_tags(world) == {"1"}


# -- trouble on the way


def test_a_lost_answer_is_looked_after(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    world.attacker.lose_answers(times=1)
    [done] = owner.client().revoke([f"{GUN}:1"])
    assert (done.roles, done.still) == ((JEFF, roles.RELEASES), ())
    assert _unsigned(world, "1")


def test_a_file_that_cannot_be_read_may_still_list_it(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    other = load_public_pem(world.person("other").key("jeff"), world.clock())
    old = owner.client().keys.find("jeff").keyid
    _publish(owner, RemoveKeys(JEFF, frozenset({old})), AddDelegation(JEFF, [other]))
    with pytest.raises(SignatureError):
        owner.client().revoke([f"{GUN}:2"])
    owner.warnings.clear()
    [done] = owner.client().revoke([f"{GUN}:1"])
    assert done.roles == (roles.RELEASES,)
    assert any(warning.startswith(f"{JEFF} of {GUN} may still list") for warning in owner.warnings)


def test_all_of_nothing_names_a_file_that_cannot_be_read(world: World, owner: Person) -> None:
    _sign(world, owner, "1")
    other = load_public_pem(world.person("other").key("jeff"), world.clock())
    old = owner.client().keys.find("jeff").keyid
    for role in (JEFF, roles.RELEASES):
        _publish(owner, RemoveKeys(role, frozenset({old})), AddDelegation(role, [other]))
    owner.warnings.clear()
    assert owner.client().revoke_all(GUN) == []
    for role in (JEFF, roles.RELEASES):
        assert any(warning.startswith(f"{role} of {GUN} may list tags: ") for warning in owner.warnings)
