"""Keys in files: reading one, opening it with its passphrases in turn, and signing with it.

What it is: the way from a key file to a signer, and from a key to a key file's text. What it is not: which
files there are (`keystore`), what they look like (`formats`), or where passphrases come from (`passphrases`).

Rules:

1. A key is opened with the first passphrase that fits; errors name the sources that were tried.
2. A signer never shows its private key, not even to a debugger's `repr`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

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
from notarypy.keys.formats import pem, pkcs8
from notarypy.limits import DEFAULT
from notarypy.tuf.envelope import METHOD_FOR, ecdsa_raw
from notarypy.tuf.keys import public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.keys.formats.pem import KeyBlock
    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.passphrases import PassphraseChain, PassphraseRequest

_LOG = logging.getLogger(__name__)
_PSS_SALT = 32
_ADVICE = {
    "root": Advice("set-root-passphrase"),
    "targets": Advice("set-targets-passphrase"),
    "snapshot": Advice("set-snapshot-passphrase"),
}


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


def open_signer(uri: str, request: PassphraseRequest, passphrases: PassphraseChain) -> LocalSigner:
    """Return the signer of the key in the file that a `file:` URI names; raise KeyAccessError (rule 1)."""
    path = _path(uri)
    try:
        data = files.read_regular(path, DEFAULT.key_file_bytes)
    except FileNotFoundError:
        raise KeyMissingError(
            f"the key {request.keyid[:7]} has just been removed", keyid=request.keyid
        ) from None
    return LocalSigner(open_block(pem.split(data)[0], request, passphrases, str(path)))


def open_block(
    block: KeyBlock, request: PassphraseRequest, passphrases: PassphraseChain, where: str
) -> PrivateKey:
    """Open a key with the first passphrase that fits; `where` names its file in errors (rule 1).

    Raises:
        PassphraseNeededError: It is encrypted and no source had a passphrase.
        PassphraseWrongError: No passphrase opens it.
        UnsupportedKeyError: It cannot be used, whatever the passphrase.
    """
    tried: list[str] = []
    try:
        if not block.encrypted:
            _LOG.debug("%s is not encrypted", request.label)
            return pkcs8.decrypt(block, None)
        for source, passphrase in passphrases.candidates(request):
            try:
                key = pkcs8.decrypt(block, passphrase)
            except PassphraseWrongError:
                tried.append(source)
            else:
                _LOG.debug("%s unlocked with the passphrase from %s", request.label, source)
                return key
            _LOG.debug("%s is not opened by the passphrase from %s", request.label, source)
    except UnsupportedKeyError as error:
        raise pem.at_file(error, where) from None
    raise _closed(request, passphrases, list(dict.fromkeys(tried)), where)


def seal(
    key: PrivateKey, role: str, gun: str | None, passphrase: str, random: Callable[[int], bytes]
) -> bytes:
    """Return the text of a key's file, encrypted as the Go clients read it."""
    salt, iv = random(pkcs8.SALT_BYTES), random(pkcs8.IV_BYTES)
    return pkcs8.encrypt(key, passphrase, role, gun, salt=salt, iv=iv, iterations=pkcs8.ROUNDS)


def keyid_within(block: KeyBlock, passphrase: str) -> str:
    """Return the id of the key in a block; raise PassphraseWrongError."""
    return public_key_of(pkcs8.decrypt(block, passphrase)).keyid


def opens(block: KeyBlock, passphrase: str) -> bool:
    """Tell whether a passphrase opens a block."""
    try:
        pkcs8.decrypt(block, passphrase)
    except PassphraseWrongError:
        return False
    return True


def _path(uri: str) -> Path:
    """Return the path of a `file:` URI; on Windows a drive follows three slashes, and a server two."""
    path = uri.removeprefix("file:///" if os.name == "nt" else "file://").removeprefix("file:")
    return Path(os.fsdecode(unquote_to_bytes(path)))


def _closed(
    request: PassphraseRequest, passphrases: PassphraseChain, tried: list[str], where: str
) -> KeyAccessError:
    facts = {"keyid": request.keyid, "role": request.role, "gun": request.gun, "file": where}
    if not tried:
        return PassphraseNeededError(
            f"{request.label} is encrypted, and there is no passphrase for it",
            why=(passphrases.absence(request), f"the file is {where}"),
            advice=passphrases.advice(request),
            tried=passphrases.tried(request),
            **facts,
        )
    return PassphraseWrongError(
        f"cannot unlock {request.label}",
        why=f"tried {', '.join(tried)}; the file is {where}",
        advice=_ADVICE.get(request.role, Advice("set-delegation-passphrase")),
        tried=tried,
        **facts,
    )
