"""What two processes with one trust directory do to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.client.metadata import refresh as refreshing
from notarypy.client.metadata.repository import store
from notarypy.errors import RootChangedError
from notarypy.tuf import roles
from support.author import GUN
from support.people import World, owned

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.people import Person


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world, "jeff", "kim")
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    return owner


def _meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let another process act just before the next refresh is kept."""

    def late(*args: object) -> None:
        monkeypatch.setattr(refreshing, "store", store)
        act()
        store(*args)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(refreshing, "store", late)


def test_of_two_first_uses_with_different_roots_the_second_is_refused(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = World(world.base / "elsewhere")
    elsewhere.person("owner").client().init(GUN)
    reader, lured = world.person("reader"), elsewhere.person("reader")
    lured.trust_dir = reader.trust_dir
    _meanwhile(monkeypatch, lambda: reader.client().refresh(GUN))
    with pytest.raises(RootChangedError):
        lured.client().refresh(GUN)
    assert reader.cache()[roles.ROOT] == owner.cache()[roles.ROOT]
    assert reader.client().verify(f"{GUN}:1").signers == ("jeff", "kim")


def test_of_two_first_uses_with_the_same_root_both_are_fine(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = world.person("reader")
    _meanwhile(monkeypatch, lambda: reader.client().refresh(GUN))
    assert reader.client().refresh(GUN).files == owner.client().refresh(GUN).files
    assert reader.cache() == owner.cache()


def test_an_anchor_that_was_replaced_on_purpose_stays(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = world.person("reader")
    reader.client().refresh(GUN)
    world.push("2")
    owner.client().sign([f"{GUN}:2"])

    def replaced() -> None:
        world.attacker.delete(GUN)
        world.person("new owner").client().init(GUN)
        [pin] = reader.client().offered_root(GUN).offered
        reader.client().trust(GUN, pin)

    _meanwhile(monkeypatch, replaced)
    reader.client().refresh(GUN)
    assert reader.cache() == world.person("new owner").cache()


def test_files_of_delegations_that_no_longer_exist_are_dropped(world: World, owner: Person) -> None:
    reader = world.person("reader")
    reader.client().refresh(GUN)
    assert "targets/jeff" in reader.cache()
    owner.client().remove_signer("jeff", GUN)
    reader.client().refresh(GUN)
    assert sorted(reader.cache()) == [
        "root",
        "snapshot",
        "targets",
        "targets/kim",
        "targets/releases",
        "timestamp",
    ]
