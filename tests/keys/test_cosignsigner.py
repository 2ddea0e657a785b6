"""Signers that sign as cosign verifies: each kind of key, and whoever signs otherwise."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

from notarypy.cosign import signaturekeys
from notarypy.errors import KeyAccessError, KeyChangedError, UnsupportedKeyError
from notarypy.keys.signers.base import CheckedSigner
from notarypy.keys.signers.cosignsigner import CosignSigner
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.testing import FakeSigner
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.tuf.keys import PublicKey

CURVES = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


@pytest.mark.parametrize(
    "key",
    [*(ec.generate_private_key(curve()) for curve in CURVES), ed25519.Ed25519PrivateKey.generate()],
    ids=[*(curve.name for curve in CURVES), "ed25519"],
)
def test_a_signature_is_what_cosign_verifies(key: PrivateKey) -> None:
    signer = CosignSigner(LocalSigner(key), "here")
    signature = signer.sign(b"message")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        key.public_key().verify(signature, b"message", ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        key.public_key().verify(signature, b"message")
    assert signaturekeys.load(signer.key.pem).verify(signature, b"message")


def test_rsa_is_pkcs1v15_and_no_pss() -> None:
    key = fresh_key(2048)
    signature = CosignSigner(LocalSigner(key), "here").sign(b"message")
    key.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_signature_of_another_key_is_given_to_nobody(algorithm: str) -> None:
    fake = FakeSigner("rsa" if algorithm == "rsa" else "ecdsa")
    for signer in (fake, CheckedSigner(fake, fake.public, "fake")):
        checked = CosignSigner(signer, "fake")
        assert checked.key.verify(checked.sign(b"message"), b"message")
        fake.wrong = True
        with pytest.raises(KeyChangedError, match="fake does not sign with key"):
            checked.sign(b"message")
        fake.wrong = False


@cache
def an_rsa_key() -> FakeSigner:
    """Return a signer that several tests use: its key takes long to make."""
    return FakeSigner("rsa")


class PssAlone:
    def __init__(self) -> None:
        self._behind = an_rsa_key()
        self.public: PublicKey = self._behind.public

    def sign(self, message: bytes) -> tuple[str, bytes]:
        return self._behind.sign(message)


def test_who_signs_by_pss_alone_is_refused_before_anything_is_signed() -> None:
    signer = PssAlone()
    for each in (signer, CheckedSigner(signer, signer.public, "pss")):
        with pytest.raises(UnsupportedKeyError, match="cannot sign as cosign verifies"):
            CosignSigner(each, "pss")


class Odd(PssAlone):
    answer: object = b""

    def sign_pkcs1v15(self, _: bytes) -> object:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", ["text", None, b"", b"\0" * 384, ("rsapss", b"")])
def test_what_is_no_signature_is_none(answer: object) -> None:
    signer = Odd()
    signer.answer = answer
    with pytest.raises(KeyChangedError):
        CosignSigner(CheckedSigner(signer, signer.public, "odd"), "odd").sign(b"message")


def test_nobody_but_who_interrupts_it_ends_the_program() -> None:
    signer = Odd()
    checked = CosignSigner(CheckedSigner(signer, signer.public, "odd"), "odd")
    signer.answer = SystemExit(3)
    with pytest.raises(KeyAccessError, match="odd failed"):
        checked.sign(b"message")
    signer.answer = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        checked.sign(b"message")


def test_nothing_shows_the_private_half() -> None:
    key = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
    shown = repr(CosignSigner(LocalSigner(key), "here"))
    assert shown.startswith("CosignSigner(ecdsa, ")
    assert "1234567890abcdef" not in shown.lower()
