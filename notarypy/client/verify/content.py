"""Content that a repository lists: what is signed of it, and whether a stream is that.

What it is: the check of bytes of any kind and number, in little memory. What it is not: which role's word
counts (`targetfiles`), or what a registry serves (`image`).

Rules:

1. Content has the signed length and every hash of a known kind, at least one. Of what is longer not more than
   one byte too many is read.
2. Nothing is handed on before everything is verified: until then it is in a temporary file without a name.
3. A file is replaced as a whole, keeps its mode, and stays as it was where something is wrong. A link to a
   file stays one. What is no regular file, such as a pipe, is written to; so is what somebody has opened
   already, such as `/dev/fd/1`, from where it stands.
4. A stream is asked for more after what it has now, and no more after it has ended: who types content ends it
   once.
5. A stream may take a part of what it is given, as sockets do: the rest follows. One that has nothing, or no
   room, for now (O_NONBLOCK) is not at its end: it is waited for. Where there is no descriptor by which to
   wait, that is an error. What a stream raises about its own side is raised as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from notarypy import files, system
from notarypy.errors import Advice, DigestMismatchError, StorageError, UsageError, VerificationError
from notarypy.tuf.canonical import MAX_INTEGER
from notarypy.tuf.fields import TargetFile
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.parameters import Progress

_PIECE = 1 << 20
_KINDS = ("sha256", "sha512")
_NEW_MODE = 0o600
_UNWRITABLE = "cannot write the content"


@dataclass(frozen=True)
class ListedTarget:
    """What a repository lists under a name, and the first role that does.

    Attributes:
        repository: The GUN.
        name: What the content is called.
        role: Whose word counts.
        length: How many bytes it has.
        sha256: Its SHA-256 as hex digits, None where only another hash is signed.
        sha512: Its SHA-512 as hex digits, None where it is not signed.
        custom: The JSON value that the signer attached, or None.
    """

    repository: str
    name: str
    role: str
    length: int
    sha256: str | None
    sha512: str | None
    custom: object = None

    @property
    def hashes(self) -> dict[str, str]:
        """What is known of its content, as hex digits by kind of hash, the usual kind first."""
        found = {"sha256": self.sha256, "sha512": self.sha512}
        return {kind: digits for kind, digits in found.items() if digits is not None}


def verify(
    target: ListedTarget, source: BinaryIO, sink: BinaryIO | Path | None, progress: Progress | None = None
) -> None:
    """Read content to its end, and hand it on if it is what is listed."""
    if sink is None:
        _check(target, source, None, progress)
    elif isinstance(sink, Path) and _replaceable(sink):
        mode = stat.S_IMODE(sink.stat().st_mode) if sink.exists() else _NEW_MODE
        with files.replacing(sink.resolve(), mode) as stream:
            _check(target, source, stream, progress)
    else:
        with closing(files.unnamed() if target.length > _PIECE else io.BytesIO()) as kept:
            _check(target, source, kept, progress)
            kept.seek(0)
            _hand_on(kept, sink)


def describe(source: BinaryIO, what: str, size: int, progress: Progress | None = None) -> TargetFile:
    """Return the length and the hashes of all that a stream has."""
    length, hashes = 0, {kind: hashlib.new(kind) for kind in _KINDS}
    for piece in _pieces(source, MAX_INTEGER + 1, what, size, progress):
        length += len(piece)
        for known in hashes.values():
            known.update(piece)
    if length > MAX_INTEGER:
        raise UsageError(f"{what or 'the content'} is too long to be signed", why=f"more than {MAX_INTEGER}")
    return TargetFile(length, {kind: known.digest() for kind, known in hashes.items()})


def _replaceable(path: Path) -> bool:
    """Tell whether a path names a regular file, or may name one; StorageError where it can name none."""
    files.require_name(path)
    if system.descriptor(path) is not None:
        return False
    if path.is_dir():
        why, advice = "it is a directory", Advice("name-new-file")
        raise StorageError(f"cannot write {path}", why=why, advice=advice, path=str(path))
    if path.exists():
        return path.is_file()
    folder = path.resolve().parent
    if not folder.is_dir():
        why, advice = f"the directory {folder} does not exist", Advice("make-directory")
        raise StorageError(f"cannot write {path}", why=why, advice=advice, path=str(path))
    return True


def _check(target: ListedTarget, source: BinaryIO, copy: BinaryIO | None, progress: Progress | None) -> None:
    """Read what a stream has, copy it meanwhile, and raise unless it is what is listed (rule 1)."""
    if not (signed := target.hashes):
        raise VerificationError(f'"{target.name}" cannot be checked', why="no sha256 and no sha512 is signed")
    length, hashes = 0, {kind: hashlib.new(kind) for kind in signed}
    for piece in _pieces(source, target.length + 1, target.name, target.length, progress):
        length += len(piece)
        for known in hashes.values():
            known.update(piece)
        if copy is not None:
            _write(copy, piece)
    found = {kind: known.hexdigest() for kind, known in hashes.items()}
    other = [kind for kind in signed if found[kind] != signed[kind]]
    if length > target.length:
        raise _mismatch(target, other, f"more than {target.length} bytes")
    if other:
        raise _mismatch(target, other, f"{other[0]}:{found[other[0]]}, {length} bytes")
    if length != target.length:
        raise _mismatch(target, [], f"{length} bytes")


def _mismatch(target: ListedTarget, other: list[str], found: str) -> DigestMismatchError:
    """Return the error for other content, which does not have hashes of these kinds."""
    signed = [f"{kind}:{digits}" for kind, digits in target.hashes.items()]
    return DigestMismatchError(
        f'this is not what {target.repository} lists as "{target.name}"',
        why=(f"signed by {target.role}: {', '.join(signed)}, {target.length} bytes", f"read: {found}"),
        name=target.name,
        kind=other[0] if other else None,
        expected=target.hashes[other[0]] if other else f"{target.length} bytes",
    )


def _pieces(source: BinaryIO, most: int, what: str, total: int, progress: Progress | None) -> Iterator[bytes]:
    """Yield what a stream has, at most so many bytes of it (rule 4); StorageError if it cannot be read."""
    name = what or "the content"
    if progress is not None:
        progress.begin(what, total)
    try:
        while most:
            try:
                piece = read_some(source, min(_PIECE, most), name)
            except OSError as error:
                raise StorageError(f"cannot read {name}", why=error.strerror or str(error)) from error
            if not piece:
                return
            yield piece
            most -= len(piece)
            if progress is not None:
                progress.moved(len(piece))
    finally:
        if progress is not None:
            progress.end()


def _write(copy: BinaryIO, piece: bytes) -> None:
    try:
        write_all(copy, piece)
    except OSError as error:
        why = (error.strerror or str(error), "content is kept in a temporary file until it is verified")
        raise StorageError("cannot keep the content", why=why, advice=Advice("room-to-keep")) from error


def _hand_on(kept: BinaryIO, sink: BinaryIO | Path) -> None:
    """Write what was verified."""
    if not isinstance(sink, Path):
        _copy(kept, sink)
        return
    try:
        with system.writing(sink) as stream:
            _copy(kept, stream)
    except OSError as error:
        raise files.failure("write", sink, error) from error


def _copy(kept: BinaryIO, sink: BinaryIO) -> None:
    while piece := kept.read(_PIECE):
        write_all(sink, piece)
    flush(sink)


# -- streams of a caller


def read_some(source: BinaryIO, most: int, what: str) -> bytes:
    """Return what a stream has now, at most so many bytes; nothing only at its end (rules 4 and 5)."""
    while (piece := _tried(source, most)) is None:
        _wait(source, f"cannot read {what}", "it has nothing for now")
    return piece


def write_all(sink: BinaryIO, data: bytes | memoryview) -> None:
    """Write all of it (rule 5)."""
    left = memoryview(data)
    while left:
        try:
            count: int | None = sink.write(left)
        except BlockingIOError as error:  # of what is buffered; so much of it was taken
            count, blocked = error.characters_written, True
        else:
            blocked = count is None
            if blocked and not (isinstance(sink, io.RawIOBase) or _hurries(sink)):
                return  # an object of the caller's that counts nothing
            if count == 0:
                raise StorageError(_UNWRITABLE, why="the stream takes nothing")
        left = left[count or 0 :]
        if blocked:
            _wait(sink, _UNWRITABLE, "it has no room for now", writing=True)


def flush(sink: BinaryIO) -> None:
    """Bring what a stream still holds to the other side, if it is one that holds anything."""
    while hasattr(sink, "flush"):
        try:
            sink.flush()
        except BlockingIOError:
            _wait(sink, _UNWRITABLE, "it has no room for now", writing=True)
        else:
            return


def _tried(source: BinaryIO, most: int) -> bytes | None:
    """Read once; None for nothing now (rule 4)."""
    piece: bytes | None
    if type(source) is not io.BufferedReader:
        piece = source.read(most)
        return piece
    piece = source.read1(most)  # which does not ask until it is full
    if not piece and _hurries(source):  # which it says of the end and of nothing now
        piece = source.raw.read(most)
    return piece


def _hurries(stream: BinaryIO) -> bool:
    """Tell whether a stream has a descriptor that does not wait."""
    with suppress(OSError, ValueError, AttributeError):
        return not os.get_blocking(stream.fileno())
    return False


def _wait(stream: BinaryIO, message: str, why: str, *, writing: bool = False) -> None:
    """Wait until a stream may be tried again; StorageError if nothing tells when."""
    try:
        system.wait_for(stream.fileno(), writing=writing)
    except (OSError, ValueError, AttributeError):
        reasons = (why, "it has no descriptor to wait by")
        raise StorageError(message, why=reasons, advice=Advice("give-waiting-stream")) from None
