"""Attacks on the anchor of trust, and the honest changes of roots that look a little like them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    ExpiredError,
    NetworkError,
    RollbackError,
    RootChangedError,
    RootNotPinnedError,
    SignatureError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from support.author import GUN, NOW, Author
from support.people import make_world
from support.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(make_world(tmp_path, monkeypatch))
    stage.know()
    return stage


def _verify(stage: Stage, *pins: str) -> int:
    """Verify tag 1 as the reader, and return the version of the root that vouches for it."""
    client = stage.reader.client(pins=pins)
    assert client.verify(f"{GUN}:1", registry=False).tag == "1"
    return client.refresh(GUN).root.version


def _pin(stage: Stage) -> str:
    return stage.author.root.roles[roles.ROOT].keyids[0]


# -- honest rotations


def test_a_rotation_is_followed_and_kept(stage: Stage) -> None:
    stage.rotate_root("second")
    files = stage.publish()
    assert _verify(stage) == 2
    assert stage.reader.cache()[roles.ROOT] == files[roles.ROOT]


def test_missed_rotations_are_walked(stage: Stage) -> None:
    for name in ("second", "third", "fourth"):
        stage.rotate_root(name)
        stage.publish()
    assert _verify(stage) == 4


def test_an_expired_cached_root_with_missed_rotations_is_walked(stage: Stage) -> None:
    """Go gives up when the cached root is out of date; the chain of signatures still holds."""
    for year, name in ((9, "second"), (18, "third")):
        stage.author.now = NOW + timedelta(days=365 * year)
        stage.author.root = replace(stage.author.root, expires=stage.author.expiry(roles.ROOT))
        stage.rotate_root(name)
        for role in stage.author.targets:
            stage.author.targets[role] = replace(
                stage.author.targets[role], expires=stage.author.expiry(role)
            )
        stage.publish(*stage.author.targets)
    stage.world.clock.advance(timedelta(days=365 * 18 + 1))
    assert _verify(stage) == 3


def test_a_root_that_the_trusted_keys_signed_needs_no_links_between(stage: Stage) -> None:
    stage.author.root = replace(stage.author.root, version=5)
    stage.publish()
    assert _verify(stage) == 5
    assert not any(".root.json" in line and line[4].isdigit() for line in stage.world.requests())


def test_keys_of_the_server_rotate_with_the_root(stage: Stage) -> None:
    for role in (roles.TIMESTAMP, roles.SNAPSHOT):
        stage.author.assign(role, [stage.author.key(f"new {role}")])
    stage.author.next_root()
    stage.publish()
    assert _verify(stage) == 2


def test_a_reader_who_walked_asks_for_the_timestamp_alone_afterwards(stage: Stage) -> None:
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    stage.reader.client().refresh(GUN)
    stage.world.requests()
    stage.reader.client().refresh(GUN)
    assert stage.world.requests() == ["GET timestamp.json"]


# -- roots that nothing links to the trusted one


@pytest.mark.parametrize("version", [1, 2, 50])
def test_a_reinitialised_repository_is_refused(stage: Stage, version: int) -> None:
    before = stage.served()
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    for role in (roles.TARGETS, roles.SNAPSHOT, roles.TIMESTAMP):
        mallory.assign(role, [mallory.key(f"mallory {role}")])
    mallory.root = replace(mallory.root, version=version)
    mallory.snapshot_version = mallory.timestamp_version = 50
    stage.serve(mallory.repository())
    stage.refused(RootChangedError)
    stage.world.fake.notary.store.delete(GUN, NOW)
    stage.serve(before)
    assert _verify(stage) == 1


def test_a_root_with_the_old_servers_keys_does_not_help_either(stage: Stage) -> None:
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    mallory.root = replace(mallory.root, version=2)
    mallory.snapshot_version = mallory.timestamp_version = 2
    stage.serve(mallory.repository())
    stage.refused(RootChangedError)


def test_a_missing_link_is_not_jumped(stage: Stage) -> None:
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    stage.world.attacker.answer(Response(404), path=r".*/2\.root\.json")
    stage.refused(RootChangedError)
    stage.world.attacker.undo_hooks()
    assert _verify(stage) == 3


def test_a_forged_link_is_refused(stage: Stage) -> None:
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    mallory.root = replace(mallory.root, version=2)
    stage.world.attacker.answer(Response(200, {}, mallory.file(roles.ROOT)), path=r".*/2\.root\.json")
    stage.refused(RootChangedError)


def test_a_link_of_a_wrong_version_is_refused(stage: Stage) -> None:
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    stored = stage.world.fake.notary.store.numbered(GUN, roles.ROOT, 1)
    assert stored is not None
    stage.world.attacker.answer(Response(200, {}, stored.data), path=r".*/2\.root\.json")
    stage.refused(VerificationError)


def test_a_chain_without_end_is_not_walked(stage: Stage) -> None:
    stage.rotate_root("second", version=10**9)
    stage.publish()
    stage.author.root = replace(stage.author.root, version=10**9 + 1)
    stage.rotate_root("third", version=10**9 + 1)
    stage.publish()
    error = stage.refused(VerificationError)
    assert "too many versions ahead" in error.message
    assert len(stage.world.requests()) < 10


def test_going_back_to_an_earlier_root_is_a_rollback(stage: Stage) -> None:
    first = stage.served()[roles.ROOT]
    stage.rotate_root("second")
    stage.publish()
    stage.know()
    files = {**stage.author.files(), roles.ROOT: first}
    stage.author.snapshot_version = stage.author.timestamp_version = 9
    snapshot = stage.author.snapshot(files)
    stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: stage.author.timestamp(snapshot)})
    stage.world.fake.notary.store.forget_above(GUN, roles.ROOT, 1)
    assert stage.refused(RollbackError).facts["role"] == roles.ROOT


# -- revoked keys


def test_a_newer_root_is_kept_even_if_what_comes_after_it_is_refused(stage: Stage) -> None:
    """The timestamp key was stolen and replaced: the thief's timestamps must not work again."""
    old = stage.served()
    stage.author.assign(roles.TIMESTAMP, [stage.author.key("new timestamp")])
    stage.author.next_root()
    stage.world.attacker.answer(Response(200, {}, b"{}"), path=r".*/targets\.[0-9a-f]{64}\.json")
    stage.author.bump()
    honest = stage.publish()
    stage.refused(VerificationError, roles.ROOT)
    assert stage.reader.cache()[roles.ROOT] == honest[roles.ROOT]
    stage.world.attacker.undo_hooks()
    stage.serve({role: data for role, data in old.items() if role != roles.ROOT})
    stage.refused(SignatureError)


def test_part_of_a_chain_is_kept_too(stage: Stage) -> None:
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    stage.world.attacker.answer(Response(200, {}, b"{}"), path=r".*/root\.[0-9a-f]{64}\.json")
    stage.refused(VerificationError)
    stage.world.attacker.undo_hooks()
    second = stage.world.fake.notary.store.numbered(GUN, roles.ROOT, 2)
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    mallory.root = replace(mallory.root, version=4)
    mallory.snapshot_version = mallory.timestamp_version = 9
    stage.serve(mallory.repository())
    stage.refused(RootChangedError, roles.ROOT)
    assert second is not None
    assert stage.reader.cache()[roles.ROOT] != second.data


def test_a_connection_that_breaks_off_after_a_newer_root_is_no_verdict(stage: Stage) -> None:
    stage.rotate_root("second")
    stage.author.bump()
    stage.publish()
    stage.world.attacker.refuse_connections(path=r".*/targets\..*")
    before = stage.reader.cache()
    with pytest.raises(NetworkError):
        stage.reader.client().refresh(GUN)
    after = stage.reader.cache()
    assert {role for role in before if before[role] != after[role]} <= {roles.ROOT}
    stage.world.attacker.undo_hooks()
    assert _verify(stage) == 2


# -- pins


def test_a_pin_of_the_present_root_is_met(stage: Stage) -> None:
    assert _verify(stage, _pin(stage)) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_pin_of_an_earlier_root_is_met_through_the_chain(stage: Stage, *, known: bool) -> None:
    pins = [_pin(stage)]
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
        pins.append(_pin(stage))
    for pin in pins:
        if not known:
            stage.reader.client().forget(GUN)
        assert _verify(stage, pin) == 3


def test_a_pin_of_a_newer_root_than_the_cached_one_is_met(stage: Stage) -> None:
    stage.rotate_root("second")
    stage.publish()
    second = _pin(stage)
    stage.rotate_root("third")
    stage.publish()
    assert _verify(stage, second) == 3


@pytest.mark.parametrize("known", [True, False])
def test_a_pin_of_an_unrelated_root_is_not_met(stage: Stage, *, known: bool) -> None:
    stage.rotate_root("second")
    stage.publish()
    if not known:
        stage.reader.client().forget(GUN)
    before = stage.reader.cache()
    with pytest.raises(RootNotPinnedError):
        stage.reader.client(pins=("0" * 64,)).refresh(GUN)
    assert {role for role in before if stage.reader.cache()[role] != before[role]} <= {roles.ROOT}


def test_a_pinned_root_in_the_servers_history_does_not_vouch_for_a_stranger(stage: Stage) -> None:
    """The server shows the pinned root as version 1 and a repository of its own as version 2."""
    pin = _pin(stage)
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    mallory.root = replace(mallory.root, version=2)
    stage.serve(mallory.repository())
    stage.reader.client().forget(GUN)
    with pytest.raises((RootChangedError, RootNotPinnedError)):
        stage.reader.client(pins=(pin,)).refresh(GUN)
    assert stage.reader.cache() == {}


def test_a_pin_costs_no_request_when_it_fits(stage: Stage) -> None:
    stage.world.requests()
    stage.reader.client(pins=(_pin(stage),)).refresh(GUN)
    assert stage.world.requests() == ["GET timestamp.json"]


def test_a_root_of_no_date_left_is_refused_on_first_use(stage: Stage) -> None:
    stage.reader.client().forget(GUN)
    stage.world.clock.advance(timedelta(days=3651))
    stage.author.now = stage.world.clock()
    for role in stage.author.targets:
        stage.author.targets[role] = replace(stage.author.targets[role], expires=stage.author.expiry(role))
    stage.publish(*stage.author.targets)
    assert stage.refused(ExpiredError).facts["role"] == roles.ROOT


@pytest.mark.parametrize("status", [404, 500])
def test_a_rollback_is_named_even_if_the_server_hides_its_root(stage: Stage, status: int) -> None:
    old = stage.served()
    stage.publish()
    stage.know()
    stage.serve(old)
    stage.world.attacker.answer(Response(status), path=r".*/root\.json")
    stage.refused(VerificationError)
