"""A script of command lines for Go notary and for ours, and where the two may differ.

What it is: the grammar of such a file. What it is not: running it (`gosides`). Rules:

1. A line is a command line after the program's name, quoted as for a shell: `add {R} v1 hello -p`. In front
   of it may stand variables (`NAME=value`; `NAME=` unsets), at its end what it reads: `<<yes` is a line of
   text, `<<@FILE` a file's content. `# ...` at the beginning is a comment, `== ...` begins a part.
2. ` # ` at the end of a line is followed by what ours ends with if that is not 0, and by where the two
   differ: the name of a row of docs/go-notary.md, a colon, and in what respects. `;` goes between.
3. `! write FILE TEXT`, `! remove FILE` and `! copy FILE FILE` change the homes of both, and `! forget GUN`
   removes the keys of a repository.
   `go> ...` and `ours> ...` are lines that only one of them runs, to have both in one state again;
   `both> ...` is one that Go notary runs for both, as somebody who has it still does.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONLY = {"go>": "go", "ours>": "ours", "both>": "both"}
# In what respects two runs can be compared: always, and only where a line says so.
RESPECTS = {"stdout", "code", "error", "staged", "metadata", "keys", "files"}
ASKED = {"stream", "exit", "reasons", "help", "stderr", "cached"}
_VARIABLE = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A line of the script (rules 1 and 2); words that begin with `!` are for the homes (rule 3)."""

    number: int
    source: str
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    reads: str | None = None
    code: int = 0
    differs: dict[str, frozenset[str]] = field(default_factory=dict)
    only: str = ""

    @property
    def respects(self) -> set[str]:
        """Everything in which the two differ here."""
        return {respect for respects in self.differs.values() for respect in respects}

    @property
    def is_command(self) -> bool:
        """Whether both run a command here."""
        return not self.only and self.words[0] != "!"


def read(path: Path) -> list[Line]:
    """Return the lines of a script."""
    return list(_lines(path.read_text(encoding="utf-8")))


def parsed(source: str) -> Line:
    """Return a line that stands in no file."""
    return _line(0, source)


def _lines(text: str) -> Iterator[Line]:
    for number, source in enumerate(text.splitlines(), 1):
        if source.strip() and not source.startswith(("#", "==")):
            yield _line(number, source)


def _line(number: int, source: str) -> Line:
    command, _, remark = source.partition("  # ")
    words, environment, reads = shlex.split(command), dict[str, str](), None
    only = ONLY.get(words[0], "")
    if only:
        del words[0]
    while match := _VARIABLE.fullmatch(words[0]):
        environment[match[1]] = match[2]
        del words[0]
    if words[-1].startswith("<<"):
        reads = words.pop()[2:]
    code, differs = _remark(remark)
    return Line(number, source, tuple(words), environment, reads, code, differs, only)


def _remark(text: str) -> tuple[int, dict[str, frozenset[str]]]:
    code, differs = 0, dict[str, frozenset[str]]()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, colon, respects = part.partition(":")
        if not colon:
            code = int(part)
            continue
        differs[name] = frozenset(respects.split())
        assert differs[name] <= RESPECTS | ASKED, part
    return code, differs
