"""Key files of cosign: any key and passphrase make the round trip, and any change is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from notarypy.errors import PassphraseWrongError, UnsupportedKeyError
from notarypy.keys.formats import cosignkey, pem
from notarypy.tuf.keys import public_key_of

SALT, NONCE = b"\1" * cosignkey.SALT_BYTES, b"\2" * cosignkey.NONCE_BYTES
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY = ec.derive_private_key(4711, ec.SECP256R1())
WRITTEN = cosignkey.encrypt(KEY, "secret", salt=SALT, nonce=NONCE)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def block_of(data: bytes) -> pem.KeyBlock:
    return pem.split(data, cosign=True)[0]


@settings(max_examples=8)
@given(
    st.integers(1, ORDER - 1),
    st.text(st.characters(codec="utf-8")),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=24, max_size=24),
)
def test_any_key_and_passphrase_make_the_round_trip(
    number: int, word: str, salt: bytes, nonce: bytes
) -> None:
    key = ec.derive_private_key(number, ec.SECP256R1())
    block = block_of(cosignkey.encrypt(key, word, salt=salt, nonce=nonce))
    assert public_key_of(cosignkey.decrypt(block, word)) == public_key_of(key)
    with pytest.raises(PassphraseWrongError):
        cosignkey.decrypt(block, word + "x")


@settings(max_examples=12)
@given(st.integers(0, len(block_of(WRITTEN).der) - 1), st.integers(1, 255))
def test_no_changed_byte_makes_another_key(place: int, change: int) -> None:
    data = bytearray(block_of(WRITTEN).der)
    data[place] ^= change
    try:
        found = cosignkey.decrypt(block_of(pem.text(pem.COSIGN_LABELS[0], {}, bytes(data))), "secret")
    except (PassphraseWrongError, UnsupportedKeyError):
        return
    assert public_key_of(found) == public_key_of(KEY)


@given(JSON, st.sampled_from(["", "kdf", "cipher", "ciphertext", "params", "salt", "nonce"]))
def test_any_json_is_refused(value: Any, name: str) -> None:  # noqa: ANN401 - JSON
    document = json.loads(block_of(WRITTEN).der)
    for part in (document, document["kdf"], document["cipher"]):
        if name in part:
            part[name] = value
    raw = json.dumps(document if name else value).encode()
    with pytest.raises((UnsupportedKeyError, PassphraseWrongError)):
        cosignkey.decrypt(block_of(pem.text(pem.COSIGN_LABELS[0], {}, raw)), "secret")
