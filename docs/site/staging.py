"""The pages as Sphinx is given them: copies, whose links fit and that have tables of contents.

What it is: a folder made of `docs`, the pages beside it, and the reference. What it is not: another text than
theirs.

Rules:

1. `docs` is left away from the path of a page, and what is called `README.md` in a folder is its `index.md`.
   Pages from outside of `docs` have the names of `_MOVED`.
2. A link to a page leads to its new place. One to another file in `docs` leads to that, which is copied.
3. Where the text of a link is a file's name, it is the page's title.
4. One to a folder, or to a file elsewhere in the project, is no link on the site: it says the path, for a
   checkout.
5. Tables of contents are put at the end of the front page and of each page that has pages in its folder.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from typing import TYPE_CHECKING

from docs.site import contents, reference

if TYPE_CHECKING:
    from pathlib import Path

_MOVED = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "RELEASING.md": "releasing.md",
    "SECURITY.md": "reporting.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(
    r"(?P<code>^(?P<fence>```+).*?^(?P=fence)$|(?<!\[)`[^`\n]+`(?!\]))"
    r"|\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)",
    re.DOTALL | re.MULTILINE,
)


def place(page: str) -> str:
    """Return where a page or file of the project is on the site (rule 1)."""
    if page in _MOVED:
        return _MOVED[page]
    path = page.removeprefix("docs/")
    return posixpath.join(posixpath.dirname(path), "index.md") if path.endswith("/README.md") else path


def stage(folder: Path) -> None:
    """Write all pages into a folder."""
    for page in contents.pages():
        _write(folder / place(page), staged(page))
    for path, text in reference.written().items():
        _write(folder / path, text)
    shutil.copytree(contents.DOCS / "pictures", folder / "pictures")
    (folder / "_static").mkdir()
    shutil.copy(contents.DOCS / "site" / "notarypy.css", folder / "_static")
    for name in ("conf.py", "scorer.js"):
        shutil.copy(contents.DOCS / "site" / name, folder)
    for page in contents.pages():
        for target in contents.links(contents.read(page)):
            path = contents.meant(page, target)
            if _is_file(path):
                (folder / place(path)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(contents.ROOT / path, folder / place(path))


def staged(page: str) -> str:
    """Return a page as it is on the site."""
    text = fitted(page, contents.read(page))
    if page == "README.md":  # called as in the table, for "next: notarypy" says nothing
        title = next(one.title for part in contents.parts().values() for one in part if one.page == page)
        text = text.replace(contents.title(page), title, 1)
    return text + "".join(_tables(page))


def fitted(page: str, text: str) -> str:
    """Return a text of a page with links that fit (rules 2 to 4)."""

    def moved(match: re.Match[str]) -> str:
        return match[0] if match["code"] else _link(page, match["text"], match["target"])

    return _LINK.sub(moved, text)


def _is_file(path: str) -> bool:
    """Tell whether a link to a path leads to a file that goes with the pages (rule 2)."""
    return path.startswith("docs/") and not path.endswith(".md") and (contents.ROOT / path).is_file()


def _link(page: str, text: str, target: str) -> str:
    """Return a link as it is on the site (rules 2 to 4)."""
    if "://" in target or target.startswith("#"):
        return f"[{text}]({target})"
    path, fragment = contents.meant(page, target), target.partition("#")[2]
    if path not in contents.pages() and not _is_file(path):
        return f"{text} (`{path}`)"
    if text.endswith(".md") and path in contents.pages():
        text = contents.title(path)
    new = posixpath.relpath(place(path), posixpath.dirname(place(page)))
    return f"[{text}]({new}{'#' * bool(fragment)}{fragment})"


def _tables(page: str) -> list[str]:
    """Return the tables of contents of a page (rule 5)."""
    if page == contents.FRONT:
        return [
            _table([f"{entry.title} <{_document(entry.page)}>" for entry in entries], caption)
            for caption, entries in contents.parts().items()
        ]
    entries = [_document(child) for child in contents.children(page)]
    if page == "docs/library.md":
        entries.append(f"/{reference.FOLDER}/index")
    return [_table(entries)] if entries else []


def _document(page: str) -> str:
    return "/" + place(page).removesuffix(".md")


def _table(entries: list[str], caption: str = "") -> str:
    lines = [
        "",
        "```{toctree}",
        ":hidden:",
        *([f":caption: {caption}"] if caption else []),
        "",
        *entries,
        "```",
        "",
    ]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
