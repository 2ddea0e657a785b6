"""Which pages there are, and in which order a reader meets them.

What it is: the table of contents, read from the pages as they stand. What it is not: a list to be kept
beside them.

Rules:

1. `docs/index.md` is the table: each of its headings is a part, each entry of a list that begins with a link
   is a page of that part.
2. A page that has a folder of its own (`keys.md` and `keys/`; or `README.md`, `index.md` in the folder) has
   the pages in there under it, in the order in which it links to them.
3. So a page that is in none of these lists is in no table, which is an error (`strays`).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FRONT = "docs/index.md"
OUTER = ("README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "CHANGELOG.md")
"""Pages of the site that are not in `docs`."""
CODE_OR_LINK = re.compile(
    r"(?P<code>^(?P<fence>```+).*?^(?P=fence)$|`[^`\n]+`)|\]\((?P<target>[^)\s]+)\)", re.DOTALL | re.MULTILINE
)
_ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<target>[^)#\s]+\.md)\)", re.MULTILINE)


class Entry(NamedTuple):
    """A page in a part of the table: what it is called there, and its path."""

    title: str
    page: str


def pages() -> list[str]:
    """Return the paths of all pages from the project's root."""
    inner = (path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
    return sorted([*inner, *OUTER])


def read(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def title(page: str) -> str:
    """Return the title of a page."""
    return read(page).partition("\n")[0].removeprefix("# ")


def meant(page: str, target: str) -> str:
    """Return the path from the project's root of what a page links to."""
    path = target.partition("#")[0]
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page


def parts() -> dict[str, list[Entry]]:
    """Return the parts of the table with their pages (rule 1)."""
    found = {}
    for section in re.split(r"^## ", read(FRONT), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if entries := [Entry(one["title"], meant(FRONT, one["target"])) for one in _ENTRY.finditer(text)]:
            found[heading.strip()] = entries
    return found


def children(page: str) -> list[str]:
    """Return the pages in a page's own folder, in the order in which it links to them (rule 2)."""
    if page == FRONT:
        return []
    folder, name = posixpath.split(page.removesuffix(".md"))
    own = folder if name in {"README", "index"} and folder.startswith("docs/") else f"{folder}/{name}"
    linked = dict.fromkeys(meant(page, target) for target in links(read(page)))
    return [one for one in linked if posixpath.dirname(one) == own and one != page and one.endswith(".md")]


def links(text: str) -> Iterator[str]:
    """Yield the targets of all links of a text that are not in code."""
    return (match["target"] for match in CODE_OR_LINK.finditer(text) if match["target"])


def listed() -> Iterator[str]:
    """Yield the front page, and each page as often as the table has it."""
    waiting = [FRONT, *(entry.page for entries in parts().values() for entry in entries)]
    for page in waiting:
        yield page
        waiting += children(page)


def strays() -> list[str]:
    """Return the pages that are in no table (rule 3)."""
    return sorted(set(pages()) - set(listed()))
