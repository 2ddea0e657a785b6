"""Whole repositories: every signed tag, and what a verification rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.client.verdicts import VerifiedImage
from notarypy.client.verify.sharing import MetadataCache
from notarypy.errors import DigestMismatchError, RepositoryMissingError, RootNotPinnedError
from notarypy.tuf import roles
from support.author import GUN
from support.people import SERVER, owned, publishing

if TYPE_CHECKING:
    from support.people import Person, World

OTHER = "0" * 64


def _release(world: World, owner: Person) -> None:
    world.push("old")
    owner.client().sign([f"{GUN}:old"])
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    for tag in ("10", "9"):
        world.push(tag)
        owner.client().sign([f"{GUN}:{tag}"])
    owner.client().add_signer("bob", GUN, [owner.key("bob")], releases=False)
    world.push("unreleased")
    owner.client().sign([f"{GUN}:unreleased"], signer="bob")
    world.push("unsigned")


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of tags that the repository key or jeff released, and one that bob only vouches for."""
    return publishing(world, _release)


@pytest.mark.usefixtures("owner")
def test_every_released_tag_is_listed_and_read_once(world: World) -> None:
    client, cache = world.person("reader").client(), MetadataCache()
    tags = client.images.signed_tags(GUN, cache=cache)
    assert sorted(tags) == ["10", "9", "old"]
    world.requests()
    for tag in tags:
        client.verify_unless_skipped(f"{GUN}:{tag}", cache=cache)
    assert not [line for line in world.requests() if ".json" in line]


@pytest.mark.usefixtures("owner")
def test_a_root_that_is_not_the_pinned_one_lists_nothing(world: World) -> None:
    with pytest.raises(RootNotPinnedError):
        world.person("reader").client().images.signed_tags(GUN, root=OTHER)


def test_a_repository_without_trust_data_is_no_empty_one(world: World) -> None:
    with pytest.raises(RepositoryMissingError):
        world.person("reader").client().images.signed_tags(GUN)


def test_a_repository_may_have_no_signed_tag(world: World) -> None:
    owned(world)
    assert world.person("reader").client().images.signed_tags(GUN) == []


@pytest.mark.usefixtures("owner")
def test_a_verification_says_what_it_rests_on(world: World) -> None:
    trusted = world.person("reader").client().refresh(GUN)
    image = world.person("reader").client().verify(f"{GUN}:9")
    evidence = image.evidence
    assert evidence is not None
    assert (evidence.time, evidence.server) == (world.clock(), SERVER)
    assert (evidence.offline, evidence.compared) == (False, True)
    assert evidence.root_pins == trusted.root.pins
    assert evidence.root_keys == trusted.root.roles[roles.ROOT].keyids != evidence.root_pins
    found = {each.role: (each.version, each.expires) for each in evidence.roles}
    assert set(found) == {*roles.BASE_ROLES, roles.RELEASES, "targets/jeff"}
    assert found[roles.TIMESTAMP] == (trusted.timestamp.version, trusted.timestamp.expires)
    for role in (roles.TARGETS, roles.RELEASES, "targets/jeff"):
        assert found[role] == (trusted.targets[role].version, trusted.targets[role].expires)
    assert min(expires for _, expires in found.values()) == image.expires


@pytest.mark.usefixtures("owner")
def test_what_was_not_asked_is_said(world: World) -> None:
    reader = world.person("reader")
    reader.client().refresh(GUN)
    image = reader.client(offline=True).verify(f"{GUN}:9")
    assert image.evidence is not None
    assert (image.evidence.offline, image.evidence.compared) == (True, False)


@pytest.mark.usefixtures("owner")
def test_a_moved_tag_is_found_among_all(world: World) -> None:
    world.push("9", "another")
    client, cache = world.person("reader").client(), MetadataCache()
    good = []
    for tag in client.images.signed_tags(GUN, cache=cache):
        try:
            image = client.verify_unless_skipped(f"{GUN}:{tag}", cache=cache)
        except DigestMismatchError:
            assert tag == "9"
            continue
        assert isinstance(image, VerifiedImage)
        good.append(image.tag)
    assert set(good) == {"10", "old"}
