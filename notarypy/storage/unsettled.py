"""What a publish of staged changes sends, noted before it is sent: whether it landed may never be seen.

What it is: one small file for a repository, beside its changelist. What it is not: the question whether it
landed (`client.publish.serverside`), or what follows from that (`client.publish.staged`).

Rules:

1. It names the change files that are published, and of each upload the version and SHA-256 of every file by
   its role.
2. It is written as a whole, and read with a limit. What is no such file is an error, and no note.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import MetadataError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical
from notarypy.tuf.fields import is_integer, strings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Upload = Mapping[str, tuple[int, str]]


class Unsettled:
    """The note of one repository."""

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Take its path; nothing is read or made."""
        self.path, self._limits = path, limits

    def exists(self) -> bool:
        """Tell whether there is one."""
        return self.path.exists()

    def write(self, names: Sequence[str], uploads: Sequence[Upload]) -> None:
        """Note change files, and uploads of what they make; the last is about to be sent (rule 1)."""
        noted = [os.fsencode(name).decode("latin-1") for name in names]  # a name may be any bytes
        text = json.dumps({"changes": noted, "uploads": [dict(one) for one in uploads]})
        files.write_atomic(self.path, text.encode())

    def read(self) -> tuple[Sequence[str], list[Upload]]:
        """Return what is noted, which may be nothing; raise StorageError or MetadataError (rule 2)."""
        try:
            text = files.read_regular(self.path, self._limits.staged_bytes)
        except FileNotFoundError:
            return [], []
        what = "the note of what was sent"
        found = canonical.decode(text, what, self._limits)
        uploads = found.get("uploads")
        if not isinstance(uploads, list):
            raise MetadataError(f"{what} has no uploads")
        names = [
            os.fsdecode(name.encode("latin-1", "replace")) for name in strings(found.get("changes"), what)
        ]
        return names, [_upload(one, what) for one in uploads]

    def remove(self) -> None:
        """Remove it; raise StorageError."""
        files.remove(self.path)


def _upload(value: object, what: str) -> Upload:
    """Return an upload as it was written (rule 1)."""
    if not isinstance(value, dict):
        raise MetadataError(f"{what} has something in the place of an upload")
    found = {}
    for role, file in value.items():
        version, digest = file if isinstance(file, list) and len(file) == 2 else (None, None)  # noqa: PLR2004
        if not is_integer(version) or not isinstance(digest, str):
            raise MetadataError(f"{what} has no version and hash of {role}")
        found[role] = version, digest
    return found
