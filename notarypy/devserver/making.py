"""The files a Notary server signs itself: snapshot and timestamp.

What it is: the next version of each from the one before. What it is not: deciding
when one is due (`notary`).

Rules:

1. A snapshot keeps the entries of the one before, also those of delegations that
   nobody lists any longer, and gets new ones for the files at hand.
2. The version is one above the previous file's, whoever signed that.
3. A file is made only when keys held here meet the role's threshold.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from notarypy.devserver.storage import Stored
from notarypy.tuf import envelope, roles
from notarypy.tuf.metadata import FileMeta, Root, Snapshot, Timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from notarypy.devserver.custody import ServerKeys
    from notarypy.tuf.canonical import JsonObject

SNAPSHOT_LIFE = timedelta(days=3 * 365)
TIMESTAMP_LIFE = timedelta(days=14)


class Maker:
    """Makes the server's files for one repository under one root, at one moment."""

    def __init__(self, keys: ServerKeys, root: Root, now: datetime) -> None:
        """Sign with the keys that `root` names and `keys` holds."""
        self._keys = keys
        self._root = root
        self._now = now

    def can_sign(self, role: str) -> bool:
        """Tell whether the keys held here meet a role's threshold (rule 3)."""
        held = self._keys.holds(self._root.signers(role))
        return len(held) >= self._root.roles[role].threshold

    def seal(self, role: str, signed: JsonObject) -> bytes:
        """Sign anything as a role."""
        return self._keys.seal(signed, self._root.signers(role))

    def snapshot(self, previous: bytes | None, files: Mapping[str, bytes]) -> Stored:
        """Make the next snapshot, with entries for `files` by role (rules 1 and 2)."""
        old = Snapshot.from_signed(_signed(previous, roles.SNAPSHOT)) if previous else None
        meta = {**(old.meta if old else {}), **{role: FileMeta.of(data) for role, data in files.items()}}
        value = Snapshot(old.version + 1 if old else 1, self._now + SNAPSHOT_LIFE, meta)
        return Stored(value.version, self.seal(roles.SNAPSHOT, value.to_signed()))

    def timestamp(self, previous: bytes | None, snapshot: bytes) -> Stored:
        """Make the next timestamp, for this snapshot (rule 2)."""
        old = Timestamp.from_signed(_signed(previous, roles.TIMESTAMP)) if previous else None
        value = Timestamp(old.version + 1 if old else 1, self._now + TIMESTAMP_LIFE, FileMeta.of(snapshot))
        return Stored(value.version, self.seal(roles.TIMESTAMP, value.to_signed()))


def _signed(data: bytes, role: str) -> JsonObject:
    return envelope.Envelope.parse(data, role).signed
