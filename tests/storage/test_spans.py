from __future__ import annotations

from datetime import timedelta

import pytest

from notarypy.storage.settings import spans


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("5s", timedelta(seconds=5)),
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("2m", timedelta(minutes=2)),
        ("1.5h", timedelta(minutes=90)),
        ("10d", timedelta(days=10)),
        ("4w", timedelta(days=28)),
        ("3y", timedelta(days=1095)),
        ("2000y", timedelta(days=730000)),
    ],
)
def test_a_number_and_a_unit_is_a_span(text: str, span: timedelta) -> None:
    assert spans.parse(text) == span
    assert spans.seconds(text) == span.total_seconds()


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", " 5s", "5s\n", "-5s", "+5s", "5S", "5M", "1d12h", ".5h", "2001y", "\u0665s"]
)
def test_anything_else_is_none(text: str) -> None:
    assert spans.parse(text) is None


@pytest.mark.parametrize(
    ("text", "long"), [("2001y", True), ("9" * 20 + "y", True), ("2000y", False), ("y", False)]
)
def test_what_is_too_long_is_told_from_what_is_no_span(text: str, long: bool) -> None:
    assert spans.too_long(text) is long


@pytest.mark.parametrize("text", ["1e3", "inf", "nan", " 5", "1_000", "-1", "5\n"])
def test_a_number_is_digits(text: str) -> None:
    assert spans.seconds(text) is None


def test_a_number_alone_is_seconds_where_seconds_are_usual() -> None:
    given = [60, 2.5, "60", "0.5", -1, True, None, "soon", "3months"]
    assert [spans.seconds(value) for value in given] == [60.0, 2.5, 60.0, 0.5, -1.0, None, None, None, None]
