"""The part of Client that keeps a repository in order: its keys and its dates.

What it is: the calls behind `key rotate`, `delegate purge`, `renew` and `status`. What it
is not: usable alone; `api.Client` is the class to make.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.keyresults import PurgedKey, Renewed, RepositoryStatus, RotatedKey
    from notarypy.client.session import Session

WITHIN = timedelta(days=90)


class Upkeep:
    """What a Client can do about keys and dates of a repository."""

    _session: Session

    def purge_key(self, key: str, repository: str, *, force: bool = False) -> PurgedKey:
        """Take one key out of all delegations of a repository, keeping every tag readable.

        Args:
            key: At least 7 digits of its id.
            repository: The repository.
            force: Even if files cannot be verified until others sign them again.

        Raises:
            KeyNotAuthorisedError: The keys here may not remove it, or tags would become unreadable.
        """
        from notarypy.client.purge import purge

        self._session.whole_repository(repository)
        return purge(self._session.publisher(repository), key, force=force)

    def rotate_key(
        self, repository: str, role: str, *, key: str | None = None, server_managed: bool = False
    ) -> RotatedKey:
        """Give `root`, `targets`, `snapshot` or `timestamp` another key; this takes the root key.

        Args:
            repository: The repository.
            role: The role; the keys of signers are added and removed instead.
            key: KEY or key file of the new key; None to make one.
            server_managed: Let the server make and keep it: snapshot or timestamp.

        Raises:
            KeyNotAuthorisedError: The root key is not here.
        """
        from notarypy.client.rotate import Rotation, rotate

        rotation = Rotation(role, key, server_managed)
        rotation.check()
        self._session.whole_repository(repository)
        return rotate(self._session.publisher(repository), self._session.keys(), rotation)

    def renew(self, repository: str, *, within: timedelta = WITHIN, only: Sequence[str] = ()) -> Renewed:
        """Sign again, with the keys here, what ends within a time or has ended already.

        Args:
            repository: The repository.
            within: How far ahead.
            only: Roles to renew, whatever their date; none for all that are due.

        Raises:
            KeyNotAuthorisedError: Something is due that the keys here cannot sign; the rest was renewed.
            VerificationError: Something is wrong with it beside its dates.
        """
        from notarypy.client.renew import Window, renew

        self._session.whole_repository(repository)
        publisher = self._session.publisher(repository)
        return renew(publisher, self._session.keys(), Window(within, tuple(only)))

    def status(self, repository: str, *, within: timedelta = WITHIN) -> RepositoryStatus:
        """Return when each role ends, and whose keys are here; expired ones are shown, not refused."""
        from notarypy.client.keyresults import RepositoryStatus
        from notarypy.client.outdated import refresh_outdated
        from notarypy.client.status import statuses

        self._session.whole_repository(repository)
        known = self._session.repository(repository)
        found = statuses(refresh_outdated(known), self._session.keys().hands().held, within)
        return RepositoryStatus(known.gun, known.server_url, found)

    def repositories(self) -> list[str]:
        """Return the repositories whose root is trusted in this trust directory."""
        return self._session.directory().guns()
