"""Signed metadata files: taking them apart, checking signatures, putting them together.

What it is: the outer layer that all four kinds of metadata share. What it is not:
their content (`metadata`) or the order in which they are trusted (`trusted`).

Rules:

1. Signatures cover the canonical form of `signed`, hashes the received bytes. Both are kept.
2. A threshold counts distinct keys, not signatures and not key objects: one key
   listed bare and inside a certificate counts once. Go counts it twice.
3. Unknown key ids and invalid signatures count for nothing and do no harm.
4. A threshold below 1 or above the number of distinct keys is never met.
5. At most 64 signatures are looked at in one file.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from notarypy.errors import MetadataError, SignatureError
from notarypy.tuf import canonical, signatures
from notarypy.tuf.fields import part_of
from notarypy.tuf.keys import decode_base64

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from notarypy.tuf.canonical import JsonObject
    from notarypy.tuf.keys import PublicKey

MAX_SIGNATURES = 64
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
    """

    raw: bytes
    signed: JsonObject
    signatures: tuple[Signature, ...]

    @cached_property
    def canonical(self) -> bytes:
        """The bytes that the signatures cover."""
        return canonical.encode(self.signed)

    @classmethod
    def parse(cls, data: bytes, role: str) -> Envelope:
        """Take a file apart; raise MetadataError if it is not a signed file."""
        with part_of(role):
            outer = canonical.decode(data, role)
        signed, listed = outer.get("signed"), outer.get("signatures")
        if not isinstance(signed, dict):
            raise MetadataError(f"{role} has no signed part", role=role)
        if not isinstance(listed, list) or not listed:
            raise MetadataError(f"{role} carries no signatures", role=role)
        if len(listed) > MAX_SIGNATURES:
            raise MetadataError(f"{role} carries more than {MAX_SIGNATURES} signatures", role=role)
        return cls(data, signed, tuple(_signature(entry, role) for entry in listed))


def seal(signed: JsonObject, signatures_: Sequence[Signature]) -> bytes:
    """Return the file to upload: storage form, byte for byte what Go would write."""
    return canonical.storage_form(canonical.encode(signed), [entry.to_json() for entry in signatures_])


def valid_keys(envelope: Envelope, keys: Mapping[str, PublicKey], keyids: Iterable[str]) -> frozenset[str]:
    """Return the canonical ids of the listed keys that validly signed (rules 2 and 3)."""
    allowed = frozenset(keyids)
    signed_by: set[str] = set()
    for entry in envelope.signatures:
        key = keys.get(entry.keyid)
        if key is None or entry.keyid not in allowed:
            continue
        if signatures.verify(key, entry.method, entry.sig, envelope.canonical):
            signed_by.add(key.canonical_id)
    return frozenset(signed_by)


def require_threshold(
    envelope: Envelope, keys: Mapping[str, PublicKey], keyids: Sequence[str], threshold: int, role: str
) -> None:
    """Raise SignatureError unless `threshold` distinct keys of `keyids` signed (rules 2 to 4)."""
    found = valid_keys(envelope, keys, keyids)
    if 1 <= threshold <= len(found):
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
