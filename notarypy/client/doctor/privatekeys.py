"""The private keys here: whether they can be read and by whom, and whether their places can be reached.

What it is: what is known of keys without a passphrase or a PIN. What it is not: a test whether they sign:
`key test` is.

Rules:

1. No passphrase is asked for and no PIN is tried. Where a place tells nothing without one, that is said.
2. A key that belongs to a repository, or is a signer's, and is in no role of what was looked at, is of no use
   there any more. A root key is, for the next repository. Only servers know: what is cached or in an archive
   may be older than the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy import files, system
from notarypy.client.findings import quoted
from notarypy.errors import Advice, NotarypyError, PassphraseNeededError, PassphraseWrongError
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import PassphraseChain
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from notarypy.client.findings import Findings
    from notarypy.client.session import Session
    from notarypy.keys.keyinfo import KeyInfo

_OTHERS = 0o077
_SHORT = 12
_AREA = "keys"


def keys(found: Findings, session: Session) -> list[KeyInfo]:
    """Look at every key here, and return those that can be read."""
    settings = session.settings
    store = KeyStore(
        session.trust_dir.private, None, settings.environ, settings.timeout, offline=settings.offline
    )
    listed: list[KeyInfo] = []
    with found.looking(_AREA):
        listed = store.list()
        for key in store.damaged():
            if key.path.is_symlink():
                found.bad(_AREA, f"{key.path} is a link, and is not followed", Advice("put-file"))
                continue
            with found.looking(_AREA):
                store.find(key.keyid)
        for sentence in store.warnings:
            if "is ignored" in sentence:
                found.warning(_AREA, sentence, Advice("load-instead"))
        for key in listed:
            with found.looking(_AREA):
                _key(found, store, key)
        if not listed and not store.warnings and not files.lacks_home(store.directory):
            found.ok(_AREA, "no private key is here: what is signed can be verified, and nothing signed")
    return listed


def _key(found: Findings, store: KeyStore, key: KeyInfo) -> None:
    name = _name(key)
    mode = system.permissions(key.path.stat())
    if mode & _OTHERS:
        found.bad(
            _AREA,
            f"other users may read or change {name} (mode {mode:o})",
            Advice("close-file", path=quoted(key.path)),
        )
    if key.uri is not None:
        _elsewhere(found, store, key)
        return
    if not key.role:
        found.warning(
            _AREA,
            f"{name} has no role: nobody can tell what it is for",
            Advice("name-key", key=key.keyid[:_SHORT]),
        )
    if not key.encrypted:
        found.warning(
            _AREA,
            f"{name} is not encrypted: whoever has the file has the key",
            Advice("encrypt-key", key=key.keyid[:_SHORT]),
        )
    elif not mode & _OTHERS:
        found.ok(_AREA, f"{name} is here, encrypted", keyid=key.keyid, role=key.role, gun=key.gun)


def _elsewhere(found: Findings, store: KeyStore, key: KeyInfo) -> None:
    """Ask the place of a key for it, as far as that takes no PIN (rule 1)."""
    name, facts = f"{_name(key)}, at {key.uri},", {"keyid": key.keyid, "role": key.role, "uri": key.uri}
    try:
        signer = store.unlock(key.keyid, PassphraseChain([]))
        properties: Mapping[str, str] = getattr(signer, "properties", dict)()
    except (PassphraseNeededError, PassphraseWrongError):
        found.ok(_AREA, f"{name} is there; whether it signs shows only with its PIN", **facts)
    except NotarypyError as error:
        found.failure(_AREA, error)
    else:
        said = ", ".join(f"{each}: {properties[each]}" for each in list(properties)[:3])
        found.ok(_AREA, f"{name} can be reached{f' ({said})' if said else ''}", **facts)


def unused(
    found: Findings, listed: Collection[KeyInfo], used: Mapping[str, Collection[str]], *, everything: bool
) -> None:
    """Name keys for roles that no longer exist (rule 2); `used` are the keys of all roles, by repository.

    `everything` tells that all repositories known here were looked at.
    """
    anywhere = {keyid for keyids in used.values() for keyid in keyids}
    for key in listed:
        if key.role == roles.ROOT or key.keyid in anywhere:
            continue
        if key.gun is not None and key.gun in used:
            text = f"{_name(key)} is in no role of {key.gun} any more"
        elif key.gun is None and everything and used:
            text = f"{_name(key)} is in no role of the repositories known here"
        else:
            continue
        found.warning(_AREA, text, Advice("remove-key", key=key.keyid[:_SHORT]))


def _name(key: KeyInfo) -> str:
    of = f" of {key.gun}" if key.gun else ""
    return f"key {key.keyid[:_SHORT]} ({key.role or 'no role'}{of})"
