"""A key under another passphrase.

What it is: the text of its file, and what keeps it from being written. What it is not: the file (`keystore`).

Rules:

1. Nothing is written that does not hold the very key, or that holds it under the passphrase that it had.
2. A key that somebody else encrypts in between stays as that one left it: of two new passphrases one would be
   lost, and whoever chose it would not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import Advice, ConfigurationError, KeyAccessError
from notarypy.keys import keyentry
from notarypy.keys.formats import pem
from notarypy.keys.signers import keyfile

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.keyinfo import KeyInfo


def resealed(
    key: PrivateKey, info: KeyInfo, block: pem.KeyBlock, passphrase: str, before: pem.KeyBlock
) -> bytes:
    """Return what a key's file is to hold; raise KeyAccessError, ConfigurationError (rules 1 and 2)."""
    if block.der != before.der:
        raise KeyAccessError(
            f"another process has changed the passphrase of {info.request.label}, which stays as it is now",
            why=f"the file is {info.path}",
            advice=Advice("other-passphrase-now"),
            keyid=info.keyid,
            file=str(info.path),
        )
    if block.encrypted and keyfile.opens(block, passphrase):
        message = f"{info.request.label} has this passphrase already, so nothing was changed"
        raise ConfigurationError(message, advice=Advice("choose-other-passphrase"), keyid=info.keyid)
    sealed = keyfile.seal(key, info.role or "delegation", info.gun, passphrase)
    check(info, pem.split(sealed)[0], passphrase)
    return sealed


def check(info: KeyInfo, block: pem.KeyBlock, passphrase: str) -> None:
    """Raise KeyAccessError unless a block holds the key, under a passphrase."""
    keyentry.check_id(keyfile.keyid_within(block, passphrase), info)
