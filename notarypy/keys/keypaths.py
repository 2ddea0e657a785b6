"""Where key files and references are in a trust directory, in the layouts of all releases of Notary.

What it is: names of files, and what they say. What it is not: what is in the files (`keystore`).

Rules:

1. The present layout is `<id>.key`; it wins where a key is in two places, and over `<id>.ref`.
2. `root_keys/`, `tuf_keys/<GUN>/` and `<id>_<role>.key`, the layouts of Notary before 0.4, are read where
   they are, and moved only by whoever asks for that (`oldlayout`). Links in place of folders in them are not
   followed.
3. A folder that cannot be listed is an error: keys in it would be missing, in a backup above all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from notarypy import files
from notarypy.errors import Advice, StorageError

KEYID = re.compile(r"[0-9a-f]{64}")
KEY, REFERENCE = ".key", ".ref"
# Whoever makes, changes or moves keys that may be moved holds this lock, in their directory.
LOCK = ".notarypy-init.lock"
_NAME = re.compile(rf"({KEYID.pattern})(?:_(.+)(?=\.key))?\.(?:key|ref)")
_OLD_ROOT, _OLD_TUF = "root_keys", "tuf_keys"


class KeyPath(NamedTuple):
    """Where a key's file is, and what its place says of it: nothing in the present layout.

    `later` is where it comes to lie when it is moved out of an old layout.
    """

    path: Path
    role: str
    gun: str | None
    later: Path | None = None

    @property
    def refers(self) -> bool:
        """Whether the file says where the key is, and does not hold it."""
        return self.path.suffix == REFERENCE


def key_paths(directory: Path) -> tuple[dict[str, KeyPath], list[str]]:
    """Return key files by id, and a sentence on each whose name has no id (rule 1); raise StorageError."""
    found: dict[str, KeyPath] = {}
    ignored: list[str] = []
    for path, role, gun, _ in _candidates(directory):
        match = _NAME.fullmatch(path.name)
        if match is None:
            ignored.append(f"{path} is ignored; its name is not a key id")
        else:
            present = directory / f"{match.group(1)}{path.suffix}"
            later = None if path == present else present
            found.setdefault(match.group(1), KeyPath(path, match.group(2) or role, gun, later))
    return found, ignored


def _candidates(directory: Path) -> Iterator[KeyPath]:
    """Yield key files, those of the present layout first, references last (rules 1 and 2)."""
    names = _names(directory)
    keys = sorted((name for name in names if name.endswith(KEY)), key=len)
    yield from (KeyPath(directory / name, "", None) for name in keys)
    yield from (place for place in _in_folders(directory) if place.path.name.endswith(KEY))
    yield from (KeyPath(directory / name, "", None) for name in names if name.endswith(REFERENCE))


def old_files(directory: Path) -> Iterator[KeyPath]:
    """Yield every file of the old layouts, whatever it is, and links in place of folders in them."""
    for name in _names(directory):
        match = _NAME.fullmatch(name)
        if match is not None and match.group(2):
            yield KeyPath(directory / name, "", None)
    yield from _in_folders(directory)


def in_old_layout(place: KeyPath, directory: Path) -> KeyPath | None:
    """Return an old file as the key that its name says it is; None for any other file."""
    match = _NAME.fullmatch(place.path.name)
    if match is None or place.path.suffix != KEY:
        return None
    return KeyPath(place.path, match.group(2) or place.role, place.gun, directory / f"{match.group(1)}{KEY}")


def old_folders(directory: Path) -> list[Path]:
    """Return the folders of the old layouts, whether they are there or not."""
    return [directory / _OLD_ROOT, directory / _OLD_TUF]


@contextmanager
def unmoved(place: KeyPath, directory: Path, timeout: float) -> Iterator[None]:
    """Let nobody move a key out of an old layout meanwhile; where it is then is to be looked for inside."""
    with nullcontext() if place.later is None else files.locked(directory / LOCK, timeout):
        yield


def _in_folders(directory: Path) -> Iterator[KeyPath]:
    for old in old_folders(directory):
        role = "root" if old.name == _OLD_ROOT else ""
        for parent, folders, names in os.walk(old, onerror=_unlisted):
            folders.sort()
            folder = old.joinpath(parent)
            gun = None if role or folder == old else folder.relative_to(old).as_posix()
            linked = [name for name in folders if (folder / name).is_symlink()]
            yield from (KeyPath(folder / name, role, gun) for name in sorted([*names, *linked]))


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is needed
    except OSError as error:
        _unlisted(error)
        return []


def _unlisted(error: OSError) -> None:
    """Raise StorageError for a folder that nobody can look into; one that is not there has nothing."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        message, advice = f"cannot list the keys in {error.filename}", Advice("check-owner")
        raise StorageError(message, why=error.strerror or "", advice=advice) from error
