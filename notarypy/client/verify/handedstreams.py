"""Streams that a caller hands to the library: all of them is read, and all that is written arrives.

What it is: a loop for each direction. What it is not: what is read or written, or the standard streams of the
programs (`system`).

Rules:

1. A stream may take a part of what it is given, as sockets do: the rest follows.
2. One that has nothing, or no room, for now (O_NONBLOCK) is not at its end: it is waited for. Where there is
   no descriptor by which to wait, that is an error.
3. What a stream raises about its own side is raised as it is.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from typing import BinaryIO

from notarypy import system
from notarypy.errors import Advice, StorageError

_UNWRITABLE = "cannot write the content"


def some(source: BinaryIO, most: int, what: str) -> bytes:
    """Return what a stream has now, at most so many bytes; nothing only at its end (rule 2)."""
    while (piece := _tried(source, most)) is None:
        _wait(source, f"cannot read {what}", "it has nothing for now")
    return piece


def write(sink: BinaryIO, data: bytes | memoryview) -> None:
    """Write all of it (rules 1 and 2)."""
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
    """Read once; None for nothing now. Who types content ends it once: after its end nobody asks again."""
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
