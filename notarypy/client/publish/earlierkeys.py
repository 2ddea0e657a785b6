"""Root keys of earlier versions, which sign a new root too: `key rotate --legacy`.

What it is: which keys these are, verified, and which of them are here. What it is not: who signs a root in
any case (`tuf.plan`: 7), or anything that readers need who can be shown the versions in between.

Rules:

1. What a server calls an earlier root is one only if the root after it vouches for it (`tuf.earlier`), from
   the present one back, one by one. Otherwise a server would choose which keys here sign.
2. A version that the server does not have, or that nothing vouches for, is an error: whoever asks for these
   signatures relies on them.
3. Those sign that are here. Which versions do not get as many as their threshold is said: whoever trusts
   only those still needs the versions in between.
4. They could sign before a key is made, or anything else is changed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.errors import FileMissingError, NotarypyError, UsageError
from notarypy.tuf import certificates, roles
from notarypy.tuf.earlier import earlier_root
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, meets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from notarypy.client.keys.ready import SigningKeys
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.metadata import Root
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)


def earlier_keys(
    repository: Repository, trusted: TrustedMetadata, versions: int, keys: SigningKeys
) -> tuple[PublicKey, ...]:
    """Return those root keys of so many versions before the present one that are here (rules 1 to 4)."""
    found: dict[str, PublicKey] = {}
    for root in _earlier_roots(repository, trusted, versions):
        listed = [root.keys[keyid] for keyid in certificates.usable(root, repository.gun, None)]
        here = {key.keyid: key for key in listed if key.canonical_id in keys.available}
        if not meets((key.canonical_id for key in here.values()), root.roles[roles.ROOT].threshold):
            lacking = ", ".join(dict.fromkeys(key.canonical_id[:SHORT_KEYID] for key in listed))
            repository.warn(
                f"whoever trusts only version {root.version} of the root of {repository.gun} still needs the "
                f"versions after it: its keys are not here ({lacking})"
            )
        found.update(here)
    _LOG.debug("%s: earlier root keys that sign: %s", repository.gun, list(found))
    _prepare(repository.gun, found.values(), keys)
    return tuple(found.values())


def _earlier_roots(repository: Repository, trusted: TrustedMetadata, versions: int) -> Iterator[Root]:
    """Yield the roots of so many versions before the present one, the newest first (rules 1 and 2)."""
    later, present = trusted.files[roles.ROOT], trusted.root.version
    versions = min(versions, present - 1)
    if versions > (most := repository.limits.root_versions):
        raise UsageError(f"at most {most} earlier versions of a root are looked at", why=f"not {versions}")
    for version in range(present - 1, present - versions - 1, -1):
        data = repository.fetch_version(roles.ROOT, version)
        if data is None:
            raise FileMissingError(
                f"the server does not have version {version} of the root of {repository.gun}",
                why=f"its keys are to sign too; the oldest version that it has is {version + 1}",
                role=roles.ROOT,
            )
        yield earlier_root(repository.gun, later, data, repository.limits)
        later = data


def _prepare(gun: str, found: Iterable[PublicKey], keys: SigningKeys) -> None:
    """Make sure that they could sign now (rule 4)."""
    try:
        keys.prepare(dict.fromkeys(key.canonical_id for key in found))
    except NotarypyError as error:
        error.why = (*error.why, f"it is a root key of an earlier version of {gun}; nothing was changed")
        raise
