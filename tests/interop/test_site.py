"""The site of docs/, built once, in a real browser: it can be read and searched, and asks for nothing."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs.site import contents

if TYPE_CHECKING:
    from interop.harness.browser import Browser
    from interop.harness.once import Once

PAGES = (
    "index",
    "choosing",
    "overview",
    "trust",
    "cli",
    "errors",
    "performance",
    "security",
    "adr/index",
    "reference/client",
)
# Words of code in tables that are broken elsewhere than at their joints.
BROKEN = r"""[...document.querySelectorAll('td .pre')].filter(code => {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT), range = document.createRange();
    let top = null, before = '';
    for (let node; (node = walker.nextNode());) for (let at = 0; at < node.length; at++) {
        range.setStart(node, at); range.setEnd(node, at + 1);
        const here = range.getBoundingClientRect().top, letter = node.data[at];
        const joint = /[^a-z0-9]/i.test(before) || /[a-z][A-Z]/.test(before + letter);
        if (top !== null && here > top + 4 && !joint) return true;
        [top, before] = [here, letter];
    }
    return false;
}).map(code => code.textContent)"""
FOUND = "[...document.querySelectorAll('#search-results li a')].map(e => e.getAttribute('href'))"
# What of a page can be moved by itself, or out of sight.
MOVED = ".table-wrapper, pre, .sidebar-drawer, .toc-drawer"
BRIGHTNESS = """(property => getComputedStyle(document.body)[property].match(/\\d+/g).slice(0, 3)
    .reduce((sum, part) => sum + Number(part), 0))"""


def build(target: Path) -> None:
    argv = [contents.ROOT / "scripts" / "site", target]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, cwd="/")
    # A warning would be an error, and so would a link that leads nowhere.
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{target}/index.html\n")


@pytest.fixture(scope="module")
def site(once: Once) -> Path:
    return once.made("site", build)


@pytest.mark.parametrize("width", [1280, 820, 390])
def test_pages_fit_the_window_and_ask_nobody(browser: Browser, site: Path, width: int) -> None:
    for page in PAGES:
        browser.open(site / f"{page}.html", width=width)
        assert browser.complaints == []
        assert [asked for asked in browser.requests if not asked.startswith(("file:", "data:"))] == []
        assert browser.wider(MOVED) == [], page
        assert browser.value(BROKEN) == [], page
        assert browser.value("[...document.images].filter(e => !e.naturalWidth || !e.alt).length") == 0
    assert browser.visitors == []


def test_pages_follow_light_and_dark(browser: Browser, site: Path) -> None:
    for scheme, ground, letters in (
        ("light", range(700, 766), range(300)),
        ("dark", range(150), range(500, 766)),
    ):
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", features=wanted)
        browser.open(site / "trust.html")
        assert browser.value(f"{BRIGHTNESS}('backgroundColor')") in ground
        assert browser.value(f"{BRIGHTNESS}('color')") in letters
    browser.call("Emulation.setEmulatedMedia", features=[])


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("stolen key", "runbooks/stolen-key.html"),
        ("NOTARYPY_FIRST_USE", "trust.html"),
        ("verify_each", "reference/client.html"),
        ("harbor", "leaving-notary.html"),
    ],
)
def test_the_search_finds_pages_without_a_server(browser: Browser, site: Path, words: str, page: str) -> None:
    browser.open(site / "search.html", query=f"q={words.replace(' ', '+')}")
    deadline = time.monotonic() + 60
    while page not in (found := {link.partition("#")[0].partition("?")[0] for link in browser.value(FOUND)}):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    # Beside each page that is found there is a bit of it, which comes over HTTP alone.
    assert [asked for asked in browser.requests if not asked.startswith(("file:", "data:"))] == []
    assert browser.visitors == []


@pytest.mark.parametrize(
    ("pasted", "place"),
    [
        ("--digest-file", "cli.html#at-digest-file"),
        ("key.missing", "errors.html#at-key-missing"),
        ("NOTARYPY_FIRST_USE", "configuration.html#at-notarypy-first-use"),
        ("root pin", "trust.html#root-pins"),
        ("vault", "keys/vault.html"),
    ],
)
def test_what_people_paste_is_found_first(browser: Browser, site: Path, pasted: str, place: str) -> None:
    browser.open(site / "search.html", query=f"q={pasted.replace(' ', '+')}")
    deadline = time.monotonic() + 60
    while not browser.value("document.querySelector('.search-summary')?.innerText"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = browser.value(FOUND)
    assert re.sub(r"[?][^#]*", "", found[0]) == place
    last = [link.startswith(("adr/", "changelog", "contributing", "releasing")) for link in found]
    assert last == sorted(last)
    page, _, anchor = place.partition("#")
    assert not anchor or f'id="{anchor}"' in (site / page).read_text()


def test_the_reference_shows_no_inner_objects(site: Path) -> None:
    pages = [*(site / "reference").glob("*.html")]
    shown = [re.sub(r"</?(?:span|wbr)[^>]*>", "", page.read_text()) for page in pages]
    assert [found for text in shown for found in re.findall(r"=(?:<[^>]*>)*&lt;[^,]*", text)] == []


def test_a_page_can_be_read_without_scripts(browser: Browser, site: Path) -> None:
    browser.open(site / "tutorial.html", scripts=False)
    links = browser.value("[...document.querySelectorAll('.sidebar-tree a')].map(e => e.textContent)")
    assert {entry.title for entries in contents.parts().values() for entry in entries} <= {*links}


def test_what_is_no_site_is_not_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    done = subprocess.run(
        [contents.ROOT / "scripts" / "site", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, f"site: {tmp_path} holds something else than a site\n")
    assert kept.read_text() == "mine"
