"""Keys in the layouts of Notary before 0.4, moved into the present one, with a backup of what was there.

What it is: a look at old key files (`OldLayout`), and moving them. What it is not: the names of those files
(`keypaths`), or certificates of roots, which the same releases kept (`client.keys.migrating`).

Rules:

1. Every key is in the present layout, on the disk and read back, before the first old file leaves its place:
   whoever is killed leaves keys that can be used, and the next one goes on.
2. Nothing is deleted. Old files go into a folder beside `private` whose name says what it has and since when,
   mode 0700, each under the path that it had.
3. A key stays encrypted as it is, and nobody is asked for a passphrase. Its file gets the role, and below a
   repository the GUN, as Go notary writes them.
4. A key that is in the present layout stays as it is there, as long as it can be read: nobody can say without
   a passphrase which copy is newer. The other one goes into the backup.
5. What cannot be read stays where it is, and is said: a link may lead to a medium that keys were never to
   leave, and so may one in place of an old folder. What can be read and is no key goes into the backup, as
   does a key whose file's name is none of a key: nothing ever used it there.
6. Others that make, change or move keys wait: all of them hold one lock (`keypaths.LOCK`).
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import Advice, KeyAccessError, NotarypyError, StorageError, UnsupportedKeyError
from notarypy.keys import keyentry, keypaths
from notarypy.keys.formats import pem
from notarypy.keys.keypaths import KeyPath
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_LOG = logging.getLogger(__name__)
BACKUP = "old-key-folders-{:%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True)
class MigratedKey:
    """A key that was in an old layout.

    Attributes:
        keyid: The canonical id, from the file's name.
        role: What it is for; empty where neither the file nor its place says so.
        gun: The repository, for a key that lay below one.
        source: Where its file was.
        path: Where it is now.
        already: Whether it was there before, and so was left as it is (rule 4).
    """

    keyid: str
    role: str
    gun: str | None
    source: Path
    path: Path
    already: bool


@dataclass(frozen=True)
class _OldFile:
    """An old file as it was found; `text` is what its key's new file has, if there is to be one."""

    path: Path
    data: bytes = field(repr=False)
    key: MigratedKey | None = None
    misnamed: bool = False
    text: bytes | None = field(default=None, repr=False)


class OldLayout:
    """The old key files of a trust directory.

    Attributes:
        left: What cannot be read, and stays where it is (rule 5).
        others: Files that can be read, and are no keys, or not by their names (rule 5).
        misnamed: Those of them that hold a key.
    """

    def __init__(self, directory: Path) -> None:
        """Look at `<trust directory>/private`; StorageError where nobody can tell what is in it."""
        self.directory, self.left, self._files = directory, list[NotarypyError](), list[_OldFile]()
        self._linked = [folder for folder in keypaths.old_folders(directory) if folder.is_symlink()]
        self.left += [_linked(folder) for folder in self._linked]
        self._planned: set[str] = set()
        for place in keypaths.old_files(directory):
            if not any(place.path.is_relative_to(folder) for folder in self._linked):
                self._look(place)

    @property
    def keys(self) -> tuple[MigratedKey, ...]:
        """The keys that are to be moved, each file for itself."""
        return tuple(file.key for file in self._files if file.key is not None)

    @property
    def others(self) -> tuple[Path, ...]:
        """What goes into the backup, and is no key by its name and content."""
        return tuple(file.path for file in self._files if file.key is None)

    @property
    def misnamed(self) -> tuple[Path, ...]:
        """Those of the others that hold a key."""
        return tuple(file.path for file in self._files if file.misnamed)

    def __bool__(self) -> bool:
        """Tell whether there is anything to move."""
        return bool(self._files)

    def _look(self, place: KeyPath) -> None:
        named = keypaths.in_old_layout(place, self.directory)
        try:
            data = files.read_regular(place.path, DEFAULT.key_file_bytes)
            other = _OldFile(place.path, data, misnamed=named is None and _holds_key(data))
            self._files.append(other if named is None else self._key(named, data))
        except FileNotFoundError:
            _LOG.debug("%s has just gone", place.path)
        except NotarypyError as error:
            self.left.append(error)

    def _key(self, place: KeyPath, data: bytes) -> _OldFile:
        """Return what becomes of a key's file; raise what keeps it where it is (rule 5)."""
        target = place.later or place.path
        keyid = target.stem
        try:
            block = pem.split(data)[0]
            role, gun = block.role or place.role, block.gun or place.gun
            text = pem.with_headers(block, {"role": role, "gun": gun or ""})
        except UnsupportedKeyError as error:
            _LOG.debug("%s is no key: %s", place.path, error.message)
            return _OldFile(place.path, data)
        already = keyid in self._planned or self._is_there(keyid, target)
        self._planned.add(keyid)
        of = gun if role in pem.GUN_ROLES else None  # of others nobody reads it
        key = MigratedKey(keyid, role, of, place.path, target, already)
        return _OldFile(place.path, data, key, text=None if already else text)

    def _is_there(self, keyid: str, target: Path) -> bool:
        """Tell whether a key is in the present layout, and can be read (rule 4)."""
        if not os.path.lexists(target):
            return False
        try:
            keyentry.read(keyid, KeyPath(target, "", None))
        except KeyAccessError:  # what is there is no key
            return False
        return True

    def move(self, moment: datetime) -> Path | None:
        """Move all of it; return the backup, None if there is nothing to move.

        The caller holds the lock (rule 6). StorageError leaves every key where it can be used, and names the
        backup, `backup`, if anything is in it.
        """
        backup = _Backup(self.directory, moment) if self._files else None
        if backup is None:
            self._remove_empty()
            return None
        with named_backup(backup.path):
            self._move_into(backup)
        self._remove_empty()
        return backup.path

    def _move_into(self, backup: _Backup) -> None:
        for file in self._files:
            if file.key is not None and file.text is not None:
                if os.path.lexists(file.key.path):  # nobody can read it
                    backup.take(file.key.path)
                _write(file.key, file.text)
        for file in self._files:
            _require_same(file)
        for file in self._files:
            backup.take(file.path)

    def _remove_empty(self) -> None:
        """Remove old folders in which nothing is left."""
        for top in keypaths.old_folders(self.directory):
            if top not in self._linked:
                remove_empty(top)


class _Backup:
    """The folder that old files go to (rule 2)."""

    def __init__(self, directory: Path, moment: datetime) -> None:
        # What `private` is, if it is a link: files are moved, and so stay on the medium that they are on.
        self._directory, self._real = directory, directory.resolve()
        self.path = new_backup(self._real.parent, moment)

    def take(self, path: Path) -> None:
        target = self.path / "private" / path.relative_to(self._directory)
        files.make_private_directory(target.parent, below=self.path)
        files.move(path, target)
        _LOG.debug("moved %s to %s", path, target)


def new_backup(beside: Path, moment: datetime) -> Path:
    """Make the folder of a backup, with a name that nothing has yet; raise StorageError."""
    name = BACKUP.format(moment)
    for number in count(1):
        path = beside / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
            path.chmod(0o700)
        except FileExistsError:
            continue
        except OSError as error:
            remove_empty(path)
            raise files.failure("make directory", path, error) from error
        return path
    raise AssertionError("there is always a next number")


@contextmanager
def named_backup(path: Path) -> Iterator[None]:
    """Have errors name a backup in which something is; an empty one goes."""
    try:
        yield
    except NotarypyError as error:
        remove_empty(path)
        if path.exists():
            error.facts.setdefault("backup", str(path))
        raise


def remove_empty(top: Path) -> None:
    """Remove folders in which nothing is left, the innermost first."""
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - a name of `os.walk`


def _holds_key(data: bytes) -> bool:
    try:
        return bool(pem.split(data))
    except UnsupportedKeyError:
        return False


def _write(key: MigratedKey, text: bytes) -> None:
    """Write a key into the present layout, and read it back (rule 1)."""
    files.write_atomic(key.path, text, new=True)
    read = files.read_regular(key.path, DEFAULT.key_file_bytes)
    info, _ = keyentry.read(key.keyid, KeyPath(key.path, "", None))
    if read != text or info.role != key.role:
        why = f"{key.path} reads otherwise than it was written"
        raise StorageError(f"the key {key.keyid[:7]} could not be moved", why=why, path=str(key.path))
    _LOG.debug("wrote %s, which was %s", key.path, key.source)


def _require_same(file: _OldFile) -> None:
    """Raise StorageError for a file that somebody has changed meanwhile, who holds no lock of ours."""
    with suppress(FileNotFoundError):
        if files.read_regular(file.path, DEFAULT.key_file_bytes) == file.data:
            return
    message, why = f"{file.path} was changed meanwhile", "another program works with the old key files"
    raise StorageError(message, why=why, advice=Advice("migrate-again"), path=str(file.path))


def _linked(folder: Path) -> StorageError:
    message, why = f"the keys in {folder} stay where they are", "it is a link: they may be on another medium"
    return StorageError(message, why=why, advice=Advice("move-linked-keys"), path=str(folder))
