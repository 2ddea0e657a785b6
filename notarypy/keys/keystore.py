"""The private key files of a trust directory.

What it is: finding, unlocking, adding and removing `private/<id>.key`, the files
docker and notary share with us. What it is not: the choice of a key for a role,
or of a passphrase (`passphrase`).

Rules:

1. A file's name is its key's canonical id. A key is used only if its public half
   has that id.
2. `root_keys/`, `tuf_keys/` and `<id>_<role>.key`, the layouts of Notary before
   0.4, are read where they are and never moved: Go's clients move them.
3. A new key is on the disk before anybody hears of it. A key that is there
   already is left as it is.
4. Each key is unlocked once per KeyStore; nobody is asked twice, from no thread.
5. What cannot be read is skipped with a warning when keys are listed, and is an
   error when it is the key that is wanted.

Where key files lie in a trust directory, now and in the layouts of Notary before 0.4.

What it is: from names and places to ids, roles and GUNs. What it is not: it opens
no file (`keystore`).

Rules:

6. The present layout is `<id>.key`; it wins where a key is in two places.
7. Old layouts are `<id>_<role>.key`, `root_keys/` and `tuf_keys/<GUN>/`. Links in
   place of folders are not followed.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from notarypy import files
from notarypy.errors import (
    Advice,
    ConfigurationError,
    KeyAccessError,
    KeyMissingError,
    NotarypyError,
    PassphraseWrongError,
    StorageError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem
from notarypy.keys.passphrases import PassphraseRequest
from notarypy.keys.signers.keyfile import LocalSigner, at_file, open_block
from notarypy.limits import DEFAULT
from notarypy.tuf.keys import public_key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from notarypy.keys.formats.pem import KeyBlock, PrivateKey
    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.keys.signers.keyfile import Signer

    KeyInfos = list["KeyInfo"]  # the method `list` hides the type inside the class
    Texts = list[str]


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


class KeyStore:
    """The keys of one trust directory; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        """Take `<trust directory>/private`, which need not exist."""
        self.directory = directory
        self.warnings: Texts = []
        self._unlocked: dict[str, PrivateKey] = {}
        self._lock = threading.RLock()

    def available(self) -> frozenset[str]:
        """Return the canonical ids of all keys here, from the files' names."""
        return frozenset(places(self.directory)[0])

    def find(self, keyid: str) -> KeyInfo | None:
        """Return what is known of the key with exactly this id.

        Raises:
            KeyAccessError: Its file cannot be used.
        """
        place = places(self.directory)[0].get(keyid)
        return None if place is None else self._read(keyid, place)[0]

    def private_key(self, keyid: str, passphrases: PassphraseChain) -> PrivateKey:
        """Unlock a key (rules 1 and 4).

        Raises:
            KeyMissingError: It is not here.
            PassphraseNeededError: It is encrypted and no source had a passphrase.
            PassphraseWrongError: No passphrase opens it.
            KeyAccessError: Its file cannot be used, or holds another key.
        """
        with self._lock:
            key = self._unlocked.get(keyid)
            if key is None:
                info, block = self._read(keyid, self._place(keyid))
                key = open_block(block, info.request, passphrases, str(info.path))
                _check_id(key, info)
                self._unlocked[keyid] = key
            return key

    def unlock(self, keyid: str, passphrases: PassphraseChain) -> Signer:
        """Return a signer with this key; raise as `private_key` does."""
        return LocalSigner(self.private_key(keyid, passphrases))

    def add(
        self,
        key: PrivateKey,
        role: str,
        gun: str | None,
        passphrase: str,
        random: Callable[[int], bytes] = os.urandom,
    ) -> KeyInfo:
        """Store a key, encrypted; it stays unlocked (rule 3).

        Raises:
            InvalidNameError: The role or GUN cannot stand in a key file.
            StorageError: The file could not be written.
            UnsupportedKeyError: Notary cannot use such a key.
        """
        keyid = public_key_of(key).keyid
        with self._lock:
            present = self.find(keyid)
            if present is None:
                files.write_atomic(self._path(keyid), _sealed(key, role, gun, passphrase, random))
                present = self._read(keyid, self._place(keyid))[0]
                self._unlocked[keyid] = key
            return present

    def store(self, block: KeyBlock) -> KeyInfo:
        """Store an exported block, still encrypted, under the id it names; its passphrase stays.

        Raises:
            UnsupportedKeyError: The block is not encrypted, or does not name its key.
            StorageError: The file could not be written.
        """
        keyid = block.path or ""
        if not block.encrypted or KEYID.fullmatch(keyid) is None:
            raise UnsupportedKeyError(
                "this block cannot be stored as it is",
                why="it is not encrypted, or its path header is no key id",
            )
        with self._lock:
            if keyid not in places(self.directory)[0]:
                files.write_atomic(self._path(keyid), pem.with_path(block, None))
            return self._read(keyid, self._place(keyid))[0]

    def export(self, keyid: str) -> bytes:
        """Return the key as a PEM block that names it, encrypted as it is here.

        Raises:
            KeyMissingError: It is not here.
            KeyAccessError: Its file cannot be used, or is not encrypted.
        """
        info, block = self._read(keyid, self._place(keyid))
        if not info.encrypted:
            raise KeyAccessError(
                f"the file of key {keyid[:7]} is not encrypted, so it is not exported",
                why=f"the file is {info.path}",
                advice=Advice("encrypt-elsewhere"),
                keyid=keyid,
                file=str(info.path),
            )
        return pem.with_path(block, keyid)

    def change_passphrase(
        self,
        keyid: str,
        passphrases: PassphraseChain,
        passphrase: str,
        random: Callable[[int], bytes] = os.urandom,
    ) -> KeyInfo:
        """Encrypt a key anew, after unlocking it; raise as `private_key` and `add` do.

        Raises:
            ConfigurationError: It has this passphrase already.
        """
        with self._lock:
            key = self.private_key(keyid, passphrases)
            info, block = self._read(keyid, self._place(keyid))
            if _opens(block, passphrase):
                raise ConfigurationError(
                    f"{info.request.label} has this passphrase already, so nothing was changed",
                    advice=Advice("choose-other-passphrase"),
                    keyid=keyid,
                )
            sealed = _sealed(key, info.role or "delegation", info.gun, passphrase, random)
            _check_id(pem.decrypt(pem.split(sealed)[0], passphrase), info)
            files.write_atomic(info.path, sealed)
            info, block = self._read(keyid, self._place(keyid))
            _check_id(pem.decrypt(block, passphrase), info)
            return info

    def remove(self, keyid: str) -> None:
        """Delete a key's file.

        Raises:
            KeyMissingError: It is not here.
            StorageError: The file could not be deleted.
        """
        with self._lock:
            path = self._place(keyid).path
            self._unlocked.pop(keyid, None)
            try:
                path.unlink()
            except OSError as error:
                raise StorageError(
                    f"cannot delete {path}", why=error.strerror or "", path=str(path)
                ) from error

    def list(self) -> KeyInfos:
        """Return all keys here, by id; what cannot be read becomes one of `warnings` (rule 5)."""
        found: KeyInfos = []
        located, problems = places(self.directory)
        for keyid, place in sorted(located.items()):
            try:
                found.append(self._read(keyid, place)[0])
            except NotarypyError as error:
                problems.append("; ".join([error.message, *error.why]))
        self.warnings = problems
        return found

    def _path(self, keyid: str) -> Path:
        return self.directory / f"{keyid}.key"

    def _place(self, keyid: str) -> Place:
        place = places(self.directory)[0].get(keyid)
        if place is None:
            raise KeyMissingError(
                f"there is no key {keyid[:7]} here",
                why=f"looked in {self.directory}",
                advice=Advice("load-key"),
                keyid=keyid,
            )
        return place

    def _read(self, keyid: str, place: Place) -> tuple[KeyInfo, KeyBlock]:
        try:
            block = pem.split(files.read_regular(place.path, DEFAULT.key_file_bytes))[0]
        except FileNotFoundError:
            raise KeyMissingError(f"the key {keyid[:7]} has just been removed", keyid=keyid) from None
        except UnsupportedKeyError as error:
            raise at_file(error, str(place.path)) from None
        role = block.role or place.role
        gun = (block.gun or place.gun) if role in pem.GUN_ROLES else None
        return KeyInfo(keyid, role, gun, place.path, block.encrypted), block


def _opens(block: KeyBlock, passphrase: str) -> bool:
    try:
        pem.decrypt(block, passphrase)
    except PassphraseWrongError:
        return False
    return block.encrypted


def _sealed(
    key: PrivateKey, role: str, gun: str | None, passphrase: str, random: Callable[[int], bytes]
) -> bytes:
    salt, iv = random(pem.SALT_BYTES), random(pem.IV_BYTES)
    return pem.encrypt(key, passphrase, role, gun, salt=salt, iv=iv, iterations=pem.ROUNDS)


def _check_id(key: PrivateKey, info: KeyInfo) -> None:
    """Refuse a file that holds another key than its name says (rule 1)."""
    actual = public_key_of(key).keyid
    if actual != info.keyid:
        raise KeyAccessError(
            f"the file of key {info.keyid[:7]} holds another key",
            why=(f"it holds {actual}", f"the file is {info.path}"),
            advice=Advice("rename-key", actual=actual),
            keyid=info.keyid,
            actual=actual,
            file=str(info.path),
        )


KEYID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(rf"({KEYID.pattern})(?:_(.+))?\.key")
_OLD_ROOT, _OLD_TUF = "root_keys", "tuf_keys"


class Place(NamedTuple):
    """Where a key's file is, and what its place says of it: nothing in the present layout."""

    path: Path
    role: str
    gun: str | None


def places(directory: Path) -> tuple[dict[str, Place], list[str]]:
    """Return every key's file by id, and a sentence on each key file whose name has no id.

    Raises:
        StorageError: The directory is there but cannot be listed.
    """
    found: dict[str, Place] = {}
    ignored: list[str] = []
    for path, role, gun in _candidates(directory):
        match = _NAME.fullmatch(path.name)
        if match is None:
            ignored.append(f"{path} is ignored; its name is not a key id")
        else:
            found.setdefault(match.group(1), Place(path, match.group(2) or role, gun))
    return found, ignored


def _candidates(directory: Path) -> Iterator[Place]:
    yield from (
        Place(path, "", None) for path in sorted(_key_files(directory), key=lambda path: len(path.name))
    )
    yield from (Place(path, "root", None) for path in _key_files(directory / _OLD_ROOT))
    old = directory / _OLD_TUF
    for parent, folders, _ in os.walk(old):
        folders.sort()
        folder = old.joinpath(parent)
        gun = folder.relative_to(old).as_posix() if folder != old else None
        yield from (Place(path, "", gun) for path in _key_files(folder))


def _key_files(directory: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is needed
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(
            f"cannot list the keys in {directory}",
            why=error.strerror or "",
            advice=Advice("check-owner"),
        ) from error
    return [directory / name for name in names if name.endswith(".key")]
