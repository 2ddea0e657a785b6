"""A repository that begins in the trust directory, and is published later or by somebody else's program."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from notarypy import StagedContent, files, system
from notarypy.client.publish import initialise, rotating, stagedinit
from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    AuthenticationError,
    KeyAccessError,
    KeyNotAuthorisedError,
    NotarypyError,
    RepositoryUnpublishedError,
    RepositoryVanishedError,
    RootChangedError,
    RootNotPinnedError,
    SignatureError,
    StorageError,
    UnreachableError,
    UsageError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.storage.trustdir import RepositoryCache
from notarypy.tuf import roles
from support.author import GUN
from support.people import SERVER, copy_of, root_pem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.results import RotatedKey
    from notarypy.client.session import Session
    from notarypy.client.stagingapi import Staging
    from support.people import Person, World

CONTENT = StagedContent(1, hashlib.sha256(b"x").digest())


@pytest.fixture
def owner(world: World) -> Person:
    return world.person("owner")


def staging(person: Person, *, offline: bool = False) -> Staging:
    return person.client(gun=True, offline=offline).staging


def versions(person: Person) -> dict[str, int]:
    return {role: json.loads(data)["signed"]["version"] for role, data in person.cache().items()}


def served(world: World) -> dict[str, int]:
    """Return the versions that somebody reads who has no key."""
    reader = world.person("reader")
    reader.client().refresh(GUN)
    return versions(reader)


def test_keys_and_first_files_are_here_and_nothing_is_published(world: World, owner: Person) -> None:
    made = staging(owner).init(GUN)
    assert made.repository == GUN
    assert made.made == ("root", "targets", "snapshot")
    assert versions(owner) == {"root": 1, "targets": 1, "snapshot": 1}
    assert len(owner.key_files()) == 3
    assert made.root_keys[0] + ".key" in owner.key_files()
    assert [line for line in world.requests() if line != "GET root.json"] == ["GET timestamp.key"]


def test_the_first_publish_sends_the_root_as_it_is_and_the_rest_in_the_next_version(
    world: World, owner: Person
) -> None:
    staging(owner).init(GUN)
    root = owner.cache()["root"]
    staging(owner).add_target(GUN, "1", CONTENT)
    done = staging(owner).publish(GUN)
    assert (done.created, done.begun, done.uploaded) == (True, None, ("root", "targets"))
    assert served(world) == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 1}
    assert world.person("reader").cache()["root"] == root
    assert staging(owner).list(GUN) == []


def test_the_first_publish_may_have_nothing_staged(world: World, owner: Person) -> None:
    staging(owner).init(GUN)
    assert staging(owner).publish(GUN).created
    assert served(world)["targets"] == 2


def test_the_first_publish_names_the_server_where_it_was_begun_some_other_time(
    owner: Person,
) -> None:
    at_once = staging(owner)
    at_once.init(GUN)
    owner.warnings.clear()
    at_once.publish(GUN)
    assert owner.warnings == []
    staging(owner).add_target(f"{GUN}-1", "1", CONTENT)
    owner.warnings.clear()
    assert staging(owner).publish(f"{GUN}-1").begun is not None
    assert owner.warnings == []
    other = f"{GUN}-2"
    staging(owner).init(other)
    owner.warnings.clear()
    staging(owner).publish(other)
    staging(owner).publish(other)
    known = "for the first time, as far as is known here"
    assert owner.warnings == [f"{other} is published {known}, to {SERVER}, which has nothing of it"]


@pytest.mark.parametrize("lost", [("timestamp",), ("timestamp", "targets"), ("timestamp", "snapshot")])
def test_what_was_published_and_is_gone_from_the_server_is_not_published_anew(
    world: World, owner: Person, lost: tuple[str, ...]
) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", CONTENT)
    calls.publish(GUN)
    for role in lost:
        owner.cached(role).unlink()
    world.attacker.delete(GUN)
    calls.add_target(GUN, "2", CONTENT)
    world.requests()
    with pytest.raises(RepositoryVanishedError):
        calls.publish(GUN)
    with pytest.raises(RepositoryVanishedError):
        owner.client(gun=True).keys.rotate(GUN, "targets", begun=True)
    assert "POST" not in world.requests()
    assert len(calls.list(GUN)) == 1


def test_the_root_key_need_not_be_here_to_publish(world: World, owner: Person) -> None:
    made = staging(owner).init(GUN)
    (owner.trust_dir / "private" / f"{made.root_keys[0]}.key").unlink()
    staging(owner).publish(GUN)
    assert served(world)["root"] == 1


def test_the_server_may_keep_the_snapshot_key(world: World, owner: Person) -> None:
    made = owner.client(gun=True).staging.init(GUN, snapshot="server")
    assert made.made == ("root", "targets")
    assert set(owner.cache()) == {"root", "targets"}
    staging(owner).publish(GUN)
    assert served(world) == {"root": 1, "targets": 2, "snapshot": 1, "timestamp": 1}


def test_what_nobody_knows_is_begun_by_publishing(world: World, owner: Person) -> None:
    staging(owner).add_target(GUN, "1", CONTENT)
    done = staging(owner).publish(GUN)
    assert done.begun is not None
    assert done.begun.made == ("root", "targets", "snapshot")
    assert served(world) == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 1}


def test_the_root_key_that_is_here_is_taken(owner: Person) -> None:
    first = staging(owner).init(GUN)
    second = staging(owner).init(f"{GUN}/other")
    assert second.root_keys == first.root_keys
    assert second.made == ("targets", "snapshot")


def test_a_root_key_may_be_named(owner: Person) -> None:
    path = owner.trust_dir / "root.pem"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(root_pem())
    made = owner.client(gun=True).staging.init(GUN, root_key=str(path))
    assert made.made == ("root", "targets", "snapshot")
    again = owner.client(gun=True).staging.init(f"{GUN}/b", root_key=made.root_keys[0])
    assert again.made == ("targets", "snapshot")


def test_a_second_one_changes_nothing(world: World, owner: Person) -> None:
    staging(owner).init(GUN)
    cache, keys = owner.cache(), owner.key_files()
    with pytest.raises(AlreadyExistsError, match="has trust data already") as caught:
        staging(owner).init(GUN)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "publish-begun"
    staging(owner).publish(GUN)
    with pytest.raises(AlreadyExistsError) as caught:
        staging(owner).init(GUN)
    assert caught.value.advice == Advice("use-published", gun=GUN)  # to begin anew would throw away the root
    other = world.person("other")
    with pytest.raises(AlreadyExistsError):
        staging(other).init(GUN)
    assert other.key_files() == set()
    assert owner.key_files() == keys
    assert owner.cache()["root"] == cache["root"]


def test_without_a_server_nothing_is_made(world: World, owner: Person) -> None:
    world.attacker.refuse_connections()
    for call in (staging(owner).init, staging(owner).publish):
        with pytest.raises(UnreachableError):
            call(GUN)
    with pytest.raises(NotarypyError):
        staging(owner, offline=True).init(GUN)
    assert (owner.key_files(), owner.cache()) == (set(), {})


def test_a_pin_that_the_root_would_not_meet_makes_nothing(owner: Person) -> None:
    with pytest.raises(RootNotPinnedError):
        owner.client(gun=True, pins=("a" * 64,)).staging.init(GUN)
    assert (owner.key_files(), owner.cache()) == (set(), {})


def test_in_a_part_nothing_is_begun_and_staged_changes_stay(world: World, owner: Person) -> None:
    client = owner.client(gun=True)
    with pytest.raises(UsageError):
        client.parts.make(lambda: client.staging.init(GUN))
    client.staging.publish(GUN)
    client.staging.add_target(GUN, "1", CONTENT)
    part = client.parts.make(lambda: client.staging.publish(GUN))
    assert "1" in [change.name for change in part.changes]
    assert len(client.staging.list(GUN)) == 1
    assert served(world)["targets"] == 2


# -- what goes wrong


def test_what_was_begun_stays_when_it_is_refused_and_is_published_by_the_next_try(
    world: World, owner: Person
) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", CONTENT)
    world.attacker.answer(Response(403, {}, b""), method="POST")
    with pytest.raises(AuthenticationError):
        calls.publish(GUN)
    keys, root = owner.key_files(), owner.cache()["root"]
    assert len(calls.list(GUN)) == 1
    world.attacker.undo_hooks()
    done = staging(owner).publish(GUN)
    assert (done.begun, done.created, owner.key_files()) == (None, True, keys)
    assert owner.cache()["root"] == root
    assert served(world)["targets"] == 2


def test_somebody_else_who_was_first_is_no_success(world: World, owner: Person) -> None:
    staging(owner).init(GUN)
    staging(owner).add_target(GUN, "1", CONTENT)
    staging(world.person("other")).publish(GUN)
    with pytest.raises(RootChangedError):
        staging(owner).publish(GUN)
    assert len(staging(owner).list(GUN)) == 1


def test_the_same_repository_published_from_another_machine_is_gone_on_with(
    world: World, owner: Person
) -> None:
    staging(owner).init(GUN)
    other = copy_of(world, owner)
    for role, data in owner.cache().items():
        other.cached(role).parent.mkdir(parents=True, exist_ok=True)
        other.cached(role).write_bytes(data)
    staging(other).publish(GUN)
    staging(owner).add_target(GUN, "1", CONTENT)
    done = staging(owner).publish(GUN)
    assert (done.created, done.uploaded) == (False, ("targets",))
    assert served(world)["targets"] == 3


@pytest.mark.parametrize("role", ["targets", "snapshot"])
def test_a_first_file_that_somebody_changed_is_not_built_on(world: World, owner: Person, role: str) -> None:
    staging(owner).init(GUN)
    path = owner.cached(role)
    text = json.loads(path.read_bytes())
    text["signed"]["expires"] = "2031-01-01T00:00:00Z"
    path.write_bytes(json.dumps(text).encode())
    world.requests()
    with pytest.raises(SignatureError):
        staging(owner).publish(GUN)
    assert "POST" not in world.requests()


def test_a_root_of_another_repository_is_not_published(world: World, owner: Person) -> None:
    staging(owner).init(f"{GUN}/b")
    for role, data in owner.cache(f"{GUN}/b").items():
        owner.cached(role).parent.mkdir(parents=True, exist_ok=True)
        owner.cached(role).write_bytes(data)
    with pytest.raises(VerificationError):
        staging(owner).publish(GUN)
    assert "POST" not in world.requests()


@pytest.mark.parametrize("lost", [("targets",), ("snapshot",), ("targets", "snapshot")])
def test_who_was_killed_before_all_files_were_there_can_publish(
    world: World, owner: Person, lost: tuple[str, ...]
) -> None:
    staging(owner).init(GUN)
    for role in lost:
        owner.cached(role).unlink()
    staging(owner).add_target(GUN, "1", CONTENT)
    staging(owner).publish(GUN)
    assert served(world)[roles.TARGETS] == 2


def test_who_was_killed_before_the_root_was_there_begins_with_the_same_keys(
    world: World, owner: Person
) -> None:
    staging(owner).init(GUN)
    keys = owner.key_files()
    owner.cached("root").unlink()
    assert staging(owner).publish(GUN).begun is not None
    assert owner.key_files() == keys
    assert served(world)["targets"] == 2


@pytest.mark.parametrize("error", [StorageError("the disk is gone"), KeyboardInterrupt()])
def test_where_it_goes_wrong_late_nothing_is_left(
    owner: Person, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def failing(folder: Path) -> None:
        if folder == owner.cached("root").parent and owner.cached("root").exists():
            raise error

    with monkeypatch.context() as patched:
        patched.setattr(files, "_sync_directory", failing)
        with pytest.raises(type(error)):
            staging(owner).init(GUN)
    assert (owner.cache(), owner.key_files()) == ({}, set())
    assert staging(owner).publish(GUN).begun is not None


def test_where_a_root_cannot_be_taken_back_its_keys_stay(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = RepositoryCache.store

    def interrupted(cache: RepositoryCache, metadata: Mapping[str, bytes]) -> None:
        stored(cache, metadata)
        if roles.ROOT in metadata:
            raise KeyboardInterrupt

    def fails(_: Path) -> None:
        raise OSError("not now")

    with monkeypatch.context() as patched:
        patched.setattr(RepositoryCache, "store", interrupted)
        patched.setattr(system, "remove", fails)
        with pytest.raises(KeyboardInterrupt):
            staging(owner).init(GUN)
    assert len(owner.key_files()) == 3
    staging(owner).publish(GUN)
    assert served(world)["root"] == 1


def test_files_of_somebody_else_are_not_taken_back(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was first keeps the root, and our keys, which nothing names, go."""
    other = owner.world.person("other")
    staging(other).init(GUN)
    checked = initialise.check_root

    def meanwhile(repository: Repository, data: bytes) -> None:
        checked(repository, data)
        for role, text in other.cache().items():
            owner.cached(role).parent.mkdir(parents=True, exist_ok=True)
            owner.cached(role).write_bytes(text)

    monkeypatch.setattr(stagedinit, "check_root", meanwhile)
    with pytest.raises(AlreadyExistsError):
        staging(owner).init(GUN)
    assert owner.cache() == other.cache()
    assert owner.key_files() == set()


def test_who_was_killed_after_the_upload_has_published_it(owner: Person) -> None:
    staging(owner).add_target(GUN, "1", CONTENT)
    [path] = (owner.trust_dir / "tuf" / GUN / "changelist").iterdir()
    text = path.read_bytes()
    staging(owner).publish(GUN)
    path.write_bytes(text)
    done = staging(owner).publish(GUN)
    assert (done.uploaded, len(done.published)) == ((), 1)
    assert staging(owner).list(GUN) == []


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
def test_what_was_begun_is_published_before_its_keys_rotate(world: World, owner: Person, role: str) -> None:
    staging(owner).init(GUN)
    staging(owner).add_target(GUN, "v1", CONTENT)
    with pytest.raises(RepositoryUnpublishedError):
        owner.client(gun=True).keys.rotate(GUN, role)
    assert owner.client(gun=True).keys.rotate(GUN, role, begun=True).published
    assert f"{GUN} had not been published, and has been now" in owner.warnings
    assert served(world)["root"] == 2
    assert [change.path for change in staging(owner).list(GUN)] == ["v1"]
    owner.client(gun=True).keys.rotate(GUN, role, begun=True)
    assert owner.warnings.count(f"{GUN} had not been published, and has been now") == 1


def test_what_cannot_rotate_is_not_published_either(world: World, owner: Person) -> None:
    made = staging(owner).init(GUN)
    before, away = owner.key_files(), owner.trust_dir / "private" / f"{made.root_keys[0]}.key"
    key = away.read_bytes()
    away.unlink()
    with pytest.raises(KeyNotAuthorisedError):
        owner.client(gun=True).keys.rotate(GUN, "targets", begun=True)
    files.write_atomic(away, key)
    with pytest.raises(KeyAccessError):
        owner.client(gun=True, passphrase="another one").keys.rotate(GUN, "targets", begun=True)
    with pytest.raises(UsageError):
        owner.client(gun=True).keys.rotate(GUN, "root", threshold=3, begun=True)
    assert owner.key_files() == before
    assert "POST" not in "".join(world.requests())


def test_in_a_part_nothing_that_was_begun_is_published(world: World, owner: Person) -> None:
    staging(owner).init(GUN)
    client = owner.client(gun=True)
    with pytest.raises(RepositoryUnpublishedError):
        client.parts.make(lambda: client.keys.rotate(GUN, "targets", begun=True))
    assert "POST" not in "".join(world.requests())


def test_nobody_publishes_what_is_staged_while_a_key_rotates(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lock from the first publish to the last: what is staged is not published in between."""
    staging(owner).init(GUN)
    staging(owner).add_target(GUN, "v1", CONTENT)
    tried: list[str] = []
    real = rotating._rotated  # noqa: SLF001 - between the two publishes

    def between(session: Session, repository: str, wanted: rotating.Rotation) -> RotatedKey:
        with pytest.raises(StorageError) as raised:
            staging_impatient.publish(GUN)
        tried.append(raised.value.message)
        return real(session, repository, wanted)

    staging_impatient = owner.client(gun=True, retry_for=0).staging
    monkeypatch.setattr(rotating, "_rotated", between)
    owner.client(gun=True).keys.rotate(GUN, "targets", begun=True)
    assert tried
    assert [change.path for change in staging(owner).list(GUN)] == ["v1"]
