"""The keys a Notary server holds: Ed25519, one timestamp and one snapshot key per repository.

What it is: making them from randomness that is handed in, and signing with them.
What it is not: safe; they are not encrypted, and tests may take them.

The files a Notary server signs itself: snapshot and timestamp.

What it is: the next version of each from the one before. What it is not: deciding
when one is due (`notary`).

Rules:

1. A snapshot keeps the entries of the one before, also those of delegations that
   nobody lists any longer, and gets new ones for the files at hand.
2. The version is one above the previous file's, whoever signed that.
3. A file is made only when keys held here meet the role's threshold.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from notarypy.devserver.stores import Stored
from notarypy.tuf import canonical, envelope, roles
from notarypy.tuf.keys import PublicKey, meets, public_key_of
from notarypy.tuf.metadata import MetaFile, Root, Snapshot, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from notarypy.tuf.canonical import JsonObject

SEED = 32


class ServerKeys:
    """Keys by TUF id; the newest of each repository and role is what the server offers."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Take randomness from `random(number_of_bytes)`."""
        self._random = random
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._offered: dict[tuple[str, str], PublicKey] = {}

    def offered(self, gun: str, role: str) -> PublicKey:
        """Return the key to name in a root; the same one until `create` makes another."""
        return self._offered.get((gun, role)) or self.create(gun, role)

    def create(self, gun: str, role: str) -> PublicKey:
        """Make a new key and offer it from now on; earlier ones stay usable."""
        self.keep(gun, role, self._random(SEED))
        return self._offered[gun, role]

    def keep(self, gun: str, role: str, seed: bytes) -> None:
        """Hold the key of a seed, and offer it from now on."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = public_key_of(private)
        self._keys[public.keyid] = private
        self._offered[gun, role] = public

    def holds(self, keys: Iterable[PublicKey]) -> list[PublicKey]:
        """Return those of the keys that can sign here."""
        return [key for key in keys if key.keyid in self._keys]

    def seal(self, signed: JsonObject, keys: Iterable[PublicKey]) -> bytes:
        """Return a file signed with every one of the keys that is held here."""
        message = canonical.encode(signed)
        return envelope.seal(
            signed,
            [
                envelope.Signature(key.keyid, "eddsa", self._keys[key.keyid].sign(message))
                for key in self.holds(keys)
            ],
        )


SNAPSHOT_LIFE = timedelta(days=3 * 365)
TIMESTAMP_LIFE = timedelta(days=14)


class Maker:
    """Makes the server's files for one repository under one root, at one moment."""

    def __init__(self, keys: ServerKeys, root: Root, now: datetime) -> None:
        """Sign with the keys that `root` names and `keys` holds."""
        self._keys = keys
        self._root = root
        self._now = now

    def can_sign(self, role: str) -> bool:
        """Tell whether the keys held here meet a role's threshold (rule 3)."""
        held = self._keys.holds(self._root.signers(role))
        return meets((key.canonical_id for key in held), self._root.roles[role].threshold)

    def seal(self, role: str, signed: JsonObject) -> bytes:
        """Sign anything as a role."""
        return self._keys.seal(signed, self._root.signers(role))

    def snapshot(self, previous: bytes | None, files: Mapping[str, bytes]) -> Stored:
        """Make the next snapshot, with entries for `files` by role (rules 1 and 2)."""
        old = Snapshot.from_signed(_signed(previous, roles.SNAPSHOT)) if previous else None
        meta = {**(old.meta if old else {}), **{role: MetaFile.of(data) for role, data in files.items()}}
        value = Snapshot(old.version + 1 if old else 1, self._now + SNAPSHOT_LIFE, meta)
        return Stored(value.version, self.seal(roles.SNAPSHOT, value.to_signed()))

    def timestamp(self, previous: bytes | None, snapshot: bytes) -> Stored:
        """Make the next timestamp, for this snapshot (rule 2)."""
        old = Timestamp.from_signed(_signed(previous, roles.TIMESTAMP)) if previous else None
        value = Timestamp(old.version + 1 if old else 1, self._now + TIMESTAMP_LIFE, MetaFile.of(snapshot))
        return Stored(value.version, self.seal(roles.TIMESTAMP, value.to_signed()))


def _signed(data: bytes, role: str) -> JsonObject:
    return envelope.Envelope.parse(data, role).signed
