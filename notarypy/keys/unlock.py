"""Opening one private key: its passphrases in turn, and what is said when none fits.

What it is: the way from a closed key block to a key. What it is not: where blocks are
from (`keystore`), or passphrases (`passphrase`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    KeyAccessError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys import pem

if TYPE_CHECKING:
    from notarypy.keys.passphrase import PassphraseChain, PassphraseRequest
    from notarypy.keys.pem import KeyBlock, PrivateKey


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
