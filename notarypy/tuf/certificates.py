"""Certificates that stand for keys: when they vouch for a repository.

What it is: the x509 rules Notary adds to TUF's root role. What it is not: reading certificates (`usual`,
`certificateparts`), making them (`keys.signers.keyfile`), those that signers bring (`signerkeys`), or chains
to a certificate authority (`authorities`).

Rules:

1. A root key is an x509 key. Its bundle begins with the leaf: exactly one certificate that is no authority;
   every other one is an authority and in date.
2. The leaf's common name is the GUN, or ends with `*` and what stands before is a prefix of the GUN.
3. The leaf is not signed with SHA-1, has an RSA key of 2048 bits or more, or EC.
4. It is in date: valid from at most one day after now, and not expired. Only the newest root needs this;
   earlier links of a chain may be out of date.
5. A certificate that is `usual` is judged by what its bytes say; every other one is read by `cryptography`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm

from notarypy.errors import Advice, ExpiredError, NotarypyError, VerificationError
from notarypy.tuf import roles, usual
from notarypy.tuf.envelope import Envelope, VerificationBudget, require_threshold, valid_keys
from notarypy.tuf.keys import X509_TYPES, PublicKey, certificates, meets, public_key_of
from notarypy.tuf.usual import UsualCertificate

if TYPE_CHECKING:
    from cryptography import x509

    from notarypy.tuf.metadata import Root

    Leaf = UsualCertificate | x509.Certificate

FUTURE = timedelta(days=1)


def usable(root: Root, gun: str, now: datetime | None) -> list[str]:
    """Return the ids of those root keys that can vouch for `gun` at a moment, or at any (None)."""
    keyids = root.roles[roles.ROOT].keyids
    return [keyid for keyid in keyids if not problem(root.keys[keyid], gun, now)]


def _problems(root: Root, gun: str, now: datetime | None) -> tuple[str, ...]:
    return tuple(sorted({problem(key, gun, now) for key in root.signers(roles.ROOT)} - {""}))


def signed(
    root: Root,
    file: Envelope,
    gun: str,
    now: datetime | None = None,
    budget: VerificationBudget | None = None,
) -> bool:
    """Tell whether enough keys of a root that can vouch for `gun` at a moment, or at any, signed a file."""
    found = valid_keys(file, root.keys, usable(root, gun, now), budget)
    return meets(found, root.roles[roles.ROOT].threshold)


def require_own_threshold(root: Root, file: Envelope, gun: str, budget: VerificationBudget) -> list[str]:
    """Return the ids of the keys that can vouch for `gun`, whatever their dates; they must have signed."""
    keyids = usable(root, gun, None)
    if not keyids:
        why = _problems(root, gun, None)
        raise VerificationError(f"the root of {gun} has no usable certificate", why=why, role=roles.ROOT)
    require_threshold(file, root.keys, keyids, root.roles[roles.ROOT].threshold, roles.ROOT, budget=budget)
    return keyids


def require_in_date(root: Root, file: Envelope, gun: str, now: datetime) -> None:
    """Raise ExpiredError unless enough keys signed whose certificates are in date (rule 4).

    One that is still to begin is for the clock that says so: no other certificate would begin earlier.
    """
    if not signed(root, file, gun, now):
        early = [keyid for keyid in usable(root, gun, None) if begin(root.keys[keyid]) > now + FUTURE]
        raise ExpiredError(
            f"the root certificate of {gun} is out of date",
            why=(
                *_problems(root, gun, now),
                *([f"this machine's clock says {now:%Y-%m-%d}"] if early else []),
            ),
            advice=Advice("set-clock") if early else Advice("renew-root-certificate", gun=gun),
            role=roles.ROOT,
            early=bool(early),
        )


def problem(key: PublicKey, gun: str, now: datetime | None) -> str:
    """Say why a key cannot be a root key of `gun`; empty when it can. No moment leaves dates out (rule 4)."""
    if key.keytype not in X509_TYPES:
        return "a root key has no certificate"
    try:
        leaf, others = _bundle(key)
        return _bundle_problem(leaf, others, now) or _name_problem(leaf, gun) or _leaf_problem(leaf, now)
    except (NotarypyError, ValueError, TypeError, OverflowError) as error:
        return f"a root certificate cannot be used: {error}"


def expiry(key: PublicKey) -> datetime:
    """Return when a root key's certificate ends."""
    return (usual.certificate(key.public) or certificates(key)[0]).not_valid_after_utc


def begin(key: PublicKey) -> datetime:
    """Return from when on a root key's certificate is valid."""
    return (usual.certificate(key.public) or certificates(key)[0]).not_valid_before_utc


def certificate_problem(certificate: Leaf, now: datetime) -> str:
    """Say why a certificate cannot be trusted as a key's wrapping; empty when it can."""
    if certificate.not_valid_after_utc < now:
        return f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if isinstance(certificate, UsualCertificate):  # signed with SHA-256
        return ""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "it is signed with an unknown algorithm"
    if algorithm is not None and algorithm.name in {"sha1", "md5"}:
        return f"it is signed with {algorithm.name.upper()}"
    return ""


def _bundle(key: PublicKey) -> tuple[Leaf, list[x509.Certificate]]:
    """Return a key's leaf and its authorities (rule 5), or raise what is wrong with them."""
    found = usual.certificate(key.public)
    if found is not None:
        return found, []
    leaf, *others = certificates(key)
    public_key_of(leaf)
    return leaf, others


def _bundle_problem(leaf: Leaf, others: list[x509.Certificate], now: datetime | None) -> str:
    """Check rule 1."""
    if _is_authority(leaf) or not all(_is_authority(other) for other in others):
        return "a root certificate bundle is not one leaf followed by its authorities"
    if now is not None and any(certificate_problem(other, now) for other in others):
        return "an authority in a root certificate bundle is out of date"
    return ""


def _is_authority(certificate: Leaf) -> bool:
    if isinstance(certificate, UsualCertificate):
        return False
    from notarypy.tuf import certificateparts  # rule 5: it takes a sixth of a small command's time to load

    return certificateparts.is_authority(certificate)


def _names(certificate: Leaf) -> list[str]:
    if isinstance(certificate, UsualCertificate):
        return [certificate.name]
    from notarypy.tuf import certificateparts

    return certificateparts.common_names(certificate)


def _name_problem(leaf: Leaf, gun: str) -> str:
    """Check rule 2."""
    names = _names(leaf)
    if len(names) == 1:
        (name,) = names
        if name == gun or (name.endswith("*") and gun.startswith(name.rstrip("*"))):
            return ""
    return f'a root certificate is for "{", ".join(names)}", not for "{gun}"'


def _leaf_problem(leaf: Leaf, now: datetime | None) -> str:
    """Check rules 3 and 4."""
    moment = now or leaf.not_valid_before_utc
    reason = certificate_problem(leaf, moment)
    if reason:
        return f"a root certificate cannot be used: {reason}"
    if leaf.not_valid_before_utc > moment + FUTURE:
        return f"a root certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d}"
    return ""
