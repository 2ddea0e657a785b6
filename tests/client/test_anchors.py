from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.client.api import Client
from notarypy.errors import (
    ConfigurationError,
    InvalidNameError,
    RepositoryMissingError,
    RepositoryVanishedError,
    RootChangedError,
    RootNotPinnedError,
    StorageError,
    VerificationError,
)
from notarypy.tuf import roles
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


@pytest.fixture
def reader(world: World, owner: Person) -> Person:
    """Somebody who trusts a repository that somebody else then made anew."""
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    reader = world.person("reader")
    reader.client().refresh(GUN)
    world.attacker.delete(GUN)
    world.person("new owner").client().init(GUN)
    return reader


def test_looking_changes_nothing(world: World, owner: Person) -> None:
    stranger = world.person("stranger")
    seen = stranger.client().offered_root(GUN)
    assert (seen.trusted, seen.trusted_version, seen.accepted) == ((), None, False)
    assert seen.offered_version == 1
    assert stranger.cache() == {}
    assert owner.client().offered_root(GUN).accepted


def test_another_root_is_an_alarm_and_both_are_shown(reader: Person) -> None:
    before = reader.cache()
    with pytest.raises(RootChangedError) as caught:
        reader.client().refresh(GUN)
    seen = reader.client().offered_root(GUN)
    assert caught.value.facts["trusted"] == list(seen.trusted)
    assert caught.value.facts["offered"] == list(seen.offered)
    assert not set(seen.trusted) & set(seen.offered)
    assert not seen.accepted
    assert reader.cache() == before


def test_accepting_the_offered_root_by_name_replaces_the_anchor(reader: Person) -> None:
    [pin] = reader.client().offered_root(GUN).offered
    accepted = reader.client().trust(GUN, pin)
    assert accepted.accepted
    assert accepted.offered == (pin,)
    assert reader.client().refresh(GUN).root.pins == (pin,)
    assert "targets/jeff" not in reader.cache()


def test_a_canonical_id_names_the_root_too(world: World, reader: Person) -> None:
    [keyid] = world.person("new owner").client().init(GUN).root_pins
    assert reader.client().trust(GUN, keyid).accepted


def test_another_name_than_the_offered_one_changes_nothing(reader: Person) -> None:
    before = reader.cache()
    [trusted] = reader.client().offered_root(GUN).trusted
    for pin in (trusted, "0" * 64):
        with pytest.raises(RootNotPinnedError):
            reader.client().trust(GUN, pin)
    with pytest.raises(InvalidNameError):
        reader.client().trust(GUN, trusted[:20])
    assert reader.cache() == before


def test_a_root_over_broken_data_is_not_accepted(world: World, reader: Person) -> None:
    before = reader.cache()
    [pin] = reader.client().offered_root(GUN).offered
    data = world.attacker.current(GUN, roles.TARGETS)
    world.attacker.publish(GUN, {roles.TARGETS: data.replace(b'"version":1', b'"version":2')})
    with pytest.raises(VerificationError):
        reader.client().trust(GUN, pin)
    assert reader.cache() == before


def test_a_damaged_root_is_no_obstacle(reader: Person) -> None:
    [pin] = reader.client().offered_root(GUN).offered
    for damage in (b"", b"{}", b"\xff"):
        reader.cached(roles.ROOT).write_bytes(damage)
        assert reader.client().offered_root(GUN).trusted == ()
        assert reader.client().trust(GUN, pin).accepted
        reader.client().refresh(GUN)
    assert any("cannot be read" in warning for warning in reader.warnings)


@pytest.mark.parametrize("writes", range(6))
def test_a_full_disk_never_leaves_a_repository_without_an_anchor(
    reader: Person, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pin] = reader.client().offered_root(GUN).offered
    old, left, write = reader.cache()[roles.ROOT], [writes], files.write_atomic

    def fill(path: Path, data: bytes, mode: int = 0o600) -> None:
        if path.is_relative_to(reader.trust_dir):
            assert reader.cached(roles.ROOT).exists()
            left[0] -= 1
            if left[0] < 0:
                raise StorageError(f"cannot write {path}", why="no space left")
        write(path, data, mode)

    monkeypatch.setattr(files, "write_atomic", fill)
    if writes < 4:
        with pytest.raises(StorageError):
            reader.client().trust(GUN, pin)
    else:
        assert reader.client().trust(GUN, pin).accepted
    monkeypatch.undo()
    assert (reader.cache()[roles.ROOT] == old) is (writes == 0)
    assert reader.client().trust(GUN, pin).accepted
    assert reader.client().refresh(GUN).root.pins == (pin,)


@pytest.mark.parametrize("drops", range(6))
def test_a_file_that_cannot_be_removed_leaves_an_anchor_too(
    reader: Person, drops: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pin] = reader.client().offered_root(GUN).offered
    left, unlink = [drops], Path.unlink

    def stuck(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT002 - as Path declares it
        assert reader.cached(roles.ROOT).exists()
        if path.is_relative_to(reader.trust_dir / "tuf"):
            left[0] -= 1
            if left[0] < 0:
                raise PermissionError
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stuck)
    with suppress(StorageError):
        reader.client().trust(GUN, pin)
    monkeypatch.undo()
    assert reader.cached(roles.ROOT).exists()
    assert reader.client().trust(GUN, pin).accepted
    assert reader.client().refresh(GUN).root.pins == (pin,)


def test_an_anchor_can_be_chosen_where_first_use_is_forbidden(world: World, owner: Person) -> None:
    settings = replace(owner.client().settings, first_use=False, trust_dir=world.base / "strict")
    client = Client(settings, transport=world.fake, clock=world.clock)
    [pin] = owner.client().offered_root(GUN).offered
    assert client.offered_root(GUN).offered == (pin,)
    with pytest.raises(RootNotPinnedError):
        client.trust(GUN, "0" * 64)
    assert client.trust(GUN, pin).accepted
    assert client.refresh(GUN, root=pin).gun == GUN
    with pytest.raises(RootNotPinnedError):
        client.refresh(GUN)
    assert client.forget(GUN)


def test_anchors_do_not_need_the_files_of_pins(world: World, owner: Person) -> None:
    settings = replace(owner.client().settings, gun_authorities={"registry.test/": world.base / "absent.pem"})
    client = Client(settings, transport=world.fake, clock=world.clock)
    [pin] = owner.client().offered_root(GUN).offered
    with pytest.raises(ConfigurationError):
        client.refresh(GUN)
    assert client.trust(GUN, pin).accepted
    assert client.forget(GUN)


def test_keys_and_staged_changes_survive(owner: Person) -> None:
    staged = owner.trust_dir / "tuf" / GUN / "changelist" / "1_a.change"
    staged.parent.mkdir()
    staged.write_bytes(b"{}")
    keys = owner.key_files()
    [pin] = owner.client().offered_root(GUN).offered
    owner.client().trust(GUN, pin)
    assert owner.client().forget(GUN)
    assert owner.key_files() == keys
    assert staged.exists()


def test_forgetting_is_asked_for_once(owner: Person) -> None:
    assert owner.client().forget(GUN) is True
    assert owner.cache() == {}
    assert owner.client().forget(GUN) is False


def test_forgetting_leaves_other_repositories(owner: Person) -> None:
    for gun in (f"{GUN}/metadata", f"{GUN}/more"):
        owner.client().init(gun)
    before = {gun: owner.cache(gun) for gun in (f"{GUN}/more", f"{GUN}/metadata")}
    owner.client().forget(GUN)
    assert owner.cache(f"{GUN}/more") == before[f"{GUN}/more"]
    assert owner.client().refresh(f"{GUN}/metadata").files == before[f"{GUN}/metadata"]


def test_forgetting_needs_no_server(world: World, owner: Person) -> None:
    world.fake.services.clear()
    assert owner.client().forget(GUN)


def test_a_forgotten_repository_may_be_missing_again(world: World, owner: Person) -> None:
    world.attacker.delete(GUN)
    with pytest.raises(RepositoryVanishedError):
        owner.client().offered_root(GUN)
    owner.client().forget(GUN)
    with pytest.raises(RepositoryMissingError):
        owner.client().offered_root(GUN)
    with pytest.raises(RepositoryMissingError):
        owner.client().trust(GUN, "0" * 64)


def test_no_connection_changes_nothing(world: World, reader: Person) -> None:
    before = reader.cache()
    [pin] = reader.client().offered_root(GUN).offered
    world.attacker.refuse_connections(path=r".*/targets.*")
    with pytest.raises(Exception, match="no connection"):
        reader.client().trust(GUN, pin)
    assert reader.cache() == before
