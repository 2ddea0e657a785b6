"""Keys that are files: making one, opening one with its passphrases in turn, and signing with it.

What it is: the same kinds of keys as the Go clients make, and the way from a key file to a
signer and back. What it is not: which files there are (`keystore`), what they look like (`formats`), where
passphrases come from (`passphrases`), or certificates (`rootcertificate`).

Rules:

1. A key is opened with the first passphrase that fits; errors name the sources that were tried.
2. A signer never shows its private key, not even to a debugger's `repr`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from notarypy import files
from notarypy.errors import (
    Advice,
    KeyAccessError,
    KeyMissingError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem, sealed
from notarypy.keys.passphrases import PROMPT, own_variable
from notarypy.limits import DEFAULT
from notarypy.tuf.envelope import METHOD_FOR, ecdsa_raw
from notarypy.tuf.keys import public_key_of

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.passphrases import PassphraseChain

_LOG = logging.getLogger(__name__)
_PSS_SALT = 32
_RSA_BITS, _RSA_EXPONENT = 3072, 65537


class LocalSigner:
    """A signer whose private key is in this process.

    Attributes:
        private: The key, for certificates and new passphrases (rule 2).
    """

    def __init__(self, key: PrivateKey) -> None:
        """Take a key; raise UnsupportedKeyError for one that Notary cannot verify."""
        self.public = public_key_of(key)
        self.private = key

    def __repr__(self) -> str:
        """Show the public half only (rule 2)."""
        return f"LocalSigner({self.public.keytype}, {self.public.keyid})"

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature as metadata carries it, before base64."""
        key = self.private
        if isinstance(key, ec.EllipticCurvePrivateKey):
            raw = ecdsa_raw(key.sign(message, ec.ECDSA(SHA256())), key.curve.key_size)
        elif isinstance(key, rsa.RSAPrivateKey):
            raw = key.sign(message, padding.PSS(padding.MGF1(SHA256()), _PSS_SALT), SHA256())
        else:
            raw = key.sign(message)
        return METHOD_FOR[self.public.keytype], raw

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Return an RSA key's signature as cosign verifies it, for `cosignsigner`."""
        key = self.private
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("PKCS #1 v1.5 is a form of RSA signatures")
        return key.sign(message, padding.PKCS1v15(), SHA256())


def generate(algorithm: str = "ecdsa") -> PrivateKey:
    """Make a key: `ecdsa` on P-256, or `rsa` of 3072 bits; raise UnsupportedKeyError for another type."""
    if algorithm == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "rsa":
        return rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    raise UnsupportedKeyError(
        f"cannot make keys of type {algorithm}", why="a key is ecdsa or rsa", advice=Advice("leave-key-type")
    )


def open_file(path: Path, request: PassphraseRequest, passphrases: PassphraseChain) -> LocalSigner:
    """Return the signer of the key in a file; raise KeyAccessError (rule 1)."""
    try:
        data = files.read_regular(path, DEFAULT.key_file_bytes)
    except FileNotFoundError:
        message = f"the key {request.keyid[:7]} has just been removed"
        raise KeyMissingError(message, keyid=request.keyid) from None
    return LocalSigner(open_block(pem.split(data)[0], request, passphrases, str(path)))


def open_block(
    block: pem.KeyBlock,
    request: PassphraseRequest,
    passphrases: PassphraseChain,
    where: str,
    *,
    ed25519: bool = False,
) -> PrivateKey:
    """Open a key with the first passphrase that fits; `where` names its file in errors, if known (rule 1).

    With `ed25519` it may be one of these as others than Go write them, which Notary does not take.

    Raises:
        PassphraseNeededError: It is encrypted and no source had a passphrase.
        PassphraseWrongError: No passphrase opens it.
        UnsupportedKeyError: It cannot be used, whatever the passphrase.
    """
    tried: list[str] = []
    try:
        if not block.encrypted:
            _LOG.debug("%s is not encrypted", request.label)
            return sealed.opened(block, None, ed25519=ed25519)
        for source, passphrase in passphrases.candidates(request):
            try:
                key = sealed.opened(block, passphrase, ed25519=ed25519)
            except PassphraseWrongError:
                tried.append(source)
            else:
                _LOG.debug("%s unlocked with the passphrase from %s", request.label, source)
                return key
            _LOG.debug("%s is not opened by the passphrase from %s", request.label, source)
    except UnsupportedKeyError as error:
        raise (pem.at_file(error, where) if where else error) from None
    raise _closed(request, passphrases, list(dict.fromkeys(tried)), where)


def seal(key: PrivateKey, role: str, gun: str | None, passphrase: str) -> bytes:
    """Return the text of a key's file, encrypted as the Go clients read it."""
    from notarypy.keys.formats import pkcs8  # who only opens keys does without

    salt, iv = os.urandom(pkcs8.SALT_BYTES), os.urandom(pkcs8.IV_BYTES)
    return pkcs8.encrypt(key, passphrase, role, gun, salt=salt, iv=iv, iterations=pkcs8.ROUNDS)


def keyid_within(block: pem.KeyBlock, passphrase: str) -> str:
    """Return the id of the key in a block; raise PassphraseWrongError."""
    return public_key_of(sealed.opened(block, passphrase)).keyid


def opens(block: pem.KeyBlock, passphrase: str) -> bool:
    """Tell whether a passphrase opens a block."""
    try:
        sealed.opened(block, passphrase)
    except PassphraseWrongError:
        return False
    return True


def _closed(
    request: PassphraseRequest, passphrases: PassphraseChain, tried: list[str], where: str
) -> KeyAccessError:
    facts = {"keyid": request.keyid, "role": request.role, "gun": request.gun}
    facts |= {"file": where} if where else {}
    place = [f"the file is {where}"] if where else []
    if not tried:
        return PassphraseNeededError(
            f"{request.label} is encrypted, and there is no passphrase for it",
            why=(passphrases.absence(request), *place),
            advice=passphrases.advice(request),
            tried=passphrases.tried(request),
            **facts,
        )
    return PassphraseWrongError(
        f"cannot unlock {request.label}",
        why="; ".join([f"tried {', '.join(tried)}", *place]),
        advice=_right_one(request, tried) if request.keyid else passphrases.advice(request),
        tried=tried,
        **facts,
    )


def _right_one(request: PassphraseRequest, tried: list[str]) -> Advice:
    """Say which passphrase opens a key, and where to give it."""
    variable = own_variable(request)
    if tried == [PROMPT]:
        return Advice("type-its-passphrase", variable=variable)
    return {
        "root": Advice("set-root-passphrase", variable=variable),
        "targets": Advice("set-targets-passphrase", variable=variable),
        "snapshot": Advice("set-snapshot-passphrase", variable=variable),
    }.get(request.role, Advice("set-delegation-passphrase", variable=variable))
