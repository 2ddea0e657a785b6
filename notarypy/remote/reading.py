"""A blob as it is read to be sent: hashed on the way, so that what was hashed is what was sent.

What it is: a stream that can begin anywhere, and that fails at its end unless all of it was the blob. What it
is not: HTTP (`blobs`), or a file.

Rules:

1. Every byte that is handed out has gone through the hash. To begin later, the bytes between the last mark
   and there are read and hashed again.
2. A stream that ends is the whole blob: size and digest were right. A file that changes meanwhile, grows or
   shrinks makes it fail.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from notarypy.errors import DigestMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Open = Callable[[int], Iterator[bytes]]

MARK_EVERY = 8 * 1024 * 1024


class Reading:
    """One blob.

    Attributes:
        digest: Its digest.
        size: Its size.
    """

    def __init__(self, digest: str, size: int, content: Open, moved: Callable[[int], object]) -> None:
        """Read a blob.

        Args:
            digest: What it must have.
            size: The same.
            content: Yields it from some position on.
            moved: Told how far it is, after each piece.
        """
        self.digest, self.size = digest, size
        self._content, self._moved = content, moved
        self._marks: list[tuple[int, Any]] = [(0, hashlib.new(digest.partition(":")[0]))]

    def since(self, start: int) -> Part:
        """Return what is left from a position on."""
        return Part(self, start)

    def whole(self) -> bytes:
        """Return all of it, for a small blob."""
        return b"".join(self.pieces(0))

    def check(self) -> None:
        """Hash what was sent already and not hashed to its end; raises as `pieces` does."""
        for _ in self.pieces(self.size):
            continue

    def pieces(self, start: int) -> Iterator[bytes]:
        """Yield it from a position on (rules 1 and 2).

        Raises:
            DigestMismatchError: It is not what it was said to be.
        """
        at, hasher = next((at, mark.copy()) for at, mark in reversed(self._marks) if at <= start)
        for piece in self._content(at):
            before, at = at, at + len(piece)
            if at > self.size:
                break
            hasher.update(piece)
            if at >= self._marks[-1][0] + MARK_EVERY:
                self._marks.append((at, hasher.copy()))
            if at > start:
                yield piece[max(start - before, 0) :]
                self._moved(at)
        actual = f"{hasher.name}:{hasher.hexdigest()}"
        if at != self.size or actual != self.digest:
            raise DigestMismatchError(
                "what is being sent is not what its manifest says",
                why=(f"wanted: {self.digest}, {self.size} bytes", f"read: {at} bytes, {actual}"),
                fix="look whether something else is writing to the source",
                expected=self.digest,
                actual=actual,
            )


class Part:
    """What is left of a blob, as a `streams.Stream`."""

    def __init__(self, reading: Reading, start: int) -> None:
        self._reading, self._start = reading, start

    @property
    def size(self) -> int:
        """Bytes that are left."""
        return self._reading.size - self._start

    def __iter__(self) -> Iterator[bytes]:
        """Yield them."""
        return self._reading.pieces(self._start)
