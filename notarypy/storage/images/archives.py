"""Tar archives as they lie: which files are in them and where, without unpacking anything.

What it is: an index of one archive, and random access to its files. What it is not: a general reader of tar;
what images are not made of is refused.

Rules:

1. Nothing is written, and no name of an archive ever names a file on the disk.
2. Names are relative, without `..`. No file is there twice. Anything else makes the archive unusable.
3. A symbolic link is a second name for a file of the same archive; whether such names may be used is for the
   caller to say. Hard links, devices and the like are ignored.
4. Headers are checked, and their number and size limited.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import BinaryIO, NoReturn

from notarypy.errors import Advice, MetadataError, StorageError
from notarypy.files import regular
from notarypy.limits import DEFAULT, Limits

_LOG = logging.getLogger(__name__)
BLOCK = 512
PIECE = 256 * 1024
_FILES = frozenset({b"\0", b"0", b"7"})
_LINK, _LONG_NAME, _LONG_LINK = b"2", b"L", b"K"
_EXTENDED, _GLOBAL, _SPARSE = b"x", b"g", b"S"
_HIGH_BIT = 0x80
_PACKED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


@dataclass(frozen=True)
class Member:
    """Where a file lies in the archive."""

    offset: int
    size: int


@dataclass(frozen=True)
class _Header:
    """One header, with what extended headers before it say."""

    name: str
    kind: bytes
    size: int
    link: str


class Archive:
    """The files of one archive; safe to use from several threads."""

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Read all headers; raise StorageError, or MetadataError for no such archive (rules 2 and 4)."""
        self.path, self.limits = path, limits
        self._links: dict[str, str] = {}
        try:
            with regular(path) as stream:
                self._members = _index(stream, path, self._links, limits)
        except FileNotFoundError:
            raise StorageError(f"there is no file {path}", path=str(path)) from None
        _LOG.debug("%s has %d files and %d links", path, len(self._members), len(self._links))

    def __str__(self) -> str:
        """Return what messages call it."""
        return str(self.path)

    def find(self, name: str, *, links: bool = False) -> Member | None:
        """Return a file by its name; with `links`, a name may be a link to it too (rule 3)."""
        found = self._members.get(name)
        if found is None and links and name in self._links:
            return self._members.get(normpath(join(dirname(name), self._links[name])))
        return found

    def size(self, name: str) -> int | None:
        """Return the size of a file, None if there is none."""
        found = self.find(name)
        return None if found is None else found.size

    def read(self, name: str, limit: int) -> bytes:
        """Return a small file; raise FileNotFoundError, or MetadataError if it is too big."""
        member = self.find(name)
        if member is None:
            raise FileNotFoundError(name)
        if member.size > limit:
            raise MetadataError(f"{name} in {self} is too big", why=f"more than {limit} bytes")
        return b"".join(self.pieces(member, 0))

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        """Yield a file from a position on; raise StorageError if there is none."""
        member = self.find(name)
        if member is None:
            raise StorageError(f"{self} does not have {name}", advice=Advice("make-anew"), path=str(self))
        return self.pieces(member, start)

    def pieces(self, member: Member, start: int) -> Iterator[bytes]:
        """Yield a file from a position on."""
        left = member.size - start
        with regular(self.path) as stream:
            stream.seek(member.offset + start)
            while left > 0 and (piece := stream.read(min(PIECE, left))):
                left -= len(piece)
                yield piece


def _index(stream: BinaryIO, path: Path, links: dict[str, str], limits: Limits) -> dict[str, Member]:
    end = stream.seek(0, 2)
    stream.seek(0)
    found: dict[str, Member] = {}
    extended: dict[str, str] = {}
    seen = 0
    while (block := stream.read(BLOCK)).strip(b"\0"):
        seen += 1
        if seen > limits.archive_entries:
            _unusable(path, f"it has more than {limits.archive_entries} entries")
        header = _header(path, block)
        offset = stream.tell()
        if header.kind in {_LONG_NAME, _LONG_LINK, _EXTENDED, _GLOBAL}:
            if header.size > limits.archive_header_bytes:
                _unusable(path, f"a header in it has more than {limits.archive_header_bytes} bytes")
            _extend(extended, header, stream.read(header.size))
        else:
            header = _completed(path, header, extended)
            if offset + header.size > end:
                _unusable(path, "it ends in the middle of a file")
            _add(path, header, offset, found, links)
            extended = {}
        stream.seek(offset + -(-header.size // BLOCK) * BLOCK)
    return found


def _header(path: Path, block: bytes) -> _Header:
    stated = _number(path, block[148:156])
    if len(block) < BLOCK or stated != sum(block[:148]) + 8 * 0x20 + sum(block[156:]):
        packed = next((kind for magic, kind in _PACKED.items() if block.startswith(magic)), "")
        advice = Advice("unpack", packed=packed) if packed else None
        _unusable(path, "it is not a tar archive, or damaged", advice)
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    name = _text(block[:100])
    size = _number(path, block[124:136])
    return _Header(f"{prefix}/{name}" if prefix else name, block[156:157], size, _text(block[157:257]))


def _completed(path: Path, header: _Header, extended: dict[str, str]) -> _Header:
    size = extended.get("size") or str(header.size)
    if not (size.isascii() and size.isdecimal() and len(size) < BLOCK // 16):
        _unusable(path, "a size in it is no number")
    has_content = header.kind in _FILES or header.kind == _SPARSE
    return replace(
        header,
        name=extended.get("path", header.name),
        size=int(size) if has_content else 0,
        link=extended.get("linkpath", header.link),
    )


def _add(path: Path, header: _Header, offset: int, found: dict[str, Member], links: dict[str, str]) -> None:
    """Note a file or a link (rules 2 and 3)."""
    name = header.name.removeprefix("./").rstrip("/")
    if header.name.startswith("/") or ".." in name.split("/") or "\0" in name:
        _unusable(path, f"a name in it leads elsewhere: {header.name[:100]}")
    if header.kind == _SPARSE:
        _unusable(path, "it has sparse files")
    if header.kind not in _FILES and header.kind != _LINK:
        return
    if name in found or name in links:
        _unusable(path, f"{name[:100]} is in it twice")
    if header.kind == _LINK:
        links[name] = header.link
    else:
        found[name] = Member(offset, header.size)


def _extend(extended: dict[str, str], header: _Header, data: bytes) -> None:
    """Take what an extended header says of the next file; what one says of all files is left out."""
    if header.kind == _LONG_NAME:
        extended["path"] = _text(data)
    elif header.kind == _LONG_LINK:
        extended["linkpath"] = _text(data)
    elif header.kind == _EXTENDED:
        while data:
            length, _, _ = data.partition(b" ")
            if not (length.isdigit() and len(length) < 7 and len(length) < int(length) <= len(data)):  # noqa: PLR2004 - six digits are more than the limit
                return
            record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
            key, _, value = record.decode(errors="replace").partition("=")
            extended[key] = value


def _number(path: Path, field: bytes) -> int:
    if field and field[0] == _HIGH_BIT:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b"\0 ")
    if text and not all(0x30 <= digit <= 0x37 for digit in text):  # noqa: PLR2004 - "0" to "7"
        _unusable(path, "it is not a tar archive, or damaged")
    return int(text or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _unusable(path: Path, why: str, advice: Advice | None = None) -> NoReturn:
    raise MetadataError(f"{path} is not a usable archive", why=why, advice=advice, path=str(path))
