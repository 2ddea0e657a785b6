"""The roots of a repository as they were, each as far as the trusted one of today vouches for it.

What it is: the way from today's root backwards (`tuf.earlier`), only as far as it is wanted. What it is not:
the way forward; nothing that is believed here is believed of the present.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.history.oldfiles import MissingFileError, given
from notarypy.errors import TrustError, VerificationError
from notarypy.tuf import roles
from notarypy.tuf.earlier import earlier_root

if TYPE_CHECKING:
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.fields import MetaFile
    from notarypy.tuf.trusted import TrustedMetadata


class PastRoots:
    """The roots of a repository, from the trusted one backwards as far as they are wanted."""

    def __init__(self, repository: Repository, trusted: TrustedMetadata) -> None:
        """Begin with the trusted one."""
        self._repository = repository
        data = trusted.files[roles.ROOT]
        self._known = {trusted.root.version: data}
        self._next = trusted.root.version - 1
        self._left = repository.limits.root_versions
        self.problem: TrustError | None = None

    def find(self, named: MetaFile) -> bytes:
        """Return the root that a snapshot names; VerificationError: none that can be relied on is that."""
        found = next((data for data in self._known.values() if named.matches(data)), None)
        while found is None and self.problem is None and self._next > 0:
            data = self._step()
            found = data if data is not None and named.matches(data) else None
        if found is None:
            why = (self.problem.message, *self.problem.why) if self.problem else ()
            raise VerificationError("no root that can be relied on is the one it names", why=why)
        return found

    def between(self, low: int, high: int) -> list[bytes]:
        """Return the roots above one version and up to another, oldest first."""
        return [self._known[number] for number in sorted(self._known) if low < number <= high]

    def _step(self) -> bytes | None:
        """Take one more root, if the oldest so far vouches for it."""
        number, repository = self._next, self._repository
        self._next, self._left = number - 1, self._left - 1
        try:
            if self._left < 0:
                raise VerificationError("too many roots came after it")
            data = given(partial(repository.fetch_version, roles.ROOT, number))
            earlier_root(repository.gun, self._known[min(self._known)], data, repository.limits)
        except MissingFileError:
            return None
        except TrustError as error:
            self.problem = error
            return None
        self._known[number] = data
        return data
