"""The part of Client that is about the private keys of the trust directory.

What it is: the calls behind `key generate`, `load`, `list`, `export`, `import`, `passwd`
and `remove`. What it is not: usable alone; `api.Client` is the class to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.keyresults import ImportedKey
    from notarypy.client.session import Session
    from notarypy.keys.keystore import KeyInfo
    from notarypy.keys.passphrase import PassphraseRequest


class Keyring:
    """What a Client can do with keys."""

    _session: Session

    def keys(self) -> list[KeyInfo]:
        """Return the private keys of the trust directory."""
        store = self._session.keys().store
        found = store.list()
        for warning in store.warnings:
            self._session.warn(warning)
        return found

    def generate_key(
        self, name: str, *, algorithm: Literal["ecdsa", "rsa"] = "ecdsa"
    ) -> tuple[KeyInfo, bytes]:
        """Make a signer's key; returns it and its public half as PEM."""
        return self._session.keys().generate(name, algorithm)

    def load_key(self, data: bytes, *, name: str | None = None) -> list[KeyInfo]:
        """Store every private key in PEM data, as `name`, as its header says, or as `signer`."""
        return self._session.keys().load(data, name)

    def export_keys(self, keys: Sequence[str]) -> bytes:
        """Return keys as PEM, encrypted as they are here, in the form `notary key import` reads."""
        return self._session.keys().export(keys)

    def import_keys(self, data: bytes) -> list[ImportedKey]:
        """Store exported keys as they are, all or none; no passphrase is asked.

        Raises:
            UnsupportedKeyError: One of them cannot be stored as it is.
        """
        from notarypy.client.keyfiles import import_keys

        return import_keys(self._session.keys(), data)

    def change_passphrase(self, key: str, new: str | Callable[[PassphraseRequest], str]) -> KeyInfo:
        """Encrypt a key anew, after unlocking it with the passphrase it has.

        Args:
            key: KEY.
            new: The new passphrase, or what returns it; asked when the key is unlocked.

        Raises:
            ConfigurationError: It has this passphrase already, or the new one is too short.
        """
        from notarypy.client.keyfiles import change_passphrase

        return change_passphrase(self._session.keys(), key, new if callable(new) else lambda _: new)

    def remove_key(self, key: str, *, force: bool = False) -> KeyInfo:
        """Delete a key's file; returns what it was.

        Raises:
            KeyAccessError: It is the last copy of a root key that a repository cached here needs;
                `force` deletes it all the same.
        """
        from notarypy.client.keyfiles import remove_key

        return remove_key(self._session.keys(), self._session.directory(), key, force=force)

    def public_key(self, selector: str) -> bytes:
        """Return the public half, as PEM, of the key that a name or an id means; unlocks it.

        Raises:
            KeyAccessError: There is none, or it cannot be unlocked.
        """
        return self._session.keys().public(selector)

    def check_public_key(self, data: bytes) -> None:
        """Raise UnsupportedKeyError unless PEM data holds a public key or certificate for a signer."""
        self._session.public_keys([data])

    def find_key(self, selector: str) -> KeyInfo:
        """Return the key that a name or at least 7 digits of an id mean."""
        return self._session.keys().find(selector)
