"""Several keys for root and targets, and thresholds above one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import KeyNotAuthorisedError, RootNotPinnedError, UsageError
from notarypy.tuf import roles
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.tuf.metadata import Root
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def _certificate(person: Person) -> Path:
    """Let somebody make a root key and its certificate; return where that is."""
    path = person.world.base / f"{person.trust_dir.name}.crt"
    path.write_bytes(person.client().keys.certify(GUN)[1])
    return path


def _give(one: Person, other: Person) -> None:
    """Give somebody a copy of all root keys."""
    for info in one.client().keys.list():
        if info.role == roles.ROOT:
            other.client().keys.import_(one.client().keys.export([info.keyid]))


def _root(person: Person) -> Root:
    return person.client().refresh(GUN).root


def test_a_root_takes_two_of_three_keys_from_the_start(world: World) -> None:
    people = [world.person(name) for name in ("alice", "bob", "carol")]
    certificates = [_certificate(person).read_bytes() for person in people]
    alice, bob, carol = people
    make = partial(alice.client().init, GUN, root_cert=certificates, root_threshold=2)
    with pytest.raises(KeyNotAuthorisedError, match="cannot sign root"):
        make()
    assert [info.role for info in alice.client().keys.list()] == [roles.ROOT]
    _give(bob, alice)
    made = make()
    assert (made.root_threshold, len(set(made.root_pins))) == (2, 3)
    [carols] = [info.keyid for info in carol.client().keys.list()]
    assert carols in made.root_pins
    assert not make().created
    pinned = [pin for pin in made.root_pins if pin != carols]
    reader = world.person("reader").client(first_use=False)
    with pytest.raises(RootNotPinnedError):
        reader.refresh(GUN, root=pinned[0])
    reader.refresh(GUN, root=",".join(pinned))
    with pytest.raises(RootNotPinnedError):
        world.person("new").client().trust(GUN, pinned[0])
    world.person("new").client().trust(GUN, ",".join(pinned))


def test_of_several_keys_none_is_taken_or_made_that_was_not_named(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    _certificate(alice)
    theirs = _certificate(bob).read_bytes()
    with pytest.raises(UsageError, match="1 different keys"):
        alice.client().init(GUN, root_cert=[theirs, theirs], root_threshold=2)
    made = alice.client()
    with pytest.raises(KeyNotAuthorisedError):
        made.init(GUN, root_cert=[theirs], root_threshold=1)
    assert made.init(GUN, root_key="root", root_cert=[theirs], root_threshold=1).root_threshold == 1
    assert len(_root(alice).signers(roles.ROOT)) == 2


def test_root_keys_of_others_come_and_the_threshold_rises(world: World, owner: Person) -> None:
    bob, carol, reader = (world.person(name) for name in ("bob", "carol", "reader"))
    before = _root(reader)
    files = [str(_certificate(person)) for person in (bob, carol)]
    [own] = (key.canonical_id for key in before.signers(roles.ROOT))
    _give(bob, owner)
    done = owner.client().keys.rotate(GUN, "root", key=[own[:8], *files], threshold=2)
    assert (done.threshold, len(done.new), done.new[0]) == (2, 3, own)
    after = _root(reader)
    assert after.roles[roles.ROOT].threshold == 2
    assert after.roles[roles.ROOT].keyids[0] == before.roles[roles.ROOT].keyids[0]
    with pytest.raises(KeyNotAuthorisedError):
        bob.client().keys.rotate(GUN, "targets")
    owner.client().keys.rotate(GUN, "targets")
    assert not owner.client().keys.rotate(GUN, "root", threshold=2).published
    assert owner.client().keys.rotate(GUN, "root", threshold=1).threshold == 1
    assert len(_root(reader).signers(roles.ROOT)) == 3


def test_one_of_several_root_keys_is_replaced(world: World, owner: Person) -> None:
    bob, carol, reader = (world.person(name) for name in ("bob", "carol", "reader"))
    [own] = (key.canonical_id for key in _root(reader).signers(roles.ROOT))
    _give(bob, owner)
    with pytest.raises(UsageError, match="1 different keys"):
        owner.client().keys.rotate(GUN, "root", threshold=2)
    files = [str(_certificate(person)) for person in (bob, carol)]
    _give(bob, owner)
    first = owner.client().keys.rotate(GUN, "root", key=[own[:12], files[0]], threshold=2)
    gone = first.new[1]
    with pytest.raises(UsageError, match="begins with"):
        owner.client().keys.rotate(GUN, "root", key=files[1], replaces=["abcdef0"])
    with pytest.raises(UsageError, match="1 different keys"):
        owner.client().keys.rotate(GUN, "root", replaces=[gone[:9]])
    with pytest.raises(KeyNotAuthorisedError):
        owner.client().keys.rotate(GUN, "root", key=files[1], replaces=[gone[:9]])
    _give(carol, owner)
    done = owner.client().keys.rotate(GUN, "root", key=files[1], replaces=[gone[:9]])
    assert (done.new[0], done.threshold) == (own, 2)
    assert gone not in done.new
    assert _root(reader).roles[roles.ROOT].threshold == 2


def test_targets_takes_two_keys(world: World, owner: Person) -> None:
    bob, reader = world.person("bob"), world.person("reader")
    path = world.base / "bob.pub"
    path.write_bytes(bob.key("bob"))
    [own] = (key.canonical_id for key in _root(reader).signers(roles.TARGETS))
    with pytest.raises(KeyNotAuthorisedError, match="cannot sign targets"):
        owner.client().keys.rotate(GUN, "targets", key=[own[:10], str(path)], threshold=2)
    owner.client().keys.import_(bob.client().keys.export(["bob"]))
    done = owner.client().keys.rotate(GUN, "targets", key=[own[:10], str(path)], threshold=2)
    assert (done.threshold, len(done.new)) == (2, 2)
    assert {key.keytype for key in _root(reader).signers(roles.TARGETS)} == {"ecdsa"}
    owner.client().add_signer("carol", GUN, [owner.key("carol")])
    owner.client().keys.remove("bob")
    with pytest.raises(KeyNotAuthorisedError, match="cannot sign targets"):
        owner.client().add_signer("dave", GUN, [owner.key("dave")])
    status = {role.role: role for role in owner.client().status(GUN).roles}[roles.TARGETS]
    assert (status.threshold, len(status.here), status.signable) == (2, 1, False)


def test_what_others_give_for_root_is_a_certificate_for_the_repository(world: World, owner: Person) -> None:
    bob = world.person("bob")
    public, other = world.base / "bob.pub", world.base / "other.crt"
    public.write_bytes(bob.key("bob"))
    other.write_bytes(bob.client().keys.certify("registry.test/team/other")[1])
    before = owner.cache()
    for path in (public, other):
        with pytest.raises(UsageError):
            owner.client().keys.rotate(GUN, "root", key=["root", str(path)], threshold=2)
    assert owner.cache() == before


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TIMESTAMP])
def test_other_roles_have_one_key(owner: Person, role: str) -> None:
    managed = role == roles.TIMESTAMP
    with pytest.raises(UsageError, match="has one key"):
        owner.client().keys.rotate(GUN, role, threshold=2, server_managed=managed)


def test_one_root_key_counts_once_in_two_certificates(world: World, owner: Person) -> None:
    bob = world.person("bob")
    again = world.base / "again.crt"
    again.write_bytes(bob.client().keys.certify(GUN)[1])
    with pytest.raises(UsageError, match="1 different keys"):
        owner.client().keys.rotate(GUN, "root", key=[str(_certificate(bob)), str(again)], threshold=2)
