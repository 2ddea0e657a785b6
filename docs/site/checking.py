"""Whether a built site holds together: every link and anchor in it, and nothing from another host.

What it is: a reader of the HTML that was written. What it is not: a look at other hosts' pages. There are few
links to those (`OTHER_HOSTS`), and they are for a person to follow.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

OTHER_HOSTS = {"keepachangelog.com", "semver.org", "www.sphinx-doc.org", "pradyunsg.me", "github.com"}
"""Hosts that pages may link to, for a person to click on; nothing is loaded from any."""
_LOADING = {
    "link": "href",
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "object": "data",
    "use": "href",
}
_IN_STYLE = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")


class Page(HTMLParser):
    """A page: what it links to, what it loads, and what in it can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        said = {name: value or "" for name, value in attrs}
        self.anchors |= {said[name] for name in ("id", "name") if said.get(name)}
        if tag == "a" and "href" in said:
            self.links.add(said["href"])
        elif said.get(_LOADING.get(tag, "")):
            self.loads.add(said[_LOADING[tag]])
        self.loads |= _style(said.get("style", ""))


def _style(text: str) -> set[str]:
    return {first or second for first, second in _IN_STYLE.findall(text)}


def faults(site: Path) -> list[str]:
    """Return what is wrong with a site, a line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        found += [f"{path.relative_to(site)}: {fault}" for fault in _faults_of(path, page, pages, site)]
    for path in sorted(site.rglob("*.css")):
        loads = _style(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: {fault}" for fault in map(_elsewhere, loads) if fault]
    return found


def _faults_of(path: Path, page: Page, pages: dict[Path, Page], site: Path) -> list[str]:
    found = [_elsewhere(load) or _missing(path, load, pages, site) for load in page.loads]
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            found.append("" if parts.hostname in OTHER_HOSTS else f"links to another host: {link}")
        else:
            found.append(_missing(path, link, pages, site))
    return sorted(fault for fault in found if fault)


def _elsewhere(load: str) -> str:
    """Return what is wrong with something that is loaded from elsewhere."""
    parts = urlsplit(load)
    return f"loads from another host: {load}" if parts.scheme not in {"", "data"} or parts.netloc else ""


def _missing(path: Path, link: str, pages: dict[Path, Page], site: Path) -> str:
    """Return what is wrong with a link within the site."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(site) or not target.exists():
        return f"leads nowhere: {link}"
    anchor = unquote(parts.fragment)
    return (
        f"no such anchor: {link}"
        if anchor and target in pages and anchor not in pages[target].anchors
        else ""
    )
