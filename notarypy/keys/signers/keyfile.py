"""Making signatures: what a signer is, and the signer whose key is in memory.

What it is: the protocol every holder of a key fulfils, local or remote. What it
is not: reading keys (`keystore`) or checking signatures (`notarypy.tuf.signatures`).

Rules:

1. A signer signs with one method, that of its key's type: ECDSA with SHA-256 on
   every curve, as r and s; RSA-PSS with SHA-256 and a salt of 32 bytes; Ed25519
   over the message itself.
2. A signer's public key is the bare one; which certificate it stands in is the
   metadata's business.
3. A signer never shows its private key, not even to a debugger's `repr`.

Opening one private key: its passphrases in turn, and what is said when none fits.

What it is: the way from a closed key block to a key. What it is not: where blocks are
from (`keystore`), or passphrases (`passphrase`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from notarypy.errors import (
    Advice,
    KeyAccessError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem
from notarypy.tuf.keys import public_key_of
from notarypy.tuf.signatures import METHOD_FOR, ecdsa_raw

if TYPE_CHECKING:
    from notarypy.keys.formats.pem import KeyBlock, PrivateKey
    from notarypy.keys.passphrases import PassphraseChain, PassphraseRequest
    from notarypy.tuf.keys import PublicKey

_PSS_SALT = 32


class Signer(Protocol):
    """Whoever can sign with one key."""

    @property
    def public(self) -> PublicKey:
        """The bare public key."""

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature as metadata carries it, before base64."""


class LocalSigner:
    """A signer whose private key is in this process."""

    def __init__(self, key: PrivateKey) -> None:
        """Take a key; raise UnsupportedKeyError for one that Notary cannot verify."""
        self.public = public_key_of(key)
        self._key = key

    def __repr__(self) -> str:
        """Show the public half only (rule 3)."""
        return f"LocalSigner({self.public.keytype}, {self.public.keyid})"

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature as metadata carries it, before base64."""
        return METHOD_FOR[self.public.keytype], self._signature(message)

    def _signature(self, message: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256

        key = self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return ecdsa_raw(key.sign(message, ec.ECDSA(SHA256())), key.curve.key_size)
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(message, padding.PSS(padding.MGF1(SHA256()), _PSS_SALT), SHA256())
        return key.sign(message)


def open_block(
    block: KeyBlock, request: PassphraseRequest, passphrases: PassphraseChain, where: str
) -> PrivateKey:
    """Open a key with the first passphrase that fits; `where` names its file in errors.

    Raises:
        PassphraseNeededError: It is encrypted and no source had a passphrase.
        PassphraseWrongError: No passphrase opens it.
        UnsupportedKeyError: It cannot be used, whatever the passphrase.
    """
    tried: list[str] = []
    try:
        if not block.encrypted:
            return pem.decrypt(block, None)
        for source, passphrase in passphrases.candidates(request):
            try:
                return pem.decrypt(block, passphrase)
            except PassphraseWrongError:
                tried.append(source)
    except UnsupportedKeyError as error:
        raise at_file(error, where) from None
    raise _closed(request, passphrases, list(dict.fromkeys(tried)), where)


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


_ADVICE = {
    "root": Advice("set-root-passphrase"),
    "targets": Advice("set-targets-passphrase"),
    "snapshot": Advice("set-snapshot-passphrase"),
}


def at_file(error: UnsupportedKeyError, where: str) -> UnsupportedKeyError:
    """Add the file to an error of the reader, which knows only bytes."""
    facts = {**error.facts, "file": where}
    return UnsupportedKeyError(
        error.message, why=(*error.why, f"the file is {where}"), advice=error.advice, **facts
    )
