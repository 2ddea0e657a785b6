"""Tokens in this process, with the surface of python-pkcs11 that is used, and every way in which they fail.

What it is: modules, slots, tokens, sessions and objects that count, and raise the library's own errors. What
it is not: cryptography of a token's own; keys are made and used here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag

from notarypy.keys.signers import pkcs11modules, pkcs11tokens
from notarypy.tuf import der
from notarypy.tuf.envelope import ecdsa_raw
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Attributes: TypeAlias = dict[Attribute, Any]
PIN = "a-pin-4711"
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, 9.2
P256 = bytes.fromhex("06082a8648ce3d030107")
USUAL = TokenFlag.LOGIN_REQUIRED | TokenFlag.USER_PIN_INITIALIZED | TokenFlag.TOKEN_INITIALIZED


class Entry:
    """An object on a token."""

    def __init__(self, token: Card, attributes: Attributes) -> None:
        self.token, self.attributes = token, attributes

    def __getitem__(self, name: Attribute) -> object:
        if name not in self.attributes:
            raise pkcs11.AttributeTypeInvalid
        return self.attributes[name]


class SigningEntry(Entry):
    """A private key that may sign."""

    def sign(self, data: bytes, *, mechanism: Mechanism, mechanism_param: object, pin: str | None) -> bytes:
        """Sign a digest as the token would."""
        self.token.raise_next("sign")
        if pin is not None:
            self.token.check(pin)
        self.token.signed.append((mechanism, mechanism_param, pin is not None))
        identity, label = self.attributes[Attribute.ID], self.attributes[Attribute.LABEL].encode()
        key = self.token.private.get(identity + b"/" + label) or self.token.private[identity or label]
        if mechanism == Mechanism.RSA_PKCS:
            assert mechanism_param is None
            assert data[:-32] == SHA256_INFO
            return bytes(key.sign(data[-32:], padding.PKCS1v15(), utils.Prehashed(SHA256())))
        if isinstance(key, rsa.RSAPrivateKey):
            assert mechanism_param == (Mechanism.SHA256, pkcs11.MGF.SHA256, 32)
            return key.sign(data, padding.PSS(padding.MGF1(SHA256()), 32), utils.Prehashed(SHA256()))
        return ecdsa_raw(key.sign(data, ec.ECDSA(utils.Prehashed(SHA256()))), key.curve.key_size)


@dataclass
class Card:
    """A token and its slot; what it says of itself is the same in both.

    Attributes:
        fails: Errors to raise, the next one first, by what is done: open, login, find, sign.
        logins: How often a PIN was looked at.
        made_for: What the keys that were made are for.
        opened: How many sessions were opened.
        hides: Whether public objects are seen after a login alone.
    """

    label: str = "release"
    serial: bytes = b"0001            "
    slot_id: int = 7
    flags: TokenFlag = USUAL
    model: str = "Card 1"
    manufacturer_id: str = "Maker"
    slot_description: str = "Reader"
    mechanisms: set[Any] = field(default_factory=lambda: {Mechanism.ECDSA, Mechanism.RSA_PKCS_PSS})
    entries: list[Entry] = field(default_factory=list)
    private: dict[bytes, Any] = field(default_factory=dict)
    fails: dict[str, list[type[Exception]]] = field(default_factory=dict)
    signed: list[Any] = field(default_factory=list)
    made_for: list[Any] = field(default_factory=list)
    logins: int = 0
    opened: int = 0
    hides: bool = False
    plugged: bool = True
    logged_in: bool = False
    generation: int = 0

    @property
    def slot(self) -> Card:
        """The slot of the token, which is the same here."""
        return self

    def raise_next(self, where: str) -> None:
        """Fail as was asked for, or as a token that was pulled."""
        if not self.plugged:
            raise pkcs11.TokenNotPresent
        if waiting := self.fails.get(where):
            raise waiting.pop(0)

    def get_token(self) -> Card:
        """See `pkcs11.Slot`."""
        self.raise_next("token")
        return self

    def get_mechanisms(self) -> set[Any]:
        """See `pkcs11.Slot`."""
        return self.mechanisms

    def check(self, pin: object) -> None:
        """Look at a PIN, and count."""
        self.logins += 1
        self.raise_next("login")
        if pin != PIN and pin is not pkcs11.PROTECTED_AUTH:
            self.flags |= TokenFlag.USER_PIN_COUNT_LOW
            raise pkcs11.PinIncorrect

    def open(self, *, rw: bool = False, user_pin: object = None) -> Session:
        """See `pkcs11.Token`."""
        self.raise_next("open")
        if user_pin is not None:
            if self.logged_in:
                raise pkcs11.UserAlreadyLoggedIn
            self.check(user_pin)
            self.logged_in = True
        self.opened += 1
        return Session(self, self.generation, rw=rw, user=user_pin is not None)

    def pull(self) -> None:
        """Pull it out: all sessions are lost."""
        self.plugged, self.logged_in = False, False
        self.generation += 1

    def add(
        self, key: Key, identity: bytes = b"\1", label: str = "jeff", *, sign: bool = True
    ) -> tuple[Attributes, Attributes]:
        """Put a pair on it; return its public object's attributes and those of its private one."""
        own = {Attribute.ID: identity, Attribute.LABEL: label}
        public = {**own, **_public(key), Attribute.CLASS: ObjectClass.PUBLIC_KEY}
        private = {**own, Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.EXTRACTABLE: False}
        self.private[identity + b"/" + label.encode()] = self.private[identity or label.encode()] = key
        self.entries += [Entry(self, public), (SigningEntry if sign else Entry)(self, private)]
        return public, private


class Session:
    """A session; it is lost when its token is pulled."""

    def __init__(self, token: Card, generation: int, *, rw: bool, user: bool) -> None:
        self.token, self.generation, self.rw, self.user = token, generation, rw, user
        self.closed = False

    def get_objects(self, wanted: dict[Attribute, Any]) -> Iterator[Entry]:
        """See `pkcs11.Session`."""
        if self.closed or self.generation != self.token.generation:
            raise pkcs11.SessionHandleInvalid
        self.token.raise_next("find")
        for entry in self.token.entries:
            hidden = self.token.hides or entry.attributes[Attribute.CLASS] == ObjectClass.PRIVATE_KEY
            if hidden and not self.token.logged_in and self.token.flags & TokenFlag.LOGIN_REQUIRED:
                continue
            if all(entry.attributes.get(name) == value for name, value in wanted.items()):
                yield entry

    def close(self) -> None:
        """See `pkcs11.Session`."""
        self.closed = True
        if self.generation != self.token.generation:
            raise pkcs11.SessionHandleInvalid
        self.token.logged_in = self.token.logged_in and not self.user

    def create_domain_parameters(self, kind: KeyType, attributes: Attributes, *, local: bool) -> Session:
        """See `pkcs11.Session`."""
        assert (kind, attributes, local) == (KeyType.EC, {Attribute.EC_PARAMS: P256}, True)
        return self

    def generate_keypair(self, *kind: int, **given: object) -> tuple[Entry, Entry]:
        """See `pkcs11.Session`, and the same of domain parameters."""
        self.token.raise_next("generate")
        assert self.rw
        assert given["store"]
        template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        assert given["private_template"] == template
        self.token.made_for.append(given["capabilities"])
        identity, label = given["id"], given["label"]
        assert isinstance(identity, bytes)
        assert isinstance(label, str)
        made: Key = ec.generate_private_key(ec.SECP256R1())
        self.token.add(fresh_key(kind[1]) if kind else made, identity, label)
        return self.token.entries[-2], self.token.entries[-1]


class Library:
    """A module."""

    manufacturer_id, library_description, library_version = "Maker", "Tokens", (2, 6)

    def __init__(self, *cards: Card) -> None:
        self.cards, self.started = list(cards), 1

    def get_slots(self) -> list[Card]:
        """See `pkcs11.lib`."""
        return self.cards

    def finalize(self) -> None:
        """See `pkcs11.lib`."""
        raise pkcs11.GeneralError

    def initialize(self) -> None:
        """See `pkcs11.lib`."""
        self.started += 1


def provide(patch: pytest.MonkeyPatch, folder: Path, *cards: Card) -> tuple[Library, str]:
    """Have a module with these tokens for one test; return it, and its path."""
    library, path = Library(*cards), folder / "module.so"
    path.touch()
    patch.setattr(pkcs11, "lib", lambda _: library)
    patch.setattr(pkcs11modules, "_MODULES", {})
    patch.setattr(pkcs11tokens, "_refused", [])
    return library, str(path)


def _public(key: Key) -> Attributes:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.MODULUS: numbers.n.to_bytes((public.key_size + 7) // 8, "big"),
            Attribute.PUBLIC_EXPONENT: numbers.e.to_bytes(3, "big"),
        }
    written = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.EC_PARAMS: der.elements(der.elements(written)[0])[1],
        Attribute.EC_POINT: der.element(der.OCTETS, point),
    }
