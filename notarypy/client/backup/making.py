"""A backup is made, and it is tried whether it could be put back.

What it is: the use cases behind `backup` and `backup --check`. What it is not: the form of the file
(`storage.backupfile`), or a reason to trust what is in it. Making one asks for no passphrase.

Rules:

1. Keys are taken as they are on the disk, encrypted. Of a key that is elsewhere there is the reference. A key
   file of an old layout gets the present name, and says what its place said. No secret in plain is taken: not
   a key file that is not encrypted, not a private key among the settings.
2. Of each repository that is trusted here there is the root, and all else that is cached, as one publisher or
   reader left it: nobody writes there meanwhile. Keys come last, and nobody makes any meanwhile: no root is
   taken without a key that was made for it.
3. Settings are the configuration and the trust policy, and what they name. What does not lie beside them, or
   below, is taken too, but is not put back: it is named by a path that may mean something else elsewhere.
4. What cannot be read is left out and said; it is a failure. The rest is taken all the same: a backup that
   does not exist because of one damaged file helps nobody.
5. What was written is read back as a whole before it counts as a backup, and is noted.
6. To try one, all of it is put back into a private temporary directory, as `restoring` does it; nothing else
   is written. Each root is verified by its own keys, and each key is unlocked, with the passphrases of the
   user. A key that is elsewhere is not asked: only where it is, is in the backup.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy import files, system
from notarypy.client.backup.contents import (
    PRIVATE,
    SETTINGS,
    Backup,
    BackupContents,
    manifest,
    member,
    trusting,
    write_note,
)
from notarypy.client.backup.restoring import write
from notarypy.client.metadata.repository import LOCK_SECONDS
from notarypy.errors import (
    Advice,
    ConfigurationError,
    NotarypyError,
    NothingThereError,
    StorageError,
    UsageError,
)
from notarypy.keys import keyentry
from notarypy.keys.formats import pem
from notarypy.keys.keypaths import KEY, KeyPath, key_paths
from notarypy.keys.keystore import KeyStore
from notarypy.limits import DEFAULT
from notarypy.storage.backupfile import BackupWriter, new_backup
from notarypy.storage.settings import configfile, policybundle, policyfile
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.client.session import Session

    Failed = Callable[[str, NotarypyError], object]


_PLAIN_KEY = b"PRIVATE KEY-----"
# Where settings are while it is looked at what they name: so what is relative shows.
_THERE, _HOME = Path("/nonexistent/there"), Path("/nonexistent/home")


def back_up(session: Session, path: Path, failed: Failed) -> BackupContents:
    """Write a backup, and read it back; see `Client.upkeep`."""
    directory, path = session.directory(), path.absolute()
    if path.parent.resolve().is_relative_to(directory.path.resolve()):
        message = f"{path} would be inside of the trust directory, and lost with it"
        raise UsageError(message, advice=Advice("name-new-file"))
    with new_backup(path) as writer:
        repositories = list(_repositories(session, writer, failed))
        keys = _keys(session, writer, failed)
        if not repositories and not keys:
            message, why = "there is nothing to back up", f"no key and no repository is in {directory.path}"
            raise NothingThereError(message, why=why, advice=Advice("name-trust-dir"))
        settings = _Settings(writer, failed)
        settings.take(session)
        writer.finish({**manifest(session.now(), directory.path, repositories), **settings.said})
    with Backup(path, session.limits) as backup:
        contents = backup.contents
    try:
        write_note(directory.path, contents.note)
    except StorageError as error:
        session.warn("; ".join((f"the backup is not noted: {error.message}", *error.why)))
    return contents


def _repositories(session: Session, writer: BackupWriter, failed: Failed) -> Iterator[dict[str, Any]]:
    """Write what is cached of each repository, and yield what the manifest says of it (rule 2)."""
    for gun in session.directory().guns():
        cache = session.directory().repository(gun)
        try:
            with nullcontext() if system.is_read_only(cache.directory) else cache.lock(LOCK_SECONDS):
                found = {role: data for role in cache.cached() if (data := cache.load(role)) is not None}
            if roles.ROOT in found:
                trusting(gun, found[roles.ROOT], session.limits)
        except NotarypyError as error:
            failed(gun, error)
            continue
        for warning in cache.warnings:
            failed(gun, StorageError(f"a file of {gun} is left out", why=warning))
        if roles.ROOT not in found:
            if found:  # else it was forgotten meanwhile
                failed(gun, StorageError(f"{gun} is left out", why="its trusted root is gone"))
            continue
        named = {role: writer.add(f"tuf/{gun}/metadata/{role}.json", found[role]) for role in sorted(found)}
        yield {"repository": gun, "metadata": named, **_server(session, gun)}


def _server(session: Session, gun: str) -> dict[str, str | None]:
    source = session.settings.server_source_for(gun.partition("/")[0])
    try:
        return {"server": session.server_url(gun), "named_by": source}
    except ConfigurationError:
        return {"server": None, "named_by": source}


def _keys(session: Session, writer: BackupWriter, failed: Failed) -> list[str]:
    """Write all keys that can be read, and return their names (rules 1 and 2)."""
    private, written = session.trust_dir.private, list[str]()
    nobody_else = not os.path.lexists(private) or system.is_read_only(private)
    held = nullcontext() if nobody_else else session.keys().new_keys(session.settings.timeout)
    try:
        with held:
            for keyid, place in sorted(key_paths(private)[0].items()):
                try:
                    written.append(writer.add(f"{PRIVATE}/{keyid}{place.path.suffix}", _key(keyid, place)))
                except NotarypyError as error:
                    failed(keyid, error)
    except StorageError as error:
        failed(str(private), error)
    return written


def _key(keyid: str, place: KeyPath) -> bytes:
    info = keyentry.info_of(keyid, place)
    data = files.read_regular(place.path, DEFAULT.key_file_bytes)
    if place.refers:
        return data
    blocks = pem.split(data)
    if not all(block.encrypted for block in blocks):
        raise keyentry.unencrypted(info, "backed up")
    block = blocks[0]
    if (block.role or "") == info.role and place.path.name == f"{keyid}{KEY}":
        return data
    headers = {name: value for name, value in block.headers.items() if value and name not in {"role", "gun"}}
    said = {"role": info.role, "gun": info.gun or ""}
    return pem.text(block.label, {**headers, **{k: v for k, v in said.items() if v}}, block.der)


class _Settings:
    """The configuration and the trust policy, with what they name (rule 3).

    Attributes:
        said: What the manifest says of them.
    """

    def __init__(self, writer: BackupWriter, failed: Failed) -> None:
        self._writer, self._failed = writer, failed
        self._taken: dict[str, bytes] = {}
        self.said: dict[str, Any] = {"config": None, "policy": None}
        self.said |= {"settings": [], "elsewhere": [], "left_out": []}

    def take(self, session: Session) -> None:
        """Take what is there of both."""
        policy = session.settings.policy
        home = Path() if policy is None else policy.home
        paths = ("config", session.settings.config), ("policy", None if policy is None else policy.path)
        for kind, path in paths:
            if path is None or not os.path.lexists(path):
                continue
            try:
                self._take(kind, path, home)
            except NotarypyError as error:
                self._failed(str(path), error)

    def _take(self, kind: str, path: Path, home: Path) -> None:
        data, there = _read(path), _THERE / path.name
        self.said[kind] = self._beside(path.name, data)
        try:
            if kind == "config":
                found = configfile.parse(data, there, _HOME)
                named, secret = list(policybundle.files_of_config(found)), found.tls_key
            else:
                named, secret = list(policybundle.files_of_policy(policyfile.parse(data, there, _HOME))), None
        except NotarypyError as error:
            why = tuple(each.replace(str(there), str(path)) for each in (error.message, *error.why))
            raise ConfigurationError(f"what {path} names is left out", why=why, advice=error.advice) from None
        for each in dict.fromkeys(named):
            here, place = _here(each, path.parent, home)
            if each == secret:
                self.said["left_out"].append(f"{here}: it is a private key for TLS")
                continue
            try:
                content = _read(here)
            except NotarypyError as error:
                self._failed(str(here), error)
                continue
            if _PLAIN_KEY in content:
                self.said["left_out"].append(f"{here}: there is a private key in it")
            elif place is None or self._taken.get(place, content) != content:
                if str(here) not in self.said["elsewhere"]:
                    self._writer.add(member(str(here)), content)
                    self.said["elsewhere"].append(str(here))
            else:
                self._beside(place, content)

    def _beside(self, place: str, data: bytes) -> str:
        if place not in self._taken:
            self._writer.add(f"{SETTINGS}/{place}", data)
            self.said["settings"].append(place)
            self._taken[place] = data
        return place


def _here(named: Path, folder: Path, home: Path) -> tuple[Path, str | None]:
    """Return where a file is that settings name, and its path beside them, None if it lies elsewhere."""
    if named.is_relative_to(_THERE):
        relative = named.relative_to(_THERE)
        inside = bool(relative.parts) and ".." not in relative.parts
        return Path(os.path.normpath(folder / relative)), relative.as_posix() if inside else None
    if named.is_relative_to(_HOME):
        named = home / named.relative_to(_HOME)
    return Path(os.path.normpath(named)), None


def _read(path: Path) -> bytes:
    try:
        return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no file {path}", advice=Advice("check-file")) from None


@dataclass(frozen=True)
class CheckedBackup:
    """A backup that was tried: what is in it, and what fails, by key id and repository."""

    contents: BackupContents
    failures: Mapping[str, NotarypyError]


def check(session: Session, path: Path) -> CheckedBackup:
    """Put a backup back into a temporary directory, and unlock each key there (rule 6)."""
    failures: dict[str, NotarypyError] = {}
    with Backup(path.absolute(), session.limits) as backup, tempfile.TemporaryDirectory() as folder:
        there, contents = TrustDirectory(Path(folder) / "trust", session.limits), backup.contents
        guns = [each.repository for each in contents.repositories]
        write(there, backup, contents.keys, guns, [])
        for gun in guns:
            try:
                trusting(gun, there.repository(gun).load_root() or b"", session.limits)
            except NotarypyError as error:
                failures[gun] = error
        store = KeyStore(there.private, environ=session.settings.environ, offline=True)
        for key in contents.keys:
            if key.uri is None:
                try:
                    store.unlock(key.keyid, session.keys().passphrases)
                except NotarypyError as error:
                    failures[key.keyid] = said = error.saying()
                    said.why = tuple(each for each in error.why if folder not in each)  # it is gone by then
                    said.facts = {name: each for name, each in error.facts.items() if folder not in str(each)}
    return CheckedBackup(contents, failures)
