"""What holds for every JSON value: canonical form, storage form, strict decoding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from notarypy.errors import MetadataError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical
from support.strategies import json_objects, json_values, printable

if TYPE_CHECKING:
    from collections.abc import Callable


def nesting(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(nesting, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(nesting, value), default=0)
    return 0


@given(json_values())
def test_the_canonical_form_is_that_of_securesystemslib(value: object) -> None:
    expected = encode_canonical(cast("Any", value))
    assert expected is not None
    assert canonical.encode(value) == expected.encode()


@given(json_objects(), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_layout_and_escapes_of_the_text_do_not_matter(
    value: dict[str, object], ascii_only: bool, indent: int | str | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert canonical.decode(text) == value
    assert canonical.encode(canonical.decode(text)) == canonical.encode(value)


@given(json_objects(printable))
def test_without_control_characters_the_canonical_form_reads_back(value: dict[str, object]) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@given(json_objects(printable), st.lists(st.sampled_from("abc"), max_size=3))
def test_the_storage_form_reads_back_and_is_a_fixed_point(value: dict[str, object], ids: list[str]) -> None:
    listed = [{"keyid": name, "method": "ecdsa", "sig": "QQ=="} for name in ids]
    stored = canonical.storage_form(canonical.encode(value), listed)
    outer = canonical.decode(stored)
    assert outer == {"signed": value, "signatures": listed}
    assert canonical.storage_form(canonical.encode(outer["signed"]), outer["signatures"]) == stored
    assert not any(mark in stored.decode() for mark in "<>&\u2028\u2029\n")


_INSIDE = (
    *("{}", '{"a":1,"b":[{}]}', '{"a":1,"a":1}', '{"b":1,"a":1}', '{"a":9007199254740993}', '{"a":1.0}'),
    *('{"a":-0}', '{"a": 1}', '{"a":NaN}', '{"a":"\\u0041"}', '{"a":"\\ud800"}', '{"é":"<"}', "[]", "1"),
)
_AROUND = (
    '"signatures":[]',
    '"signatures":[],"signed":{}',
    '"signatures":1,"signatures":[]',
    '"x":1,"signatures":0',
)


@given(
    st.sampled_from(_INSIDE) | json_objects(printable).map(lambda value: canonical.encode(value).decode()),
    st.sampled_from(_AROUND),
    st.sampled_from([("", ""), (" ", ""), ("", " "), ("", "x")]),
)
def test_the_quick_decoder_takes_what_the_strict_one_takes(
    inside: str, rest: str, ends: tuple[str, str]
) -> None:
    data = f'{ends[0]}{{"signed":{inside},{rest}}}{ends[1]}'.encode()
    found, expected = decoded(canonical.decode_file, data), decoded(canonical.decode, data)
    if isinstance(found, tuple):
        outer, form = found
        assert outer == expected
        assert form in {None, canonical.encode(outer["signed"])}
    else:
        assert found == expected


def decoded(decode: Callable[[bytes], object], data: bytes) -> object:
    try:
        return decode(data)
    except MetadataError as error:
        return [error.message, error.why]


@given(st.text('{}[]"\\a', max_size=60))
def test_nesting_is_counted_as_brackets_outside_of_strings_have_it(text: str) -> None:
    assume(text.count('"') % 2 == 0)
    depth = deepest = lowest = 0
    quoted = escaped = False
    for character in text:
        if character == '"' and not escaped:
            quoted = not quoted
        elif not quoted and character in "{}[]":
            depth += 1 if character in "{[" else -1
            deepest, lowest = max(deepest, depth), min(lowest, depth)
        escaped = character == "\\" and not escaped
    assume(not quoted and "\\" not in text.replace("\\\\", "").replace('\\"', ""))
    for levels in range(6):
        data, limits = text.encode(), Limits(json_levels=levels)
        assert canonical.within(data, limits) <= (deepest <= levels)
        if depth == lowest == 0:  # what is open is closed, and nothing else
            assert canonical.within(data, limits) == (deepest <= levels)


@given(json_objects(), json_objects())
def test_different_values_have_different_canonical_forms(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert canonical.encode(one) != canonical.encode(other)


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8019ae+-.truefalsn ', max_size=40).map(str.encode))
def test_any_bytes_are_a_json_object_or_refused(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except MetadataError:
        return
    assert value == json.loads(data.decode())
    assert nesting(value) <= DEFAULT.json_levels
    canonical.encode(value)


@given(json_objects(), st.data())
def test_a_member_twice_is_always_refused(value: dict[str, object], data: st.DataObject) -> None:
    assume(value)
    name = data.draw(st.sampled_from(sorted(value)))
    again = f"{json.dumps(name)}:{json.dumps(data.draw(json_values()))}"
    text = json.dumps(value)
    with pytest.raises(MetadataError):
        canonical.decode(f"{text[:-1]},{again}}}".encode())


@given(st.integers())
def test_integers_are_exact_or_refused(number: int) -> None:
    text = b'{"a":%d}' % number
    if -(2**63) <= number < 2**63 and float(number) == number:
        assert canonical.decode(text) == {"a": number}
    else:
        with pytest.raises(MetadataError):
            canonical.decode(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_fractions_are_exact_integers_or_refused(number: object) -> None:
    from decimal import Decimal

    assert isinstance(number, Decimal)
    text = str(number).lower()
    try:
        value = canonical.decode(f'{{"a":{text}}}'.encode())["a"]
    except MetadataError:
        assert number != number.to_integral_value() or abs(number) > canonical.MAX_INTEGER
    else:
        assert value == number


@given(json_values(), st.floats())
def test_a_fraction_anywhere_has_no_canonical_form(value: object, number: float) -> None:
    for holder in ([value, number], {"a": {"b": [number]}, "v": value}):
        with pytest.raises(MetadataError):
            canonical.encode(holder)
