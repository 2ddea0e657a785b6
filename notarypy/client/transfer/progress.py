"""What goes on several at a time, counted in one progress: the blobs of a transfer, or steps.

What it is: how many blobs move at once, and what is told of all of them, or of all steps. What it is not:
threads (`workers`), or how one blob moves.

Rules:

1. The first failure is the failure of the whole; the other blobs stop at their next piece.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from notarypy.client import workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from notarypy.client.parameters import Progress
    from notarypy.images.tree import Tree

Moved = Callable[[int], object]

BLOBS = 4


class Moving:
    """The blobs of one transfer, and the count of what was moved."""

    def __init__(self, progress: Progress | None) -> None:
        """Report to `progress`, if anybody wants to know."""
        self._progress = progress
        self._lock = threading.Lock()

    @contextmanager
    def reporting(self, what: str, total: int) -> Iterator[None]:
        """Report the beginning and the end of everything."""
        if self._progress is not None:
            self._progress.begin(what, total)
        try:
            yield
        finally:
            if self._progress is not None:
                self._progress.end()

    def counter(self) -> Callable[[int], None]:
        """Return what takes the position in one blob after each piece; it raises when the blob is to stop."""
        before = 0

        def moved(position: int) -> None:
            nonlocal before
            workers.check_stop()
            if self._progress is not None:
                with self._lock:
                    self._progress.moved(position - before)
            before = position

        return moved

    def run(self, jobs: Sequence[Callable[[], object]]) -> None:
        """Move all blobs; raise what the first failing one raised (rule 1)."""
        workers.run_all(jobs, BLOBS)


def warn_of_foreign(tree: Tree, warn: Callable[[str], None], done: str) -> None:
    """Say which layers of an image are not moved; `done` is what is not done with them."""
    for blob in tree.foreign:
        warn(f"the layer {blob.digest} may not be distributed: it is not {done}")


class StepCounter:
    """Tells a `Progress` how many steps of how many are done; both numbers may grow."""

    def __init__(self, progress: Progress | None, what: str) -> None:
        self._progress, self._what = progress, what
        self._lock = threading.Lock()
        self._total = self._done = 0

    def __enter__(self) -> Self:
        """Begin with nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """End, well or not."""
        if self._progress is not None:
            self._progress.end()

    def expect(self, steps: int) -> None:
        """Note that there are more steps."""
        with self._lock:
            self._total += steps
            if self._progress is not None:
                self._progress.begin(self._what, self._total)
                if self._done:
                    self._progress.moved(self._done)

    def step(self) -> None:
        """Note that one more is done."""
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress.moved(1)
