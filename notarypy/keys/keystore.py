"""The private key files of a trust directory, which docker and Go notary share with us.

What it is: finding, unlocking, adding and removing `private/<id>.key`. What it is not: the choice of a key
for a role, or of a passphrase (`passphrases`).

Rules:

1. A file's name is its key's canonical id. A key is used only if its public half has that id.
2. A new key is on the disk before anybody hears of it. A key that is there already is left as it is.
3. Each key is unlocked once per KeyStore; nobody is asked twice, from no thread.
4. What cannot be read is skipped with a warning when keys are listed, and is an error when it is the key that
   is wanted.
5. The present layout is `<id>.key`; it wins where a key is in two places.
6. `root_keys/`, `tuf_keys/<GUN>/` and `<id>_<role>.key`, the layouts of Notary before 0.4, are read where
   they are and never moved: Go's clients move them. Links in place of folders are not followed.

The module `keyfile` is imported where it is used: its cryptography takes as long as all else that `key list`
does, and listing keys needs none.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from notarypy import files
from notarypy.errors import (
    Advice,
    ConfigurationError,
    KeyAccessError,
    KeyMissingError,
    NotarypyError,
    StorageError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem
from notarypy.keys.passphrases import PassphraseChain, PassphraseRequest
from notarypy.keys.signers import Signer, open_signer
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey

    KeyInfos = list["KeyInfo"]  # the method `list` hides the type inside the class

_LOG = logging.getLogger(__name__)
KEYID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(rf"({KEYID.pattern})(?:_(.+))?\.key")
_OLD_ROOT, _OLD_TUF = "root_keys", "tuf_keys"


@dataclass(frozen=True)
class KeyInfo:
    """What is known of a key without its passphrase.

    Attributes:
        keyid: The canonical id, from the file's name.
        role: A base role, a signer's name or a delegation role; empty when the file does not say.
        gun: The repository, for a key that belongs to one.
        path: The file.
        encrypted: Whether it takes a passphrase.
    """

    keyid: str
    role: str
    gun: str | None
    path: Path
    encrypted: bool

    @property
    def request(self) -> PassphraseRequest:
        """The question for this key's passphrase."""
        return PassphraseRequest(self.keyid, self.role, self.gun)


@dataclass(frozen=True)
class StoredKey(KeyInfo):
    """A key that was to be stored.

    Attributes:
        already: Whether it was here before: it was left as it is then, and has the passphrase that it had.
        passphrase_from: The name of what gave the passphrase that it has; None if it was here before.
    """

    already: bool
    passphrase_from: str | None


class KeyPath(NamedTuple):
    """Where a key's file is, and what its place says of it: nothing in the present layout."""

    path: Path
    role: str
    gun: str | None


class KeyStore:
    """The keys of one trust directory; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        """Take `<trust directory>/private`, which need not exist."""
        self.directory = directory
        self.warnings: list[str] = []
        self._unlocked: dict[str, Signer] = {}
        self._lock = threading.RLock()

    def available(self) -> frozenset[str]:
        """Return the canonical ids of all keys here, from the files' names."""
        return frozenset(_key_paths(self.directory)[0])

    def find(self, keyid: str) -> KeyInfo | None:
        """Return what is known of the key with exactly this id; raise KeyAccessError for an unusable file."""
        place = _key_paths(self.directory)[0].get(keyid)
        return None if place is None else _read(keyid, place)[0]

    def unlock(self, keyid: str, passphrases: PassphraseChain) -> Signer:
        """Return a signer with a key (rules 1 and 3).

        Raises KeyMissingError, PassphraseNeededError, PassphraseWrongError, or KeyAccessError for a file that
        cannot be used or holds another key.
        """
        with self._lock:
            signer = self._unlocked.get(keyid)
            if signer is None:
                info, _ = self._found(keyid)
                signer = open_signer(info.path.absolute().as_uri(), info.request, passphrases)
                _check_id(signer.public.keyid, info)
                self._unlocked[keyid] = signer
            return signer

    def private_key(self, keyid: str, passphrases: PassphraseChain) -> PrivateKey:
        """Return the private half of a key, for certificates; raise as `unlock`, or if its place keeps it."""
        from notarypy.keys.signers.keyfile import LocalSigner

        signer = self.unlock(keyid, passphrases)
        if not isinstance(signer, LocalSigner):
            raise UnsupportedKeyError(f"the private half of key {keyid[:7]} stays where it is", keyid=keyid)
        return signer.private

    def add(self, key: PrivateKey, role: str, gun: str | None, passphrase: str) -> KeyInfo:
        """Store a key, encrypted; it stays unlocked (rule 2).

        Raises InvalidNameError if its role or GUN cannot stand in a file, StorageError, UnsupportedKeyError.
        """
        from notarypy.keys.signers import keyfile

        signer = keyfile.LocalSigner(key)
        keyid = signer.public.keyid
        with self._lock:
            present = self.find(keyid)
            if present is None:
                path = self.directory / f"{keyid}.key"
                files.write_atomic(path, keyfile.seal(key, role, gun, passphrase))
                present, _ = self._found(keyid)
                self._unlocked[keyid] = signer
                _LOG.debug("stored %s in %s", present.request.label, path)
            return present

    def store(self, block: pem.KeyBlock) -> KeyInfo:
        """Store an exported, encrypted block under its id; raise UnsupportedKeyError or StorageError."""
        keyid = block.path or ""
        if not block.encrypted or KEYID.fullmatch(keyid) is None:
            why = "it is not encrypted, or its path header is no key id"
            raise UnsupportedKeyError("this block cannot be stored as it is", why=why)
        with self._lock:
            if keyid not in _key_paths(self.directory)[0]:
                files.write_atomic(self.directory / f"{keyid}.key", pem.with_path(block, None))
                _LOG.debug("stored key %s as it came, still encrypted", keyid)
            return self._found(keyid)[0]

    def export(self, keyid: str) -> bytes:
        """Return an encrypted key as a PEM block that names it; raise KeyAccessError for another."""
        info, block = self._found(keyid)
        if not info.encrypted:
            message = f"the file of key {keyid[:7]} is not encrypted, so it is not exported"
            why, advice = f"the file is {info.path}", Advice("encrypt-elsewhere")
            raise KeyAccessError(message, why=why, advice=advice, keyid=keyid, file=str(info.path))
        return pem.with_path(block, keyid)

    def rename(self, keyid: str, role: str) -> KeyInfo:
        """Write another role into a key's file, for docker and Go notary too; it stays encrypted as it is."""
        with self._lock:
            info, block = self._found(keyid)
            headers = {name: value for name, value in block.headers.items() if value and name != "gun"}
            files.write_atomic(info.path, pem.text(block.label, {**headers, "role": role}, block.der))
            _LOG.debug("key %s was called %s and is called %s", keyid, info.role, role)
            return self._found(keyid)[0]

    def change_passphrase(self, keyid: str, passphrases: PassphraseChain, passphrase: str) -> KeyInfo:
        """Encrypt a key anew; raise as `unlock` and `add`, or ConfigurationError if nothing would change."""
        from notarypy.keys.signers import keyfile

        with self._lock:
            key = self.private_key(keyid, passphrases)
            info, block = self._found(keyid)
            if block.encrypted and keyfile.opens(block, passphrase):
                message = f"{info.request.label} has this passphrase already, so nothing was changed"
                raise ConfigurationError(message, advice=Advice("choose-other-passphrase"), keyid=keyid)
            sealed = keyfile.seal(key, info.role or "delegation", info.gun, passphrase)
            _check_id(keyfile.keyid_within(pem.split(sealed)[0], passphrase), info)
            files.write_atomic(info.path, sealed)
            info, block = self._found(keyid)
            _check_id(keyfile.keyid_within(block, passphrase), info)
            _LOG.debug("%s has another passphrase now", info.request.label)
            return info

    def remove(self, keyid: str) -> None:
        """Delete a key's file; raise KeyMissingError if there is none, or StorageError."""
        with self._lock:
            path = self._place(keyid).path
            self._unlocked.pop(keyid, None)
            try:
                path.unlink()
            except OSError as error:
                why = error.strerror or ""
                raise StorageError(f"cannot delete {path}", why=why, path=str(path)) from error
            _LOG.debug("deleted key %s: %s", keyid, path)

    def list(self) -> KeyInfos:
        """Return all keys here, by id; what cannot be read becomes one of `warnings` (rule 4)."""
        found: KeyInfos = []
        located, problems = _key_paths(self.directory)
        for keyid, place in sorted(located.items()):
            try:
                found.append(_read(keyid, place)[0])
            except NotarypyError as error:
                problems.append("; ".join([error.message, *error.why]))
        self.warnings = problems
        return found

    def _place(self, keyid: str) -> KeyPath:
        place = _key_paths(self.directory)[0].get(keyid)
        if place is None:
            message, why = f"there is no key {keyid[:7]} here", f"looked in {self.directory}"
            raise KeyMissingError(message, why=why, advice=Advice("load-key"), keyid=keyid)
        return place

    def _found(self, keyid: str) -> tuple[KeyInfo, pem.KeyBlock]:
        return _read(keyid, self._place(keyid))


def _read(keyid: str, place: KeyPath) -> tuple[KeyInfo, pem.KeyBlock]:
    try:
        block = pem.split(files.read_regular(place.path, DEFAULT.key_file_bytes))[0]
    except FileNotFoundError:
        raise KeyMissingError(f"the key {keyid[:7]} has just been removed", keyid=keyid) from None
    except UnsupportedKeyError as error:
        raise pem.at_file(error, str(place.path)) from None
    role = block.role or place.role
    gun = (block.gun or place.gun) if role in pem.GUN_ROLES else None
    return KeyInfo(keyid, role, gun, place.path, block.encrypted), block


def _check_id(actual: str, info: KeyInfo) -> None:
    """Refuse a file that holds another key than its name says (rule 1)."""
    if actual != info.keyid:
        raise KeyAccessError(
            f"the file of key {info.keyid[:7]} holds another key",
            why=(f"it holds {actual}", f"the file is {info.path}"),
            advice=Advice("rename-key", actual=actual),
            keyid=info.keyid,
            actual=actual,
            file=str(info.path),
        )


def _key_paths(directory: Path) -> tuple[dict[str, KeyPath], list[str]]:
    """Return key files by id, and a sentence on each whose name has no id (rule 5); raise StorageError."""
    found: dict[str, KeyPath] = {}
    ignored: list[str] = []
    for path, role, gun in _candidates(directory):
        match = _NAME.fullmatch(path.name)
        if match is None:
            ignored.append(f"{path} is ignored; its name is not a key id")
        else:
            found.setdefault(match.group(1), KeyPath(path, match.group(2) or role, gun))
    return found, ignored


def _candidates(directory: Path) -> Iterator[KeyPath]:
    """Yield key files, those of the present layout first (rules 5 and 6)."""
    for path in sorted(_key_files(directory), key=lambda path: len(path.name)):
        yield KeyPath(path, "", None)
    for path in _key_files(directory / _OLD_ROOT):
        yield KeyPath(path, "root", None)
    old = directory / _OLD_TUF
    for parent, folders, _ in os.walk(old):
        folders.sort()
        folder = old.joinpath(parent)
        gun = folder.relative_to(old).as_posix() if folder != old else None
        yield from (KeyPath(path, "", gun) for path in _key_files(folder))


def _key_files(directory: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is needed
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        message, advice = f"cannot list the keys in {directory}", Advice("check-owner")
        raise StorageError(message, why=error.strerror or "", advice=advice) from error
    return [directory / name for name in names if name.endswith(".key")]
