"""`report` on real servers, and its page in a real browser: it shows all, asks for nothing, and prints."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from unicodedata import normalize

import pypdf
import pytest

from notarypy.cli.text.htmlpage import CLOSING, SCRIPTLESS, opening

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.browser import Browser
    from interop.harness.images import Repository
    from interop.harness.people import Person

LONG = "v" + "9" * 120
RIGHT_TO_LEFT = "\u202egnp.\u05d0\u05d1"
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=http://127.0.0.1:1/x onerror=alert(1)>",
    "\"'&amp;",
)
TABLES = (
    "Repositories",
    "Findings",
    "Who may sign what",
    "Roles",
    "What ends when",
    "Signed tags",
    "What happened",
)
ALL_SHOWN = "[...document.querySelectorAll('bdi')].map(e => e.textContent)"

# Names in the drawing of time that begin before the line of today, which would run through them.
CROSSED = """[...document.querySelectorAll('svg .name.over')].filter(e => e.getBoundingClientRect().left
    < e.closest('svg').querySelector('.now').getBoundingClientRect().right).map(e => e.textContent)"""


@pytest.fixture
def page(alice: Person, repository: Repository) -> Path:
    """A report on a repository whose tags have names that want to be more than text."""
    alice.own(repository.name)
    pushed = repository.push("1.0")
    alice.notarypy("sign", repository.ref("1.0")).expect(0)
    alice.notarypy("key", "generate", "carol", "--dir", alice.home).expect(0)
    carol = ("delegate", "add", "--key", alice.home / "carol.pub", "--path", "<b>", "carol")
    alice.notarypy(*carol, repository.name).expect(0)
    for tag in (*HOSTILE, RIGHT_TO_LEFT, LONG):
        alice.notary_add(repository.name, tag, pushed, "targets/releases").expect(0)
    path = alice.home / "report.html"
    done = alice.notarypy("report", repository.name, f"{repository.name}/missing", "-o", path).expect(3)
    assert "[trust.repo_missing]" in done.stderr
    return path


def test_the_page_on_a_screen_and_on_paper(browser: Browser, page: Path, repository: Repository) -> None:
    for scripts in (True, False):
        browser.open(page, scripts=scripts)
        assert (browser.complaints, browser.requests) == ([], [page.as_uri()])
    assert browser.value("document.title") == "Trust data report"
    shown = browser.value(ALL_SHOWN)
    assert {*HOSTILE, LONG} <= {*shown}
    assert "\\u202egnp.\u05d0\u05d1" in shown
    assert browser.value("document.querySelectorAll('script, img, b:not(.sums b)').length") == 0
    assert browser.value("document.querySelectorAll('svg[role=img] > title').length") >= 2
    for width in (1280, 768, 390):
        browser.open(page, width=width)
        assert browser.wider(".wide") == []
        assert browser.value(CROSSED) == []
    printed = pypdf.PdfReader(io.BytesIO(browser.open(page).pdf()))
    text = normalize("NFKC", "\n".join(sheet.extract_text() for sheet in printed.pages))  # no ligatures
    assert [title for title in TABLES if title not in text] == []
    together = "".join(text.split())
    for told in (repository.name, "targets/releases", "targets/jeff", "targets/carol", HOSTILE[0], LONG):
        assert "".join(told.split()) in together
    assert f"1 / {len(printed.pages)}" in text
    assert browser.visitors == []


def test_the_page_of_a_past(browser: Browser, alice: Person, page: Path, repository: Repository) -> None:
    past = page.with_name("history.html")
    alice.notarypy("history", repository.name, "--html", past).expect(0)
    browser.open(past, width=390)
    assert (browser.complaints, browser.requests, browser.visitors) == ([], [past.as_uri()], [])
    shown = browser.value(ALL_SHOWN)
    assert {f"tag {name} came" for name in (*HOSTILE, LONG, "\\u202egnp.\u05d0\u05d1")} <= {*shown}
    assert browser.wider(".wide") == []
    printed = pypdf.PdfReader(io.BytesIO(browser.open(past).pdf()))
    assert "Events, oldest first" in normalize("NFKC", printed.pages[0].extract_text())


def test_what_a_page_forbids_is_not_done(browser: Browser, tmp_path: Path) -> None:
    # What nobody could get into a page, in it; then without its policy: so the checks above can fail.
    worse = tmp_path / "worse.html"
    text = f'{opening("Worse", "")}<img src="http://images.test/x"><script>1</script>{CLOSING}'
    worse.write_text(text)
    browser.open(worse)
    assert len(browser.complaints) == 2
    assert browser.visitors == []
    worse.write_text(text.replace(SCRIPTLESS, ""))
    browser.open(worse)
    assert any(b"images.test" in visitor for visitor in browser.visitors)
    browser.visitors.clear()
