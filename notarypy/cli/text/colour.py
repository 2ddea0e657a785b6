"""Colour where a person looks: of errors, warnings, verdicts and the headings of tables.

What it is: whether a stream is coloured, and how. What it is not: what is said: colour repeats it.

Rules:

1. `--color` decides. Without it: no colour if `NO_COLOR` has a value; some where the stream is a terminal,
   and `TERM` says that it is more than a typewriter.
2. `FORCE_COLOR` and `CLICOLOR_FORCE` are set for whole pipelines, where programs read what others write: they
   count for standard error alone.
3. JSON, logs, files and references by digest are never coloured.
4. Only words of this program are coloured, and verdicts only in columns that have nothing else: no name from
   outside passes for one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import TextIO

from notarypy import system

_CODES = {"heading": "1", "label": "1", "ok": "32", "warning": "1;33", "bad": "1;31"}
_KINDS = {"error": "bad", "warning": "warning"}
_NOTHING, _FORCING = ("", "0"), ("FORCE_COLOR", "CLICOLOR_FORCE")
# Not compiled before there is something to colour.
_SEVERITY, _LABEL = r"(?m)(?<=^notarypy: )(error|warning):", r"(?m)^  (?:for|why|fix):"
# By column, how its cells begin and what that is.
_VERDICTS: Mapping[str, Mapping[str, str]] = {
    "STATE": {"ok": "ok", "warning": "warning", "bad": "bad"},
    "LEFT": {"ended": "bad"},
    "ENDS": {"(unusable)": "bad"},
    "REGISTRY": {"as signed": "ok", "moved": "bad", "gone": "bad", "unknown": "warning"},
    "NEW SIGNATURE": {"none": "bad", "missing: ": "bad", "unknown": "warning"},
    "WHAT": {"NOT VERIFIED: ": "bad"},
}


class Painter:
    """Colours text for a stream that takes colour; text is safe before it comes here."""

    def put(self, kind: str, text: str) -> str:
        """Return a text in the colour of a kind: a heading, a label, ok, a warning or bad."""
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if kind and text.strip() else text

    def message(self, text: str) -> str:
        """Return an error or a warning with its labels in colour."""
        found = re.sub(_SEVERITY, lambda match: self.put(_KINDS[match[1]], match[0]), text)
        return re.sub(_LABEL, lambda match: self.put("label", match[0]), found)

    def verdict(self, column: str, cell: str) -> str:
        """Return the kind of a cell in a column, nothing if it says no more than others (rule 4)."""
        return next((kind for word, kind in _VERDICTS.get(column, {}).items() if cell.startswith(word)), "")


def painter(stream: TextIO | None, choice: str, environ: Mapping[str, str] = os.environ) -> Painter | None:
    """Return what colours a stream, None where it stays as it is (rules 1 and 2)."""
    return Painter() if stream is not None and _wanted(stream, choice, environ) else None


def _wanted(stream: TextIO, choice: str, environ: Mapping[str, str]) -> bool:
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if stream is sys.stderr and any(environ.get(name, "") not in _NOTHING for name in _FORCING):
        return True
    return stream.isatty() and takes_escapes(environ)


def takes_escapes(environ: Mapping[str, str]) -> bool:
    """Tell whether a terminal can do more than write; the old console of Windows has to be switched to it."""
    if system.WINDOWS:
        return any(name in environ for name in ("WT_SESSION", "TERM", "ANSICON"))
    return environ.get("TERM", "dumb") != "dumb"
