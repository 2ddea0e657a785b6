"""The file of a backup: one form, read back to the last bit, refused as a whole."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from notarypy.errors import AlreadyExistsError, BackupUnusableError, StorageError
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.backupfile import BackupFile, BackupWriter, new_backup

SAID = {"made": "2026-11-29T12:00:00Z", "names": ["ä", "b"]}
LONG = "tuf/registry.example.com/" + "very-long/" * 12 + "metadata/root.json"
FILES = {"private/a.key": b"a key", LONG: b"a root" * 100, "settings/ö.toml": b"", "b": bytes(512)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "backup.tar", FILES)


def written(path: Path, contents: dict[str, bytes]) -> Path:
    with new_backup(path) as writer:
        for name, data in contents.items():
            writer.add(name, data)
        writer.finish(SAID)
    return path


def content(path: Path) -> tuple[dict[str, bytes], dict[str, object], str]:
    with BackupFile(path) as backup:
        return {name: backup.read(name) for name in backup.names}, backup.manifest, backup.sha256


def raw(contents: dict[str, bytes], *, finish: bool = True) -> bytes:
    """Return a backup as the writer makes it, in memory."""
    stream = io.BytesIO()
    writer = BackupWriter(stream)
    for name, data in contents.items():
        writer.add(name, data)
    if finish:
        writer.finish(SAID)
    return stream.getvalue()


def refused(path: Path, data: bytes | None = None, limits: Limits = DEFAULT) -> str:
    """Return why a file is no backup."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BackupUnusableError) as error:
        BackupFile(path, limits)
    assert error.value.exit_code == 4
    assert error.value.facts["path"] == str(path)
    return "; ".join(error.value.why)


# -- what is written comes back


def test_what_is_written_comes_back(path: Path) -> None:
    found, said, digest = content(path)
    assert found == FILES
    assert said == SAID
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_content_is_the_same_file(path: Path, tmp_path: Path) -> None:
    assert written(tmp_path / "again.tar", FILES).read_bytes() == path.read_bytes() == raw(FILES)


def test_other_programs_read_it_too(path: Path, tmp_path: Path) -> None:
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive}
        streams = {name: archive.extractfile(name) for name in members}
        found = {name: stream.read() for name, stream in streams.items() if stream is not None}
    names = [f"notarypy-backup-1/{name}" for name in (*FILES, "manifest.json", "SHA256SUMS")]
    assert list(members) == names
    assert all(member.isreg() and member.mode == 0o600 for member in members.values())
    for name, data in FILES.items():
        assert found[f"notarypy-backup-1/{name}"] == data
    subprocess.run(["tar", "-xf", path, "-C", tmp_path], check=True)
    folder = tmp_path / "notarypy-backup-1"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_it_replaces_nothing_and_leaves_nothing_half(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(AlreadyExistsError):
        written(path, {})
    other = tmp_path / "other.tar"
    with pytest.raises(StorageError), new_backup(other) as writer:
        writer.add("a/../a", b"a")
    other.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExistsError):
        written(other, {})
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup.tar", "other.tar"]


def test_where_files_have_one_name_it_replaces_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.tar"

    def linkless(_: Path, target: Path) -> None:
        if target == other:
            other.write_text("it came meanwhile")
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", linkless)
    assert content(written(tmp_path / "backup.tar", FILES))
    with pytest.raises(AlreadyExistsError):
        written(other, FILES)
    assert other.read_text() == "it came meanwhile"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup.tar", "other.tar"]


@pytest.mark.parametrize(
    "name", ["", "/a", "../a", "a/../b", "a//b", "./a", "a\\b", "a\nb", "@long", "a/\u202eb"]
)
def test_a_name_that_means_something_elsewhere_is_never_written(name: str) -> None:
    with pytest.raises(StorageError):
        BackupWriter(io.BytesIO()).add(name, b"")


# -- every bit counts


def flipped(path: Path, bits: range) -> None:
    """Turn these bits around, one after the other: each makes it no backup."""
    good = path.read_bytes()
    descriptor = os.open(path, os.O_RDWR)
    try:
        for bit in bits:
            at = bit // 8
            os.pwrite(descriptor, bytes([good[at] ^ 1 << bit % 8]), at)
            assert refused(path)
            os.pwrite(descriptor, good[at : at + 1], at)
    finally:
        os.close(descriptor)
    assert content(path)


def test_one_bit_of_each_of_some_bytes_is_enough_to_refuse_it(tmp_path: Path) -> None:
    path = written(tmp_path / "small.tar", {"private/a.key": b"a key", "tuf/" + "x" * 100: b"root"})
    flipped(path, range(0, path.stat().st_size * 8, 8 * 7 + 1))


@pytest.mark.slow
def test_every_single_bit_is_enough_to_refuse_it(tmp_path: Path) -> None:
    path = written(tmp_path / "small.tar", {"private/a.key": b"a key"})
    flipped(path, range(path.stat().st_size * 8))


def test_what_is_damaged_is_named(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b"a root")
    assert refused(path, data[:at] + b"b" + data[at + 1 :]) == f"{LONG}: its SHA-256 is another"
    at = data.index(b"manifest.json") + 512
    assert refused(path, data[:at] + b"[" + data[at + 1 :]) == "manifest.json: its SHA-256 is another"
    at = data.index(b"a key")
    assert "private/a.key" in refused(path, data[: at + 10] + b"x" + data[at + 11 :])


@pytest.mark.parametrize("count", [0, 1, 17, 26, 511, 512, 513, 1024, 5000])
def test_what_is_cut_off_is_refused(path: Path, count: int) -> None:
    data = path.read_bytes()
    assert refused(path, data[:count])
    assert refused(path, data[: len(data) - 1 - count])


@pytest.mark.parametrize("more", [b"\0", b"x", bytes(512), raw({})])
def test_what_stands_behind_it_or_before_it_is_refused(path: Path, more: bytes) -> None:
    data = path.read_bytes()
    assert "its end is another" in refused(path, data + more)
    assert refused(path, more + data)


def test_no_member_changes_its_place_or_is_there_twice(path: Path) -> None:
    data, blocks = path.read_bytes(), 512
    one, two = raw({"b": FILES["b"]}, finish=False), raw({"private/a.key": b"a key"}, finish=False)
    assert one in data
    assert two in data
    swapped = data.replace(one, bytes(len(one))).replace(two, one).replace(bytes(len(one)), two, 1)
    assert len(one) == 2 * blocks == len(two)
    assert refused(path, swapped)
    assert refused(path, data.replace(two, two + two)) == "private/a.key: it is there twice"
    assert refused(path, data.replace(two, b""))


def test_a_newer_form_is_said_to_be_one(path: Path) -> None:
    member = tarfile.TarInfo("notarypy-backup-2/whatever")
    path.write_bytes(tarred(member))
    with pytest.raises(BackupUnusableError, match="newer form") as error:
        BackupFile(path)
    assert error.value.why == ("its form is 2",)
    assert error.value.advice is not None
    assert error.value.advice.name == "newer-for-backup"


# -- hostile archives


def tarred(member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
)
def test_nothing_but_files_is_in_it(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("notarypy-backup-1/private/a.key")
    member.type, member.linkname = kind, "/etc/passwd"
    assert "a header of it is damaged" in refused(tmp_path / "hostile.tar", tarred(member))


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "a/../../x", "a/./b", "a\\..\\b", "", "@long-name"]
)
def test_no_name_leads_out_of_it(tmp_path: Path, name: str) -> None:
    member = tarfile.TarInfo(f"notarypy-backup-1/{name}")
    member.mode, member.mtime = 0o600, 0
    assert refused(tmp_path / "hostile.tar", tarred(member, b"data"))


def test_huge_sizes_cost_nothing(path: Path) -> None:
    data = path.read_bytes()
    for size in (b"77777777777", b"\x80" + b"\xff" * 10, b"-0000000001", b" 0000000005"):
        assert refused(path, data[:124] + size + data[135:])
    assert refused(path, data, Limits(archive_entries=1)).endswith("too many files")
    assert refused(path, data, Limits(cached_bytes=511)).endswith("too many files")
    assert refused(path, data, Limits(archive_header_bytes=10))
    assert refused(path, data, Limits(json_parts=1)) == "manifest.json is not as it was written"


def test_a_manifest_has_one_form(tmp_path: Path) -> None:
    for text in (b"{}", b'{\n "a": 1, "a": 1\n}\n', b"[]\n", b"[" * 100_000, b'{\n "a": NaN\n}\n', b"\xff"):
        stream = io.BytesIO()
        writer = BackupWriter(stream)
        writer.add("manifest.json", text)
        writer.add("SHA256SUMS", hashlib.sha256(text).hexdigest().encode() + b"  manifest.json\n")
        data = stream.getvalue() + bytes(1024)
        assert refused(tmp_path / "odd.tar", data) == "manifest.json is not as it was written"


def test_a_file_that_changes_under_the_reader_is_not_given_out(path: Path) -> None:
    with BackupFile(path) as backup:
        data = path.read_bytes()
        path.write_bytes(data.replace(b"a key", b"b key"))
        with pytest.raises(BackupUnusableError, match="not used"):
            backup.read("private/a.key")
        with pytest.raises(BackupUnusableError):
            backup.read("private/b.key")


def test_only_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path, tmp_path / "fifo", tmp_path / "nothing", Path("/dev/zero")):
        with pytest.raises(StorageError):
            BackupFile(place)
