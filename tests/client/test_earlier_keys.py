"""`key rotate --legacy`: readers that trust an old root, and cannot be shown the ones in between."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    FileMissingError,
    KeyAccessError,
    RootChangedError,
    UnreadableUpdateError,
    UsageError,
    VerificationError,
)
from notarypy.limits import DEFAULT
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from support.author import GUN
from support.people import released, root_pem

if TYPE_CHECKING:
    from support.people import Person, World

MISSING = Response(404, {}, b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"no"}]}')


@pytest.fixture
def owner(world: World) -> Person:
    return released(world, "jeff")


def _reader(world: World, version: int) -> Person:
    """Return somebody who trusts this version of the root, and has seen none since."""
    reader = world.person(f"reader of {version}")
    reader.client().verify(f"{GUN}:1")
    assert reader.client().refresh(GUN).root.version == version
    return reader


def _hide(world: World, *versions: int) -> None:
    """Let the server have these roots no more."""
    for version in versions:
        world.attacker.answer(MISSING, path=rf".*/_trust/tuf/{version}\.root\.json")


def _signers(person: Person) -> list[str]:
    """Return the ids under which the present root is signed."""
    data = person.client().refresh(GUN).files[roles.ROOT]
    return [entry.keyid for entry in Envelope.parse(data, roles.ROOT).signatures]


def test_who_trusts_an_old_root_needs_none_in_between(world: World, owner: Person) -> None:
    first = _reader(world, 1)
    for _ in range(2):
        owner.client().keys.rotate(GUN, "root")
    third = _reader(world, 3)
    _hide(world, 2, 3, 4)
    owner.client().keys.rotate(GUN, "root")
    third.client().verify(f"{GUN}:1")
    with pytest.raises(RootChangedError):
        first.client().verify(f"{GUN}:1")
    world.attacker.undo_hooks()
    done = owner.client().keys.rotate(GUN, "root", legacy=3)
    _hide(world, 2, 3, 4)
    assert done.published
    assert len(done.legacy) == 3
    assert not set(done.legacy) & {*done.old, *done.new}
    for reader in (first, third, world.person("newcomer")):
        reader.client().verify(f"{GUN}:1")


@pytest.mark.parametrize(("legacy", "count"), [(0, 2), (1, 3), (2, 4), (200, 4)])
def test_so_many_versions_sign(world: World, owner: Person, legacy: int, count: int) -> None:
    for _ in range(2):
        owner.client().keys.rotate(GUN, "root")
    done = owner.client().keys.rotate(GUN, "root", legacy=legacy)
    assert len(set(_signers(world.person("reader")))) == count
    assert len(done.legacy) == count - 2


@pytest.mark.parametrize(("role", "server"), [("targets", False), ("snapshot", False), ("timestamp", True)])
def test_the_root_is_signed_so_whichever_role_is_rotated(
    world: World, owner: Person, role: str, *, server: bool
) -> None:
    first = _reader(world, 1)
    for _ in range(2):
        owner.client().keys.rotate(GUN, "root")
    done = owner.client().keys.rotate(GUN, role, server_managed=server, legacy=2)
    assert len(done.legacy) == len(_signers(owner)) - 1 == 2
    _hide(world, 2, 3)
    first.client().verify(f"{GUN}:1")


def test_the_next_rotation_is_signed_as_ever(owner: Person) -> None:
    for legacy in (0, 0, 2, 0):
        owner.client().keys.rotate(GUN, "root", legacy=legacy)
    assert len(_signers(owner)) == 2


def test_every_certificate_of_one_key_signs_for_its_own_version(world: World, owner: Person) -> None:
    first = _reader(world, 1)
    for _ in range(2):
        owner.client().keys.rotate(GUN, "root", key="root")  # a new certificate each time
    done = owner.client().keys.rotate(GUN, "root", legacy=2)
    assert done.legacy == done.old
    assert len(set(_signers(owner))) == 4
    _hide(world, 2, 3)
    first.client().verify(f"{GUN}:1")


def test_what_is_not_here_is_named_and_the_rest_signs(owner: Person) -> None:
    [gone] = [info.keyid for info in owner.client().keys.list() if info.role == roles.ROOT]
    for _ in range(2):
        owner.client().keys.rotate(GUN, "root")
    (owner.trust_dir / "private" / f"{gone}.key").unlink()
    owner.warnings.clear()
    done = owner.client().keys.rotate(GUN, "root", legacy=5)
    assert len(done.legacy) == 1
    [said] = owner.warnings
    assert "only version 1 of the root" in said
    assert gone[:7] in said


# -- what is refused


def test_a_key_that_cannot_be_unlocked_stops_it_before_a_key_is_made(world: World, owner: Person) -> None:
    [old] = owner.client().keys.rotate(GUN, "root").old
    owner.client().keys.rotate(GUN, "root")
    owner.client().keys.change_passphrase(old, "another passphrase")
    before = owner.key_files()
    world.requests()
    with pytest.raises(KeyAccessError) as caught:
        owner.client().keys.rotate(GUN, "root", legacy=2)
    assert any("earlier version" in line for line in caught.value.why)
    assert owner.key_files() == before
    assert "POST" not in world.requests()


def test_a_version_that_the_server_lost_is_an_error(world: World, owner: Person) -> None:
    for _ in range(3):
        owner.client().keys.rotate(GUN, "root")
    before = owner.key_files()
    _hide(world, 2)
    with pytest.raises(FileMissingError, match="version 2"):
        owner.client().keys.rotate(GUN, "root", legacy=2)
    assert owner.key_files() == before
    assert len(owner.client().keys.rotate(GUN, "root", legacy=1).legacy) == 1


def test_a_root_that_nothing_vouches_for_names_no_signer(world: World, owner: Person) -> None:
    """The keys of another repository are here, too: a server may not choose them."""
    other = f"{GUN}-other"
    (world.base / "other.pem").write_bytes(root_pem())
    owner.client(gun=True).init(other, root_key=str(world.base / "other.pem"))
    foreign = owner.client(gun=True).refresh(other).files[roles.ROOT]
    owner.client().keys.rotate(
        GUN, "root", key=owner.client().refresh(GUN).root.signers("root")[0].canonical_id
    )
    world.attacker.answer(Response(200, {}, foreign), path=r".*/_trust/tuf/1\.root\.json")
    before = owner.key_files()
    with pytest.raises(VerificationError):
        owner.client().keys.rotate(GUN, "root", legacy=1)
    assert owner.key_files() == before


@pytest.mark.parametrize("legacy", [-1, -257])
def test_no_such_number_of_versions_is_looked_at(world: World, owner: Person, legacy: int) -> None:
    before = owner.key_files()
    with pytest.raises(UsageError):
        owner.client().keys.rotate(GUN, "root", legacy=legacy)
    assert owner.key_files() == before
    assert not any(line.startswith("POST") for line in world.requests())


def test_a_part_is_not_signed_by_keys_that_are_no_longer_in_a_root(owner: Person) -> None:
    client = owner.client()
    with pytest.raises(UsageError, match="a part"):
        client.parts.make(lambda: client.keys.rotate(GUN, "root", legacy=1))


def test_more_signatures_than_readers_look_at_are_not_published(owner: Person) -> None:
    for _ in range(3):
        owner.client().keys.rotate(GUN, "root")
    before = owner.key_files()
    with pytest.raises(UnreadableUpdateError):
        owner.client(limits=replace(DEFAULT, signatures=4)).keys.rotate(GUN, "root", legacy=3)
    assert owner.key_files() == before


def test_more_versions_than_are_looked_at_are_an_error_and_none_is_left_out(owner: Person) -> None:
    for _ in range(3):
        owner.client().keys.rotate(GUN, "root")
    before = owner.key_files()
    few = owner.client(limits=replace(DEFAULT, root_versions=2))
    with pytest.raises(UsageError, match="at most 2 earlier versions"):
        few.keys.rotate(GUN, "root", legacy=10**6)
    assert owner.key_files() == before
    many = owner.client(limits=replace(DEFAULT, root_versions=3))
    assert len(many.keys.rotate(GUN, "root", legacy=10**6).legacy) == 3


def test_a_race_is_won_with_the_same_signatures(world: World, owner: Person) -> None:
    for _ in range(2):
        owner.client().keys.rotate(GUN, "root")
    world.push("2")
    world.attacker.before_upload(lambda: owner.client(retry_for=0).sign([f"{GUN}:2"]))
    done = owner.client().keys.rotate(GUN, "timestamp", server_managed=True, legacy=2)
    assert len(done.legacy) == 2
    assert len(_signers(world.person("reader"))) == 3
