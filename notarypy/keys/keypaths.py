"""Where key files and references are in a trust directory, in the layouts of all releases of Notary.

What it is: names of files, and what they say. What it is not: what is in the files (`keystore`).

Rules:

1. The present layout is `<id>.key`; it wins where a key is in two places, and over `<id>.ref`.
2. `root_keys/`, `tuf_keys/<GUN>/` and `<id>_<role>.key`, the layouts of Notary before 0.4, are read where
   they are and never moved: Go's clients move them. Links in place of folders are not followed.
3. A folder that cannot be listed is an error: keys in it would be missing, in a backup above all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from notarypy.errors import Advice, StorageError

KEYID = re.compile(r"[0-9a-f]{64}")
KEY, REFERENCE = ".key", ".ref"
_NAME = re.compile(rf"({KEYID.pattern})(?:_(.+)(?=\.key))?\.(?:key|ref)")
_OLD_ROOT, _OLD_TUF = "root_keys", "tuf_keys"


class KeyPath(NamedTuple):
    """Where a key's file is, and what its place says of it: nothing in the present layout."""

    path: Path
    role: str
    gun: str | None

    @property
    def refers(self) -> bool:
        """Whether the file says where the key is, and does not hold it."""
        return self.path.suffix == REFERENCE


def key_paths(directory: Path) -> tuple[dict[str, KeyPath], list[str]]:
    """Return key files by id, and a sentence on each whose name has no id (rule 1); raise StorageError."""
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
    """Yield key files, those of the present layout first, references last (rules 1 and 2)."""
    names = _names(directory)
    keys = sorted((name for name in names if name.endswith(KEY)), key=len)
    yield from (KeyPath(directory / name, "", None) for name in keys)
    for path in _key_files(directory / _OLD_ROOT):
        yield KeyPath(path, "root", None)
    old = directory / _OLD_TUF
    for parent, folders, _ in os.walk(old, onerror=_unlisted):
        folders.sort()
        folder = old.joinpath(parent)
        gun = folder.relative_to(old).as_posix() if folder != old else None
        yield from (KeyPath(path, "", gun) for path in _key_files(folder))
    yield from (KeyPath(directory / name, "", None) for name in names if name.endswith(REFERENCE))


def _key_files(directory: Path) -> list[Path]:
    return [directory / name for name in _names(directory) if name.endswith(KEY)]


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
