"""Compressed data: which kind it is, and what it is unpacked, piece by piece.

What it is: gzip, bzip2, xz, lzma and, where Python has it, zstd behind one face. What it is not: a judgement
of the content; whoever asked compares digests.

Rules:

1. Memory stays small whatever the data says: pieces are limited, and what xz may ask for.
2. What it is unpacked has a limit too: a small file cannot fill a disk.
3. Data in several parts, one after the other, is all of them. Anything else behind the end is an error.
"""

from __future__ import annotations

import errno
import importlib
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol

from notarypy.errors import Advice, MetadataError, UsageError
from notarypy.files import failure, unnamed
from notarypy.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x5d\0\0": "lzma",
}
_SUFFIXES = {".bz2", ".xz", ".zst", ".zstd", ".lz4", ".lzma", ".tzst", ".txz", ".tbz2", ".tlz"}
# Not every Python has all of these: they need libraries, and zstd came with 3.14.
_MODULES = {
    "bzip2": ("bz2", "BZ2Decompressor"),
    "xz": ("lzma", "LZMADecompressor"),
    "lzma": ("lzma", "LZMADecompressor"),
    "zstd": ("compression.zstd", "ZstdDecompressor"),
}


class _Machine(Protocol):
    """A decompressor, as bz2 and lzma have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib in the words of bz2 and lzma."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, most: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, most)


def kind_of(begin: bytes) -> str:
    """Return how data that begins so is compressed, or nothing."""
    return next((kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), "")


def plain(pieces: Iterable[bytes], kind: str, limits: Limits = DEFAULT) -> Iterator[bytes]:
    """Yield what compressed data is unpacked; raise MetadataError for what is damaged, or too much."""
    make, left = _maker(kind, limits), limits.unpacked_bytes
    try:
        for piece in _unpacked(pieces, make):
            left -= len(piece)
            if left < 0:
                why = f"it is more than {limits.unpacked_bytes} bytes when it is unpacked"
                raise MetadataError("the data is beyond the limits", why=why)
            yield piece
    except EOFError:
        raise _damaged("it ends too early") from None


def _unpacked(pieces: Iterable[bytes], make: Callable[[], _Machine]) -> Iterator[bytes]:
    machine: _Machine | None = None
    for piece in pieces:
        data = piece
        while data or (machine is not None and not machine.needs_input):
            machine = machine or make()
            yield _turn(machine, data)
            data = b""
            if machine.eof:
                data, machine = machine.unused_data, None
    while machine is not None and not machine.eof:
        last = _turn(machine, b"")
        if not last:
            raise EOFError
        yield last


def _turn(machine: _Machine, data: bytes) -> bytes:
    try:
        return machine.decompress(data, PIECE)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - each library has errors of its own, one of them OSError
        raise _damaged(str(error)) from None


def _damaged(why: str) -> MetadataError:
    message, advice = "what was compressed cannot be unpacked", Advice("make-anew-with-writer")
    return MetadataError(message, why=why, advice=advice)


def _maker(kind: str, limits: Limits) -> Callable[[], _Machine]:
    if kind == "gzip":
        return _Gzip
    module, name = _MODULES[kind]
    found = getattr(importlib.import_module(module), name)
    return partial(found, memlimit=limits.unpacking_memory_bytes) if module == "lzma" else found


def require(kind: str, path: Path) -> None:
    """Raise UsageError for what cannot be unpacked here: nothing is wrong with the file."""
    module, _ = _MODULES.get(kind, ("", ""))
    try:
        if kind == "gzip" or (module and importlib.import_module(module)):
            return
    except ImportError:
        pass
    bare = path.name.removesuffix(path.suffix) if path.suffix.lower() in _SUFFIXES else path.name
    new = path.with_name(f"{bare.removesuffix('.tar')}.unpacked.tar")
    raise UsageError(
        f"{path} is compressed with {kind}",
        why=f"this Python has no module {module}" if module else "that is not read here",
        advice=Advice("unpack", packed=kind, file=shlex.quote(str(path)), new=shlex.quote(str(new))),
        path=str(path),
    )


def unpack(stream: BinaryIO, path: Path, kind: str, limits: Limits) -> BinaryIO:
    """Return what a compressed file is unpacked, in a temporary file that has no name.

    StorageError: there is no room for it. UsageError: as `require`. MetadataError: as `plain`.
    """
    require(kind, path)
    pieces = plain(iter(lambda: stream.read(PIECE), b""), kind, limits)
    unpacked = unnamed()
    try:
        for piece in pieces:
            _write(unpacked, piece, path)
        _write(unpacked, None, path)
    except BaseException:
        unpacked.close()
        raise
    return unpacked


def _write(unpacked: BinaryIO, piece: bytes | None, path: Path) -> None:
    try:
        unpacked.flush() if piece is None else unpacked.write(piece)
    except OSError as error:
        found = failure("unpack", path, error)
        found.advice = Advice("room-to-unpack") if error.errno in _FULL else found.advice
        raise found from error
