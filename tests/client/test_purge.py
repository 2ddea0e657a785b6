from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.publish.pipeline import publisher_for
from notarypy.errors import InvalidNameError, KeyNotAuthorisedError, SignatureError, TagUnsignedError
from notarypy.tuf import roles
from notarypy.tuf.changes import AddDelegation
from notarypy.tuf.signerkeys import load_public_pem
from support.author import GUN
from support.people import owned, released_tags

if TYPE_CHECKING:
    from support.people import Person, World

JEFF, BOB = "targets/jeff", "targets/bob"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def _id(person: Person, name: str) -> str:
    return person.client().keys.find(name).keyid


def _keys(world: World) -> dict[str, tuple[str, ...]]:
    return {entry.role: entry.keys for entry in world.person("reader").client().delegations(GUN)}


def test_a_key_leaves_every_role_and_tags_stay(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    stolen = _id(bob, "bob")
    world.push("1")
    bob.client().sign([f"{GUN}:1"])
    world.requests()
    done = owner.client().keys.purge(stolen[:9], GUN, tags="keep")
    assert world.requests().count("POST") == 1
    assert (done.key, set(done.roles), done.removed) == (stolen, {BOB, roles.RELEASES}, (BOB,))
    assert (done.resigned, done.kept, done.unreadable, done.left) == ((roles.RELEASES,), ("1",), (), ())
    assert _keys(world) == {JEFF: (_id(owner, "jeff"),), roles.RELEASES: (_id(owner, "jeff"),)}
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ()
    with pytest.raises(InvalidNameError):
        owner.client().keys.purge(stolen, GUN)


def test_a_signer_with_another_key_stays(world: World, owner: Person) -> None:
    old = _id(owner, "jeff")
    owner.client().add_signer("jeff", GUN, [world.person("new laptop").key("jeff")])
    done = owner.client().keys.purge(old, GUN)
    assert (done.roles, done.removed) == ((JEFF, roles.RELEASES), ())
    assert all(len(keyids) == 1 and old not in keyids for keyids in _keys(world).values())


def test_tags_that_nobody_could_verify_stop_it(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    world.requests()
    jeff = _id(owner, "jeff")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().keys.purge(jeff, GUN)
    assert caught.value.facts["tags"] == ["1"]
    assert caught.value.facts["needed"] == ["bob"]
    assert "POST" not in world.requests()
    done = owner.client().keys.purge(jeff, GUN, force=True)
    assert (done.unreadable, done.needed) == ((roles.RELEASES,), ("bob",))


def test_a_nested_delegation_is_purged_too(world: World, owner: Person) -> None:
    ci = world.person("ci")
    public = ci.key("ci")
    owner.client().add_signer("ci", GUN, [public])
    owner.client().add_signer("targets/jeff/ci", GUN, [public])
    done = owner.client().keys.purge(_id(ci, "ci"), GUN)
    assert done.roles[0] == "targets/jeff/ci"
    assert set(done.roles) == {"targets/jeff/ci", "targets/ci", roles.RELEASES}
    assert set(_keys(world)) == {JEFF, roles.RELEASES}


def test_what_the_keys_here_cannot_change_is_left_and_named(world: World) -> None:
    owner, jeff, ci = owned(world), world.person("jeff"), world.person("ci")
    public = ci.key("ci")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    jeff.client().add_signer("targets/jeff/ci", GUN, [public])
    with pytest.raises(KeyNotAuthorisedError, match="targets/jeff/ci"):
        owner.client().keys.purge(_id(ci, "ci"), GUN)
    owner.client().add_signer("ci", GUN, [public])
    done = owner.client().keys.purge(_id(ci, "ci"), GUN)
    assert done.left == ("targets/jeff/ci",)
    assert "targets/ci" not in _keys(world)


@pytest.mark.parametrize("key", ["0" * 64, "", "abc"])
def test_a_key_that_is_not_one_key_is_refused(world: World, owner: Person, key: str) -> None:
    with pytest.raises(InvalidNameError):
        owner.client().keys.purge(key, GUN)
    assert "POST" not in world.requests()


def test_a_lost_answer_is_looked_after(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.attacker.lose_answers(times=1)
    assert owner.client().keys.purge(_id(bob, "bob"), GUN).removed == (BOB,)
    assert BOB not in _keys(world)


# -- the way out after the last signer


def test_after_the_last_signer_the_way_out_is_named_and_works(world: World, owner: Person) -> None:
    for tag in ("1", "2"):
        world.push(tag)
    owner.client().sign([f"{GUN}:1"])
    owner.client().remove_signer("jeff", GUN, force=True)
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().sign([f"{GUN}:2"])
    assert f"notarypy delegate remove targets/releases {GUN}" in advice(caught.value)
    assert f"notarypy delegate add NAME {GUN} --key PUB" in advice(caught.value)
    owner.client().remove_signer("targets/releases", GUN)
    assert owner.client().sign([f"{GUN}:2"])[0].roles == (roles.TARGETS,)
    assert world.person("reader").client().verify(f"{GUN}:2").signers == ()
    with pytest.raises(TagUnsignedError):
        world.person("reader").client().verify(f"{GUN}:1")


def test_released_tags_are_not_thrown_away_unasked(world: World, owner: Person) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    with pytest.raises(KeyNotAuthorisedError, match="without releases"):
        owner.client().remove_signer("targets/releases", GUN)
    assert released_tags(world) == {"1"}


def test_keys_of_no_signer_are_named_and_can_start_over(world: World, owner: Person) -> None:
    """Go notary's guides put keys into targets/releases alone."""
    bob = world.person("bob")
    bare = load_public_pem(bob.key("bob"), world.clock())
    publisher = publisher_for(owner.client()._session, GUN)  # noqa: SLF001 - what no command can
    publisher.publish(lambda _: [AddDelegation(roles.RELEASES, [bare])])
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    jeff, other = _id(owner, "jeff"), f"whoever has key {bare.canonical_id[:7]} of targets/releases"
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().keys.purge(jeff, GUN)
    assert caught.value.facts["needed"] == [other]
    done = owner.client().keys.purge(jeff, GUN, force=True)
    assert (done.unreadable, done.needed) == ((roles.RELEASES,), (other,))
    with pytest.raises(SignatureError) as refused:
        bob.client().sign([f"{GUN}:1"])
    assert "notarypy sign --discard-unverified" in advice(refused.value)
    bob.client().sign([f"{GUN}:1"], discard_unverified=True)
    world.person("reader").client().verify(f"{GUN}:1")
