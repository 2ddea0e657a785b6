"""A certificate that was given for a root key, by whoever holds that key or by an authority.

What it is: the check that it is for this repository, and for this key if one is meant, and what of its file
is published. What it is not: making one (`keys.signers.rootcertificate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.tuf import certificates, envelope
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.keys import certificates as certificates_of

if TYPE_CHECKING:
    from datetime import datetime

_UNUSABLE = "the root certificate cannot be used"


def certified(key: PublicKey, certificate: bytes, gun: str, now: datetime) -> PublicKey:
    """Return a root key in the certificate that was given for it; raise UsageError for another one."""
    wrapped = PublicKey(f"{key.keytype}-x509", _certificates_only(certificate))
    if wrapped.canonical_id != key.keyid:
        raise UsageError("the root certificate is for another key", why=f"the key is {key.keyid}")
    return _required(wrapped, gun, now)


def certificate_key(certificate: bytes, gun: str, now: datetime) -> PublicKey:
    """Return the root key that a certificate is for; raise UsageError for one that cannot be a root key."""
    from cryptography.exceptions import UnsupportedAlgorithm

    data = _certificates_only(certificate)
    try:
        leaf = PublicKey("ecdsa-x509", data)
        kind = public_key_of(certificates_of(leaf)[0]).keytype
    except (NotarypyError, UnsupportedAlgorithm, ValueError):
        raise UsageError(_UNUSABLE, advice=Advice("make-root-certificate")) from None
    return _required(PublicKey(f"{kind}-x509", data), gun, now)


def _required(wrapped: PublicKey, gun: str, now: datetime) -> PublicKey:
    reason = certificates.problem(wrapped, gun, now) or envelope.key_problem(wrapped)
    if reason:
        advice = Advice("give-root-certificate", gun=gun)
        raise UsageError(_UNUSABLE, why=reason, advice=advice)
    return wrapped


def _certificates_only(pem_data: bytes) -> bytes:
    """Return the certificates of a PEM file written anew: it is published, and must hold nothing else."""
    from cryptography import x509  # only who gives a certificate needs it
    from cryptography.hazmat.primitives.serialization import Encoding

    from notarypy.tuf import certificateparts, serials

    if b"PRIVATE KEY" in pem_data:
        advice = Advice("give-certificate-alone")
        raise UsageError("the root certificate's file holds a private key", advice=advice)
    try:
        found = serials.load_pem(pem_data)
    except (ValueError, TypeError, x509.InvalidVersion):
        raise UsageError("the root certificate cannot be read", advice=Advice("give-certificate")) from None
    foreign = [problem for problem in map(certificateparts.foreign_problem, found) if problem]
    if foreign:
        why, advice = f"docker and Go notary cannot read it: {foreign[0]}", Advice("leave-out-certificate")
        raise UsageError(_UNUSABLE, why=why, advice=advice)
    if not found:
        raise UsageError("this is no root certificate", advice=Advice("make-root-certificate"))
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found)
