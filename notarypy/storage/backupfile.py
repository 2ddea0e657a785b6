"""A backup: one file that holds others, each with its SHA-256, and that is good as a whole or not at all.

What it is: a tar archive with one possible form for its content, written and read back. What it is not: what
belongs into a backup (`client.backup`), a secret, or protected from who can write it: whoever can change the
file can write another one.

Rules:

1. Everything in it is in one folder, which says which form it has: `notarypy-backup-1/`. Members are regular
   files, mode 0600, without date and owner; `manifest.json` says what they are, and `SHA256SUMS`, the last,
   has the SHA-256 of all others, as `sha256sum -c` reads it.
2. Reading it means writing it again: each header, each padding and the end is what it would be if it were
   written now, byte for byte. So no bit of it can be another, nothing can be before, between or behind.
3. Names are relative, and none is there twice. What they name on a disk is not decided here.
4. It has been read as a whole before any of it is given out, and each file is compared with its SHA-256 again
   when it is: the file may be changed meanwhile.
5. It gets its name when it is complete and on the disk, and replaces nothing. Its mode is 0600.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from notarypy import files, jsontext
from notarypy.errors import Advice, AlreadyExistsError, BackupUnusableError, StorageError
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass

if TYPE_CHECKING:
    from typing import Self

_LOG = logging.getLogger(__name__)
_NAME, _FORM = b"notarypy-backup-", b"notarypy-backup-1/"
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_BLOCK, _PIECE = 512, 1 << 20
_LONG, _RECORD = _FORM + b"@long-name", _FORM + b"@name"
_SHORT = 100  # bytes of a name that the oldest headers have room for
_MANIFEST_LEVELS = 5
_SUM = slice(148, 156)
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True)
class _Member:
    """Where a file lies in a backup, and what it is."""

    offset: int
    size: int
    sha256: str


class BackupWriter:
    """Writes the members of a backup, in the order in which they come."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to a stream."""
        self._stream = stream
        self._sums: dict[str, str] = {}

    def add(self, name: str, data: bytes) -> str:
        """Add a file, and return its name (rule 3)."""
        if not _usable(name) or name in self._sums:
            raise StorageError(f"{name!r} cannot be in a backup", why="its name is not usable, or is taken")
        self._sums[name] = hashlib.sha256(data).hexdigest()
        for part in (_header(name, len(data)), data, _padding(len(data))):
            self._stream.write(part)
        return name

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write what the members are, their hashes, and the end (rule 1)."""
        self.add(MANIFEST, _written(manifest))
        self.add(SUMS, _sums(self._sums))
        self._stream.write(_END)


@contextmanager
def new_backup(path: Path) -> Iterator[BackupWriter]:
    """Open a backup to be written, which gets its name at the end (rule 5); raise AlreadyExistsError."""
    temporary = path.parent / f".notarypy-{os.urandom(8).hex()}.tmp"
    try:
        _refuse_existing(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(temporary, flags, 0o600), "wb") as stream:  # noqa: PTH123 - a descriptor, no path
            yield BackupWriter(stream)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            files.take_name(temporary, path)
        except FileExistsError:
            _refuse_existing(path)
            raise
        _LOG.debug("the backup %s is complete", path)
    except OSError as error:
        raise files.failure("write", path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        message, advice = f"there is a file {path} already", Advice("choose-free-file")
        raise AlreadyExistsError(message, advice=advice, path=str(path))


class BackupFile:
    """A backup that was read as a whole (rule 4); to be closed.

    Attributes:
        path: Where it is.
        sha256: Of the whole file.
        size: Its bytes.
        names: Its members, without the last two.
        manifest: What it says these are.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Read and check it; raise StorageError, or BackupUnusableError for what is no backup (rule 2)."""
        self.path, self._limits = path, limits
        self._opened = files.regular(path)
        try:
            self._stream = self._opened.__enter__()
        except FileNotFoundError:
            raise StorageError(f"there is no file {path}", path=str(path)) from None
        try:
            reading = _Reading(self._stream, path, limits)
            self._members = reading.members
            self.sha256, self.size = reading.sha256, reading.position
            self.manifest = self._manifest()
        except OSError as error:
            self.close()
            raise files.failure("read", path, error) from error
        except BaseException:
            self.close()
            raise
        self.names = frozenset(self._members) - {MANIFEST, SUMS}

    def __enter__(self) -> Self:
        """Return the backup itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._opened.__exit__(None, None, None)

    def read(self, name: str) -> bytes:
        """Return the bytes of a member; raise BackupUnusableError if they are others now (rule 4)."""
        member = self._members.get(name)
        if member is None:
            raise unusable(self.path, f"{name} is not in it")
        self._stream.seek(member.offset)
        data = self._stream.read(member.size)
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise unusable(self.path, f"{name} was changed while it was read")
        return data

    def _manifest(self) -> dict[str, Any]:
        try:
            data = self.read(MANIFEST)
            found = jsontext.read(data, _MANIFEST_LEVELS, self._limits.json_parts)
            same = _written(found) == data
        except ValueError:
            same = False
        if not same:
            raise unusable(self.path, f"{MANIFEST} is not as it was written")
        return found


class _Reading:
    """One walk through a file, which must be a backup to its last byte (rule 2)."""

    def __init__(self, stream: BinaryIO, path: Path, limits: Limits) -> None:
        self._stream, self._path, self._limits = stream, path, limits
        self.position, self._hash = 0, hashlib.sha256()
        self.members: dict[str, _Member] = {}
        self._last = "its beginning"
        self._require_form()
        while SUMS not in self.members:
            self._member()
        if self._stream.read(len(_END) + 1) != _END:
            raise self._damaged("its end is another, or something stands behind it")
        self._hash.update(_END)
        self.position += len(_END)
        self.sha256 = self._hash.hexdigest()

    def _require_form(self) -> None:
        block = self._stream.read(_BLOCK)
        self._stream.seek(0)
        if block.startswith(_FORM):
            return
        form, slash, _ = block[len(_NAME) :].partition(b"/")
        intact = len(block) == _BLOCK and block[_SUM] == b"%06o\0 " % _total(block)
        if intact and block.startswith(_NAME) and slash and form.isdigit():
            why, advice = f"its form is {form.decode()}", Advice("newer-for-backup")
            message = f"{self._path} is of a newer form"
            raise BackupUnusableError(message, why=why, advice=advice, path=str(self._path))
        raise unusable(self._path, "it does not begin like one: it is no backup, or is damaged")

    def _take(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise self._damaged("it is cut off")
        self._hash.update(data)
        self.position += count
        return data

    def _member(self) -> None:
        """Take one member: its header first, which has one possible form."""
        block = written = self._take(_BLOCK)
        name = block[:_SHORT].rstrip(b"\0")
        if name == _RECORD:
            size = _size(block)
            if size > self._limits.archive_header_bytes:
                raise self._damaged("a header of it is damaged")
            record = self._take(size + len(_padding(size)))
            block = self._take(_BLOCK)
            name, written = record[:size].partition(b" path=")[2].rstrip(b"\n"), written + record + block
        text, size = name.removeprefix(_FORM).decode(errors="replace"), _size(block)
        if not _usable(text) or written != _header(text, size):
            raise self._damaged("a header of it is damaged")
        self._last = text
        if text in self.members:
            raise self._damaged("it is there twice")
        if size > self._limits.cached_bytes or len(self.members) > self._limits.archive_entries:
            raise self._damaged("it has too many bytes, or the backup too many files")
        start, digest = self.position, hashlib.sha256()
        for left in range(size, 0, -_PIECE):
            digest.update(self._take(min(left, _PIECE)))
        if self._take(len(_padding(size))).strip(b"\0"):
            raise self._damaged("what fills up its last block is not empty")
        if text == SUMS:
            self._require_sums(start, size)
        self.members[text] = _Member(start, size, digest.hexdigest())

    def _require_sums(self, start: int, size: int) -> None:
        """Compare the hashes of all files with the list of them, and name the first that differs."""
        after = self._stream.tell()
        self._stream.seek(start)
        said = self._stream.read(size)
        self._stream.seek(after)
        found = {name: member.sha256 for name, member in self.members.items()}
        if next(reversed(found), "") != MANIFEST:
            raise self._damaged(f"{MANIFEST} is not the last file before it")
        if said == _sums(found):
            return
        lines = said.splitlines(keepends=True)
        for name, line in zip(found, lines, strict=False):
            if line != _sums({name: found[name]}):
                self._last = name
                raise self._damaged("its SHA-256 is another")
        raise self._damaged("it lists other files")

    def _damaged(self, why: str) -> BackupUnusableError:
        return unusable(self._path, f"{self._last}: {why}")


def on_disk(name: str) -> str:
    """Return what tar calls a member."""
    return f"{_FORM.decode()}{name}"


def unusable(path: Path, *why: str) -> BackupUnusableError:
    """Return the refusal of a backup as a whole."""
    message, advice = f"{path} is not used: it is no backup as it was written", Advice("take-other-backup")
    return BackupUnusableError(message, why=why, advice=advice, path=str(path))


def _written(manifest: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True)}\n".encode()


def _sums(hashes: Mapping[str, str]) -> bytes:
    return b"".join(f"{digest}  {name}\n".encode() for name, digest in hashes.items())


def _usable(name: str) -> bool:
    """Tell whether a name is relative, and the same for every program that reads it (rule 3)."""
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and not name.startswith("@")
    return plain and len(name) <= DEFAULT.reference_chars << 2 and not {"", ".", ".."}.intersection(parts)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _size(block: bytes) -> int:
    """Return the size that a header says; what is no number is compared with the header later on."""
    digits = block[124:135]
    return int(digits, 8) if digits.isdigit() and not digits.strip(b"01234567") else 0


def _header(name: str, size: int) -> bytes:
    """Return what stands before a file (rule 1): one block, or three for a long name."""
    path = _FORM + name.encode()
    if len(path) <= _SHORT:
        return _block(path, size, b"0")
    record = b" path=" + path + b"\n"
    length = len(record)
    while length != len(str(length)) + len(record):
        length = len(str(length)) + len(record)
    record = str(length).encode() + record
    return _block(_RECORD, len(record), b"x") + record + _padding(len(record)) + _block(_LONG, size, b"0")


def _block(path: bytes, size: int, kind: bytes) -> bytes:
    """Return one header of the form ustar, as POSIX.1-1988 has it."""
    no_owner, no_date, no_device = b"0000000\0", b"0" * 11 + b"\0", b"0000000\0"
    before = path.ljust(_SHORT, b"\0") + b"0000600\0" + no_owner * 2 + b"%011o\0" % size + no_date
    behind = kind + bytes(100) + b"ustar\00000" + bytes(64) + no_device * 2 + bytes(167)
    return before + b"%06o\0 " % _total(before + bytes(8) + behind) + behind


def _total(block: bytes) -> int:
    """Return the sum of a header's bytes, with blanks in place of the sum that it says."""
    return sum(block) - sum(block[_SUM]) + 8 * ord(" ")
