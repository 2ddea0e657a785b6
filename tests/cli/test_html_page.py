"""What pages of HTML are made of: nothing runs, nothing is loaded, and names are text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from notarypy.cli.text import htmlpage
from notarypy.client.findings import LEVELS
from notarypy.errors import Advice, ExpiredError
from support.pages import HOSTILE, Page, nothing_is_loaded

SHOWN = "<script>alert('1')</script>\\x1b[31m\\u202e\"&amp;"


def page(*parts: str) -> Page:
    return Page("".join([htmlpage.opening("A page", "today"), *parts, htmlpage.CLOSING]))


@pytest.mark.parametrize(
    "made",
    [
        htmlpage.text(HOSTILE),
        htmlpage.code(HOSTILE),
        htmlpage.state("bad", HOSTILE),
        htmlpage.items([HOSTILE]),
        htmlpage.sums([("tags", HOSTILE)]),
        htmlpage.error(ExpiredError("it ended", why=HOSTILE, advice=Advice("say", text=HOSTILE))),
        "".join(htmlpage.table(HOSTILE, [HOSTILE], [[htmlpage.text(HOSTILE)]])),
        "".join(htmlpage.drawing("d", HOSTILE, HOSTILE, 20, [htmlpage.label(HOSTILE, 0, 9)])),
    ],
)
def test_what_is_from_outside_is_text(made: str) -> None:
    found = page(made)
    nothing_is_loaded(found)
    assert SHOWN in found.text


def test_a_page_forbids_to_load_anything_and_says_its_language() -> None:
    found = page()
    assert ("content", htmlpage.SCRIPTLESS) in found.attributes
    assert ("lang", "en") in found.attributes
    assert found.tags.count("h1") == found.tags.count("main") == 1


def test_a_table_without_rows_is_none_and_its_cells_have_headers() -> None:
    assert not list(htmlpage.table("none", ["a"], []))
    found = page(*htmlpage.table("some", ["a", "b"], [["1", htmlpage.state("ok", "good")]]))
    assert [value for name, value in found.attributes if name == "scope"] == ["col", "col", "row"]
    assert found.tags.count("caption") == 1


def test_a_drawing_has_a_name_and_a_description() -> None:
    found = page(*htmlpage.drawing("d", "what", "what is seen", 20, ['<rect width="5" height="5"/>']))
    assert ("aria-labelledby", "d-n d-d") in found.attributes
    assert {"d-n", "d-d"} <= {value for name, value in found.attributes if name == "id"}


def test_each_state_has_a_sign_that_is_no_color() -> None:
    text = htmlpage.opening("A page", "")
    assert all(f".{level}::before {{ content: " in text for level in LEVELS)


def test_a_moment_is_read_by_programs_too_and_none_is_words() -> None:
    when = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert htmlpage.moment(when).startswith('<time datetime="2027-01-02T03:04:05')
    assert "never" in htmlpage.moment(None, "never")
