from __future__ import annotations

import errno
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import AlreadyExistsError, DigestMismatchError, MetadataError, StorageError
from notarypy.images import layout
from notarypy.storage.images import layoutwriter
from notarypy.storage.images.layoutreader import Directory, Layout
from notarypy.storage.images.layoutwriter import BlobWriter, LayoutWriter, pack
from support import layouts

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"a blob" * 1000
BLOB = layout.of(DATA, layouts.OCI_LAYER)
MADE = layouts.image(DATA)
TOP = layout.of(MADE.top, MADE.media_type)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr(layoutwriter, "_LOCK_SECONDS", 0.05)


def path_of(directory: Path) -> Path:
    return directory / "blobs" / BLOB.digest.replace(":", "/")


def bring(held: LayoutWriter, *pieces: bytes) -> None:
    with held.blob_writer(BLOB) as writer:
        for piece in pieces:
            writer.write(piece)
        writer.finish()


def test_a_layout_is_a_layout_when_it_is_named(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "a" / "dir").opened() as held:
        bring(held, DATA[:100], DATA[100:])
        held.put(TOP, MADE.top)
        with pytest.raises(StorageError, match="is not an OCI image layout"):
            Layout(Directory(held.path))
        held.name(TOP, "1")
    found = Layout(Directory(tmp_path / "a" / "dir"))
    assert found.find("1").digest == TOP.digest
    assert b"".join(found.chunks(BLOB, 0)) == DATA


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_what_others_can_write_to_is_not_packed(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "staging", tmp_path / "other"
    other.mkdir()
    if kind == "link":
        path.symlink_to(other)
    elif kind == "file":
        path.touch()
    else:
        path.mkdir()
        path.chmod(0o777)
    with pytest.raises(StorageError, match="cannot"):
        layoutwriter.make_private(path)


def test_a_directory_of_ours_is_private_and_stays(tmp_path: Path) -> None:
    layoutwriter.make_private(tmp_path / "a" / "staging")
    layoutwriter.make_private(tmp_path / "a" / "staging")
    assert (tmp_path / "a" / "staging").stat().st_mode & 0o777 == 0o700


def test_a_second_image_joins_the_first(tmp_path: Path) -> None:
    other = layout.of(b"other", MADE.media_type)
    for entry, name in ((TOP, "1"), (other, "2"), (other, "1")):
        with LayoutWriter(tmp_path / "dir").opened() as held:
            held.name(entry, name)
    found = Layout(Directory(tmp_path / "dir"))
    assert {entry.name: entry.digest for entry in found.entries} == {"1": other.digest, "2": other.digest}


def test_what_another_program_wrote_is_kept(tmp_path: Path) -> None:
    directory = layouts.layout(tmp_path / "dir", layouts.image(b"older"), "old")
    with LayoutWriter(directory).opened() as held:
        held.name(TOP, "new")
    assert {entry.name for entry in Layout(Directory(directory)).entries} == {"old", "new"}


def test_a_blob_has_its_name_only_when_it_is_right(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "dir").opened() as held:
        for wrong in (DATA[:-1], DATA + b"x", b"A" + DATA[1:], b""):
            with pytest.raises(DigestMismatchError):
                bring(held, wrong)
            assert list(path_of(held.path).parent.iterdir()) == []
            assert not held.has(BLOB)


def test_the_next_run_goes_on(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "dir").opened() as held:
        with held.blob_writer(BLOB) as writer:
            writer.write(DATA[:1234])
        assert not held.has(BLOB)
    with LayoutWriter(tmp_path / "dir").opened() as held:
        with held.blob_writer(BLOB) as writer:
            assert (writer.position, writer.resumed) == (1234, True)
            writer.write(DATA[1234:])
            writer.finish()
        assert held.has(BLOB)
    assert [file.name for file in path_of(tmp_path / "dir").parent.iterdir()] == [path_of(tmp_path).name]


def test_a_remainder_that_is_too_long_is_thrown_away(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "dir").opened() as held:
        with held.blob_writer(BLOB) as writer:
            writer.write(DATA + DATA)
        with held.blob_writer(BLOB) as writer:
            assert (writer.position, writer.resumed) == (0, False)


def test_a_download_that_begins_anew(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "dir").opened() as held:
        with held.blob_writer(BLOB) as writer:
            writer.write(b"something wrong")
            writer.restart()
            writer.write(DATA)
            writer.finish()
        assert held.has(BLOB)


def test_what_is_there_counts_after_it_was_hashed(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "dir").opened() as held:
        bring(held, DATA)
        for wrong in (DATA[:-1] + b"X", DATA[:-1]):
            path_of(held.path).write_bytes(wrong)
            assert not held.has(BLOB)
        bring(held, DATA)
        assert held.has(BLOB)


def test_other_directories_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(AlreadyExistsError, match="something else"), LayoutWriter(path).opened():
            pass
    assert {entry.name for entry in tmp_path.iterdir()} == {"mine", "file"}
    (tmp_path / "mine").unlink()
    (tmp_path / "file").unlink()
    with LayoutWriter(tmp_path).opened() as held:
        assert not held.has(BLOB)


def test_layouts_of_another_version_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_bytes(b'{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(MetadataError), LayoutWriter(tmp_path).opened():
        pass


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with LayoutWriter(tmp_path / "dir").opened() as held:
        (held.path / "blobs").symlink_to(outside)
        with pytest.raises(StorageError, match="cannot use"):
            bring(held, DATA)
        (held.path / "blobs").unlink()
        path_of(held.path).parent.mkdir(parents=True)
        victim = tmp_path / "victim"
        victim.write_bytes(DATA)
        path_of(held.path).symlink_to(victim)
        assert not held.has(BLOB)
        path_of(held.path).with_name(f"{path_of(held.path).name}.part").symlink_to(victim)
        with pytest.raises(StorageError):
            bring(held, b"")
        assert victim.read_bytes() == DATA
    assert list(outside.iterdir()) == []


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        LayoutWriter(tmp_path / "dir").opened(),
        pytest.raises(StorageError, match="another notarypy is at work"),
        LayoutWriter(tmp_path / "dir").opened(),
    ):
        pass


def test_a_full_disk_is_not_the_networks_fault(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        """A file on a full disk."""

        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = BlobWriter(tmp_path / "blob", Full(), BLOB)
    with pytest.raises(StorageError) as caught:
        writer.write(DATA)
    assert "No space left" in caught.value.why[0]


def filled(directory: Path) -> LayoutWriter:
    with LayoutWriter(directory).opened() as held:
        for data in (*MADE.blobs, MADE.top):
            held.put(layout.of(data, "x/y"), data)
        held.name(TOP, "1")
    return held


def test_an_archive_of_a_layout(tmp_path: Path) -> None:
    held = filled(tmp_path / "dir")
    blobs = [layout.of(data, "x/y") for data in (*MADE.blobs, MADE.top)]
    for name in ("a.tar", "b.tar"):
        pack(held, blobs, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as made:
        assert len(made.getnames()) == 2 + len(blobs)
        assert {member.mtime for member in made} == {0}
    with pytest.raises(AlreadyExistsError, match="already"):
        pack(held, blobs, tmp_path / "a.tar")
    assert {file.name for file in tmp_path.iterdir()} == {"dir", "a.tar", "b.tar"}


def test_an_archive_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    held = filled(tmp_path / "dir")
    with pytest.raises(StorageError):
        pack(held, [layout.of(b"not there", "x/y")], tmp_path / "a.tar")
    assert [file.name for file in tmp_path.iterdir()] == ["dir"]


def test_an_archive_takes_no_place_that_was_taken_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = filled(tmp_path / "dir")
    blobs = [layout.of(data, "x/y") for data in (*MADE.blobs, MADE.top)]
    link = os.link

    def overtaken(made: Path, target: Path) -> None:
        target.write_bytes(b"somebody else's")
        link(made, target)

    monkeypatch.setattr("os.link", overtaken)
    with pytest.raises(AlreadyExistsError):
        pack(held, blobs, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"somebody else's"
    assert {file.name for file in tmp_path.iterdir()} == {"dir", "a.tar"}


def test_where_files_have_one_name_an_archive_is_made_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = filled(tmp_path / "dir")

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr("os.link", refused)
    pack(held, [TOP], tmp_path / "a.tar")
    assert {file.name for file in tmp_path.iterdir()} == {"dir", "a.tar"}
