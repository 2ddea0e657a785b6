"""A server that announces other bytes of a delegation than it has, as Go's does of a file in an odd form."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, cast

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import FileMissingError
from support.author import GUN
from support.people import owned, released_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from notarypy.tuf.canonical import JsonObject
    from support.people import Person, World

JEFF, BOB = "targets/jeff", "targets/bob"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "bob")


@pytest.fixture
def jeff(world: World, owner: Person) -> Person:
    """Somebody whose file nobody can get."""
    jeff = world.person("jeff")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    for tag in ("1", "2"):
        world.push(tag)
    jeff.client().sign([f"{GUN}:1"])
    jeff.client().sign([f"{GUN}:2"])
    world.attacker.sign_snapshot(GUN, _other_bytes)
    for person in (jeff, owner, world.person("reader")):
        with pytest.raises(FileMissingError, match="does not have the targets/jeff") as refused:
            person.client().verify(f"{GUN}:1")
        assert f"notarypy delegate remove --force targets/jeff {GUN}" in advice(refused.value)
    return jeff


def _other_bytes(snapshot: JsonObject) -> None:
    meta = cast("dict[str, Any]", snapshot["meta"])[JEFF]
    meta["hashes"] = {"sha256": base64.b64encode(bytes(32)).decode()}


def _version(world: World) -> int:
    return cast("int", json.loads(world.attacker.current(GUN, JEFF))["signed"]["version"])


@pytest.mark.parametrize(
    "mend",
    [
        lambda owner, _jeff: owner.client().remove_signer("jeff", GUN, force=True, tags="keep"),
        lambda owner, jeff: owner.client().keys.purge(_key(jeff), GUN, force=True, tags="keep"),
    ],
    ids=["remove", "purge"],
)
def test_its_owner_takes_it_out(
    world: World, owner: Person, jeff: Person, mend: Callable[[Person, Person], object]
) -> None:
    mend(owner, jeff)
    world.person("reader").client().delegations(GUN)
    assert any("nobody can read" in warning for warning in owner.warnings)


def _key(jeff: Person) -> str:
    return jeff.client().keys.find("jeff").keyid


def test_its_signer_starts_it_over_above_the_versions_that_the_server_had(world: World, jeff: Person) -> None:
    had = _version(world)
    with pytest.raises(FileMissingError) as refused:
        jeff.client().sign([f"{GUN}:2"])
    assert "notarypy sign --discard-unverified" in advice(refused.value)
    jeff.client().sign([f"{GUN}:2"], discard_unverified=True)
    assert _version(world) == had + 1
    assert released_tags(world) >= {"2"}
    world.person("reader").client().verify(f"{GUN}:2")


def test_what_is_published_beside_it_makes_nothing_readable(
    world: World, owner: Person, jeff: Person
) -> None:
    cache = owner.client()._session.directory().repository(GUN)  # noqa: SLF001 - what is on disk
    had = {role: cache.load(role) for role in cache.cached()}
    owner.client().keys.rotate(GUN, "targets")
    now = {role: cache.load(role) for role in cache.cached()}
    assert {role for role in now if now[role] != had[role]} == {"root"}, "what republishes it was overwritten"
    assert len([warning for warning in owner.warnings if "nobody can read" in warning]) == 1
    for person in (owner, jeff, world.person("reader")):
        with pytest.raises(FileMissingError):
            person.client().verify(f"{GUN}:1")
