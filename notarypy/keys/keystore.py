"""The private keys of a trust directory: files, which docker and Go notary share with us, and references.

What it is: finding, unlocking, adding and removing `private/<id>.key`, and `private/<id>.ref` for keys that
are elsewhere. What it is not: the choice of a key for a role, or of a passphrase (`passphrases`).

Rules:

1. A file's name is its key's canonical id. A key is used only if its public half has that id.
2. A new key is on the disk before anybody hears of it. A key that is there already is left as it is.
3. Each key is unlocked once per KeyStore; nobody is asked twice, from no thread.
4. What cannot be read is skipped with a warning when keys are listed, and is an error when it is the key that
   is wanted.
5. Where a key is both here and elsewhere, the file here is used; a signer that was handed in is used before
   both. A reference has no GUN: its key may be that of several repositories. Which keys are at hand is
   known from the files' names; no service is asked.
6. What is damaged is mended by whoever stores or notes that key again, and can be removed.

The module `keyfile` is imported where it is used: its cryptography takes as long as all else that `key list`
does, and listing keys needs none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files, system
from notarypy.errors import (
    Advice,
    KeyAccessError,
    KeyMissingError,
    NotarypyError,
    StorageError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys import keyentry
from notarypy.keys.formats import keyuri, pem
from notarypy.keys.keyinfo import KeyInfo, PassphraseRequest, StoredKey
from notarypy.keys.keypaths import KEY, KEYID, LOCK, REFERENCE, KeyPath, key_paths, unmoved
from notarypy.keys.signers import backend
from notarypy.values import replace

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.keys.signers.base import ExternalSigner, Signer, SignerContext
    from notarypy.tuf.keys import PublicKey

    KeyInfos = list["KeyInfo"]  # the method `list` hides the type inside the class

_LOG = logging.getLogger(__name__)
_TIMEOUT = 30.0


class KeyStore:
    """The keys of one trust directory; safe to use from several threads."""

    def __init__(
        self,
        directory: Path,
        given: Mapping[str, Signer] | None = None,
        environ: Mapping[str, str] | None = None,
        timeout: float = _TIMEOUT,
        *,
        offline: bool = False,
    ) -> None:
        """Take `<trust directory>/private`, which need not exist, and signers by the ids of their keys.

        `environ` and `timeout` are what signers get that are elsewhere; `offline` allows none of servers.
        """
        self._offline = offline
        self.directory, self._environ, self._timeout = directory, environ or {}, timeout
        self.given = given or {}
        self.warnings: list[str] = []
        self._unlocked: dict[str, Signer] = {}
        self._seen: dict[tuple[str, str, bool], ExternalSigner] = {}
        self._lock = threading.RLock()

    def available(self) -> frozenset[str]:
        """Return the canonical ids of all keys here, from the files' names (rule 5)."""
        return frozenset(key_paths(self.directory)[0]) | self.given.keys()

    def find(self, keyid: str) -> KeyInfo | None:
        """Return what is known of the key with exactly this id; raise KeyAccessError for an unusable file."""
        place = key_paths(self.directory)[0].get(keyid)
        return None if place is None else keyentry.info_of(keyid, place)

    def present(self, keyid: str, suffix: str = KEY) -> KeyInfo | None:
        """Return what is known of a key that is to be stored; what is damaged is written anew (rule 6)."""
        try:
            return self.find(keyid)
        except KeyAccessError:
            if self._place(keyid).path.suffix not in {suffix, REFERENCE}:
                raise
            _LOG.debug("what is here of key %s cannot be read, and is written anew", keyid)
            return None

    def damaged(self) -> KeyInfos:
        """Return the keys here whose file or reference nobody can read, by their files' names."""
        found: KeyInfos = []
        for keyid, place in sorted(key_paths(self.directory)[0].items()):
            try:
                keyentry.info_of(keyid, place)
            except NotarypyError:
                found.append(KeyInfo(keyid, "", None, place.path, encrypted=False))
        return found

    def elsewhere(self, keyid: str) -> bool:
        """Tell whether the private half of a key is anywhere but in a file here (rule 5)."""
        place = key_paths(self.directory)[0].get(keyid)
        return keyid in self.given if place is None else place.refers

    def unlock(self, keyid: str, passphrases: PassphraseChain) -> Signer:
        """Return a signer with a key (rules 1 and 3).

        Raises KeyMissingError, PassphraseNeededError, PassphraseWrongError, or KeyAccessError for a file that
        cannot be used or holds another key.
        """
        with self._lock:
            signer = self._unlocked.get(keyid)
            if signer is None:
                signer = self._unlocked[keyid] = self._opened(keyid, passphrases)
            return signer

    def _opened(self, keyid: str, passphrases: PassphraseChain) -> Signer:
        if keyid in self.given:
            return self.given[keyid]
        place = self._place(keyid)
        if place.refers:
            from notarypy.keys.signers.base import CheckedSigner, opened

            found = keyentry.reference(keyid, place)
            context = self._context(PassphraseRequest(keyid, found.role), passphrases)
            there = opened(self._backend(found.uri), found.uri, replace(context, public=found.public))
            return CheckedSigner(there, found.public, found.uri)
        from notarypy.keys.signers import keyfile

        info, _ = keyentry.read(keyid, place)
        signer = keyfile.open_file(info.path, info.request, passphrases)
        keyentry.check_id(signer.public.keyid, info)
        return signer

    def _backend(self, uri: str) -> type[ExternalSigner]:
        """Return the backend of a URI; raise UsageError for one that asks servers where none may be asked."""
        found = backend(uri)
        if self._offline and found.asks_network:
            why, advice = "--offline allows no request", Advice("leave-out", option="--offline")
            raise UsageError(f"whoever uses the key {uri} asks a server", why=why, advice=advice, uri=uri)
        return found

    def _context(self, request: PassphraseRequest, passphrases: PassphraseChain) -> SignerContext:
        from notarypy.keys.signers.base import SignerContext

        return SignerContext(request, passphrases, self._environ, self._timeout)

    def look(
        self,
        uri: str,
        role: str,
        passphrases: PassphraseChain,
        algorithm: str | None = None,
        *,
        cosign: bool = False,
    ) -> ExternalSigner:
        """Return the signer at a URI, after reading its public half; with an algorithm it is made first.

        Nothing is made where it could not be noted. With `cosign` it signs images as cosign does, and may be
        one that cannot sign metadata.
        It is read once for each role, as PINs are. Raises as `ExternalSigner.open` and `generate`.
        """
        from notarypy.keys.formats.urisecrets import require_none
        from notarypy.keys.signers.base import having_made, opened, require_usable

        require_none([uri])
        uri = keyuri.usual(uri)
        with self._lock:
            signer = self._seen.get((uri, role, cosign))
            if signer is None or algorithm is not None:
                context = replace(self._context(PassphraseRequest("", role), passphrases), cosign=cosign)
                found = self._backend(uri)
                if algorithm is not None:
                    files.require_writable(self.directory)
                signer = self._seen[uri, role, cosign] = opened(found, uri, context, algorithm)
        with having_made(signer.uri, made=algorithm is not None):
            require_usable(signer.public)
        return signer

    def refer(
        self,
        uri: str,
        role: str,
        passphrases: PassphraseChain,
        algorithm: str | None = None,
        gun: str | None = None,
    ) -> StoredKey:
        """Note where a key is: by the URI that names this very key, which may be another one.

        A key of this role that was noted before is where this URI says from now on. Raises as `look`.
        """
        from notarypy.keys.signers.base import having_made

        signer = self.look(uri, role, passphrases, algorithm)
        with having_made(signer.uri, made=algorithm is not None):
            return self._noted(signer, role, gun)

    def _noted(self, signer: ExternalSigner, role: str, gun: str | None) -> StoredKey:
        from notarypy.keys.signers.base import CheckedSigner

        public, uri = signer.public, keyuri.usual(signer.uri)
        with self._lock:
            present = self.present(public.keyid, REFERENCE)
            if present is not None and not (present.uri and present.role == role):
                return StoredKey(**vars(present), already=True)
            gun = (present and present.gun) or (gun if role in pem.GUN_ROLES else None)
            path = self.directory / f"{public.keyid}{REFERENCE}"
            files.write_atomic(path, keyuri.write(keyuri.KeyReference(uri, role, public, gun)))
            self._unlocked[public.keyid] = CheckedSigner(signer, public, uri)
            _LOG.debug("key %s, for %s, is at %s", public.keyid, role, uri)
            noted = keyentry.info_of(public.keyid, self._place(public.keyid))
            before = present.uri if present is not None and present.uri != uri else None
            return StoredKey(**vars(noted), already=present is not None, moved_from=before)

    def public(self, keyid: str, passphrases: PassphraseChain) -> PublicKey:
        """Return the public half of a key; no service is asked. Raises as `unlock`."""
        place = self._place(keyid)
        return (
            keyentry.reference(keyid, place).public
            if place.refers
            else self.unlock(keyid, passphrases).public
        )

    def private_key(self, keyid: str, passphrases: PassphraseChain) -> PrivateKey:
        """Return the private half of a key; raise as `unlock`, or if its place keeps it."""
        from notarypy.keys.signers.keyfile import LocalSigner

        place = self._place(keyid)
        signer = None if place.refers else self.unlock(keyid, passphrases)
        if not isinstance(signer, LocalSigner):
            raise keyentry.stays(keyentry.info_of(keyid, place))
        return signer.private

    def add(self, key: PrivateKey, role: str, gun: str | None, passphrase: str) -> KeyInfo:
        """Store a key, encrypted; it stays unlocked (rule 2).

        Raises InvalidNameError if its role or GUN cannot stand in a file, StorageError, UnsupportedKeyError.
        """
        from notarypy.keys.signers import keyfile

        signer = keyfile.LocalSigner(key)
        keyid = signer.public.keyid
        with self._lock:
            present = self.present(keyid)
            if present is None:
                path = self.directory / f"{keyid}.key"
                files.write_atomic(path, keyfile.seal(key, role, gun, passphrase))
                present = keyentry.info_of(keyid, self._place(keyid))
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
            if self.present(keyid) is None:
                files.write_atomic(self.directory / f"{keyid}.key", pem.with_path(block, None))
                _LOG.debug("stored key %s as it came, still encrypted", keyid)
            return keyentry.info_of(keyid, self._place(keyid))

    def export(self, keyid: str) -> bytes:
        """Return an encrypted key as a PEM block that names it; raise KeyAccessError for another."""
        place = self._place(keyid)
        if place.refers:
            raise keyentry.stays(keyentry.info_of(keyid, place), Advice("add-elsewhere"))
        info, block = keyentry.read(keyid, place)
        if not info.encrypted:
            raise keyentry.unencrypted(info, "exported")
        return pem.with_path(block, keyid)

    def rename(self, keyid: str, role: str) -> KeyInfo:
        """Write another role into a key's file, for docker and Go notary too; it stays encrypted as it is."""
        with self._lock, unmoved(self._place(keyid), self.directory, self._timeout):
            place = self._place(keyid)
            if place.refers:
                found = replace(keyentry.reference(keyid, place), role=role, gun=None)
                files.write_atomic(place.path, keyuri.write(found))
                return keyentry.info_of(keyid, place)
            info, block = keyentry.read_alone(keyid, place)
            headers = {name: value for name, value in block.headers.items() if value and name != "gun"}
            files.write_atomic(place.path, pem.text(block.label, {**headers, "role": role}, block.der))
            _LOG.debug("key %s was called %s and is called %s", keyid, info.role, role)
            return keyentry.info_of(keyid, place)

    def block(self, keyid: str) -> pem.KeyBlock:
        """Return what is in a key's file; raise as `unlock`."""
        return keyentry.read(keyid, self._place(keyid))[1]

    def change_passphrase(
        self, keyid: str, passphrases: PassphraseChain, passphrase: str, before: pem.KeyBlock
    ) -> KeyInfo:
        """Encrypt a key anew that is as it was `before`; raise as `unlock` and `keyentry.resealed`."""
        from notarypy.keys.signers import keyfile

        with self._lock, files.locked(self.directory / LOCK, self._timeout):
            key, place = self.private_key(keyid, passphrases), self._place(keyid)
            info, block = keyentry.read_alone(keyid, place)
            files.write_atomic(place.path, keyentry.resealed(key, info, block, passphrase, before))
            info, block = keyentry.read(keyid, place)
            keyentry.check_id(keyfile.keyid_within(block, passphrase), info)
            _LOG.debug("%s has another passphrase now", info.request.label)
            return info

    def remove(self, keyid: str) -> None:
        """Delete a key's file; raise KeyMissingError if there is none, or StorageError."""
        with self._lock, unmoved(self._place(keyid), self.directory, self._timeout):
            path = self._place(keyid).path
            self._unlocked.pop(keyid, None)
            try:
                system.remove(path)
            except OSError as error:
                why = error.strerror or ""
                raise StorageError(f"cannot delete {path}", why=why, path=str(path)) from error
            _LOG.debug("deleted key %s: %s", keyid, path)

    def list(self) -> KeyInfos:
        """Return all keys here, by id; what cannot be read becomes one of `warnings` (rule 4)."""
        found: KeyInfos = []
        located, problems = key_paths(self.directory)
        for keyid, place in sorted(located.items()):
            try:
                found.append(keyentry.info_of(keyid, place))
            except NotarypyError as error:
                problems.append("; ".join([error.message, *error.why]))
        self.warnings = problems
        return found

    def _place(self, keyid: str) -> KeyPath:
        place = key_paths(self.directory)[0].get(keyid)
        if place is None:
            message, why = f"there is no key {keyid[:7]} here", f"looked in {self.directory}"
            raise KeyMissingError(message, why=why, advice=Advice("load-key"), keyid=keyid)
        return place
