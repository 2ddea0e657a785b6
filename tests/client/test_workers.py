"""Calls side by side: their outcomes, what they say and ask, and how all of them end."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from notarypy.client import workers
from notarypy.client.transfer.progress import BLOBS, Moving
from notarypy.client.workers import (
    Outcome,
    StoppedError,
    UnfinishedError,
    ask,
    await_turn,
    check_stop,
    outcomes,
    run_all,
    say,
)
from notarypy.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = StorageError("first")


def fails() -> None:
    raise FIRST


def until(condition: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def test_outcomes_come_in_the_order_of_the_calls() -> None:
    second_is_done = threading.Event()

    def first() -> int:
        assert second_is_done.wait(5)
        return 1

    def second() -> int:
        second_is_done.set()
        return 2

    assert [outcome.get() for outcome in outcomes([first, second])] == [1, 2]


def test_calls_run_side_by_side_and_no_more_than_may() -> None:
    together, running, most = threading.Barrier(3, timeout=5), [0], [0]
    lock = threading.Lock()

    def call() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        together.wait()
        with lock:
            running[0] -= 1

    assert all(outcome.error is None for outcome in outcomes([call] * 30, 3))
    assert most == [3]


def test_a_failure_is_an_outcome_and_ends_no_other_call() -> None:
    found = list(outcomes([lambda: 1, fails, lambda: 3]))
    assert [outcome.error for outcome in found] == [None, FIRST, None]
    assert found[2].get() == 3
    with pytest.raises(StorageError, match="first"):
        found[1].get()


def test_one_call_alone_runs_in_this_thread() -> None:
    [outcome] = outcomes([threading.current_thread])
    assert outcome.get() is threading.current_thread()
    [failed] = outcomes([fails])
    assert failed.error is FIRST
    assert list(outcomes([])) == []


def test_warnings_come_with_their_outcome_in_this_thread() -> None:
    heard: list[str] = []
    second_has_spoken = threading.Event()

    def hear(text: str) -> None:
        heard.append(f"{text} {threading.current_thread() is threading.main_thread()}")

    def first() -> None:
        second_has_spoken.wait(5)
        say(hear, "first")

    def second() -> None:
        [inner.get() for inner in outcomes([lambda: say(hear, "inner"), lambda: None])]
        say(hear, "second")
        second_has_spoken.set()

    for outcome in outcomes([first, second]):
        heard.append("taken")
        outcome.get()
    assert heard == ["taken", "first True", "taken", "inner True", "second True"]


def test_outcomes_that_a_call_returns_keep_what_is_to_be_said() -> None:
    heard: list[str] = []

    def call(number: int) -> list[Outcome[None]]:
        say(heard.append, f"call {number}")
        return list(outcomes([lambda n=n: say(heard.append, f"{number}.{n}") for n in range(2)]))  # type: ignore[misc]  # a default binds it

    with closing(outcomes([lambda n=n: call(n) for n in range(2)])) as found:  # type: ignore[misc]  # as above
        (first, second), (third, _) = [one.get() for one in found]
    assert heard == ["call 0", "call 1"]
    for one in (third, first, first, second):
        one.get()
    assert heard[2:] == ["1.0", "0.0", "0.1"]


def test_after_ctrl_c_what_was_done_comes_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    done = [threading.Event() for _ in range(2)]

    def works(number: int) -> int:
        say(heard.append, str(number))
        done[number - 1].set()
        return number

    def silent() -> int:
        until(check_stop)
        return 0

    def interrupted(_running: object, until: Callable[[], object]) -> None:
        assert not until()
        assert all(one.wait(5) for one in done)
        time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers._Running, "wait", interrupted)  # noqa: SLF001 - where Ctrl-C mostly is met
    found: list[int] = []
    taken = outcomes([silent, lambda: works(1), silent, lambda: works(2)])
    with pytest.raises(KeyboardInterrupt):
        found += [one.get() for one in taken if not isinstance(one.error, UnfinishedError)]
    assert heard == ["1", "2"]


def test_after_ctrl_c_no_call_within_a_call_is_taken_for_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Barrier(4, timeout=5)

    def silent() -> None:
        begun.wait()
        until(check_stop)

    def several() -> list[Outcome[None]]:
        return list(outcomes([silent, silent]))

    def alone() -> list[Outcome[None]]:
        return list(outcomes([silent]))

    wait = workers._Running.wait  # noqa: SLF001 - where Ctrl-C mostly is met

    def interrupted(running: workers._Running[object], until: Callable[[], object]) -> None:
        if threading.current_thread() is threading.main_thread():
            begun.wait()
            raise KeyboardInterrupt
        wait(running, until)

    monkeypatch.setattr(workers._Running, "wait", interrupted)  # noqa: SLF001
    found = outcomes([several, alone])
    assert [type(one.error) for one in (next(found), next(found))] == [UnfinishedError] * 2
    with pytest.raises(KeyboardInterrupt):
        next(found)


def test_questions_in_their_turn_come_in_the_order_of_the_calls() -> None:
    asked: list[tuple[int, int]] = []

    def call(number: int, inner: int) -> None:
        time.sleep(0.002 * (5 - number))
        await_turn()
        ask(asked.append, (number, inner))

    def nested(number: int) -> None:
        [one.get() for one in outcomes([partial(call, number, inner) for inner in range(3)])]

    [one.get() for one in outcomes([partial(nested, number) for number in range(5)])]
    assert asked == [(number, inner) for number in range(5) for inner in range(3)]
    await_turn()


def test_questions_are_asked_in_this_thread_one_at_a_time() -> None:
    asking: list[int] = []

    def question(number: int) -> int:
        assert threading.current_thread() is threading.main_thread()
        assert not asking
        asking.append(number)
        time.sleep(0.001)
        asking.clear()
        return number * 10

    def refusing() -> None:
        raise FIRST

    def nested(number: int) -> int:
        return sum(one.get() for one in outcomes([lambda: ask(question, number), lambda: ask(question, 1)]))

    calls = [lambda n=n: nested(n) for n in range(10)]
    assert [outcome.get() for outcome in outcomes(calls)] == [10 * n + 10 for n in range(10)]
    assert [one.error for one in outcomes([lambda: ask(refusing), lambda: None])] == [FIRST, None]
    assert ask(question, 4) == 40


def test_whoever_stops_taking_ends_all() -> None:
    begun: list[int] = []
    stopped = threading.Event()

    def waiting(number: int) -> int:
        begun.append(number)
        try:
            until(lambda: check_stop() if number else True)
        except StoppedError:
            stopped.set()
            raise
        return number

    calls = [lambda n=n: waiting(n) for n in range(100)]
    with closing(outcomes(calls)) as found:
        assert next(found).get() == 0
    assert stopped.is_set()
    count = len(begun)
    assert count <= workers.WORKERS + 1
    time.sleep(0.02)
    assert len(begun) == count


def test_calls_within_calls_end_with_them() -> None:
    begun, ended = threading.Event(), threading.Event()

    def inner() -> None:
        begun.set()
        try:
            until(check_stop)
        except StoppedError:
            ended.set()
            raise

    def outer() -> list[Outcome[None]]:
        return list(outcomes([inner, inner]))

    def fails_later() -> None:
        begun.wait(5)
        fails()

    with pytest.raises(StorageError):
        run_all([outer, fails_later])
    until(ended.is_set)


def test_a_question_that_nobody_answers_any_more_ends_its_call() -> None:
    ended: list[BaseException] = []

    def asks() -> None:
        time.sleep(0.05)
        try:
            ask(pytest.fail, "nobody is there to be asked")
        except StoppedError as error:
            ended.append(error)
            raise

    with closing(outcomes([lambda: None, asks])) as found:
        next(found)
    assert len(ended) == 1


def test_calls_are_begun_no_further_ahead_than_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_WINDOW", 5)
    begun: list[int] = []
    found = outcomes([lambda n=n: begun.append(n) for n in range(50)])  # type: ignore[misc]  # a default binds it
    next(found)
    time.sleep(0.05)
    assert len(begun) <= 64
    assert len(list(found)) == 49


def test_ctrl_c_does_not_wait_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_GRACE_SECONDS", 0.05)
    silent = threading.Event()
    ended: list[int] = []

    def wait() -> None:
        silent.wait(30)
        ended.append(1)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        [outcome.get() for outcome in outcomes([interrupt, wait])]
    assert ended == []
    silent.set()


def test_the_first_failure_of_a_transfer_stops_its_other_blobs() -> None:
    moving, stopped = Moving(None), threading.Event()

    def goes_on() -> None:
        moved = moving.counter()
        try:
            for position in range(10_000):
                moved(position)
                time.sleep(0.001)
        finally:
            stopped.set()

    with pytest.raises(StorageError, match="first"):
        moving.run([goes_on, fails, *[fails] * 50])
    assert stopped.is_set()


def test_all_blobs_are_moved_several_at_a_time() -> None:
    together, done = threading.Barrier(BLOBS, timeout=5), list[int]()

    def job(number: int) -> None:
        if number < BLOBS:
            together.wait()
        done.append(number)

    Moving(None).run([lambda n=n: job(n) for n in range(20)])  # type: ignore[misc]  # a default binds it
    assert sorted(done) == list(range(20))
    Moving(None).run([])


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

    moving = Moving(Counter())
    with moving.reporting("moving", 5):
        moved = moving.counter()
        for position in (2, 5, 1, 5):
            moved(position)
    assert counted == [2, 3, -4, 4, 0]


def test_nothing_is_done_ahead_where_there_are_no_threads_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are left behind at a silent server count, too."""
    silent, here = threading.Event(), threading.get_ident()
    monkeypatch.setattr(workers, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(workers, "_FEW", workers.threads() + 3)
    for _ in range(10):
        with workers.meanwhile(silent.wait):
            pass
    with workers.meanwhile(threading.get_ident) as asked:
        assert asked() == here
    silent.set()
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_FEW", 1000)
        patch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError))
        with workers.meanwhile(threading.get_ident) as asked:
            assert asked() == here
