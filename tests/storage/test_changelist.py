"""The changelist: the folder of staged changes, which Go notary reads and writes, too."""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files, system
from notarypy.errors import MetadataError, StorageError
from notarypy.limits import Limits
from notarypy.storage.changelist import Changelist, SentNote
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf.stagedchanges import Staged
from support.author import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

GUN = "registry.test/app"
NAME = re.compile(r"\d{20}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.change")
CHANGE = Staged("delete", "targets", "target", "1")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "go" / "changelist"


def made(base: Path, limits: Limits | None = None) -> Changelist:
    return Changelist(GUN, base / "tuf" / GUN, base, limits or Limits())


@pytest.fixture
def staged(tmp_path: Path) -> Changelist:
    return made(tmp_path)


def stage(staged: Changelist, changes: Sequence[Staged]) -> list[str]:
    return staged.add(changes, NOW)


def targets(staged: Changelist) -> list[str]:
    return [one.change.path for one in staged.read().changes]


def beside(staged: Changelist) -> Path:
    """Return the folder that no repository has for its own."""
    return staged.sent.path.parent


def names(staged: Changelist) -> list[str]:
    return sorted(path.name for path in staged.directory.iterdir())


def test_an_empty_one_has_nothing_and_makes_nothing(staged: Changelist, tmp_path: Path) -> None:
    assert staged.read().changes == ()
    staged.remove(["nothing"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_staged_is_read_in_the_order_it_was_staged(staged: Changelist) -> None:
    for number in range(30):
        stage(staged, [Staged("delete", "targets", "target", f"{number}-{part}") for part in "ab"])
    assert targets(staged) == [f"{number}-{part}" for number in range(30) for part in "ab"]


def test_files_are_private_and_named_as_go_names_them(staged: Changelist) -> None:
    [name] = stage(staged, [CHANGE])
    assert NAME.fullmatch(name)
    assert names(staged) == [name]
    assert stat.S_IMODE((staged.directory / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(staged.directory.stat().st_mode) == 0o700


def test_a_clock_that_was_set_back_changes_no_order(staged: Changelist) -> None:
    changes = [Staged("delete", "targets", "target", name) for name in ("first", "second", "third")]
    [first] = staged.add(changes[:1], datetime(2026, 5, 4, 3, 2, 1, 7, UTC))
    assert first.startswith("01777863721000007000_")
    for change in changes[1:]:
        staged.add([change], datetime(1969, 1, 1, tzinfo=UTC))
    assert targets(staged) == ["first", "second", "third"]


def test_a_name_that_go_could_not_count_on_from_is_passed_over(staged: Changelist) -> None:
    staged.directory.mkdir(parents=True)
    last = staged.directory / f"{2**63 - 1:020}_x.change"
    last.write_bytes(CHANGE.document())
    [name] = stage(staged, [CHANGE])
    assert NAME.fullmatch(name)
    assert int(name.partition("_")[0]) < 2**63


def test_only_what_is_named_is_removed(staged: Changelist) -> None:
    first, second = stage(staged, [CHANGE, CHANGE])
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
    stage(staged, [CHANGE])
    (staged.directory / "0_x.change").write_bytes(text)
    read = staged.read()
    assert [one.change for one in read.changes] == [CHANGE]
    assert list(read.unusable) == ["0_x.change"]
    assert problem in read.unusable["0_x.change"]


def test_links_and_pipes_are_not_read(staged: Changelist, tmp_path: Path) -> None:
    stage(staged, [CHANGE])
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
    staged.directory.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    staged.directory.symlink_to(tmp_path / "elsewhere")
    for use in (staged.read, lambda: stage(staged, [CHANGE]), lambda: staged.remove(["x"])):
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
    [name] = stage(staged, [CHANGE])
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
            stage(staged, [CHANGE])
    left = list(beside(staged).glob(files.UNFINISHED))
    assert len(left) == 1
    assert staged.read().changes == ()
    stage(staged, [CHANGE])
    assert not left[0].exists()
    assert len(staged.read().changes) == 1


def test_limits(tmp_path: Path) -> None:
    size = len(CHANGE.document())
    stage(made(tmp_path), [CHANGE] * 3)
    with pytest.raises(StorageError, match="too much is staged") as caught:
        made(tmp_path, Limits(staged_changes=2)).read()
    assert caught.value.why == ("it has 3 files; the limit is 2",)
    with pytest.raises(StorageError, match="too much is staged"):
        made(tmp_path, Limits(staged_bytes=3 * size - 1)).read()
    with pytest.raises(StorageError, match="too much is staged"):
        stage(made(tmp_path, Limits(staged_changes=3)), [CHANGE])
    with pytest.raises(StorageError, match="too large"):
        stage(made(tmp_path, Limits(staged_change_bytes=size - 1)), [CHANGE])
    with pytest.raises(StorageError, match="too much is staged") as caught:
        stage(made(tmp_path, Limits(staged_bytes=4 * size - 1)), [CHANGE])
    assert caught.value.why == (f"it would have {4 * size} bytes; the limit is {4 * size - 1}",)
    assert len(made(tmp_path, Limits(staged_changes=3, staged_bytes=3 * size)).read().changes) == 3
    assert len(made(tmp_path, Limits(staged_change_bytes=size - 1)).read().unusable) == 3


def test_whatever_can_be_added_can_be_read(tmp_path: Path) -> None:
    staged = made(tmp_path, Limits(staged_bytes=10 * len(CHANGE.document()) + 5))
    (staged.directory / "sub").mkdir(parents=True)
    (staged.directory / "junk").write_bytes(b"junk!")
    for _ in range(10):
        stage(staged, [CHANGE])
    with pytest.raises(StorageError, match="too much is staged"):
        stage(staged, [CHANGE])
    assert len(staged.read().changes) == 10


def test_names_have_no_limit(tmp_path: Path) -> None:
    added = stage(made(tmp_path), [CHANGE] * 3)
    small = made(tmp_path, Limits(staged_changes=1, staged_bytes=1))
    assert small.names() == added
    small.remove(small.names())
    assert small.read().changes == ()


@pytest.mark.parametrize("name", ["changelist", "metadata", "x/changelist"])
def test_beside_repositories_that_are_called_like_folders_nothing_goes_wrong(
    tmp_path: Path, name: str
) -> None:
    """The home of one of them is the folder of another, which takes all that is in it for its own."""
    trust = TrustDirectory(tmp_path)
    guns = [GUN, f"{GUN}/{name}"]
    for gun in guns:
        change = Changelist(gun, tmp_path / "tuf" / gun, tmp_path)
        stage(change, [CHANGE])
        change.note(["a"], [{"targets": (1, "00")}])
        for purpose in ("cache", "publish", "staged"):
            with (
                trust.repository(gun).lock(0, purpose),
                trust.repository(guns[0]).lock(0, f"other-{purpose}"),
            ):
                pass
    for gun in guns:
        found = Changelist(gun, tmp_path / "tuf" / gun, tmp_path)
        read = found.read()
        assert (len(read.changes), read.unusable) == (1, {})
        assert found.sent.read() == (["a"], [{"targets": (1, "00")}])
    assert not [
        path
        for path in (tmp_path / "tuf").rglob("*")
        if path.name.startswith(".") and path.parent.name == "changelist"
    ]


def test_what_others_have_begun_to_write_is_left_to_them(tmp_path: Path) -> None:
    inner = Changelist(f"{GUN}/metadata", tmp_path / "tuf" / GUN / "metadata", tmp_path)
    begun = tmp_path / "tuf" / GUN / "metadata" / ".notarypy-0.tmp"
    begun.parent.mkdir(parents=True)
    begun.touch()
    stage(inner, [CHANGE])
    assert begun.exists()


def test_two_repositories_of_almost_one_name_have_locks_of_their_own(tmp_path: Path) -> None:
    trust = TrustDirectory(tmp_path)
    ours, other = trust.repository("a/changelist"), trust.repository("b/changelist")
    with ours.lock(0), other.lock(0), pytest.raises(StorageError, match="at work"), ours.lock(0):
        pass


# -- what was sent


def test_what_is_noted_is_read_again(staged: Changelist) -> None:
    name = os.fsdecode(b"\xff.change")
    uploads = [{"targets": (3, "ab"), "root": (1, "cd")}, {}]
    staged.note([name, "\u20ac"], uploads)
    assert staged.sent.read() == ([name, "\u20ac"], uploads)
    assert stat.S_IMODE(staged.sent.path.stat().st_mode) == 0o600
    staged.sent.remove()
    staged.sent.remove()
    assert staged.sent.read() == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"uploads": {}}',
        b'{"uploads": [1]}',
        b'{"uploads": [{"targets": 1}]}',
        b'{"uploads": [{"targets": [1]}]}',
        b'{"uploads": [{"targets": [true, ""]}]}',
        b'{"uploads": [{"targets": [1, 2]}]}',
        b'{"uploads": [], "changes": [1]}',
        b" " * 200,
    ],
)
def test_what_is_no_note_is_an_error(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "note"
    path.write_bytes(text)
    with pytest.raises((MetadataError, StorageError)):
        SentNote(path, Limits(staged_bytes=100)).read()
