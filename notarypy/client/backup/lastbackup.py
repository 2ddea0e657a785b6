"""The note of the last backup: when it was made, and what was in it.

What it is: a small file in the trust directory, which docker and Go notary do not look at. What it is not: a
proof that the backup still exists, or can be read.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from notarypy import files, jsontext
from notarypy.errors import StorageError
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

FILE = ".notarypy-backup.json"
_LEVELS = 4


@dataclass(frozen=True)
class LastBackup:
    """The last backup of a trust directory.

    Attributes:
        made: When.
        path: Where it was written to; it may have been moved since.
        sha256: Of the file.
        keys: The ids of the keys, and of those that are elsewhere, that were in it.
        repositories: The repositories that were in it.
    """

    made: datetime
    path: str
    sha256: str
    keys: tuple[str, ...]
    repositories: tuple[str, ...]


def read(trust_dir: Path) -> LastBackup | None:
    """Return what is noted of the last backup; None if nothing is, or nothing that can be read."""
    try:
        data = files.read_regular(trust_dir / FILE, DEFAULT.archive_index_bytes)
        found = jsontext.read(data, _LEVELS, DEFAULT.json_parts)
        made, lists = datetime.fromisoformat(found["made"]), (found["keys"], found["repositories"])
        texts = [found["path"], found["sha256"], *lists[0], *lists[1]]
        if made.tzinfo is None or not all(isinstance(text, str) for text in texts):
            return None
        return LastBackup(made, found["path"], found["sha256"], tuple(lists[0]), tuple(lists[1]))
    except (FileNotFoundError, StorageError, ValueError, KeyError, TypeError):
        return None


def write(trust_dir: Path, last: LastBackup) -> None:
    """Note a backup; raise StorageError."""
    value = {
        "made": jsontext.moment(last.made),
        "path": last.path,
        "sha256": last.sha256,
        "keys": list(last.keys),
        "repositories": list(last.repositories),
    }
    files.write_atomic(trust_dir / FILE, f"{json.dumps(value, indent=1)}\n".encode())
