"""What an owner does now and then, and hopes never to need: what `Client.upkeep` offers.

What it is: a door for each use case, as in `client.api`. What it is not: logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.findings import Examined
    from notarypy.client.publish.deleting import DeletedRepository
    from notarypy.client.publish.republishing import Republished
    from notarypy.client.session import Session
    from notarypy.errors import NotarypyError


class Upkeep:
    """Repositories and trust directories over the years."""

    def __init__(self, session: Session) -> None:
        """Work with a client's session."""
        self._session = session

    def republish(self, repository: str) -> Republished:
        """Give the Notary server what is known here and it lost: it was wiped, or is an old backup's.

        What is sent was verified before, and is sent as it is. Where the server lost its keys too, a next
        root names its new ones, which takes the root key.

        Raises:
            NothingThereError: Nothing of the repository is known here.
            RootChangedError: The server has another root, which nothing links to the one here.
            KeyNotAuthorisedError: The root key is needed and is not here.
            RefusedUpdateError: The server refuses what has ended, and whatever else it does not take.
        """
        from notarypy.client.publish.republishing import republish

        return republish(self._session, repository)

    def delete(
        self, repository: str, *, confirm: str | None = None, forget: bool = False
    ) -> DeletedRepository:
        """Delete the trust data of a repository at its Notary server, for everybody.

        `confirm` is its name in full, once more; with a star behind it, where a server takes all that begins
        so. Keys stay; with `forget` what is cached here is dropped, as `Client.forget` does.

        Raises:
            ConfirmationNeededError: `confirm` does not say so; nothing was done, and it says what is there.
            UnconfirmedPublishError: The server still has it.
            UnknownOutcomeError: Whether it has could not be asked.
        """
        from notarypy.client.publish.deleting import delete

        return delete(self._session, repository, confirm, forget_too=forget)

    def doctor(
        self, repositories: Sequence[str] = (), *, problems: Sequence[NotarypyError] = ()
    ) -> tuple[Examined, ...]:
        """Look for what is wrong: this machine first, then servers and repositories; changes nothing.

        Without names these are the repositories that are known here. `problems` are those of settings that
        were left out to have a client at all; they become findings.
        """
        from notarypy.client.doctor.examination import examine

        require_lists(repositories=repositories)
        return examine(self._session, repositories, problems)
