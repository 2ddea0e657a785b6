"""What is written where a passphrase is to be typed.

What it is: texts, and how often is asked. What it is not: the asking (`passphrase`), or a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.keys.passphrase import PassphraseRequest

MIN_LENGTH = 8


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
