"""A blob as a stream that can begin anywhere, hashed as it is read.

What it is: reading, and whether what was read is the blob. What it is not: a file, or sending (`uploads`).

Rules:

1. Every byte that is handed out has gone through the hash. To begin elsewhere than where it stopped, the
   bytes between the last mark and there are read and hashed again.
2. The last piece is handed out only when size and digest are right. A file that changes meanwhile, grows or
   shrinks makes it fail, and the registry has no blob.
3. The source is read on, and not begun anew, by whoever goes on where the one before stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

from notarypy.errors import Advice, DigestMismatchError
from notarypy.values import dataclass

MARK_EVERY = 8 * 1024 * 1024

ReadFrom = Callable[[int], Iterator[bytes]]
"""Yields a source of bytes from some position on, as often as it is asked to; raises StorageError."""


@dataclass
class _Run:
    """The source, read up to some position."""

    pieces: Iterator[bytes]
    at: int
    hasher: Any
    rest: bytes = b""

    def next(self) -> bytes:
        piece, self.rest = self.rest or next(filter(None, self.pieces), b""), b""
        return piece


class HashingReader:
    """One blob; `moved` learns after each piece how far it is, and errors call the source `where`."""

    def __init__(
        self, digest: str, size: int, content: ReadFrom, moved: Callable[[int], object], where: str = ""
    ) -> None:
        self.digest, self.size = digest, size
        self._content, self._moved, self._where = content, moved, where
        self._marks: list[tuple[int, Any]] = [(0, hashlib.new(digest.partition(":")[0]))]
        self._run: _Run | None = None

    def part(self, start: int, end: int | None = None) -> BlobPart:
        """Return what lies between two positions; None for all that is left."""
        return BlobPart(self, start, self.size if end is None else min(end, self.size))

    def check(self) -> None:
        """Hash what was sent already and not hashed to its end; raises as `pieces` does."""
        for _ in self.pieces(self.size, self.size):
            continue

    def close(self) -> None:
        """Leave the source alone."""
        if self._run is not None and isinstance(self._run.pieces, Generator):
            self._run.pieces.close()
        self._run = None

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield it from one position to another; raise if it is not what it was said to be (rules 1 to 3)."""
        run = self._at(start)
        while run.at < end and (piece := self._hashed(run, end)):
            if run.at == self.size:
                self._ended(run)
            yield piece
            self._moved(run.at)
        if start == self.size or run.at < end:
            self._ended(run)

    def _at(self, start: int) -> _Run:
        """Return the source, read up to a position (rule 3)."""
        if self._run is None or self._run.at != start:
            self.close()
            at, hasher = next((at, mark.copy()) for at, mark in reversed(self._marks) if at <= start)
            self._run = _Run(self._content(at), at, hasher)
            while self._run.at < start and self._hashed(self._run, start):
                continue
        return self._run

    def _hashed(self, run: _Run, end: int) -> bytes:
        """Return the next piece before a position (rule 1); nothing at the end of the source."""
        try:
            piece = run.next()
        except BaseException:
            self.close()  # a source that failed is begun anew
            raise
        piece, run.rest = piece[: end - run.at], piece[end - run.at :]
        run.hasher.update(piece)
        run.at += len(piece)
        if run.at >= self._marks[-1][0] + MARK_EVERY:
            self._marks.append((run.at, run.hasher.copy()))
        return piece

    def _ended(self, run: _Run) -> None:
        """Check that this was the blob, and all there is (rule 2)."""
        found = run.at + len(run.next())
        actual = f"{run.hasher.name}:{run.hasher.hexdigest()}"
        self.close()
        if found != self.size or actual != self.digest:
            read = f"more than {self.size} bytes" if found > self.size else f"{found} bytes, {actual}"
            raise DigestMismatchError(
                "what is being sent is not what its manifest says",
                why=(
                    *([f"read from: {self._where}"] if self._where else []),
                    f"wanted: {self.digest}, {self.size} bytes",
                    f"read: {read}",
                ),
                advice=Advice("look-at-source"),
                expected=self.digest,
                actual=actual,
            )


@dataclass(frozen=True)
class BlobPart:
    """A part of a blob, as a `Stream`."""

    reader: HashingReader
    start: int
    end: int

    def __len__(self) -> int:
        """Return the bytes of it."""
        return self.end - self.start

    def __iter__(self) -> Iterator[bytes]:
        """Yield them."""
        return self.reader.pieces(self.start, self.end)
