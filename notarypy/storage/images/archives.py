"""Tar archives as they lie: which files are in them and where, without unpacking any of these files.

What it is: an index of one archive, and random access to its files. What it is not: a general reader of tar;
what images are not made of is refused.

Rules:

1. No name of an archive ever names a file on the disk. A compressed archive is unpacked as a whole into one
   temporary file without a name; nothing else is written.
2. Names are relative, without `..`. A file that is there twice is the same both times, byte for byte: readers
   take the first or the last. Anything else makes the archive unusable.
3. A symbolic link is a second name for a file of the same archive; whether such names may be used is for the
   caller to say. A hard link is the file before it that it names. Devices and the like are ignored.
4. Headers are checked, and their number and size limited.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import BinaryIO, NoReturn

from notarypy.errors import Advice, MetadataError, StorageError
from notarypy.files import regular
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images import compression
from notarypy.values import dataclass, replace

_LOG = logging.getLogger(__name__)
BLOCK = 512
PIECE = 256 * 1024
_FILES = frozenset({b"\0", b"0", b"7"})
_HARD_LINK, _LINK, _LONG_NAME, _LONG_LINK = b"1", b"2", b"L", b"K"
_EXTENDED, _GLOBAL, _SPARSE = b"x", b"g", b"S"
_HIGH_BIT = 0x80


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

    def __init__(self, path: Path, limits: Limits = DEFAULT, *, compressed: bool = True) -> None:
        """Read all headers; raise StorageError, or MetadataError for no such archive (rules 2 and 4).

        It may be `compressed`, or that is refused.
        """
        self.path, self.limits, self._may_unpack = path, limits, compressed
        self._unpacked: BinaryIO | None = None
        self._lock = threading.Lock()
        try:
            with regular(path) as stream:
                self._unpacked = self._unpack(stream)
                index = _Index(self._unpacked or stream, path, limits)
        except FileNotFoundError:
            raise StorageError(f"there is no file {path}", path=str(path)) from None
        self._members, self._links = index.found, index.links
        _LOG.debug("%s has %d files and %d links", path, len(self._members), len(self._links))

    def _unpack(self, stream: BinaryIO) -> BinaryIO | None:
        """Return what the archive is without its compression, None if it has none (rule 1)."""
        begin = stream.read(BLOCK)
        kind = compression.kind_of(begin)
        stream.seek(0)
        if not kind or _is_header(begin):
            return None
        if not self._may_unpack:
            _unusable(self.path, f"it is compressed, with {kind}", advice=Advice("unpack-archive"))
        try:
            unpacked = compression.unpack(stream, self.path, kind, self.limits)
        except MetadataError as error:
            _unusable(self.path, *((error.message, *error.why)), advice=error.advice)
        weakref.finalize(self, unpacked.close)
        _LOG.debug("%s was compressed with %s: %d bytes", self.path, kind, unpacked.tell())
        return unpacked

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
        unpacked = self._unpacked
        with regular(self.path) if unpacked is None else nullcontext(unpacked) as stream:
            lock = nullcontext() if unpacked is None else self._lock
            yield from _pieces(
                stream, replace(member, offset=member.offset + start, size=member.size - start), lock
            )


def _pieces(stream: BinaryIO, member: Member, lock: AbstractContextManager[object]) -> Iterator[bytes]:
    at, left = member.offset, member.size
    while left > 0:
        with lock:
            stream.seek(at)
            piece = stream.read(min(PIECE, left))
        if not piece:
            return
        at, left = at + len(piece), left - len(piece)
        yield piece


class _Index:
    """One walk over the headers: the files and symbolic links that it `found`."""

    def __init__(self, stream: BinaryIO, path: Path, limits: Limits) -> None:
        self._stream, self._path = stream, path
        self.found: dict[str, Member] = {}
        self.links: dict[str, str] = {}
        end = stream.seek(0, 2)
        stream.seek(0)
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
                self._add(header, offset)
                extended = {}
            stream.seek(offset + -(-header.size // BLOCK) * BLOCK)

    def _add(self, header: _Header, offset: int) -> None:
        """Note a file or a link (rules 2 and 3)."""
        name = _name(self._path, header.name)
        if header.kind == _SPARSE:
            _unusable(self._path, "it has sparse files")
        if header.kind == _LINK:
            if name in self.found or self.links.setdefault(name, header.link) != header.link:
                _twice(self._path, name)
            return
        member: Member | None = None
        if header.kind == _HARD_LINK:
            member = self.found.get(_name(self._path, header.link))
        elif header.kind in _FILES:
            member = Member(offset, header.size)
        if member is None:
            return
        if name in self.links or not self._same(self.found.setdefault(name, member), member):
            _twice(self._path, name)

    def _same(self, one: Member, other: Member) -> bool:
        if one == other or one.size != other.size:
            return one == other
        pairs = zip(*(_pieces(self._stream, each, nullcontext()) for each in (one, other)), strict=True)
        return all(first == second for first, second in pairs)


def _name(path: Path, written: str) -> str:
    """Return a name as it is looked for (rule 2)."""
    name = written.removeprefix("./").rstrip("/")
    if written.startswith("/") or ".." in name.split("/") or "\0" in name:
        _unusable(path, f"a name in it leads elsewhere: {written[:100]}")
    return name


def _twice(path: Path, name: str) -> NoReturn:
    _unusable(path, f"{name[:100]} is in it twice, and not the same")


def _is_header(block: bytes) -> bool:
    """Tell whether a block has the checksum of a header."""
    field = block[148:156].strip(b"\0 ")
    return len(block) == BLOCK and _is_octal(field) and int(field or b"0", 8) == _checksum(block)


def _checksum(block: bytes) -> int:
    return sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _is_octal(text: bytes) -> bool:
    return all(0x30 <= digit <= 0x37 for digit in text)  # noqa: PLR2004 - "0" to "7"


def _header(path: Path, block: bytes) -> _Header:
    if not _is_header(block):
        _unusable(path, "it is not a tar archive, or damaged")
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
    if not _is_octal(text):
        _unusable(path, "it is not a tar archive, or damaged")
    return int(text or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _unusable(path: Path, *why: str, advice: Advice | None = None) -> NoReturn:
    raise MetadataError(f"{path} is not a usable archive", why=why, advice=advice, path=str(path))
