"""What a Notary server remembers: every version of every file, and the list of changes.

What it is: memory with the two rules of the real server's storage. What it is not:
checks of content, or files (`saving`).

Rules:

1. An update is stored completely or not at all, and only if every version in it is
   above all stored versions of its role.
2. Every new timestamp, and every deletion, is a change with the next number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.tuf.fields import format_time
from notarypy.tuf.roles import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from notarypy.tuf.canonical import JsonObject

PAGE = 100


class OldVersionError(Exception):
    """A version in an update is not above the stored ones (rule 1)."""


@dataclass(frozen=True)
class Stored:
    """One version of one file."""

    version: int
    data: bytes

    @property
    def sha256(self) -> str:
        """The hash of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()


class Store:
    """Files by GUN, role and version, in memory."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, dict[int, Stored]]] = {}
        self._hashes: dict[tuple[str, str, str], int] = {}
        self._changes: list[JsonObject] = []

    def current(self, gun: str, role: str) -> Stored | None:
        """Return the file with the highest version."""
        versions = self._versions(gun, role)
        return versions[max(versions)] if versions else None

    def numbered(self, gun: str, role: str, version: int) -> Stored | None:
        """Return one version of a file."""
        return self._versions(gun, role).get(version)

    def by_hash(self, gun: str, role: str, sha256: str) -> Stored | None:
        """Return the file that was stored with this SHA-256 (hex)."""
        version = self._hashes.get((gun, role, sha256))
        return None if version is None else self.numbered(gun, role, version)

    def update(self, gun: str, files: Mapping[str, Stored], now: datetime) -> None:
        """Store files by role (rules 1 and 2); raise OldVersionError."""
        for role, file in files.items():
            if any(version >= file.version for version in self._versions(gun, role)):
                raise OldVersionError(role)
        for role, file in files.items():
            self.replace(gun, role, file)
            if role == TIMESTAMP:
                self._note(gun, "update", now, file)

    def replace(self, gun: str, role: str, file: Stored) -> None:
        """Store a file as it is, also over one of the same version: the old hash then finds the new bytes."""
        self._files.setdefault(gun, {}).setdefault(role, {})[file.version] = file
        self._hashes[gun, role, file.sha256] = file.version

    def forget_above(self, gun: str, role: str, version: int) -> None:
        """Make an older version the current one; newer ones are found by hash no longer."""
        for number in [number for number in self._versions(gun, role) if number > version]:
            del self._files[gun][role][number]

    def delete(self, gun: str, now: datetime) -> None:
        """Forget a repository; nothing there is fine and no change."""
        if self._files.pop(gun, None) is None:
            return
        self._hashes = {key: version for key, version in self._hashes.items() if key[0] != gun}
        self._note(gun, "deletion", now, None)

    def roles(self, gun: str) -> list[str]:
        """Return the roles that have files."""
        return list(self._files.get(gun, {}))

    def changes(self, gun: str | None, records: int, after: int) -> list[JsonObject] | None:
        """Return a page of changes, oldest first; None when there is nothing beyond `after`.

        Args:
            gun: Of one repository alone, or None for all.
            records: At most so many, 0 for the usual number; negative for those just before `after`.
            after: The number of the change to start behind; below 0 for the newest page.
        """
        backwards = records < 0 or after < 0
        if not backwards and after >= len(self._changes):
            return None
        window = self._changes[: after - 1 if after > 0 else None] if backwards else self._changes[after:]
        fitting = [change for change in window if gun in (None, change["GUN"])]
        size = abs(records) or PAGE
        return fitting[-size:] if backwards else fitting[:size]

    def _versions(self, gun: str, role: str) -> dict[int, Stored]:
        return self._files.get(gun, {}).get(role, {})

    def _note(self, gun: str, category: str, now: datetime, timestamp: Stored | None) -> None:
        self._changes.append(
            {
                "ID": str(len(self._changes) + 1),
                "CreatedAt": format_time(now),
                "GUN": gun,
                "Version": timestamp.version if timestamp else 0,
                "SHA256": timestamp.sha256 if timestamp else "",
                "Category": category,
            }
        )
