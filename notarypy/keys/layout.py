"""Where key files lie in a trust directory, now and in the layouts of Notary before 0.4.

What it is: from names and places to ids, roles and GUNs. What it is not: it opens
no file (`keystore`).

Rules:

1. The present layout is `<id>.key`; it wins where a key is in two places.
2. Old layouts are `<id>_<role>.key`, `root_keys/` and `tuf_keys/<GUN>/`. Links in
   place of folders are not followed.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from notarypy.errors import Advice, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
