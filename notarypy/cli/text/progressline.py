"""How far a command is, for a person who waits: one line of standard error.

What it is: a line that appears when something takes longer than a second, is written over again and again,
and is erased at the end. What it is not: a result, a log, or anything for programs.

Rules:

1. Nothing appears within the first second, so a quick command leaves the terminal as it was.
2. The line is gone while something else is said or asked, and for good when the work ends, well or not.
3. Of several things under way the one that began last is shown, if it is late too.
4. A thread draws, so that a server that is silent does not look like a program that stands still: whoever
   works only counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from notarypy.cli.text.render import safe
from notarypy.cli.text.tables import pieces

_AFTER_SECONDS, _EVERY_SECONDS = 1.0, 0.1
_WIDTH, _NARROWEST = 24, 60
_CLEAR = "\r\x1b[K"
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


class ProgressLine:
    """The line; see `client.parameters.Progress` for what is counted."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float], columns: Callable[[], int]) -> None:
        """Write to a terminal that is so wide, by this clock."""
        self.stream, self._monotonic, self._columns = stream, monotonic, columns
        self._lock = threading.RLock()
        self._begun: list[CountedWork] = []
        self._drawn = ""
        self._hidden = 0
        self._over = threading.Event()

    def work(self, *, steps: bool = False) -> CountedWork:
        """Return something that may begin, counted in bytes or in steps."""
        return CountedWork(self, str if steps else _amount)

    def begun(self, work: CountedWork) -> None:
        """Show what is counted from now on (rule 3)."""
        with self._lock:
            work.since = self._monotonic() if work not in self._begun else work.since
            idle = not self._begun
            self._begun = [*(other for other in self._begun if other is not work), work]
        if idle:
            self._over = threading.Event()
            threading.Thread(target=self._draw_until, args=(self._over,), daemon=True).start()

    def ended(self, work: CountedWork) -> None:
        """Show it no more (rule 2)."""
        with self._lock:
            self._begun = [other for other in self._begun if other is not work]
            if not self._begun:
                self._over.set()
            self._erase()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Keep the line away while something else is said or asked."""
        with self._lock:
            self._hidden += 1
            self._erase()
        try:
            yield
        finally:
            with self._lock:
                self._hidden -= 1

    def draw(self) -> None:
        """Write the line as it is now, if it is to be there (rule 1)."""
        with self._lock:
            now = self._monotonic()
            late = [work for work in self._begun if now - work.since >= _AFTER_SECONDS]
            if late and not self._hidden:
                shown = late[-1].text(self._columns() - 1, now)
                if shown != self._drawn:
                    self._write(f"{_CLEAR}{shown}")
                self._drawn = shown

    def _draw_until(self, over: threading.Event) -> None:
        while not over.wait(_EVERY_SECONDS):
            self.draw()

    def _erase(self) -> None:
        if self._drawn:
            self._write(_CLEAR)
            self._drawn = ""

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()


class CountedWork:
    """One thing that is counted."""

    def __init__(self, line: ProgressLine, shown: Callable[[int], str]) -> None:
        self._line, self._shown = line, shown
        self._what, self._total, self._done, self.since = "", 0, 0, 0.0

    def begin(self, what: str, total: int) -> None:
        """Begin with nothing done."""
        self._what, self._total, self._done = what, total, 0
        self._line.begun(self)

    def moved(self, count: int) -> None:
        """Note that so many more are done."""
        self._done += count

    def end(self) -> None:
        """Note that all is over."""
        self._line.ended(self)

    def text(self, columns: int, now: float) -> str:
        """Return what is shown of it, in so many columns: how much of how much, and for how long."""
        counted = self._counted(columns >= _NARROWEST) if self._total else ""
        counted += f" {now - self.since:.0f} s"
        room = columns - len(counted)
        what = next(pieces(safe(self._what), room), "") if room > 1 else ""
        return f"{what}{counted}"[:columns]

    def _counted(self, wide: bool) -> str:  # noqa: FBT001 - of this class
        share = min(self._done / self._total, 1)
        bar = f" [{'#' * int(_WIDTH * share):<{_WIDTH}}]" if wide else ""
        return f"{bar} {share:4.0%} {self._shown(self._done)}/{self._shown(self._total)}"


def _amount(count: int) -> str:
    power = next((power for power in range(len(_UNITS)) if count < _STEP ** (power + 1)), len(_UNITS) - 1)
    return f"{count / _STEP**power:.{min(power, 1)}f} {_UNITS[power]}"
