"""Whoever holds the snapshot key hides signers, at the best of moments; and signers that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from notarypy.errors import RollbackError
from notarypy.tuf import roles
from support.author import GUN
from support.people import copy_of, owned, released_tags

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject
    from support.people import Person, World

JEFF = "targets/jeff"


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of a repository whose tags 1 and 2 jeff released."""
    owner = owned(world, "jeff")
    for tag in ("1", "2"):
        world.push(tag)
        owner.client().sign([f"{GUN}:{tag}"])
    return owner


def _hide(world: World, *hidden: str) -> None:
    """Sign a snapshot that does not list some roles, just after the file that delegates to them changed."""
    owner = world.person("owner")
    owner.client().add_signer("kim", GUN, [owner.key("kim")])

    def change(signed: JsonObject) -> None:
        for role in hidden:
            del signed["meta"][role]

    world.attacker.sign_snapshot(GUN, change)


@pytest.mark.parametrize("hidden", [(roles.RELEASES,), (JEFF,), (roles.RELEASES, JEFF)])
def test_a_reader_notices_although_targets_changed(
    world: World, owner: Person, hidden: tuple[str, ...]
) -> None:
    world.push("1", "what the owner lists in targets")
    reader = world.person("reader")
    reader.client().refresh(GUN)
    assert owner.cache().keys() == reader.cache().keys()
    _hide(world, *hidden)
    before = reader.cache()
    with pytest.raises(RollbackError, match="no longer lists") as caught:
        reader.client().verify(f"{GUN}:1", registry=False)
    assert caught.value.facts["role"] in hidden
    assert reader.cache() == before


def test_nobody_publishes_over_what_was_hidden(world: World, owner: Person) -> None:
    jeff = copy_of(world, owner)
    jeff.client().refresh(GUN)
    _hide(world, roles.RELEASES, JEFF)
    published = world.attacker.current(GUN, roles.RELEASES)
    world.push("3")
    for person in (jeff, owner):
        with pytest.raises(RollbackError):
            person.client().sign([f"{GUN}:3"])
    assert world.attacker.current(GUN, roles.RELEASES) == published


@pytest.mark.parametrize("snapshot", ["server", "local"])
@pytest.mark.parametrize("looks", [True, False])
def test_a_signer_who_was_removed_may_come_back(
    world: World, snapshot: Literal["server", "local"], *, looks: bool
) -> None:
    """Whether a reader looked in between or not; with the same key, and signing again."""
    owner, reader = world.person("owner"), world.person("reader")
    owner.client().init(GUN, snapshot=snapshot)
    keys = {name: owner.key(name) for name in ("jeff", "kim")}
    for name, key in keys.items():
        owner.client().add_signer(name, GUN, [key])
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    reader.client().refresh(GUN)
    owner.client().remove_signer("jeff", GUN)
    if looks:
        assert JEFF not in reader.client().refresh(GUN).targets
    owner.client().add_signer("jeff", GUN, [keys["jeff"]])
    owner.client().refresh(GUN)
    if looks:
        reader.client().refresh(GUN)
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    assert set(reader.client().verify(f"{GUN}:2").signers) == {"jeff", "kim"}
    assert released_tags(world) == {"1", "2"}
