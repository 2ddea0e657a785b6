from __future__ import annotations

import os
import shutil
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notarypy import files, system
from notarypy.errors import KeyMissingError, StorageError
from notarypy.keys import keyentry
from notarypy.keys.formats import pem
from notarypy.keys.keypaths import LOCK, key_paths
from notarypy.keys.keystore import KeyStore
from notarypy.keys.oldlayout import OldLayout
from notarypy.keys.passphrases import CallbackSource, PassphraseChain
from notarypy.tuf.envelope import verify

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEYS = FIXTURES / "keys"
NOW = datetime(2026, 11, 29, 21, 40, 5, tzinfo=UTC)
BACKUP = "old-key-folders-20261129T214005Z"
A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
PASSPHRASES = {"notary-0.1": "randompass", "notary-0.3": "password"}


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "trust" / "private"
    folder.mkdir(parents=True)
    return folder


def put(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(KEYS / name, path))


def old_release(private: Path, name: str) -> None:
    shutil.copytree(FIXTURES / "go" / name / "private", private, dirs_exist_ok=True)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("name", PASSPHRASES)
def test_every_key_signs_as_before_and_nothing_is_lost(private: Path, name: str) -> None:
    old_release(private, name)
    before, listed = tree(private), KeyStore(private).list()
    backup = OldLayout(private).move(NOW)
    assert backup == private.parent / BACKUP
    assert tree(backup / "private") == before
    assert {path.name for path in private.iterdir()} == {f"{info.keyid}.key" for info in listed}
    store = KeyStore(private)
    assert [(one.keyid, one.role, one.gun) for one in store.list()] == [
        (one.keyid, one.role, one.gun) for one in listed
    ]
    chain = PassphraseChain([CallbackSource(lambda _: PASSPHRASES[name])])
    for info in listed:
        signer = store.unlock(info.keyid, chain)
        assert verify(signer.public, *signer.sign(b"a message"), b"a message")
    assert not OldLayout(private)


def test_only_the_owner_sees_what_was_moved(private: Path) -> None:
    put(private / "root_keys" / f"{A}_root.key", "ec-root.key").chmod(0o644)
    before = os.umask(0)
    try:
        backup = OldLayout(private).move(NOW)
    finally:
        os.umask(before)
    assert backup is not None
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    assert stat.S_IMODE((private / f"{A}.key").stat().st_mode) == 0o600


def test_role_and_repository_stand_in_the_file_as_go_writes_them(private: Path) -> None:
    put(private / f"tuf_keys/r.test/app/{A}_targets.key", "sec1-ec-dek-info-aes256.key")
    put(private / f"tuf_keys/r.test/app/{B}_targets/x.key", "ec-root.key")  # a folder of that name
    put(private / f"tuf_keys/{C}_jeff.key", "plain-pkcs1-rsa.key")
    put(private / f"{D}_targets.key", "plain-sec1-ec.key")
    OldLayout(private).move(NOW)
    (block,) = pem.split((private / f"{A}.key").read_bytes())
    (before,) = pem.split((KEYS / "sec1-ec-dek-info-aes256.key").read_bytes())
    assert list(block.headers) == ["Proc-Type", "DEK-Info", "gun", "role"]
    assert (block.label, block.body, block.role, block.gun) == (
        before.label,
        before.body,
        "targets",
        "r.test/app",
    )
    assert (pem.split((private / f"{C}.key").read_bytes())[0].headers) == {"role": "jeff"}
    assert (pem.split((private / f"{D}.key").read_bytes())[0].headers) == {"role": "targets"}


def test_a_key_in_the_present_layout_stays_as_it_is(private: Path) -> None:
    present = put(private / f"{A}.key", "ec-delegation-role-dee.key").read_bytes()
    old = put(private / f"root_keys/{A}_root.key", "ec-root.key")
    copy = old.read_bytes()
    layout = OldLayout(private)
    assert [(key.keyid, key.source, key.already) for key in layout.keys] == [(A, old, True)]
    backup = layout.move(NOW)
    assert (private / f"{A}.key").read_bytes() == present
    assert backup is not None
    assert tree(backup) == {f"private/root_keys/{A}_root.key": copy}


def test_a_damaged_file_in_the_present_layout_is_mended_and_kept(private: Path) -> None:
    (private / f"{A}.key").write_bytes(b"half a k")
    put(private / f"root_keys/{A}_root.key", "ec-root.key")
    backup = OldLayout(private).move(NOW)
    assert [info.role for info in KeyStore(private).list()] == ["root"]
    assert backup is not None
    assert (backup / "private" / f"{A}.key").read_bytes() == b"half a k"


def test_the_copy_that_counts_today_is_the_one_that_counts_after(private: Path) -> None:
    put(private / f"{A}_targets.key", "ec-targets-with-gun.key")
    put(private / f"root_keys/{A}_root.key", "ec-root.key")
    put(private / f"tuf_keys/r.test/app/{A}_snapshot.key", "ec-snapshot-with-gun.key")
    (before,) = KeyStore(private).list()
    layout = OldLayout(private)
    assert [key.already for key in layout.keys] == [False, True, True]
    layout.move(NOW)
    (after,) = KeyStore(private).list()
    assert (after.role, after.gun, after.path) == (before.role, before.gun, private / f"{A}.key")


def test_what_cannot_be_read_stays_and_what_is_no_key_goes(private: Path, tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "stick" / "root.key", "ec-root.key")
    (private / "root_keys").mkdir()
    link = private / "root_keys" / f"{A}_root.key"
    link.symlink_to(elsewhere)
    (private / "root_keys" / f"{B}_root.key").write_bytes(b"junk")
    (private / "root_keys" / "readme").write_bytes(b"of a person")
    big = private / "root_keys" / f"{C}_root.key"
    big.write_bytes(b"x" * 70_000)
    layout = OldLayout(private)
    assert sorted(str(error.facts["path"]) for error in layout.left) == [str(link), str(big)]
    assert [path.name for path in layout.others] == [f"{B}_root.key", "readme"]
    backup = layout.move(NOW)
    assert backup is not None
    assert set(tree(backup)) == {f"private/root_keys/{B}_root.key", "private/root_keys/readme"}
    assert sorted(path.name for path in (private / "root_keys").iterdir()) == [link.name, big.name]
    assert link.readlink() == elsewhere
    again = OldLayout(private)
    assert (bool(again), len(again.left)) == (False, 2)


def test_keys_stay_on_the_medium_that_they_are_on(private: Path, tmp_path: Path) -> None:
    put(tmp_path / "stick" / f"{A}_root.key", "ec-root.key")
    (private / "root_keys").symlink_to(tmp_path / "stick")
    layout = OldLayout(private)
    assert (bool(layout), [error.facts["path"] for error in layout.left]) == (
        False, [str(private / "root_keys")]
    )  # fmt: skip
    assert layout.move(NOW) is None
    assert [info.keyid for info in KeyStore(private).list()] == [A]


def test_where_all_keys_are_on_another_medium_the_backup_is_there(private: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick" / "private"
    put(stick / f"root_keys/{A}_root.key", "ec-root.key")
    private.rmdir()
    private.symlink_to(stick)
    assert OldLayout(private).move(NOW) == tmp_path / "stick" / BACKUP


def test_nothing_old_makes_nothing(private: Path) -> None:
    put(private / f"{A}.key", "ec-root.key")
    layout = OldLayout(private)
    assert not layout
    assert layout.move(NOW) is None
    assert [path.name for path in private.parent.iterdir()] == ["private"]
    assert not OldLayout(private / "never")


def test_a_second_backup_has_a_name_of_its_own(private: Path) -> None:
    for number, keyid in enumerate((A, B, C)):
        put(private / f"root_keys/{keyid}_root.key", "ec-root.key")
        backup = OldLayout(private).move(NOW)
        assert backup is not None
        assert backup.name == (f"{BACKUP}-{number + 1}" if number else BACKUP)


def test_a_key_that_somebody_changes_meanwhile_stays(private: Path) -> None:
    old = put(private / f"root_keys/{A}_root.key", "ec-root.key")
    layout = OldLayout(private)
    old.write_bytes((KEYS / "ec-delegation-role-dee.key").read_bytes())
    with pytest.raises(StorageError, match="was changed meanwhile"):
        layout.move(NOW)
    assert old.exists()


def test_a_key_that_reads_otherwise_than_it_was_written_stops_it(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(private / f"root_keys/{A}_root.key", "ec-root.key")
    layout, write = OldLayout(private), files.write_atomic

    def badly(path: Path, data: bytes, mode: int = 0o600, *, new: bool = False) -> None:
        write(path, data.replace(b"MI", b"MJ", 1), mode, new=new)

    monkeypatch.setattr(files, "write_atomic", badly)
    with pytest.raises(StorageError, match="could not be moved"):
        layout.move(NOW)
    assert old.exists()


def test_another_file_system_is_an_error_and_every_key_is_there(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(private / f"root_keys/{A}_root.key", "ec-root.key")

    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link", str(source), None, str(target))

    monkeypatch.setattr(system, "replace", refuse)
    with pytest.raises(StorageError):
        OldLayout(private).move(NOW)
    assert [info.keyid for info in KeyStore(private).list()] == [A]


def test_who_has_looked_before_finds_a_key_after(private: Path) -> None:
    put(private / f"root_keys/{A}_root.key", "ec-root.key")
    place = key_paths(private)[0][A]
    OldLayout(private).move(NOW)
    info, _ = keyentry.read(A, place)
    assert (info.role, info.path) == ("root", private / f"{A}.key")
    (private / f"{A}.key").unlink()
    with pytest.raises(KeyMissingError):
        keyentry.read(A, place)


def test_who_changes_an_old_file_waits_until_it_is_moved(private: Path) -> None:
    put(private / f"{A}_jeff.key", "ec-delegation-role-dee.key")
    store = KeyStore(private, timeout=30)
    with files.locked(private / LOCK, 1):
        renamed = threading.Thread(target=store.rename, args=(A, "bob"))
        renamed.start()
        OldLayout(private).move(NOW)
    renamed.join(30)
    assert [(info.role, info.path) for info in store.list()] == [("bob", private / f"{A}.key")]
