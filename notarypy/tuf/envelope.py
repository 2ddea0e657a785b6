"""Signed metadata files: taking them apart, checking signatures, putting them together.

What it is: the outer layer that all four kinds of metadata share. What it is not:
their content (`metadata`) or the order in which they are trusted (`trusted`).

Rules:

1. Signatures cover the canonical form of `signed`, hashes the received bytes. Both are kept.
2. A threshold counts distinct keys, not signatures and not key objects: one key
   listed bare and inside a certificate counts once. Go counts it twice.
3. Unknown key ids and invalid signatures count for nothing and do no harm. Of one key
   id at most 8 different signatures are checked, and none after a valid one.
4. A threshold below 1 or above the number of distinct keys is never met.
5. At most 64 signatures are looked at in one file, and each of them is checked once.
   Over several files `VerificationBudget` bounds the checks: some keys are slow on purpose.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from notarypy.errors import MetadataError, SignatureError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, signatures
from notarypy.tuf.fields import part_of
from notarypy.tuf.keys import decode_base64, meets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from notarypy.tuf.canonical import JsonObject
    from notarypy.tuf.keys import PublicKey

_SHORT = 7


@dataclass(frozen=True)
class Signature:
    """One signature: the TUF id of its key, the method, and the raw signature bytes."""

    keyid: str
    method: str
    sig: bytes

    def to_json(self) -> JsonObject:
        """Return the signature as a file stores it."""
        return {"keyid": self.keyid, "method": self.method, "sig": base64.b64encode(self.sig).decode()}


@dataclass(frozen=True)
class Envelope:
    """A metadata file that is well formed, and not verified yet.

    Attributes:
        raw: The bytes as received.
        signed: The decoded `signed` part.
        signatures: In file order.
        limits: What it was read with.
    """

    raw: bytes
    signed: JsonObject
    signatures: tuple[Signature, ...]
    limits: Limits = field(default=DEFAULT, repr=False, compare=False)
    _checked: dict[tuple[PublicKey, Signature], bool] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def canonical(self) -> bytes:
        """The bytes that the signatures cover."""
        return canonical.encode(self.signed)

    @classmethod
    def parse(cls, data: bytes, role: str, limits: Limits = DEFAULT) -> Envelope:
        """Take a file apart; raise MetadataError if it is not a signed file."""
        with part_of(role):
            outer = canonical.decode(data, role, limits)
        signed, listed = outer.get("signed"), outer.get("signatures")
        if not isinstance(signed, dict):
            raise MetadataError(f"{role} has no signed part", role=role)
        if not isinstance(listed, list) or not listed:
            raise MetadataError(f"{role} carries no signatures", role=role)
        if len(listed) > limits.signatures:
            raise MetadataError(f"{role} carries more than {limits.signatures} signatures", role=role)
        return cls(data, signed, tuple(_signature(entry, role) for entry in listed), limits)

    def signed_by(self, key: PublicKey, entry: Signature, budget: VerificationBudget | None) -> bool:
        """Tell whether one of the signatures is this key's (rule 5)."""
        if (key, entry) not in self._checked:
            if budget is not None:
                budget.take()
            self._checked[key, entry] = signatures.verify(key, entry.method, entry.sig, self.canonical)
        return self._checked[key, entry]


class VerificationBudget:
    """How many signatures of several files may still be checked (rule 5)."""

    def __init__(self, left: int, what: str) -> None:
        """Allow this many, for files that errors call by this name."""
        self.left = self._all = left
        self._what = what

    def take(self, count: int = 1) -> None:
        """Count some; raise SignatureError, now and from now on, when not so many are left."""
        self.left = max(self.left - count, -1)
        if self.left < 0:
            raise SignatureError(
                f"{self._what} carry too many signatures", why=f"no more than {self._all} are checked"
            )


def seal(signed: JsonObject, signatures_: Sequence[Signature]) -> bytes:
    """Return the file to upload: storage form, byte for byte what Go would write."""
    return canonical.storage_form(canonical.encode(signed), [entry.to_json() for entry in signatures_])


def signers(
    envelope: Envelope,
    keys: Mapping[str, PublicKey],
    keyids: Iterable[str],
    budget: VerificationBudget | None = None,
) -> Iterator[str]:
    """Yield the TUF ids of those listed keys that validly signed, each once (rule 3)."""
    allowed, done, tried = frozenset(keyids), set[str](), Counter[str]()
    tries = envelope.limits.tries_of_key
    for entry in dict.fromkeys(envelope.signatures):
        keyid = entry.keyid
        if keyid not in keys or keyid not in allowed or keyid in done or tried[keyid] >= tries:
            continue
        tried[keyid] += 1
        if envelope.signed_by(keys[keyid], entry, budget):
            done.add(keyid)
            yield keyid


def valid_keys(
    envelope: Envelope,
    keys: Mapping[str, PublicKey],
    keyids: Iterable[str],
    budget: VerificationBudget | None = None,
) -> frozenset[str]:
    """Return the canonical ids of the listed keys that validly signed (rules 2 and 3)."""
    return frozenset(keys[keyid].canonical_id for keyid in signers(envelope, keys, keyids, budget))


def require_threshold(
    envelope: Envelope,
    keys: Mapping[str, PublicKey],
    keyids: Sequence[str],
    threshold: int,
    role: str,
    *,
    budget: VerificationBudget | None = None,
) -> None:
    """Raise SignatureError unless `threshold` distinct keys of `keyids` signed (rules 2 to 4)."""
    found = valid_keys(envelope, keys, keyids, budget)
    if meets(found, threshold):
        return
    accepted = (
        ", ".join((keys[keyid].canonical_id if keyid in keys else keyid)[:_SHORT] for keyid in keyids)
        or "none"
    )
    raise SignatureError(
        f"{role} is not signed by enough of its keys",
        why=f"{len(found)} valid of {threshold} needed; accepted keys: {accepted}",
        role=role,
        threshold=threshold,
        valid=sorted(found),
        accepted=list(keyids),
    )


def _signature(entry: object, role: str) -> Signature:
    if not isinstance(entry, dict):
        raise MetadataError(f"{role} has a signature that is no object", role=role)
    keyid, method = entry.get("keyid"), entry.get("method")
    if not isinstance(keyid, str) or not isinstance(method, str):
        raise MetadataError(f"{role} has a signature without keyid or method", role=role)
    with part_of(role):
        return Signature(keyid, method, decode_base64(entry.get("sig"), f"a signature of {role}"))
