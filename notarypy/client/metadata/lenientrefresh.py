"""Refreshes that are lenient in one thing: dates that are over, or a server that cannot be reached.

What it is: for those who look at dates or sign again what is verified in all but its date, and for those who
only look at a repository. What it is not: a way to verify images, or to publish on what is cached; nothing of
what is read here reaches `verify`.

Rules:

1. What has ended is noted and not refused. Signatures, hashes, versions and names count as ever, and so does
   a root's certificate that is still to begin: by such a clock nobody can tell what has ended.
2. What is expired is not stored in the cache, and no warnings are given: the callers speak of dates
   themselves.
3. A server refuses to make a new timestamp under an expired root. Then the newest
   timestamp is looked up by its version.
4. To sign on something old would bring back what it says. Under a root that is in date a
   server renews its timestamp; one that is past its date is then taken by nobody.
5. What is cached is used, where the client was made so, in place of a server that could not be reached, or
   not in time. Whatever it answers counts, and so does a certificate that is not trusted.
6. What is cached is verified as without a network, and must not have ended. That it is used is said, with
   the reason; where it cannot be used the reason is the error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.metadata.refresh import Refresh, refresh
from notarypy.errors import DeadlineError, ExpiredError, MetadataError, ServerError, UnreachableError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.metadata import Root

_LOG = logging.getLogger(__name__)


class OutdatedMetadata(TrustedMetadata):
    """Everything verified but dates; `expired` is what is past them, the root also for its certificate."""

    def __init__(
        self, gun: str, now: datetime, seen: Mapping[str, bytes] | None = None, limits: Limits = DEFAULT
    ) -> None:
        """Start with nothing trusted, as TrustedMetadata does."""
        super().__init__(gun, now, seen, limits)
        self.expired: dict[str, ExpiredError] = {}

    def update_root(self, data: bytes) -> Root:
        """Trust a newer root; what was expired under the old one is looked at again."""
        self.expired.clear()
        return super().update_root(data)

    def _require_date(self, role: str, expires: datetime) -> None:
        try:
            super()._require_date(role, expires)
        except ExpiredError as error:
            _LOG.debug("%s: %s is past its date, %s, which is let pass", self.gun, role, expires)
            self.expired[role] = error

    def _require_final_root(self) -> None:
        try:
            super()._require_final_root()
        except ExpiredError as error:
            if error.facts.get("early"):
                raise
            self.expired[roles.ROOT] = error


def refresh_outdated(repository: Repository, own: Mapping[str, bytes] | None = None) -> TrustedMetadata:
    """Return a repository's metadata, verified in all but its dates; raise as `refresh` does."""
    return refresh(repository, own, _OutdatedRefresh)


def refresh_to_renew(repository: Repository, own: Mapping[str, bytes] | None = None) -> TrustedMetadata:
    """Return what is to be signed again; ExpiredError if the timestamp ended and no root did (rule 4)."""
    trusted = refresh_outdated(repository, own)
    expired = trusted.expired if isinstance(trusted, OutdatedMetadata) else {}
    if roles.TIMESTAMP in expired and roles.ROOT not in expired:
        raise expired[roles.TIMESTAMP]
    return trusted


class _OutdatedRefresh(Refresh):
    """One run that lets dates pass (rules 1 to 3)."""

    kind = OutdatedMetadata

    def _persist(self) -> None:
        if not isinstance(self.trusted, OutdatedMetadata) or not self.trusted.expired:
            super()._persist()

    def _warn_of_dates(self) -> None:
        """Say nothing (rule 2)."""

    def _timestamp(self) -> bytes:
        try:
            return super()._timestamp()
        except ServerError:
            newest = self.repository.newest(roles.TIMESTAMP, self._cached_version())
            if newest is None:
                raise
            _LOG.debug("%s: the server gives no timestamp, but version %s", self.repository.gun, newest[0])
            return newest[1]

    def _cached_version(self) -> int:
        cached = self.known.cached(roles.TIMESTAMP) or b""
        try:
            version = Envelope.parse(cached, roles.TIMESTAMP, self.repository.limits).signed.get("version")
        except MetadataError:
            return 1
        return version if isinstance(version, int) and version > 0 else 1


def refresh_or_cached(repository: Repository, *, allowed: bool) -> TrustedMetadata:
    """Return the repository's current metadata, or if `allowed` what is cached of it (rules 5 and 6)."""
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
