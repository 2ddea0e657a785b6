"""Keys that `Author` does not make: RSA, Ed25519, other curves, and encodings nobody should accept.

What it is: private keys for negative and positive tests of signatures, made once per
run. What it is not: keys for use.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.tuf.envelope import ecdsa_raw
from notarypy.tuf.keys import PublicKey
from support.rsakeys import kept_key

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
        CertificatePublicKeyTypes,
    )

RSA_OID = bytes.fromhex("06092a864886f70d010101")


@lru_cache
def rsa_key(bits: int = 2048, name: str = "one") -> rsa.RSAPrivateKey:  # noqa: ARG001 - the cache's key
    """Return an RSA key; the same one for the same arguments."""
    return kept_key(bits)


@lru_cache
def ec_key(curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePrivateKey:
    """Return the key of a curve."""
    return ec.derive_private_key(0x1234567890ABCDEF, curve())


@lru_cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    """Return the Ed25519 key of the seed 00..1f."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a private key's public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def bare(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> PublicKey:
    """Return a bare key object without asking whether Notary can use it."""
    return PublicKey("rsa" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa", spki(key))


def ecdsa(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign as Notary does: SHA-256, raw r and s."""
    return ecdsa_raw(key.sign(message, ec.ECDSA(SHA256())), key.curve.key_size)


def pss(key: rsa.RSAPrivateKey, message: bytes, salt: int = 32) -> bytes:
    """Sign with RSA-PSS, SHA-256 and a salt of this length."""
    return key.sign(message, padding.PSS(padding.MGF1(SHA256()), salt), SHA256())


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return one DER element."""
    body = b"".join(parts)
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    length = size if len(body) < 0x80 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + length + body


def integer(value: int) -> bytes:
    """Return a DER INTEGER of a number of 0 or more."""
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def rsa_spki(modulus: int, exponent: int, *, null: bool = True) -> bytes:
    """Return the DER SubjectPublicKeyInfo of any two numbers."""
    algorithm = tlv(0x30, RSA_OID, tlv(5) if null else b"")
    return tlv(0x30, algorithm, tlv(3, b"\0", tlv(0x30, integer(modulus), integer(exponent))))


def compressed_spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a P-256 key's DER with a compressed point: one key, another encoding."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point


def certificate(
    public: CertificatePublicKeyTypes,
    issuer: CertificateIssuerPrivateKeyTypes,
    names: tuple[str, ...],
    start: datetime,
    end: datetime,
    **how: object,
) -> x509.Certificate:
    """Return a certificate with these common names.

    Args:
        public: The certified key.
        issuer: The signing key.
        names: Common names, none or more.
        start: Valid from.
        end: Valid until.
        how: `ca`: True, False, or None for no basic constraints.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    builder = x509.CertificateBuilder(subject, subject, public, 7, start, end)
    if how.get("ca", False) is not None:
        ca = bool(how.get("ca", False))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer, SHA256())


def chain(*certificates: x509.Certificate) -> bytes:
    """Return the PEM text of certificates, in this order."""
    return b"".join(entry.public_bytes(Encoding.PEM) for entry in certificates)


def wrapped(der: bytes) -> bytes:
    """Return the PEM text of any DER, a certificate or not."""
    import base64

    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
