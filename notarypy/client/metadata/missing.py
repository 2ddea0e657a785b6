"""What it means that a server has nothing of a repository.

What it is: the errors for it. What it is not: who asks, or what is done then.

Rules:

1. Where the trust directory holds the repository's root, the server had it: that is an alarm.
2. Unless nothing of it was ever read from a server: what `init` of Go notary and of `notary` leaves is the
   first version of every file, and no timestamp. Go notary leaves the same behind when it has published them
   and read nothing since, so both are said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    NotarypyError,
    RepositoryMissingError,
    RepositoryUnpublishedError,
    RepositoryVanishedError,
    TrustError,
)
from notarypy.images.reference import DOCKER_HUB
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope

if TYPE_CHECKING:
    from notarypy.client.metadata.repository import Repository

_FIRST = frozenset({roles.ROOT, roles.TARGETS, roles.SNAPSHOT})


def is_begun(repository: Repository, *, whole: bool = True) -> bool:
    """Tell whether a cache has what `init` leaves, and nothing that a server served (rule 2).

    Where it need not be `whole`, files may be missing or damaged: these prove nothing.
    """
    present = set(repository.cache.cached())
    if not {roles.ROOT, *([roles.TARGETS] if whole else [])} <= present <= _FIRST:
        return False
    for role in present:
        try:
            version = Envelope.parse(repository.cache.load(role) or b"", role, repository.limits).version
        except NotarypyError:  # which whoever uses the file says
            version = 0 if whole else 1
        if version != 1:
            return False
    return True


def no_trust_data(repository: Repository) -> RepositoryMissingError:
    """Return the error for a repository that the server does not know, and that is not known here."""
    gun, url, hub = repository.gun, repository.server_url, repository.gun.startswith(f"{DOCKER_HUB}/")
    advice = Advice("init-hub" if hub else "init", gun=gun)
    if gun.startswith(f"{DOCKER_HUB}/library/"):  # Docker's own: nobody else can vouch for these
        advice = Advice("not-the-official")
    return RepositoryMissingError(f"{gun} has no trust data on {url}", advice=advice, gun=gun, server=url)


def vanished(repository: Repository) -> TrustError:
    """Return the error for a repository that is known here and unknown to the server (rules 1 and 2)."""
    return _unpublished(repository) if is_begun(repository) else _lost(repository)


def _lost(repository: Repository) -> RepositoryVanishedError:
    return RepositoryVanishedError(
        f"{repository.server_url} no longer has the trust data of {repository.gun}",
        why=(
            "the trust directory holds its root, so it had some once",
            "it was deleted, the server was reset, or somebody answers in its place",
        ),
        advice=Advice("forget", gun=repository.gun),
        gun=repository.gun,
        server=repository.server_url,
    )


def _unpublished(repository: Repository) -> RepositoryUnpublishedError:
    gun, url = repository.gun, repository.server_url
    return RepositoryUnpublishedError(
        f"{url} has no trust data of {gun}, which is begun here",
        why=(
            "its first files are in the trust directory, and nothing of it was read from a server",
            "if it was published, the server lost it, or somebody answers in its place",
        ),
        advice=Advice("publish-unpublished", gun=gun),
        gun=gun,
        server=url,
    )
