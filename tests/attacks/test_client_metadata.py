"""Attacks on a reader: whatever a server or a thief of some keys does, old or foreign data is never taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    ExpiredError,
    RollbackError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from support.author import GUN
from support.people import make_world
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(make_world(tmp_path, monkeypatch))


def _honest_again(stage: Stage) -> None:
    """The next honest publish works for the reader who was attacked."""
    stage.author.snapshot_version += 100
    stage.author.timestamp_version += 100
    stage.publish()
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).signers == ("jeff",)


# -- rollback


def test_an_older_timestamp_is_a_rollback(stage: Stage) -> None:
    old = stage.served()
    stage.publish()
    stage.know()
    stage.serve(old)
    error = stage.refused(RollbackError)
    assert error.facts == {"role": roles.TIMESTAMP, "offered": 1, "seen": 2}
    _honest_again(stage)


def test_another_timestamp_of_the_same_version_is_refused(stage: Stage) -> None:
    stage.know()
    stage.author.snapshot_version = 2
    stage.serve(stage.author.repository())
    assert stage.refused(RollbackError).facts["role"] == roles.TIMESTAMP
    _honest_again(stage)


@pytest.mark.parametrize("old_is_smaller", [True, False])
def test_a_thief_of_the_timestamp_key_cannot_bring_back_a_snapshot(
    stage: Stage, *, old_is_smaller: bool
) -> None:
    """Go forgets the cached version when the cached file is bigger than the replayed one."""
    if not old_is_smaller:
        stage.author.delegate("targets/extra")
        stage.author.add("x", b"x", "targets/extra")
        stage.publish(roles.TARGETS)
    old = stage.served()
    if old_is_smaller:
        stage.author.delegate("targets/extra")
        stage.author.add("x", b"x", "targets/extra")
    stage.publish(roles.TARGETS)
    stage.know()
    stage.author.timestamp_version += 1
    stage.serve({**old, roles.TIMESTAMP: stage.author.timestamp(old[roles.SNAPSHOT])})
    assert stage.refused(RollbackError).facts["role"] == roles.SNAPSHOT
    _honest_again(stage)


@pytest.mark.parametrize("role", [roles.TARGETS, roles.RELEASES, JEFF])
@pytest.mark.parametrize("old_is_smaller", [True, False])
def test_a_thief_of_the_servers_keys_cannot_bring_back_a_file(
    stage: Stage, role: str, *, old_is_smaller: bool
) -> None:
    if old_is_smaller:
        old = stage.author.file(role)
        stage.author.add("more", b"more", role)
    else:
        stage.author.add("more", b"more", role)
        old = stage.author.file(role)
        stage.author.targets[role] = replace(stage.author.targets[role], targets={})
        stage.release("1")
    stage.publish(role)
    stage.know()
    files = {**stage.author.files(), role: old}
    stage.author.snapshot_version += 1
    stage.author.timestamp_version += 1
    snapshot = stage.author.snapshot(files)
    stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: stage.author.timestamp(snapshot)})
    assert stage.refused(RollbackError).facts["role"] == role
    _honest_again(stage)


def test_a_thief_of_the_servers_keys_cannot_hide_a_delegation(stage: Stage) -> None:
    stage.know()
    files = {role: data for role, data in stage.author.files().items() if role != roles.RELEASES}
    stage.author.snapshot_version += 1
    stage.author.timestamp_version += 1
    snapshot = stage.author.snapshot(files)
    stage.serve({roles.SNAPSHOT: snapshot, roles.TIMESTAMP: stage.author.timestamp(snapshot)})
    assert stage.refused(RollbackError).facts["role"] == roles.RELEASES
    _honest_again(stage)


@pytest.mark.parametrize("role", [roles.TARGETS, roles.SNAPSHOT])
def test_new_content_under_an_old_version_is_refused(stage: Stage, role: str) -> None:
    stage.know()
    honest = dict(stage.author.targets)
    if role == roles.SNAPSHOT:
        stage.author.targets[JEFF] = replace(stage.author.targets[JEFF], targets={})
    else:
        stage.author.add("2", b"two")
        stage.author.snapshot_version += 1
    stage.author.timestamp_version += 1
    stage.serve(stage.author.repository())
    assert stage.refused(RollbackError).facts["role"] == role
    stage.author.targets = honest
    _honest_again(stage)


# -- freeze


@pytest.mark.parametrize(
    ("days", "role"), [(15, roles.TIMESTAMP), (3 * 365, roles.SNAPSHOT), (3651, roles.ROOT)]
)
def test_time_ends_what_a_server_keeps_serving(stage: Stage, days: int, role: str) -> None:
    stage.know()
    stage.world.clock.advance(timedelta(days=days))
    if role != roles.TIMESTAMP:
        stage.author.now = stage.world.clock()
        stage.author.timestamp_version += 1
        stage.author.snapshot_version += role == roles.ROOT
        snapshot = (
            stage.author.snapshot(stage.author.files())
            if role == roles.ROOT
            else stage.served()[roles.SNAPSHOT]
        )
        stage.serve({roles.SNAPSHOT: snapshot, roles.TIMESTAMP: stage.author.timestamp(snapshot)})
    assert stage.refused(ExpiredError).facts["role"] == role


@pytest.mark.parametrize("seconds", [0, 1])
def test_the_moment_of_expiry_is_too_late(stage: Stage, seconds: int) -> None:
    stage.know()
    stage.world.clock.advance(timedelta(days=14, seconds=seconds - 1))
    if seconds == 0:
        assert stage.reader.client().verify(f"{GUN}:1", registry=False).tag == "1"
    else:
        stage.refused(ExpiredError)


# -- mix and match


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TARGETS, roles.RELEASES, JEFF])
@pytest.mark.parametrize("warm", [True, False])
def test_files_of_different_publishes_do_not_go_together(stage: Stage, role: str, *, warm: bool) -> None:
    old = stage.served()[role]
    if warm:
        stage.know()
    stage.release("2")
    stage.author.add("own", b"own")
    stage.publish(roles.TARGETS, JEFF, roles.RELEASES)
    # Under the new hash and the plain name the server gives the old file, which is signed and shorter.
    stage.world.attacker.answer(Response(200, {}, old), path=rf".*/{role}(\.[0-9a-f]{{64}})?\.json")
    assert stage.refused(VerificationError).facts["role"] == role
    stage.world.attacker.undo_hooks()
    _honest_again(stage)


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TARGETS, JEFF])
def test_more_bytes_than_announced_are_not_read(stage: Stage, role: str) -> None:
    endless = Response(200, {}, stage.served()[role] + b" " * 100_000)
    stage.world.attacker.answer(endless, path=rf".*/{role}(\.[0-9a-f]{{64}})?\.json")
    assert "longer than" in stage.refused(VerificationError).why[0]
    assert stage.reader.cache() == {}


# -- fast-forward


def test_a_fast_forwarded_repository_recovers_with_new_keys(stage: Stage) -> None:
    stage.author.timestamp_version = stage.author.snapshot_version = 2**31 - 5
    stage.publish()
    stage.know()
    for role in (roles.TIMESTAMP, roles.SNAPSHOT):
        stage.author.next_root()
        stage.author.assign(role, [stage.author.key(f"new {role}")])
    stage.author.root = replace(stage.author.root, version=2)
    stage.author.timestamp_version = stage.author.snapshot_version = 1
    stage.publish()
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).tag == "1"
    assert stage.reader.client().refresh(GUN).timestamp.version == 2


def test_a_fast_forwarded_delegation_recovers_with_a_new_key(stage: Stage) -> None:
    stage.author.targets[JEFF] = replace(stage.author.targets[JEFF], version=2**31 - 5)
    stage.publish()
    stage.know()
    stage.author.targets[JEFF] = replace(stage.author.targets[JEFF], version=1)
    stage.author.delegate(JEFF, [stage.author.key("new jeff")])
    stage.publish(roles.TARGETS)
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).signers == ("jeff",)


def test_without_new_keys_a_version_never_falls(stage: Stage) -> None:
    stage.author.timestamp_version = 2**31 - 5
    stage.publish()
    stage.know()
    stage.author.timestamp_version = 5
    stage.publish()
    stage.refused(RollbackError)
