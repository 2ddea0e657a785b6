"""The certificates that carry root keys, and when one vouches for a GUN.

What it is: the x509 rules Notary adds to TUF's root role. What it is not: making
certificates (`keys.generate`) or chains to a certificate authority.

Rules:

1. A root key is an x509 key. Its bundle begins with the leaf: exactly one
   certificate that is no authority; every other one is an authority and in date.
2. The leaf's common name is the GUN, or ends with `*` and what stands before is a
   prefix of the GUN.
3. The leaf is not signed with SHA-1, has an RSA key of 2048 bits or more, or EC.
4. It is in date: valid from at most one day after now, and not expired. Only the
   newest root needs this; earlier links of a chain may be out of date.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from notarypy.errors import NotarypyError
from notarypy.tuf.keys import X509_TYPES, certificate_problem, certificates, certified_key

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from notarypy.tuf.keys import PublicKey

_FUTURE = timedelta(days=1)


def problem(key: PublicKey, gun: str, now: datetime | None) -> str:
    """Say why a key cannot be a root key of `gun`; empty when it can.

    Args:
        key: The key as root.json lists it.
        gun: The repository.
        now: The moment for rule 4; None leaves dates out (earlier links of a chain).
    """
    if key.keytype not in X509_TYPES:
        return "a root key has no certificate"
    from cryptography.x509 import DuplicateExtension, UnsupportedGeneralNameType

    try:
        leaf, *others = certificates(key)
        certified_key(leaf)
        return _bundle_problem(leaf, others, now) or _name_problem(leaf, gun) or _leaf_problem(leaf, now)
    except (
        NotarypyError,
        ValueError,
        TypeError,
        OverflowError,
        DuplicateExtension,
        UnsupportedGeneralNameType,
    ) as error:
        return f"a root certificate cannot be used: {error}"


def expiry(key: PublicKey) -> datetime:
    """Return when a root key's certificate ends."""
    return certificates(key)[0].not_valid_after_utc


def _bundle_problem(leaf: x509.Certificate, others: list[x509.Certificate], now: datetime | None) -> str:
    if _is_authority(leaf) or not all(_is_authority(other) for other in others):
        return "a root certificate bundle is not one leaf followed by its authorities"
    if now is not None and any(certificate_problem(other, now) for other in others):
        return "an authority in a root certificate bundle is out of date"
    return ""


def _name_problem(leaf: x509.Certificate, gun: str) -> str:
    from notarypy.tuf.commonname import common_names

    names = common_names(leaf)
    if len(names) == 1 and _fits(names[0], gun):
        return ""
    return f'a root certificate is for "{", ".join(names)}", not for "{gun}"'


def _leaf_problem(leaf: x509.Certificate, now: datetime | None) -> str:
    moment = now or leaf.not_valid_before_utc
    reason = certificate_problem(leaf, moment)
    if reason:
        return f"a root certificate cannot be used: {reason}"
    if leaf.not_valid_before_utc > moment + _FUTURE:
        return f"a root certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d}"
    return ""


def _fits(name: str, gun: str) -> bool:
    return name == gun or (name.endswith("*") and gun.startswith(name.rstrip("*")))


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
