"""The program's own help, as facts to compare pages with."""

from __future__ import annotations

import contextlib
import io
import re
from functools import cache

from notarypy.cli.app import COMMANDS
from notarypy.cli.main import run

_OPTION = re.compile(r"^  (?:(-\w), )?(--[\w-]+)(?: ((?:[a-z]+:)?[A-Z]\S*|<\S+>))?(?=\s|$)", re.MULTILINE)
_GROUPS = ("delegate", "signer", "key", "migrate", "admission")


@cache
def help_of(command: str = "") -> str:
    """Return the help of a command or a topic, or of the program."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert run(["help", *command.split()]) == 0
    return output.getvalue()


def options(command: str = "") -> dict[str, tuple[str, str]]:
    """Return short name and value of every option by its long name."""
    text = help_of(command or "options").partition("Options:\n")[2].partition("Commands:\n")[0]
    return {
        long: (short, value.strip("<>"))
        for short, long, value in _OPTION.findall(text)
        if long != "--help" or not command
    }


@cache
def commands() -> frozenset[str]:
    """Return all commands in full: `sign`, `key load`, ..."""
    found = set(COMMANDS) - set(_GROUPS)
    for noun in _GROUPS:
        listed = help_of(noun).partition("Commands:\n")[2]
        found |= {f"{noun} {verb}" for verb in re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE)}
    return frozenset(found)


def usage(command: str) -> str:
    """Return the words of a command line, without its options."""
    line = help_of(command).partition("Usage:")[2].strip().partition("\n")[0]
    return re.sub(r"[{}]", "", line.strip().replace("[OPTIONS] ", "").replace(" [OPTIONS]", ""))
