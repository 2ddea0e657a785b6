"""Tables as Go notary prints them.

What it is: cells in; out come lines, byte for byte as Go's. What it is not: as wide as the terminal: programs
take these apart.

Rules:

1. A column is as wide as its longest cell, counted in characters, and four blanks more. The last one is not
   padded.
2. Below each name in the heading stand as many hyphens as it is long.
3. What a cell has that cannot be shown as it is, is escaped (`cli.text.render`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from notarypy.cli.text.render import safe

_GAP = 4


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with its heading, each line with its end."""
    lines = [[*heading], ["-" * len(name) for name in heading], *([*map(safe, row)] for row in rows)]
    widths = [max(map(len, column)) + _GAP for column in zip(*lines, strict=True)][:-1]
    return "".join(
        "".join(f"{cell:<{wide}}" for cell, wide in zip(line, [*widths, 0], strict=True)) + "\n"
        for line in lines
    )
