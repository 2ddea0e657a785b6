from __future__ import annotations

import threading
import time

import pytest

from notarypy.client.transfer import workers
from notarypy.client.transfer.workers import Workers
from notarypy.errors import StorageError


def test_all_jobs_are_done_side_by_side() -> None:
    together = threading.Barrier(workers.WORKERS, timeout=5)
    done: list[int] = []

    def job(number: int) -> None:
        if number < workers.WORKERS:
            together.wait()
        done.append(number)

    Workers(None).run([lambda n=n: job(n) for n in range(20)])  # type: ignore[misc]  # a default binds it
    assert sorted(done) == list(range(20))
    Workers(None).run([])


def test_the_first_failure_stands_and_stops_the_others() -> None:
    running, stopped = Workers(None), threading.Event()

    def fails() -> None:
        raise StorageError("first")

    def goes_on() -> None:
        moved = running.counter()
        try:
            for position in range(10_000):
                moved(position)
                time.sleep(0.001)
        finally:
            stopped.set()

    with pytest.raises(StorageError, match="first"):
        running.run([goes_on, fails, *[fails] * 50])
    assert stopped.is_set()


def test_ctrl_c_does_not_wait_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_GRACE_SECONDS", 0.05)
    release, ended = threading.Event(), threading.Event()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        release.wait(5)
        ended.set()

    class Interrupted(threading.Thread):
        """A thread for which somebody waits in vain."""

        def is_alive(self) -> bool:
            interrupted()
            return True

    monkeypatch.setattr(threading, "Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        Workers(None).run([wait])
    assert not ended.is_set()
    release.set()


def test_what_is_moved_is_counted_once() -> None:
    counted: list[int] = []

    class Counter:
        """Keeps what it is told."""

        def begin(self, what: str, total: int) -> None:
            assert (what, total) == ("moving", 5)

        def moved(self, count: int) -> None:
            counted.append(count)

        def end(self) -> None:
            counted.append(0)

    running = Workers(Counter())
    with running.reporting("moving", 5):
        moved = running.counter()
        for position in (2, 5, 1, 5):
            moved(position)
    assert counted == [2, 3, -4, 4, 0]
