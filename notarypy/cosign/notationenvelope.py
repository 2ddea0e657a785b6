"""Envelopes of notation, and the certificate chains they are under: JWS, kept as referrers of an image.

What it is: the one form that is written here, whether an envelope that is read is as good as that, and
certificates that name a key, checked as notation's own library checks them. What it is not: the signature
itself, a registry, or trust in any certificate, which is the reader's business.

Rules:

1. The payload is the image's descriptor, by type, digest and size, as `targetArtifact`.
2. The protected header has the algorithm of the chain's key, the type of the payload, the scheme
   `notary.x509`, which alone is critical, and the time in whole seconds.
3. What is signed is the text of both in base64url, with a dot between. ECDSA is r and s, one after the other;
   RSA is PSS with a salt as long as the hash. Both are what metadata is signed by, too.
4. The whole chain is in the unprotected header, and its thumbprints in an annotation of the manifest.
5. An envelope that is read is as good as ours if this very chain signed this very descriptor, in this form,
   and it does not end before the chain does. Its payload may say more of the image.
6. A chain is whole and in order: the leaf first, each certificate issued by the next, the last by itself. A
   single certificate is leaf and root.
7. The leaf is no authority. Its key usage is critical, and is to sign data and nothing else; its extended key
   usage has code signing, and none of the uses that the specification excludes.
8. What issues is an authority whose basic constraints and key usage are critical, let it issue certificates,
   and allow a chain of this length.
9. Each is signed with SHA-256, SHA-384 or SHA-512, has a serial number above zero, and is valid when the key
   signs.
10. The leaf's key decides how it signs, the hash included: ES256 with P-256, PS256 with RSA of 2048 bits.
   Larger keys take SHA-384 or SHA-512 there, and keys here sign with SHA-256 alone: those are refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from notarypy.errors import (
    Advice,
    MetadataError,
    NotarypyError,
    SignatureError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import envelope as metadata
from notarypy.tuf.fields import format_time
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notarypy.images.layout import Descriptor

ARTIFACT_TYPE = "application/vnd.cncf.notary.signature"
MEDIA_TYPE = "application/jose+json"
_PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
_PREFIX = "io.cncf.notary."
_SCHEME, _TIME = f"{_PREFIX}signingScheme", f"{_PREFIX}signingTime"
_OTHER_TIMES = (f"{_PREFIX}expiry", f"{_PREFIX}authenticSigningTime")
_X509 = "notary.x509"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def message(subject: Descriptor, algorithm: str, now: datetime) -> bytes:
    """Return what is signed for an image (rules 1 to 3)."""
    head = {"alg": algorithm, "crit": [_SCHEME], "cty": _PAYLOAD_TYPE, _SCHEME: _X509, _TIME: _moment(now)}
    payload = {"targetArtifact": subject.to_json()}
    return b".".join(_written(manifests.encode(part)) for part in (head, payload))


def envelope(signed: bytes, signature: bytes, chain: SigningChain, agent: str) -> bytes:
    """Return the envelope of a message and its signature, by a program (rule 4)."""
    head, payload = signed.decode().split(".")
    return manifests.encode(
        {
            "payload": payload,
            "protected": head,
            "header": {"x5c": _x5c(chain), f"{_PREFIX}signingAgent": agent},
            "signature": _written(signature).decode(),
        }
    )


def manifest(subject: Descriptor, content: bytes, chain: SigningChain, now: datetime) -> bytes:
    """Return the manifest that keeps an envelope as a referrer of an image (rule 4)."""
    thumbprints = [hashlib.sha256(one).hexdigest() for one in chain.certificates]
    annotations = {
        f"{_PREFIX}x509chain.thumbprint#S256": json.dumps(thumbprints, separators=(",", ":")),
        "org.opencontainers.image.created": _moment(now),
    }
    return referrerlist.referrer(subject, ARTIFACT_TYPE, layout.of(content, MEDIA_TYPE), annotations)


def layers(found: bytes, limits: Limits = DEFAULT) -> Sequence[Descriptor]:
    """Return the envelopes that a manifest keeps; MetadataError if it is no manifest."""
    return referrerlist.kept(found, MEDIA_TYPE, limits)


def verify(data: bytes, chain: SigningChain, subject: Descriptor, limits: Limits = DEFAULT) -> None:
    """Check that a chain signed an image (rule 5).

    Raises:
        MetadataError: It is no envelope of notation, is under another certificate, or about something else.
        SignatureError: The signature is not the key's.
    """
    document = manifests.decode(data, limits.cosign_bundle_bytes)
    unprotected = document.get("header")
    if not isinstance(unprotected, dict) or unprotected.get("x5c") != _x5c(chain):
        raise _not_ours("it is under another certificate")
    head, payload = _part(document, "protected", limits), _part(document, "payload", limits)
    if (
        head.get("alg") != chain.algorithm
        or head.get("cty") != _PAYLOAD_TYPE
        or head.get("crit") != [_SCHEME]
    ):
        raise _not_ours("its algorithm, the type of its payload, or what is critical in it is another")
    if head.get(_SCHEME) != _X509 or not _is_moment(head.get(_TIME)) or any(map(head.get, _OTHER_TIMES)):
        raise _not_ours("its scheme or its times are others")
    target = payload.get("targetArtifact")
    if not isinstance(target, dict) or {**target, **subject.to_json()} != target:
        raise _not_ours("it is about another image")
    signed = f"{document['protected']}.{document['payload']}".encode()
    method = metadata.METHOD_FOR[chain.public.keytype]
    if not metadata.verify(chain.public, method, _read(document.get("signature")), signed):
        raise SignatureError("the signature of an envelope is not the key's")


def _part(document: dict[str, Any], name: str, limits: Limits) -> dict[str, Any]:
    return manifests.decode(_read(document.get(name)), limits.cosign_bundle_bytes)


def _x5c(chain: SigningChain) -> list[str]:
    return [base64.b64encode(one).decode() for one in chain.certificates]


def _moment(when: datetime) -> str:
    return format_time(when.replace(microsecond=0))


def _is_moment(text: object) -> bool:
    return isinstance(text, str) and _MOMENT.fullmatch(text) is not None


def _written(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _read(text: object) -> bytes:
    """Decode base64url without padding, in its one form."""
    try:
        found = base64.urlsafe_b64decode(f"{text}==") if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if not found or _written(found).decode() != text:
        raise _not_ours("a part of it is not base64url")
    return found


def _not_ours(why: str) -> MetadataError:
    return MetadataError("this is no signature of notation by this certificate", why=why)


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
        """Read a chain, PEM (rules 6 to 10).

        Raises:
            UsageError: It is none, or notation would refuse it.
            UnsupportedKeyError: Its key cannot sign so here.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a serial number is not above zero is rule 9
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
        """Raise UsageError for a chain that is not valid at a moment (rule 9)."""
        if not self.begins <= now <= self.ends:
            raise _unusable(f"it is valid from {self.begins:%Y-%m-%d %H:%M}Z to {self.ends:%Y-%m-%d %H:%M}Z")


def _unusable(why: str) -> UsageError:
    advice = Advice("give-signing-certificate")
    return UsageError("notation would not take signatures under this certificate", why=why, advice=advice)


def _algorithm(leaf: x509.Certificate) -> str:
    """Return how the leaf's key signs (rule 10)."""
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
    """Check rule 7."""
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
    """Check rule 8; there are so many authorities below it."""
    basic, usage = _extension(certificate, x509.BasicConstraints), _extension(certificate, x509.KeyUsage)
    if basic is None or not basic.critical or not basic.value.ca:
        return "it issues certificates, and is no authority, or does not say so critically"
    if basic.value.path_length is not None and basic.value.path_length < below:
        return "it allows no chain of this length"
    if usage is None or not usage.critical or not usage.value.key_cert_sign:
        return "it issues certificates: its key usage has to be there, critical, and have keyCertSign"
    return ""


def _order_problem(found: Sequence[x509.Certificate]) -> str:
    """Check rule 6."""
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
