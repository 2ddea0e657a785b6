"""The private keys at hand when something is to be signed, and whether they could sign now.

What it is: ids and doors. What it is not: which key is for what (`manager`), or where keys are (`keystore`).

Rule:

1. Of a key that is elsewhere is known, without asking anybody, that it is noted here. Whether it could sign
   now is asked only for keys that are about to, and before anything is changed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from notarypy.errors import BackendMissingError, KeyMissingError
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from notarypy.errors import KeyAccessError
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
