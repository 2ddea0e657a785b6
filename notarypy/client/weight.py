"""What takes much memory goes one at a time, where calls run side by side.

What it is: how a call says what it is about to take, and waits for its turn if that is much. What it is not:
threads (`workers`), or a limit of what one call may take.

Rules:

1. Of the outermost calls that take much, one goes on at a time, to its end, with all calls within it. Others
   run beside it.
2. Whoever is about to wait for what another of them may hold, a lock or its turn to ask a question, gives way
   first. So nobody waits in a circle.
3. Deadlines do not run while a call waits for its turn (`clock`).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POLL_SECONDS = 0.2


class Weight:
    """How much a call has taken into memory; beyond so much of it the outermost call goes alone (rule 1)."""

    def __init__(self, most: int) -> None:
        """Take how many bytes are not much."""
        self._left = most

    def add(self, length: int) -> None:
        """Note what is about to be read or decoded, and wait for a turn if it is much by now."""
        self.expect(length)
        self._left -= length

    def expect(self, length: int) -> None:
        """Wait for a turn if so much more would be much."""
        if length > self._left and (call := _CALL.get()) is not None:
            call.among.let_alone(call)


class OneAtATime:
    """A set of outermost calls; `check` raises in one that is to end."""

    def __init__(self, check: Callable[[], None]) -> None:
        """Let nobody be alone yet."""
        self._check, self._changed = check, threading.Condition()
        self._alone: HeavyCall | None = None

    @contextmanager
    def call(self, within: HeavyCall | None) -> Iterator[None]:
        """Mark one call in its thread: one of these, or the one that it is within."""
        call = within or HeavyCall(self)
        token = _CALL.set(call)
        try:
            yield
        finally:
            _CALL.reset(token)
            if within is None:
                self.let_others(call)

    def let_alone(self, call: HeavyCall) -> None:
        """Wait until a call may be the one that is alone."""
        began = time.monotonic()
        with self._changed:
            while self._alone not in {None, call}:
                self._changed.wait(_POLL_SECONDS)
                self._check()
            if self._alone is None:
                self._alone = call
                call.waited += time.monotonic() - began

    def let_others(self, call: HeavyCall) -> None:
        """Let another one be alone, if this call was."""
        with self._changed:
            if self._alone is call:
                self._alone = None
                self._changed.notify_all()


class HeavyCall:
    """One of the outermost calls, as all calls within it know it."""

    def __init__(self, among: OneAtATime) -> None:
        """Begin one of several calls."""
        self.among, self.waited = among, 0.0


_CALL: ContextVar[HeavyCall | None] = ContextVar("call", default=None)


def current() -> HeavyCall | None:
    """Return the outermost call that this thread works for, None if there is none."""
    return _CALL.get()


def give_way() -> None:
    """Be alone no longer, until more is taken (rule 2)."""
    if (call := _CALL.get()) is not None:
        call.among.let_others(call)


def clock() -> float:
    """Return the seconds of a clock that stands still while this call waits for its turn (rule 3)."""
    return time.monotonic() - (0.0 if (call := _CALL.get()) is None else call.waited)
