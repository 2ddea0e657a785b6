"""Trust archives: written where the server is, read where it is not, with the same answers."""

from __future__ import annotations

import errno
import json
import os
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy.client.api import Client
from notarypy.client.migrate.resigning import origin
from notarypy.client.verdicts import ReleasedImage
from notarypy.devserver import sample
from notarypy.devserver.stores import StoredFile
from notarypy.devserver.tampering import BLOB
from notarypy.errors import (
    AlreadyExistsError,
    ExpiredError,
    FirstUseError,
    NotarypyError,
    NothingThereError,
    OutOfScopeError,
    RepositoryMissingError,
    RollbackError,
    RootNotPinnedError,
    StorageError,
    TagUnsignedError,
    UsageError,
)
from notarypy.images.layout import Descriptor
from notarypy.images.manifests import DOCKER_MANIFEST, OCI_MANIFEST
from notarypy.limits import Limits
from notarypy.remote.http.messages import Response
from notarypy.storage.images.locations import open_source, source
from notarypy.tuf import roles
from notarypy.tuf.keys import PublicKey
from support import layouts
from support.author import GUN, NOW, Author
from support.people import REGISTRY_PATH, SERVER, Person, World, manifest, owned
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.verdicts import FirstRoot

REF = f"{GUN}:1"
OFFLINE: dict[str, Any] = {"offline": True, "server": "https://nobody.invalid"}


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


@pytest.fixture
def tar(stage: Stage, tmp_path: Path) -> Path:
    """Return an archive of the stage's repository."""
    return exported(stage, tmp_path / "trust.tar")


def exported(stage: Stage, path: Path, *, person: str = "exporter") -> Path:
    stage.world.person(person).client().archives.export([GUN], path)
    return path


def away(by: World | Person, *, archive: Path | None = None, **flags: object) -> Client:
    """Return the client of somebody on another machine, who can ask nobody."""
    options: dict[str, Any] = {**OFFLINE, "first_use": False, **flags}
    if archive is not None:
        options["archive"] = archive
    return (by if isinstance(by, Person) else by.person("away")).client(**options)


def pin_of(stage: Stage) -> str:
    return stage.author.root.roles[roles.ROOT].keyids[0]


def expire(stage: Stage, role: str, when: datetime = NOW) -> None:
    """Let a role's file end, and serve it."""
    stage.author.targets[role] = replace(stage.author.targets[role], expires=when)
    stage.publish(role)


def names(path: Path) -> list[str]:
    with tarfile.open(path) as opened:
        return opened.getnames()


def files(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as opened:
        found = {member.name: opened.extractfile(member) for member in opened}
        return {name: stream.read() for name, stream in found.items() if stream}


# -- what is written


def test_an_archive_has_the_very_bytes_under_the_names_of_a_server(stage: Stage, tar: Path) -> None:
    served, found = stage.served(), files(tar)
    folder = f"notary/v2/{GUN}/_trust/tuf/"
    inside = {name.removeprefix(folder): data for name, data in found.items() if name.startswith(folder)}
    hashed = {f"{role}.{layouts.digest(data)[7:]}.json": data for role, data in served.items()}
    hashed.pop(next(name for name in hashed if name.startswith("timestamp.")))
    plain = {
        "root.json": served["root"],
        "timestamp.json": served["timestamp"],
        "1.root.json": served["root"],
    }
    assert inside == {**hashed, **plain}
    listed = json.loads(found["notary/index.json"])
    assert [each["repository"] for each in listed["repositories"]] == [GUN]
    assert listed["exported"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_same_makes_the_same(stage: Stage, tar: Path, tmp_path: Path) -> None:
    again = exported(stage, tmp_path / "again.tar", person="somebody else")
    assert again.read_bytes() == tar.read_bytes()


def test_nothing_is_replaced_and_nobody_is_asked_then(stage: Stage, tar: Path) -> None:
    before = tar.read_bytes()
    stage.world.requests()
    with pytest.raises(AlreadyExistsError):
        exported(stage, tar)
    assert stage.world.requests() == []
    assert tar.read_bytes() == before


def test_what_fails_is_raised_and_nothing_is_written(stage: Stage, tmp_path: Path) -> None:
    client = stage.reader.client()
    with pytest.raises(RepositoryMissingError):
        client.archives.export([GUN, f"{GUN}/other"], tmp_path / "out.tar")
    assert not [*tmp_path.glob("*out.tar*"), *tmp_path.glob("*.tmp")]


def test_what_fails_is_left_out_for_who_is_given_it(stage: Stage, tmp_path: Path) -> None:
    failures: list[tuple[str, NotarypyError]] = []
    client = stage.reader.client()
    done = client.archives.export(
        [f"{GUN}/other", GUN], tmp_path / "out.tar", failed=lambda *each: failures.append(each)
    )
    assert [each.repository for each in done.repositories] == [GUN]
    assert [(ref, type(error)) for ref, error in failures] == [(f"{GUN}/other", RepositoryMissingError)]
    assert [*client.archives.open(tmp_path / "out.tar").repositories] == [GUN]


def test_an_archive_of_nothing_is_not_made(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(NothingThereError):
        stage.reader.client().archives.export(
            [f"{GUN}/other"], tmp_path / "out.tar", failed=lambda _, __: None
        )
    assert not [*tmp_path.glob("*out.tar*")]


def test_servers_have_to_be_asked(stage: Stage, tar: Path, tmp_path: Path) -> None:
    for client in (stage.reader.client(offline=True), stage.reader.client(archive=tar)):
        with pytest.raises(UsageError):
            client.archives.export([GUN], tmp_path / "out.tar")


def test_more_than_readers_take_is_not_written(stage: Stage, tmp_path: Path) -> None:
    client = stage.reader.client(limits=Limits(archive_entries=5))
    with pytest.raises(UsageError, match="too much for one archive"):
        client.archives.export([GUN], tmp_path / "out.tar")
    assert not [*tmp_path.glob("*out.tar*")]


def test_readers_take_as_many_entries_as_are_counted(stage: Stage, tmp_path: Path) -> None:
    for most in range(1, 60):
        limits, path = Limits(archive_entries=most), tmp_path / f"{most}.tar"
        try:
            stage.reader.client(limits=limits).archives.export([GUN], path)
        except UsageError:
            continue
        stage.reader.client(limits=limits).archives.open(path)
        break
    else:
        pytest.fail("no limit was enough")


# -- the same answers, without a server


def test_it_is_read_without_a_server_and_nothing_is_stored(stage: Stage, tar: Path) -> None:
    online = stage.reader.client().verify(REF, registry=False)
    stage.world.requests()
    somebody = stage.world.person("away")
    found = away(stage.world, archive=tar).verify(REF, root=pin_of(stage))
    assert (found.digest, found.role, found.signers) == (online.digest, online.role, online.signers)
    assert found.evidence is not None
    assert online.evidence is not None
    assert (found.evidence.server, online.evidence.exported) == (online.evidence.server, None)
    assert found.evidence.exported == NOW.replace(microsecond=0)
    assert stage.world.requests() == []
    assert not somebody.trust_dir.exists()


def test_it_is_imported_and_then_verified_offline(stage: Stage, tar: Path) -> None:
    online = stage.reader.client().inspect(GUN)
    client = away(stage.world)
    done = client.archives.import_repository(tar, GUN, root=pin_of(stage))
    assert (done.repository, done.changed) == (GUN, True)
    assert client.verify(REF).digest == stage.reader.client().verify(REF, registry=False).digest
    offline = client.inspect(GUN)
    assert (offline.tags, offline.roles) == (online.tags, online.roles)
    served = stage.served()
    assert stage.world.person("away").cache() == served
    assert client.archives.import_repository(tar, GUN).changed is False


def test_what_is_in_it_is_known_to_who_reads_it(stage: Stage, tar: Path) -> None:
    assert away(stage.world, archive=tar).repositories() == [GUN]
    assert away(stage.world).repositories() == []
    found = away(stage.world, archive=tar, first_use=True).status(GUN)
    assert (found.server, [each.role for each in found.roles][:4]) == (str(tar), list(roles.BASE_ROLES))


def test_what_is_not_signed_is_not_signed(stage: Stage, tar: Path) -> None:
    with pytest.raises(TagUnsignedError):
        away(stage.world, archive=tar, first_use=True).verify(f"{GUN}:2")


def test_a_repository_that_is_not_in_it_is_missing_and_no_alarm(stage: Stage, tar: Path) -> None:
    stage.know()
    for text in (f"{GUN}/other", "alpine"):
        with pytest.raises(RepositoryMissingError, match="is not in"):
            stage.reader.client(archive=tar, offline=True).verify(f"{text}:1")


def test_a_delegation_that_is_not_to_be_trusted_stays_so(stage: Stage, tmp_path: Path) -> None:
    expire(stage, JEFF)
    online = stage.reader.client().inspect(GUN)
    assert any(role.problem for role in online.roles)
    offline = away(stage.world, archive=exported(stage, tmp_path / "t.tar"), first_use=True).inspect(GUN)
    assert (offline.tags, offline.signers, offline.roles) == (online.tags, online.signers, online.roles)


def test_earlier_roots_are_there_for_who_pins_or_knows_one(stage: Stage, tmp_path: Path) -> None:
    first = pin_of(stage)
    stage.know()
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    tar = exported(stage, tmp_path / "t.tar")
    assert {f"notary/v2/{GUN}/_trust/tuf/{number}.root.json" for number in (1, 2, 3)} < set(names(tar))
    assert away(stage.world, archive=tar).verify(REF, root=first).tag == "1"
    client = stage.reader.client(**OFFLINE)
    client.archives.import_repository(tar, GUN)
    assert client.refresh(GUN).root.version == 3


def test_roots_that_lead_nowhere_are_left_out(stage: Stage, tmp_path: Path) -> None:
    stage.rotate_root("second")
    stage.publish()
    stranger = Author(GUN, NOW)
    stranger.assign(roles.ROOT, [stranger.root_key("stranger")])
    answer = Response(200, {}, stranger.file(roles.ROOT))
    stage.world.attacker.answer(answer, path=r".*/1\.root\.json")
    found = names(exported(stage, tmp_path / "t.tar"))
    assert f"notary/v2/{GUN}/_trust/tuf/2.root.json" in found
    assert f"notary/v2/{GUN}/_trust/tuf/1.root.json" not in found


# -- pins, policy, first use


def test_nothing_is_taken_unseen(stage: Stage, tar: Path) -> None:
    with pytest.raises(FirstUseError) as caught:
        away(stage.world, archive=tar).verify(REF)
    assert caught.value.exit_code == 11
    with pytest.raises(FirstUseError):
        away(stage.world).archives.import_repository(tar, GUN)
    assert stage.world.person("away").cache() == {}


def test_what_is_taken_unseen_is_said_as_it_is(stage: Stage, tar: Path) -> None:
    somebody = stage.world.person("away")
    away(somebody, archive=tar, first_use=True).verify(REF)
    assert any("its root was taken unseen" in warning for warning in somebody.warnings)
    somebody.warnings.clear()
    away(somebody, first_use=True).archives.import_repository(tar, GUN)
    assert any("its root is trusted from now on" in warning for warning in somebody.warnings)


def test_pins_count(stage: Stage, tar: Path) -> None:
    for call in (
        lambda: away(stage.world, archive=tar).verify(REF, root="0" * 64),
        lambda: away(stage.world).archives.import_repository(tar, GUN, root="0" * 64),
        lambda: stage.world.person("away").client(pins=("0" * 64,), archive=tar).verify(REF),
    ):
        with pytest.raises(RootNotPinnedError):
            call()
    assert stage.world.person("away").cache() == {}


def test_the_trust_policy_counts(stage: Stage, tar: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."{GUN}"]\nroots.ids = ["{pin_of(stage)}"]\nsigners.all = ["nobody"]\n')
    with pytest.raises(NotarypyError) as caught:
        away(stage.world, archive=tar, policy=policy).verify(REF)
    assert caught.value.exit_code == 10
    policy.write_text('[scope."elsewhere.example.com"]\nmode = "skip"\n')
    with pytest.raises(OutOfScopeError):
        away(stage.world, archive=tar, policy=policy).verify(REF)
    policy.write_text(f'[scope."{GUN}"]\nroots.ids = ["{"0" * 64}"]\n')
    with pytest.raises(RootNotPinnedError):
        away(stage.world, policy=policy).archives.import_repository(tar, GUN)


def test_what_a_policy_requires_of_cosign_alone_leaves_the_known_root(stage: Stage, tmp_path: Path) -> None:
    key = tmp_path / "release.pub"
    key.write_bytes(PublicKey.from_key(ec.generate_private_key(ec.SECP256R1())).to_pem())
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."{GUN}"]\nrequire = ["cosign"]\ncosign.all = ["release.pub"]\n')
    somebody = stage.world.person("exporter")
    with pytest.raises(FirstUseError):
        somebody.client(policy=str(policy), first_use=False).archives.export([GUN], tmp_path / "no.tar")
    somebody.client().verify(REF)
    done = somebody.client(policy=str(policy)).archives.export([GUN], tmp_path / "trust.tar")
    assert [one.repository for one in done.repositories] == [GUN]


def test_a_mirror_is_verified_by_the_name_that_was_signed(stage: Stage, tar: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."air.gap/app"]\nsigned_as = "{GUN}"\nroots.ids = ["{pin_of(stage)}"]\n')
    found = away(stage.world, archive=tar, policy=policy).verify("air.gap/app:1")
    assert (found.repository, found.signed_as) == ("air.gap/app", GUN)


# -- how old it is


def test_it_says_how_old_it_is(stage: Stage, tar: Path) -> None:
    stage.world.clock.advance(timedelta(days=3))
    somebody = stage.world.person("away")
    away(somebody, archive=tar, first_use=True).verify(REF)
    (said,) = [each for each in somebody.warnings if "as of" in each]
    assert "3 days ago" in said
    assert f"{stage.author.expiry(roles.TIMESTAMP):%Y-%m-%d}" in said


def test_what_was_imported_is_as_old_as_nobody_can_tell(stage: Stage, tar: Path) -> None:
    stage.world.clock.advance(timedelta(days=2))
    somebody = stage.world.person("away")
    away(somebody, first_use=True).archives.import_repository(tar, GUN)
    away(somebody).archives.import_repository(tar, GUN)
    away(somebody).verify(REF)
    *imported, offline = (said for said in somebody.warnings if "the trust data of" in said)
    assert ["2 days ago, as the archive says" in said for said in imported] == [True, True]
    assert "is of unknown age" in offline
    somebody.client().refresh(GUN)
    somebody.warnings.clear()
    away(somebody).verify(REF)
    assert "is of unknown age" not in somebody.warnings[0]


def test_what_the_server_said_later_is_not_forgotten(stage: Stage, tar: Path) -> None:
    stage.world.clock.advance(timedelta(days=2))
    stage.know()
    stage.world.clock.advance(timedelta(days=1))
    stage.reader.client().archives.import_repository(tar, GUN)
    stage.reader.warnings.clear()
    stage.reader.client(offline=True).verify(REF)
    assert any("1 day ago" in each for each in stage.reader.warnings)


def test_it_ends_when_its_timestamp_ends(stage: Stage, tar: Path) -> None:
    known = away(stage.world, first_use=True)
    known.archives.import_repository(tar, GUN)
    before = stage.world.person("away").cache()
    stage.world.clock.now = stage.author.expiry(roles.TIMESTAMP)
    for call in (
        lambda: away(stage.world, archive=tar).verify(REF),
        lambda: away(stage.world).verify(REF),
        lambda: away(stage.world).archives.import_repository(tar, GUN),
        lambda: away(stage.world.person("new"), archive=tar, first_use=True).verify(REF),
    ):
        with pytest.raises(ExpiredError) as caught:
            call()
        assert caught.value.exit_code == 5
    assert stage.world.person("away").cache() == before


def test_a_clock_that_is_behind_extends_nothing(stage: Stage, tmp_path: Path) -> None:
    expire(stage, JEFF, NOW + timedelta(days=1))
    stage.world.clock.advance(timedelta(days=2))
    tar = exported(stage, tmp_path / "t.tar")
    stage.world.clock.advance(timedelta(days=-2))
    somebody = stage.world.person("away")
    found = away(somebody, archive=tar, first_use=True).inspect(GUN)
    assert [role.role for role in found.roles if role.problem] == [JEFF]
    assert any("this machine's clock says is still to come" in each for each in somebody.warnings)


def test_a_clock_that_is_behind_asks_nobody_twice(stage: Stage, tar: Path) -> None:
    stage.world.clock.advance(timedelta(hours=-1))
    asked: list[FirstRoot] = []

    def confirm(root: FirstRoot) -> bool:
        asked.append(root)
        return True

    settings = away(stage.world).settings
    client = Client(settings, confirm_root=confirm, transport=stage.world.fake, clock=stage.world.clock)
    client.archives.import_repository(tar, GUN)
    assert [root.lasting for root in asked] == [True]


def test_a_clock_that_is_behind_has_to_fit_too(stage: Stage, tar: Path) -> None:
    stage.world.clock.advance(timedelta(days=-40))  # before the root's certificate
    with pytest.raises(ExpiredError) as caught:
        away(stage.world, archive=tar, first_use=True).verify(REF)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "set-clock"
    with pytest.raises(ExpiredError):
        away(stage.world, first_use=True).archives.import_repository(tar, GUN)
    assert stage.world.person("away").cache() == {}


def test_a_day_after_docker_hub_s_end(world: World, tmp_path: Path) -> None:
    gun, tar = "docker.io/team/app", tmp_path / "t.tar"
    world.clock.now = datetime(2026, 12, 7, tzinfo=UTC)
    author = Author(gun, world.clock.now)
    author.add("1", manifest("1"))
    world.fake.notary.renews = False
    for role, data in author.repository().items():
        world.fake.notary.store.replace(gun, role, StoredFile(1, data))
    world.person("exporter").client().archives.export([gun], tar)
    world.clock.advance(timedelta(days=2))
    world.requests()
    somebody = world.person("away")
    found = away(somebody, archive=tar, first_use=True, server=None).verify("team/app:1")
    assert (found.repository, found.digest) == (gun, layouts.digest(manifest("1")))
    assert not [said for said in somebody.warnings if "notary.docker.io" in said]
    assert world.requests() == []


def test_how_far_it_is_is_reported(stage: Stage, tmp_path: Path) -> None:
    heard: list[object] = []

    class Heard:
        def begin(self, what: str, total: int) -> None:
            heard.append((what, total))

        def moved(self, count: int) -> None:
            heard.append(count)

        def end(self) -> None:
            heard.append("end")

    client = stage.reader.client()
    client.archives.export(
        [GUN, f"{GUN}/other"], tmp_path / "t.tar", failed=lambda _, __: None, steps=Heard()
    )
    assert heard == [("reading repositories", 2), 1, 1, "end"]


# -- older and newer archives


def test_an_older_archive_takes_nothing_back(stage: Stage, tar: Path, tmp_path: Path) -> None:
    stage.publish(JEFF)
    newer = exported(stage, tmp_path / "newer.tar")
    client = away(stage.world, first_use=True)
    client.archives.import_repository(newer, GUN)
    before = stage.world.person("away").cache()
    with pytest.raises(RollbackError) as caught:
        away(stage.world).archives.import_repository(tar, GUN)
    assert any("trust.tar was exported" in why for why in caught.value.why)
    with pytest.raises(RollbackError):
        away(stage.world, archive=tar).verify(REF)
    assert stage.world.person("away").cache() == before


def test_a_newer_archive_is_taken(stage: Stage, tar: Path, tmp_path: Path) -> None:
    client = away(stage.world, first_use=True)
    client.archives.import_repository(tar, GUN)
    stage.publish(JEFF)
    done = away(stage.world).archives.import_repository(exported(stage, tmp_path / "newer.tar"), GUN)
    assert done.changed
    assert stage.world.person("away").cache() == stage.served()


def test_what_cannot_be_stored_is_an_error(stage: Stage, tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("notarypy.storage.trustdir.RepositoryCache.store", full)
    with pytest.raises(StorageError, match="was not stored"):
        away(stage.world, first_use=True).archives.import_repository(tar, GUN)


def test_nothing_can_be_published_to_an_archive(stage: Stage, tar: Path) -> None:
    client = stage.world.person("owner").client(archive=tar)
    for call in (lambda: client.init(GUN), lambda: client.revoke([REF]), lambda: client.renew(GUN)):
        with pytest.raises(UsageError, match="nothing can be published"):
            call()


def test_nobody_renews_an_archive(stage: Stage, tar: Path) -> None:
    client = away(stage.world, archive=tar, first_use=True)
    assert {one.role for one in client.status(GUN, within=timedelta(days=30)).due} == {"timestamp"}
    assert client.status(GUN, within=timedelta(days=3)).due == ()


def test_a_name_that_is_no_image_s_is_imported_literally(world: World, tmp_path: Path) -> None:
    owner = world.person("owner")
    owner.client(gun=True).init("coll")
    owner.client(gun=True).archives.export(["coll"], tmp_path / "t.tar")
    with pytest.raises(UsageError):
        away(world, first_use=True).archives.import_repository(tmp_path / "t.tar", "coll")
    done = world.person("away").client(gun=True).archives.import_repository(tmp_path / "t.tar", "coll")
    assert done.repository == "coll"


# -- an archive that cannot be written


def test_a_full_disk_in_the_middle_leaves_no_archive(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[str] = []
    add = tarfile.TarFile.addfile

    def full_once(self: tarfile.TarFile, member: tarfile.TarInfo, content: Any = None) -> None:  # noqa: ANN401 - as there
        added.append(member.name)
        if len(added) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(self, member, content)

    monkeypatch.setattr("tarfile.TarFile.addfile", full_once)
    failures: list[str] = []
    with pytest.raises(StorageError) as caught:
        stage.reader.client().archives.export(
            [GUN], tmp_path / "t.tar", failed=lambda ref, _: failures.append(ref)
        )
    assert "No space left on device" in caught.value.why
    assert not failures
    assert not [*tmp_path.glob("*.tar"), *tmp_path.glob(".notarypy*")]


def test_names_and_places_where_no_file_can_be(stage: Stage, tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 255), tmp_path / ("x" * 256), tmp_path / "none" / "t.tar"):
        try:
            stage.reader.client().archives.export([GUN], path)
        except StorageError:
            assert len(path.name) != 255
    assert not [*tmp_path.glob(".notarypy*")]


def test_what_a_killed_run_left_is_gone_after_the_next(stage: Stage, tmp_path: Path) -> None:
    left = tmp_path / ".notarypy-export"
    left.mkdir(mode=0o700)
    (left / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (left / ".archive.tmp").write_bytes(b"half of one" * 10_000)
    exported(stage, tmp_path / "t.tar")
    assert away(stage.world, archive=tmp_path / "t.tar", first_use=True).verify(REF).tag == "1"
    assert not left.exists()


def test_every_export_has_files_of_its_moment_and_what_names_others_last(tar: Path) -> None:
    with tarfile.open(tar) as opened:
        assert {member.mtime for member in opened} == {int(NOW.timestamp())}
    assert [name.rpartition("/")[2] for name in names(tar)][-3:-1] == ["root.json", "timestamp.json"]


# -- images


@pytest.fixture
def owner(world: World) -> Person:
    """Return somebody who has signed an image, and an index."""
    somebody = owned(world, "alice")
    for tag, made in (("1", sample.make("one", ["amd64"])), ("2", sample.make("an index"))):
        put(world, made, tag)
    somebody.client().sign([f"{GUN}:1", f"{GUN}:2"])
    return somebody


def put(world: World, made: sample.Sample, tag: str) -> None:
    for blob in made.blobs:
        world.fake.registry.put_blob(REGISTRY_PATH, blob)
    for data in made.manifests:
        world.fake.registry.push(REGISTRY_PATH, "", data, sample.MANIFEST)
    world.fake.registry.push(REGISTRY_PATH, tag, made.top, made.media_type)


def holds(path: Path, name: str, made: sample.Sample) -> bool:
    """Tell whether an archive has an image, all of it and right."""
    found = open_source(source(f"oci-archive:{path}:{name}"))
    for blob in found.tree.blobs:
        blob.check(b"".join(found.content.chunks(blob, 0)))
    return found.tree.top.data == made.top


def test_images_are_in_a_layout_by_their_names(owner: Person, tmp_path: Path) -> None:
    tar = tmp_path / "t.tar"
    done = owner.client().archives.export([GUN], tar, images=True)
    made = {"1": sample.make("one", ["amd64"]), "2": sample.make("an index")}
    assert done.repositories[0].images == tuple(f"{GUN}:{tag}@{made[tag].digest}" for tag in made)
    assert all(holds(tar, f"{GUN}:{tag}", made[tag]) for tag in made)
    assert not [*tmp_path.glob(".t.tar*")]
    assert away(owner.world, archive=tar, first_use=True).verify(f"{GUN}:2").digest == made["2"].digest


def test_a_tag_narrows_the_images_and_not_the_trust_data(owner: Person, tmp_path: Path) -> None:
    done = owner.client().archives.export([f"{GUN}:1"], tmp_path / "t.tar", images=True)
    assert len(done.repositories[0].images) == 1
    assert away(owner.world, archive=tmp_path / "t.tar", first_use=True).verify(f"{GUN}:2").tag == "2"


def test_the_signed_digest_counts_and_not_the_tag(owner: Person, tmp_path: Path) -> None:
    owner.world.push("1", "another one")
    owner.client().archives.export([f"{GUN}:1"], tmp_path / "t.tar", images=True)
    assert holds(tmp_path / "t.tar", f"{GUN}:1", sample.make("one", ["amd64"]))


def test_tags_are_signed_anew_by_what_an_archive_says(owner: Person, tmp_path: Path) -> None:
    owner.client().archives.export([GUN], tmp_path / "t.tar")
    owner.key("release")
    owner.world.attacker.refuse_connections(path=r".*/_trust/.*")
    client = owner.client(archive=tmp_path / "t.tar")
    done = [outcome.get() for _, outcome in client.migration.cosign([GUN], key="release")]
    assert [(one.tag, *one.states) for one in done] == [("1", "written"), ("2", "written")]
    image = client.verify(f"{GUN}:1")
    assert isinstance(image, ReleasedImage)
    said = origin(image, Descriptor(OCI_MANIFEST, image.digest, image.size))
    assert said["io.notarypy.server"] == SERVER
    assert said["io.notarypy.exported"] == f"{owner.world.clock():%Y-%m-%dT%H:%M:%SZ}"
    owner.world.clock.advance(timedelta(days=20))
    for _, outcome in client.migration.cosign([GUN], key="release"):
        with pytest.raises(ExpiredError):
            outcome.get()


def test_images_of_docker_s_type_are_found_by_us_alone_which_is_said(owner: Person, tmp_path: Path) -> None:
    made = sample.make("one", ["amd64"])
    docker = made.top.replace(OCI_MANIFEST.encode(), DOCKER_MANIFEST.encode())
    owner.world.fake.registry.push(REGISTRY_PATH, "3", docker, DOCKER_MANIFEST)
    owner.world.fake.registry.push(REGISTRY_PATH, "4", docker, DOCKER_MANIFEST)
    owner.client().sign([f"{GUN}:3", f"{GUN}:4"])
    owner.warnings.clear()
    owner.client().archives.export([GUN], tmp_path / "t.tar", images=True)
    assert ["docker's type" in said for said in owner.warnings] == [True]
    assert open_source(source(f"oci-archive:{tmp_path / 't.tar'}:{GUN}:4")).tree.top.data == docker


def test_an_image_that_is_gone_or_wrong_is_left_out(owner: Person, tmp_path: Path) -> None:
    owner.world.push("3")
    owner.client().sign([f"{GUN}:3"])  # its blobs are not there
    failures: list[str] = []
    done = owner.client().archives.export(
        [GUN], tmp_path / "t.tar", images=True, failed=lambda ref, _: failures.append(ref)
    )
    assert failures == [f"{GUN}:3"]
    assert [image.partition("@")[0] for image in done.repositories[0].images] == [f"{GUN}:1", f"{GUN}:2"]
    with pytest.raises(UsageError):
        open_source(source(f"oci-archive:{tmp_path / 't.tar'}:{GUN}:3"))


def test_a_registry_that_lies_about_a_blob(owner: Person, tmp_path: Path) -> None:
    owner.world.attacker.change_answers(lambda answer: replace(answer, body=b"!"), path=BLOB)
    with pytest.raises(NotarypyError) as caught:
        owner.client().archives.export([f"{GUN}:1"], tmp_path / "t.tar", images=True)
    assert caught.value.exit_code in {4, 8}
    assert not (tmp_path / "t.tar").exists()


def test_a_registry_that_fails_for_a_moment_costs_nothing_that_was_fetched(
    owner: Person, tmp_path: Path
) -> None:
    failures: list[str] = []
    lost = sample.make("an index").top
    owner.world.attacker.refuse_connections(path=rf".*/manifests/{layouts.digest(lost)}")
    client = owner.client()
    client.archives.export([GUN], tmp_path / "a.tar", images=True, failed=lambda ref, _: failures.append(ref))
    assert failures == [f"{GUN}:2"]
    assert any(".notarypy-export" in said for said in owner.warnings)
    owner.world.attacker.undo_hooks()
    owner.world.fake.requests.clear()
    owner.client().archives.export([GUN, f"{GUN}:1", f"{GUN}:1"], tmp_path / "b.tar", images=True)
    first = {layouts.digest(blob) for blob in sample.make("one", ["amd64"]).blobs}
    assert not [line for line in owner.world.fake.lines() for blob in first if f"/blobs/{blob}" in line]
    assert not (tmp_path / ".notarypy-export").exists()


def test_an_image_that_is_named_twice_is_there_once(owner: Person, tmp_path: Path) -> None:
    done = owner.client().archives.export([f"{GUN}:1", f"{GUN}:1"], tmp_path / "t.tar", images=True)
    assert len(done.repositories[0].images) == 1


def test_what_was_fetched_is_not_fetched_again(owner: Person, tmp_path: Path) -> None:
    with pytest.raises(RepositoryMissingError):
        owner.client().archives.export([GUN, f"{GUN}/other"], tmp_path / "t.tar", images=True)
    staging = layouts.layout(tmp_path / ".notarypy-export", sample.make("one", ["amd64"]))
    staging.chmod(0o700)
    owner.world.fake.requests.clear()
    owner.client().archives.export([f"{GUN}:1"], tmp_path / "t.tar", images=True)
    assert not [line for line in owner.world.fake.lines() if "/blobs/" in line]
    assert holds(tmp_path / "t.tar", f"{GUN}:1", sample.make("one", ["amd64"]))
    assert "blobs" in {name.partition("/")[0] for name in names(tmp_path / "t.tar")}
    assert not staging.exists()
