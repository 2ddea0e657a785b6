"""What people are asked: which key a passphrase, or which token a PIN, is wanted for, and in which words.

What it is: values and texts. What it is not: asking, or other places of passphrases (`passphrases`).
"""

from __future__ import annotations

from notarypy.values import dataclass

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
    """

    tries = 3
    choices = 3
    empty_ends = True
    too_short = "That was too short. "
    different = "These were not the same. "

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
