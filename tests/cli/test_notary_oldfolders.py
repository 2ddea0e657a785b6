"""`notary` moves keys of old releases when it begins, as Go's does, and loses none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
    assert "now; 1 files stay, as they cannot be read\n" in notary("list", GUN).err
    again = notary("list", GUN).err
    assert "files stay" not in again
    assert link.is_symlink()
