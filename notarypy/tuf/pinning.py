"""Which first root to trust: small policies that answer for one root.

What it is: the decision when nothing links a root to an earlier one. What it is
not: the chain from a trusted root to a newer one (`trusted`).

Rules:

1. A pin is a root key's TUF id or canonical id, 64 hex digits in full.
2. The pinned keys alone, of those with a certificate for the GUN, must meet the
   root's own threshold.
3. Without pins the first root is taken on first use, once; from then on the
   trust directory holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from notarypy.errors import InvalidNameError
from notarypy.tuf import roles
from notarypy.tuf.envelope import valid_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from notarypy.tuf.envelope import Envelope
    from notarypy.tuf.metadata import Root

_PIN = re.compile(r"[0-9a-f]{64}", re.ASCII)


class RootPolicy(Protocol):
    """Decides whether a root may be an anchor of trust."""

    def accepts(self, root: Root, envelope: Envelope) -> bool:
        """Tell whether this root is acceptable; its root role lists only keys that are valid for the GUN."""
        ...


@dataclass(frozen=True)
class FirstUse:
    """Trust on first use (rule 3)."""

    def accepts(self, root: Root, envelope: Envelope) -> bool:  # noqa: ARG002 - the policy looks at nothing
        """Accept any root."""
        return True


@dataclass(frozen=True)
class PinnedKeys:
    """Only roots signed by pinned keys (rules 1 and 2)."""

    pins: frozenset[str]

    def accepts(self, root: Root, envelope: Envelope) -> bool:
        """Accept a root whose pinned keys meet its threshold."""
        assigned = root.roles[roles.ROOT]
        pinned = [keyid for keyid in assigned.keyids if self.pins & root_ids(root, keyid)]
        return len(valid_keys(envelope, root.keys, pinned)) >= assigned.threshold


def policy(pins: Iterable[str]) -> RootPolicy:
    """Return the policy for these PINs; none at all means trust on first use.

    Raises:
        InvalidNameError: Something is no full key id.
    """
    checked = frozenset(check_pin(pin) for pin in pins)
    return PinnedKeys(checked) if checked else FirstUse()


def check_pin(pin: str) -> str:
    """Return a PIN in lower case; raise InvalidNameError for anything but 64 hex digits."""
    if _PIN.fullmatch(pin.lower()) is None:
        raise InvalidNameError(
            f'"{pin}" is not a root PIN',
            why="a PIN is a root key id in full, 64 hex digits: short ones can be forged",
        )
    return pin.lower()


def root_ids(root: Root, keyid: str) -> frozenset[str]:
    """Return both ids of a root key: the TUF id and the canonical id."""
    return frozenset({keyid, root.keys[keyid].canonical_id})
