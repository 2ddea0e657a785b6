"""`notary` moves keys of old releases when it begins, as Go's does, and loses none."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.errors import StorageError

if TYPE_CHECKING:
    from support.commands import Run

OLD = Path(__file__).parents[2] / "fixtures" / "go" / "notary-0.3"
GUN = "docker.com/notary0.3/tst"
MOVED = "warning: keys were moved out of the folders of Notary before 0.4, which are in "


@pytest.fixture
def trust(home: Path) -> Path:
    return Path(shutil.copytree(OLD, home / ".notary"))


def names(trust: Path) -> set[str]:
    return {path.name for path in (trust / "private").glob("*.key")}


def test_the_first_command_moves_keys_and_says_so_in_one_line(notary: Run, trust: Path) -> None:
    before = {path.name for path in trust.rglob("*.key")}
    first = notary("list", GUN)
    (backup,) = trust.glob("old-key-folders-*")
    assert first.err.count(MOVED) == 1
    assert f"{MOVED}{backup} now\n" in first.err
    assert "moved" not in first.out
    assert names(trust) == before
    assert MOVED not in notary("list", GUN).err


def test_what_needs_no_trust_directory_moves_nothing(notary: Run, trust: Path) -> None:
    assert notary("version").expect(0).err == ""
    assert names(trust) == set()


def test_keys_that_cannot_be_moved_are_used_where_they_are(notary: Run, trust: Path) -> None:
    (trust / "private" / ".notarypy-init.lock").mkdir()
    outcome = notary("list", GUN)
    assert "warning: keys stay in the folders of Notary before 0.4, and are used there: " in outcome.err
    assert names(trust) == set()
    assert (trust / "private" / "root_keys").exists()


def test_what_stays_is_said_with_what_was_moved_and_not_again(notary: Run, trust: Path) -> None:
    link = trust / "private" / "root_keys" / f"{'a' * 64}.key"
    link.symlink_to(OLD)
    assert f"left where it is: cannot read {link}" in notary("list", GUN).err
    assert "left where it is" not in notary("list", GUN).err
    assert (
        f"files stay in the folders of Notary before 0.4: cannot read {link}" in notary("-v", "list", GUN).err
    )
    assert link.is_symlink()


def test_each_file_that_no_key_in_use_comes_from_is_named_once(notary: Run, trust: Path) -> None:
    tuf = trust / "private" / "tuf_keys"
    (key,) = (trust / "private" / "root_keys").iterdir()
    keyid = key.name.partition("_")[0].removesuffix(".key")
    (tuf / "plain.key").write_bytes(key.read_bytes())
    (tuf / f"{'f' * 64}_targets.key").write_text("garbage")
    shutil.copy(key, tuf / f"{keyid}.key")
    err = notary("key", "list").expect(0).err
    (backup,) = trust.glob("old-key-folders-*")
    moved = backup / "private" / "tuf_keys"
    assert f"{moved / 'plain.key'} has a key, but is not named after one: import it" in err
    assert f"{moved / ('f' * 64)}_targets.key is no key\n" in err
    assert f"which stays; {moved / keyid}.key is another copy\n" in err
    assert ".crt" not in err
    assert all(Path(line.split()[1]).exists() for line in err.splitlines() if " is no key" in line)
    assert notary("key", "list").expect(0).err == ""


def test_a_move_that_breaks_off_says_where_the_files_are(
    notary: Run, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, before = files.move, {path.name for path in trust.rglob("*.key")}

    def breaks_off(source: Path, target: Path) -> None:
        if list(trust.glob("old-key-folders-*/**/*.key")):
            raise StorageError("cannot move it", why="the disk is full")
        whole(source, target)

    monkeypatch.setattr(files, "move", breaks_off)
    err = notary("key", "list").expect(0).err
    (backup,) = trust.glob("old-key-folders-*")
    assert f"are in {backup} now, all keys can be used: cannot move it; the disk is full\n" in err
    assert "keys stay" not in err
    assert names(trust) == before


def test_a_backup_that_cannot_be_made_fails_no_command_and_leaves_none(
    notary: Run, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.chmod

    def refused(path: Path, mode: int) -> None:
        if path.name.startswith("old-key-folders-"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        whole(path, mode)

    monkeypatch.setattr(Path, "chmod", refused)
    assert "keys stay in the folders of Notary before 0.4" in notary("key", "list").expect(0).err
    assert list(trust.glob("old-key-folders-*")) == []


def test_of_a_directory_that_nobody_can_look_into_nothing_is_said_of_old_folders(
    notary: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, whole = home / ".notary" / "private", os.listdir
    private.mkdir(parents=True)

    def refused(path: Path) -> list[str]:
        if Path(path) == private:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(os, "listdir", refused)
    outcome = notary("key", "list")
    assert f"cannot list the keys in {private}" in outcome.err
    assert "before 0.4" not in outcome.err
