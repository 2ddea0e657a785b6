"""Key files that exist already: imported, exported, written for cosign, changed, removed.

What it is: what `key import`, `key export`, `key passwd` and `key remove` do. What it is not: making
and loading keys (`manager`), or replacing them in a repository (`client.publish`).

Rules:

1. An import stores exported keys as they are: role, GUN and encryption untouched, no passphrase asked. All
   blocks of a file are looked at before the first one is stored; one that cannot be used stops all of them.
2. What an import takes is encrypted as docker and Go notary read it, names its key, and has a role that
   exists, if it says one. Whether it is that key shows when it is used: nobody can say without the
   passphrase.
3. A passphrase is changed after the old one opened the key; the new one comes from a source of its own, and
   the new file has been opened with it before success is reported.
4. A root key that a repository cached here could not do without is removed by force only.
5. A name is given to signers' keys alone; those of base roles are found by their role.
6. A key is written for cosign as its passphrase is changed (rule 3), but the file here stays as it is.
7. What is for cosign is of keys that sign images; a public half is bare PEM: readers of policies take no
   headers of ours.
8. An export has the keys that are named, those that were made for named repositories, or all that are here.
   One that is elsewhere stays there, with a warning if nobody named it. One that is not encrypted is left out
   with a warning, unless somebody named it or there is no other. No key at all is an error.
9. What a rotation replaced is removed where its file says that it was for this repository's targets or
   snapshot, and no cached file of any repository names it; where one cannot be read nothing is removed.
10. A key is a repository's if it was made for it, as its file says; of one that is shared nobody is told. A
    repository of which no key is here is an error.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.client.keys.selectors import (
    cached_root,
    fits,
    is_path,
    other_name,
    require_image_id,
    require_image_role,
    require_one_role,
    signer_in_file,
)
from notarypy.client.results import CheckedKey, ImportedKey
from notarypy.cosign import signaturekeys
from notarypy.errors import (
    Advice,
    ConfigurationError,
    InvalidNameError,
    KeyAccessError,
    KeyChangedError,
    KeyMissingError,
    NotarypyError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import cosignkey, pem, pkcs8
from notarypy.keys.keyentry import stays
from notarypy.keys.keyinfo import MIN_LENGTH, PassphraseRequest
from notarypy.keys.keypaths import KEYID
from notarypy.keys.signers import is_uri
from notarypy.keys.signers.base import CheckedSigner
from notarypy.limits import DEFAULT
from notarypy.tuf import envelope, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import SHORT_KEYID, meets, public_key_of
from notarypy.tuf.metadata import Root, Targets
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from notarypy.client.keys.manager import KeyManager
    from notarypy.keys.keyinfo import KeyInfo
    from notarypy.storage.trustdir import TrustDirectory

_CHALLENGE_BYTES = 32
_COSIGN = "cosign"


def import_keys(manager: KeyManager, data: bytes) -> list[ImportedKey]:
    """Store every key of an export (rules 1 and 2).

    Raises UnsupportedKeyError if one cannot be used, AlreadyExistsError if one is here under another role;
    nothing is stored then.
    """
    blocks = pem.split(data)
    for number, block in enumerate(blocks, start=1):
        try:
            _check(block)
        except (UnsupportedKeyError, InvalidNameError) as error:
            raise UnsupportedKeyError(
                f"key {number} of this file cannot be imported",
                why=(error.message, *error.why, "nothing was imported"),
                advice=error.advice or Advice("give-exported"),
            ) from None
        _check_role(manager.store.present(block.path or ""), block)
    require_one_role((block.path or "", block.role or "", _gun(block)) for block in blocks)
    done: list[ImportedKey] = []
    try:
        for block in blocks:
            already = manager.store.present(block.path or "") is not None
            stored = manager.store.store(block)
            _check_role(stored, block)  # another may have come meanwhile, which is not ours to remove
            done.append(ImportedKey(stored, already))
    except NotarypyError:
        for new in (imported.key.keyid for imported in done if not imported.already):
            with suppress(NotarypyError):  # what went wrong before is what matters
                manager.store.remove(new)
        raise
    return done


def _check(block: pem.KeyBlock) -> None:
    """Raise unless a block can be stored as it is (rule 2)."""
    pkcs8.require_portable(block)
    if len(pem.with_path(block, None)) > DEFAULT.key_file_bytes:
        why = f"a key file has at most {DEFAULT.key_file_bytes} bytes"
        raise UnsupportedKeyError("it is too large", why=why)
    if KEYID.fullmatch(block.path or "") is None:
        raise UnsupportedKeyError("it does not say which key it is", advice=Advice("store-key"))
    if block.role is not None and block.role not in roles.BASE_ROLES:
        roles.signer_role(block.role)
    if block.role in pem.GUN_ROLES:
        if block.gun is None:
            raise UnsupportedKeyError(f"it is a {block.role} key and does not say of which repository")
        roles.check_gun(block.gun)


def _gun(block: pem.KeyBlock) -> str | None:
    return block.gun if block.role in pem.GUN_ROLES else None


def _check_role(present: KeyInfo | None, block: pem.KeyBlock) -> None:
    if present is not None and (present.role, present.gun) != (block.role or "", _gun(block)):
        raise other_name(present, block.role or "", "nothing was imported")


def change_passphrase(manager: KeyManager, selector: str, new: Callable[[PassphraseRequest], str]) -> KeyInfo:
    """Encrypt a key under another passphrase; `new` is asked after the old one opened it (rule 3)."""
    info = manager.find(selector)
    if info.uri is not None:
        raise stays(info, Advice("change-pin-there"))
    before = manager.store.block(info.keyid)
    manager.store.unlock(info.keyid, manager.passphrases)
    passphrase = _long_enough(new(info.request), info)
    return manager.store.change_passphrase(info.keyid, manager.passphrases, passphrase, before)


def _long_enough(passphrase: str, info: KeyInfo) -> str:
    if len(passphrase) < MIN_LENGTH:
        message = f"the new passphrase for {info.request.label} is too short"
        raise ConfigurationError(message, why=f"it has fewer than {MIN_LENGTH} characters")
    return passphrase


def private_file(manager: KeyManager, selector: str, new: Callable[[PassphraseRequest], str]) -> bytes:
    """Return a key of the trust directory as a key file of cosign; `new` is asked second (rules 6 and 7)."""
    info = manager.find(selector)
    require_image_role(info.role, info.request.label)
    if info.uri is not None:
        raise stays(info, Advice("give-cosign-uri"))
    key = manager.store.private_key(info.keyid, manager.passphrases)
    passphrase = _long_enough(new(replace(info.request, new=True, cosign=True)), info)
    salt, nonce = os.urandom(cosignkey.SALT_BYTES), os.urandom(cosignkey.NONCE_BYTES)
    written = cosignkey.encrypt(key, passphrase, salt=salt, nonce=nonce)
    again = cosignkey.decrypt(pem.split(written, cosign=True)[0], passphrase, ed25519=True)
    if public_key_of(again).keyid != info.keyid:
        raise KeyChangedError(f"{info.request.label} is another key after it was written", keyid=info.keyid)
    return written


def public_file(manager: KeyManager, selector: str) -> bytes:
    """Return the public half of the key that a KEYREF means (rule 7)."""
    if is_path(selector):
        key = signaturekeys.of(signer_in_file(selector, manager.passphrases)[0].public)
    elif is_uri(selector) and not any(fits(info, selector) for info in manager.store.list()):
        key = signaturekeys.of(manager.store.look(selector, _COSIGN, manager.passphrases, cosign=True).public)
    else:
        key = signaturekeys.load(manager.public(selector, _COSIGN))
    require_image_id(key.public.keyid, manager.store, selector)
    return key.pem


def keys_of(manager: KeyManager, directory: TrustDirectory, gun: str) -> list[KeyInfo]:
    """Return the keys here that a repository has in any of its roles, or that are for it alone."""
    ids = _named(directory, gun)
    every = [*manager.store.list(), *manager.store.damaged()]
    found = [info for info in every if info.keyid in ids or info.gun == gun]
    if not found:
        message, advice = f"no key of {gun} is here", Advice("list-keys")
        raise KeyMissingError(message, why="" if ids else "nothing of it is cached here", advice=advice)
    return found


def _named(directory: TrustDirectory, gun: str) -> set[str]:
    """Return the ids of all keys that the cached files of a repository name."""
    cache, ids = directory.repository(gun), set[str]()
    for role in cache.cached():
        data = None if role in {roles.SNAPSHOT, roles.TIMESTAMP} else cache.load(role)
        if data is not None:
            signed, limits = Envelope.parse(data, role, directory.limits).signed, directory.limits
            read = Root.from_signed(signed, limits) if role == roles.ROOT else None
            names = (read or Targets.from_signed(signed, role, limits)).keys
            ids |= {key.canonical_id for key in names.values()}
    return ids


def remove_replaced(
    manager: KeyManager, directory: TrustDirectory, gun: str, keyids: Collection[str]
) -> list[KeyInfo]:
    """Delete the files of keys that were those of a repository's targets or snapshot (rule 9)."""
    replaced = [info for info in manager.store.list() if info.keyid in keyids and not info.refers]
    own = [info for info in replaced if info.gun == gun and info.role in {roles.TARGETS, roles.SNAPSHOT}]
    named = set[str]().union(*(_named(directory, one) for one in directory.guns())) if own else set()
    removed = [info for info in own if info.keyid not in named]
    for info in removed:
        manager.store.remove(info.keyid)
    return removed


def test_key(manager: KeyManager, selector: str) -> CheckedKey:
    """Let a key sign a random challenge and verify that; raise KeyChangedError, or what its place raises."""
    info = manager.find(selector)
    signer, challenge = manager.store.unlock(info.keyid, manager.passphrases), os.urandom(_CHALLENGE_BYTES)
    method, signature = signer.sign(challenge)
    if not envelope.verify(signer.public, method, signature, challenge):
        raise KeyChangedError(f"{info.request.label} makes signatures that are not valid", keyid=info.keyid)
    return CheckedKey(info, signer.properties() if isinstance(signer, CheckedSigner) else {})


def rename_key(manager: KeyManager, selector: str, name: str) -> KeyInfo:
    """Give a signer's key another name; raise KeyAccessError for one whose role is its use (rule 5)."""
    info = manager.find(selector)
    if info.role in roles.BASE_ROLES:
        what = f"key {info.keyid[:SHORT_KEYID]} is a {info.role} key and has no other name"
        raise KeyAccessError(what, keyid=info.keyid)
    return manager.store.rename(info.keyid, roles.key_name(name))


def removable(
    manager: KeyManager, directory: TrustDirectory, selector: str, others: Sequence[str], *, force: bool
) -> KeyInfo:
    """Return a key that may go, with others; KeyAccessError: a root could not be replaced then (rule 4)."""
    info = manager.find(selector, damaged=True)
    rest = manager.store.available() - {info.keyid, *others}
    if not force and (needed := _roots_that_need(info, rest, directory)):
        it = "the last copy here of" if not info.refers else "all that leads from here to"
        raise KeyAccessError(
            f"key {info.keyid[:SHORT_KEYID]} is {it} a root key that is needed",
            why=f"without it nobody here can change the root of {', '.join(needed)}",
            advice=_kept_first(info, manager),
            keyid=info.keyid,
            repositories=needed,
        )
    return info


def _kept_first(info: KeyInfo, manager: KeyManager) -> Advice:
    """Return how to keep what is known of a root key before it is removed."""
    if info.uri is not None:
        return Advice("keep-uri", uri=info.uri)
    broken = info in manager.store.damaged()
    return Advice("keep-file", file=str(info.path)) if broken else Advice("export-key-first")


def _roots_that_need(info: KeyInfo, rest: Collection[str], directory: TrustDirectory) -> list[str]:
    """Return the cached repositories whose root `rest` could not sign, and those nobody can read."""
    needed = []
    for gun in directory.guns():
        try:
            root = cached_root(directory, gun)
            ids = {key.canonical_id for key in root.signers(roles.ROOT)}
        except NotarypyError:
            needed += [f"{gun} (its cached root cannot be read)"] if info.role == roles.ROOT else []
            continue
        if info.keyid in ids and not meets(ids.intersection(rest), root.roles[roles.ROOT].threshold):
            needed.append(gun)
    return needed


def export(
    manager: KeyManager,
    directory: TrustDirectory,
    keys: Sequence[str] | None,
    guns: Sequence[str] | None,
    warn: Callable[[str], None],
) -> bytes:
    """Return keys as PEM blocks, encrypted as they are here (rule 8)."""
    if keys and guns:
        raise TypeError("keys are named, or repositories, and not both")
    return manager.export(_exported(manager, directory, guns or (), warn) if keys is None or guns else keys)


def _exported(
    manager: KeyManager, directory: TrustDirectory, guns: Sequence[str], warn: Callable[[str], None]
) -> list[str]:
    """Return the ids of the keys of repositories, or of all keys, that an export can have (rules 8, 10)."""
    every = manager.store.list()
    for warning in manager.store.warnings:
        warn(warning)
    chosen = [info for info in every if not guns or info.gun in guns]
    for info in {info.keyid: info for info in (*chosen, *_of_roots(manager, directory, guns))}.values():
        if info.uri:
            warn(f"key {info.keyid} stays at {info.uri}, and is not in it")
    here = [info for info in chosen if info.uri is None]
    lacking = [gun for gun in guns if all(info.gun != gun for info in here)]
    if lacking or not here:
        where = ", ".join(lacking) or str(directory.path)
        noted = any(not lacking or info.gun in lacking for info in chosen)
        said = f"no key of {where} is in a file here" if noted else f"there are no keys of {where} here"
        raise KeyMissingError(said, advice=Advice("list-keys"))
    closed = [info for info in here if info.encrypted]
    for info in here if closed else ():
        if not info.encrypted:
            warn(f"key {info.keyid} is not encrypted in {info.path}, and is not in it")
    return sorted({info.keyid for info in closed or here})


def _of_roots(manager: KeyManager, directory: TrustDirectory, guns: Sequence[str]) -> list[KeyInfo]:
    """Return the keys that cached roots of repositories have (rules 8 and 10)."""
    found: list[KeyInfo] = []
    for gun in guns:
        with suppress(NotarypyError):  # nothing is known of it, or nobody can read it
            found += keys_of(manager, directory, gun)
    return found
