from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from notarypy.errors import UnsupportedKeyError
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.tuf.envelope import verify
from support.rsakeys import fresh_key


@pytest.mark.parametrize(
    ("curve", "size"),
    [(ec.SECP256R1(), 64), (ec.SECP384R1(), 96), (ec.SECP521R1(), 132)],
    ids=["P-256", "P-384", "P-521"],
)
def test_ecdsa_is_sha256_as_r_and_s_of_the_curves_length(curve: ec.EllipticCurve, size: int) -> None:
    signer = LocalSigner(ec.generate_private_key(curve))
    for number in range(20):  # r or s is shorter now and then
        message = b"message %d" % number
        method, signature = signer.sign(message)
        assert (method, len(signature)) == ("ecdsa", size)
        assert verify(signer.public, method, signature, message)
        assert not verify(signer.public, method, signature, message + b".")


def test_rsa_is_pss() -> None:
    signer = LocalSigner(fresh_key(2048))
    method, signature = signer.sign(b"message")
    assert (method, len(signature)) == ("rsapss", 256)
    assert verify(signer.public, method, signature, b"message")


def test_ed25519() -> None:
    signer = LocalSigner(ed25519.Ed25519PrivateKey.generate())
    method, signature = signer.sign(b"message")
    assert (method, len(signature)) == ("eddsa", 64)
    assert verify(signer.public, method, signature, b"message")


def test_a_key_that_notary_cannot_verify_makes_no_signer() -> None:
    with pytest.raises(UnsupportedKeyError):
        LocalSigner(ec.generate_private_key(ec.SECP256K1()))


def test_the_repr_is_the_public_half() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = LocalSigner(key)
    assert repr(signer) == f"LocalSigner(ecdsa, {signer.public.keyid})"
