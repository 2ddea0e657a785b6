"""The person at the terminal, if there is one: how wide it is, how far a command is, and questions.

What it is: whether there is a terminal, and questions for a passphrase and for a yes. What it is not: a
result, a log, or what the line of progress says (`progressline`).

Rules:

1. Only a terminal gets such a line; it is gone when something else is to be said.
2. Nothing is asked where standard input and standard error are both no terminal: in a pipeline nobody
   answers.
3. Questions and answers bypass standard output, which is for results, and standard input, which may be a list
   of REFs.
4. What is said after a question that got no answer, at Ctrl-C or Ctrl-D, has a line of its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from notarypy import system
from notarypy.cli.text.render import safe

if TYPE_CHECKING:
    from notarypy.cli.text.progressline import ProgressLine

_ANSWER = 256


# The line of this process, once there is one: its one terminal has room for no other.
_shown: list[ProgressLine] = []


def progress_line() -> ProgressLine | None:
    """Return the line that says how far a command is, where standard error is a terminal that can take it."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        return None
    from notarypy.cli.text import colour, progressline  # which nobody but a person at the terminal needs

    if not colour.takes_escapes(os.environ):
        return None
    if not _shown or _shown[0].stream is not stream:
        import shutil

        made = progressline.ProgressLine(stream, time.monotonic, lambda: shutil.get_terminal_size().columns)
        _shown[:] = [made]
    return _shown[0]


@contextmanager
def aside() -> Iterator[None]:
    """Keep that line away while something else is said or asked (rule 1)."""
    with _shown[0].hidden() if _shown else nullcontext():
        yield


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
    try:
        os.close(os.open(system.KEYBOARD, os.O_RDWR | system.NOCTTY))
    except OSError:
        return False
    return True


def secret(question: str) -> str:
    """Ask without echo; the end of input is an empty answer."""
    import getpass  # which nobody but a person at the terminal needs

    try:
        with aside(), _own_line():
            return getpass.getpass(safe(question))
    except EOFError:
        return ""


def shown(stream: TextIO | None, text: str) -> None:
    """Write to a stream, at once."""
    if stream is not None:
        stream.write(text)
        stream.flush()


def unseen(stream: TextIO | None) -> str:
    """Return what is typed without echo; a stream, on which it was asked for, gets the end of that line."""
    import getpass  # which nobody but a person at the terminal needs

    try:
        return getpass.getpass("", stream)
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
    with aside(), _own_line():
        return _typed(text)


@contextmanager
def _own_line() -> Iterator[None]:
    """End the line of a question that got no answer (rule 4)."""
    try:
        yield
    except (EOFError, KeyboardInterrupt):
        _write("\n")
        raise


def _typed(text: str) -> str:
    with Path(system.KEYBOARD).open("rb", buffering=0) as keyboard:
        _write(text)
        given = keyboard.readline(_ANSWER)
    if not given.endswith(b"\n"):  # the end of input
        _write("\n")
    return given.decode(errors="replace").strip()


def _write(text: str) -> None:
    with Path(system.SCREEN).open("wb", buffering=0) as screen:
        screen.write(text.encode(errors="backslashreplace"))
