"""Several calls at a time: a few threads, and outcomes in the order of the calls.

What it is: how calls that wait for servers run side by side, and how all of them end. What it is not: what
the calls do.

Rules:

1. Outcomes come in the order of the calls, whichever was done first. A call that fails ends no other; who
   takes the outcomes decides, and whoever stops taking them, an error or Ctrl-C, ends all.
2. At an end no call is begun any more, and those under way stop at their next request. Nobody waits long for
   a server that is silent. After Ctrl-C the outcomes of what was done come all the same, and then the
   KeyboardInterrupt.
3. What users handed in (`warn`, questions, passphrases) is called in the thread that waits for the outcomes:
   questions one at a time, as they come or in their turn; warnings when the outcome that they belong to is
   got, and at an end those of what was done. So a program hears the same, in the same order, as if there had
   been one call after the other.
4. One call alone runs without a thread. A call may itself have calls run side by side, and return outcomes.
5. Calls are begun at most a window ahead of the outcome that is taken: what was not taken yet is kept.
6. Requests are made ahead while the process has few threads for calls, those left behind at silent servers
   among them. Beyond that each is made when it is needed: nothing adds up.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from notarypy.client import weight

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    _Said = list[Callable[[], object]]
    _Outcomes = Callable[[int], "Outcome[T]"]

T = TypeVar("T")
A = TypeVar("A")

WORKERS = 16
_WINDOW = 64
_GRACE_SECONDS = 0.5
_POLL_SECONDS = 0.2
_NAME, _FEW, _AHEAD = "notarypy-calls", 128, threading.Lock()


class StoppedError(Exception):
    """The calls that this one belongs to have ended."""


class UnfinishedError(KeyboardInterrupt):
    """Ctrl-C came before this call was done."""


class Outcome(Generic[T]):
    """What one call returned or raised; `error` is None for a call that returned."""

    def __init__(self, value: T | None = None, error: BaseException | None = None) -> None:
        self.error, self._value = error, value
        self._said: _Said = []

    def get(self) -> T:
        """Return what the call returned, or raise what it raised; its warnings are said first (rule 3)."""
        self._repeat()
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]  # without an error this is what the call returned

    def _repeat(self) -> None:
        """Say what was said in the call, once."""
        said, self._said = self._said, []
        for words in said:
            _say(words)


def outcomes(calls: Sequence[Callable[[], T]], most: int = 0) -> Generator[Outcome[T], None, None]:
    """Yield the outcome of each call, in their order; `most` run at a time, by default `WORKERS`.

    Whoever may stop early holds the iterator in `contextlib.closing`.
    """
    if len(calls) == 1:
        yield _taken(_outcome(calls[0], Exception))
        return
    running = _Running(calls, most or WORKERS, ordered=True)
    try:
        for number in range(len(calls)):
            yield running.outcome(number)
    except KeyboardInterrupt:
        running.stop()
        while running.taken < len(calls):
            yield running.at_the_end()
        raise
    finally:
        running.stop()
        running.say_all()


def unpacked(outcome: Outcome[list[Outcome[T]]]) -> list[Outcome[T]]:
    """Return the outcomes that a call returned; the first of them says what the call itself has to say."""
    said, outcome._said = outcome._said, []  # noqa: SLF001 - of this module
    found = outcome.get()
    found[0]._said = [*said, *found[0]._said]  # noqa: SLF001 - of this module
    return found


def gathered(calls: Sequence[Callable[[], T]], most: int = 0) -> list[T]:
    """Return what all calls returned; where some fail all are done, and the first error is raised."""
    found = list(outcomes(calls, most))
    for outcome in found:
        outcome._repeat()  # noqa: SLF001 - of this module
    return [outcome.get() for outcome in found]


@contextmanager
def begun(calls: Sequence[Callable[[], T]], most: int = 0) -> Generator[_Outcomes[T], None]:
    """Begin calls at once; the value gives the outcome of each by its number, and is asked in their order.

    So the caller does something else meanwhile: one call alone has a thread here too.
    """
    running = _Running(calls, most or WORKERS)
    try:
        yield running.outcome
    finally:
        running.stop()


@contextmanager
def meanwhile(call: Callable[[], T], *, wanted: bool = True) -> Generator[Callable[[], T], None]:
    """Begin a call if that is wanted; the value returns what it returned, and calls again if asked again."""
    with ahead([call]) if wanted else nullcontext() as outcome:
        first = [outcome] if outcome else []
        yield lambda: first.pop()(0).get() if first else call()


@contextmanager
def ahead(calls: Sequence[Callable[[], T]], most: int = 0) -> Generator[_Outcomes[T] | None, None]:
    """Begin calls at once that can as well be made later; None: they are not begun (rule 6)."""
    try:
        with _AHEAD:
            fits = threads() + min(most or WORKERS, len(calls)) <= _FEW
            running = _Running(calls, most or WORKERS) if fits else None
    except (RuntimeError, MemoryError):  # no thread can be begun
        running = None
    try:
        yield None if running is None else running.outcome
    finally:
        if running:
            running.stop()


def threads() -> int:
    """Return how many threads there are for calls."""
    return sum(thread.name == _NAME for thread in threading.enumerate())


def run_all(calls: Sequence[Callable[[], object]], most: int = 0) -> None:
    """Do all calls; the first that fails, whichever it is, ends the others, and its error is raised."""
    running = _Running(calls, most or WORKERS, window=len(calls), together=True)
    try:
        running.wait(lambda: running.failed or running.left == 0)
    finally:
        running.stop()
    running.say_all()
    if running.failed:
        raise running.failed[0]


def check_stop() -> None:
    """Raise StoppedError in a call that is to end (rule 2)."""
    if (running := _CURRENT.get()) is not None and running.stopped():
        raise StoppedError


def await_turn() -> None:
    """Wait until the outcomes of all earlier calls are taken: a question then comes in their order."""
    if (running := _CURRENT.get()) is not None:
        weight.give_way()
        running.await_turn(_NUMBER.get())


def ask(function: Callable[..., T], *args: object) -> T:
    """Call a function that a user handed in, in the thread that waits for the outcomes (rule 3)."""
    running = _CURRENT.get()
    return function(*args) if running is None else running.asked(function, args)


def say(function: Callable[[T], object], what: T) -> None:
    """Give something to a function that a user handed in, when the outcome of this call is got (rule 3)."""
    _say(lambda: function(what))


def _say(words: Callable[[], object]) -> None:
    said = _SAID.get()
    if said is None:
        words()
    else:
        said.append(words)


_CURRENT: ContextVar[_Running[Any] | None] = ContextVar("running", default=None)
_NUMBER: ContextVar[int] = ContextVar("number", default=0)
_SAID: ContextVar[_Said | None] = ContextVar("said", default=None)


def _outcome(call: Callable[[], T], caught: type[BaseException]) -> Outcome[T]:
    try:
        return Outcome(call())
    except caught as error:
        return Outcome(error=error)


def _taken(outcome: Outcome[T]) -> Outcome[T]:
    """Return an outcome that is taken; where all is to end it is none, and this call ends too."""
    if isinstance(outcome.error, StoppedError):
        check_stop()
    return outcome


class _Running(Generic[T]):
    """The threads of one set of calls."""

    def __init__(
        self,
        calls: Sequence[Callable[[], T]],
        most: int,
        window: int = 0,
        *,
        together: bool = False,
        ordered: bool = False,
    ) -> None:
        self._calls, self._window, self._together = calls, window or _WINDOW, together
        self._outer, self._number_outside, self._ordered = _CURRENT.get(), _NUMBER.get(), ordered
        self._heavy, self._within = weight.HeavyCalls(check_stop), weight.current()
        self._changed = threading.Condition()
        self._begun = self.taken = 0
        self.left, self.failed = len(calls), list[BaseException]()
        self._done: dict[int, Outcome[T]] = {}
        self._questions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stop = False
        self._threads = list[threading.Thread]()
        try:
            for _ in range(min(most, len(calls))):
                inside = copy_context().run  # of the caller, a copy for each thread
                thread = threading.Thread(target=inside, args=(self._work,), name=_NAME, daemon=True)
                thread.start()
                self._threads.append(thread)
        except (RuntimeError, MemoryError):  # those that there are do it all
            if not self._threads:
                raise

    def stopped(self) -> bool:
        """Tell whether these calls, or those that they belong to, are to end."""
        return self._stop or (self._outer is not None and self._outer.stopped())

    def outcome(self, number: int) -> Outcome[T]:
        """Wait for one outcome, and answer questions meanwhile."""
        self.taken = number
        self.wait(lambda: number in self._done)
        self.taken += 1
        return _taken(self._done.pop(number))

    def at_the_end(self) -> Outcome[T]:
        """Return the next outcome without waiting for it (rule 2)."""
        self.taken += 1
        found = self._done.pop(self.taken - 1, None)
        stopped = found is None or isinstance(found.error, StoppedError)
        return Outcome(error=UnfinishedError()) if stopped or found is None else found

    def say_all(self) -> None:
        """Say what was said in calls whose outcomes nobody takes, in their order."""
        for _, outcome in sorted(self._done.items()):
            outcome._repeat()  # noqa: SLF001 - of this module

    def wait(self, until: Callable[[], object]) -> None:
        """Answer questions in this thread until something holds."""
        while True:
            with self._changed:
                self._changed.notify_all()
                while not until() and self._questions.empty():
                    # Not for ever: on Windows Ctrl-C gets through between two waits only.
                    self._changed.wait(_POLL_SECONDS)
                    check_stop()
            if self._questions.empty():
                return
            self._questions.get()()

    def await_turn(self, number: int) -> None:
        """Wait until a call is the first that was not taken, and so is what it belongs to."""
        with self._changed:
            while self._ordered and self.taken < number and not self.stopped():
                self._changed.wait(_POLL_SECONDS)
        if self.stopped():
            raise StoppedError
        if self._outer is not None:
            self._outer.await_turn(self._number_outside)

    def asked(self, function: Callable[..., A], args: tuple[object, ...]) -> A:
        """Have the waiting thread call a function; it may itself be a call of others."""
        answered: queue.SimpleQueue[Outcome[A]] = queue.SimpleQueue()
        self._questions.put(lambda: answered.put(_outcome(lambda: ask(function, *args), BaseException)))
        with self._changed:
            self._changed.notify_all()
        while not self.stopped():
            try:
                return answered.get(timeout=_POLL_SECONDS).get()
            except queue.Empty:
                continue
        raise StoppedError

    def stop(self) -> None:
        """Let no call go on (rule 2)."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        ends = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _work(self) -> None:
        _CURRENT.set(self)
        while (number := self._next()) is not None:
            said: _Said = []
            _SAID.set(said)
            _NUMBER.set(number)
            with self._heavy.call(self._within):
                outcome = _outcome(self._calls[number], BaseException)
            outcome._said = said  # noqa: SLF001 - of this module
            if outcome.error is not None:  # it is kept until it is taken, and what its frames hold is not
                traceback.clear_frames(outcome.error.__traceback__)
            with self._changed:
                self._done[number] = outcome
                self.left -= 1
                if outcome.error is not None and not isinstance(outcome.error, StoppedError):
                    self.failed.append(outcome.error)
                    self._stop = self._together
                self._changed.notify_all()

    def _next(self) -> int | None:
        """Return the number of the next call, once it may be begun (rule 5)."""
        with self._changed:
            while not self.stopped() and self._begun < len(self._calls):
                if self._begun < self.taken + self._window:
                    self._begun += 1
                    return self._begun - 1
                self._changed.wait(_POLL_SECONDS)
            return None
