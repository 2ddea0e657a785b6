"""References to keys: whatever bytes they hold, the answer is where a key is or a reason."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notarypy.errors import InvalidNameError, KeyAccessError, UnsupportedKeyError
from notarypy.keys.formats import keyuri, urisecrets
from notarypy.keys.formats.keyuri import KeyReference
from notarypy.keys.keystore import KeyStore
from notarypy.tuf.keys import PublicKey, public_key_of
from support.author import private_key

PUBLIC = public_key_of(private_key("property"))
WRITTEN = keyuri.write(KeyReference("hashivault://release?version=1", "jeff", PUBLIC))
texts, uris = st.text(max_size=60), st.from_regex(r"[a-z][a-z0-9+.-]{1,10}:[ -~]{1,80}", fullmatch=True)


@given(
    st.from_regex(r"[a-z][a-z0-9+.-]{1,10}:[ -~]{1,80}", fullmatch=True),
    st.sampled_from(["root", "targets/jo"]),
)
@example("pkcs11:token=a%20b;object=\u00e9", "jeff")
def test_what_is_written_is_read_the_same(uri: str, role: str) -> None:
    reference = KeyReference(uri, role, PUBLIC)
    try:
        data = keyuri.write(reference)
    except InvalidNameError:
        assert uri != uri.strip() or urisecrets.holds_secret(uri)
        return
    assert keyuri.read(data) == reference


@given(texts, texts, st.sampled_from(["ecdsa", "rsa", "", "x y"]), st.binary(max_size=100))
def test_what_cannot_be_read_again_is_not_written(uri: str, role: str, keytype: str, public: bytes) -> None:
    reference = KeyReference(uri, role, PublicKey(keytype, public))
    try:
        data = keyuri.write(reference)
    except InvalidNameError:
        return
    assert keyuri.read(data) == reference


@given(st.one_of(st.binary(max_size=400), st.lists(st.sampled_from(WRITTEN.splitlines())).map(b"\n".join)))
@example(b"")
@example(WRITTEN + WRITTEN)
def test_any_bytes_are_a_reference_or_a_reason(data: bytes) -> None:
    try:
        found = keyuri.read(data)
    except UnsupportedKeyError:
        return
    assert found.uri
    assert not urisecrets.holds_secret(found.uri)


@given(st.data())
def test_a_changed_byte_names_no_other_key(data: st.DataObject) -> None:
    at, byte = data.draw(st.integers(0, len(WRITTEN) - 1)), data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        (Path(folder) / f"{PUBLIC.keyid}.ref").write_bytes(WRITTEN[:at] + bytes([byte]) + WRITTEN[at + 1 :])
        store = KeyStore(Path(folder))
        for info in store.list():
            assert info.keyid == PUBLIC.keyid
            assert info.uri
        assert store.available() == {PUBLIC.keyid}
        with suppress(KeyAccessError):
            assert store.find(PUBLIC.keyid) is not None


@given(st.text("a:/?#@&;=%.-", max_size=40), st.sampled_from(["?", "&", ";", ":"]))
def test_a_secret_is_found_wherever_it_stands(text: str, before: str) -> None:
    assert urisecrets.holds_secret(f"pkcs11:{text}{before}pin-value=1234")
    assert urisecrets.holds_secret(f"pkcs11:{text}{before}PIN-Value=1234")
    assert urisecrets.holds_secret(f"pkcs11:{text}{before}%70in%2Dvalue=1234")
    assert urisecrets.holds_secret("vault://me:secret@host/" + text)


@pytest.mark.parametrize(
    "uri", ["pkcs11:token=a:b@c", "awskms:///arn:aws:kms:eu:1:key/2", "hashivault://a@1"]
)
def test_what_is_no_secret_is_none(uri: str) -> None:
    assert not urisecrets.holds_secret(uri)


def test_looking_for_a_secret_takes_no_longer_for_odd_texts() -> None:
    assert not urisecrets.holds_secret("x://" + ":" * 500_000)
    assert not urisecrets.holds_secret("//:" * 200_000)
    assert not urisecrets.holds_secret("//@" * 200_000)
