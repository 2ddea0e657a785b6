"""What takes much memory goes one at a time, where calls run side by side.

What it is: how a call says what it is about to take, and waits for its turn if that is much. What it is not:
threads (`workers`), or a limit of what one call may take.

Rules:

1. Of the outermost calls that take much, one goes on at a time, to its end, with all calls within it. Others
   run beside it. Of calls that have places more may be let on, each in another place.
2. Whoever is about to wait for what another of them may hold, a lock or its turn to ask a question, gives way
   first. So nobody waits in a circle.
3. Deadlines do not run while a call waits for its turn (`clock`); one that may not wait for ever is refused.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from notarypy.errors import Advice, BusyError

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


class HeavyCalls:
    """A set of outermost calls; `check` raises in one that is to end."""

    def __init__(self, check: Callable[[], None], most: int = 1, patience: float = math.inf) -> None:
        """Let nobody on yet; at `most` so many at a time, and nobody waits longer than `patience`."""
        self._check, self._changed = check, threading.Condition()
        self._most, self._patience = most, patience
        self._alone: dict[str, HeavyCall] = {}

    @contextmanager
    def call(self, within: HeavyCall | None, place: str = "") -> Iterator[None]:
        """Mark one call in its thread: one of these, or the one that it is within."""
        call = within or HeavyCall(self, place)
        token = _CALL.set(call)
        try:
            yield
        finally:
            _CALL.reset(token)
            if within is None:
                self.let_others(call)

    def let_alone(self, call: HeavyCall) -> None:
        """Wait until a call may be the one that is alone in its place; BusyError: that takes too long."""
        began = time.monotonic()
        with self._changed:
            while (found := self._alone.get(call.place)) is not call:
                if found is None and len(self._alone) < self._most:
                    self._alone[call.place] = call
                    call.waited += time.monotonic() - began
                elif time.monotonic() > began + self._patience:
                    message, why = "much metadata is being read already", "this repository has much, too"
                    raise BusyError(message, why=why, advice=Advice("ask-service-later"))
                else:
                    self._changed.wait(_POLL_SECONDS)
                    self._check()

    def let_others(self, call: HeavyCall) -> None:
        """Let another one be alone, if this call was."""
        with self._changed:
            if self._alone.get(call.place) is call:
                del self._alone[call.place]
                self._changed.notify_all()


class HeavyCall:
    """One of the outermost calls, as all calls within it know it."""

    def __init__(self, among: HeavyCalls, place: str) -> None:
        """Begin one of several calls."""
        self.among, self.place, self.waited = among, place, 0.0


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
