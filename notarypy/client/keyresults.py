"""What the use cases about keys and dates return: frozen values, as in `results`.

What it is: the shapes for what was imported, rotated, purged or renewed, and for dates.
What it is not: logic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.keys.keystore import KeyInfo


@dataclass(frozen=True)
class PurgedKey:
    """A key after `purge_key`.

    Attributes:
        repository: The GUN.
        key: The canonical id of the key.
        roles: The delegations that have it no more.
        left: Delegations that still have it, for the keys here cannot edit them.
        removed: Those of `roles` that had no other key, and are gone.
        resigned: Roles whose file the keys here signed anew, so that its tags stay readable.
        kept: Tags that stay released.
        unreadable: Roles that nobody can verify until one of `needed` signs them (only with force).
        needed: Short names of the signers who are left.
    """

    repository: str
    key: str
    roles: tuple[str, ...]
    left: tuple[str, ...]
    removed: tuple[str, ...]
    resigned: tuple[str, ...]
    kept: tuple[str, ...]
    unreadable: tuple[str, ...]
    needed: tuple[str, ...]


@dataclass(frozen=True)
class ImportedKey:
    """A key after `import_keys`; `already` tells that it was here before, and is left as it was."""

    key: KeyInfo
    already: bool


@dataclass(frozen=True)
class RotatedKey:
    """A base role after `rotate_key`.

    Attributes:
        repository: The GUN.
        role: `root`, `targets`, `snapshot` or `timestamp`.
        old: Canonical ids of the keys it had before.
        new: Canonical ids of the keys it has now.
        root_pins: TUF ids of the root keys now: what to pin. Earlier pins lead to them.
        server_managed: Whether the server keeps the new key.
        published: False when it was the role's key already.
    """

    repository: str
    role: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    root_pins: tuple[str, ...]
    server_managed: bool
    published: bool


@dataclass(frozen=True)
class RoleStatus:
    """One role and its date.

    Attributes:
        role: The role.
        version: Version of its file; None for a delegation that is not published.
        expires: When it ends; for the root the end of its certificate, if that is earlier.
        keys: Canonical ids of its keys.
        threshold: How many of them sign.
        here: Those of `keys` whose private half is here.
        due: Whether it ends within the window and somebody has to do something about it.
        problem: Why its file cannot be trusted; empty if it can, dates aside.
    """

    role: str
    version: int | None
    expires: datetime | None
    keys: tuple[str, ...]
    threshold: int
    here: tuple[str, ...]
    due: bool
    problem: str

    @property
    def signable(self) -> bool:
        """Whether the keys here can sign it."""
        return len(set(self.here)) >= max(self.threshold, 1)


@dataclass(frozen=True)
class RepositoryStatus:
    """The dates of a repository: every role of it, and those of them that are `due`."""

    repository: str
    server: str
    roles: tuple[RoleStatus, ...]

    @property
    def due(self) -> tuple[RoleStatus, ...]:
        """The roles that end within the window."""
        return tuple(status for status in self.roles if status.due)


@dataclass(frozen=True)
class Renewed:
    """A repository after `renew`.

    Attributes:
        repository: The GUN.
        renewed: The roles that were signed again, as they are now.
        root_pins: TUF ids of the root keys now: what to pin. Earlier pins lead to them.
        published: False when nothing was due.
    """

    repository: str
    renewed: tuple[RoleStatus, ...]
    root_pins: tuple[str, ...]
    published: bool
