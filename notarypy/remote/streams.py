"""Bodies that are too large to be held: made while they are sent, taken while they arrive.

What it is: the two shapes that `transport` and what is built on it agree on. What it is not: files or HTTP.

Rules:

1. A stream can be sent again: each iteration begins anew.
2. Neither raises OSError: that would look like the network's. What goes wrong with a file is a StorageError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Stream(Protocol):
    """A request body of a known size, which is more than nothing (rules 1 and 2)."""

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield all of it in pieces of moderate size."""
        ...


class Sink(Protocol):
    """What takes the body of an answer (rule 2)."""

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
        """Return what takes the pieces of this answer, a 2xx; raise to refuse it."""
        ...
