from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.cli.text.advice import advice
from notarypy.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# reading


def test_reads_a_file_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert files.read_regular(path, 5) == b"12345"
    with pytest.raises(StorageError, match="cannot read") as caught:
        files.read_regular(path, 4)
    assert "at most 4" in caught.value.why[0]


def test_a_missing_file_is_told_apart_from_an_unreadable_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_regular(tmp_path / "f", 5)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        files.read_regular(tmp_path / "file" / "below", 5)
    with pytest.raises(StorageError):
        files.read_regular(tmp_path / "a\0b", 5)


def test_links_are_followed_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to("real")
    with pytest.raises(StorageError) as caught:
        files.read_regular(link, 5)
    assert "symbolic link" in caught.value.why[0]
    assert files.read_regular(link, 5, follow=True) == b"x"


@pytest.mark.parametrize("follow", [False, True])
def test_what_is_not_a_regular_file_is_refused_without_blocking(tmp_path: Path, follow: bool) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        before = open_descriptors()
        for path in (
            tmp_path / "fifo",
            tmp_path / "directory",
            tmp_path / "socket",
            tmp_path.parent / "\ud800",
        ):
            with pytest.raises((StorageError, FileNotFoundError)):
                files.read_regular(path, 5, follow=follow)
        with pytest.raises(StorageError, match="/dev/zero"):
            files.read_regular(Path("/dev/zero"), 5, follow=follow)
        assert open_descriptors() == before


def test_a_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"123456")
    size_is_fine = os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, 5, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _: size_is_fine)
    with pytest.raises(StorageError, match="cannot read"):
        files.read_regular(path, 5)


# writing


def test_writes_privately_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a" / "b" / "f"
    files.write_atomic(path, b"data")
    assert path.read_bytes() == b"data"
    assert mode_of(path) == 0o600, oct(umask)
    assert mode_of(tmp_path / "a") == 0o700
    assert mode_of(tmp_path / "a" / "b") == 0o700
    files.write_atomic(path, b"public", mode=0o644)
    assert mode_of(path) == 0o644
    assert path.read_bytes() == b"public"


def test_existing_directories_keep_their_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.write_atomic(tmp_path / "f", b"")
    assert mode_of(tmp_path) == 0o755


def test_a_link_or_fifo_in_place_of_the_file_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (tmp_path / "link").symlink_to("victim")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        files.write_atomic(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"
        assert (tmp_path / name).lstat().st_mode & stat.S_IFREG
    assert victim.read_bytes() == b"untouched"


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    files.write_atomic(path, b"x")
    assert names(tmp_path) == ["n" * 255]
    with pytest.raises(StorageError):
        files.write_atomic(tmp_path / ("n" * 256), b"x")
    assert names(tmp_path) == ["n" * 255]


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "^C"]
)
def test_a_failure_keeps_the_old_content_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "f"
    files.write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    before = open_descriptors()
    with pytest.raises((StorageError, KeyboardInterrupt)):
        files.write_atomic(path, b"new")
    monkeypatch.undo()
    assert names(tmp_path) == ["f"]
    assert path.read_bytes() == b"old"
    assert open_descriptors() == before


def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        files.write_atomic(tmp_path / "f", b"new")
    assert caught.value.why == ("No space left on device",)
    assert "free some space" in advice(caught.value)


def test_a_directory_in_place_of_the_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(StorageError):
        files.write_atomic(tmp_path / "f", b"x")
    assert names(tmp_path) == ["f"]


def test_readers_see_the_old_or_the_new_file_only(tmp_path: Path) -> None:
    path = tmp_path / "f"
    contents = [bytes([letter]) * 50_000 for letter in b"abc"]
    files.write_atomic(path, contents[0])
    stop = threading.Event()
    torn: list[bytes] = []

    def look() -> None:
        while not stop.is_set():
            data = files.read_regular(path, 100_000)
            if data not in contents:
                torn.append(data)

    reader = threading.Thread(target=look)
    reader.start()
    for turn in range(30):
        files.write_atomic(path, contents[turn % 3])
    stop.set()
    reader.join()
    assert torn == []


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_only_a_directory_that_cannot_be_synced_at_all_is_let_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, fails: bool
) -> None:
    sync = os.fsync

    def no_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", no_directories)
    with pytest.raises(StorageError) if fails else contextlib.nullcontext():
        files.write_atomic(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


# directories


def test_two_processes_may_make_the_same_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = Path.mkdir

    def slower(path: Path, mode: int = 0o777) -> None:
        mkdir(path, mode)
        mkdir(path, mode)

    monkeypatch.setattr(Path, "mkdir", slower)
    files.make_private_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_directories_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    files.make_private_directory(tmp_path / "a" / "b")
    files.make_private_directory(tmp_path / "a" / "b")
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o700, oct(umask)


@pytest.mark.parametrize("kind", ["file", "dangling link", "fifo"])
def test_a_directory_is_not_made_over_something_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "file":
        path.write_bytes(b"")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    for wanted in (path, path / "b"):
        with pytest.raises(StorageError):
            files.make_private_directory(wanted)
    assert not (tmp_path / "nowhere").exists()


def test_links_below_the_base_are_refused_and_the_base_may_be_one(tmp_path: Path) -> None:
    (tmp_path / "real" / "elsewhere").mkdir(parents=True)
    base = tmp_path / "base"
    base.symlink_to("real")
    files.make_private_directory(base / "a" / "b", below=base)
    assert (tmp_path / "real" / "a" / "b").is_dir()
    (base / "link").symlink_to("elsewhere")
    with pytest.raises(StorageError) as caught:
        files.make_private_directory(base / "link" / "b", below=base)
    assert "symbolic link" in caught.value.why[0]
    assert not (tmp_path / "real" / "elsewhere" / "b").exists()


def test_a_path_outside_of_the_base_is_refused(tmp_path: Path) -> None:
    for path in (
        tmp_path / "a" / ".." / ".." / "x",
        tmp_path.parent,
        tmp_path / "b" / "..",
        tmp_path / ".." / "x",
    ):
        with pytest.raises(StorageError, match="cannot use"):
            files.refuse_links(path, tmp_path)


def test_a_file_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        files.refuse_links(tmp_path / "f", tmp_path)
    assert "not a directory" in caught.value.why[0]
    files.refuse_links(tmp_path / "missing" / "too", tmp_path)


# locks


def test_a_lock_keeps_another_thread_out_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "d" / ".lock"
    with files.locked(path, 0):
        with pytest.raises(StorageError, match="another notarypy is at work"), files.locked(path, 0.05):
            pass
        assert mode_of(path) == 0o600
    with files.locked(path, 0):
        pass


def test_a_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    before = open_descriptors()
    with pytest.raises(ZeroDivisionError), files.locked(path, 0):
        raise ZeroDivisionError
    with files.locked(path, 0):
        pass
    assert open_descriptors() == before


def test_a_waiting_thread_gets_the_lock_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    inside = 0
    most = 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with files.locked(path, 10):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.002)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


HOLD = """
import pathlib, sys
from notarypy import files
with files.locked(pathlib.Path(sys.argv[1]), 5):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_lock_works_between_processes_and_ends_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    environment = {**os.environ, "PYTHONPATH": str(Path(files.__file__).parent.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StorageError), files.locked(path, 0):
            pass
        other.kill()
    with files.locked(path, 1):
        pass


def test_the_lock_file_is_usable_by_the_next_owner_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    with files.locked(tmp_path / "d" / ".lock", 0):
        pass
    assert mode_of(tmp_path / "d" / ".lock") == 0o600, oct(umask)


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_a_lock_file_must_be_a_regular_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".lock"
    if kind == "link":
        path.symlink_to("victim")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(StorageError), files.locked(path, 0):
        pass
    assert not (tmp_path / "victim").exists()
