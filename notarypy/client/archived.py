"""A Notary server whose answers lie in a trust archive.

What it is: what `remote.notary` is for a server that can be asked, for one that cannot. What it is not: a
reason to believe an answer more, or longer: it is verified in the same way, by the same code.

Rules:

1. What the archive does not have, its server does not have. Without the root and the timestamp of what it
   says it has, it is damaged.
2. It takes no updates and has no keys: nothing is published to it, and a refresh is all that asks it.
3. Its answers are as old as it says. A clock that is behind that moment is wrong, or the archive is: that is
   said, and dates have to hold by both (`refresh`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    ExpiredError,
    MetadataError,
    NotFoundError,
    RepositoryMissingError,
    RollbackError,
    RootChangedError,
    TrustError,
)
from notarypy.tuf import roles

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.storage.images.trustarchive import TrustArchive

_SHOWN = 10


class ArchivedNotary:
    """The server of all repositories in an archive."""

    def __init__(self, archive: TrustArchive) -> None:
        """Answer from an archive."""
        self._archive, self.path = archive, str(archive)

    @property
    def exported(self) -> datetime:
        """When the archive was made, as it says."""
        return self._archive.exported

    def server_of(self, gun: str) -> str:
        """Return the address of the server that gave it a repository, as it says."""
        return self._archive.repositories[gun].server

    def connect(self) -> None:
        """Do nothing: there is no connection."""

    def get(self, gun: str, role: str, limit: int, **_: bool) -> bytes:
        """Return the current metadata of a role; raise NotFoundError, or MetadataError by rule 1."""
        try:
            return self._read(gun, f"{role}.json", limit)
        except NotFoundError as error:
            if role in {roles.ROOT, roles.TIMESTAMP}:
                why = "it says that it has this repository"
                raise MetadataError(error.message, why=why, advice=Advice("export-anew", gun=gun)) from None
            raise

    def get_by_hash(self, gun: str, role: str, sha256: str, limit: int, **_: bool) -> bytes:
        """Return the metadata of a role that has this sha256; errors as of `get`."""
        return self._read(gun, f"{role}.{sha256}.json", limit)

    def get_version(self, gun: str, role: str, version: int, limit: int, **_: bool) -> bytes:
        """Return one version of a role's metadata; errors as of `get`."""
        return self._read(gun, f"{version}.{role}.json", limit)

    def _read(self, gun: str, name: str, limit: int) -> bytes:
        try:
            return self._archive.read(gun, name, limit)
        except FileNotFoundError:  # rule 1
            raise NotFoundError(f"{self.path} has no {name} for {gun}", gun=gun, server=self.path) from None

    def require(self, gun: str) -> None:
        """Raise RepositoryMissingError for a repository that the archive does not say it has."""
        if gun not in self._archive.repositories:
            held = sorted(self._archive.repositories)
            raise RepositoryMissingError(
                f"{gun} is not in {self.path}",
                why=f"it holds {len(held)}: {', '.join(held[:_SHOWN])}{' ...' if len(held) > _SHOWN else ''}",
                advice=Advice("export-repository", gun=gun),
                gun=gun,
                server=self.path,
            )

    def require_metadata(self, data: bytes) -> None:
        """Leave it to the verification: nobody named a wrong address."""

    def origin(self) -> str:
        """Return in words where the answers are from, and of when."""
        return f"{self.path} was exported on {self._archive.exported:%Y-%m-%d %H:%M}Z, as it says"

    def ahead_of(self, now: datetime) -> str:
        """Return what is to be said where the clock is behind the archive (rule 3), else nothing."""
        if now >= self.exported:
            return ""
        to_come = "which this machine's clock says is still to come"
        return f"{self.origin()}, {to_come}: dates have to hold by both"

    def explain(self, error: TrustError, gun: str, now: datetime) -> None:
        """Add to an error what an archive is to do with it."""
        error.why = (*error.why, self.origin())
        if isinstance(error, ExpiredError):
            error.advice = Advice("set-clock") if now < self.exported else Advice("export-anew", gun=gun)
        elif isinstance(error, RollbackError):
            error.advice = Advice("export-newer")
        elif isinstance(error, RootChangedError):
            error.advice = Advice("forget-for-archive", gun=gun)
