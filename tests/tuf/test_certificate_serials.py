"""Certificates with serial numbers of zero and below: the bytes that docker and Go take, and no warning."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from notarypy.tuf import authorities, certificateparts, certificates, der
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.signerkeys import load_public_pem
from notarypy.tuf.trustanchors import certificate_sha256
from support import otherkeys

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GUN = "registry.test/app"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@lru_cache
def keys(kind: str) -> Private:
    return otherkeys.ec_key(ec.SECP256R1) if kind == "ecdsa" else otherkeys.rsa_key()


def made(
    key: Private, number: bytes, *, issuer: Private | None = None, name: str = GUN, ca: bool = False
) -> bytes:
    """Return the DER of a certificate whose serial number is written so."""
    start, end = NOW - timedelta(1), NOW + timedelta(400)
    usual = otherkeys.certificate(key.public_key(), issuer or key, (name,), start, end, ca=ca)
    body, algorithm, _ = der.elements(usual.public_bytes(Encoding.DER))
    version, _, *rest = der.elements(body)
    body = otherkeys.tlv(0x30, version, otherkeys.tlv(2, number), *rest)
    signer = issuer or key
    if isinstance(signer, rsa.RSAPrivateKey):
        signature = signer.sign(body, padding.PKCS1v15(), SHA256())
    else:
        signature = signer.sign(body, ec.ECDSA(SHA256()))
    return otherkeys.tlv(0x30, body, algorithm, otherkeys.tlv(3, b"\0", signature))


ODD = (b"\0", b"\xff", b"\x80\x01", b"\xfe" + bytes(18))


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("number", ODD, ids=bytes.hex)
def test_it_is_a_signers_key_with_its_own_bytes(kind: str, number: bytes) -> None:
    block = made(keys(kind), number)
    key = load_public_pem(otherkeys.wrapped(block), NOW)
    assert (key.keytype, key.bare) == (f"{kind}-x509", public_key_of(keys(kind)))
    (read,) = certificateparts.load_pem(key.public)
    assert read.public_bytes(Encoding.DER) == block
    assert certificate_sha256(read) == hashlib.sha256(block).hexdigest()


@pytest.mark.parametrize("number", ODD, ids=bytes.hex)
def test_it_is_a_root_key(number: bytes) -> None:
    key = PublicKey("ecdsa-x509", otherkeys.wrapped(made(keys("ecdsa"), number)))
    assert certificates.problem(key, GUN, NOW) == ""
    assert certificates.problem(key, "registry.test/other", NOW)
    assert certificates.expiry(key) == NOW + timedelta(400)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize(("leaf", "authority"), [(b"\0", b"\0"), (b"\0", b"\x01"), (b"\x01", b"\xff")])
def test_it_chains_to_an_authority_and_may_be_one(kind: str, leaf: bytes, authority: bytes) -> None:
    issuer, other = keys(kind), keys("rsa" if kind == "ecdsa" else "ecdsa")
    anchors = authorities.load(otherkeys.wrapped(made(issuer, authority, ca=True)))
    good = PublicKey(f"{kind}-x509", otherkeys.wrapped(made(keys("ecdsa"), leaf, issuer=issuer)))
    bad = PublicKey(f"{kind}-x509", otherkeys.wrapped(made(keys("ecdsa"), leaf, issuer=other)))
    good, bad = (PublicKey("ecdsa-x509", key.public) for key in (good, bad))
    assert authorities.problem(good, anchors, NOW) == ""
    assert authorities.problem(bad, anchors, NOW)


def test_a_signature_counts_only_over_its_own_bytes() -> None:
    block = made(keys("ecdsa"), b"\0")
    (read,) = certificateparts.load_pem(otherkeys.wrapped(block))
    certificateparts.require_issued(read, read)
    other = block.replace(otherkeys.tlv(2, b"\0"), otherkeys.tlv(2, b"\x81"), 1)
    (changed,) = certificateparts.load_pem(otherkeys.wrapped(other))
    with pytest.raises(InvalidSignature):
        certificateparts.require_issued(changed, changed)
    assert read != changed


def test_others_are_read_by_the_library_alone() -> None:
    usual = otherkeys.wrapped(made(keys("ecdsa"), b"\x01"))
    (read,) = certificateparts.load_pem(usual)
    assert isinstance(read, x509.Certificate)
    for junk in (b"", b"no PEM", otherkeys.wrapped(b"junk"), otherkeys.wrapped(b"")):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the library says
            certificateparts.load_pem(junk)
