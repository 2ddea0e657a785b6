"""One key of a trust directory: what its file or its reference says, and what it is to say.

What it is: reading one, errors that name it, and its text under another passphrase. What it is not: finding
keys (`keypaths`), or opening and writing their files (`keystore`).

Rules:

1. Nothing is written that does not hold the very key, or that holds it under the passphrase that it had.
2. A key that somebody else encrypts in between stays as that one left it: of two new passphrases one would be
   lost, and whoever chose it would not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, KeyAccessError, KeyMissingError, UnsupportedKeyError
from notarypy.keys.formats import keyuri, pem
from notarypy.keys.keyinfo import KeyInfo
from notarypy.keys.keypaths import REFERENCE, KeyPath
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey


def stays(info: KeyInfo, advice: Advice | None = None) -> UnsupportedKeyError:
    """Return the refusal to give out, or to encrypt, the private half of a key that is elsewhere."""
    return UnsupportedKeyError(
        f"the private half of key {info.keyid[:7]} stays where it is",
        why=f"it is at {info.uri}",
        advice=advice,
        keyid=info.keyid,
        uri=info.uri,
    )


def unencrypted(info: KeyInfo, what: str) -> KeyAccessError:
    """Return the refusal to let a key that is not encrypted out of the trust directory."""
    message = f"the file of key {info.keyid[:7]} is not encrypted, so it is not {what}"
    why, advice = f"the file is {info.path}", Advice("encrypt-elsewhere")
    return KeyAccessError(message, why=why, advice=advice, keyid=info.keyid, file=str(info.path))


def info_of(keyid: str, place: KeyPath) -> KeyInfo:
    """Return what is known of the key at a place; raise KeyAccessError."""
    if not place.refers:
        return read(keyid, place)[0]
    found = reference(keyid, place)
    return KeyInfo(keyid, found.role, found.gun, place.path, encrypted=False, uri=found.uri)


def reference(keyid: str, place: KeyPath) -> keyuri.KeyReference:
    """Return what a reference says; raise KeyAccessError for one of another key."""
    try:
        found = keyuri.read(files.read_regular(place.path, DEFAULT.key_file_bytes))
    except FileNotFoundError:
        raise KeyMissingError(f"the key {keyid[:7]} has just been removed", keyid=keyid) from None
    except UnsupportedKeyError as error:
        raise _damaged(error, keyid, place) from None
    check_id(found.public.keyid, KeyInfo(keyid, found.role, None, place.path, encrypted=False))
    return found


def read(keyid: str, place: KeyPath) -> tuple[KeyInfo, pem.KeyBlock]:
    """Return what a key's file says, and its first block; which key is in it shows when it is opened."""
    return _blocks(keyid, place)[0]


def read_alone(keyid: str, place: KeyPath) -> tuple[KeyInfo, pem.KeyBlock]:
    """Return the same of a file that is to be written anew; what else is in it would be lost with that."""
    (info, block), *others = _blocks(keyid, place)
    if others:
        message, why = f"the file of key {keyid[:7]} holds several keys", f"the file is {place.path}"
        raise KeyAccessError(message, why=why, advice=Advice("split-file"), keyid=keyid, file=str(place.path))
    return info, block


def _blocks(keyid: str, place: KeyPath) -> list[tuple[KeyInfo, pem.KeyBlock]]:
    try:
        blocks = pem.split(files.read_regular(place.path, DEFAULT.key_file_bytes))
    except FileNotFoundError:
        if place.later is not None:  # it was moved out of an old layout in this moment
            return _blocks(keyid, KeyPath(place.later, "", None))
        raise KeyMissingError(f"the key {keyid[:7]} has just been removed", keyid=keyid) from None
    except UnsupportedKeyError as error:
        raise _damaged(error, keyid, place) from None
    return [(_info(keyid, place, block), block) for block in blocks]


def _info(keyid: str, place: KeyPath, block: pem.KeyBlock) -> KeyInfo:
    role = block.role or place.role
    gun = (block.gun or place.gun) if role in pem.GUN_ROLES else None
    return KeyInfo(keyid, role, gun, place.path, block.encrypted)


def _damaged(error: UnsupportedKeyError, keyid: str, place: KeyPath) -> UnsupportedKeyError:
    """Return the error for a file that cannot be read: its name says of which key it should be."""
    error.advice = Advice("note-again" if place.refers else "load-again", key=keyid[:12])
    return pem.at_file(error, str(place.path))


def check_id(actual: str, info: KeyInfo) -> None:
    """Refuse a file that holds another key than its name says (`keystore`, rule 1)."""
    if actual != info.keyid:
        raise KeyAccessError(
            f"the file of key {info.keyid[:7]} holds another key",
            why=(f"it holds {actual}", f"the file is {info.path}"),
            advice=Advice("note-again", key=info.keyid[:12])
            if info.path.suffix == REFERENCE
            else Advice("rename-key", actual=actual),
            keyid=info.keyid,
            actual=actual,
            file=str(info.path),
        )


def resealed(
    key: PrivateKey, info: KeyInfo, block: pem.KeyBlock, passphrase: str, before: pem.KeyBlock
) -> bytes:
    """Return what a key's file is to hold; raise KeyAccessError, ConfigurationError (rules 1 and 2)."""
    from notarypy.keys.signers import keyfile  # as in `keystore`

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
    check_id(keyfile.keyid_within(pem.split(sealed)[0], passphrase), info)
    return sealed
