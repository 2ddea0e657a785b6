"""Certificate authorities as trust anchors: whether a root key's certificate chains to one of them.

What it is: the chain from a root certificate, through its own bundle, to an authority that the user chose.
What it is not: the rules that every root certificate must meet (`certificates`), or TLS.

Rules:

1. The chain begins with the leaf, goes on with certificates of the same bundle, and ends at an anchor. An
   anchor may be the leaf itself.
2. Every certificate of the chain is in date, the anchor too. Those below the anchor are not signed with
   SHA-1 and have keys that Notary could verify with.
3. An issuer is an authority that may sign certificates, and its path length holds.
4. Where a certificate limits what it is for, that has code signing, or what TLS servers need, or anything.
   Notary's own certificates say code signing alone; Go's pins by authority want TLS servers and refuse
   those.
5. A critical extension that is not understood here ends the chain.
6. At most 32 signatures are checked for one key. Names are compared before, and keys that Notary could not
   verify with are left out before: some are slow on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from notarypy.errors import MetadataError, NotarypyError
from notarypy.limits import DEFAULT
from notarypy.tuf import certificateparts
from notarypy.tuf.certificateparts import STRANGE_EXTENSION, common_names, extension, issuer_names
from notarypy.tuf.certificates import certificate_problem
from notarypy.tuf.keys import X509_TYPES, PublicKey, certificates, public_key_of
from notarypy.values import dataclass, field


def load(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the certificates in a PEM file; raise MetadataError if there is none."""
    try:
        return tuple(certificateparts.load_pem(pem))
    except (ValueError, TypeError, x509.InvalidVersion):
        raise MetadataError("it holds no certificate that can be read", why="PEM is expected") from None


@lru_cache(maxsize=256)
def problem(key: PublicKey, anchors: tuple[x509.Certificate, ...], now: datetime) -> str:
    """Say why a root key's certificate does not chain to an anchor; empty when it does.

    What was found is remembered: a refusal says why, and the chain is followed once.
    """
    if key.keytype not in X509_TYPES:
        return "it has no certificate"
    try:
        leaf, *bundle = certificates(key)
        return _chain_problem(leaf, bundle, anchors, now)
    except (NotarypyError, ValueError, TypeError, *STRANGE_EXTENSION) as error:
        return f"its certificates cannot be used: {error}"


def _chain_problem(
    leaf: x509.Certificate, bundle: list[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
) -> str:
    """Search breadth first, so that each certificate is reached by its shortest path (rule 1)."""
    if leaf in anchors:
        return _date_problem(leaf, now)
    reason = _use_problem(leaf) or _date_problem(leaf, now) or certificate_problem(leaf, now)
    if reason:
        return reason
    search = _Search(now)
    unused = [certificate for certificate in bundle if search.usable(certificate)]
    level = [leaf]
    for depth in range(DEFAULT.authority_levels):
        if any(search.issuers(child, anchors, depth) for child in level):
            return ""
        above = [issuer for child in level for issuer in search.issuers(child, unused, depth)]
        level = [issuer for issuer in dict.fromkeys(above) if not search.weak(issuer)]
        unused = [certificate for certificate in unused if certificate not in above]
    return search.reason() or f"no pinned authority issued it; its issuer is {_name(leaf, issuer=True)}"


@dataclass
class _Search:
    """One search for a chain.

    Attributes:
        now: The moment.
        left: How many signatures may still be checked (rule 6).
        reasons: Why issuers that were found do not count.
        doubts: Why others were not even considered.
    """

    now: datetime
    left: int = DEFAULT.authority_checks
    reasons: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def reason(self) -> str:
        """Return the best reason that was found; empty when there is none."""
        checks = DEFAULT.authority_checks
        tired = [] if self.left else [f"more than {checks} of its signatures would have to be checked"]
        return next(iter((*self.reasons, *tired, *self.doubts)), "")

    def issuers(
        self, child: x509.Certificate, candidates: Sequence[x509.Certificate], depth: int
    ) -> list[x509.Certificate]:
        """Return those that issued `child` and may; note why others that issued it may not."""
        found = []
        for candidate in candidates:
            if not self._issued(child, candidate):
                continue
            reason = _authority_problem(candidate, depth) or _use_problem(candidate)
            reason = reason or _date_problem(candidate, self.now)
            if reason:
                self.reasons.append(reason)
            else:
                found.append(candidate)
        return found

    def usable(self, issuer: x509.Certificate) -> bool:
        """Tell whether Notary could verify with the key of an authority of the bundle (rule 2)."""
        try:
            public_key_of(issuer)
        except NotarypyError as error:
            self.doubts.append(f"{_name(issuer)} cannot vouch for it: {error.message}")
            return False
        return True

    def weak(self, issuer: x509.Certificate) -> bool:
        """Tell whether an authority of the bundle is signed too weakly to vouch, and note why (rule 2)."""
        reason = certificate_problem(issuer, self.now)
        if reason:
            self.reasons.append(f"{_name(issuer)} cannot vouch for it: {reason}")
        return bool(reason)

    def _issued(self, child: x509.Certificate, issuer: x509.Certificate) -> bool:
        if not self.left:
            return False
        self.left -= 1
        try:
            certificateparts.require_issued(child, issuer)
        except InvalidSignature:
            return False
        except (ValueError, TypeError, UnsupportedAlgorithm):
            self.left += 1  # another name, or a key of another kind: no signature was checked
            return False
        return True


def _date_problem(certificate: x509.Certificate, now: datetime) -> str:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if start <= now <= end:
        return ""
    return f"{_name(certificate)} is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}"


def _authority_problem(issuer: x509.Certificate, depth: int) -> str:
    """Check rule 3; `depth` counts the authorities between the issuer and the leaf."""
    basic = extension(issuer, x509.BasicConstraints)
    usage = extension(issuer, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        return f"{_name(issuer)} may not issue certificates"
    if basic.path_length is not None and depth > basic.path_length:
        return f"{_name(issuer)} allows no chain of this length"
    return ""


def _use_problem(certificate: x509.Certificate) -> str:
    """Check rules 4 and 5."""
    known = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    if any(one.critical and not isinstance(one.value, known) for one in certificate.extensions):
        return f"{_name(certificate)} has a critical extension that is not understood"
    use = extension(certificate, x509.ExtendedKeyUsage)
    wanted = {Use.CODE_SIGNING, Use.SERVER_AUTH, Use.ANY_EXTENDED_KEY_USAGE}
    if use is not None and wanted.isdisjoint(use):
        return f"{_name(certificate)} is for other uses than signing"
    return ""


def _name(certificate: x509.Certificate, *, issuer: bool = False) -> str:
    found = issuer_names(certificate) if issuer else common_names(certificate)
    return f'"{",".join(f"CN={name}" for name in found)}"'
