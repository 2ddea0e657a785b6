"""Backups: what is in them, and what comes back, on an empty machine and beside what is there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from notarypy import files, system, testing
from notarypy.client.api import Client
from notarypy.client.backup import restoring
from notarypy.client.backup.contents import NOTE, LastBackup, read_note, write_note
from notarypy.errors import (
    AlreadyExistsError,
    BackupUnusableError,
    KeyAccessError,
    NotarypyError,
    NothingThereError,
    PassphraseWrongError,
    StorageError,
)
from notarypy.keys.formats import keyuri, pem
from notarypy.keys.signers import keyfile
from notarypy.storage.backupfile import BackupFile, new_backup
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf.keys import public_key_of
from support.author import GUN, NOW
from support.people import PASSPHRASE, SERVER, World, owned, pem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.testing import FakeKms

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
REF = f"{GUN}:1"
fake_kms = testing.fake_kms
HOST = GUN.partition("/")[0]
CONFIG = f'[registry."{HOST}"]\nserver = "{SERVER}"\nca = "tls/ca.pem"\n'
POLICY = (
    f'[scope."*"]\nfirst_use = true\n[scope."{GUN}"]\nroots.certificates = ["root.pem"]\nmode = "audit"\n'
)


class Machine:
    """A home with a trust directory and settings."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.home = world, world.base / name
        self.home.mkdir(exist_ok=True)
        self.trust, self.settings = self.home / ".docker" / "trust", self.home / ".config" / "notarypy"
        self.warnings: list[str] = []

    def client(self, passphrase: str = PASSPHRASE, **options: Any) -> Client:  # noqa: ANN401 - of the command line
        return Client.from_environment(
            {"HOME": str(self.home)},
            passphrases=lambda _: passphrase,
            transport=self.world.fake,
            clock=self.world.clock,
            warn=self.warnings.append,
            **options,
        )

    def set_up(self, name: str, text: str | bytes) -> Path:
        path = self.settings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def everything(self) -> dict[str, bytes]:
        """Return all files but locks and notes, by path."""
        found = {str(path.relative_to(self.home)): path for path in self.home.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if ".notarypy-" not in name}


@pytest.fixture
def owner(world: World) -> Machine:
    """Return the machine of the owner of `GUN`, who is its signer jeff, too."""
    person, machine = owned(world, "jeff"), Machine(world, "first")
    shutil.copytree(person.trust_dir, machine.trust)
    machine.set_up("config.toml", CONFIG)
    machine.set_up("tls/ca.pem", "no certificate")
    return machine


@pytest.fixture
def backup(owner: Machine, tmp_path: Path) -> Path:
    owner.client().upkeep.backup(tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def new(world: World) -> Machine:
    return Machine(world, "new")


# -- what is in it


def test_all_that_is_here_is_in_it_and_is_noted(owner: Machine, backup: Path) -> None:
    contents = owner.client().upkeep.read_backup(backup)
    assert sorted(key.role for key in contents.keys) == ["jeff", "root", "targets"]
    assert {key.gun for key in contents.keys} == {None, GUN}
    (repository,) = contents.repositories
    assert (repository.repository, repository.server) == (GUN, SERVER)
    assert repository.named_by == "server in the configuration file"
    assert set(repository.roles) == set(TrustDirectory(owner.trust).repository(GUN).cached())
    assert contents.settings == ("config.toml", "tls/ca.pem")
    assert (contents.config, contents.policy, contents.elsewhere) == ("config.toml", None, ())
    assert contents.made == NOW
    noted = read_note(owner.trust)
    assert noted is not None
    assert noted.sha256 == contents.sha256
    assert noted.keys == tuple(key.keyid for key in contents.keys)
    assert (noted.path, noted.made, noted.repositories) == (str(backup), NOW, (GUN,))
    assert PASSPHRASE.encode() not in backup.read_bytes()
    assert b"-----BEGIN PRIVATE" not in backup.read_bytes()


def test_no_passphrase_and_no_server_is_asked(owner: Machine, world: World, tmp_path: Path) -> None:
    def asked(_: object) -> str:
        raise AssertionError

    client = Client.from_environment(
        {"HOME": str(owner.home)}, passphrases=asked, transport=world.fake, clock=world.clock
    )
    client.upkeep.backup(tmp_path / "b.tar")
    client.upkeep.restore(tmp_path / "b.tar")
    assert world.requests() == []


def test_of_a_key_elsewhere_there_is_only_where_it_is(
    owner: Machine, world: World, tmp_path: Path, fake_kms: FakeKms
) -> None:
    fake_kms.make("release")
    noted = owner.client().keys.add("fakekms:release", name="release")
    fake_kms.requests.clear()
    contents = owner.client().upkeep.backup(tmp_path / "b.tar")
    assert [(key.keyid, key.role) for key in contents.keys if key.uri == "fakekms:release"] == [
        (noted.keyid, "release")
    ]
    done = new(world).client().upkeep.restore(tmp_path / "b.tar")
    assert noted.keyid in done.written
    assert not new(world).client().upkeep.check_backup(tmp_path / "b.tar").failures
    assert fake_kms.requests == []
    assert new(world).client().keys.test("release").key.uri == "fakekms:release"


def test_settings_take_along_what_they_name(owner: Machine, world: World, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("of this machine")
    (owner.home / "mine.pem").write_text("of this home")
    owner.set_up("root.pem", "a certificate")
    named = f'ca = "{tmp_path / "ca.pem"}"\ncertificates = ["~/x/../mine.pem", "../x.pem"]\n'
    owner.set_up("policy.toml", f'{POLICY}[scope."b.test".roots]\n{named}')
    (owner.settings.parent / "x.pem").write_text("beside the folder")
    contents = owner.client().upkeep.backup(tmp_path / "b.tar")
    assert contents.settings == ("config.toml", "tls/ca.pem", "policy.toml", "root.pem")
    outside = (owner.home / "mine.pem", owner.settings.parent / "x.pem", tmp_path / "ca.pem")
    assert set(contents.elsewhere) == set(map(str, outside))
    there = new(world)
    there.client().upkeep.restore(tmp_path / "b.tar")
    found = {str(path.relative_to(there.settings)) for path in there.settings.rglob("*") if path.is_file()}
    assert found == {"config.toml", "tls/ca.pem", "policy.toml", "root.pem"}
    assert not (there.home / "mine.pem").exists()


def test_no_plain_secret_is_in_it(owner: Machine, tmp_path: Path) -> None:
    plain = pem_of(keyfile.generate())
    owner.set_up("client.key", plain)
    owner.set_up("both.pem", b"-----BEGIN CERTIFICATE-----\n" + plain)
    document = {
        "remote_server": {"url": SERVER, "tls_client_cert": "both.pem", "tls_client_key": "client.key"}
    }
    config = owner.set_up("notary.json", json.dumps(document))
    (owner.trust / "private" / f"{'0' * 64}.key").write_bytes(plain)
    failed: dict[str, NotarypyError] = {}
    client = owner.client(config=str(config))
    contents = client.upkeep.backup(tmp_path / "b.tar", failed=failed.__setitem__)
    assert contents.settings == ("notary.json",)
    assert [text.rpartition("/")[2] for text in contents.left_out] == [
        "both.pem: there is a private key in it",
        "client.key: it is a private key for TLS",
    ]
    assert plain.splitlines()[1] not in (tmp_path / "b.tar").read_bytes()
    assert list(failed) == ["0" * 64]
    assert isinstance(failed["0" * 64], KeyAccessError)
    with pytest.raises(KeyAccessError):
        client.upkeep.backup(tmp_path / "c.tar")
    assert not (tmp_path / "c.tar").exists()


def test_what_cannot_be_read_is_left_out_and_said(owner: Machine, world: World, tmp_path: Path) -> None:
    (owner.trust / "private" / f"{'1' * 64}.key").write_text("damaged")
    (owner.trust / "tuf/b.test/app/metadata").mkdir(parents=True)
    (owner.trust / "tuf/b.test/app/metadata/root.json").write_text("damaged")
    (owner.trust / "tuf/b.test/linked").symlink_to(tmp_path)
    (owner.trust / "tuf/b.test/rootless/metadata").mkdir(parents=True)
    (owner.trust / "tuf/b.test/rootless/metadata/targets.json").write_text("{}")
    (owner.trust / f"tuf/{GUN}/metadata/targets.json").unlink()
    (owner.trust / f"tuf/{GUN}/metadata/targets.json").mkdir()
    owner.set_up("policy.toml", POLICY)
    failed: dict[str, NotarypyError] = {}
    contents = owner.client().upkeep.backup(tmp_path / "b.tar", failed=failed.__setitem__)
    shut = {"b.test/app", "b.test/linked", "b.test/rootless"}
    assert set(failed) == {"1" * 64, *shut, GUN, str(owner.settings / "root.pem")}
    assert len(contents.keys) == 3
    assert [each.repository for each in contents.repositories] == [GUN]
    assert "targets" not in contents.repositories[0].roles
    assert new(world).client().upkeep.restore(tmp_path / "b.tar").written


def test_keys_of_old_layouts_come_back_in_the_present_one(world: World, tmp_path: Path) -> None:
    old, there = Machine(world, "old"), new(world)
    shutil.copytree(KEYS / "old-layout", old.trust / "private")
    before = {info.keyid: (info.role, info.gun) for info in old.client().keys.list()}
    assert before
    old.client().upkeep.backup(tmp_path / "b.tar")
    there.client().upkeep.restore(tmp_path / "b.tar")
    assert {info.keyid: (info.role, info.gun) for info in there.client().keys.list()} == before
    assert {path.name for path in (there.trust / "private").glob("*.key")} == {
        f"{each}.key" for each in before
    }


def test_nothing_is_no_backup(world: World, tmp_path: Path) -> None:
    with pytest.raises(NothingThereError):
        new(world).client().upkeep.backup(tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_note(tmp_path) is None
    for text in (
        "",
        "{}",
        "[]",
        '{"made": 1}',
        '{"made": "2026-11-29", "path": "", "sha256": "", "keys": []}',
    ):
        (tmp_path / NOTE).write_text(text)
        assert read_note(tmp_path) is None


def test_a_note_that_cannot_be_written_is_a_warning(
    owner: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("no room")

    monkeypatch.setattr("notarypy.client.backup.making.write_note", full)
    assert owner.client().upkeep.backup(tmp_path / "b.tar").keys
    assert owner.warnings == ["the backup is not noted: no room"]


def test_who_publishes_meanwhile_does_no_harm(owner: Machine, world: World, tmp_path: Path) -> None:
    publisher, made = owner.client(), list[Path]()
    busy = Thread(target=lambda: [publisher.keys.rotate(GUN, "targets") for _ in range(4)])
    busy.start()
    while busy.is_alive() or not made:
        made.append(tmp_path / f"{len(made)}.tar")
        owner.client().upkeep.backup(made[-1])
    busy.join()
    for number, path in enumerate(made):
        there = Machine(world, f"there {number}")
        contents = there.client().upkeep.restore(path).contents
        trusted = there.client(offline=True).refresh(GUN)
        ids = {key.canonical_id for key in trusted.root.signers("targets")}
        assert ids <= {key.keyid for key in contents.keys}


# -- an empty machine


def test_an_empty_machine_signs_with_nothing_but_the_file_and_the_passphrases(
    owner: Machine, backup: Path, world: World
) -> None:
    there = new(world)
    world.push("1")
    done = there.client().upkeep.restore(backup)
    assert there.everything() == owner.everything()
    assert set(done.written) == {
        *(info.keyid for info in owner.client().keys.list()),
        GUN,
        *(str(there.settings / name) for name in ("config.toml", "tls/ca.pem")),
    }
    shutil.rmtree(owner.home)
    there.set_up("config.toml", f'first_use = false\n[registry."{HOST}"]\nserver = "{SERVER}"\n')
    (signed,) = there.client().sign([REF])
    assert there.client().verify(REF).digest == signed.digest
    assert there.client().keys.rotate(GUN, "targets").role == "targets"


def test_files_and_folders_are_private(backup: Path, world: World) -> None:
    there = new(world)
    before = os.umask(0)
    try:
        there.client().upkeep.restore(backup)
    finally:
        os.umask(before)
    for path in there.home.rglob("*"):
        assert path.lstat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_what_was_restored_is_not_taken_for_fresh(backup: Path, world: World) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    assert TrustDirectory(there.trust).repository(GUN).confirmed() is None


def test_a_dry_run_changes_nothing(backup: Path, world: World) -> None:
    there = new(world)
    done = there.client().upkeep.restore(backup, dry_run=True)
    assert done.dry_run
    assert len(done.written) == 6
    assert list(there.home.iterdir()) == []


def test_restoring_again_changes_nothing(backup: Path, world: World) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    before = there.everything()
    done = there.client().upkeep.restore(backup)
    assert done.written == ()
    assert set(done.kept.values()) == {"here already"}
    assert there.everything() == before


def test_the_note_is_there_after_restoring_and_an_older_one_is_kept(
    owner: Machine, backup: Path, world: World
) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    noted = read_note(there.trust)
    assert noted == read_note(owner.trust)
    assert noted is not None
    write_note(there.trust, LastBackup(NOW, "other", "", (), ()))
    there.client().upkeep.restore(backup)
    assert read_note(there.trust) == LastBackup(NOW, "other", "", (), ())


def test_keys_alone_come_without_roots_and_settings(backup: Path, world: World) -> None:
    there = new(world)
    there.client().upkeep.restore(backup, keys_only=True)
    assert there.client().repositories() == []
    assert not there.settings.exists()
    assert len(there.client().keys.list()) == 3


# -- refused as a whole


def test_a_bit_that_is_wrong_anywhere_is_enough(backup: Path, world: World) -> None:
    there, data = new(world), backup.read_bytes()
    for at in range(0, len(data), 97):
        backup.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        for call in (there.client().upkeep.restore, there.client().upkeep.check_backup):
            with pytest.raises(BackupUnusableError, match=str(backup)):
                call(backup)
    assert list(there.home.iterdir()) == []


def test_the_digest_that_was_noted_counts(backup: Path, world: World) -> None:
    there = new(world)
    contents = there.client().upkeep.read_backup(backup)
    with pytest.raises(BackupUnusableError, match="another file"):
        there.client().upkeep.restore(backup, sha256="0" * 64)
    assert list(there.home.iterdir()) == []
    assert there.client().upkeep.restore(backup, sha256=contents.sha256).written


def rewritten(path: Path, change: Callable[[dict[str, bytes], dict[str, Any]], object]) -> Path:
    """Write a backup anew with other members and another manifest, as whoever has the file can."""
    with BackupFile(path) as backup:
        members = {name: backup.read(name) for name in sorted(backup.names)}
        said = backup.manifest
    change(members, said)
    other = path.with_name("rewritten.tar")
    other.unlink(missing_ok=True)
    with new_backup(other) as writer:
        for name, data in members.items():
            writer.add(name, data)
        writer.finish(said)
    return other


def _key(members: Mapping[str, bytes]) -> str:
    return next(name for name in members if name.startswith("private/"))


def elsewhere(members: dict[str, bytes], said: dict[str, Any], path: str) -> None:
    members[f"elsewhere/{path.lstrip('/')}".replace("//", "/")] = b""
    said["elsewhere"] = [path]


REFERENCE = keyuri.write(keyuri.KeyReference("fakekms:x", "jeff", public_key_of(keyfile.generate())))
CHANGES: dict[str, Callable[[dict[str, bytes], dict[str, Any]], object]] = {
    "a file that nobody knows": lambda members, _: members.update({"more": b""}),
    "a file that is not there": lambda members, _: members.pop("settings/config.toml"),
    "a key in plain": lambda members, _: members.update({_key(members): pem_of(keyfile.generate())}),
    "a key by another name": lambda members, _: members.update({"private/jeff.key": members[_key(members)]}),
    "a key in a folder": lambda members, _: members.update(
        {f"private/x/{'0' * 64}.key": members[_key(members)]}
    ),
    "no key": lambda members, _: members.update({_key(members): b""}),
    "a reference to nothing": lambda members, _: members.update({f"private/{'0' * 64}.ref": b""}),
    "a reference to another key": lambda members, _: members.update({f"private/{'0' * 64}.ref": REFERENCE}),
    "no list of repositories": lambda _, said: said.pop("repositories"),
    "another list": lambda _, said: said.update(repositories=[1]),
    "a repository by another name": lambda _, said: said["repositories"][0].update(repository="../x"),
    "a repository twice": lambda _, said: said["repositories"].append(said["repositories"][0]),
    "a role by another name": lambda _, said: said["repositories"][0]["metadata"].update({"../x": "x"}),
    "no root": lambda _, said: said["repositories"][0]["metadata"].pop("root"),
    "a root that is none": lambda members, said: members.update(
        {said["repositories"][0]["metadata"]["root"]: b"{}"}
    ),
    "no moment": lambda _, said: said.update(made="yesterday"),
    "a moment nowhere": lambda _, said: said.update(made="2026-11-29T00:00:00"),
    "settings that are none": lambda _, said: said.update(settings=[1]),
    "a configuration that is not there": lambda _, said: said.update(config="other.toml"),
    "a file elsewhere that is nowhere": lambda members, said: elsewhere(members, said, "~/.bashrc"),
    "a file elsewhere by another name": lambda members, said: elsewhere(members, said, "/etc//passwd"),
    "a server that is no address": lambda _, said: said["repositories"][0].update(server="https://x y"),
    "a server that is none": lambda _, said: said["repositories"][0].update(server=1),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_backup_that_somebody_made_up_is_refused_as_a_whole(backup: Path, world: World, case: str) -> None:
    there = new(world)
    with pytest.raises(BackupUnusableError):
        there.client().upkeep.restore(rewritten(backup, CHANGES[case]))
    assert list(there.home.iterdir()) == []


# -- beside what is there


def test_keys_of_two_machines_are_together_afterwards(backup: Path, world: World) -> None:
    other = Machine(world, "other")
    ann = other.client().keys.generate("ann")[0]
    other.client().upkeep.restore(backup)
    roles = sorted(info.role for info in other.client().keys.list())
    assert roles == ["ann", "jeff", "root", "targets"]
    assert other.client().keys.test(ann.keyid).key.role == "ann"


def test_a_key_that_is_here_stays_as_it_is(backup: Path, world: World) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    jeff, root = (there.client().keys.find(name) for name in ("jeff", "root"))
    there.client().keys.change_passphrase("jeff", "another passphrase")
    there.client().keys.rename("jeff", "jeffrey")
    changed = there.everything()
    done = there.client().upkeep.restore(backup)
    assert done.written == ()
    assert done.kept[jeff.keyid] == "here as jeffrey, and stays so"
    assert done.kept[root.keyid] == "here already"
    there.client().keys.rename("jeffrey", "jeff")
    assert (
        there.client().upkeep.restore(backup).kept[jeff.keyid]
        == "here already, maybe with another passphrase"
    )
    there.client().keys.rename("jeff", "jeffrey")
    assert there.everything() == changed


def test_what_is_no_key_file_gives_way_too(backup: Path, world: World) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    path = there.client().keys.find("jeff").path
    path.unlink()
    path.mkdir()
    assert there.client().upkeep.restore(backup).written == (path.stem,)
    assert there.client().keys.test("jeff").key.path == path


def test_a_folder_of_keys_that_is_none_is_a_failure_of_its_own(owner: Machine, backup: Path) -> None:
    shutil.rmtree(owner.trust / "private")
    (owner.trust / "private").write_text("")
    failed: dict[str, NotarypyError] = {}
    contents = owner.client().upkeep.backup(backup.with_name("b.tar"), failed=failed.__setitem__)
    assert list(failed) == [str(owner.trust / "private")]
    assert (contents.keys, len(contents.repositories)) == ((), 1)


def test_on_a_disk_that_nobody_writes_to_no_lock_is_needed(
    owner: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise StorageError("the disk is read-only")

    monkeypatch.setattr(files, "locked", locked)
    monkeypatch.setattr(system, "is_read_only", lambda _: True)
    assert len(owner.client().upkeep.backup(tmp_path / "b.tar").keys) == 3


def test_settings_that_nobody_understands_are_kept_as_they_are(owner: Machine, tmp_path: Path) -> None:
    path, failed = owner.set_up("policy.toml", "]["), dict[str, NotarypyError]()
    contents = owner.client().upkeep.backup(tmp_path / "b.tar", failed=failed.__setitem__)
    assert contents.policy == "policy.toml"
    assert list(failed) == [str(path)]
    assert "nonexistent" not in " ".join(failed[str(path)].why)


def test_a_key_that_nobody_can_read_is_put_back_and_what_was_there_is_kept(
    backup: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    good, path = there.everything(), there.client().keys.find("jeff").path
    path.write_text("damaged")
    damaged = there.everything()
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomic", interrupted)
        with pytest.raises(KeyboardInterrupt):
            there.client().upkeep.restore(backup)
    assert there.everything() == damaged
    done = there.client().upkeep.restore(backup)
    assert done.written == (path.stem,)
    said, _, name = done.kept[path.stem].rpartition(" ")
    assert said == "here, and nobody can read it: kept as"
    assert there.everything() == {**good, f".docker/trust/private/{name}": b"damaged"}
    assert len(there.client().keys.list()) == 3


@pytest.mark.parametrize("text", ["damaged", '{"signed": {}, "signatures": []}', "edited"])
def test_a_damaged_root_gives_way_to_none_and_is_in_no_backup(backup: Path, world: World, text: str) -> None:
    there = new(world)
    there.client().upkeep.restore(backup)
    good, root = there.everything(), there.trust / "tuf" / GUN / "metadata/root.json"
    root.write_text(root.read_text().replace('"version":1', '"version":2') if text == "edited" else text)
    failed: dict[str, NotarypyError] = {}
    contents = there.client().upkeep.backup(backup.with_name("bad.tar"), failed=failed.__setitem__)
    assert (list(failed), contents.repositories) == ([GUN], ())
    damaged = there.everything()
    with pytest.raises(AlreadyExistsError, match="nothing was changed") as error:
        there.client().upkeep.restore(backup)
    assert error.value.why == (f"the root of {GUN} that is trusted here is damaged",)
    assert there.everything() == damaged
    root.unlink()
    assert there.client().upkeep.restore(backup).written == (GUN,)
    assert there.everything() == good


@pytest.mark.parametrize("gone", ["root", "timestamp"])
def test_what_is_newer_here_is_a_floor_and_stays(
    owner: Machine, backup: Path, world: World, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.push("1")
    owner.client().sign([REF])
    (owner.trust / "tuf" / GUN / f"metadata/{gone}.json").unlink()
    before = owner.everything()
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "read_note", interrupted)
        with pytest.raises(KeyboardInterrupt):
            owner.client().upkeep.restore(backup)
    assert owner.everything() == before
    assert owner.client().upkeep.restore(backup).written == (GUN,)
    now = owner.everything()
    assert {**now, **before} == now
    assert len(now) == len(before) + 1
    assert owner.client().verify(REF).tag == "1"


def test_a_repository_that_went_on_stays_where_it_is(owner: Machine, backup: Path, world: World) -> None:
    owner.client().keys.rotate(GUN, "targets")
    before = owner.everything()
    done = owner.client().upkeep.restore(backup)
    assert done.written == ()
    assert done.kept[GUN] == "here with version 2 of its root"
    assert owner.everything() == before
    there = new(world)
    there.client().upkeep.restore(backup)
    world.push("1")
    assert there.client().refresh(GUN).root.version == 2


def test_an_older_root_here_is_led_on_by_the_server(owner: Machine, backup: Path, world: World) -> None:
    there, later = new(world), backup.with_name("later.tar")
    there.client().upkeep.restore(backup)
    owner.client().keys.rotate(GUN, "targets")
    owner.client().upkeep.backup(later)
    done = there.client().upkeep.restore(later)
    assert done.kept[GUN] == "here with version 1 of its root"
    assert len(done.written) == 1


def test_another_root_here_is_a_refusal_of_the_whole(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = Machine(World(tmp_path / "elsewhere"), "other")
    other.client(server=SERVER).init(GUN)
    before = other.everything()
    with pytest.raises(AlreadyExistsError) as error:
        other.client().upkeep.restore(backup)
    assert f"another root of {GUN} is trusted here" in error.value.why[0]
    assert other.everything() == before
    done = other.client().upkeep.restore(backup, keys_only=True)
    assert len(done.written) == 3
    assert {**other.everything(), **before} == other.everything()


@pytest.mark.parametrize("name", ["config.toml", "policy.toml", "tls/ca.pem"])
def test_other_settings_here_are_a_refusal_of_the_whole(
    owner: Machine, world: World, tmp_path: Path, name: str
) -> None:
    owner.set_up("policy.toml", '[scope."*"]\nfirst_use = true\n')
    owner.client().upkeep.backup(tmp_path / "b.tar")
    there = new(world)
    there.set_up(name, "# others\n")
    before = there.everything()
    with pytest.raises(AlreadyExistsError, match="nothing was changed") as error:
        there.client().upkeep.restore(tmp_path / "b.tar")
    assert error.value.why == (f"another {there.settings / name} is here",)
    assert there.everything() == before
    done = there.client().upkeep.restore(tmp_path / "b.tar", settings=False)
    assert len(done.written) == 4
    assert {**there.everything(), **before} == there.everything()


def test_what_is_restored_is_not_hidden_by_the_configuration(
    owner: Machine, world: World, tmp_path: Path
) -> None:
    owner.set_up("config.toml", f'trust_dir = "~/keys"\n{CONFIG}')
    owner.trust.rename(owner.home / "keys")
    owner.client().upkeep.backup(tmp_path / "b.tar")
    there, elsewhere = new(world), str(world.base / "elsewhere")
    with pytest.raises(AlreadyExistsError) as error:
        there.client(trust_dir=elsewhere).upkeep.restore(tmp_path / "b.tar")
    assert error.value.advice is not None
    assert error.value.advice.values == {"folder": str(there.home / "keys")}
    assert list(there.home.iterdir()) == []
    there.trust.mkdir(parents=True)
    with pytest.raises(AlreadyExistsError):
        there.client().upkeep.restore(tmp_path / "b.tar")
    shutil.rmtree(there.trust)
    done = there.client().upkeep.restore(tmp_path / "b.tar")
    assert done.trust_dir == str(there.home / "keys")
    assert not there.trust.exists()
    world.push("1")
    assert there.client().sign([REF])


# -- what goes wrong on the way


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_who_fails_on_the_way_takes_all_of_it_back(
    owner: Machine, backup: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = files.write_atomic, [0]

    def failing(path: Path, data: bytes, *, new: bool = False) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        real(path, data, new=new)

    monkeypatch.setattr(files, "write_atomic", failing)
    there = new(world)
    there.trust.mkdir(parents=True)
    for existing in (True, False):
        if not existing:
            shutil.rmtree(there.home / ".docker")
        for count in range(10):
            left[0] = count
            with pytest.raises(KeyboardInterrupt):
                there.client().upkeep.restore(backup)
            assert there.everything() == {}, count
    assert not (there.home / ".docker" / "trust").exists()
    left[0] = -1
    there.client().upkeep.restore(backup)
    assert there.everything() == owner.everything()


def test_what_lies_ready_beside_the_place_is_left_alone(backup: Path, world: World, tmp_path: Path) -> None:
    there, victim = new(world), tmp_path / "victim"
    (victim / "folder").mkdir(parents=True)
    there.trust.parent.mkdir()
    for name in ("-trust", "-0123456789abcdef", ""):
        (there.trust.parent / f".notarypy-restore{name}").symlink_to(victim)
    there.client().upkeep.restore(backup)
    assert [path.name for path in victim.iterdir()] == ["folder"]
    assert not there.trust.is_symlink()
    assert len(there.warnings) == 2
    assert "remove it" in there.warnings[0]


def test_settings_that_appear_meanwhile_are_neither_replaced_nor_taken_back(
    backup: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, real = new(world), files.make_private_directory

    def faster(path: Path, **options: Path) -> None:
        real(path, **options)
        if path == there.settings / "tls":
            there.set_up("tls/ca.pem", "of somebody else")

    monkeypatch.setattr(files, "make_private_directory", faster)
    with pytest.raises(StorageError, match=r"tls/ca\.pem"):
        there.client().upkeep.restore(backup)
    assert there.everything() == {".config/notarypy/tls/ca.pem": b"of somebody else"}


def test_two_restores_at_a_time_do_no_harm(backup: Path, world: World) -> None:
    there = new(world)
    there.trust.mkdir(parents=True)
    with (
        files.locked(there.trust / ".notarypy-restore.lock", 0),
        pytest.raises(StorageError, match="at work"),
    ):
        there.client().upkeep.restore(backup)
    assert there.everything() == {}


# -- the test restore


def test_a_backup_that_opens_is_said_to_open(backup: Path, world: World) -> None:
    there = new(world)
    done = there.client().upkeep.check_backup(backup)
    assert done.failures == {}
    assert len(done.contents.keys) == 3
    assert list(there.home.iterdir()) == []


def test_a_key_that_does_not_open_is_named(backup: Path, world: World) -> None:
    done = new(world).client(passphrase="another").upkeep.check_backup(backup)
    assert {type(error) for error in done.failures.values()} == {PassphraseWrongError}
    assert set(done.failures) == {key.keyid for key in done.contents.keys}
    for keyid, error in done.failures.items():
        assert not any("/tmp" in text for text in (*error.why, *map(str, error.facts.values())))
        assert error.facts["keyid"] == keyid


def test_a_key_that_is_another_is_found_out(backup: Path, world: World) -> None:
    def swapped(members: dict[str, bytes], _: dict[str, Any]) -> None:
        one, other, *_rest = [name for name in members if name.startswith("private/")]
        members[one], members[other] = members[other], members[one]

    done = new(world).client().upkeep.check_backup(rewritten(backup, swapped))
    assert len(done.failures) == 2
    assert {error.code for error in done.failures.values()} <= {"key", "key.changed", "key.unsupported"}


def test_a_root_that_nobody_signed_is_found_out(backup: Path, world: World) -> None:
    def changed(members: dict[str, bytes], said: dict[str, Any]) -> None:
        name = said["repositories"][0]["metadata"]["root"]
        members[name] = members[name].replace(b'"version":1', b'"version":2')

    done = new(world).client().upkeep.check_backup(rewritten(backup, changed))
    assert set(done.failures) == {GUN}


# -- keys of a repository


def test_the_keys_of_a_repository_are_those_of_all_its_roles(owner: Machine) -> None:
    owner.client().keys.generate("somebody")
    assert sorted(info.role for info in owner.client().keys.of_repository(GUN)) == ["jeff", "root", "targets"]
    with pytest.raises(KeyAccessError, match="no key of"):
        owner.client().keys.of_repository("b.test/app")


def test_blocks_of_keys_name_their_ids(owner: Machine) -> None:
    ids = [info.keyid for info in owner.client().keys.of_repository(GUN)]
    assert [block.path for block in pem.split(owner.client().keys.export(ids))] == ids
