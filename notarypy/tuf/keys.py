"""Public keys as Notary metadata carries them, and the two ids each of them has.

What it is: key objects, key ids, and reading a public key or certificate file.
What it is not: signature checking (`signatures`) or root certificate rules
(`certificates`).

Rules:

1. The TUF id is the SHA-256 of the canonical key object, its private half null.
2. The canonical id is the TUF id of the bare public key. It differs from the TUF
   id only for `*-x509` keys, names the private key's file, and is what people see.
3. A key listed under an id that is not its own is refused.
4. Keys of unknown types and unreadable certificates are kept, never used; their
   canonical id is the TUF id.
5. A key has at most 64 KiB, with all its certificates: used keys stay in memory.
6. A threshold counts different canonical ids, and one below 1 is never met.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, MetadataError, NotarypyError, UnsupportedKeyError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography import x509

    from notarypy.tuf.canonical import JsonObject

X509_TYPES = {"ecdsa-x509": "ecdsa", "rsa-x509": "rsa"}
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT = 2**31
_USE_KEY_KIND = Advice("use-key-kind")
_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s")
_PEM_DASHES = b"-----"
_PEM_HEADER = re.compile(rb"^[A-Za-z-]+:[^\n]*\n", re.MULTILINE)


@dataclass(frozen=True)
class PublicKey:
    """A public key object.

    Attributes:
        keytype: `ecdsa`, `rsa`, `ed25519`, `ecdsa-x509`, `rsa-x509`, or an unknown type.
        public: DER SubjectPublicKeyInfo; 32 raw bytes for ed25519; the PEM text of
            the certificate chain, leaf first, for x509 types.
    """

    keytype: str
    public: bytes

    @cached_property
    def keyid(self) -> str:
        """The TUF id, 64 hex digits (rule 1)."""
        return hashlib.sha256(canonical.encode(self.to_json())).hexdigest()

    @cached_property
    def bare(self) -> PublicKey:
        """The key without its certificate; itself when there is none.

        Raises:
            MetadataError: The certificate cannot be read.
            UnsupportedKeyError: Notary cannot verify with the key in it.
        """
        if self.keytype not in X509_TYPES:
            return self
        return certified_key(leaf_certificate(self))

    @cached_property
    def canonical_id(self) -> str:
        """The id of the bare key, 64 hex digits (rules 2 and 4)."""
        try:
            return self.bare.keyid
        except NotarypyError:
            return self.keyid

    def to_json(self) -> JsonObject:
        """Return the key object as metadata stores it."""
        public = base64.b64encode(self.public).decode()
        return {"keytype": self.keytype, "keyval": {"private": None, "public": public}}

    @classmethod
    def from_json(cls, value: object, limits: Limits = DEFAULT) -> PublicKey:
        """Read a key object.

        Raises:
            MetadataError: It is not one.
        """
        keyval = value.get("keyval") if isinstance(value, dict) else None
        keytype = value.get("keytype") if isinstance(value, dict) else None
        public = keyval.get("public") if isinstance(keyval, dict) else None
        if not isinstance(keytype, str) or not isinstance(public, str):
            raise MetadataError("a key object has no keytype or no public part")
        found = decode_base64(public, "a public key")
        most = limits.public_key_bytes
        if len(found) + len(keytype) > most:
            raise MetadataError("a key object is too large", why=f"{len(found)} bytes, {most} at most")
        return cls(keytype, found)


def meets(found: Iterable[str], threshold: int) -> bool:
    """Tell whether these canonical ids are enough different keys for a threshold (rule 6)."""
    return 1 <= threshold <= len(frozenset(found))


def decode_base64(text: object, what: str) -> bytes:
    """Decode standard, padded base64 strictly; raise MetadataError otherwise."""
    if not isinstance(text, str):
        raise MetadataError(f"{what} is not base64 text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MetadataError(f"{what} is not base64") from None


def certificates(key: PublicKey) -> list[x509.Certificate]:
    """Return the certificates of an x509 key, leaf first; raise MetadataError if unreadable."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(key.public)
    except (ValueError, TypeError, x509.InvalidVersion):
        raise MetadataError("a key's certificate cannot be read", keyid=key.keyid) from None
    if len(found) > DEFAULT.certificates:
        raise MetadataError(f"a key has more than {DEFAULT.certificates} certificates", keyid=key.keyid)
    return found


def leaf_certificate(key: PublicKey) -> x509.Certificate:
    """Return the first certificate of an x509 key."""
    return certificates(key)[0]


def certified_key(certificate: x509.Certificate) -> PublicKey:
    """Return the bare key in a certificate; raise UnsupportedKeyError if Notary cannot verify with it."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise UnsupportedKeyError(
            "Notary v1 cannot use the key in this certificate", advice=_USE_KEY_KIND
        ) from None
    return public_key_of(public)


def public_key_of(key: Any) -> PublicKey:  # noqa: ANN401 - any key object of the cryptography package
    """Return the bare PublicKey of a public or private key object of `cryptography`.

    Raises:
        UnsupportedKeyError: Notary cannot verify keys of this kind or size.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key() if hasattr(key, "public_key") else key
    if isinstance(public, ed25519.Ed25519PublicKey):
        return PublicKey("ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    if isinstance(public, ec.EllipticCurvePublicKey):
        keytype, usable = "ecdsa", public.curve.name in {"secp224r1", "secp256r1", "secp384r1", "secp521r1"}
    elif isinstance(public, rsa.RSAPublicKey):
        keytype, usable = "rsa", usable_rsa(public)
    else:
        keytype, usable = "", False
    if not usable:
        raise UnsupportedKeyError("Notary v1 cannot use this key", why=_kind(public), advice=_USE_KEY_KIND)
    return PublicKey(keytype, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def usable_rsa(public: Any) -> bool:  # noqa: ANN401 - an RSA public key of the cryptography package
    """Tell whether an RSA key has a sane size and an exponent that nobody can forge with."""
    exponent: int = public.public_numbers().e
    sound = 1 < exponent < MAX_RSA_EXPONENT and exponent % 2 == 1
    return MIN_RSA_BITS <= int(public.key_size) <= MAX_RSA_BITS and sound


def load_public_pem(data: bytes, now: datetime) -> PublicKey:
    """Read the first PEM block of a public key or certificate file, as a delegation key.

    A certificate must be in date, not signed with SHA-1, and becomes an x509 key.

    Raises:
        UnsupportedKeyError: It holds nothing that can be a delegation's key.
    """
    label, body, block = _first_pem(data)
    if label == "CERTIFICATE":
        return _certificate_key(block, now)
    if label == "PUBLIC KEY":
        return _spki_key(body)
    advice = Advice("give-public-half") if "PRIVATE" in label else _USE_KEY_KIND
    raise UnsupportedKeyError(f"this file holds a {label}, not a public key", advice=advice)


def _first_pem(data: bytes) -> tuple[str, bytes, bytes]:
    """Return label, body and whole text of the first PEM block; UnsupportedKeyError if there is none."""
    for begin in _PEM_BEGIN.finditer(data):
        # A body ends at the next dashes, wherever they are: nothing is looked at twice.
        end = data.find(_PEM_DASHES, begin.end())
        closing = b"-----END " + begin[1] + _PEM_DASHES
        if end >= 0 and data.startswith(closing, end):
            return begin[1].decode(), data[begin.end() : end], data[begin.start() : end + len(closing)]
    raise UnsupportedKeyError("this file holds no PEM public key or certificate", advice=_USE_KEY_KIND)


def _spki_key(body: bytes) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(base64.b64decode(_PEM_HEADER.sub(b"", body)))
    except (ValueError, UnsupportedAlgorithm):
        raise UnsupportedKeyError("this public key cannot be read", advice=_USE_KEY_KIND) from None
    return _delegation_key(public_key_of(key))


def _delegation_key(key: PublicKey) -> PublicKey:
    """Refuse ed25519: Go's clients verify such delegations but cannot load or list them."""
    if key.keytype == "ed25519":
        raise UnsupportedKeyError("an Ed25519 key cannot be a signer's key", advice=_USE_KEY_KIND)
    return key


def _certificate_key(pem: bytes, now: datetime) -> PublicKey:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion):
        raise UnsupportedKeyError("this certificate cannot be read") from None
    bare = _delegation_key(certified_key(certificate))
    problem = certificate_problem(certificate, now)
    if problem:
        raise UnsupportedKeyError("this certificate cannot be a signer's key", why=problem)
    return PublicKey(f"{bare.keytype}-x509", certificate.public_bytes(Encoding.PEM))


def certificate_problem(certificate: x509.Certificate, now: datetime) -> str:
    """Say why a certificate cannot be trusted as a key's wrapping; empty when it can."""
    if certificate.not_valid_after_utc < now:
        return f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    from cryptography.exceptions import UnsupportedAlgorithm

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
    return " ".join(
        str(part) for part in (type(public).__name__.lstrip("_"), curve, size and f"{size} bits") if part
    )
