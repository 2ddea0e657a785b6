"""Tables on a terminal: as wide as it is.

What it is: cells in; out come lines. What it is not: safe (`render`, which makes cells so), or the form that
programs read, where each row is one line.

Rules:

1. Where a table is wider than the terminal columns without a cell are left out, ids are abbreviated, then
   columns come nearer to each other and cells are broken over several lines, between words and parts of
   paths, then each row becomes a list of its cells.
2. Of a cell that is longer than a few lines the end is cut off, which three dots show. In a pipe it is whole.
3. Width is what a terminal shows: two columns for the wide characters of East Asia and for emoji, none for
   what combines with the character before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.cli.text.colour import Painter

_GAP, _NEAR = "   ", "  "
_MOST, _CUT = 400, "..."
# A cell is broken behind blanks, slashes, and hyphens before a letter, which leaves dates whole.
_PART = re.compile(r"(?:[^ /-]|-(?![A-Za-z]))*(?:/+ *|-(?=[A-Za-z])| +)|(?:[^ /-]|-(?![A-Za-z]))+")
# Where ids are abbreviated that do not fit: what is in other columns may be a name, whatever it looks like.
_OF_IDS = frozenset({"KEY ID", "KEY IDS", "KEYS", "DIGEST", "LOCATION", "REGISTRY"})
_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}(\.key)?\b")
_Parts = Sequence[str]


def shown(lines: Sequence[_Parts], columns: int | None, painter: Painter | None, plain: Sequence[int]) -> str:
    """Return a table, whose first line is its heading; without `columns` it has its plain widths."""
    header, *rows = lines if columns is None else _narrowed(lines, columns)
    kinds = [["heading"] * len(header)]
    kinds += [
        [painter.verdict(*each) if painter else "" for each in zip(header, row, strict=True)] for row in rows
    ]
    if columns is None:
        return _aligned([[[cell] for cell in line] for line in lines], plain, kinds, painter)
    gap = _GAP if sum(_longest([header, *rows])) <= _room(header, columns) else _NEAR
    widths = _widths([header, *rows], _room(header, columns, gap))
    if widths is None:
        records = zip(rows, kinds[1:], strict=True)
        return "\n\n".join(_record(header, row, kind, columns, painter) for row, kind in records)
    broken = [[*map(_broken, line, widths)] for line in (header, *rows)]
    return "\n".join(map(str.rstrip, _aligned(broken, widths, kinds, painter, gap).splitlines()))


def _narrowed(lines: Sequence[_Parts], columns: int) -> list[_Parts]:
    """Return a table without what a terminal has no room for, as far as it takes (rules 1 and 2)."""
    header, *rows = lines
    found: list[_Parts] = [header, *([*map(_cut, row)] for row in rows)]
    if sum(_longest(found)) > _room(header, columns):
        filled = [any(cells) for cells in zip(*rows, strict=True)]
        found = [[*compress(line, filled)] for line in found] if any(filled) else found
    header, *rows = found
    if sum(_longest(found)) > _room(header, columns):
        found = [header, *([*map(_short, header, row)] for row in rows)]
    return found


def _room(header: _Parts, columns: int, gap: str = _GAP) -> int:
    return columns - len(gap) * (len(header) - 1)


def width(text: str) -> int:
    """Return how many columns a terminal takes for a text (rule 3)."""
    if text.isascii():
        return len(text)
    import unicodedata  # which hardly any table needs

    def columns(character: str) -> int:
        if unicodedata.category(character) in {"Mn", "Me"}:
            return 0
        return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1

    return sum(map(columns, text))


def _longest(lines: Iterable[_Parts]) -> list[int]:
    return [max(map(width, column)) for column in zip(*lines, strict=True)]


def _aligned(
    lines: Sequence[Sequence[_Parts]],
    widths: Sequence[int],
    kinds: Sequence[_Parts],
    painter: Painter | None,
    gap: str = _GAP,
) -> str:
    """Return lines of cells, each of which may have several, below each other."""
    shown = []
    for cells, of_cells in zip(lines, kinds, strict=True):
        for parts in zip_longest(*cells, fillvalue=""):
            placed = zip(parts, [*widths[:-1], 0], of_cells, strict=True)
            shown.append(gap.join(_placed(*each, painter) for each in placed))
    return "\n".join(shown)


def _placed(part: str, wide: int, kind: str, painter: Painter | None) -> str:
    blanks = " " * max(wide - width(part), 0)
    return f"{painter.put(kind, part) if painter else part}{blanks}"


def _cut(cell: str) -> str:
    """Return a cell without what nobody reads at a terminal (rule 2)."""
    return cell if width(cell) <= _MOST else f"{next(pieces(cell, _MOST - len(_CUT)))}{_CUT}"


def _short(name: str, cell: str) -> str:
    """Return a cell with its ids abbreviated, if its column has ids; names of files as a shell's pattern."""
    if name not in _OF_IDS:
        return cell
    return _ID.sub(lambda found: f"{found[1]}*{found[2]}" if found[2] else found[1], cell)


def _widths(lines: Sequence[_Parts], room: int) -> list[int] | None:
    """Return widths that fit into so much room, if there are any without breaking words and headers."""
    header, *rows = lines
    least = [
        max([width(name), *(width(part) for row in rows for part in _PART.findall(row[at]))])
        for at, name in enumerate(header)
    ]
    longest = _longest(lines)
    if sum(least) > room:
        return None
    for most in range(max(longest), 0, -1):  # the widest become narrower, as far as they have to
        found = [max(min(length, most), low) for length, low in zip(longest, least, strict=True)]
        if sum(found) <= room:
            return found
    return least


def _broken(cell: str, wide: int) -> list[str]:
    """Return the lines of a cell: broken behind blanks, slashes and hyphens, or else where it has to be."""
    lines = [""]
    for part in _PART.findall(cell):
        if lines[-1] and width(lines[-1]) + width(part.rstrip()) > wide:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        first, *others = list(pieces(part.rstrip(), wide)) or [part]
        lines[-1] += first
        lines += others
        lines[-1] += part[len(part.rstrip()) :] if part.strip() else ""
    lines[-1] = lines[-1].rstrip()
    return lines


def pieces(text: str, wide: int) -> Iterator[str]:
    """Yield a text in pieces that are so wide at the most, and one character at the least."""
    piece = ""
    for character in text:
        if piece and width(piece + character) > wide:
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _record(header: _Parts, row: _Parts, kinds: _Parts, columns: int, painter: Painter | None) -> str:
    """Return one row of a table that has no room for its columns: below each other, with their names."""
    wide = max(map(len, header)) + 1
    room = max(columns - wide, 1)
    shown = []
    for name, cell, kind in zip(header, row, kinds, strict=True):
        for label, part in zip_longest([name], _broken(cell, room), fillvalue=""):
            shown.append(
                f"{_placed(label, wide, 'heading', painter)}{_placed(part, 0, kind, painter)}".rstrip()
            )
    return "\n".join(shown)
