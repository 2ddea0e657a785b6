from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.client.verify.inspection import REPO_ADMIN
from notarypy.tuf import roles
from support.author import GUN
from support.people import SERVER, owned

if TYPE_CHECKING:
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world)


def test_a_repository_without_signers_is_the_admins(world: World, owner: Person) -> None:
    digests = {tag: world.push(tag) for tag in ("10", "9", "1")}
    owner.client().sign([f"{GUN}:{tag}" for tag in digests])
    found = owner.client().inspect(GUN)
    assert [(entry.tag, entry.digest, entry.signers) for entry in found.tags] == [
        (tag, digests[tag], (REPO_ADMIN,)) for tag in ("1", "9", "10")
    ]
    assert (found.signers, found.server, found.repository) == ((), SERVER, GUN)
    assert [entry.role for entry in found.roles] == list(roles.BASE_ROLES)
    assert found.root_keys == owner.client().refresh(GUN).root.roles[roles.ROOT].keyids
    assert f"{found.repository_keys[0]}.key" in owner.key_files()


def test_signers_are_those_that_list_the_same_content(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    bob.client().sign([f"{GUN}:1"])
    world.push("1", "new")
    bob.client().sign([f"{GUN}:1"])
    found = owner.client().inspect(GUN)
    assert [entry.signers for entry in found.tags] == [("bob",)]
    assert {name for name, _ in found.signers} == {"jeff", "bob"}


def test_a_tag_narrows_and_an_unsigned_one_is_no_error(world: World, owner: Person) -> None:
    for tag in ("1", "2"):
        world.push(tag)
    owner.client().sign([f"{GUN}:1", f"{GUN}:2"])
    assert [entry.tag for entry in owner.client().inspect(f"{GUN}:2").tags] == ["2"]
    assert owner.client().inspect(f"{GUN}:3").tags == ()


def test_two_contents_of_a_tag_are_two_rows(world: World, owner: Person) -> None:
    world.push("1", "old")
    owner.client().sign([f"{GUN}:1"])
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    world.push("1", "new")
    owner.client().sign([f"{GUN}:1"])
    assert sorted(entry.signers for entry in owner.client().inspect(GUN).tags) == [(REPO_ADMIN,), ("jeff",)]
