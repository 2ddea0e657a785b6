"""Public keys as Notary metadata carries them, and the two ids each of them has.

What it is: key objects, key ids, and the one comparison with a threshold. What it is not: signature checking
(`envelope`), root certificate rules (`certificates`) or encodings (`keyobjects`).

Rules:

1. The TUF id is the SHA-256 of the canonical key object, its private half null.
2. The canonical id is the TUF id of the bare public key. It differs from the TUF id only for `*-x509` keys,
   names the private key's file, and is what people see.
3. What a key table lists and nobody can use counts as absent and is kept: no type or no public
   part (docker publishes such a key for an Ed25519 certificate), an id that is not its own, more than 64 KiB
   (used keys stay in memory). Roles that count on it may fall short of their threshold; all else is read. Go
   reads it so too, and whoever signs a file can only spoil the own one with it. It is written with those
   members alone that a key object has: a server drops others, and nobody could read what it hashes then.
4. Keys of unknown types and unreadable certificates are kept, never used; their canonical id is the TUF id.
5. The canonical id of an entry that is no key is never one that a private key could have.
6. A threshold counts different canonical ids, and one below 1 is never met.
7. No role is given a threshold that its keys cannot meet: nobody could sign it again.

Loading `cryptography` takes a third of the time of a command like `key list`, which needs nothing but ids:
`keyobjects` is therefore imported by the two functions that need it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, MetadataError, NotarypyError, UsageError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, usual
from notarypy.values import dataclass

if TYPE_CHECKING:
    from cryptography import x509

X509_TYPES = {"ecdsa-x509": "ecdsa", "rsa-x509": "rsa"}
KeyTable = Mapping[str, "PublicKey"]
SHORT_KEYID = 7
"""Digits of a key id that people are shown, and must give at the least."""


@dataclass(frozen=True)
class PublicKey:
    """A public key object.

    Attributes:
        keytype: `ecdsa`, `rsa`, `ed25519`, `ecdsa-x509`, `rsa-x509`, or an unknown type.
        public: DER SubjectPublicKeyInfo; ed25519: 32 raw bytes; x509 types: PEM certificates, leaf first.
    """

    keytype: str
    public: bytes

    @cached_property
    def keyid(self) -> str:
        """The TUF id, 64 hex digits (rule 1)."""
        return hashlib.sha256(canonical.encode(self.to_json())).hexdigest()

    @cached_property
    def bare(self) -> PublicKey:
        """The key without its certificate, or itself; it raises what `keyobjects` raises."""
        if self.keytype not in X509_TYPES:
            return self
        found = usual.certified(self.public)
        if found is not None:
            return PublicKey(*found)
        return public_key_of(leaf_certificate(self))

    @cached_property
    def canonical_id(self) -> str:
        """The id of the bare key, 64 hex digits (rules 2 and 4)."""
        try:
            return self.bare.keyid
        except NotarypyError:
            return self.keyid

    def to_json(self) -> canonical.JsonObject:
        """Return the key object as metadata stores it."""
        return _key_object(self.keytype, base64.b64encode(self.public).decode())

    def to_pem(self) -> bytes:
        """Return the bare key as a PEM block `PUBLIC KEY`; UnsupportedKeyError for a type nobody can read."""
        from notarypy.tuf import keyobjects

        return keyobjects.to_pem(self.bare.keytype, self.bare.public)

    @classmethod
    def from_key(cls, key: Any) -> PublicKey:  # noqa: ANN401 - any key object of the cryptography package
        """Return the bare key of a public key, private key or certificate of `cryptography`.

        Raises UnsupportedKeyError for one that Notary cannot verify with.
        """
        return public_key_of(key)

    @classmethod
    def from_pem(cls, data: bytes) -> PublicKey:
        """Return the bare key of a PEM block `PUBLIC KEY`, or of a certificate; raise as `from_key`."""
        from notarypy.tuf import keyobjects

        return public_key_of(keyobjects.from_pem(data))

    @classmethod
    def from_json(cls, value: object, limits: Limits = DEFAULT) -> PublicKey:
        """Read a key object; raise MetadataError if it is not one, or too large (rule 3)."""
        keytype, public = (
            _members(value).get("keytype"),
            _members(_members(value).get("keyval")).get("public"),
        )
        if not isinstance(keytype, str) or not isinstance(public, str):
            raise MetadataError("a key object has no keytype or no public part")
        found = decode_base64(public, "a public key")
        most = limits.public_key_bytes
        if len(found) + len(keytype) > most:
            raise MetadataError("a key object is too large", why=f"{len(found)} bytes, {most} at most")
        return cls(keytype, found)


@dataclass(frozen=True)
class UnusableKey(PublicKey):
    """What a key table lists and nobody can use: absent for signatures, kept for whoever writes (rule 3).

    Attributes:
        listed: The id that it goes by in the table.
        entry: The entry as JSON.
        why: What is wrong with it.
    """

    listed: str
    entry: str
    why: str

    @property
    def keyid(self) -> str:
        """The id in the table, its own or not."""
        return self.listed

    @cached_property
    def canonical_id(self) -> str:
        """The hash of the entry, as Go has it; with the id where that is another (rule 5)."""
        entry = canonical.encode(json.loads(self.entry))
        own = hashlib.sha256(entry).hexdigest()
        return own if own == self.listed else hashlib.sha256(entry + b" " + self.listed.encode()).hexdigest()

    def to_json(self) -> canonical.JsonObject:
        """Return the entry as Go writes it, whatever it is (rule 3)."""
        entry = _members(json.loads(self.entry))
        keytype, public = entry.get("keytype"), None
        with suppress(MetadataError):
            found = decode_base64(_members(entry.get("keyval")).get("public"), "a public key")
            public = base64.b64encode(found).decode()
        return _key_object(keytype if isinstance(keytype, str) else "", public)

    @classmethod
    def of(cls, listed: str, entry: object, why: str) -> UnusableKey:
        """Keep an entry as it is."""
        return cls("", b"", listed, json.dumps(entry, sort_keys=True), why)


def _members(value: object) -> canonical.JsonObject:
    return value if isinstance(value, dict) else {}


def _key_object(keytype: str, public: str | None) -> canonical.JsonObject:
    return {"keytype": keytype, "keyval": {"private": None, "public": public}}


def listed_key(keyid: str, entry: object, limits: Limits = DEFAULT) -> PublicKey:
    """Return what a key table has under an id: a key, or an UnusableKey (rule 3)."""
    try:
        key = PublicKey.from_json(entry, limits)
    except MetadataError as error:
        return UnusableKey.of(keyid, entry, error.message)
    return key if key.keyid == keyid else UnusableKey.of(keyid, entry, "it is listed under another id")


def meets(found: Iterable[str], threshold: int) -> bool:
    """Tell whether these canonical ids are enough different keys for a threshold (rule 6)."""
    return 1 <= threshold <= len(frozenset(found))


def require_reachable(role: str, keys: Iterable[PublicKey], threshold: int) -> None:
    """Raise UsageError for a threshold that these keys cannot meet (rule 7)."""
    count = len({key.canonical_id for key in keys})
    if not 1 <= threshold <= count:
        raise UsageError(
            f"{role} cannot take {threshold} signatures: it has {count} different keys",
            why="one key counts once, bare or in however many certificates",
            advice=Advice("lower-threshold"),
            role=role,
            threshold=threshold,
        )


def require_enough(role: str, keys: Sequence[PublicKey], threshold: int) -> None:
    """Raise the same of a delegation; one without any key is left to nobody, which is no mistake."""
    if keys:
        require_reachable(role, keys, threshold)


def require_single(role: str, keys: Sequence[PublicKey], threshold: int) -> None:
    """Raise UsageError where a key stands under two ids in a role of several signatures.

    Docker, Go notary and their server count ids: whoever has that key would be two people for them.
    """
    ids = [key.canonical_id for key in {key.keyid: key for key in keys}.values()]
    if threshold > 1 and (twice := sorted({one for one in ids if ids.count(one) > 1})):
        raise UsageError(
            f"{role} lists key {twice[0][:SHORT_KEYID]} twice, under two ids",
            why=f"docker and Go notary would take its signature for two of {threshold}",
            role=role,
            key=twice[0],
        )


def decode_base64(text: object, what: str) -> bytes:
    """Decode standard, padded base64 strictly; raise MetadataError otherwise."""
    if not isinstance(text, str):
        raise MetadataError(f"{what} is not base64 text")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise MetadataError(f"{what} is not base64") from None


def certificates(key: PublicKey) -> list[x509.Certificate]:
    """Return the certificates of an x509 key, leaf first; raise MetadataError if unreadable."""
    from notarypy.tuf import keyobjects

    return keyobjects.certificates(key.public, key.keyid)


def leaf_certificate(key: PublicKey) -> x509.Certificate:
    """Return the first certificate of an x509 key."""
    return certificates(key)[0]


def public_key_of(key: Any) -> PublicKey:  # noqa: ANN401 - any key object of the cryptography package
    """Return the bare PublicKey of a key or certificate of `cryptography`, or raise UnsupportedKeyError."""
    if written := usual.written(key):
        return PublicKey("ecdsa", written)
    from notarypy.tuf import keyobjects

    return PublicKey(*keyobjects.encoded(key))
