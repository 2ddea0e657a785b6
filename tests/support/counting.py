"""How much work a call is, counted in calls: the same on every machine, unlike seconds.

What it is: the interpreter's own hook for profilers, and for work inside of one call (a pattern, a decoder) a
comparison of that call with itself on a larger input. What it is not: a profiler, nor a bound in seconds.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from notarypy.errors import NotarypyError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
# What `growth` finds is 4 where work is linear and 16 where it is quadratic.
TOO_MUCH = 10


def calls(action: Callable[[], object]) -> Counter[str]:
    """Return how often functions were called, in Python and in C, by their names."""
    found: Counter[str] = Counter()

    def note(frame: Any, event: str, function: Any) -> None:  # noqa: ANN401 - as sys.setprofile has it
        if event == "call":
            found[frame.f_code.co_name] += 1
        elif event == "c_call":
            found[function.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return found


def work(action: Callable[[], object]) -> int:
    """Return how many calls there were in all."""
    return calls(action).total()


def growth(action: Callable[[_T], object], make: Callable[[int], _T], size: int) -> float:
    """Return how many times more work an input of four times the size is; the action may refuse both.

    The least of several runs counts, of the processor's time for this thread: neither other programs nor what
    is done only once is measured. Choose a size at which even quadratic work comes to an end.
    """

    def spent(value: _T) -> float:
        begin = time.thread_time()
        with suppress(NotarypyError):
            action(value)
        return time.thread_time() - begin

    small, large = make(size), make(4 * size)
    least = min(spent(small) for _ in range(7))
    return min(spent(large) for _ in range(3)) / least
