"""What is known of a key without opening it, and the questions for its passphrase or PIN.

What it is: values and texts. What it is not: where keys are from (`keystore`), or asking (`passphrases`).
"""

from __future__ import annotations

from pathlib import Path

from notarypy.keys.keypaths import REFERENCE
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


MIN_LENGTH = 8
"""Characters that a new passphrase has at the least."""
SHORT_ID = 7


@dataclass(frozen=True)
class PassphraseRequest:
    """The key that a passphrase is wanted for.

    Attributes:
        keyid: The canonical id, or empty when a new key is not made yet.
        role: A base role, a signer's name or a delegation role; empty when the file does not say.
        gun: The repository, for a key that belongs to one.
        new: Whether the passphrase will be set on a new key.
        token: What people call the token whose PIN is wanted; empty for a passphrase.
        cosign: Whether it is the passphrase of a key file of cosign, which may be an empty one.
    """

    keyid: str
    role: str
    gun: str | None = None
    new: bool = False
    token: str = ""
    cosign: bool = False

    @property
    def name(self) -> str:
        """The short name people use: `jeff` for `targets/jeff`."""
        return self.role.removeprefix("targets/")

    @property
    def label(self) -> str:
        """How messages name the key, or the token."""
        if self.token:
            return f'token "{self.token}"'
        short = f" ({self.keyid[:SHORT_ID]})" if self.keyid else ""
        where = f" of {self.gun}" if self.gun else ""
        return f'key "{self.name or "without a role"}"{short}{where}'


class Wording:
    """The words of notarypy itself; a subclass has those of another program.

    Attributes:
        tries: How often is asked for the passphrase of a key.
        choices: How often for one that is to be chosen.
        empty_ends: Whether an empty answer is an answer, and ends it; the end of input always does.
        too_short: What precedes the question after a passphrase that was too short.
        different: The same after two that were not the same.
        remembers: Whether an answer is tried for other keys of its role before anybody is asked.
    """

    tries = 3
    choices = 3
    empty_ends = True
    too_short = "That was too short. "
    different = "These were not the same. "
    remembers = False

    def existing(self, request: PassphraseRequest, *, again: bool) -> str:
        """Return the question for the passphrase of a key."""
        wrong = "That was wrong. " if again else ""
        return f"{wrong}Passphrase for {request.label}: "

    def new(self, request: PassphraseRequest) -> str:
        """Return the question for a new passphrase."""
        return f"New passphrase for {request.label}, {MIN_LENGTH} characters or more: "

    def repeat(self, request: PassphraseRequest) -> str:  # noqa: ARG002 - others name the key
        """Return the question for the same again."""
        return "The same again: "
