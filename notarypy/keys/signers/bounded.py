"""A bound on the whole of a question to a service, whatever the library does that asks.

What it is: threads that ask, and somebody who waits for them so long. What it is not: asking again, and what
an answer means (`services`).

Rules:

1. Libraries bound each wait for bytes, and not their sum; programs and name servers that they ask they wait
   for as long as it takes. So another thread asks. When its time is over it is left behind: it ends with the
   process at the latest, and its answer is nobody's.
2. Threads ask again, the latest first, for libraries keep connections by thread.
3. After a fork there are none of them: each process has its own.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from notarypy.errors import DeadlineError
from notarypy.keys.signers.services import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_GRACE = 0.25  # seconds for libraries that know the bound, too, and can say what it was that took so long


def bounded(what: str, ask: Callable[[float], T]) -> Callable[[float], T]:
    """Return what asks as `ask` does, which is given its seconds; raise DeadlineError when they are over.

    `what` is asked, and is named in the error.
    """

    def asked(seconds: float) -> T:
        idle = _IDLE()
        try:
            thread = idle.pop()
        except IndexError:
            thread = _Thread(idle)
        answer: Future[T] = thread.answer(copy_context().run, ask, seconds)
        try:
            return answer.result(max(seconds, 0) + _GRACE)
        except NotInTime:
            if answer.done():  # it is what the library raised
                raise
            why = f"it was waited for, {seconds:.3g} seconds at most"
            raise DeadlineError(f"{what} did not answer in time", why=why) from None
        finally:
            del answer  # or an error would lead to itself

    return asked


class _Thread:
    """A thread that asks one question after the other, and waits among the idle ones in between."""

    def __init__(self, idle: list[_Thread]) -> None:
        self._idle = idle
        self._questions: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="notarypy-asks").start()

    def answer(self, run: Callable[..., T], *arguments: object) -> Future[T]:
        """Return the answer that will be there."""
        future: Future[T] = Future()
        self._questions.put(lambda: self._ask(future, lambda: run(*arguments)))
        return future

    def _work(self) -> None:
        while True:
            self._questions.get()()

    def _ask(self, future: Future[T], ask: Callable[[], T]) -> None:
        try:
            value = ask()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self._idle.append(self)
            future.set_exception(error)
        else:
            self._idle.append(self)
            future.set_result(value)


_IDLE: PerProcess[list[_Thread]] = PerProcess(list)
