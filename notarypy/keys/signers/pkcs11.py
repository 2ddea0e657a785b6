"""Keys on tokens: smart cards, HSMs, TPMs and SoftHSM, by PKCS#11 and by URIs as RFC 7512 has them.

What it is: finding one key on a token, making one, and signing with it. What it is not: the way to the token,
its PIN and its session (`pkcs11tokens`).

Rules:

1. The public half is read without a PIN where the token shows it: from the public key, or from the
   certificate with the same id. A PIN is for signing, for making keys, and for tokens that hide all.
2. A URI that fits several keys names none. Its id names a key, and its label where it has no id: pairs exist
   whose halves have different labels. Several with one id are told apart by the label that the URI names.
3. The token signs a SHA-256 digest: ECDSA on every curve, RSA as PSS with a salt of 32 bytes, for cosign as
   PKCS #1 v1.5. Modules that hash by themselves are rare, and some sign input of any length.
4. What is made here never leaves the token, and does not take the place of anything.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    KeyAmbiguousError,
    KeyMissingError,
    PassphraseNeededError,
    PinWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.signers.base import ExternalSigner, having_made
from notarypy.keys.signers.pkcs11modules import SDK, gone, waited
from notarypy.keys.signers.pkcs11tokens import Token, kept_uri, using
from notarypy.keys.signers.pkcs11uri import Pkcs11Uri, parse
from notarypy.tuf import der
from notarypy.tuf.envelope import METHOD_FOR
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.keys.signers.base import SignerContext

_LOG = logging.getLogger(__name__)
_SALT, _RSA_BITS, _ID_BYTES = 32, 3072, 8
_P256 = bytes.fromhex("06082a8648ce3d030107")
_MECHANISMS = {"ecdsa": "ECDSA", "rsa": "RSA_PKCS_PSS"}
_PKCS1V15, _SHA256_INFO = "RSA_PKCS", bytes.fromhex("3031300d060960864801650304020105000420")
_HALVES = ("PUBLIC_KEY", "CERTIFICATE", "PRIVATE_KEY")


class Pkcs11Signer(ExternalSigner):
    """One key on a token."""

    asks_network = False  # a token is plugged in; the modules of services elsewhere are the user's to know

    def __init__(self, uri: str, public: PublicKey, context: SignerContext) -> None:
        """Take a key by the URI that is kept, its public half, and where this key's PIN comes from."""
        super().__init__(uri, public)
        request = replace(context.request, keyid=public.keyid)
        self._where, self._context = parse(uri), replace(context, request=request)

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """Return a signer with the key that a URI names; see `ExternalSigner` (rules 1 and 2)."""
        where = parse(uri)
        if context.public is not None:
            return cls(uri, context.public, context)
        return using(where, context, lambda token: cls._found(token, where, context))

    @classmethod
    def _found(cls, token: Token, where: Pkcs11Uri, context: SignerContext) -> Self:
        named, public = _identified(token, where, context)
        _require_mechanism(token, public.keytype, cosign=context.cosign)
        _LOG.debug("%s of %s is %s", named.described, token.name, public.keyid)
        return cls(kept_uri(token, named), public, context)

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:
        """Make a key on the token that a URI names, with its id and label; see `ExternalSigner` (rule 4)."""
        where = parse(uri)
        make = partial(cls._new, where=where, context=context, algorithm=algorithm)
        return using(where, context, make, again=False)

    @classmethod
    def _new(cls, token: Token, where: Pkcs11Uri, context: SignerContext, algorithm: str) -> Self:
        _require_mechanism(token, algorithm)
        token.login(where, context)
        label = where.label or context.request.name
        _require_new(token, where.id, label)
        named = Pkcs11Uri({**where.values, "object": label}, where.id or os.urandom(_ID_BYTES))
        kept, made = kept_uri(token, named), _generated(token, named, algorithm)
        with having_made(kept):
            public = _read(token, made)
        _LOG.debug("made %s, %s, on %s", named.described, public.keyid, token.name)
        return cls(kept, public, context)

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature; see `Signer` (rule 3)."""
        sign = partial(self._signed, _MECHANISMS[self.public.keytype], hashlib.sha256(message).digest())
        return METHOD_FOR[self.public.keytype], using(self._where, self._context, sign)

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Sign with an RSA key as cosign verifies it; see `cosignsigner` (rule 3)."""
        data = _SHA256_INFO + hashlib.sha256(message).digest()
        return using(self._where, self._context, partial(self._signed, _PKCS1V15, data))

    def prepare(self) -> None:
        """Log in to the token, and find the private half there; see `ExternalSigner`."""
        using(self._where, self._context, self._ready)

    def _ready(self, token: Token) -> Any:  # noqa: ANN401 - as the library has it
        now = token.login(self._where, self._context)
        key = _private(token, self._where, sure=now or not token.logged_in)
        if not hasattr(key, "sign"):
            message, why = f"the {self._where.described} does not sign", "the token has it for something else"
            advice = Advice("use-token-key")
            raise UnsupportedKeyError(message, why=why, advice=advice, token=token.info.label)
        return key

    def _signed(self, mechanism: str, data: bytes, token: Token) -> bytes:
        key = self._ready(token)
        if not _flag(key, "ALWAYS_AUTHENTICATE"):
            token.forget_pin()
            return self._made(key, mechanism, data, None)
        pin = token.again(self._where, self._context)
        try:
            with token.checking(pin, self._context):
                return self._made(key, mechanism, data, pin[1])
        except PinWrongError:
            token.close()  # the session is of no use afterwards
            raise

    def _made(self, key: Any, mechanism: str, data: bytes, pin: str | None) -> bytes:  # noqa: ANN401 - as there
        pss = (SDK.Mechanism.SHA256, SDK.MGF.SHA256, _SALT) if mechanism == _MECHANISMS["rsa"] else None
        sign = partial(key.sign, mechanism=SDK.Mechanism[mechanism], mechanism_param=pss, pin=pin)
        return waited(f"the token with the {self._where.described}", lambda: bytes(sign(data)))

    def properties(self) -> Mapping[str, str]:
        """Say which token it is, and what that says of the key; see `ExternalSigner`."""
        return using(self._where, self._context, self._described)

    def _described(self, token: Token) -> Mapping[str, str]:
        info, known = token.info.slot.get_token(), SDK.TokenFlag
        supported = {int(mechanism) for mechanism in info.slot.get_mechanisms()}
        found = {
            "token": info.label,
            "serial": token.serial,
            "model": f"{info.model} of {info.manufacturer_id}",
            "mechanisms": " ".join(name for name in _MECHANISMS.values() if SDK.Mechanism[name] in supported),
        }
        if info.flags & (known.USER_PIN_FINAL_TRY | known.USER_PIN_COUNT_LOW):
            final = info.flags & known.USER_PIN_FINAL_TRY
            found["pin-tries"] = "one wrong PIN locks it" if final else "few are left"
        keys = token.find(CLASS=SDK.ObjectClass.PRIVATE_KEY, ID=self._where.id, LABEL=_label(self._where))
        for key in _labelled(keys, self._where.label)[:1]:  # before logging in it is hidden, mostly
            for name in ("EXTRACTABLE", "ALWAYS_AUTHENTICATE"):
                found[name.lower().replace("_", "-")] = "yes" if _flag(key, name) else "no"
        return found


def _identified(token: Token, where: Pkcs11Uri, context: SignerContext) -> tuple[Pkcs11Uri, PublicKey]:
    """Return what names the one key that a URI fits, and its public half (rules 1 and 2)."""
    for log_in in (False, True):
        if log_in:
            _log_in(token, where, context)
        groups: dict[bytes | str, tuple[bytes, str]] = {}
        for half in _HALVES:
            kind = SDK.ObjectClass[half]
            for found in token.find(CLASS=kind, ID=where.id, LABEL=where.label):
                identity, label = _names(found)
                groups.setdefault(identity or label, (identity, label))
        if len(groups) > 1:
            raise _ambiguous(token, where, list(groups.values()))
        for identity, label in groups.values():
            named = Pkcs11Uri({**where.values, "object": label}, identity or None)
            if (public := _public(token, named, where.label)) is not None:
                return named, public
    if groups:
        why = "the token has its private half alone, without a public key or a certificate with its id"
        advice, message = Advice("write-public-half"), f"the public half of the {where.described} is missing"
        raise UnsupportedKeyError(message, why=why, advice=advice, token=token.info.label)
    raise _missing(token, where)


def _log_in(token: Token, where: Pkcs11Uri, context: SignerContext) -> None:
    """Log in to see what is hidden; where nobody has a PIN, what is seen is all that there is."""
    try:
        token.login(where, context)
    except PassphraseNeededError:
        if any(token.find(CLASS=SDK.ObjectClass[half]) for half in _HALVES):
            raise _missing(token, where) from None
        raise


def _public(token: Token, named: Pkcs11Uri, label: str | None) -> PublicKey | None:
    """Return the public half of a key; None if it is not there, or hidden (rules 1 and 2)."""
    for half in _HALVES[:2]:
        found = _labelled(token.find(CLASS=SDK.ObjectClass[half], ID=named.id, LABEL=_label(named)), label)
        publics = {public.keyid: public for public in (_read(token, each) for each in found)}
        if len(publics) > 1:
            raise _ambiguous(token, named, [_names(each) for each in found])
        for public in publics.values():
            return public
    return None


def _read(token: Token, found: Any) -> PublicKey:  # noqa: ANN401 - as the library has it
    """Return the public half that an object has; raise UnsupportedKeyError."""
    from cryptography import x509  # who only signs does without
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat import asn1
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    attribute, key = SDK.Attribute, None
    try:
        if found[attribute.CLASS] == SDK.ObjectClass.CERTIFICATE:
            key = x509.load_der_x509_certificate(found[attribute.VALUE]).public_key()
        elif found[attribute.KEY_TYPE] == SDK.KeyType.RSA:
            numbers = (found[name] for name in (attribute.PUBLIC_EXPONENT, attribute.MODULUS))
            key = rsa.RSAPublicNumbers(*(int.from_bytes(number, "big") for number in numbers)).public_key()
        elif found[attribute.KEY_TYPE] == SDK.KeyType.EC:
            oid = asn1.decode_der(x509.ObjectIdentifier, found[attribute.EC_PARAMS])
            curve = ec.get_curve_for_oid(oid)()
            value, size = found[attribute.EC_POINT], (curve.key_size + 7) // 8
            bare = len(value) in {1 + size, 1 + 2 * size}  # most tokens put an octet string around it
            point = value if bare else der.content(value).lstrip(b"\0")
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except (ValueError, LookupError, TypeError, UnsupportedAlgorithm):
        key = None
    if key is None:
        message, advice = f"a key of the {token.name} cannot be used", Advice("use-token-key")
        why = "Notary v1 signs with ECDSA on a named curve, or with RSA"
        raise UnsupportedKeyError(message, why=why, advice=advice, token=token.info.label)
    return public_key_of(key)


def _private(token: Token, where: Pkcs11Uri, *, sure: bool) -> Any:  # noqa: ANN401 - as the library has it
    """Return the private half of a key (rule 2); raise KeyMissingError or KeyAmbiguousError.

    One that is not seen is hidden if somebody logged out, unless it is `sure` that nobody did.
    """
    found = token.find(CLASS=SDK.ObjectClass.PRIVATE_KEY, ID=where.id, LABEL=_label(where))
    found = _labelled(found, where.label)
    if len(found) > 1:
        raise _ambiguous(token, where, [_names(key) for key in found])
    if not found:
        halves = (
            token.find(CLASS=SDK.ObjectClass[half], ID=where.id, LABEL=_label(where)) for half in _HALVES
        )
        raise gone(where.described, token.info.label, any(halves)) if sure else SDK.UserNotLoggedIn
    return found[0]


def _labelled(found: list[Any], label: str | None) -> list[Any]:
    """Return those of several objects with one id that have a label; all if none has (rule 2)."""
    if len(found) < 2 or label is None:  # noqa: PLR2004 - one alone is the one
        return found
    return [each for each in found if _names(each)[1] == label] or found


def _generated(token: Token, named: Pkcs11Uri, algorithm: str) -> Any:  # noqa: ANN401 - as the library has it
    """Make a pair and return its public half (rule 4); only here the token is written to."""
    given = {
        "id": named.id,
        "label": named.label,
        "store": True,
        "capabilities": token.uses,
        "private_template": {SDK.Attribute.SENSITIVE: True, SDK.Attribute.EXTRACTABLE: False},
    }
    writing = token.info.open(rw=True)
    try:
        if algorithm == "rsa":
            public, _ = writing.generate_keypair(SDK.KeyType.RSA, _RSA_BITS, **given)
        else:
            curve = {SDK.Attribute.EC_PARAMS: _P256}
            domain = writing.create_domain_parameters(SDK.KeyType.EC, curve, local=True)
            public, _ = domain.generate_keypair(**given)
        return token.find(CLASS=SDK.ObjectClass.PUBLIC_KEY, ID=public[SDK.Attribute.ID])[0]
    finally:
        writing.close()


def _require_new(token: Token, identity: bytes | None, label: str) -> None:
    """Raise AlreadyExistsError if anything on the token has this id or label (rule 4)."""
    for wanted in ({"ID": identity}, {"LABEL": label}):
        if not all(wanted.values()):
            continue
        found = [each for half in _HALVES for each in token.find(CLASS=SDK.ObjectClass[half], **wanted)]
        if found:
            message = f"there is a {_shown(*_names(found[0]))} on the {token.name} already"
            raise AlreadyExistsError(message, advice=Advice("take-or-rename"), token=token.info.label)


def _require_mechanism(token: Token, keytype: str, *, cosign: bool = False) -> None:
    name = _PKCS1V15 if cosign and keytype == "rsa" else _MECHANISMS.get(keytype)
    if name is None or SDK.Mechanism[name] not in token.info.slot.get_mechanisms():
        reader = "cosign" if cosign else "Notary"
        missing = f"the {token.name} does not sign with {keytype} keys as {reader} needs it"
        why = f"it has no {name}" if name else "Notary v1 signs with ECDSA or RSA-PSS"
        raise UnsupportedKeyError(missing, why=why, advice=Advice("use-token-key"), token=token.info.label)


def _label(where: Pkcs11Uri) -> str | None:
    """Return the label to look for: none where there is an id (rule 2)."""
    return None if where.id is not None else where.label


def _names(found: Any) -> tuple[bytes, str]:  # noqa: ANN401 - as the library has it
    """Return id and label of an object; empty for what it does not have, or is no text."""
    values: list[Any] = [b"", ""]
    for place, name in enumerate(("ID", "LABEL")):
        with suppress(SDK.PKCS11Error, ValueError):
            values[place] = found[SDK.Attribute[name]]
    return bytes(values[0]), str(values[1])


def _flag(key: Any, name: str) -> bool:  # noqa: ANN401 - as the library has it
    with suppress(SDK.PKCS11Error):
        return bool(key[SDK.Attribute[name]])
    return False


def _shown(identity: bytes, label: str) -> str:
    return Pkcs11Uri({"object": label} if label else {}, identity or None).described


def _ambiguous(token: Token, where: Pkcs11Uri, names: list[tuple[bytes, str]]) -> KeyAmbiguousError:
    return KeyAmbiguousError(
        f"there are {len(names)} keys on the {token.name} that this may be: {where.described}",
        why=tuple(f"{_shown(*each)}" for each in names),
        advice=Advice("part-twins" if len(dict(names)) == 1 else "name-key-id"),
        token=token.info.label,
    )


def _missing(token: Token, where: Pkcs11Uri) -> KeyMissingError:
    there = {_names(each) for half in _HALVES for each in token.find(CLASS=SDK.ObjectClass[half])}
    why = tuple(f"there is {_shown(*each)}" for each in sorted(there)) or "it shows no key at all"
    if where.id is not None and where.id.isalnum():
        why = (f"id={where.id.decode()} are {len(where.id)} characters; a byte is % and two digits", *why)
    message = f"there is no {where.described} on the {token.name}"
    return KeyMissingError(message, why=why, advice=Advice("name-key-id"), token=token.info.label)
