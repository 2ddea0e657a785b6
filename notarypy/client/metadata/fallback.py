"""What is cached, for whoever only looks at a repository whose server cannot be reached.

What it is: a refresh that goes on without the server, for a client that was made so. What it is not: for
publishing, or for the verdict about an image; these ask the server or fail.

Rules:

1. It is for a server that could not be reached, or not in time. Whatever it answers counts, and so does a
   certificate that is not trusted.
2. What is cached is verified as without a network, and must not have ended. That it is used is said, with
   the reason; where it cannot be used the reason is the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.metadata.refresh import refresh
from notarypy.errors import DeadlineError, ExpiredError, UnreachableError
from notarypy.values import replace

if TYPE_CHECKING:
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.trusted import TrustedMetadata


def refresh_or_cached(repository: Repository, *, allowed: bool) -> TrustedMetadata:
    """Return the repository's current metadata, or if `allowed` what is cached of it (rules 1 and 2)."""
    try:
        return refresh(repository)
    except (UnreachableError, DeadlineError) as error:
        if not allowed or repository.server is None:
            raise
        unreachable = error
    try:
        found = refresh(replace(repository, server=None, fresh=False))
    except (UnreachableError, ExpiredError) as error:  # what is cached, if anything, does not count
        raise unreachable.saying(f"and what is cached cannot be used: {error.message}") from None
    repository.warn(f"{unreachable.message}: this is what is cached here")
    return found
