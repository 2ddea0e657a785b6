"""Several blobs at a time: a few threads, one progress.

What it is: how jobs run side by side and how the first failure ends them all. What it is not: what the jobs
do.

Rules:

1. The first failure is the failure of the whole; the other jobs stop at their next piece.
2. Ctrl-C does not wait for a connection that is silent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.client.parameters import Progress
    from notarypy.images.tree import Tree

Job = Callable[[], None]
Moved = Callable[[int], object]

WORKERS = 4
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.2


class _StoppedError(Exception):
    """Another job failed."""


class Workers:
    """The threads of one transfer, and the count of what they moved."""

    def __init__(self, progress: Progress | None) -> None:
        """Report to `progress`, if anybody wants to know."""
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()

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
        """Return what takes the position in one blob after each piece; it raises when the job is to stop."""
        before = 0

        def moved(position: int) -> None:
            nonlocal before
            if self._stop.is_set():
                raise _StoppedError
            if self._progress is not None:
                with self._lock:
                    self._progress.moved(position - before)
            before = position

        return moved

    def run(self, jobs: Sequence[Job]) -> None:
        """Do all jobs; raise what the first failing one raised (rule 1)."""
        waiting, failures = deque(jobs), list[BaseException]()
        threads = [
            threading.Thread(target=self._work, args=(waiting, failures), daemon=True)
            for _ in range(min(WORKERS, len(jobs)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_POLL_SECONDS)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(_GRACE_SECONDS)
        if failures:
            raise failures[0]

    def _work(self, waiting: deque[Job], failures: list[BaseException]) -> None:
        while not self._stop.is_set():
            try:
                job = waiting.popleft()
            except IndexError:
                return
            try:
                job()
            except _StoppedError:
                return
            except BaseException as error:  # noqa: BLE001 - raised again where the jobs were given
                failures.append(error)
                self._stop.set()


def warn_of_foreign(tree: Tree, warn: Callable[[str], None], done: str) -> None:
    """Say which layers of an image are not moved; `done` is what is not done with them."""
    for blob in tree.foreign:
        warn(f"the layer {blob.digest} may not be distributed: it is not {done}")
