"""What holds for every decoded document: it is metadata, or malformed; nothing else happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notarypy.errors import MetadataError, TrustError
from notarypy.tuf import canonical
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.keys import PublicKey, UnusableKey
from notarypy.tuf.metadata import Root, Snapshot, Targets, Timestamp
from support.author import Author, public_key
from support.repository import assembled, changed, delegated, load, signed
from support.strategies import json_objects, json_values, printable

AUTHOR = delegated("targets/a")
META = MetaFile.of(b"x").to_json()
FILES: dict[str, Any] = {
    "Root": (Root, signed(AUTHOR, "root")),
    "Targets": (Targets, signed(AUTHOR, "targets")),
    "Snapshot": (
        Snapshot,
        {
            "_type": "Snapshot",
            "expires": "2036-01-01T00:00:00Z",
            "version": 1,
            "meta": {"root": META, "targets": META},
        },
    ),
    "Timestamp": (
        Timestamp,
        {"_type": "Timestamp", "expires": "2036-01-01T00:00:00Z", "version": 1, "meta": {"snapshot": META}},
    ),
}


def places(value: object, prefix: str = "") -> list[str]:
    """Every place in a document, by dots."""
    if isinstance(value, dict):
        inner = [(f"{prefix}{name}", member) for name, member in value.items() if "." not in name]
    elif isinstance(value, list):
        inner = [(f"{prefix}{number}", member) for number, member in enumerate(value)]
    else:
        return []
    return [place for name, member in inner for place in (name, *places(member, f"{name}."))]


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_a_document_with_one_changed_place_is_read_or_malformed(kind: str, data: st.DataObject) -> None:
    reader, document = FILES[kind]
    where = data.draw(st.sampled_from(places(document)))
    value = changed(document, where, data.draw(json_values()))
    try:
        read = reader.from_signed(value)
    except MetadataError:
        return
    again = canonical.decode(canonical.encode(read.to_signed())) if printable_only(read) else read.to_signed()
    found = reader.from_signed(again)
    assert found.to_signed() == read.to_signed()
    assert found == read or rewritten(read)


def rewritten(read: Any) -> bool:  # noqa: ANN401 - one of the four kinds
    """Tell whether something may be written otherwise than it was read: keys and roles of no use."""
    keys = getattr(read, "keys", {}).values()
    return any(isinstance(key, UnusableKey) for key in keys) or bool(getattr(read, "others", ()))


def printable_only(read: Any) -> bool:  # noqa: ANN401 - one of the four kinds
    return not any(byte < 0x20 for byte in canonical.encode(read.to_signed()))


@pytest.mark.parametrize("kind", FILES)
@given(value=json_objects())
def test_any_object_is_read_or_malformed(kind: str, value: dict[str, object]) -> None:
    reader, _ = FILES[kind]
    with pytest.raises(MetadataError):
        reader.from_signed(value)
    try:
        reader.from_signed({**value, "_type": kind, "version": 1, "expires": "2036-01-01T00:00:00Z"})
    except MetadataError:
        return


@given(st.data())
def test_a_delegations_file_is_trusted_or_its_own_failure(data: st.DataObject) -> None:
    document = signed(AUTHOR, "targets/a")
    where = data.draw(st.sampled_from(places(document)))
    value = changed(document, where, data.draw(json_values(printable)))
    sealed = AUTHOR.seal(value, AUTHOR.signers("targets/a"))
    result = load(assembled(AUTHOR, targets__a=sealed))
    assert ("targets/a" in result.targets) is not ("targets/a" in result.failures)
    assert "targets" in result.targets


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "targets/a"])
@given(data=st.data())
def test_a_flipped_byte_anywhere_is_refused(role: str, data: st.DataObject) -> None:
    files = AUTHOR.repository()
    at = data.draw(st.integers(0, len(files[role]) - 1))
    flip = data.draw(st.integers(1, 255))
    mangled = bytearray(files[role])
    mangled[at] ^= flip
    try:
        result = load({**files, role: bytes(mangled)})
    except TrustError:
        return
    except RuntimeError:
        assert role == "root"  # another root than the snapshot names
        return
    assert role == "timestamp"
    assert result.timestamp.snapshot == MetaFile.of(files["snapshot"])


@given(st.sampled_from(["ecdsa", "rsa", "ed25519", "ecdsa-x509", "rsa-x509", "x"]), st.binary(max_size=120))
def test_any_bytes_are_a_key_with_two_ids(keytype: str, public: bytes) -> None:
    key = PublicKey(keytype, public)
    assert len(key.keyid) == len(key.canonical_id) == 64
    assert PublicKey.from_json(key.to_json()) == key


@given(st.lists(st.sampled_from("abcd"), unique=True, min_size=1), st.integers(1, 5))
def test_a_repository_is_readable_exactly_when_enough_keys_signed(names: list[str], threshold: int) -> None:
    author = Author()
    keys = [author.key(f"key {name}") for name in "abc"]
    author.assign("targets", keys, threshold)
    author.key("key d")
    data = author.seal(signed(author, "targets"), [public_key(f"key {name}") for name in names])
    enough = len(set(names) & set("abc")) >= threshold
    try:
        load(assembled(author, targets=data))
    except TrustError:
        assert not enough
    else:
        assert enough
