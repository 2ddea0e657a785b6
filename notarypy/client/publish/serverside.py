"""What the Notary server has: an upload as it was sent, versions that were taken before, keys of its own.

What it is: looks at the server, for rules 2, 6 and 7 of the `pipeline`. What it is not: a decision to try
again, or trust in what the server says; the root alone names the keys that count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from notarypy.client.metadata.refresh import refresh
from notarypy.errors import (
    Advice,
    KeyNotAuthorisedError,
    NotarypyError,
    NotFoundError,
    OperationError,
    ServerError,
    TrustError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
    VerificationError,
)
from notarypy.tuf import canonical, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, meets
from notarypy.values import replace

if TYPE_CHECKING:
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.metadata import Root
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
    renewed = tuple(role for role in {roles.SNAPSHOT: b"", **files} if role not in own)
    try:
        trusted = read(replace(repository, renewed=renewed), own)
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
    version = version_of(repository, role, data)
    overtaken = role in trusted.files and version_of(repository, role, trusted.files[role]) > version
    return overtaken and repository.fetch_version(role, version) == data


def upload_of(repository: Repository, files: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    """Return what `landed` has to know of files that are sent: version and SHA-256 by role, in order."""
    return {
        role: (version_of(repository, role, files[role]), sha256(files[role]).hexdigest())
        for role in sorted(files)
        if role != roles.SNAPSHOT  # a server may sign another one, and anybody makes the next one
    }


def landed(repository: Repository, trusted: TrustedMetadata, upload: Mapping[str, tuple[int, str]]) -> bool:
    """Tell whether an upload is what the server serves, or was before others published.

    What a server says of an earlier version counts only where what it serves is above that one, or nothing.
    """
    return bool(upload) and all(_had(repository, trusted, role, *one) for role, one in upload.items())


def _had(repository: Repository, trusted: TrustedMetadata, role: str, version: int, digest: str) -> bool:
    data = trusted.files.get(role)
    if data is None or version_of(repository, role, data) > version:
        data = repository.fetch_version(role, version)
    return data is not None and sha256(data).hexdigest() == digest


def moved(old: TrustedMetadata, new: TrustedMetadata, files: Collection[str]) -> list[str]:
    """Return the roles we build on whose files are others than before."""
    relevant = {*files, roles.ROOT, roles.TARGETS, roles.SNAPSHOT}
    return [role for role in relevant if old.files.get(role) != new.files.get(role)]


def taken_version(repository: Repository, role: str, data: bytes) -> int:
    """Return the newest version there is of a role nobody lists, this file's or above; or NotFoundError."""
    version = version_of(repository, role, data)
    newest = newest_version(repository, role, version)
    if not newest:
        raise NotFoundError(f"version {version} of {role} is free")
    return newest


def newest_version(repository: Repository, role: str, low: int = 1) -> int:
    """Return the newest version that the server has of a role, listed or not, from one upwards; else 0."""
    # What Go notary published first may be version 2: then there is no version 1.
    newest = repository.newest(role, low) or repository.newest(role, low + 1)
    return newest[0] if newest else 0


def version_of(repository: Repository, role: str, data: bytes) -> int:
    """Return the version that a file says it has; nothing of it is verified."""
    return Envelope.parse(data, role, repository.limits).version


def _unconfirmed(repository: Repository, *why: str) -> UnconfirmedPublishError:
    return UnconfirmedPublishError(
        f"the server took the update of {repository.gun} and does not serve it",
        why=why,
        advice=Advice("inspect-published", gun=repository.gun),
        gun=repository.gun,
    )


def server_key(repository: Repository, role: str, data: bytes) -> PublicKey:
    """Read a key that the server keeps, as it offers it; raise ServerError if nobody can use it."""
    try:
        offered = canonical.decode(data, f"the server's {role} key", repository.limits)
        return PublicKey.from_json(offered, repository.limits)
    except VerificationError as error:
        text = f"{repository.server_url} offers no usable {role} key"
        raise ServerError(text, why=error.message) from error


def keeps_snapshot(root: Root, available: Collection[str]) -> bool:
    """Tell whether the snapshot is signed here, and not by the server."""
    return meets(_snapshot_keys(root).intersection(available), root.roles[roles.SNAPSHOT].threshold)


def require_snapshot_key(repository: Repository, root: Root, available: Collection[str]) -> None:
    """Raise KeyNotAuthorisedError if the snapshot's key is neither here nor the server's.

    To ask the server takes the right to publish. One that does not say counts as having the key.
    """
    if keeps_snapshot(root, available):
        return
    accepted = _snapshot_keys(root)
    with suppress(NotFoundError, ServerError):
        data = repository.notary().get_key(repository.gun, roles.SNAPSHOT)
        offered = server_key(repository, roles.SNAPSHOT, data).canonical_id
        _LOG.debug("%s: the server's snapshot key is %s", repository.gun, offered)
        if offered not in accepted:
            raise _elsewhere(repository, root, accepted)


def _snapshot_keys(root: Root) -> set[str]:
    found = set()
    for key in root.signers(roles.SNAPSHOT):
        with suppress(NotarypyError):  # a key of a kind that nobody here can have
            found.add(key.canonical_id)
    return found


def _elsewhere(repository: Repository, root: Root, accepted: Collection[str]) -> KeyNotAuthorisedError:
    threshold = root.roles[roles.SNAPSHOT].threshold
    short = ", ".join(keyid[:SHORT_KEYID] for keyid in sorted(accepted)) or "none that can be used"
    return KeyNotAuthorisedError(
        f"the keys here cannot sign the snapshot of {repository.gun}, and the server does not do it",
        why=f"{threshold} of these must be here: {short}; whoever made the repository kept it",
        advice=Advice("hand-over-snapshot", gun=repository.gun),
        gun=repository.gun,
        role=roles.SNAPSHOT,
        accepted=sorted(accepted),
        threshold=threshold,
    )
