"""Canonical form, storage form and strict decoding, against what Go does."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import Any

import pytest

from notarypy.errors import MetadataError, MetadataLimitError
from notarypy.limits import DEFAULT
from notarypy.tuf import canonical
from support.counting import TOO_MUCH, growth, work
from support.repository import GO

VECTORS: list[dict[str, Any]] = json.loads((GO / "canonical-json-vectors.json").read_bytes())
PRECISION = "Go reads numbers as float64: two documents would share one signature"
STRICTER_THAN_GO = {
    "lone surrogate escape": "Go makes U+FFFD of it: two names would share one signature",
    "invalid utf8": "Go makes U+FFFD of it: two names would share one signature",
    "2^53+1": PRECISION,
    "2^63-1": PRECISION,
    "2^63": PRECISION,
    "2^64-1": PRECISION,
    "1e30": PRECISION,
    "-2^63-1": PRECISION,
    "bigint": PRECISION,
    "duplicate keys": "Go verifies the last member and uses a mixture of both",
    "dup nested": "Go verifies the last member and uses a mixture of both",
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_of_go_is_reproduced_or_refused_for_a_reason(vector: dict[str, Any]) -> None:
    data = base64.b64decode(vector["input_b64"])
    if vector["go_canonical_b64"] is None or vector["name"] in STRICTER_THAN_GO:
        with pytest.raises(MetadataError):
            canonical.decode(data)
    else:
        expected = base64.b64decode(vector["go_canonical_b64"])
        assert canonical.encode(canonical.decode(data)) == expected


def test_every_deviation_from_go_is_one_that_go_accepts() -> None:
    accepted = {vector["name"] for vector in VECTORS if vector["go_canonical_b64"] is not None}
    assert accepted > set(STRICTER_THAN_GO)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a":1} x', "Extra data"),
        (b'{"a":1}{"a":1}', "Extra data"),
        (b"", "Expecting value"),
        (b"[]", None),
        (b'"a"', None),
        (b"null", None),
        (b'{"a":1,}', "line 1"),
        (b"{'a':1}", "line 1"),
        (b'{"a":"\n"}', "Invalid control character"),
        (b'{"a":Infinity}', "Infinity is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":9007199254740993}', "beyond"),
        (b'{"a":-9007199254740993}', "beyond"),
        (b'{"a":9007199254740993.0}', "not an exact integer"),
        (b'{"a":9007199254740994.0}', "not an exact integer"),
        (b'{"a":9007199254740990.5}', "not an exact integer"),
        (b'{"a":1.00000000000000000001}', "not an exact integer"),
        (b'{"a":1e-999999999}', "not an exact integer"),
        (b'{"a":1e999999999}', "not an exact integer"),
        (b'{"a":0e99999999999999999999999}', "not an exact integer"),
        (b'{"a":-0e9999999999999999999999}', "not an exact integer"),
        (b'{"a":1e-99999999999999999}', "not an exact integer"),
        (b'{"a":0.0e99999999999999999999}', "not an exact integer"),
        (b'{"a":0E' + b"9" * 5000 + b"}", "not an exact integer"),
        (b'{"a":' + b"9" * 5000 + b"}", "beyond"),
        (b'{"a":' + b"0" * 21 + b"}", "line 1"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a":"\\udc00\\ud800"}', "half a surrogate"),
        (b'{"\\ud800":1}', "half a surrogate"),
        (b'{"a":[{"b":1,"c":{"d":1,"d":1}}]}', "twice"),
        (b'{"a":1,"\\u0061":1}', "twice"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "BOM"),
    ],
)
def test_text_that_two_readers_could_understand_in_two_ways_is_refused(
    text: bytes, reason: str | None
) -> None:
    with pytest.raises(MetadataError) as caught:
        canonical.decode(text, "targets")
    assert caught.value.facts["file"] == "targets"
    assert reason is None or reason in caught.value.why[0]


def test_integers_are_accepted_up_to_the_exact_limit() -> None:
    text = b'{"a":9007199254740992,"b":-9007199254740992,"c":-0,"d":1e3,"e":9007199254740992.0}'
    expected = {"a": 2**53, "b": -(2**53), "c": 0, "d": 1000, "e": 2**53}
    assert canonical.decode(text) == expected
    kinds = {name: type(number) for name, number in canonical.decode(text).items()}
    assert [name for name, kind in kinds.items() if kind is int] == ["a", "b", "c"]
    assert canonical.encode(canonical.decode(b'{"a":5.0,"b":1e2}')) == b'{"a":5,"b":100}'


@pytest.mark.parametrize("number", [2**53 + 2, 17 * 10**17, 2**60, -(2**60), 2**63 - 1024, -(2**63)])
def test_integers_beyond_it_are_exact_where_a_double_has_them(number: int) -> None:
    text = b'{"signed":{"a":[%d]},"signatures":[]}' % number
    decoded, _ = canonical.decode_file(text)
    assert decoded["signed"] == {"a": [number]}
    assert canonical.encode(decoded["signed"]) == b'{"a":[%d]}' % number
    for other in (number + 1, number - 1, 2**63, -(2**64), 10**20):
        with pytest.raises(MetadataError, match="a number that cannot be used"):
            canonical.decode(b'{"a":%d}' % other)


def test_parts_are_bounded_before_they_cost_memory() -> None:
    def listed(count: int) -> bytes:
        return b'{"a":[' + b"0," * (count - 4) + b"0]}"

    assert DEFAULT.json_parts == 2_000_000
    assert len(canonical.decode(listed(DEFAULT.json_parts))["a"]) == DEFAULT.json_parts - 3
    with pytest.raises(MetadataLimitError) as caught:
        canonical.decode(listed(DEFAULT.json_parts + 1))
    assert caught.value.why == ("it has 2000001 brackets and commas; the limit is 2000000",)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'{"a":1},', b'"",', b"]", b"["])
def test_a_text_of_tiny_values_costs_little_more_than_itself(unit: bytes) -> None:
    text = b'{"a":[' + unit * ((24 << 20) // len(unit)) + b"0]}"
    tracemalloc.start()
    try:
        with pytest.raises(MetadataError, match="beyond a limit"):
            canonical.decode(text)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("open_", [b"[", b'{"a":'])
def test_nesting_is_bounded_before_the_recursive_decoder_sees_it(open_: bytes) -> None:
    close = {b"[": b"]", b'{"a":': b"}"}[open_]

    def nested(levels: int) -> bytes:
        return b'{"top":' + open_ * (levels - 1) + b"1" + close * (levels - 1) + b"}"

    assert DEFAULT.json_levels == 64
    canonical.decode(nested(DEFAULT.json_levels))
    for levels in (DEFAULT.json_levels + 1, 100_000):
        with pytest.raises(MetadataError) as caught:
            canonical.decode(nested(levels))
        assert "nested deeper" in caught.value.why[0]


def test_what_was_closed_before_is_no_credit_for_nesting() -> None:
    for closed in (b"[]", b"{}", b"[[],{}]"):
        with pytest.raises(MetadataError) as caught:
            canonical.decode(b'{"a":[' + (closed + b",") * 50 + b"[" * 63 + b"]" * 63 + b"]}")
        assert "nested deeper" in caught.value.why[0]
        canonical.decode(b'{"a":[' + (closed + b",") * 50 + b"[" * 62 + b"]" * 62 + b"]}")


def test_brackets_inside_strings_are_no_nesting() -> None:
    text = json.dumps({"a": "[" * 1000 + '"' + "{" * 1000 + "\\"})
    assert canonical.decode(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        (b'{"a":"', b'\\"', b""),
        (b"", b'"', b""),
        (b"", b"[]", b""),
        (b'{"a":', b"\\", b""),
        (b'{"a":"', b"\\u0041", b""),
        (b"", b" ", b""),
        (b'{"a":', b"1", b"}"),
        (b'{"a":0.', b"0", b"1}"),
    ],
)
def test_a_hostile_text_is_refused_in_linear_time(start: bytes, piece: bytes, end: bytes) -> None:
    with pytest.raises(MetadataError):
        canonical.decode(start + piece * 5000 + end)
    assert growth(canonical.decode, lambda count: start + piece * count + end, 5000) < TOO_MUCH


def test_escapes_are_encoded_in_linear_time() -> None:
    assert canonical.encode({"a": '\\"' * 5000}) == b'{"a":"' + b'\\\\\\"' * 5000 + b'"}'
    assert growth(canonical.encode, lambda count: {"a": '\\"' * count}, 5000) < TOO_MUCH


def test_an_error_does_not_quote_the_document() -> None:
    with pytest.raises(MetadataError) as caught:
        canonical.decode(b'{"secret":1,"secret":2}')
    assert "secret" not in str(caught.value) + "".join(caught.value.why)


@pytest.mark.parametrize("value", [1.5, {"a": 1.0}, [1, [2.0]], {"a": ({"b": 0.5},)}, float("nan"), "\ud800"])
def test_what_has_no_canonical_form_is_not_encoded(value: object) -> None:
    with pytest.raises(MetadataError):
        canonical.encode(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": [True, False, None], "a": {}}, b'{"a":{},"b":[true,false,null]}'),
        ({"a": 'x"\\/\n\t\x00\x1f\x7f'}, b'{"a":"x\\"\\\\/\n\t\x00\x1f\x7f"}'),
        ({"a": "\\n"}, b'{"a":"\\\\n"}'),
        ({"a": '\\"\n'}, b'{"a":"\\\\\\"\n"}'),
        ({"\uffee": 1, "\U0001f600": 2}, '{"\uffee":1,"\U0001f600":2}'.encode()),
        ({"a": "<>&\u2028\u2029\u00e9"}, '{"a":"<>&\u2028\u2029\u00e9"}'.encode()),
        ("text", b'"text"'),
        ([], b"[]"),
        (None, b"null"),
    ],
)
def test_strings_are_raw_but_for_quote_and_backslash(value: object, expected: bytes) -> None:
    assert canonical.encode(value) == expected


def test_storage_form_escapes_what_go_escapes_and_orders_signature_members() -> None:
    signed = canonical.encode({"a": "<>&\u2028\u2029\u00e9\\<"})
    stored = canonical.storage_form(signed, [{"sig": "QQ==", "method": "ecdsa", "keyid": "k", "more": 1}])
    expected = (
        '{"signed":{"a":"\\u003c\\u003e\\u0026\\u2028\\u2029\u00e9\\\\\\u003c"},'
        '"signatures":[{"keyid":"k","method":"ecdsa","sig":"QQ=="}]}'
    )
    assert stored == expected.encode()
    assert canonical.encode(canonical.decode(stored)["signed"]) == signed


def test_storage_form_of_several_signatures_has_no_spaces() -> None:
    one = {"keyid": "k", "method": "ecdsa", "sig": "QQ=="}
    stored = canonical.storage_form(b"{}", [one, one])
    assert stored == b'{"signed":{},"signatures":[%s,%s]}' % (
        (json.dumps(one, separators=(",", ":")).encode(),) * 2
    )


@pytest.mark.parametrize("name", ["a\nb", "\x00", "\x1f"])
def test_control_characters_are_not_stored_for_no_server_takes_them(name: str) -> None:
    with pytest.raises(MetadataError, match="control characters"):
        canonical.storage_form(canonical.encode({"targets": {name: 1}}), [])


@pytest.mark.parametrize(
    "inside",
    [
        '{"a":1,"a":1}',
        '{"b":{"c":1,"c":1}}',
        '{"a":9007199254740993}',
        '{"a":1.5}',
        '{"a":NaN}',
        '{"a":1}}',
        '{"a":' + "[" * 64 + "]" * 64 + "}",
    ],
)
def test_the_quick_decoder_takes_no_file_that_the_strict_one_refuses(inside: str) -> None:
    with pytest.raises(MetadataError):
        canonical.decode_file(f'{{"signed":{inside},"signatures":[]}}'.encode())


def test_a_file_in_storage_form_is_decoded_without_a_call_for_each_member() -> None:
    def stored(count: int) -> bytes:
        listed = {f"v{number}": {"hashes": {"sha256": "QQ=="}, "length": number} for number in range(count)}
        return canonical.storage_form(canonical.encode({"targets": listed}), [])

    data = stored(10_000)
    assert work(lambda: canonical.decode_file(data)) < 1000
    outer, form = canonical.decode_file(stored(10))
    assert form == canonical.encode(outer["signed"])
