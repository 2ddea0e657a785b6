"""Content of any kind: what `Client.targets` offers.

What it is: a door for each use case, as in `client.api`. What it is not: logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists
from notarypy.client.verify import content, targetfiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.client.verify.content import ListedTarget
    from notarypy.tuf.fields import TargetFile


class ListedTargets:
    """What the roles of a repository list, as Go `notary` looks at it: not images, but names of content.

    The first role that lists a name counts: `targets`, then its delegations, then those below them. With
    `roles` each of them counts in that order, with what is below it. `root` is a pin that the repository must
    meet. Whether an image may run is another question, with another answer: `Client.verify`.
    """

    def __init__(self, session: Session) -> None:
        """Read with a client's session."""
        self._session = session

    def list(
        self, repository: str, *, roles: Sequence[str] = (), root: str | None = None
    ) -> tuple[ListedTarget, ...]:
        """Return what is listed, sorted by name; what cannot be trusted is left out, with a warning."""
        require_lists(roles=roles)
        return targetfiles.listed(self._session, repository, roles, root)

    def lookup(
        self, repository: str, name: str, *, roles: Sequence[str] = (), root: str | None = None
    ) -> ListedTarget:
        """Return what is listed under a name.

        Raises:
            TagUnsignedError: No role lists it.
            TrustError: A role that would come first cannot be trusted.
        """
        require_lists(roles=roles)
        return targetfiles.lookup(self._session, repository, name, roles, root)

    def verify(
        self,
        repository: str,
        name: str,
        source: BinaryIO,
        sink: BinaryIO | Path | None = None,
        *,
        roles: Sequence[str] = (),
        root: str | None = None,
        progress: Progress | None = None,
    ) -> ListedTarget:
        """Verify that `source`, read to its end, is what is listed under a name; errors as of `lookup`, too.

        `sink` gets the content once all of it is verified, and nothing of any other; a file that a path names
        is replaced as a whole. It may be bigger than memory: meanwhile it is in a temporary file. `progress`
        is given how much was read, in place of the client's.

        Raises:
            DigestMismatchError: It is other content.
            StorageError: It cannot be read, or not be written; what `sink` raises is raised as it is.
        """
        require_lists(roles=roles)
        found = targetfiles.lookup(self._session, repository, name, roles, root)
        content.verify(found, source, sink, progress or self._session.progress)
        return found

    def describe(
        self, source: BinaryIO, *, what: str = "", size: int = 0, progress: Progress | None = None
    ) -> TargetFile:
        """Return length, SHA-256 and SHA-512 of what `source` has to its end, which may be more than memory.

        `progress`, or the client's, is given how much of `what` was read, of what `size` if that is known.
        StorageError: it cannot be read.
        """
        return content.describe(source, what, size, progress or self._session.progress)
