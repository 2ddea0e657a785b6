"""Questions to the person at the terminal, if there is one.

Rules:

1. Nothing is asked where standard input and standard error are both no terminal: in a
   pipeline nobody answers.
2. Questions and answers bypass standard output, which is for results, and standard
   input, which may be a list of REFs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from notarypy.cli.render import safe

_TERMINAL = Path("/dev/tty")


def present() -> bool:
    """Tell whether somebody can be asked (rule 1)."""
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
    import getpass

    try:
        return getpass.getpass(safe(question))
    except EOFError:
        return ""


def agreed(question: str) -> bool:
    """Ask a yes-or-no question; only `y` and `yes` are a yes."""
    text = f"{safe(question)} [y/N] "
    if os.name == "nt":
        answer = input(text)
    else:
        with _TERMINAL.open("r+b", buffering=0) as terminal:
            terminal.write(text.encode(errors="backslashreplace"))
            answer = terminal.readline(64).decode(errors="replace")
    return answer.strip().lower() in {"y", "yes"}
