"""The changelist: the folder of staged changes, which Go notary reads and writes, too."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from notarypy import files, system
from notarypy.errors import StorageError
from notarypy.limits import Limits
from notarypy.storage.changelist import Changelist
from notarypy.tuf.stagedchanges import Staged

GUN = "registry.test/app"
NAME = re.compile(r"\d{20}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.change")
CHANGE = Staged("delete", "targets", "target", "1")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "go" / "changelist"


def made(base: Path, limits: Limits | None = None) -> Changelist:
    return Changelist(GUN, base / "tuf" / GUN, base, limits or Limits())


@pytest.fixture
def staged(tmp_path: Path) -> Changelist:
    return made(tmp_path)


def targets(staged: Changelist) -> list[str]:
    return [one.change.path for one in staged.read().changes]


def names(staged: Changelist) -> list[str]:
    return sorted(path.name for path in staged.directory.iterdir())


def test_an_empty_one_has_nothing_and_makes_nothing(staged: Changelist, tmp_path: Path) -> None:
    assert staged.read().changes == ()
    staged.remove(["nothing"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_staged_is_read_in_the_order_it_was_staged(staged: Changelist) -> None:
    for number in range(30):
        staged.add([Staged("delete", "targets", "target", f"{number}-{part}") for part in "ab"])
    assert targets(staged) == [f"{number}-{part}" for number in range(30) for part in "ab"]


def test_files_are_private_and_named_as_go_names_them(staged: Changelist) -> None:
    [name] = staged.add([CHANGE])
    assert NAME.fullmatch(name)
    assert names(staged) == [name]
    assert stat.S_IMODE((staged.directory / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(staged.directory.stat().st_mode) == 0o700


def test_a_clock_that_was_set_back_changes_no_order(
    staged: Changelist, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged.add([Staged("delete", "targets", "target", "first")])
    monkeypatch.setattr("notarypy.storage.changelist.time.time_ns", lambda: 5)
    staged.add([Staged("delete", "targets", "target", "second")])
    staged.add([Staged("delete", "targets", "target", "third")])
    assert targets(staged) == ["first", "second", "third"]


def test_a_name_that_go_could_not_count_on_from_is_passed_over(staged: Changelist) -> None:
    staged.directory.mkdir(parents=True)
    last = staged.directory / f"{2**63 - 1:020}_x.change"
    last.write_bytes(CHANGE.document())
    [name] = staged.add([CHANGE])
    assert NAME.fullmatch(name)
    assert int(name.partition("_")[0]) < 2**63


def test_only_what_is_named_is_removed(staged: Changelist) -> None:
    first, second = staged.add([CHANGE, CHANGE])
    staged.remove([first, "0_gone.change"])
    assert names(staged) == [second]


def test_what_go_staged_is_read(staged: Changelist) -> None:
    staged.directory.mkdir(parents=True)
    for path in FIXTURES.iterdir():
        (staged.directory / path.name).write_bytes(path.read_bytes())
    read = staged.read()
    assert [one.name for one in read.changes] == sorted(path.name for path in FIXTURES.iterdir())
    assert read.unusable == {}


def test_every_regular_file_counts_and_folders_do_not(staged: Changelist) -> None:
    (staged.directory / "sub").mkdir(parents=True)
    (staged.directory / "sub" / "1.change").write_bytes(CHANGE.document())
    (staged.directory / "any name").write_bytes(CHANGE.document())
    assert [one.name for one in staged.read().changes] == ["any name"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "not valid JSON"),
        (b'{"action":"create","role":"targ', "not valid JSON"),
        (b'{"action":1,"role":"","type":"","path":"","data":null}', "in the place of a text"),
        (b'{"action":"","role":"","type":"","path":"","data":"?"}', "not base64"),
        (b'{"action":"a","action":"b"}', "twice"),
    ],
)
def test_what_is_no_change_is_named_and_in_nobodys_way(staged: Changelist, text: bytes, problem: str) -> None:
    staged.add([CHANGE])
    (staged.directory / "0_x.change").write_bytes(text)
    read = staged.read()
    assert [one.change for one in read.changes] == [CHANGE]
    assert list(read.unusable) == ["0_x.change"]
    assert problem in read.unusable["0_x.change"]


def test_links_and_pipes_are_not_read(staged: Changelist, tmp_path: Path) -> None:
    staged.add([CHANGE])
    outside = tmp_path / "outside"
    outside.write_bytes(CHANGE.document())
    (staged.directory / "link").symlink_to(outside)
    os.mkfifo(staged.directory / "pipe")
    read = staged.read()
    assert len(read.changes) == 1
    assert sorted(read.unusable) == ["link", "pipe"]
    staged.remove(["link"])
    assert outside.exists()


def test_a_link_in_place_of_the_folder_is_refused(staged: Changelist, tmp_path: Path) -> None:
    staged.home.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    staged.directory.symlink_to(tmp_path / "elsewhere")
    for use in (staged.read, lambda: staged.add([CHANGE]), lambda: staged.remove(["x"])):
        with pytest.raises(StorageError, match="cannot use"):
            use()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_nothing_unfinished_is_in_the_folder_for_a_moment(
    staged: Changelist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go takes every file there for a change."""
    real, seen = system.replace, []

    def replace(source: Path, target: Path) -> None:
        seen.append(names(staged))
        real(source, target)

    monkeypatch.setattr(system, "replace", replace)
    [name] = staged.add([CHANGE])
    assert (seen, names(staged)) == ([[]], [name])


def test_what_a_killed_process_left_goes_with_the_next_change(
    staged: Changelist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(system, "replace", killed)
        patched.setattr(os, "unlink", killed)
        with pytest.raises(SystemExit):
            staged.add([CHANGE])
    left = list(staged.home.glob(files.UNFINISHED))
    assert len(left) == 1
    assert staged.read().changes == ()
    staged.add([CHANGE])
    assert not left[0].exists()
    assert len(staged.read().changes) == 1


def test_limits(tmp_path: Path) -> None:
    size = len(CHANGE.document())
    made(tmp_path).add([CHANGE] * 3)
    with pytest.raises(StorageError, match="too much is staged") as caught:
        made(tmp_path, Limits(staged_changes=2)).read()
    assert caught.value.why == ("it has 3 files; the limit is 2",)
    with pytest.raises(StorageError, match="too much is staged"):
        made(tmp_path, Limits(staged_bytes=3 * size - 1)).read()
    with pytest.raises(StorageError, match="too much is staged"):
        made(tmp_path, Limits(staged_changes=3)).add([CHANGE])
    with pytest.raises(StorageError, match="too large"):
        made(tmp_path, Limits(staged_change_bytes=size - 1)).add([CHANGE])
    with pytest.raises(StorageError, match="too much is staged") as caught:
        made(tmp_path, Limits(staged_bytes=4 * size - 1)).add([CHANGE])
    assert caught.value.why == (f"it would have {4 * size} bytes; the limit is {4 * size - 1}",)
    assert len(made(tmp_path, Limits(staged_changes=3, staged_bytes=3 * size)).read().changes) == 3
    assert len(made(tmp_path, Limits(staged_change_bytes=size - 1)).read().unusable) == 3


def test_whatever_can_be_added_can_be_read(tmp_path: Path) -> None:
    staged = made(tmp_path, Limits(staged_bytes=10 * len(CHANGE.document()) + 5))
    (staged.directory / "sub").mkdir(parents=True)
    (staged.directory / "junk").write_bytes(b"junk!")
    for _ in range(10):
        staged.add([CHANGE])
    with pytest.raises(StorageError, match="too much is staged"):
        staged.add([CHANGE])
    assert len(staged.read().changes) == 10


def test_names_have_no_limit(tmp_path: Path) -> None:
    added = made(tmp_path).add([CHANGE] * 3)
    small = made(tmp_path, Limits(staged_changes=1, staged_bytes=1))
    assert small.names() == added
    small.remove(small.names())
    assert small.read().changes == ()
