"""The part of Client that is about the private keys of the trust directory.

What it is: the calls behind `key generate`, `load`, `list` and `export`. What it is
not: usable alone; `api.Client` is the class to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.session import Session
    from notarypy.keys.keystore import KeyInfo


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

    def find_key(self, selector: str) -> KeyInfo:
        """Return the key that a name or at least 7 digits of an id mean."""
        return self._session.keys().find(selector)
