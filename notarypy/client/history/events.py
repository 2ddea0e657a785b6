"""What happened to a repository, one event after the other, oldest first.

What it is: the walk over all that a server published, joined to the times of its feed; and what an event is.
What it is not: proof of when: times are the server's own words, as is that a repository was deleted.

Rules:

1. What was published since the last deletion is looked at file by file (`past`). What can be read is
   verified; what is gone, or does not hold, is an event of its own, `verified` no more.
2. Versions of the timestamp are counted up from 1. What the feed leaves out is asked for by number; what is
   then still not there is a gap, and named. So is a number of another file that was passed over.
3. Of what was there before a deletion only the feed speaks: nothing of it can be verified.
4. With a role, events of that file and of what others say of that role are given, and what nobody can tell
   any more. With a time those since then; where times are not known all are given. A version that the feed
   dates before older ones has no time that is known, and that is told.
5. A repository that is gone, or has another root than the trusted one, has what the feed says; the error
   comes after it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from notarypy.client.history.oldfiles import MissingFileError
from notarypy.client.history.past import Past, new_failures
from notarypy.client.metadata.feed import Feed
from notarypy.client.metadata.lenientrefresh import refresh_outdated
from notarypy.errors import (
    OperationError,
    RepositoryMissingError,
    RepositoryVanishedError,
    RootChangedError,
    TrustError,
    UsageError,
)
from notarypy.tuf import differences, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.metadata import Root
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from notarypy.client.metadata.feed import FeedRecord
    from notarypy.client.metadata.repository import Repository
    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.tuf.differences import Difference
    from notarypy.tuf.metadata import Targets
    from notarypy.tuf.trusted import TrustedMetadata

_MISSES = 64
_WITH_REPOSITORY = "it went with the repository when that was deleted"
_SKEW = timedelta(hours=1)  # of several servers with one database
_DATED_BACK = ("unverified", "the feed dates it before older ones")
_FEED_ONLY = "only the server's feed says so"


@dataclass(frozen=True)
class HistoryEvent:
    """One thing that happened: `kind` of `name`, said by a version of a role's file.

    `time` is what the server's feed says, which nobody signed; None where it says nothing. `name` is a tag, a
    delegation or a base role, whatever the kind is about; `before` and `after` are what it was and became: a
    digest, key ids, paths, a number. `keys` are canonical ids of the keys that signed it, `signers` the names
    of those that have one, of a key that several share all. What is not `verified` has its reason in `why`.
    """

    time: datetime | None
    role: str
    version: int | None
    kind: str
    name: str = ""
    before: str | None = None
    after: str | None = None
    signers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    verified: bool = True
    why: str = ""


@dataclass(frozen=True)
class _Step:
    """A version of the timestamp to look at, as the feed names it, or without its time and hash, and why."""

    version: int
    time: datetime | None = None
    sha256: str = ""
    why: tuple[str, str] = ("unlisted", "the server's feed does not list it")


@dataclass(frozen=True)
class PastFilter:
    """What of a repository's past is asked for (rule 4); a span is before now, a signer's name its role."""

    since: datetime | timedelta | None = None
    role: str | None = None
    tag: str | None = None


def history(
    session: Session, text: str, asked: PastFilter, root: str | None = None, progress: Progress | None = None
) -> Generator[HistoryEvent, None, None]:
    """Return the events of a repository, read while they are taken; see the module's rules."""
    session.whole_repository(text)
    if asked.role is not None and asked.role not in roles.BASE_ROLES:
        releases = asked.role == roles.signer_name(roles.RELEASES)
        role = roles.RELEASES if releases else roles.signer_role(asked.role)
        asked = replace(asked, role=role)
    since = session.now() - asked.since if isinstance(asked.since, timedelta) else asked.since
    if since is not None and since.tzinfo is None:
        raise TypeError("since is a moment with its time zone")
    if session.settings.archive is not None:
        raise UsageError("an archive has no history", why="it has the present alone")
    repository = session.repository(text, root, session.scope_of_roots(session.gun(text, whole=True)[0]))
    walk = _Walk(repository, since, asked.role, progress)
    return (event for event in walk.events() if _is_asked_for(event, asked, since))


def _is_asked_for(event: HistoryEvent, asked: PastFilter, since: datetime | None) -> bool:
    """Apply rule 4."""
    if since is not None and event.time is not None and event.time < since:
        return False
    if not event.verified:
        return True
    if asked.tag is not None and (event.name != asked.tag or not event.kind.startswith("tag-")):
        return False
    return asked.role is None or asked.role in {event.role, event.name}


class _Walk:
    """One walk; holds what the steps share."""

    def __init__(
        self, repository: Repository, since: datetime | None, role: str | None, progress: Progress | None
    ) -> None:
        self._repository, self._since, self._role = repository, since, role
        self._progress = progress
        self._feed = Feed(repository)
        self._before: TrustedMetadata | None = None
        self._known: dict[str, tuple[bytes, Targets]] = {}
        self._missed = 0

    def events(self) -> Iterator[HistoryEvent]:
        """Yield everything, from the first publish on."""
        try:
            trusted = refresh_outdated(self._repository.past_caches())
        except (RepositoryMissingError, RepositoryVanishedError, RootChangedError) as error:
            with suppress(OperationError):  # what is wrong with the repository counts
                self._feed.survey()
                yield from self._earlier()
                for change in self._since_then():
                    yield _odd(_Step(change.version, change.time), "unverified", error.message)
            raise
        self._feed.survey()
        if self._feed.problem:
            yield HistoryEvent(None, "", None, "feed", verified=False, why=self._feed.problem)
        yield from self._earlier()
        try:
            yield from self._present(trusted)
        finally:
            if self._progress is not None:
                self._progress.end()

    def _earlier(self) -> Iterator[HistoryEvent]:
        """Yield what only the feed still knows (rule 3)."""
        for change in self._feed.changes() if self._feed.deleted else ():
            if change.number > self._feed.deleted:
                return
            if change.version:
                yield _odd(_Step(change.version, change.time), "gone", _WITH_REPOSITORY)
            else:
                yield HistoryEvent(change.time, "", None, "deleted", verified=False, why=_FEED_ONLY)

    def _present(self, trusted: TrustedMetadata) -> Iterator[HistoryEvent]:
        past, newest = Past(self._repository, trusted, self._role), trusted.timestamp.version
        steps, begun = self._steps(newest), False
        while batch := list(islice(steps, past.reach)):
            if self._progress is not None and not begun:
                total = newest + 1 - (batch[0].version or newest)
                self._progress.begin(f"history of {self._repository.gun}", max(total, 1))
                begun = True
            past.look_ahead({step.version: step.sha256 for step in batch if isinstance(step, _Step)})
            for step in batch:
                yield from self._looked_at(past, step) if isinstance(step, _Step) else [step]
                if self._progress is not None:
                    self._progress.moved(1)

    def _steps(self, newest: int) -> Iterator[_Step | HistoryEvent]:
        """Yield each version of the timestamp once, in order, and what is odd about the feed (rule 2)."""
        expected = 1
        for change, dated_back in self._wanted():
            if expected == 1 and self._since is not None and change.version <= newest:
                expected = change.version  # nothing before it is of interest
            odd = ""
            if change.version < expected:
                odd = f"the feed has version {change.version} of the timestamp after version {expected - 1}"
            elif change.version > newest:
                odd = f"it was published while this was read, or never: the newest one was {newest}"
            if odd:
                yield _odd(_Step(change.version, change.time), "unverified", odd)
                continue
            yield from self._unlisted(expected, change.version)
            yield _Step(change.version, None if dated_back else change.time, change.sha256, _DATED_BACK)
            expected = change.version + 1
        if expected <= newest:  # which is there
            yield from self._unlisted(expected, newest)
            yield _Step(newest)

    def _since_then(self) -> Iterator[FeedRecord]:
        """Yield the records since the last deletion."""
        return (change for change in self._feed.changes() if change.number > self._feed.deleted)

    def _wanted(self) -> Iterator[tuple[FeedRecord, bool]]:
        """Yield the records of interest, with the last before the time, and which are dated back (rule 4)."""
        before: FeedRecord | None = None
        latest: datetime | None = None
        for change in self._since_then():
            latest = change.time if latest is None else max(latest, change.time)
            dated_back = latest - change.time > _SKEW
            if self._since is not None and change.time < self._since and not dated_back:
                before = change
                continue
            if before is not None:
                yield before, False
            before = None
            yield change, dated_back
        if before is not None:
            yield before, False

    def _unlisted(self, first: int, end: int) -> Iterator[_Step | HistoryEvent]:
        """Yield versions that the feed does not have; a long run of what is not there is one gap."""
        for version in range(first, end):
            if self._missed >= _MISSES:
                why = f"versions {version} to {end - 1} of the timestamp are not there"
                yield HistoryEvent(None, roles.TIMESTAMP, version, "gap", verified=False, why=why)
                return
            yield _Step(version)

    def _looked_at(self, past: Past, step: _Step) -> Iterator[HistoryEvent]:
        """Yield what one version of the timestamp brought."""
        if step.time is None and (step.sha256 or not self._feed.problem):
            yield _odd(step, *step.why)
        try:
            after = past.at(step.version)
        except MissingFileError as error:
            self._missed += 1
            yield _odd(step, "gone", str(error))
            return
        except TrustError as error:
            yield _odd(step, "unverified", "; ".join((error.message, *error.why)))
            return
        self._missed, before = 0, self._before
        stamp = after.files.get(roles.TIMESTAMP)  # None: nothing of it is of interest
        if step.sha256 and stamp is not None and sha256(stamp).hexdigest() != step.sha256.lower():
            yield _odd(step, "unverified", "the feed names another timestamp of this version")
        names = differences.names_of(*([] if before is None else [before]), after)
        for found in self._differences(past, after, first=step.version == 1):
            yield _event(step, found, names)
        yield from self._failures(step, after)
        self._remember(after)

    def _differences(self, past: Past, after: TrustedMetadata, *, first: bool) -> Iterator[Difference]:
        before, limits = self._before, self._repository.limits
        if before is None:
            yield from differences.of_root(None, after.files[roles.ROOT], limits, first=first)
        else:
            root = before.root
            for data in past.roots.between(root.version, after.root.version):
                yield from differences.of_root(root, data, limits)
                root = Root.from_signed(Envelope.parse(data, roles.ROOT, limits).signed, limits)
            yield from differences.of_versions(before, after, self._known)
        yield from differences.of_targets(self._known, after)
        if before is not None:
            yield from differences.of_lists(before, after)

    def _failures(self, step: _Step, after: TrustedMetadata) -> Iterator[HistoryEvent]:
        """Yield what of delegations cannot be read, once for each reason."""
        for role, error in new_failures(self._before, after).items():
            if self._role in {None, role}:
                why, version = "; ".join((error.message, *error.why)), error.facts.get("version")
                number = version if isinstance(version, int) else None
                yield HistoryEvent(step.time, role, number, "unverified", verified=False, why=why)

    def _remember(self, after: TrustedMetadata) -> None:
        """Keep this state to compare with, and of what cannot be read the last that could."""
        left = {role: known for role, known in self._known.items() if role in after.failures}
        self._known = {**left, **{role: (after.files[role], each) for role, each in after.targets.items()}}
        self._before = after


def _odd(step: _Step, kind: str, why: str) -> HistoryEvent:
    return HistoryEvent(step.time, roles.TIMESTAMP, step.version, kind, verified=False, why=why)


def _event(step: _Step, found: Difference, names: Mapping[str, tuple[str, ...]]) -> HistoryEvent:
    signers = tuple(dict.fromkeys(name for key in found.keys for name in names.get(key, ())))
    what = (found.kind, found.name, found.before, found.after)
    return HistoryEvent(
        step.time, found.role, found.version, *what, signers, found.keys, not found.why, found.why
    )
