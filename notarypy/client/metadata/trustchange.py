"""The two deliberate ways to change what is trusted: accept another root, or forget a repository.

What it is: the only code that replaces or drops a trusted root without a chain of signatures. What it is not:
reachable by accident; `accept` wants the full id.

Rules:

1. The offered root is shown beside the trusted one; nothing changes by looking.
2. `accept` verifies everything the server has under the named root before the old one is given up.
3. Keys and staged changes of other tools are never touched.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from notarypy import files
from notarypy.client.metadata.missing import no_trust_data, vanished
from notarypy.client.metadata.refresh import refresh
from notarypy.client.metadata.repository import LOCK_SECONDS, Repository
from notarypy.client.results import TrustedRoot
from notarypy.errors import Advice, NotFoundError, RootNotPinnedError, VerificationError
from notarypy.storage.trustdir import RepositoryCache, TrustDirectory
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.metadata import Root
from notarypy.tuf.trustanchors import policy, root_ids
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import replace

_LOG = logging.getLogger(__name__)


def offered(repository: Repository) -> TrustedRoot:
    """Return the root trusted here and the one the server offers (rule 1)."""
    try:
        data = repository.fetch(roles.ROOT)
    except NotFoundError:
        if _trusted(repository) is not None:
            raise vanished(repository) from None
        raise no_trust_data(repository) from None
    root = TrustedMetadata(repository.gun, repository.now, limits=repository.limits).first_root(data)
    old = _trusted(repository)
    pins = root.pins
    return TrustedRoot(
        repository=repository.gun,
        trusted=old.pins if old else (),
        trusted_version=old.version if old else None,
        offered=pins,
        offered_version=root.version,
        accepted=old is not None and old.pins == pins,
    )


def accept(repository: Repository, pin: str) -> TrustedRoot:
    """Trust the offered root with this id from now on, whatever was trusted before (rule 2)."""
    wanted = roles.check_pins(pin).split(",")
    seen = offered(repository)
    with tempfile.TemporaryDirectory() as scratch:
        cache = TrustDirectory(Path(scratch), repository.limits).repository(repository.gun)
        trusted = refresh(replace(repository, cache=cache, roots=policy(wanted, "--root")))
    root = trusted.root
    if set(wanted) - set[str]().union(*(root_ids(root, one) for one in root.roles[roles.ROOT].keyids)):
        raise RootNotPinnedError(
            f"the server offers another root of {repository.gun}",
            why=f"offered: {', '.join(seen.offered)}",
            advice=Advice("compare-pin"),
        )
    cache = repository.cache
    with cache.lock(LOCK_SECONDS):
        # The new anchor first: whatever goes wrong afterwards, there is never none.
        cache.store({roles.ROOT: trusted.files[roles.ROOT]})
        cache.drop(role for role in cache.cached() if role != roles.ROOT)
        cache.store(trusted.files)
    _LOG.debug("%s: root %s is trusted now, in place of %s", repository.gun, pin, seen.trusted)
    return replace(seen, accepted=True)


def forget(cache: RepositoryCache) -> bool:
    """Drop what is cached of a repository, its root too; tell whether there was anything (rule 3).

    That goes for certificates of its roots, too, which a first release of Notary left (`roots`: rule 5).
    """
    certificates = cache.certificates()
    if not (cache.cached() or certificates):
        return False
    with cache.lock(LOCK_SECONDS):
        cache.forget()
        for path in certificates:
            files.remove(path)
    _LOG.debug("forgot what was cached in %s", cache.directory)
    return True


def _trusted(repository: Repository) -> Root | None:
    try:
        data, limits = repository.cache.load_root(), repository.limits
        if data is None:
            return None
        return Root.from_signed(Envelope.parse(data, roles.ROOT, limits).signed, limits)
    except VerificationError as error:
        repository.warn(f"what is trusted of {repository.gun} cannot be read: {error.message}")
        return None
