"""Bring a repository's trusted metadata up to date: cache first, then as few requests as possible.

What it is: the driver of TrustedMetadata; it fetches, TrustedMetadata judges.
What it is not: a judge; nothing here decides whether bytes can be trusted.

Rules:

1. With a current cache one request is made: the timestamp.
2. No answer is an error. "No trust data" is an answer only while the trust directory
   holds no root of this repository; afterwards it is an alarm.
3. Nothing reaches the cache unless all of it could be had and was looked at, except a newer root that the
   chain vouches for: keys that it revoked must not stay usable.
4. What is stored is stored by the rules of `repository`.
5. At most 256 root versions are walked, and the root may change twice in one refresh.
6. All requests of a refresh have one deadline, those that are made ahead of their turn (`flight`) too.
7. Another process may refresh the cache meanwhile. What looks old beside its newer files
   is no attack: the refresh begins again.
8. A cache between here and the server may answer with what is minutes old. So before anything is refused
   the server is asked once more, past any cache; that answer counts. After a signature that does not fit the
   next version of the root is asked for before the current one: caches hold what was current.
9. Where this machine's clock is behind an archive, one of the two is wrong: dates have to hold by both.
10. Where no chain leads from the cached root to another one, it may give way to that (`afresh`).
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import warn_of_age, warn_of_expiry
from notarypy.client.metadata.flight import Flight
from notarypy.client.metadata.missing import no_trust_data, vanished
from notarypy.client.metadata.repository import KnownFiles, Repository, store
from notarypy.client.metadata.roots import first_pinned, first_root, require_pinned, walk
from notarypy.client.weight import Weight
from notarypy.errors import (
    Advice,
    CacheDamagedError,
    FileMissingError,
    FirstUseError,
    MetadataError,
    MetadataLimitError,
    NotFoundError,
    OperationError,
    RollbackError,
    RootChangedError,
    RootNotPinnedError,
    SignatureError,
    TrustError,
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.trustanchors import FirstUse
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.tuf.fields import MetaFile

_LOG = logging.getLogger(__name__)
_OVERTAKEN = 3


def refresh(
    repository: Repository, own: Mapping[str, bytes] | None = None, kind: type[Refresh] | None = None
) -> TrustedMetadata:
    """Return the repository's current, fully verified metadata, and store it in the cache.

    `own` are files just published by us, by role: taken instead of fetching them where the server's metadata
    names exactly them. `kind` says how dates are looked at; None for strictly (`lenientrefresh` has another).

    Raises:
        TrustError: It does not exist, cannot be verified, or is out of date.
        OperationError: The server cannot be asked.
    """
    repository, own, kind, archive = repository.timed(), own or {}, kind or Refresh, repository.archive
    try:
        if archive is not None and archive.exported > repository.now:  # rule 9
            quiet = replace(repository, cache=repository.cache.unwritten(), warn=lambda _: None)
            quiet = replace(quiet, decide=lambda *_, **__: lambda **_: None)
            _refreshed(quiet, own, kind)  # dates alone are looked at
            repository = replace(repository, now=archive.exported)
        return _refreshed(repository, own, kind)
    except TrustError as error:
        if isinstance(error, RootChangedError) and (anew := repository.cache.afresh()) is not None:
            return _refreshed(replace(repository.past_caches(), cache=anew), own, kind)  # rule 10
        here = isinstance(error, CacheDamagedError | FirstUseError)  # no answer would change that
        if archive is not None:
            archive.explain(error, repository.gun, repository.now)
        elif isinstance(error, MetadataError) and repository.source is not None:
            error.why = (*error.why, repository.source.origin())  # it may be a wrong address
        if here or repository.fresh or repository.source is None:
            raise
        _LOG.debug("%s: %s; the server itself is asked, past any cache", repository.gun, error.message)
        try:
            trusted = _refreshed(repository.past_caches(), own, kind)
        except OperationError:
            raise error from None
    repository.warn_of_a_cache()
    return trusted


def _refreshed(repository: Repository, own: Mapping[str, bytes], kind: type[Refresh]) -> TrustedMetadata:
    """Refresh, and again when another process was quicker (rule 7)."""
    for _ in range(_OVERTAKEN):
        attempt = kind(repository, own)
        try:
            return attempt.run()
        except RollbackError:
            if not attempt.overtaken():
                raise
            _LOG.debug("%s: another process refreshed the cache meanwhile; again", repository.gun)
    return kind(repository, own).run()


class Refresh:
    """One run; holds what the steps share."""

    kind: type[TrustedMetadata] = TrustedMetadata

    def __init__(self, repository: Repository, own: Mapping[str, bytes]) -> None:
        self.repository, self.gun, self.own = repository, repository.gun, own
        self.known = KnownFiles(repository.cache, own)
        self.trusted = self._blank()
        self.anchored, self.pinned, self.whole = False, True, True
        self.start: bytes | None = None
        self.stored: Callable[..., None] = lambda **_: None
        self.began = self.known.cached(roles.TIMESTAMP)
        self.flight = Flight(lambda: self.repository)
        self.weight = Weight(repository.limits.beside_bytes)

    def run(self) -> TrustedMetadata:
        """Anchor, load everything, persist."""
        with self.flight:
            self._verify()
        self._persist()
        self._warn_of_dates()
        # Of cached files that could not be read the versions that they stood for are forgotten.
        for warning in dict.fromkeys(self.repository.cache.warnings):
            self.repository.warn(warning)
        self.repository.cache.warnings.clear()
        return self.trusted

    def _verify(self) -> None:
        self.start = self.repository.cache.load_root()
        here = {*self.own, *self.repository.cache.cached()} - {roles.ROOT}
        known = [roles.ROOT] if self.start is not None or roles.ROOT in self.own else []
        self.flight.set_out(self._fetch, {*here, *known})
        self._anchor()
        try:
            self._load_top()
            if not self.pinned:  # the pins did not fit the cached root
                require_pinned(self.repository, self.trusted.files[roles.ROOT], self._blank)
            self._load_targets()
        except TrustError:
            self._keep_root()
            raise

    def _keep_root(self) -> None:
        root = self.trusted.files[roles.ROOT]
        if self.anchored and root != (self.start or self.own.get(roles.ROOT)):
            self._store({roles.ROOT: root})

    def _blank(self) -> TrustedMetadata:
        return self.kind(self.gun, self.repository.now, self.known, self.repository.limits)

    def overtaken(self) -> bool:
        """Tell whether somebody else has refreshed the cache since this began (rule 7)."""
        return self.repository.cache.load(roles.TIMESTAMP) != self.began

    def _anchor(self) -> None:
        """Trust a first root: ours, the cached one, or the server's by the pins."""
        self.anchored = (cached := self.start or self.own.get(roles.ROOT)) is not None
        _LOG.debug("%s: anchored in %s", self.gun, "our root" if cached else "the server's root")
        cache = self.repository.cache
        if not self.anchored and cache.cached() and cache.load_root() is None:  # nobody stored it just now
            self.repository.warn(f"{self.gun} was known here, but its trusted root is gone from the cache")
        data = cached or self._server_root()
        self.weight.add(len(data))
        accept = self.repository.roots
        try:
            root = self.trusted.first_root(data, accept)
        except RootNotPinnedError as error:
            _LOG.debug("%s: this root is not pinned; an earlier one may be", self.gun)
            self.pinned = not self.anchored
            if self.anchored:
                self.trusted.first_root(data)
            else:
                self.trusted = first_pinned(self.repository, data, self._blank, error)
            return
        except VerificationError as error:
            if not self.anchored:
                raise
            text = f"the trusted root of {self.gun} was changed or damaged on this machine"
            why = (f"it is in {self.repository.cache.directory}", error.message, *error.why)
            advice = Advice("restore-or-forget", gun=self.gun)
            raise CacheDamagedError(text, why=why, advice=advice, gun=self.gun) from error
        if not self.anchored and isinstance(accept, FirstUse):
            first = first_root(self.repository, root, data)
            self.stored = self.repository.decide(first, allowed=accept.allowed)
            self.repository = self.repository.timed()  # somebody may have been asked, and taken his time

    def _server_root(self) -> bytes:
        try:
            return self.flight.get(roles.ROOT, self._fetch)
        except NotFoundError:
            if self.anchored:
                raise self._vanished() from None
            raise no_trust_data(self.repository) from None

    def _load_top(self) -> None:
        """Load timestamp and snapshot under the last root, walking to newer roots as needed."""
        if not self.anchored:
            self.flight.release()
        timestamp = self._timestamp()
        self.flight.release()
        self.weight.add(len(timestamp))
        for _ in range(self.repository.limits.root_changes + 1):
            try:
                self.trusted.update_timestamp(timestamp)
                self.trusted.update_snapshot(self._file(roles.SNAPSHOT, self.trusted.timestamp.snapshot))
            except (SignatureError, RollbackError) as error:
                # The server's keys may have been rotated, or the repository made anew: its root says so.
                _LOG.debug("%s: %s; the server's root may say why", self.gun, error.message)
                if not self._explained(error):
                    raise
                continue
            named = self.trusted.outdated_root()
            if named is None:
                return
            data = self._file(roles.ROOT, named)
            named.check(data, roles.ROOT)
            self._adopt(data)
        raise VerificationError(f"the root of {self.gun} keeps changing")

    def _explained(self, error: SignatureError | RollbackError) -> bool:
        """Tell whether the server has a newer root, which is adopted; raise if it has another one."""
        if self.repository.source is None:
            return False
        moved = False
        try:
            moved = self._next_root()
            data = self._server_root()
        except OperationError:
            if moved or isinstance(error, RollbackError):
                return moved
            raise
        if moved and self._version(data) <= self.trusted.root.version:
            return True
        return self._adopt(data) or moved

    def _next_root(self) -> bool:
        """Trust the next version of the root, if the server has one that the trusted one signed (rule 8)."""
        data = self.repository.fetch_version(roles.ROOT, self.trusted.root.version + 1)
        try:
            return data is not None and self._adopt(data)
        except VerificationError:
            return False  # the current one says what is wrong

    def _version(self, root: bytes) -> int:
        return Envelope.parse(root, roles.ROOT, self.repository.limits).version

    def _timestamp(self) -> bytes:
        if self.repository.source is None and (cached := self.known.cached(roles.TIMESTAMP)) is not None:
            return cached
        try:
            return self.flight.get(roles.TIMESTAMP, self._fetch)
        except NotFoundError:
            raise self._vanished() from None

    def _fetch(self, role: str) -> bytes:
        return self.repository.fetch(role)  # the repository of this moment: its deadline may be another one

    def _adopt(self, data: bytes) -> bool:
        """Walk the chain to this root; tell whether it is another one than before (rule 5)."""
        if data == self.trusted.files[roles.ROOT]:
            return False
        before = self.trusted.root.version
        self.weight.add(len(data))
        offered = self._version(data)
        if offered and not self.trusted.signs(data):
            walk(self.repository, self.trusted, offered, self.weight)
        root = self.trusted.update_root(data)
        _LOG.debug("%s: the root went from version %s to %s", self.gun, before, root.version)
        return True

    def _load_targets(self) -> None:
        meta = self.trusted.snapshot.meta
        self.trusted.update_targets(self._file(roles.TARGETS, meta[roles.TARGETS]))
        most = left = (limits := self.repository.limits).all_delegations_bytes
        while (role := self.trusted.pending()) is not None:
            if meta[role].length > (limit := min(limits.delegation_bytes, left)):
                why = f"{meta[role].length} bytes; {limit} at most, of {most} for all delegations"
                error = MetadataLimitError(f"{role} is too long to be read", why=why, role=role)
                self.trusted.skip_delegation(role, error)
            else:
                self.flight.ask_delegations(self.trusted, self.known, left, self.weight)
                left -= meta[role].length
                self._load_delegation(role, meta[role])

    def _load_delegation(self, role: str, meta: MetaFile) -> None:
        try:
            self.trusted.update_delegation(role, self._file(role, meta))
        except FileMissingError as error:
            if self.repository.lacking is None:
                raise
            self.repository.lacking(f"nobody can read {self.gun} as it is: {error.message}")
            self.trusted.skip_delegation(role, error)  # `repository`: rule 11
            self.whole = False

    def _file(self, role: str, meta: MetaFile) -> bytes:
        """Return the file with this hash: from what we know if it fits, else from the server."""
        self.weight.add(max(meta.length, self.repository.cache.size(role)))
        for data in chain(self.known.candidates(role), self.flight.candidates(role, meta.length)):
            if meta.matches(data):
                _LOG.debug("%s: %s is at hand, %s bytes", self.gun, role, len(data))
                return data
        return self.repository.fetch_announced(role, meta)

    def _persist(self) -> None:
        """Write what differs from the cache (rules 3 and 4), and note if a server called it current now."""
        if not self.whole:
            self._keep_root()
            return
        files = {role: data for role, data in self.trusted.files.items() if self.known.cached(role) != data}
        cache, timestamp = self.repository.cache, self.trusted.files[roles.TIMESTAMP]
        if files:
            self._store(files)
        server, new = self.repository.server is not None, roles.TIMESTAMP in files
        if (server or new) and cache.load(roles.TIMESTAMP) == timestamp:
            cache.confirm(self.repository.now if server else None)  # of an archive nobody can tell
        self.stored(lasting=cache.lasting)

    def _warn_of_dates(self) -> None:
        if self.repository.source is None or self.repository.archive is not None:
            warn_of_age(self.repository, self.trusted.timestamp.expires)
        warn_of_expiry(self.trusted, self.repository)

    def _store(self, files: Mapping[str, bytes]) -> None:
        store(self.repository, self.trusted, files, self.start, self.known.cached(roles.TIMESTAMP))

    def _vanished(self) -> TrustError:
        if self.anchored:
            return vanished(self.repository)
        text = f"{self.repository.server_url} has a root of {self.gun} and no timestamp"
        return VerificationError(text, why="the server's data is broken")
