"""Attacks with files: of other roles, by other keys, with impossible content, on the disk."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    ExpiredError,
    MetadataError,
    NetworkError,
    SignatureError,
    SignerMissingError,
    StorageError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.tuf import canonical, roles
from support.author import GUN, Author
from support.people import make_world
from support.repository import rewritten, snapshot_of, timestamp_of
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.tuf.canonical import JsonObject


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(make_world(tmp_path, monkeypatch))


def _honest_again(stage: Stage) -> None:
    """The next honest publish works for the reader who was attacked."""
    stage.author.snapshot_version += 100
    stage.author.timestamp_version += 100
    stage.publish()
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).signers == ("jeff",)


def _same(signed: JsonObject) -> JsonObject:
    return signed


def _signed(data: bytes) -> JsonObject:
    signed: JsonObject = canonical.decode(data)["signed"]
    return signed


# -- wrong keys, wrong files


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
@pytest.mark.parametrize("warm", [True, False])
def test_a_base_role_signed_by_another_ones_key_is_refused(stage: Stage, role: str, *, warm: bool) -> None:
    if warm:
        stage.know()
    author = stage.author
    for name in (roles.SNAPSHOT, roles.TIMESTAMP):
        setattr(author, f"{name}_version", 2)
    author.bump()
    wrong = [author.key("jeff")]
    files = author.files()
    if role == roles.TARGETS:
        files[role] = rewritten(author, role, _same, wrong)
    files[roles.SNAPSHOT] = author.snapshot(files)
    if role == roles.SNAPSHOT:
        files[role] = author.seal(_signed(files[role]), wrong)
    files[roles.TIMESTAMP] = author.timestamp(files[roles.SNAPSHOT])
    if role == roles.TIMESTAMP:
        files[role] = author.seal(_signed(files[role]), wrong)
    stage.serve(files)
    assert stage.refused(SignatureError).facts["role"] == role
    _honest_again(stage)


@pytest.mark.parametrize("role", [JEFF, roles.RELEASES])
def test_a_delegation_signed_by_another_key_does_not_speak(stage: Stage, role: str) -> None:
    stage.know()
    stage.author.bump(role)
    forged = rewritten(stage.author, role, _same, [stage.author.key("mallory")])
    files = {**stage.author.files(), role: forged}
    stage.author.snapshot_version = stage.author.timestamp_version = 2
    snapshot = stage.author.snapshot(files)
    stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: stage.author.timestamp(snapshot)})
    client = stage.reader.client()
    if role == roles.RELEASES:
        with pytest.raises(SignatureError):
            client.verify(f"{GUN}:1", registry=False)
    else:
        assert client.verify(f"{GUN}:1", registry=False).signers == ()
        with pytest.raises(SignerMissingError, match="not signed by jeff"):
            client.verify(f"{GUN}:1", registry=False, signers=["jeff"])
    assert forged not in stage.reader.cache().values()


@pytest.mark.parametrize("role", [roles.ROOT, roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
@pytest.mark.parametrize("other", [1, 2, 3, "junk", "null"])
def test_one_file_is_not_another(stage: Stage, role: str, other: int | str) -> None:
    data = b"null" if other == "null" else b"\xff\0"
    if isinstance(other, int):
        data = stage.served()[roles.BASE_ROLES[(roles.BASE_ROLES.index(role) + other) % 4]]
    stage.world.attacker.answer(Response(200, {}, data), path=rf".*/{role}(\.[0-9a-f]{{64}})?\.json")
    with pytest.raises((VerificationError, NetworkError)):
        stage.reader.client().refresh(GUN)
    assert stage.reader.cache() == {}
    stage.world.attacker.undo_hooks()
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).tag == "1"


def test_another_repositorys_files_are_refused(stage: Stage) -> None:
    other = "registry.test/team/victim"
    store = stage.world.fake.notary.store
    for role in store.roles(GUN):
        stored = store.current(GUN, role)
        assert stored is not None
        store.replace(other, role, stored)
    with pytest.raises(VerificationError, match="no usable certificate"):
        stage.reader.client().refresh(other)
    assert stage.reader.cache(other) == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("snapshot.length", -1),
        ("snapshot.length", 2**60),
        ("snapshot.length", 1),
        ("snapshot.hashes", {}),
        ("_type", "Snapshot"),
        ("version", 0),
        ("version", -1),
        ("version", 2**53),
        ("version", True),
        ("expires", "never"),
    ],
)
def test_a_timestamp_of_impossible_content_is_refused(stage: Stage, path: str, value: object) -> None:
    stage.know()
    stage.author.timestamp_version = 2

    def edit(signed: JsonObject) -> JsonObject:
        place = signed["meta"]["snapshot"] if path.startswith("snapshot.") else signed
        place[path.rpartition(".")[2]] = value
        return signed

    stage.serve(timestamp_of(stage.author, edit))
    stage.refused(VerificationError)
    _honest_again(stage)


@pytest.mark.parametrize("missing", [roles.ROOT, roles.TARGETS])
def test_a_snapshot_without_root_or_targets_is_refused(stage: Stage, missing: str) -> None:
    stage.know()
    stage.author.snapshot_version = stage.author.timestamp_version = 2

    def edit(signed: JsonObject) -> JsonObject:
        del signed["meta"][missing]
        return signed

    stage.serve(snapshot_of(stage.author, edit))
    stage.refused(MetadataError)
    _honest_again(stage)


# -- what lies on this machine


def test_evil_cache_files_do_not_outlive_a_refresh(stage: Stage) -> None:
    stage.know()
    honest = stage.reader.cache()
    for role in (roles.TARGETS, JEFF, roles.RELEASES, roles.SNAPSHOT, roles.TIMESTAMP):
        stage.reader.cached(role).write_bytes(honest[role].replace(b'"version":1', b'"version":9'))
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).tag == "1"
    assert stage.reader.cache() == honest


def test_an_evil_root_in_the_cache_does_not_get_honest_data(stage: Stage) -> None:
    stage.know()
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    stage.reader.cached(roles.ROOT).write_bytes(mallory.file(roles.ROOT))
    stage.refused(VerificationError)


@pytest.mark.parametrize("part", ["tuf", "tuf/registry.test", f"tuf/{GUN}", f"tuf/{GUN}/metadata"])
def test_links_in_place_of_directories_are_refused(stage: Stage, part: str) -> None:
    stage.know()
    folder = stage.reader.trust_dir / part
    elsewhere = stage.world.base / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    with pytest.raises(StorageError) as caught:
        stage.reader.client().refresh(GUN)
    assert "it is a symbolic link" in caught.value.why


def test_a_pipe_in_place_of_a_file_does_not_block(stage: Stage) -> None:
    stage.know()
    path = stage.reader.cached(roles.TIMESTAMP)
    path.unlink()
    os.mkfifo(path)
    assert stage.reader.client().verify(f"{GUN}:1", registry=False).tag == "1"


# -- publishers under attack


@pytest.mark.parametrize("attack", ["rollback", "expired", "forged"])
def test_a_publisher_never_builds_on_what_was_refused(stage: Stage, attack: str) -> None:
    old = stage.served()
    stage.publish()
    stage.know()
    if attack == "rollback":
        stage.serve(old)
    elif attack == "expired":
        stage.world.clock.advance(timedelta(days=20))
    else:
        stage.serve({roles.TIMESTAMP: old[roles.TIMESTAMP].replace(b'"version":1', b'"version":3')})
    client = stage.reader.client()
    for use in (
        lambda: client.sign([f"{GUN}:1"]),
        lambda: client.add_signer("jeff", GUN, [stage.reader.key("jeff")]),
        lambda: client.remove_signer("jeff", GUN, force=True),
        lambda: client.init(GUN),
        lambda: client.inspect(GUN),
        lambda: client.delegations(GUN),
    ):
        with pytest.raises((VerificationError, ExpiredError)):
            use()
    assert "POST" not in stage.world.requests()
