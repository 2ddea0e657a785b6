"""Key objects of the `cryptography` package, and the bytes that metadata knows them by.

What it is: which keys Notary can verify with, and how they are encoded.
What it is not: the keys of metadata (`keys`, which loads this only when it has to), or the rules of root
certificates (`certificates`).

Rules:

1. Notary verifies with ECDSA on four curves, with Ed25519, and with RSA keys of 2048 to 8192 bits and an odd
   exponent above 1 and below 2**31: a longer one makes each check slow, and Go takes none either.
2. ECDSA and RSA keys are DER SubjectPublicKeyInfo, Ed25519 keys their 32 bytes.
3. A key in a file is refused by the name of its kind, and before it is loaded: the library warns of some
   kinds, and of others it cannot say what they are.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from notarypy.errors import Advice, MetadataError, UnsupportedKeyError
from notarypy.limits import DEFAULT
from notarypy.tuf import certificateparts, der

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT = 2**31
_RSA_EXPONENT = 65537  # the usual one
CURVES = frozenset({"secp224r1", "secp256r1", "secp384r1", "secp521r1"})
USE_KEY_KIND = Advice("use-key-kind")
_NAMED_CURVE = 0xA0  # of an EC key that is not in PKCS#8, its third element
_EC = x509.ObjectIdentifier("1.2.840.10045.2.1")
# What nobody signs with in Notary v1; Ed25519 keys are in metadata, and refused where files are read.
_OTHER_KINDS = {
    "1.2.840.10040.4.1": "DSA",
    "1.2.840.113549.1.3.1": "Diffie-Hellman",
    "1.2.840.10046.2.1": "Diffie-Hellman",
    "1.2.840.113549.1.1.7": "RSA-OAEP",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}


def certificates(pem: bytes, keyid: str) -> list[x509.Certificate]:
    """Return the certificates of a key, leaf first; raise MetadataError if unreadable, or too many."""
    try:
        found = certificateparts.load_pem(pem)
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
        raise unusable(kind(public))
    return keytype, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def from_pem(data: bytes) -> Any:  # noqa: ANN401 - any public key of the cryptography package
    """Read a PEM block `PUBLIC KEY`, or a certificate's key; raise UnsupportedKeyError."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in data:
            return certificateparts.load_pem(data)[0].public_key()
        return load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise UnsupportedKeyError("this public key cannot be read", advice=USE_KEY_KIND) from None


def to_pem(keytype: str, public: bytes) -> bytes:
    """Return a bare public key as a PEM block `PUBLIC KEY`; raise UnsupportedKeyError for another type."""
    try:
        raw = keytype == "ed25519"
        key = ed25519.Ed25519PublicKey.from_public_bytes(public) if raw else load_der_public_key(public)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        raise UnsupportedKeyError("this public key cannot be written", why=f"its type is {keytype}") from None


def require_known(written: bytes) -> None:
    """Raise UnsupportedKeyError if a public key or a private one, DER, is of a kind of no use here (rule 3).

    What is no key at all is a ValueError, or left to whoever loads it.
    """
    elements = der.elements(written)
    for element in elements[2:]:
        if elements[1][0] == der.OCTETS and element[0] == _NAMED_CURVE and element[2] == der.OID:
            _require_curve(asn1.decode_der(x509.ObjectIdentifier, element[2:]))
    algorithms = [element for element in elements if element[0] == der.SEQUENCE]
    if not algorithms:
        return
    oid, *parameters = der.elements(algorithms[0])
    algorithm = asn1.decode_der(x509.ObjectIdentifier, oid)
    found = _OTHER_KINDS.get(algorithm.dotted_string, "")
    if algorithm == _EC and parameters and parameters[0][0] == der.OID:
        _require_curve(asn1.decode_der(x509.ObjectIdentifier, parameters[0]))
    if found:
        raise unusable(found)


def _require_curve(oid: x509.ObjectIdentifier) -> None:
    if (curve := _curve(oid)) not in CURVES:
        raise unusable(f"EC, {curve}")


def _curve(oid: x509.ObjectIdentifier) -> str:
    try:
        return ec.get_curve_for_oid(oid)().name
    except LookupError:
        return f"curve {oid.dotted_string}"


def unusable(found: str) -> UnsupportedKeyError:
    """Return the refusal of a key of some kind."""
    message, why = "Notary v1 cannot use this key", f"its kind is {found}"
    return UnsupportedKeyError(message, why=why, advice=USE_KEY_KIND)


def usable_rsa(public: rsa.RSAPublicKey) -> bool:
    """Tell whether an RSA key has a sane size and an exponent that nobody can forge with (rule 1)."""
    exponent = public.public_numbers().e
    sound = 1 < exponent < MAX_RSA_EXPONENT and exponent % 2 == 1
    return MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS and sound


def kind(public: Any) -> str:  # noqa: ANN401 - whatever the cryptography package loaded
    """Return the kind of a public key for people."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"EC, {public.curve.name}"
    if isinstance(public, rsa.RSAPublicKey):
        exponent = public.public_numbers().e
        odd = "" if exponent == _RSA_EXPONENT else f" with the exponent {exponent}"
        return f"RSA, {public.key_size} bits{odd}"
    return type(public).__name__.lstrip("_").removesuffix("PublicKey")
