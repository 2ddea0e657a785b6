"""Key objects of the `cryptography` package, and the bytes that metadata knows them by.

What it is: which keys Notary can verify with, how they are encoded, and what a certificate says of itself.
What it is not: the keys of metadata (`keys`, which loads this only when it has to), or the rules of root
certificates (`certificates`).

Rules:

1. Notary verifies with ECDSA on four curves, with Ed25519, and with RSA keys of 2048 to 8192 bits and an odd
   exponent above 1 and below 2**31: a longer one makes each check slow, and Go takes none either.
2. ECDSA and RSA keys are DER SubjectPublicKeyInfo, Ed25519 keys their 32 bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.errors import Advice, MetadataError, UnsupportedKeyError
from notarypy.limits import DEFAULT

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT = 2**31
CURVES = frozenset({"secp224r1", "secp256r1", "secp384r1", "secp521r1"})
USE_KEY_KIND = Advice("use-key-kind")


def certificates(pem: bytes, keyid: str) -> list[x509.Certificate]:
    """Return the certificates of a key, leaf first; raise MetadataError if unreadable, or too many."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, TypeError, x509.InvalidVersion):
        raise MetadataError("a key's certificate cannot be read", keyid=keyid) from None
    if len(found) > DEFAULT.certificates:
        raise MetadataError(f"a key has more than {DEFAULT.certificates} certificates", keyid=keyid)
    return found


def encoded(key: Any) -> tuple[str, bytes]:  # noqa: ANN401 - any key object of the cryptography package
    """Return type and bytes of a public key, a private key's public half or a certificate's key (rule 2).

    One that Notary cannot verify with raises UnsupportedKeyError (rule 1).
    """
    try:
        public = key.public_key() if hasattr(key, "public_key") else key
    except (ValueError, UnsupportedAlgorithm):
        text = "Notary v1 cannot use the key in this certificate"
        raise UnsupportedKeyError(text, advice=USE_KEY_KIND) from None
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    if isinstance(public, ec.EllipticCurvePublicKey):
        keytype, usable = "ecdsa", public.curve.name in CURVES
    else:
        keytype, usable = "rsa", isinstance(public, rsa.RSAPublicKey) and usable_rsa(public)
    if not usable:
        raise UnsupportedKeyError("Notary v1 cannot use this key", why=_kind(public), advice=USE_KEY_KIND)
    return keytype, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def usable_rsa(public: rsa.RSAPublicKey) -> bool:
    """Tell whether an RSA key has a sane size and an exponent that nobody can forge with (rule 1)."""
    exponent = public.public_numbers().e
    sound = 1 < exponent < MAX_RSA_EXPONENT and exponent % 2 == 1
    return MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS and sound


def certificate_problem(certificate: x509.Certificate, now: datetime) -> str:
    """Say why a certificate cannot be trusted as a key's wrapping; empty when it can."""
    if certificate.not_valid_after_utc < now:
        return f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "it is signed with an unknown algorithm"
    if algorithm is not None and algorithm.name in {"sha1", "md5"}:
        return f"it is signed with {algorithm.name.upper()}"
    return ""


def _kind(public: Any) -> str:  # noqa: ANN401 - whatever the cryptography package loaded
    size = getattr(public, "key_size", None)
    curve = getattr(getattr(public, "curve", None), "name", "")
    parts = (type(public).__name__.lstrip("_"), curve, size and f"{size} bits")
    return " ".join(str(part) for part in parts if part)
