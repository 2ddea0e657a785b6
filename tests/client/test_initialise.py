from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    AlreadyExistsError,
    KeyMissingError,
    RepositoryVanishedError,
    RootNotPinnedError,
    UsageError,
    VerificationError,
)
from notarypy.keys.signers import keyfile
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf import canonical, roles
from support.author import GUN, NOW
from support.people import owned, pem_of, root_pem

if TYPE_CHECKING:
    from support.people import World

OTHER_GUN = "registry.test/team/other"


def test_a_first_publish_asks_six_times(world: World) -> None:
    alice = world.person()
    result = alice.client().init(GUN)
    first, *keys, post, one, other = world.requests()
    assert (first, sorted(keys), post) == ("GET root.json", ["GET snapshot.key", "GET timestamp.key"], "POST")
    assert {one, other} == {"GET timestamp.json", "GET snapshot.json"}
    assert result.created
    assert result.keys_here == (roles.ROOT, roles.TARGETS)
    assert result.signers == ()
    assert len(alice.key_files()) == 2
    assert f"{result.root_pins[0]}.key" in alice.key_files()
    assert set(alice.cache()) == set(roles.BASE_ROLES)
    assert alice.warnings == []


def test_the_printed_pin_is_the_one_that_readers_meet(world: World) -> None:
    pins = world.person().client().init(GUN).root_pins
    assert world.person("reader").client(pins=pins).refresh(GUN).root.version == 1


def test_a_first_signer_comes_with_the_first_publish(world: World) -> None:
    alice = world.person()
    result = alice.client().init(GUN, signer="jeff", keys=[alice.key("jeff")])
    assert world.requests().count("POST") == 1
    assert result.signers == ("jeff",)
    targets = alice.client().refresh(GUN).targets[roles.TARGETS]
    assert [entry.name for entry in targets.roles] == ["targets/jeff", roles.RELEASES]


def test_a_snapshot_key_may_stay_here(world: World) -> None:
    alice = world.person()
    result = alice.client().init(GUN, snapshot="local")
    assert result.keys_here == (roles.ROOT, roles.TARGETS, roles.SNAPSHOT)
    assert len(alice.key_files()) == 3
    assert "GET snapshot.key" not in world.requests()


def test_the_root_key_serves_the_next_repository_too(world: World) -> None:
    alice = world.person()
    first, second = alice.client().init(GUN), alice.client().init(OTHER_GUN)
    assert first.root_pins == second.root_pins
    for gun, made in ((GUN, first), (OTHER_GUN, second)):
        assert made.root_keys == alice.client().inspect(gun).root_keys
    assert len({*first.root_pins, *first.root_keys, *second.root_keys}) == 3, (
        "a certificate for each repository"
    )
    assert len(alice.key_files()) == 3
    for gun in (GUN, OTHER_GUN):
        world.person("reader").client(pins=first.root_pins).refresh(gun)


# -- what is there already


def test_a_second_init_changes_nothing(world: World) -> None:
    alice = world.person()
    first = alice.client().init(GUN)
    before, keys = alice.cache(), alice.key_files()
    world.requests()
    second = alice.client(passphrase="not needed").init(GUN)
    assert not second.created
    assert second.root_pins == first.root_pins
    assert world.requests() == ["GET timestamp.json"]
    assert (alice.cache(), alice.key_files()) == (before, keys)


def test_somebody_elses_repository_is_left_alone(world: World) -> None:
    owned(world, "jeff")
    stranger = world.person("stranger")
    result = stranger.client().init(GUN)
    assert not result.created
    assert (result.keys_here, result.signers) == ((), ("jeff",))
    assert stranger.key_files() == set()
    assert "POST" not in world.requests()


def test_another_root_key_than_the_one_there_is_refused(world: World) -> None:
    owner = owned(world)
    [wanted] = world.person("other").client().init(OTHER_GUN).root_pins
    shutil.copy(
        world.person("other").trust_dir / "private" / f"{wanted}.key",
        owner.trust_dir / "private" / f"{wanted}.key",
    )
    before = owner.cache()
    with pytest.raises(AlreadyExistsError) as caught:
        owner.client().init(GUN, root_key=wanted[:10])
    assert caught.value.exit_code == 1
    assert owner.cache() == before


def test_a_snapshot_key_that_is_not_here_cannot_be_wanted(world: World) -> None:
    owner = owned(world)
    with pytest.raises(AlreadyExistsError, match="another kind"):
        owner.client().init(GUN, snapshot="local")


def test_a_signer_that_is_not_there_is_not_added_in_passing(world: World) -> None:
    owner = owned(world, "jeff")
    jeff = world.person("jeff")
    with pytest.raises(AlreadyExistsError):
        owner.client().init(GUN, signer="bob", keys=[jeff.key("bob")])
    assert "POST" not in world.requests()


def test_a_lost_repository_is_never_made_again(world: World) -> None:
    owner = owned(world)
    world.attacker.delete(GUN)
    before, keys = owner.cache(), owner.key_files()
    world.push("1")
    client = owner.client()
    for use in (
        lambda: client.init(GUN),
        lambda: client.sign([f"{GUN}:1"], init=True),
        lambda: client.add_signer("jeff", GUN, [world.person("jeff").key("jeff")]),
        lambda: client.verify(f"{GUN}:1"),
        lambda: client.inspect(GUN),
        lambda: client.remove_signer("jeff", GUN),
        lambda: client.offered_root(GUN),
    ):
        with pytest.raises(RepositoryVanishedError):
            use()
    assert "POST" not in world.requests()
    assert (owner.cache(), owner.key_files()) == (before, keys)


# -- which root key


def test_several_root_keys_need_a_choice(world: World) -> None:
    alice = world.person()
    first = alice.client().keys.load(root_pem(), name="root")[0].keyid
    alice.client().keys.load(root_pem(), name="root")
    with pytest.raises(UsageError, match="several root keys"):
        alice.client().init(GUN)
    assert alice.client().init(GUN, root_key=first[:12]).root_pins == (first,)


def test_a_root_key_may_come_from_a_file(world: World) -> None:
    alice = world.person()
    path = world.base / "root.pem"
    path.write_bytes(root_pem())
    result = alice.client().init(GUN, root_key=str(path))
    assert f"{result.root_pins[0]}.key" in alice.key_files()
    assert alice.client().init(GUN, root_key=str(path)).created is False


def test_a_root_key_that_is_not_here_is_missing(world: World) -> None:
    alice = world.person()
    with pytest.raises(KeyMissingError):
        alice.client().init(GUN, root_key="0123456789")
    assert alice.key_files() == set()


def test_a_certificate_of_ones_own_carries_the_root_key(world: World) -> None:
    alice = world.person()
    key = keyfile.generate()
    path = world.base / "root.pem"
    path.write_bytes(pem_of(key))
    certificate = root_certificate(LocalSigner(key), GUN, NOW)
    result = alice.client().init(GUN, root_key=str(path), root_cert=certificate.public)
    assert result.root_pins == (certificate.canonical_id,)


@pytest.mark.parametrize("flaw", ["other key", "other gun", "expired"])
def test_a_certificate_that_nobody_could_trust_makes_nothing(world: World, flaw: str) -> None:
    alice = world.person()
    key = keyfile.generate()
    path = world.base / "root.pem"
    path.write_bytes(pem_of(key))
    good = root_certificate(
        LocalSigner(keyfile.generate() if flaw == "other key" else key),
        OTHER_GUN if flaw == "other gun" else GUN,
        NOW - timedelta(days=4000) if flaw == "expired" else NOW,
    )
    with pytest.raises((UsageError, VerificationError)):
        alice.client().init(GUN, root_key=str(path), root_cert=good.public)
    assert alice.key_files() == set()
    assert "POST" not in world.requests()


def test_a_root_that_meets_no_configured_pin_is_not_published(world: World) -> None:
    alice = world.person()
    with pytest.raises(RootNotPinnedError):
        alice.client(pins=("0" * 64,)).init(GUN)
    assert alice.key_files() == set()
    assert "POST" not in world.requests()
    [info] = alice.client().keys.load(root_pem(), name="root")
    assert alice.client(pins=(info.keyid,)).init(GUN).created


def test_the_first_files_are_exactly_what_is_served(world: World) -> None:
    alice = world.person()
    alice.client().init(GUN)
    for role in (roles.ROOT, roles.TARGETS):
        data = world.attacker.current(GUN, role)
        assert alice.cache()[role] == data
        assert canonical.decode(data)["signed"]["version"] == 1
