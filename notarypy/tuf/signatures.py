"""Checking and encoding signatures, one method at a time.

What it is: the mapping from key type to method, and the exact encodings Notary
uses. What it is not: thresholds (`envelope`) or private keys.

Rules:

1. The key's type chooses the method; a signature's `method` must be one that
   fits the type. A signature never chooses how it is checked.
2. ECDSA is SHA-256 on every curve, encoded as r and s, each as long as the
   curve; DER is refused.
3. RSA-PSS is SHA-256 with a salt of exactly 32 bytes; PKCS#1 v1.5 is accepted,
   never produced. RSA keys have 2048 to 8192 bits, and an odd exponent above 1 and
   below 2**31: a longer one makes each check slow, and Go takes none either.
4. Anything unexpected, of any kind, is an invalid signature, never an exception.
5. A bare key has one encoding, the one Go writes: another (a compressed point, no
   NULL beside the RSA algorithm) would let one key stand in a role twice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from notarypy.errors import NotarypyError
from notarypy.tuf.keys import X509_TYPES, PublicKey, leaf_certificate, public_key_of, usable_rsa

if TYPE_CHECKING:
    from collections.abc import Callable

    Verifier = Callable[[str, bytes, bytes], bool]

METHOD_FOR = {
    "ecdsa": "ecdsa",
    "rsa": "rsapss",
    "ed25519": "eddsa",
    "ecdsa-x509": "ecdsa",
    "rsa-x509": "rsapss",
}
_PSS_SALT = 32
# The SubjectPublicKeyInfo of a P-256 key is this and the point; taking the point
# out saves loading the serialization module, a third of a short command's imports.
_P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_P256_SPKI_LENGTH = len(_P256_SPKI) + 65


def verify(key: PublicKey, method: str, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` is one by `key` over `message` (rules 1 to 5)."""
    verifier = _verifier(key)
    return verifier is not None and verifier(method.lower(), signature, message)


def ecdsa_raw(der: bytes, curve_bits: int) -> bytes:
    """Turn a DER ECDSA signature into r and s, each padded to the curve's length."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    size = (curve_bits + 7) // 8
    r, s = decode_dss_signature(der)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


@lru_cache(maxsize=512)
def _verifier(key: PublicKey) -> Verifier | None:
    """Return the checking function for a key, or None for a key that cannot be used."""
    from cryptography.exceptions import UnsupportedAlgorithm

    makers = {"ecdsa": _ecdsa, "rsa": _rsa, "ed25519": _eddsa}
    maker = makers.get(X509_TYPES.get(key.keytype, key.keytype))
    if maker is None:
        return None
    try:
        return maker(key)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, NotarypyError):
        return None


def _public_object(key: PublicKey) -> Any:  # noqa: ANN401 - a key object of the cryptography package
    if key.keytype in X509_TYPES:
        return leaf_certificate(key).public_key()
    if key.keytype == "ecdsa" and len(key.public) == _P256_SPKI_LENGTH and key.public.startswith(_P256_SPKI):
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public[len(_P256_SPKI) :])
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    public = load_der_public_key(key.public)
    if public_key_of(public).public != key.public:
        raise ValueError("another encoding of the same key")
    return public


def _ecdsa(key: PublicKey) -> Verifier | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    public = _public_object(key)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return None
    if public.curve.name not in {"secp224r1", "secp256r1", "secp384r1", "secp521r1"}:
        return None
    size = (public.curve.key_size + 7) // 8

    def check(method: str, signature: bytes, message: bytes) -> bool:
        if method != "ecdsa" or len(signature) != 2 * size:
            return False
        r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        try:
            public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    return check


def _rsa(key: PublicKey) -> Verifier | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    public = _public_object(key)
    if not isinstance(public, rsa.RSAPublicKey) or not usable_rsa(public):
        return None
    paddings: dict[str, padding.PSS | padding.PKCS1v15] = {
        "rsapss": padding.PSS(padding.MGF1(SHA256()), _PSS_SALT),
        "rsapkcs1v15": padding.PKCS1v15(),
    }

    def check(method: str, signature: bytes, message: bytes) -> bool:
        if method not in paddings:
            return False
        try:
            public.verify(signature, message, paddings[method], SHA256())
        except InvalidSignature:
            return False
        return True

    return check


def _eddsa(key: PublicKey) -> Verifier | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(key.public)

    def check(method: str, signature: bytes, message: bytes) -> bool:
        if method != "eddsa":
            return False
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check
