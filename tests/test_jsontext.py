"""JSON for other programs: what goes into it comes out again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from notarypy import jsontext
from notarypy.cli.text.advice import text_of
from notarypy.errors import Advice


def test_rule_1_a_document_is_ascii_and_what_json_lacks_is_text() -> None:
    made = jsontext.document({"a": {"y", "x"}, "b": Path("/c"), "d": "\x7f\u202e\n"})
    assert made.isascii()
    assert made.isprintable()
    assert json.loads(made) == {"a": ["x", "y"], "b": "/c", "d": "\x7f\u202e\n"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[]", "no"),
        (b"[" * 200_000, "too many parts or levels"),
        (b'{"a": [[[]]]}', "too many parts or levels"),
        (b'{"a": [1, 2, 3, 4, 5, 6, 7, 8]}', "too many parts or levels"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'{"a": {"b": 1, "\\u0062": 1}}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -1e999}', "too large"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM|Expecting"),
        (b'{"a": "', "Unterminated"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digit"),
    ],
)
def test_rule_3_what_programs_read_differently_is_not_read(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        jsontext.read(data, 3, 10)


def test_rule_3_everything_else_is_read_and_brackets_in_texts_are_none() -> None:
    assert jsontext.read(b'{"a": [[1.5]], "b": "[[[[\\"]]"}', 3, 20) == {"a": [[1.5]], "b": '[[[["]]'}


@pytest.mark.parametrize(
    "advice",
    [
        None,
        Advice("name-image"),
        Advice("sign-tag", gun="r.test/app", tag="{1}"),
        Advice("mend-file", file=Path("/a")),
        Advice("write-instead", text=("a", 1)),
        Advice("add-sign", option=Advice("mend-file", file="f")),
    ],
)
def test_rule_2_an_advice_comes_back_with_the_text_that_it_had(advice: Advice | None) -> None:
    back = jsontext.advised(json.loads(jsontext.document(jsontext.advice(advice))))
    if advice is None:
        assert back is None
        return
    assert back is not None
    assert back.name == advice.name
    assert text_of(back) == text_of(advice)


@pytest.mark.parametrize(
    "value",
    [
        "sign it",
        [],
        {"name": "a"},
        {"name": 1, "values": {}},
        {"name": "a", "values": [], "more": 1},
        {"name": "a", "values": {"b": []}},
        {"name": "a", "values": {"b": {"name": "c"}}},
    ],
)
def test_rule_2_anything_else_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="an advice"):
        jsontext.advised(value)
