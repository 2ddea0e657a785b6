"""What is drawn on a page about a repository: the tree of its roles, and a line of time.

What it is: roles and dates in, shapes of SVG out. What it is not: the only place where these are shown; all
of it is in tables too, for who cannot see it, and for names that are too long for a picture.

Rules:

1. Nothing is scaled to fit: rows below each other, as many as there are, in parts that fit a page of paper.
   From left to right a drawing fits the width it has; on a telephone a long name is cut in its middle, so
   that two with the same beginning differ.
2. Colours repeat what is said in words.
3. Of very many roles the first are drawn, and it is said how many are not.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from notarypy.cli.text.htmlpage import drawing, label, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from notarypy.client.findings import Level

_ROWS = 400
_NAME = 120
STYLE = """
.tree { margin: 0; } .tree .box { fill: var(--soft); } .tree .line { stroke: var(--dim); }
svg .name { font-weight: 600; } svg .more, svg .tick { fill: var(--dim); font-size: 13px; }
svg .aside { font-size: 13px; font-weight: 600; }
svg .ahead { transform: translateX(6px); }
svg .scale { stroke: var(--line); } svg .now { stroke: var(--dim); }
svg .over { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
rect.ok { fill: var(--mark); } rect.warning { fill: var(--warning); } rect.bad { fill: var(--bad); }
text.warning { fill: var(--warning); } text.bad { fill: var(--bad); }
.cut { display: none; }
@media screen and (max-width: 40rem) { .whole { display: none; } .cut { display: inline; } }
"""
_ROW, _IN_A_PART = 72, 8
_INDENT, _DEEPEST = 26, 8
_BAR, _BARS_OF_A_PART, _AXIS = 38, 20, 24
_PAST = 7  # what of the width is for what has ended
_LEAST_YEARS, _YEAR = 1, 365.25
_TICKS = (
    (7, "7 d"),
    (30, "30 d"),
    (90, "90 d"),
    (365.25, "1 y"),
    (730.5, "2 y"),
    (1826.25, "5 y"),
    (3652.5, "10 y"),
)
_APART = 13
_SIGNS = {"ok": "", "warning": "! ", "bad": "\N{BALLOT X} "}


class Branch(NamedTuple):
    """A role in the tree: how deep it is, its name, what is said of it, its state, and that in short."""

    depth: int
    name: str
    said: str
    level: Level
    aside: str


class Lasting(NamedTuple):
    """Something that ends: its name, when, how that is written, and its state."""

    name: str
    ends: datetime
    written: str
    level: Level


def tree(ident: str, caption: str, nodes: Sequence[Branch]) -> Iterator[str]:
    """Yield the roles as a tree, each in a row below the one that names its keys (rules 1 and 3)."""
    shown, more = nodes[:_ROWS], len(nodes) - _ROWS
    yield f"<figure><figcaption>{text(caption)}</figcaption>\n"
    for start in range(0, len(shown), _IN_A_PART):
        part = range(start, min(start + _IN_A_PART, len(shown)))
        said = "; ".join(f"{shown[at].name}: {shown[at].said}, {shown[at].aside}" for at in part)
        shapes = (shape for place, at in enumerate(part) for shape in _node(shown, at, place * _ROW))
        yield '<div class="tree">'
        yield from drawing(f"{ident}-{start}", caption, said, len(part) * _ROW, shapes)
        yield "</div>\n"
    if more > 0:
        yield f'<p class="dim">{more} more roles are in the table below.</p>\n'
    yield "</figure>\n"


def _node(nodes: Sequence[Branch], at: int, top: int) -> Iterator[str]:
    node = nodes[at]
    depth = min(node.depth, _DEEPEST)
    left, middle = depth * _INDENT, top + _ROW // 2
    for level in range(depth):
        x = level * _INDENT + 9
        last, own = not _goes_on(nodes, at, level), level == depth - 1
        if own or not last:
            yield _line(x, top, x, middle if last else top + _ROW)
        if own:
            yield _line(x, middle, left, middle)
    if at + 1 < len(nodes) and min(nodes[at + 1].depth, _DEEPEST) > depth:
        yield _line(left + 9, middle, left + 9, top + _ROW)
    yield f'<rect x="{left}" y="{top + 4}" width="100%" height="{_ROW - 8}" class="box"/>'
    yield f'<rect x="{left}" y="{top + 4}" width="4" height="{_ROW - 8}" class="{node.level}"/>'
    yield from _named(node.name, 27 - 2 * depth, left + 16, top + 24, "name")
    yield label(_cut(node.said), left + 16, top + 42, "more")
    yield label(_SIGNS[node.level] + node.aside, left + 16, top + 60, f"aside {node.level}")


def _goes_on(nodes: Sequence[Branch], at: int, level: int) -> bool:
    """Tell whether the line of a level goes on below a row: another role is to hang from it."""
    for node in nodes[at + 1 :]:
        depth = min(node.depth, _DEEPEST)
        if depth <= level:
            return False
        if depth == level + 1:
            return True
    return False


def _line(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="line"/>'


def timeline(ident: str, caption: str, spans: Sequence[Lasting], now: datetime) -> Iterator[str]:
    """Yield what ends, the earliest first, on a line that leaves most room to what is near."""
    ordered = sorted(spans, key=lambda one: one.ends)
    shown, more = ordered[:_ROWS], len(ordered) - _ROWS
    if not shown:
        return
    days = max((shown[-1].ends - now).total_seconds() / 86400, _LEAST_YEARS * _YEAR)
    yield f"<figure><figcaption>{text(caption)}</figcaption>\n"
    for start in range(0, len(shown), _BARS_OF_A_PART):
        part = shown[start : start + _BARS_OF_A_PART]
        said = "; ".join(f"{one.name}: {one.written}" for one in part)
        height = _AXIS + len(part) * _BAR
        yield from drawing(f"{ident}-{start}", caption, said, height, _spans(part, now, days, height))
    if more > 0:
        yield f'<p class="dim">{more} more roles end later.</p>\n'
    yield "</figure>\n"


def _spans(part: Sequence[Lasting], now: datetime, days: float, height: int) -> Iterator[str]:
    taken = -float(_APART)
    for length, written in ((0.0, "today"), *_TICKS):
        x = _place(length, days)
        if length <= days and x - taken >= _APART and (x <= 100 - _APART / 2 or not length):
            taken = x
            yield f'<line x1="{x:.2f}%" y1="{_AXIS - 4}" x2="{x:.2f}%" y2="{height}" '
            yield f'class="{"scale" if length else "now"}"/>'
            yield label(written, f"{x:.2f}%", 14, "tick")
    for number, one in enumerate(part):
        top = _AXIS + number * _BAR
        left = one.ends > now
        end = _place((one.ends - now).total_seconds() / 86400, days) if left else float(_PAST)
        start = float(_PAST) if left else 0.0
        yield from _named(one.name, 17, f"{start:.2f}%", top + 15, f"name over{' ahead' * left}")
        yield label(_SIGNS[one.level] + one.written, "100%", top + 15, f"aside over end {one.level}")
        yield f'<rect x="{start:.2f}%" y="{top + 22}" width="{max(end - start, 0.4):.2f}%" height="8" rx="2" '
        yield f'class="{one.level}"/>'


def _place(days_from_now: float, days: float) -> float:
    """Return where a moment is, in parts of a hundred of the width."""
    return _PAST + (100 - _PAST) * sqrt(max(days_from_now, 0) / days)


def _named(name: str, room: int, x: object, y: int, kind: str) -> Iterator[str]:
    """Yield a name, and one that is too long for a telephone in both lengths: one of them is shown."""
    if len(name) > room:
        yield label(_cut(name, room), x, y, f"{kind} cut")
    yield label(_cut(name), x, y, f"{kind} whole" if len(name) > room else kind)


def _cut(name: str, room: int = _NAME) -> str:
    """Cut a name in its middle."""
    kept = (room - 1) // 2
    return name if len(name) <= room else f"{name[:kept]}\N{HORIZONTAL ELLIPSIS}{name[-kept:]}"
