"""What holds for every signed file and every set of signatures."""

from __future__ import annotations

import json
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notarypy.errors import MetadataError, SignatureError
from notarypy.tuf import canonical
from notarypy.tuf.envelope import Envelope, Signature, require_threshold, seal, valid_keys
from support.author import public_key, signature
from support.strategies import json_objects, json_values, printable, signatures

SIGNED = {"_type": "Targets", "version": 1}
NAMES = ("a", "b", "c", "d")
KEYS = {public_key(name).keyid: public_key(name) for name in NAMES}


@lru_cache
def entry(name: str, kind: str) -> Signature:
    """A good signature, or one that is wrong in a way of its own."""
    message = canonical.encode(SIGNED if kind != "message" else {})
    key = public_key(NAMES[NAMES.index(name) - 1] if kind == "owner" else name)
    made = signature(name, key, message)
    if kind == "bytes":
        return Signature(made.keyid, made.method, bytes(len(made.sig)))
    if kind == "method":
        return Signature(made.keyid, "rsapss", made.sig)
    return made


entries = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(["good", "good", "message", "owner", "bytes", "method"])
    ),
    min_size=1,
    max_size=8,
)


@given(json_objects(printable), st.lists(signatures, min_size=1, max_size=4))
def test_a_sealed_file_is_taken_apart_into_the_same_parts(
    value: dict[str, object], listed: list[dict[str, object]]
) -> None:
    made = [Signature(**one) for one in listed]  # type: ignore[arg-type]
    data = seal(value, made)
    file = Envelope.parse(data, "targets")
    assert (file.signed, list(file.signatures)) == (value, made)
    assert seal(file.signed, file.signatures) == data
    assert file.canonical == canonical.encode(value)


@given(entries, st.lists(st.sampled_from(NAMES), unique=True), st.integers(-1, 5))
def test_a_threshold_is_met_by_that_many_distinct_listed_keys_with_a_good_signature(
    chosen: list[tuple[str, str]], allowed: list[str], threshold: int
) -> None:
    file = Envelope.parse(seal(SIGNED, [entry(*one) for one in chosen]), "targets")
    keyids = [public_key(name).keyid for name in allowed]
    expected = {public_key(name).keyid for name, kind in chosen if kind == "good" and name in allowed}
    assert valid_keys(file, KEYS, keyids) == expected
    if 1 <= threshold <= len(expected):
        require_threshold(file, KEYS, keyids, threshold, "targets")
    else:
        with pytest.raises(SignatureError) as caught:
            require_threshold(file, KEYS, keyids, threshold, "targets")
        assert caught.value.facts["valid"] == sorted(expected)


@given(entries, st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_signatures_do_not_matter(
    chosen: list[tuple[str, str]], random: object
) -> None:
    shuffled = [*chosen, *chosen[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        Envelope.parse(seal(SIGNED, [entry(*kind) for kind in order]), "x") for order in (chosen, shuffled)
    )
    assert valid_keys(one, KEYS, list(KEYS)) == valid_keys(other, KEYS, list(KEYS))


@given(json_values() | st.fixed_dictionaries({"signed": json_values(), "signatures": json_values()}))
def test_any_json_is_a_signed_file_or_malformed(value: object) -> None:
    try:
        file = Envelope.parse(json.dumps(value).encode(), "targets")
    except MetadataError:
        return
    assert isinstance(value, dict)
    assert file.signed == value["signed"]
    assert len(file.signatures) <= len(value["signatures"]) > 0


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=3))
def test_a_changed_byte_of_the_signed_part_never_verifies_another_content(at: int, new: bytes) -> None:
    data = seal(SIGNED, [entry("a", "good")])
    place = at % len(data)
    try:
        file = Envelope.parse(data[:place] + new + data[place + len(new) :], "targets")
    except MetadataError:
        return
    if valid_keys(file, KEYS, list(KEYS)):
        assert file.signed == SIGNED
