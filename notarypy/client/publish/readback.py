"""What a server has of an upload, and of versions that were taken before.

What it is: rules 2 and 6 of the `pipeline`, as looks at the server. What it is not: a decision to try again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from notarypy.client.metadata.refresh import refresh
from notarypy.errors import (
    Advice,
    NotFoundError,
    OperationError,
    TrustError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
)
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope

if TYPE_CHECKING:
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)


def confirm(
    repository: Repository, files: Mapping[str, bytes], read: Callable[..., TrustedMetadata] = refresh
) -> TrustedMetadata:
    """Read back after an upload, and return what the server serves now (rule 2).

    Raises:
        UnconfirmedPublishError: It does not serve what was sent.
        UnknownOutcomeError: It cannot be asked.
    """
    # A snapshot made here proves nothing about what the server has: then everything is read.
    own = {role: data for role, data in files.items() if roles.SNAPSHOT not in files or role == roles.ROOT}
    try:
        trusted = read(repository, own)
        missing = [role for role, data in files.items() if not _serves(repository, trusted, role, data)]
    except TrustError as error:
        raise _unconfirmed(repository, f"read back: {error.message}", *error.why) from error
    except OperationError as error:
        raise UnknownOutcomeError(
            f"the server took the update of {repository.gun}, and reading it back failed",
            why=error.message,
            advice=Advice("run-again"),
        ) from error
    if missing:
        raise _unconfirmed(repository, f"not served as sent: {', '.join(missing)}")
    _LOG.debug("%s: the server serves %s as sent", repository.gun, list(files))
    return trusted


def _serves(repository: Repository, trusted: TrustedMetadata, role: str, data: bytes) -> bool:
    named = trusted.timestamp.snapshot if role == roles.SNAPSHOT else trusted.snapshot.meta.get(role)
    if named is not None and named.matches(data):
        return True
    version = _version(repository, role, data)
    overtaken = role in trusted.files and _version(repository, role, trusted.files[role]) > version
    return overtaken and repository.fetch_version(role, version) == data


def taken_version(repository: Repository, role: str, data: bytes) -> int:
    """Return the newest version that a server has of a role nobody lists, this file's or above (rule 6).

    Raises:
        NotFoundError: There is none: this version is free.
    """
    version = _version(repository, role, data)
    # What Go notary published first may be version 2: then there is no version 1.
    newest = repository.newest(role, version) or repository.newest(role, version + 1)
    if newest is None:
        raise NotFoundError(f"version {version} of {role} is free")
    return newest[0]


def _version(repository: Repository, role: str, data: bytes) -> int:
    return int(Envelope.parse(data, role, repository.limits).signed["version"])


def _unconfirmed(repository: Repository, *why: str) -> UnconfirmedPublishError:
    return UnconfirmedPublishError(
        f"the server took the update of {repository.gun} and does not serve it",
        why=why,
        advice=Advice("inspect-published", gun=repository.gun),
        gun=repository.gun,
    )
