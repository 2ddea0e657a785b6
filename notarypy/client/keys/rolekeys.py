"""The keys that a base role is to have: those here, and those that others hold and sign with.

What it is: words of a person in, public keys for a root out. What it is not: one key that is here
(`manager`), or the certificate that was given for it (`keys.signers.rootcertificate`).

Rules:

1. A KEYREF is that of a private key here, as ever. A file without a private key is somebody else's: for root
   a certificate of theirs for the repository, for other roles a public key or any certificate of it.
2. So are at least 7 digits of the id of a key that the role has. It stays as it is, certificate included,
   whether or not its private key is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.keys.selectors import begins, is_path
from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notarypy.client.keys.manager import KeyManager
    from notarypy.tuf.keys import PublicKey


def listed(selector: str, present: Sequence[PublicKey]) -> PublicKey | None:
    """Return the key of a role that digits of an id mean, if they mean one of them."""
    found = [key for key in present if begins(key.canonical_id, selector) or begins(key.keyid, selector)]
    if len({key.canonical_id for key in found}) > 1:
        ids = ", ".join(key.canonical_id for key in found)
        raise UsageError(f'"{selector}" fits several keys', why=ids, advice=Advice("write-more-digits"))
    return found[0] if found else None


@dataclass(frozen=True)
class KeysForRole:
    """What words mean for a base role of a repository that has keys at `present` (rules 1 and 2)."""

    manager: KeyManager
    gun: str
    role: str
    present: Sequence[PublicKey]
    now: datetime

    def named(self, selector: str) -> PublicKey:
        """Return the key that a word means."""
        found = listed(selector, self.present)
        if found is not None:
            return found
        if is_path(selector) and b"PRIVATE KEY" not in (data := self.manager.named_file(selector)):
            return public_key(data, self.role, self.gun, self.now)
        if self.role == roles.ROOT:
            return self.manager.root_key(self.gun, selector, None, self.now)
        return self.manager.role_key(self.role, self.gun, selector)


def first_root_keys(
    manager: KeyManager, gun: str, keys: Sequence[str], certificates: Sequence[bytes], now: datetime
) -> list[PublicKey]:
    """Return the several keys of a first root: those here that are named, and those that others certified.

    A certificate may be that of a key here too.
    """
    theirs = [public_key(one, roles.ROOT, gun, now) for one in certificates]
    own = [manager.root_key(gun, selector, None, now) for selector in keys]
    return list({key.canonical_id: key for key in (*own, *theirs)}.values())


def public_key(data: bytes, role: str, gun: str, now: datetime) -> PublicKey:
    """Return the key of somebody else's that a file holds (rule 1)."""
    if role == roles.ROOT:
        from notarypy.keys.signers.rootcertificate import certificate_key

        return certificate_key(data, gun, now)
    from notarypy.tuf.signerkeys import load_public_pem

    return load_public_pem(data, now).bare
