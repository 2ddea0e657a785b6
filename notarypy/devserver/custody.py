"""The keys a Notary server holds: Ed25519, one timestamp and one snapshot key per repository.

What it is: making them from randomness that is handed in, and signing with them.
What it is not: safe; they are not encrypted, and tests may take them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.tuf import canonical, envelope
from notarypy.tuf.keys import PublicKey, public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
