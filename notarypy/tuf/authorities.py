"""Pinned certificate authorities: whether a root key's certificate chains to one of them.

What it is: the chain from a root certificate, through its own bundle, to an authority
that the user chose. What it is not: the rules that every root certificate must meet
(`certificates`), or TLS.

Rules:

1. The chain begins with the leaf, goes on with certificates of the same bundle, and
   ends at a pinned authority. A pinned certificate may be the leaf itself.
2. Every certificate of the chain is in date, the pinned one too. Those below the
   pinned one are not signed with SHA-1 and have keys that Notary could verify with.
3. An issuer is an authority that may sign certificates, and its path length holds.
4. Where a certificate limits what it is for, that has code signing, or what TLS servers
   need, or anything. Notary's own certificates say code signing alone; Go's pins by
   authority want TLS servers and refuse those.
5. A critical extension that is not understood here ends the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from notarypy.errors import MetadataError, NotarypyError
from notarypy.tuf.keys import X509_TYPES, certificate_problem, certificates, certified_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from notarypy.tuf.keys import PublicKey

MAX_DEPTH = 16

_Extension = TypeVar("_Extension", bound="x509.ExtensionType")


def load(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the certificates in a PEM file; raise MetadataError if there is none."""
    from cryptography import x509

    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, TypeError, x509.InvalidVersion):
        raise MetadataError("it holds no certificate that can be read", why="PEM is expected") from None


def problem(key: PublicKey, pinned: Sequence[x509.Certificate], now: datetime) -> str:
    """Say why a root key's certificate does not chain to a pinned one; empty when it does."""
    if key.keytype not in X509_TYPES:
        return "it has no certificate"
    from cryptography.x509 import DuplicateExtension, UnsupportedGeneralNameType

    try:
        leaf, *bundle = certificates(key)
        return _chain_problem(leaf, bundle, pinned, now)
    except (NotarypyError, ValueError, TypeError, DuplicateExtension, UnsupportedGeneralNameType) as error:
        return f"its certificates cannot be used: {error}"


def _chain_problem(
    leaf: x509.Certificate, bundle: list[x509.Certificate], pinned: Sequence[x509.Certificate], now: datetime
) -> str:
    """Search breadth first, so that each certificate is reached by its shortest path (rule 1)."""
    if leaf in pinned:
        return _date_problem(leaf, now)
    reason = _use_problem(leaf) or _date_problem(leaf, now) or certificate_problem(leaf, now)
    if reason:
        return reason
    reasons: list[str] = []
    level, unused = [leaf], list(bundle)
    for depth in range(MAX_DEPTH):
        if any(_issuers(child, pinned, depth, now, reasons) for child in level):
            return ""
        above = [issuer for child in level for issuer in _issuers(child, unused, depth, now, reasons)]
        level = [issuer for issuer in dict.fromkeys(above) if not _weakness(issuer, now, reasons)]
        unused = [certificate for certificate in unused if certificate not in above]
    return reasons[0] if reasons else f"no pinned authority issued it; its issuer is {_name(leaf.issuer)}"


def _issuers(
    child: x509.Certificate,
    candidates: Sequence[x509.Certificate],
    depth: int,
    now: datetime,
    reasons: list[str],
) -> list[x509.Certificate]:
    """Return those that issued `child` and may; note why others that issued it may not."""
    found = []
    for candidate in candidates:
        if candidate.subject != child.issuer or not _signed(child, candidate):
            continue
        reason = _authority_problem(candidate, depth) or _use_problem(candidate)
        reason = reason or _date_problem(candidate, now)
        if reason:
            reasons.append(reason)
        else:
            found.append(candidate)
    return found


def _signed(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _weakness(issuer: x509.Certificate, now: datetime, reasons: list[str]) -> bool:
    """Tell whether an authority of the bundle is too weak to vouch, and note why (rule 2)."""
    try:
        certified_key(issuer)
        reason = certificate_problem(issuer, now)
    except NotarypyError as error:
        reason = error.message
    if reason:
        reasons.append(f"{_name(issuer.subject)} cannot vouch for it: {reason}")
    return bool(reason)


def _date_problem(certificate: x509.Certificate, now: datetime) -> str:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if start <= now <= end:
        return ""
    return f"{_name(certificate.subject)} is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}"


def _authority_problem(issuer: x509.Certificate, depth: int) -> str:
    """Check rule 3; `depth` counts the authorities between the issuer and the leaf."""
    from cryptography import x509

    basic = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        return f"{_name(issuer.subject)} may not issue certificates"
    if basic.path_length is not None and depth > basic.path_length:
        return f"{_name(issuer.subject)} allows no chain of this length"
    return ""


def _use_problem(certificate: x509.Certificate) -> str:
    """Check rules 4 and 5."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID as Use

    known = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, known):
            return f"{_name(certificate.subject)} has a critical extension that is not understood"
    use = _extension(certificate, x509.ExtendedKeyUsage)
    wanted = {Use.CODE_SIGNING, Use.SERVER_AUTH, Use.ANY_EXTENDED_KEY_USAGE}
    if use is not None and wanted.isdisjoint(use):
        return f"{_name(certificate.subject)} is for other uses than signing"
    return ""


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(name: x509.Name) -> str:
    return f'"{name.rfc4514_string()}"'
