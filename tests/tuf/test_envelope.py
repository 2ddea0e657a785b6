"""Signed files: taking them apart, and counting keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notarypy.errors import MetadataError, SignatureError
from notarypy.limits import DEFAULT
from notarypy.tuf import canonical
from notarypy.tuf.envelope import Envelope, Signature, require_threshold, seal, valid_keys
from notarypy.tuf.keys import PublicKey
from support.author import NOW, public_key, root_key, signature
from support.otherkeys import bare, certificate, chain, pss, rsa_key

SIGNED = {"_type": "Targets", "version": 1}
MESSAGE = canonical.encode(SIGNED)
NAMES = ("a", "b", "c")
KEYS = {public_key(name).keyid: public_key(name) for name in NAMES}
IDS = [public_key(name).keyid for name in NAMES]


def signed_by(*names: str, message: bytes = MESSAGE) -> list[Signature]:
    return [signature(name, public_key(name), message) for name in names]


def parsed(signatures: list[Signature]) -> Envelope:
    return Envelope.parse(seal(SIGNED, signatures), "targets")


def test_a_sealed_file_is_taken_apart_again() -> None:
    signatures = signed_by("a", "b")
    data = seal(SIGNED, signatures)
    file = Envelope.parse(data, "targets")
    assert (file.raw, file.signed, file.signatures, file.canonical) == (
        data,
        SIGNED,
        tuple(signatures),
        MESSAGE,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no signed part"),
        ('{"signed":null,"signatures":[]}', "no signed part"),
        ('{"signed":[],"signatures":[]}', "no signed part"),
        ('{"signed":{}}', "no signatures"),
        ('{"signed":{},"signatures":null}', "no signatures"),
        ('{"signed":{},"signatures":[]}', "no signatures"),
        ('{"signed":{},"signatures":{}}', "no signatures"),
        ('{"signed":{},"signatures":{"keyid":{}}}', "no signatures"),
        ('{"signed":{},"signatures":7}', "no signatures"),
        ('{"signed":{},"signatures":true}', "no signatures"),
        ('{"Signed":{},"signatures":[{"keyid":"k","method":"m","sig":""}]}', "no signed part"),
        ('{"signed":{},"signed":{},"signatures":[]}', "not valid JSON"),
    ],
)
def test_what_is_no_signed_file_is_refused(text: str, says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        Envelope.parse(text.encode(), "targets")


@pytest.mark.parametrize(
    "entry",
    [
        "null",
        "[]",
        "{}",
        '{"keyid":1,"method":"m","sig":""}',
        '{"keyid":"k","sig":""}',
        '{"keyid":"k","method":"m"}',
        '{"keyid":"k","method":"m","sig":null}',
        '{"keyid":"k","method":"m","sig":"Q"}',
        '{"keyid":"k","method":"m","sig":"QUJD\\n"}',
    ],
)
def test_an_entry_that_is_no_signature_is_an_invalid_one(entry: str) -> None:
    data = seal(SIGNED, signed_by("a")).replace(b'"signatures":[', b'"signatures":[' + entry.encode() + b",")
    assert valid_keys(Envelope.parse(data, "targets"), KEYS, IDS) == {public_key("a").keyid}
    alone = Envelope.parse(b'{"signed":{},"signatures":[' + entry.encode() + b"]}", "targets")
    assert valid_keys(alone, KEYS, IDS) == frozenset()


def test_an_error_of_structure_names_the_role() -> None:
    with pytest.raises(MetadataError) as caught:
        Envelope.parse(b'{"signed":{},"signatures":[]}', "targets/jeff")
    assert caught.value.facts["role"] == "targets/jeff"


@pytest.mark.parametrize(("count", "accepted"), [(DEFAULT.signatures, True), (DEFAULT.signatures + 1, False)])
def test_signatures_are_bounded(count: int, accepted: bool) -> None:
    data = seal(SIGNED, signed_by("a") * count)
    if accepted:
        assert len(Envelope.parse(data, "targets").signatures) == count
    else:
        with pytest.raises(MetadataError, match="beyond a limit"):
            Envelope.parse(data, "targets")


def test_unsigned_extra_members_and_another_layout_change_nothing() -> None:
    document: dict[str, Any] = json.loads(seal(SIGNED, signed_by("a")))
    document["extra"] = {"version": 99}
    file = Envelope.parse(json.dumps(document, indent=3).encode() + b"\n \t", "targets")
    assert valid_keys(file, KEYS, IDS) == {public_key("a").keyid}


def test_signatures_cover_the_canonical_form_not_the_text() -> None:
    document: dict[str, Any] = json.loads(seal(SIGNED, signed_by("a")))
    text = json.dumps({"signatures": document["signatures"], "signed": {"version": 1, "_type": "Targets"}})
    assert valid_keys(Envelope.parse(text.encode(), "targets"), KEYS, IDS) == {public_key("a").keyid}


@pytest.mark.parametrize(
    ("threshold", "names", "met"),
    [
        (1, ["a"], True),
        (1, ["b"], True),
        (1, ["a", "b", "c"], True),
        (2, ["a", "b"], True),
        (2, ["a"], False),
        (3, ["a", "b", "c"], True),
        (3, ["a", "b"], False),
        (4, ["a", "b", "c"], False),
        (1, ["stranger"], False),
        (2, ["a", "stranger"], False),
        (2, ["a", "a"], False),
        (2, ["a", "a", "a", "b"], True),
        (0, ["a"], False),
        (-1, ["a"], False),
    ],
)
def test_a_threshold_counts_distinct_keys_of_the_role(threshold: int, names: list[str], met: bool) -> None:
    file = parsed(signed_by(*names))
    if met:
        require_threshold(file, KEYS, IDS, threshold, "targets")
    else:
        with pytest.raises(SignatureError):
            require_threshold(file, KEYS, IDS, threshold, "targets")


def test_a_key_that_the_role_does_not_list_does_not_count() -> None:
    assert valid_keys(parsed(signed_by("a", "b")), KEYS, [public_key("b").keyid]) == {public_key("b").keyid}


def test_a_key_id_that_is_not_in_the_table_does_not_count() -> None:
    only = {public_key("b").keyid: public_key("b")}
    assert valid_keys(parsed(signed_by("a", "b")), only, IDS) == {public_key("b").keyid}


def test_an_invalid_signature_does_no_harm_before_or_after_a_valid_one() -> None:
    bad = Signature(public_key("a").keyid, "ecdsa", b"\0" * 64)
    (right,) = signed_by("a")
    wrong_message = signed_by("a", message=b"{}")
    for order in ([bad, right], [right, bad], [*wrong_message, right], [bad, bad, right, bad]):
        assert valid_keys(parsed(order), KEYS, IDS) == {public_key("a").keyid}
    assert valid_keys(parsed([bad, *wrong_message]), KEYS, IDS) == frozenset()


def test_a_signature_under_another_keys_id_is_invalid() -> None:
    (right,) = signed_by("a")
    moved = Signature(public_key("b").keyid, right.method, right.sig)
    assert valid_keys(parsed([moved]), KEYS, IDS) == frozenset()


def test_key_ids_are_compared_exactly() -> None:
    (right,) = signed_by("a")
    loud = Signature(right.keyid.upper(), right.method, right.sig)
    assert valid_keys(parsed([loud]), KEYS, IDS) == frozenset()


def test_one_key_as_rsa_and_as_rsa_x509_counts_once() -> None:
    one = certificate(rsa_key().public_key(), rsa_key(), ("x",), NOW, NOW.replace(year=2030))
    listed = [bare(rsa_key()), PublicKey("rsa-x509", chain(one))]
    keys = {key.keyid: key for key in listed}
    file = parsed([Signature(key.keyid, "rsapss", pss(rsa_key(), MESSAGE)) for key in listed])
    assert len(keys) == 2
    assert valid_keys(file, keys, list(keys)) == {bare(rsa_key()).keyid}
    with pytest.raises(SignatureError):
        require_threshold(file, keys, list(keys), 2, "targets")


def test_one_key_in_two_certificates_counts_once() -> None:
    listed = [root_key("a", "one"), root_key("a", "two"), public_key("a")]
    keys = {key.keyid: key for key in listed}
    file = parsed([signature("a", key, MESSAGE) for key in listed])
    assert len(keys) == 3
    assert valid_keys(file, keys, list(keys)) == {public_key("a").keyid}


def test_a_key_listed_twice_in_a_role_counts_once() -> None:
    with pytest.raises(SignatureError):
        require_threshold(parsed(signed_by("a")), KEYS, [IDS[0], IDS[0]], 2, "targets")


def test_the_error_tells_people_canonical_ids_and_programs_all() -> None:
    key = root_key("a", "gun")
    keys = {key.keyid: key, **KEYS}
    with pytest.raises(SignatureError) as caught:
        require_threshold(parsed(signed_by("b")), keys, [key.keyid, IDS[1], "f" * 64], 2, "targets/x")
    error = caught.value
    assert error.why == (
        f"1 valid of 2 needed; accepted keys: {public_key('a').keyid[:7]}, {IDS[1][:7]}, fffffff",
    )
    assert error.facts == {
        "role": "targets/x",
        "threshold": 2,
        "valid": [IDS[1]],
        "accepted": [key.keyid, IDS[1], "f" * 64],
    }


def test_a_role_without_keys_is_never_met() -> None:
    with pytest.raises(SignatureError) as caught:
        require_threshold(parsed(signed_by("a")), KEYS, [], 1, "targets/releases")
    assert caught.value.why == ("0 valid of 1 needed; accepted keys: none",)


def test_a_key_of_a_hostile_certificate_in_the_list_does_not_hide_the_error() -> None:
    hostile = PublicKey("ecdsa-x509", b"junk")
    with pytest.raises(SignatureError):
        require_threshold(parsed(signed_by("a")), {hostile.keyid: hostile}, [hostile.keyid], 1, "targets")
