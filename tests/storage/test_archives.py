from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import MetadataError, StorageError
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images.archives import Archive
from support import layouts

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = {"index.json": b"{}", "blobs/sha256/aa": b"x" * 700, "empty": b"", "./dotted": b"d"}


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_are_found_where_they_lie(tmp_path: Path, style: int) -> None:
    long = f"{'deep/' * 40}{'long' * 30}"
    found = Archive(
        layouts.archive(tmp_path / "a.tar", {**CONTENTS, **({long: b"l"} if style else {})}, style=style)
    )
    assert found.read("index.json", 10) == b"{}"
    assert found.read("blobs/sha256/aa", 700) == b"x" * 700
    assert found.read("empty", 0) == b""
    assert found.read("dotted", 1) == b"d"
    assert b"".join(found.chunks("blobs/sha256/aa", 690)) == b"x" * 10
    assert found.size("blobs/sha256/aa") == 700
    assert found.size("nothing") is None
    if style:
        assert found.read(long, 1) == b"l"


def test_names_of_ustar_are_joined(tmp_path: Path) -> None:
    long = f"{'directory/' * 12}file"
    assert Archive(layouts.archive(tmp_path / "a.tar", {long: b"l"})).read(long, 1) == b"l"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no file"):
        Archive(tmp_path / "none.tar")
    found = Archive(layouts.archive(tmp_path / "a.tar", CONTENTS))
    with pytest.raises(FileNotFoundError):
        found.read("nothing", 10)
    with pytest.raises(StorageError, match="does not have nothing"):
        found.chunks("nothing", 0)
    with pytest.raises(MetadataError, match="too big"):
        found.read("index.json", 1)


def test_a_directory_or_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "pipe"):
        with pytest.raises(StorageError, match="cannot use"):
            Archive(tmp_path / name)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", ".."])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(MetadataError, match="not a usable archive") as caught:
        Archive(layouts.archive(tmp_path / "a.tar", {name: b"x"}))
    assert "leads elsewhere" in caught.value.why[0]


def test_the_same_name_twice(tmp_path: Path) -> None:
    first = layouts.archive(tmp_path / "a.tar", {"a": b"x"}).read_bytes().rstrip(b"\0")
    whole = first + bytes(-len(first) % 512) + layouts.archive(tmp_path / "b.tar", {"./a": b"y"}).read_bytes()
    (tmp_path / "c.tar").write_bytes(whole)
    with pytest.raises(MetadataError) as caught:
        Archive(tmp_path / "c.tar")
    assert "twice" in caught.value.why[0]


def test_links_are_names_within_the_archive(tmp_path: Path) -> None:
    links = {
        "b/layer.tar": "../a/layer.tar",
        "out": "/etc/passwd",
        "up": "../../../etc/passwd",
        "loop": "loop",
    }
    found = Archive(layouts.archive(tmp_path / "a.tar", {"a/layer.tar": b"layer"}, links))
    assert found.find("b/layer.tar") is None
    member = found.find("b/layer.tar", links=True)
    assert member is not None
    assert b"".join(found.pieces(member, 0)) == b"layer"
    for name in ("out", "up", "loop"):
        assert found.find(name, links=True) is None
        assert found.size(name) is None


def test_other_kinds_of_entries_are_ignored(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        for kind in (tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo(f"of {kind!r}")
            member.type = kind
            made.addfile(member)
        member = tarfile.TarInfo("file")
        member.size = 1
        made.addfile(member, io.BytesIO(b"f"))
    found = Archive(tmp_path / "a.tar")
    assert found.read("file", 1) == b"f"
    assert found.size(f"of {tarfile.LNKTYPE!r}") is None


@pytest.mark.parametrize("cut", [100, 512, 600, 1200])
def test_an_archive_that_ends_too_early(tmp_path: Path, cut: int) -> None:
    whole = layouts.archive(tmp_path / "a.tar", {"file": b"x" * 1000}).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[:cut])
    with pytest.raises(MetadataError, match="not a usable archive"):
        Archive(tmp_path / "b.tar")


@pytest.mark.parametrize("at", [0, 130, 150, 156, 300])
def test_damaged_headers(tmp_path: Path, at: int) -> None:
    data = bytearray(layouts.archive(tmp_path / "a.tar", {"file": b"x"}).read_bytes())
    data[at] ^= 0x55
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(MetadataError, match="not a usable archive"):
        Archive(tmp_path / "b.tar")


def test_a_compressed_archive_says_what_to_do(tmp_path: Path) -> None:
    data = layouts.archive(tmp_path / "a.tar", {"file": b"x"}).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(data) + bytes(600))
    with pytest.raises(MetadataError) as caught:
        Archive(tmp_path / "a.tar.gz")
    assert advice(caught.value) == "unpack it first: it is compressed with gzip"


def extended(path: Path, /, **said: str) -> Path:
    """Write an archive whose file has an extended header."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as made:
        member = tarfile.TarInfo("file")
        member.size, member.pax_headers = 1, dict(said)
        made.addfile(member, io.BytesIO(b"f"))
    return path


def test_extended_headers(tmp_path: Path) -> None:
    assert Archive(extended(tmp_path / "a.tar", comment="x", path="other")).read("other", 1) == b"f"
    for wrong in ({"size": "9" * 30}, {"size": "-1"}, {"size": "99999"}, {"path": "../x"}):
        with pytest.raises(MetadataError, match="not a usable archive"):
            Archive(extended(tmp_path / "b.tar", **wrong))


def test_large_headers_and_many_entries(tmp_path: Path) -> None:
    with pytest.raises(MetadataError) as caught:
        Archive(extended(tmp_path / "a.tar", comment="x" * DEFAULT.archive_header_bytes))
    assert "a header in it has more than" in caught.value.why[0]
    with pytest.raises(MetadataError) as caught:
        Archive(layouts.archive(tmp_path / "b.tar", CONTENTS), Limits(archive_entries=3))
    assert "more than 3 entries" in caught.value.why[0]


def test_sizes_in_binary(tmp_path: Path) -> None:
    data = bytearray(layouts.archive(tmp_path / "a.tar", {"file": b"x"}).read_bytes())
    data[124:136] = b"\x80" + (1).to_bytes(11, "big")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "b.tar").write_bytes(data)
    assert Archive(tmp_path / "b.tar").read("file", 1) == b"x"


def test_a_file_that_is_shorter_by_now_ends_early(tmp_path: Path) -> None:
    path = layouts.archive(tmp_path / "a.tar", {"file": b"x" * 5000})
    found = Archive(path)
    with path.open("r+b") as stream:
        stream.truncate(1000)
    assert len(b"".join(found.chunks("file", 0))) < 5000
