"""Asking for passphrases in the thread that used the client, whichever thread needs one.

What it is: a chain around another one. What it is not: where passphrases come from (`keys.passphrases`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client import workers
from notarypy.keys.passphrases import PassphraseChain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.errors import Advice
    from notarypy.keys.questions import PassphraseRequest


class AskedChain(PassphraseChain):
    """A chain whose sources are asked in the thread that used the client, one thing at a time."""

    def __init__(self, chain: PassphraseChain) -> None:
        """Ask this chain."""
        self._chain = chain

    def candidates(self, request: PassphraseRequest) -> Iterator[tuple[str, str]]:
        """See `PassphraseChain`."""
        found = self._chain.candidates(request)
        while (one := workers.ask(next, found, None)) is not None:
            yield one

    def chosen(self, request: PassphraseRequest) -> tuple[str, str]:
        """See `PassphraseChain`."""
        return workers.ask(self._chain.chosen, request)

    def tried(self, request: PassphraseRequest) -> list[str]:
        """See `PassphraseChain`."""
        return self._chain.tried(request)

    def absence(self, request: PassphraseRequest) -> str:
        """See `PassphraseChain`."""
        return self._chain.absence(request)

    def advice(self, request: PassphraseRequest) -> Advice:
        """See `PassphraseChain`."""
        return self._chain.advice(request)
