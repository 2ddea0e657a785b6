"""Questions for passphrases as `docker trust` asks them: scripts that type the answers wait for these words.

What it is: docker's texts and numbers of tries. What it is not: the asking (`keys.passphrase`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.keys.prompts import Wording

if TYPE_CHECKING:
    from notarypy.keys.passphrase import PassphraseRequest

_SHORT = 7
_NAMES = {"snapshot": "repository", "targets": "repository"}


class DockersWording(Wording):
    """See `Wording`."""

    tries = 4
    choices = 12
    empty_ends = False
    too_short = (
        "Passphrase is too short. "
        "Please use a password manager to generate and store a good random passphrase.\n"
    )
    different = "Passphrases do not match. Please retry.\n"

    def existing(self, request: PassphraseRequest, *, again: bool) -> str:
        """Return the question for the passphrase of a key."""
        wrong = "Passphrase incorrect. Please retry.\n" if again else ""
        return f"{wrong}Enter passphrase for {_key(request)}: "

    def new(self, request: PassphraseRequest) -> str:
        """Return the question for a new passphrase."""
        return f"Enter passphrase for new {_key(request)}: "

    def repeat(self, request: PassphraseRequest) -> str:
        """Return the question for the same again."""
        return f"Repeat passphrase for new {_key(request)}: "


def _key(request: PassphraseRequest) -> str:
    """Name a key; one in a file is known by nothing yet."""
    if not request.keyid:
        return "encrypted key"
    return f"{_NAMES.get(request.role, request.name)} key with ID {request.keyid[:_SHORT]}"
