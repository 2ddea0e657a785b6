"""How much work a call is, counted in calls: the same on every machine, unlike seconds.

What it is: the interpreter's own hook for profilers. What it is not: a profiler.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


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
