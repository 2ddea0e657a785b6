from __future__ import annotations

import errno
import os
import stat
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from notarypy import files, system
from notarypy.cli.text.advice import advice
from notarypy.errors import Advice, CacheDamagedError, InvalidNameError, StorageError
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.trustdir import RepositoryCache, TrustDirectory

GUN = "docker.io/library/alpine"
BAD_GUNS = ["", ".", "..", "../x", "a/../../x", "/etc", "a//b", "a/", "a\0b", "a\\b", "a\nb", "x" * 256]
ALL = {
    "timestamp": b'{"t":1}',
    "targets/releases": b'{"r":1}',
    "targets": b'{"g":1}',
    "targets/a/b": b'{"b":1}',
    "snapshot": b'{"s":1}',
    "root": b'{"o":1}',
}


@pytest.fixture
def trust(tmp_path: Path) -> TrustDirectory:
    return TrustDirectory(tmp_path / "trust")


@pytest.fixture
def cache(trust: TrustDirectory) -> RepositoryCache:
    return trust.repository(GUN)


def below(path: Path) -> set[str]:
    return {str(inner.relative_to(path)) for inner in path.rglob("*") if not inner.is_dir()}


def test_an_empty_cache_has_nothing_and_makes_nothing(trust: TrustDirectory, cache: RepositoryCache) -> None:
    assert [cache.load(role) for role in ALL] == [None] * len(ALL)
    assert cache.load_root() is None
    assert (cache.staged(), cache.cached(), cache.warnings, trust.guns()) == (0, [], [], [])
    cache.forget()
    assert not trust.path.exists()


def test_what_is_stored_is_loaded_byte_for_byte(trust: TrustDirectory, cache: RepositoryCache) -> None:
    cache.store(ALL)
    assert {role: cache.load(role) for role in ALL} == ALL
    assert cache.load_root() == ALL["root"]
    assert cache.warnings == []
    assert cache.cached() == sorted(ALL)
    metadata = f"tuf/{GUN}/metadata"
    assert below(trust.path) == {f"{metadata}/{role}.json" for role in ALL}


def test_everything_is_private_whatever_the_umask(trust: TrustDirectory, cache: RepositoryCache) -> None:
    old = os.umask(0)
    try:
        cache.store(ALL)
        with cache.lock(0):
            pass
    finally:
        os.umask(old)
    for path in (trust.path, *trust.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_relative_directory_keeps_its_meaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trust = TrustDirectory(Path("trust"))
    monkeypatch.chdir("/")
    assert trust.private == tmp_path / "trust" / "private"


@pytest.mark.parametrize("gun", BAD_GUNS)
def test_a_gun_cannot_leave_the_directory(trust: TrustDirectory, gun: str) -> None:
    with pytest.raises(InvalidNameError):
        trust.repository(gun)


@pytest.mark.parametrize("role", ["", "../root", "targets/../root", "targets/", "Root", "targets/A", "x"])
def test_a_role_cannot_leave_the_directory(cache: RepositoryCache, role: str) -> None:
    with pytest.raises(InvalidNameError):
        cache.load(role)
    with pytest.raises(InvalidNameError):
        cache.store({"root": b"{}", role: b"{}"})
    assert not cache.directory.exists()


def test_a_delegation_never_lies_in_the_cache_of_another_repository(trust: TrustDirectory) -> None:
    outer, inner = trust.repository("a"), trust.repository("a/metadata/targets")
    inner.store({"root": b'{"anchor":1}'})
    roles = ("targets/metadata/root", "targets/metadata/x", "targets/metadata/metadata/root")
    outer.store({"targets/metadata": b'{"m":1}', **dict.fromkeys(roles, b"{}")})
    assert inner.load_root() == b'{"anchor":1}'
    assert inner.cached() == ["root"]
    assert outer.cached() == ["targets/metadata"]
    assert [outer.load(role) for role in roles] == [None, None, None]
    outer.forget()
    assert inner.load_root() == b'{"anchor":1}'


def test_files_are_written_root_first_and_timestamp_last(
    cache: RepositoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(files, "write_atomic", lambda path, _: written.append(path.stem))
    cache.store(ALL)
    assert written == ["root", "snapshot", "targets", "b", "releases", "timestamp"]


def test_a_crash_in_the_middle_keeps_every_file_whole(
    cache: RepositoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.store(ALL)
    write = files.write_atomic

    def crash(path: Path, data: bytes) -> None:
        if path.stem == "targets":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(files, "write_atomic", crash)
    with pytest.raises(KeyboardInterrupt):
        cache.store({role: data + b" " for role, data in ALL.items()})
    assert cache.load("root") == ALL["root"] + b" "
    assert cache.load("targets") == ALL["targets"]
    assert cache.load("timestamp") == ALL["timestamp"]


def test_unchanged_files_are_not_written_again(
    cache: RepositoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.store(ALL)
    written: list[str] = []
    monkeypatch.setattr(files, "write_atomic", lambda path, _: written.append(path.stem))
    cache.store({**ALL, "timestamp": b'{"t":2}', "snapshot": ALL["snapshot"] + b"\n", "targets": b""})
    assert written == ["snapshot", "targets", "timestamp"]


def test_what_could_not_be_loaded_is_not_stored(trust: TrustDirectory, cache: RepositoryCache) -> None:
    cache.store(ALL)
    cache = TrustDirectory(trust.path, Limits(cached_bytes=10)).repository(GUN)
    with pytest.raises(StorageError, match="cannot store targets") as caught:
        cache.store({"root": b'{"o":2}', "targets": b"x" * 11})
    assert "more than 10" in caught.value.why[0]
    assert {role: cache.load(role) for role in ALL} == ALL


def spoil(path: Path, how: str) -> None:
    path.unlink()
    if how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
    elif how == "dangling link":
        path.symlink_to("nowhere")
    elif how == "link":
        (path.parent / "elsewhere").write_bytes(ALL["root"])
        path.symlink_to("elsewhere")
    else:
        with path.open("wb") as stream:
            stream.truncate(DEFAULT.cached_bytes + 1)


@pytest.mark.parametrize("how", ["fifo", "directory", "dangling link", "link", "huge"])
def test_a_spoilt_file_is_as_good_as_none_except_the_root(cache: RepositoryCache, how: str) -> None:
    cache.store(ALL)
    for role in ("timestamp", "snapshot", "targets", "targets/releases"):
        spoil(cache.directory / f"{role}.json", how)
        assert cache.load(role) is None
        assert len(cache.warnings) == 1
        assert role in cache.warnings.pop()
    spoil(cache.directory / "root.json", how)
    for load in (cache.load_root, lambda: cache.load("root")):
        with pytest.raises(CacheDamagedError) as caught:
            load()
        assert f"notarypy forget {GUN}" in advice(caught.value)
        assert str(cache.directory / "root.json") in caught.value.why[0]


@pytest.mark.parametrize("content", [b"", b"{", b'{"signed":{"_ty', b"\0" * 900, b"[]", b'{"a":1,"a":1}'])
def test_a_truncated_root_is_damage_and_not_absence(cache: RepositoryCache, content: bytes) -> None:
    cache.store({"root": content})
    with pytest.raises(CacheDamagedError, match=r"trusted root .* cannot be read"):
        cache.load_root()


def test_spoilt_files_are_replaced_by_the_next_store(cache: RepositoryCache) -> None:
    for how in ("fifo", "dangling link", "link", "huge"):
        cache.store(ALL)
        for role in ALL:
            spoil(cache.directory / f"{role}.json", how)
        cache.store(ALL)
        assert {role: cache.load(role) for role in ALL} == ALL
    assert (cache.directory / "elsewhere").read_bytes() == ALL["root"]


@pytest.mark.parametrize("place", ["tuf", "tuf/docker.io", f"tuf/{GUN}", f"tuf/{GUN}/metadata"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_links_and_files_in_place_of_directories_are_refused(
    trust: TrustDirectory, cache: RepositoryCache, place: str, kind: str
) -> None:
    victim = trust.path.parent / "victim"
    victim.mkdir()
    path = trust.path / place
    path.parent.mkdir(parents=True)
    if kind == "link":
        path.symlink_to(victim)
    else:
        path.write_bytes(b"")
    for use in (cache.load_root, lambda: cache.load("targets"), lambda: cache.store(ALL), cache.forget):
        with pytest.raises(StorageError, match="cannot use"):
            use()
    if not place.endswith("metadata"):  # the lock lies beside the metadata
        with pytest.raises(StorageError, match="cannot use"), cache.lock(0):
            pass
    assert below(victim) == set()


def test_a_linked_directory_of_delegations_is_refused(tmp_path: Path, cache: RepositoryCache) -> None:
    cache.store({"root": b"{}"})
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "x.json").write_bytes(b"{}")
    (cache.directory / "targets").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError):
        cache.load("targets/x")
    assert cache.cached() == ["root"]
    cache.forget()
    assert (tmp_path / "victim" / "x.json").exists()


def test_the_trust_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    cache = TrustDirectory(tmp_path / "link").repository(GUN)
    cache.store(ALL)
    assert cache.load("root") == ALL["root"]
    assert cache.cached() == sorted(ALL)


def test_the_lock_is_per_repository(trust: TrustDirectory, cache: RepositoryCache) -> None:
    with cache.lock(0):
        with pytest.raises(StorageError, match="another notarypy"), trust.repository(GUN).lock(0):
            pass
        with trust.repository("docker.io/library/busybox").lock(0):
            pass
    with trust.repository(GUN).lock(0):
        pass
    assert trust.guns() == []


def test_forget_removes_the_metadata_of_one_repository_only(
    trust: TrustDirectory, cache: RepositoryCache
) -> None:
    others = [trust.repository(f"{GUN}{tail}") for tail in ("/metadata", "/metadata/targets", "/x", "2")]
    for other in (cache, *others):
        other.store({**ALL, "targets/metadata": b'{"m":1}'})
    changes = trust.path / "tuf" / GUN / "changelist"
    changes.mkdir()
    (changes / "1.change").write_bytes(b"{}")
    trust.private.mkdir()
    (trust.private / "k.key").write_bytes(b"key")
    (cache.directory / ".notarypy-0123.tmp").write_bytes(b"half")
    with cache.lock(0):
        before = below(trust.path)
        cache.forget()
    gone = before - below(trust.path)
    metadata = f"tuf/{GUN}/metadata"
    expected = {f"{metadata}/{role}.json" for role in (*ALL, "targets/metadata")}
    assert gone == expected | {f"{metadata}/.notarypy-0123.tmp"}
    assert cache.load_root() is None
    assert cache.cached() == []
    assert trust.guns() == sorted(other.gun for other in others)
    assert all(other.load("targets/a/b") == ALL["targets/a/b"] for other in others)


def test_what_a_killed_process_had_begun_is_removed_by_the_next(cache: RepositoryCache) -> None:
    cache.store({"root": b"{}", "targets/jeff": b"{}"})
    left = [cache.directory / ".notarypy-1.tmp", cache.directory / "targets" / ".notarypy-2.tmp"]
    other = cache.directory / ".another.tmp"
    for path in (*left, other):
        path.write_bytes(b"half")
    cache.store({"root": b"{}", "targets/jeff": b"{ }"})
    assert [path for path in (*left, other) if path.exists()] == [other]


def test_forget_takes_the_root_last(cache: RepositoryCache) -> None:
    cache.store(ALL)
    spoil(cache.directory / "snapshot.json", "directory")
    with pytest.raises(StorageError, match=r"cannot delete .*snapshot\.json"):
        cache.forget()
    assert cache.load_root() == ALL["root"]


def test_repositories_are_listed_also_with_a_damaged_root(trust: TrustDirectory) -> None:
    guns = ["localhost:5000/a", "localhost:5000/a/b", GUN]
    for gun in guns:
        trust.repository(gun).store({"root": b""})
    odd = trust.path / "tuf" / "a?b" / "metadata"
    odd.mkdir(parents=True)
    (odd / "root.json").touch()
    with trust.repository("forgotten/b").lock(0):
        pass
    assert trust.guns() == sorted(guns)


@pytest.mark.parametrize("odd", ["rootless", "file", "link", "linked metadata"])
def test_repositories_that_nobody_can_look_into_are_listed(trust: TrustDirectory, odd: str) -> None:
    trust.repository(GUN).store(ALL)
    cache = trust.repository("localhost:5000/a")
    if odd == "rootless":
        cache.store({"targets": b"{}"})
    else:
        place = cache.directory.parent if odd == "link" else cache.directory
        place.parent.mkdir(parents=True)
        place.touch() if odd == "file" else place.symlink_to(trust.repository(GUN).directory)
    assert trust.guns() == [GUN, "localhost:5000/a"]
    with pytest.raises(StorageError) if odd != "rootless" else nullcontext():
        cache.cached()


class Shut:
    """Folders that this process may not look into, also where it is root."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._scandir = Path("nothing"), os.scandir
        monkeypatch.setattr(os, "scandir", self)

    def __call__(self, path: str | Path) -> object:
        if Path(path).is_relative_to(self.folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return self._scandir(path)


@pytest.mark.parametrize("inner", ["", "metadata", "metadata/targets"])
def test_a_folder_that_nobody_may_enter_is_a_repository(
    trust: TrustDirectory, monkeypatch: pytest.MonkeyPatch, inner: str
) -> None:
    shut = Shut(monkeypatch)
    trust.repository(GUN).store(ALL)
    cache = trust.repository("localhost:5000/k2/b")
    cache.store(ALL)
    shut.folder = cache.directory.parent / inner
    assert trust.guns() == [GUN, "localhost:5000/k2/b"]
    with pytest.raises(CacheDamagedError) as caught:
        cache.cached()
    assert caught.value.advice == Advice("check-owner")


@pytest.mark.parametrize("folder", ["tuf", "tuf/localhost:5000"])
def test_where_nobody_can_tell_which_repositories_there_are_is_an_error(
    trust: TrustDirectory, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    trust.repository(GUN).store(ALL)
    (trust.path / "tuf" / "localhost:5000").mkdir()
    Shut(monkeypatch).folder = trust.path / folder
    with pytest.raises(StorageError, match="cannot read"):
        trust.guns()


def test_staged_changes_are_counted_and_left_alone(trust: TrustDirectory, cache: RepositoryCache) -> None:
    changes = trust.path / "tuf" / GUN / "changelist"
    (changes / "sub.change").mkdir(parents=True)
    for name in ("1.change", "2.change", "other"):
        (changes / name).touch()
    assert cache.staged() == 2
    assert len(below(changes)) == 3


def test_a_directory_that_others_may_write_to_is_worth_a_warning(trust: TrustDirectory) -> None:
    assert trust.check() == []
    trust.path.mkdir(mode=0o700)
    assert trust.check() == []
    trust.path.chmod(0o770)
    assert "other users may write" in trust.check()[0]


def test_the_directory_of_another_user_is_refused(
    trust: TrustDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust.path.mkdir(mode=0o700)
    owner = trust.path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    if owner == 0:
        # A directory of root is as trustworthy as the machine; take another owner's.
        assert trust.check() == []
        os.chown(trust.path, 4242, -1)
    with pytest.raises(StorageError, match="belongs to another user"):
        trust.check()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert "belongs to user" in trust.check()[0]


def test_names_on_windows_have_no_colon(trust: TrustDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)
    for gun in ("localhost:5000/a", "my_registry:5000/a/b", "registry.test/a_1"):
        trust.repository(gun).store({"root": b"{}"})
    assert below(trust.path) == {
        str(Path("tuf", name, "metadata", "root.json"))
        for name in ("localhost_5000/a", "my_registry_5000/a/b", "registry.test/a_1")
    }
    assert trust.guns() == ["localhost:5000/a", "my_registry:5000/a/b", "registry.test/a_1"]


def test_a_date_that_python_cannot_say_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = TrustDirectory(tmp_path).repository("r/a")
    assert cache.confirmed() is None
    cache.store({"timestamp": b"{}"})
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    cache.confirm(moment)
    assert cache.confirmed() == moment
    for far in (2.0**55, -(2.0**55), float("inf")):
        # Some file systems keep such dates.
        monkeypatch.setattr(
            Path, "lstat", lambda _, far=far: SimpleNamespace(st_mtime=far, st_mode=stat.S_IFDIR)
        )
        assert cache.confirmed() is None
