"""What is published can be read: nothing is uploaded that our own limits would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy import Limits
from notarypy.cli.text.advice import advice
from notarypy.errors import UnreadableUpdateError
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from support.people import Person, World

REF = f"{GUN}:1"


@pytest.fixture
def owner(world: World) -> Person:
    world.push("1")
    return owned(world, "jeff")


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def refused(world: World, owner: Person, custom: bytes, *, dry_run: bool = False) -> UnreadableUpdateError:
    """Sign with custom data, and insist that it is refused and nothing is sent or changed."""
    before = owner.cache()
    world.requests()
    with pytest.raises(UnreadableUpdateError) as caught:
        owner.client().sign([REF], custom=custom, dry_run=dry_run)
    assert "POST" not in world.requests()
    assert owner.cache() == before
    return caught.value


def test_custom_data_as_deep_as_readers_take(owner: Person) -> None:
    assert owner.client().sign([REF], custom=nested(60))[0].published
    assert owner.client().verify(REF).digest


@pytest.mark.parametrize("dry_run", [False, True])
def test_custom_data_too_deep_for_readers(world: World, owner: Person, dry_run: bool) -> None:
    error = refused(world, owner, nested(61), dry_run=dry_run)
    assert "signatures" not in " ".join(error.why)
    assert (error.code, error.exit_code) == ("publish.unreadable", 2)
    assert advice(error) == "publish less: fewer or shorter entries"


@pytest.mark.parametrize(
    ("limits", "role"),
    [
        (Limits(delegations_in_file=2), "targets"),
        (Limits(delegation_paths=1), "targets"),
        (Limits(keys_of_role=1), "targets"),
        (Limits(metadata_bytes=2000), "targets"),
    ],
    ids=["delegations", "paths", "keys", "bytes"],
)
def test_a_signer_too_many(owner: Person, limits: Limits, role: str) -> None:
    client = owner.client()
    keys = [client.keys.generate(name)[1] for name in ("kim", "lee", "max")]
    before = owner.cache()
    with pytest.raises(UnreadableUpdateError) as caught:
        owner.client(limits=limits).add_signer("kim", GUN, keys, paths=("a", "b"))
    assert caught.value.facts["role"] == role
    assert owner.cache() == before
    assert client.add_signer("kim", GUN, keys, paths=("a", "b")).repository == GUN


def test_a_first_publish_too(world: World) -> None:
    alice = world.person()
    _, public = alice.client().keys.generate("jeff")
    with pytest.raises(UnreadableUpdateError):
        alice.client(limits=Limits(delegations_in_file=1)).init(GUN, signer="jeff", keys=[public])
    assert len(alice.key_files()) == 1
    assert alice.client().init(GUN, signer="jeff", keys=[public]).created
