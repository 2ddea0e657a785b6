"""What takes much memory: one at a time beside what takes little, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from notarypy.client.weight import HeavyCalls, Weight, clock, give_way
from notarypy.client.workers import StoppedError, ask, await_turn, outcomes, run_all
from notarypy.errors import BusyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = StorageError("first")


def until(condition: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def test_of_those_that_take_much_one_goes_on_at_a_time_and_others_beside_it() -> None:
    inside, most = set[int](), list[int]()
    small_is_done = threading.Event()

    def inner(number: int) -> int:
        Weight(10).add(11)
        inside.add(number)
        most.append(len(inside))
        return number

    def large(number: int) -> int:
        weight = Weight(10)
        weight.add(5)
        weight.add(6)
        assert small_is_done.wait(5)
        found = [one.get() for one in outcomes([lambda: inner(number)] * 3)]
        inside.remove(number)
        if number == 1:
            raise FIRST
        return found[0]

    def small() -> int:
        Weight(10).add(10)
        small_is_done.set()
        return -1

    found = list(outcomes([*(lambda n=n: large(n) for n in range(5)), small]))
    assert [one.error or one.get() for one in found] == [0, FIRST, 2, 3, 4, -1]
    assert set(most) == {1}


def test_what_is_expected_counts_before_it_comes() -> None:
    inside, most = list[int](), list[int]()

    def call() -> None:
        weight = Weight(10)
        weight.expect(10)
        weight.expect(11)
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.001)
        inside.pop()

    assert all(one.error is None for one in outcomes([call] * 5))
    assert set(most) == {1}


def test_who_waits_for_a_lock_of_another_gives_way() -> None:
    lock, has_lock = threading.Lock(), threading.Event()

    def alone_first() -> int:
        Weight(0).add(1)
        assert has_lock.wait(5)
        give_way()
        with lock:
            return 1

    def lock_first() -> int:
        with lock:
            has_lock.set()
            Weight(0).add(1)
            return 2

    assert [one.get() for one in outcomes([alone_first, lock_first])] == [1, 2]


def test_no_deadline_runs_while_a_call_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    moments, waiting = [0.0], threading.Event()
    monkeypatch.setattr(time, "monotonic", lambda: moments[0])

    def first() -> float:
        Weight(0).add(1)
        waiting.set()
        time.sleep(0.05)
        moments[0] += 1000
        return clock()

    def second() -> float:
        assert waiting.wait(5)
        began = clock()
        Weight(0).add(1)
        return clock() - began

    assert [one.get() for one in outcomes([first, second])] == [1000, 0]


def test_who_waits_for_a_turn_ends_with_all() -> None:
    ended: list[type[BaseException]] = []

    def first() -> None:
        Weight(0).add(1)
        until(lambda: ended)

    def second() -> None:
        try:
            Weight(0).add(1)
        except StoppedError as error:
            ended.append(type(error))
            raise

    def third() -> None:
        raise FIRST

    with pytest.raises(StorageError, match="first"):
        run_all([first, second, third])
    until(lambda: ended)
    assert ended == [StoppedError]


def test_more_go_on_in_other_places_and_nobody_waits_for_ever() -> None:
    calls = HeavyCalls(lambda: None, most=2, patience=0)
    with calls.call(None, "a"):
        Weight(0).add(1)
        with calls.call(None, "a"), pytest.raises(BusyError):
            Weight(0).add(1)
        with calls.call(None, "b"):
            Weight(0).add(1)
            with calls.call(None, "c"), pytest.raises(BusyError):
                Weight(0).add(1)
        with calls.call(None, "c"):
            Weight(0).add(1)


def test_without_workers_nobody_waits() -> None:
    Weight(0).add(1)
    give_way()
    assert next(outcomes([lambda: Weight(0).add(1)])).error is None


def test_who_waits_to_ask_gives_way_to_those_before_it() -> None:
    second_is_alone = threading.Event()

    def first() -> int:
        assert second_is_alone.wait(5)
        Weight(0).add(1)
        return 1

    def second() -> int:
        Weight(0).add(1)
        second_is_alone.set()
        await_turn()
        return ask(int, "2")

    assert [one.get() for one in outcomes([first, second])] == [1, 2]
