"""What is known of a key without opening it.

What it is: values. What it is not: where they are from (`keystore`).
"""

from __future__ import annotations

from pathlib import Path

from notarypy.keys.keypaths import REFERENCE
from notarypy.keys.questions import PassphraseRequest
from notarypy.values import dataclass


@dataclass(frozen=True)
class KeyInfo:
    """What is known of a key without its passphrase.

    Attributes:
        keyid: The canonical id, from the file's name.
        role: A base role, a signer's name or a delegation role; empty when the file does not say.
        gun: The repository, for a key that belongs to one.
        path: The file.
        encrypted: Whether it takes a passphrase.
        uri: Where the private half is, if it is not in the file.
    """

    keyid: str
    role: str
    gun: str | None
    path: Path
    encrypted: bool
    uri: str | None = None

    @property
    def refers(self) -> bool:
        """Whether the file only says where the key is, or did before it was damaged."""
        return self.path.suffix == REFERENCE

    @property
    def request(self) -> PassphraseRequest:
        """The question for this key's passphrase."""
        return PassphraseRequest(self.keyid, self.role, self.gun)


@dataclass(frozen=True)
class StoredKey(KeyInfo):
    """A key that was to be stored.

    Attributes:
        already: Whether it was here before: it was left as it is then, and has the passphrase that it had.
        passphrase_from: The name of what gave the passphrase that it has; None if it was here before, or has
            none.
        moved_from: The URI that a reference had before, if that was another one.
    """

    already: bool = False
    passphrase_from: str | None = None
    moved_from: str | None = None
