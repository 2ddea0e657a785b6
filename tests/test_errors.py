"""Errors as values: what is said beside them."""

from __future__ import annotations

from notarypy.errors import Advice, MetadataLimitError, TagUnsignedError


def test_one_that_says_more_leaves_the_first_as_it_was() -> None:
    first = TagUnsignedError("not signed", why="a", advice=Advice("sign-tag", gun="g", tag="1"), gun="g")
    more = first.saying("b", "c", notary="trust.x")
    assert (type(more), more.message, str(more), more.advice) == (
        TagUnsignedError,
        "not signed",
        "not signed",
        first.advice,
    )
    assert (more.why, more.facts) == (("a", "b", "c"), {"gun": "g", "notary": "trust.x"})
    assert (first.why, first.facts) == (("a",), {"gun": "g"})


def test_an_error_that_brings_its_own_advice_says_more_too() -> None:
    more = MetadataLimitError("too many", role="targets").saying("so it is for 2 tags")
    assert (more.why, more.facts, more.advice) == (
        ("so it is for 2 tags",),
        {"role": "targets"},
        Advice("over-limits"),
    )
