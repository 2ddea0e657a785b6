"""A certificate that was given for a root key.

What it is: the check that it is for this key and repository, and what of its file is published. What it is
not: making one (`keys.signers.rootcertificate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import Advice, UsageError
from notarypy.tuf import certificates
from notarypy.tuf.keys import PublicKey

if TYPE_CHECKING:
    from datetime import datetime


def certified(key: PublicKey, certificate: bytes, gun: str, now: datetime) -> PublicKey:
    """Return a root key in the certificate that was given for it; raise UsageError for another one."""
    wrapped = PublicKey(f"{key.keytype}-x509", _certificates_only(certificate))
    if wrapped.canonical_id != key.keyid:
        raise UsageError("the root certificate is for another key", why=f"the key is {key.keyid}")
    reason = certificates.problem(wrapped, gun, now)
    if reason:
        advice = Advice("give-root-certificate", gun=gun)
        raise UsageError("the root certificate cannot be used", why=reason, advice=advice)
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
        raise UsageError("the root certificate cannot be used", why=why, advice=advice)
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found)
