"""The private keys that are available for signing, whether they could sign now, and who asks for passphrases.

What it is: ids, and how to unlock one. What it is not: which key is for what (`manager`), where keys are
(`keystore`), or where passphrases come from (`keys.passphrases`).

Rules:

1. Of a key that is elsewhere is known, without asking anybody, that it is noted here. Whether it could sign
   now is asked only for keys that are about to, and before anything is changed.
2. Passphrases are asked for in the thread that used the client, whichever thread needs one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from notarypy.client import workers
from notarypy.errors import BackendMissingError, KeyMissingError
from notarypy.keys.passphrases import PassphraseChain
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from notarypy.errors import Advice, KeyAccessError
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.signers.base import Signer

_LOG = logging.getLogger(__name__)


def prepare(signer: Signer) -> None:
    """Make sure that a signer could sign now, where its place can tell (rule 1)."""
    ask: Callable[[], None] | None = getattr(signer, "prepare", None)
    if ask is not None:
        ask()


@dataclass(frozen=True)
class SigningKeys:
    """The private keys at hand: their canonical ids, how to unlock one, and which of them are elsewhere."""

    available: Collection[str]
    unlock: Callable[[str], Signer]
    elsewhere: Callable[[str], bool]

    def prepare(self, keyids: Iterable[str]) -> None:
        """Unlock keys, and make sure that they could sign now (rule 1)."""
        for keyid in keyids:
            prepare(self.unlock(keyid))

    def in_reach(self, keyids: Iterable[str]) -> tuple[Self, dict[str, KeyAccessError]]:
        """Return the keys at hand less those of `keyids` that are out of reach now, and why they are."""
        absent: dict[str, KeyAccessError] = {}
        for keyid in filter(self.elsewhere, keyids):
            try:
                self.prepare([keyid])
            except (KeyMissingError, BackendMissingError) as error:
                _LOG.debug("key %s cannot sign now: %s", keyid, error.message)
                absent[keyid] = error
        return replace(self, available=frozenset(self.available) - absent.keys()), absent


class AskedChain(PassphraseChain):
    """A chain whose sources are asked in the thread that used the client, one at a time (rule 2)."""

    def __init__(self, chain: PassphraseChain) -> None:
        """Ask this chain."""
        self._chain, self.remembers = chain, chain.remembers

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
