from __future__ import annotations

import bz2
import errno
import gc
import gzip
import io
import lzma
import os
import random
import shlex
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.cli.text.advice import advice
from notarypy.errors import MetadataError, StorageError, UsageError
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images import compression
from notarypy.storage.images.archives import Archive
from support import layouts

if TYPE_CHECKING:
    from collections.abc import Callable

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


def joined(path: Path, *contents: dict[str, bytes]) -> Path:
    """Write an archive that has the files of several, one after the other."""
    whole = b""
    for number, each in enumerate(contents):
        data = layouts.archive(path / f"{number}.tar", each).read_bytes().rstrip(b"\0")
        whole += data + bytes(-len(data) % 512)
    (path / "joined.tar").write_bytes(whole + bytes(1024))
    return path / "joined.tar"


def test_the_same_file_twice_is_one_file(tmp_path: Path) -> None:
    """Some tools write what two layers share twice; readers take the first or the last."""
    large = bytes(range(256)) * 3000
    found = Archive(joined(tmp_path, {"a": large}, {"b": b"z"}, {"./a": large}))
    assert found.read("a", len(large)) == large


@pytest.mark.parametrize("other", [b"y", b"xx", b""])
def test_the_same_name_for_something_else(tmp_path: Path, other: bytes) -> None:
    with pytest.raises(MetadataError) as caught:
        Archive(joined(tmp_path, {"a": b"x"}, {"./a": other}))
    assert caught.value.why == ("a is in it twice, and not the same",)
    far = bytes(700_000)
    with pytest.raises(MetadataError, match="not a usable archive"):
        Archive(joined(tmp_path, {"a": far + b"x"}, {"a": far + b"y"}))


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


def entries(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """Write an archive of these names, kinds and links; a file holds its own name."""
    with tarfile.open(path, "w") as made:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(name) if kind == tarfile.REGTYPE else 0
            made.addfile(member, io.BytesIO(name.encode()))
    return path


def test_a_hard_link_is_the_file_before_it(tmp_path: Path) -> None:
    links = [("x/a", "./a"), ("y", "x/a"), ("a", "a"), ("early", "z"), ("none", "nothing")]
    made = [("a", tarfile.REGTYPE, ""), *((name, tarfile.LNKTYPE, to) for name, to in links)]
    found = Archive(entries(tmp_path / "a.tar", *made, ("z", tarfile.REGTYPE, "")))
    assert [found.read(name, 9) for name in ("a", "x/a", "y", "z")] == [b"a", b"a", b"a", b"z"]
    assert [found.size(name) for name in ("early", "none")] == [None, None]
    assert found.find("x/a") == found.find("a")


@pytest.mark.parametrize(
    "members",
    [
        [("a", tarfile.REGTYPE, ""), ("b", tarfile.REGTYPE, ""), ("a", tarfile.LNKTYPE, "b")],
        [("a", tarfile.REGTYPE, ""), ("a", tarfile.SYMTYPE, "b")],
        [("a", tarfile.SYMTYPE, "b"), ("a", tarfile.REGTYPE, "")],
        [("a", tarfile.SYMTYPE, "b"), ("a", tarfile.SYMTYPE, "c")],
        [("a", tarfile.REGTYPE, ""), ("b", tarfile.LNKTYPE, "../a")],
        [("a", tarfile.REGTYPE, ""), ("b", tarfile.LNKTYPE, "/a")],
    ],
)
def test_links_that_are_not_clear(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    with pytest.raises(MetadataError, match="not a usable archive"):
        Archive(entries(tmp_path / "a.tar", *members))


def test_other_kinds_of_entries_are_ignored(tmp_path: Path) -> None:
    kinds = (tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    odd = [(f"of {kind!r}", kind, "") for kind in kinds]
    found = Archive(entries(tmp_path / "a.tar", *odd, ("file", tarfile.REGTYPE, "")))
    assert found.read("file", 4) == b"file"
    assert [found.size(name) for name, _, _ in odd] == [None] * 3


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


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, partial(bz2.compress, compresslevel=1), partial(lzma.compress, preset=0)],
    ids=["gzip", "bz2", "xz"],
)
def test_compressed_archives(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    content = random.Random(1).randbytes(1_200_000)
    data = layouts.archive(tmp_path / "a.tar", {"first": content, "second": b"s"}).read_bytes()
    (tmp_path / "a.tar.packed").write_bytes(pack(data[:70_000]) + pack(data[70_000:]))
    found = Archive(tmp_path / "a.tar.packed")
    assert found.read("second", 1) == b"s"
    with ThreadPoolExecutor(4) as threads:
        starts = [0, 1, 1_199_999, 600_000] * 3
        parts = list(threads.map(lambda start: b"".join(found.chunks("first", start)), starts))
    assert parts == [content[start:] for start in starts]


def test_nothing_stays_of_an_unpacked_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    data = layouts.archive(tmp_path / "a.tar", CONTENTS).read_bytes()
    (tmp_path / "a.tgz").write_bytes(gzip.compress(data))
    found = Archive(tmp_path / "a.tgz")
    assert list((tmp_path / "temporary").iterdir()) == []
    del found
    gc.collect()  # what is not closed would be a warning


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (gzip.compress(bytes(9000))[:-9], "it ends too early"),
        (gzip.compress(bytes(9000)) + b"more", "incorrect header"),
        (lzma.compress(b"no archive" * 99), "it is not a tar archive"),
        (gzip.compress(gzip.compress(bytes(9000))), "it is not a tar archive"),
        (b"BZh9" + bytes(600), "Invalid data"),
    ],
    ids=["cut", "more", "no tar", "twice", "damaged"],
)
def test_what_is_compressed_and_no_archive(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(MetadataError, match="a is not a usable archive") as caught:
        Archive(tmp_path / "a")
    assert why in " ".join(caught.value.why)


def test_what_is_unpacked_is_limited(tmp_path: Path) -> None:
    data = layouts.archive(tmp_path / "a.tar", {"zeros": bytes(5_000_000)}).read_bytes()
    for name, pack in (("gz", gzip.compress), ("xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(data))
        assert Archive(tmp_path / name, Limits(unpacked_bytes=len(data))).size("zeros") == 5_000_000
        with pytest.raises(MetadataError) as caught:
            Archive(tmp_path / name, Limits(unpacked_bytes=len(data) - 1))
        assert caught.value.why[1].endswith("bytes when it is unpacked")
    with pytest.raises(MetadataError) as caught:
        Archive(tmp_path / "xz", Limits(unpacking_memory_bytes=1 << 20))
    assert "Memory usage limit" in " ".join(caught.value.why)


def test_no_room_to_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    (tmp_path / "a").write_bytes(gzip.compress(bytes(9000)))
    with pytest.raises(StorageError, match="cannot unpack") as caught:
        Archive(tmp_path / "a")
    assert "No space left" in caught.value.why[0]
    assert "TMPDIR" in advice(caught.value)


@pytest.mark.parametrize(("usual", "on_disk"), [("/tmp", "here"), ("/elsewhere", None)])
def test_where_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: str, on_disk: str | None
) -> None:
    """Where nobody said another folder, on the disk: what is in /tmp may be in memory."""
    chosen, make = [], tempfile.TemporaryFile

    def noted(prefix: str, dir: str | None) -> object:  # noqa: A002 - its name there
        chosen.append(dir)
        return make(prefix=prefix, dir=tmp_path)

    monkeypatch.setattr("tempfile.tempdir", usual)
    monkeypatch.setattr("tempfile.TemporaryFile", noted)
    monkeypatch.setattr(files, "_ON_DISK", str(tmp_path))
    data = layouts.archive(tmp_path / "a.tar", CONTENTS).read_bytes()
    (tmp_path / "a.tgz").write_bytes(gzip.compress(data))
    Archive(tmp_path / "a.tgz")
    assert chosen == [on_disk and str(tmp_path)]


@pytest.mark.parametrize(
    ("begin", "program"),
    [(b"\x04\x22\x4d\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x5d\0\0\x80\0", "lzma")],
)
@pytest.mark.parametrize(
    ("name", "new"),
    [("a", "a.unpacked.tar"), ("-a.tar.zst", "-a.unpacked.tar"), ("a b.tar", "'a b.unpacked.tar'")],
)
def test_what_this_python_cannot_unpack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, program: str, name: str, new: str
) -> None:
    """The archive may be as good as any: it is told as a program that is missing, and not as a bad image."""
    for kind in ("zstd", "lzma"):
        monkeypatch.setitem(vars(compression)["_MODULES"], kind, ("no_such_module", "X"))
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(begin + bytes(600))
    with pytest.raises(UsageError, match=f"is compressed with {program}") as caught:
        Archive(Path(name))
    assert caught.value.exit_code == 2
    said = advice(caught.value)
    assert said == f"unpack it first: {program} -dc < {shlex.quote(name)} > {new}; and name {new}"


def test_what_lzma_packed_before_there_was_xz(tmp_path: Path) -> None:
    data = layouts.archive(tmp_path / "a.tar", CONTENTS).read_bytes()
    (tmp_path / "a.tar.lzma").write_bytes(lzma.compress(data, lzma.FORMAT_ALONE))
    assert Archive(tmp_path / "a.tar.lzma").read("index.json", 2) == b"{}"
    (tmp_path / "a.tar.lzma").write_bytes(lzma.compress(data, lzma.FORMAT_ALONE)[:-9])
    with pytest.raises(MetadataError):
        Archive(tmp_path / "a.tar.lzma")


def test_a_python_that_reads_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python 3.14 brings has the face of bz2 and lzma; here bz2 stands in for it."""
    monkeypatch.setitem(vars(compression)["_MODULES"], "zstd", vars(compression)["_MODULES"]["bzip2"])
    monkeypatch.setitem(vars(compression)["_MAGIC"], b"BZh", "zstd")
    data = layouts.archive(tmp_path / "a.tar", CONTENTS).read_bytes()
    (tmp_path / "a.tar.zst").write_bytes(bz2.compress(data))
    assert Archive(tmp_path / "a.tar.zst").read("index.json", 2) == b"{}"


def test_a_file_called_as_compressed_data_begins(tmp_path: Path) -> None:
    assert Archive(layouts.archive(tmp_path / "a.tar", {"BZh9": b"x"})).read("BZh9", 1) == b"x"


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
