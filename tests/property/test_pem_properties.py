"""Key files: whatever bytes they hold, the answer is a key or a reason."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from notarypy.errors import PassphraseWrongError, UnsupportedKeyError
from notarypy.keys.formats import pem, pkcs8
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.signerkeys import load_public_pem
from support.author import private_key

NOW = datetime(2026, 11, 23, tzinfo=UTC)
KEY = private_key("property")
SALT, IV = b"\1" * pkcs8.SALT_BYTES, b"\2" * pkcs8.IV_BYTES
SEALED = pkcs8.encrypt(KEY, "passphrase", "targets", "registry.test/app", salt=SALT, iv=IV, iterations=10)
LABELS = [
    "PRIVATE KEY",
    "EC PRIVATE KEY",
    "RSA PRIVATE KEY",
    "ED25519 PRIVATE KEY",
    "CERTIFICATE",
    "PUBLIC KEY",
]
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_/.", min_size=1, max_size=30)


@given(st.binary(max_size=200), st.sampled_from(LABELS))
@example(b"", "PRIVATE KEY")
def test_any_body_under_any_label_is_a_key_or_a_reason(body: bytes, label: str) -> None:
    text = f"-----BEGIN {label}-----\n{base64.b64encode(body).decode()}\n-----END {label}-----\n".encode()
    for read in (
        lambda: [pkcs8.decrypt(block, "x") for block in pem.split(text)],
        lambda: load_public_pem(text, NOW),
    ):
        with suppress(UnsupportedKeyError):
            assert read()


@given(
    st.lists(
        st.sampled_from([b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----", b"a: b", b"AAAA", b""])
    )
)
def test_any_order_of_lines_is_read_or_refused(lines: list[bytes]) -> None:
    try:
        blocks = pem.split(b"\n".join(lines))
    except UnsupportedKeyError:
        return
    assert len(blocks) == lines.count(b"-----BEGIN PRIVATE KEY-----")


@given(st.data())
def test_a_changed_byte_never_opens_as_another_key(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SEALED) - 1))
    changed = bytearray(SEALED)
    changed[at] = data.draw(st.sampled_from(b"AZaz09+/=-: \n"))
    try:
        opened = [
            pkcs8.decrypt(block, "passphrase") for block in pem.split(bytes(changed)) if block.encrypted
        ]
    except (UnsupportedKeyError, PassphraseWrongError):
        return
    assert [public_key_of(key) for key in opened] in ([], [public_key_of(KEY)])


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), words)
def test_a_key_opens_with_its_passphrase_alone(passphrase: str, other: str, role: str) -> None:
    try:
        (block,) = pem.split(pkcs8.encrypt(KEY, passphrase, role, None, salt=SALT, iv=IV, iterations=1))
    except PassphraseWrongError:
        return
    assert (block.role, block.gun, block.encrypted) == (role, None, True)
    assert public_key_of(pkcs8.decrypt(block, passphrase)) == public_key_of(KEY)
    if other.rstrip("\0") != passphrase.rstrip("\0"):  # HMAC fills keys up with zeros
        try:
            pkcs8.decrypt(block, other)
        except (PassphraseWrongError, UnsupportedKeyError):
            return
        raise AssertionError("another passphrase opens it")


@given(st.binary(max_size=100), words)
def test_a_public_file_is_read_back_or_refused(public: bytes, role: str) -> None:
    text = pem.public_pem(PublicKey("ecdsa", public), role)
    try:
        assert load_public_pem(text, NOW).public == public
    except UnsupportedKeyError:
        return
