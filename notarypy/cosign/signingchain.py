"""Certificate chains that notation's signatures are under.

What it is: certificates that name a key, checked as notation's own library checks them, and the one way in
which that key signs. What it is not: trust in any of them, which is the reader's business.

Rules:

1. A chain is whole and in order: the leaf first, each certificate issued by the next, the last by itself. A
   single certificate is leaf and root.
2. The leaf is no authority. Its key usage is critical, and is to sign data and nothing else; its extended key
   usage has code signing, and none of the uses that the specification excludes.
3. What issues is an authority whose basic constraints and key usage are critical, let it issue certificates,
   and allow a chain of this length.
4. Each is signed with SHA-256, SHA-384 or SHA-512, has a serial number above zero, and is valid when the key
   signs.
5. The leaf's key decides how it signs, the hash included: ES256 with P-256, PS256 with RSA of 2048 bits.
   Larger keys take SHA-384 or SHA-512 there, and keys here sign with SHA-256 alone: those are refused.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from notarypy.errors import Advice, NotarypyError, UnsupportedKeyError, UsageError
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_RSA_BITS = 2048
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_EXCLUDED = frozenset(
    {
        Use.SERVER_AUTH,
        Use.CLIENT_AUTH,
        Use.EMAIL_PROTECTION,
        Use.TIME_STAMPING,
        Use.OCSP_SIGNING,
        Use.ANY_EXTENDED_KEY_USAGE,
    }
)
# What a leaf's key may not be for; the last two are said only where the one before them is.
_OTHER_USES = ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True)
class SigningChain:
    """A chain that may sign: its certificates as DER, and the leaf's key, which signs by one algorithm."""

    certificates: tuple[bytes, ...]
    public: PublicKey
    algorithm: str
    begins: datetime
    ends: datetime

    @classmethod
    def load(cls, pem: bytes) -> SigningChain:
        """Read a chain, PEM (rules 1 to 5).

        Raises:
            UsageError: It is none, or notation would refuse it.
            UnsupportedKeyError: Its key cannot sign so here.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a serial number is not above zero is rule 4
                found = x509.load_pem_x509_certificates(pem)
                problem = next(filter(None, map(_problem, found, range(len(found)))), "")
            problem = problem or _order_problem(found)
            public = public_key_of(found[0])
        except NotarypyError as error:
            raise _unusable(error.message) from None
        except _UNREADABLE as error:
            raise _unusable(f"it cannot be read: {error}") from None
        if problem:
            raise _unusable(problem)
        begins, ends = (
            max(one.not_valid_before_utc for one in found),
            min(one.not_valid_after_utc for one in found),
        )
        der = tuple(one.public_bytes(Encoding.DER) for one in found)
        return cls(der, public, _algorithm(found[0]), begins, ends)

    def require_valid(self, now: datetime) -> None:
        """Raise UsageError for a chain that is not valid at a moment (rule 4)."""
        if not self.begins <= now <= self.ends:
            raise _unusable(f"it is valid from {self.begins:%Y-%m-%d %H:%M}Z to {self.ends:%Y-%m-%d %H:%M}Z")


def _unusable(why: str) -> UsageError:
    advice = Advice("give-signing-certificate")
    return UsageError("notation would not take signatures under this certificate", why=why, advice=advice)


def _algorithm(leaf: x509.Certificate) -> str:
    """Return how the leaf's key signs (rule 5)."""
    key = leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == _RSA_BITS:
        return "PS256"
    raise UnsupportedKeyError(
        "this key cannot sign for notation here",
        why="it would have to sign with another hash than SHA-256: notation goes by the size of keys",
        advice=Advice("use-notation-key"),
    )


def _problem(certificate: x509.Certificate, place: int) -> str:
    """Say why a certificate cannot be at a place of a chain, where the leaf's is 0; empty if it can."""
    reason = _leaf_problem(certificate) if place == 0 else _authority_problem(certificate, place - 1)
    hashed = certificate.signature_hash_algorithm  # None for EdDSA, which hashes in its own way
    if hashed is not None and hashed.name not in _HASHES:
        reason = f"it is signed with {hashed.name}"
    if certificate.serial_number <= 0:
        reason = "its serial number is not above zero"
    return (
        f"certificate {place + 1} of it, {certificate.subject.rfc4514_string()}: {reason}" if reason else ""
    )


def _leaf_problem(leaf: x509.Certificate) -> str:
    """Check rule 2."""
    basic = _extension(leaf, x509.BasicConstraints)
    usage, extended = _extension(leaf, x509.KeyUsage), _extension(leaf, x509.ExtendedKeyUsage)
    if basic is not None and basic.value.ca:
        return "the first one is to be that of the key, and this is an authority"
    if usage is None or not usage.critical or not usage.value.digital_signature:
        return "its key usage has to be there, critical, and digitalSignature"
    if other := [name for name in _OTHER_USES if getattr(usage.value, name)]:
        return f"its key usage has to be digitalSignature alone, and is {', '.join(other)} too"
    if extended is None or Use.CODE_SIGNING not in extended.value:
        return "its extended key usage has to have codeSigning"
    if not _EXCLUDED.isdisjoint(extended.value):
        return "its extended key usage has others beside codeSigning that are not allowed"
    return ""


def _authority_problem(certificate: x509.Certificate, below: int) -> str:
    """Check rule 3; there are so many authorities below it."""
    basic, usage = _extension(certificate, x509.BasicConstraints), _extension(certificate, x509.KeyUsage)
    if basic is None or not basic.critical or not basic.value.ca:
        return "it issues certificates, and is no authority, or does not say so critically"
    if basic.value.path_length is not None and basic.value.path_length < below:
        return "it allows no chain of this length"
    if usage is None or not usage.critical or not usage.value.key_cert_sign:
        return "it issues certificates: its key usage has to be there, critical, and have keyCertSign"
    return ""


def _order_problem(found: Sequence[x509.Certificate]) -> str:
    """Check rule 1."""
    for place, certificate in enumerate(found):
        last = place == len(found) - 1
        if certificate.subject == certificate.issuer and not last:
            return f"certificate {place + 1} of {len(found)} is issued by itself, and is not the last"
        try:
            certificate.verify_directly_issued_by(certificate if last else found[place + 1])
        except (InvalidSignature, ValueError, TypeError):
            after = "by itself: the root comes last" if last else "by the next one"
            return f"certificate {place + 1} of {len(found)} is not issued {after}"
    return ""


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> Any:  # noqa: ANN401 - an extension of that kind, or None
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
