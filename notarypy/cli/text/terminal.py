"""The person at the terminal, if there is one: a progress bar, and questions.

What it is: a line of standard error that is written over again and again; questions for a passphrase and for
a yes. What it is not: a result, or a log.

Rules:

1. Only a terminal gets a bar; its line is gone when something else is to be said.
2. Nothing is asked where standard input and standard error are both no terminal: in a pipeline nobody
   answers.
3. Questions and answers bypass standard output, which is for results, and standard input, which may be a list
   of REFs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from notarypy.cli.text.render import safe

_EVERY_SECONDS = 0.1
_WIDTH = 24
_ANSWER = 256
_CLEAR = "\r\x1b[K"
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000
_TERMINAL = Path("/dev/tty")


def bar(*, steps: bool = False) -> Bar | None:
    """Return a bar where there is a terminal (rule 1), of bytes or of steps."""
    stream = sys.stderr
    return None if stream is None or not stream.isatty() else Bar(stream, time.monotonic, steps=steps)


class Bar:
    """A bar; see `client.parameters.Progress`."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float], *, steps: bool = False) -> None:
        """Write to a terminal, now and then by this clock."""
        self._stream, self._monotonic, self._shown = stream, monotonic, str if steps else _amount
        self._what, self._total, self._done, self._next = "", 0, 0, 0.0

    def begin(self, what: str, total: int) -> None:
        """Begin with nothing done."""
        self._what, self._total, self._done, self._next = what, total, 0, 0.0
        self.moved(0)

    def moved(self, count: int) -> None:
        """Draw, unless that was just done."""
        self._done += count
        if self._monotonic() >= self._next:
            self._next = self._monotonic() + _EVERY_SECONDS
            part = min(self._done / self._total, 1) if self._total else 1
            filled = "#" * int(_WIDTH * part)
            amounts = f"{self._shown(self._done)}/{self._shown(self._total)}"
            self._write(f"{_CLEAR}{safe(self._what)} [{filled:<{_WIDTH}}] {part:4.0%} {amounts}")

    def end(self) -> None:
        """Leave an empty line (rule 1)."""
        self._write(_CLEAR)

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def _amount(count: int) -> str:
    power = next((power for power in range(len(_UNITS)) if count < _STEP ** (power + 1)), len(_UNITS) - 1)
    return f"{count / _STEP**power:.{min(power, 1)}f} {_UNITS[power]}"


def columns() -> int | None:
    """Return how many characters a line of standard output may have; None where it is no terminal."""
    stream = sys.stdout
    if stream is None or not stream.isatty():
        return None
    import shutil  # which nobody but a terminal needs

    return shutil.get_terminal_size().columns


def present() -> bool:
    """Tell whether somebody can be asked (rule 2)."""
    if not any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return False
    if os.name == "nt":
        return True
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def secret(question: str) -> str:
    """Ask without echo; the end of input is an empty answer."""
    import getpass  # which nobody but a person at the terminal needs

    try:
        return getpass.getpass(safe(question))
    except EOFError:
        return ""


def agreed(question: str, *before: str) -> bool:
    """Ask a yes-or-no question after some lines; only `y` and `yes` are a yes."""
    shown = "".join(f"{safe(line)}\n" for line in before)
    return _asked(f"{shown}{safe(question)} [y/N] ").lower() in {"y", "yes"}


def choice(lines: Sequence[str], question: str, answers: Sequence[str]) -> str | None:
    """Ask a question with several answers, after lines that say why, by its first letters; else None."""
    shown = "".join(f"{safe(line)}\n" for line in lines)
    given = _asked(f"{shown}{safe(question)} [{'/'.join(answers)}] ").lower()
    found = [answer for answer in answers if given and answer.startswith(given)]
    return found[0] if len(found) == 1 else None


def answer(question: str, *before: str) -> str:
    """Ask for a line of text, after some lines."""
    return _asked("".join(f"{safe(line)}\n" for line in before) + safe(question))


def _asked(text: str) -> str:
    if os.name == "nt":
        return input(text).strip()
    with _TERMINAL.open("r+b", buffering=0) as terminal:
        terminal.write(text.encode(errors="backslashreplace"))
        return terminal.readline(_ANSWER).decode(errors="replace").strip()
