"""The project's pages as tests read them: headings, links, code, tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md")),
    ]
)
_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_CELL = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced block: its language, what follows that, and its text."""

    language: str
    note: str
    text: str


def read(name: str) -> str:
    """Return a page by its path from the project's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def name(page: Path) -> str:
    """Return what a test calls a page."""
    return page.relative_to(ROOT).as_posix()


def megabytes(page: str, *before: str) -> list[int]:
    """Return how many bytes a page says that things have less than, each after some words of it."""
    found = (re.search(rf"{re.escape(words)},? less than (\d+) MB", read(page)) for words in before)
    return [int(match[1]) * 10**6 for match in found if match]


def blocks(text: str, language: str) -> list[Block]:
    """Return the fenced blocks of one language."""
    found = (Block(match[1], match[2].strip(), match[3]) for match in _FENCE.finditer(text))
    return [block for block in found if block.language == language]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """Return the inline code of a page."""
    return [span.replace(r"\|", "|") for span in _CODE.findall(prose(text))]


def links(text: str) -> list[str]:
    """Return the targets of all links."""
    return _LINK.findall(_CODE.sub("", prose(text)))


def anchors(text: str) -> set[str]:
    """Return the fragments that headings can be linked by."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(text)))
    return {heading.strip().replace(" ", "-") for heading in plain}


def sections(text: str) -> dict[str, str]:
    """Return the text below each second-level heading."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tables(text: str) -> Iterator[list[list[str]]]:
    """Yield every table as its rows of cells, the heading first."""
    for found in _TABLE.findall(prose(text)):
        cells = [
            [cell.strip().replace(r"\|", "|") for cell in _CELL.split(line)[1:-1]]
            for line in found.splitlines()
        ]
        yield [row for row in cells if set("".join(row)) - set("-: ")]


def table(text: str, header: str) -> list[list[str]]:
    """Return the body of the table whose first heading is `header`."""
    return next(found[1:] for found in tables(text) if found[0][0] == header)


def code(cell: str) -> str:
    """Return the first inline code of a cell."""
    match = _CODE.search(cell)
    assert match is not None, cell
    return match[1]
