"""What the scripts that measure have in common: how they read a command line, keep what they found, and end.

Rules:

1. What is wrong with a command line is told in one line, before anything is measured; exit 2.
2. Ctrl-C, SIGTERM and a closed terminal end a script in the same way: servers and temporary folders go, one
   line says so, and the exit code is 128 and the signal's number. Further signals do not disturb that.
3. A file of results is replaced as a whole, or stays as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEARING = 30.0


class Parser(argparse.ArgumentParser):
    """A reader of command lines that complains in one line (rule 1)."""

    def __init__(self, prog: str, description: str) -> None:
        """Read what a script of this name understands."""
        super().__init__(prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(2, f"{self.prog}: {message} (--help says more)\n")


def words(text: str) -> list[str]:
    """Read words with commas between them, none of them empty and none twice."""
    found = text.split(",")
    if "" in found:
        raise argparse.ArgumentTypeError(f"there is an empty word in {text!r}")
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r} names something twice")
    return found


def whole(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from this one on."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return read


def wholes(least: int) -> Callable[[str], list[int]]:
    """Return a reader of whole numbers with commas between them, none of them twice."""

    def read(text: str) -> list[int]:
        found = [whole(least)(word) for word in text.split(",")]
        if len(set(found)) < len(found):
            raise argparse.ArgumentTypeError(f"{text!r} has a number twice")
        return found

    return read


def seconds(text: str) -> float:
    """Read a number of seconds, none at all included."""
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not (math.isfinite(found) and found >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return found


def destination(text: str) -> Path:
    """Read the name of a file that `write` can write."""
    path = Path(text).resolve()
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is there and no file")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{text!r}: {path.parent} is no folder that can be written to")
    return path


def write(path: Path, text: str) -> None:
    """Put a text into a file, which has the old one or the new one, and nothing between (rule 3)."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


class EndedError(KeyboardInterrupt):
    """A signal that ends the script has come."""

    def __init__(self, number: int) -> None:
        """Note the signal."""
        super().__init__()
        self.signal = signal.Signals(number)


@contextlib.contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """Make a folder that goes whatever happens, also when the end comes while it goes."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        try:
            shutil.rmtree(path)
        except (EndedError, OSError) as error:  # or what was killed just now has still written
            shutil.rmtree(path, ignore_errors=True)
            if isinstance(error, EndedError):
                raise


class _Ending:
    """Ends a script once; a signal much later is heard again, should the first have been lost."""

    def __init__(self) -> None:
        self._again = 0.0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise the end, unless the script is about it."""
        if time.monotonic() > self._again:
            self._again = time.monotonic() + CLEARING
            raise EndedError(number)


def run(name: str, main: Callable[[], int]) -> int:
    """Run a script, and return its exit code (rule 2)."""
    before = {number: signal.getsignal(number) for number in ENDING}
    ending = _Ending()
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, ending)
    try:
        return main()
    except EndedError as end:
        sys.stdout.flush()
        sys.stderr.write(f"{name}: ended by {end.signal.name}; what was measured until then was printed\n")
        return 128 + end.signal
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
