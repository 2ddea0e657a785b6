"""The states of a repository as they were, one version of the timestamp after the other, each verified.

What it is: for each of them all that it named, under the root of its time, in as few requests as that takes.
What it is not: what is different (`tuf.differences`), or when it was.

Rules:

1. Everything is verified as `TrustedMetadata` does it, but for dates, by the root that the snapshot of that
   time names. That root is one that the trusted root of today vouches for (`tuf.trustanchors`).
2. Versions are looked at in windows, which grow while nothing is odd, up to an end. A window's first and last
   timestamp are read, and the snapshots and files that they name.
3. Between two states nothing but files of targets and delegations is read if the root stayed and each version
   between can only have brought the next version of each file that changed: there are as many new versions of
   each, and of the snapshot, as of the timestamp. These files are asked for by number, and counts how many
   there are only once all are there; none may have more than twice the length of those at the ends.
4. Otherwise the state in the middle is read: by the number of its snapshot, where there are as many new
   snapshots as timestamps, and else, or if that does not hold, by its timestamp.
5. A state that rule 3 or 4 concluded, and that does not hold or has a failure to tell, is read by its
   timestamp, and that counts. So is all between timestamps that are others than those that the feed names.
6. In memory are today's state, those that a window was divided at, and what was fetched ahead.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from notarypy.client.history.oldfiles import AHEAD, MissingFileError, OldFiles, given
from notarypy.client.workers import Outcome
from notarypy.errors import TrustError, VerificationError
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.metadata import Snapshot, Timestamp
from notarypy.tuf.trustanchors import earlier_root
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository

_FEW, _BEGIN, _MANY = 32, 64, 256
_SLACK = 4 << 10


class PastMetadata(TrustedMetadata):
    """Everything of one moment in the past, verified in all but its dates: nobody looks at them (rule 1)."""

    def _require_date(self, role: str, expires: datetime) -> None:
        pass

    def _require_final_root(self) -> None:
        pass

    def conclude(self, timestamp: Timestamp, snapshot: Snapshot | None = None) -> None:
        """Take it that this was there, which nobody has read (rules 3 and 4)."""
        self._timestamp, self._snapshot = timestamp, snapshot


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


@dataclass(frozen=True)
class _Run:
    """Versions before `end`, each with the next of some files: the numbers `end` has, and limits (rule 3)."""

    end: PastMetadata
    versions: range
    numbers: Mapping[str, int]
    limits: Mapping[str, int]

    def numbers_at(self, version: int) -> dict[str, int]:
        """Return which files came with a version of the timestamp."""
        return {role: number - self.end.timestamp.version + version for role, number in self.numbers.items()}


class Past:
    """One version after the other, oldest first; `roots` is where their roots are from.

    At most `reach` versions are to be looked at ahead.
    """

    def __init__(self, repository: Repository, trusted: TrustedMetadata, only: str | None) -> None:
        """Read a repository's past; `only` is the one role that is of interest, None for all."""
        self.repository, self._only, self.reach = repository, only, _BEGIN
        self.roots = PastRoots(repository, trusted)
        self._files = OldFiles(repository, trusted)
        length = trusted.timestamp.snapshot.length
        self._most = max(_FEW, min(_MANY, AHEAD // length // 4))
        self._limits = {roles.SNAPSHOT: 2 * length + _SLACK}
        self._known: PastMetadata | None = None
        self._ends: dict[int, Outcome[PastMetadata]] = {}
        self._runs: dict[int, _Run] = {}
        self._feed: Mapping[int, str] = {}
        self._concluding = True

    def look_ahead(self, feed: Mapping[int, str]) -> None:
        """Divide a window: versions of the timestamp in order, with the hashes that the feed has of them."""
        self._files.drop()
        self._ends, self._runs, self._feed, line = {}, {}, feed, list(feed)
        self._concluding = self._only not in {roles.SNAPSHOT, roles.TIMESTAMP}
        if line and self._known is not None and self._known.timestamp.version == line[0] - 1:
            line = [line[0] - 1, *line]
            self._ends[line[0]] = Outcome(self._known)
            self._files.last[roles.SNAPSHOT] = self._known.files.get(roles.SNAPSHOT, b"")
        self._read({version: 0 for version in (*line[:1], *line[-1:]) if version not in self._ends})
        spans, self.reach = [line], min(2 * self.reach, self._most)
        while spans := [span for span in spans if span[1:-1]]:
            middles, halves = dict[int, int](), list[list[int]]()
            for span in spans:
                if (run := self._run(span)) is not None:
                    self._runs |= dict.fromkeys(span[1:-1], run)
                    continue
                middle, self.reach = len(span) // 2, _FEW
                steady = self._steady(span)
                middles[span[middle]] = steady[0].snapshot.version + middle if steady else 0  # rule 4
                halves += [span[: middle + 1], span[middle:]]
            self._read(middles)
            spans = halves

    def at(self, version: int) -> PastMetadata:
        """Return the verified state that a version of the timestamp stands for.

        MissingFileError: the server does not have all of it. TrustError: it does not hold.
        """
        past = self._concluded(version)
        if past is None:
            self._read({} if version in self._ends else {version: 0})
            past = self._ends.pop(version).get()
            self._finish(past)
        self._known = past
        return past

    def _concluded(self, version: int) -> PastMetadata | None:
        """Return what is concluded of a version, unless there is anything odd about it (rule 5)."""
        end, run = self._ends.get(version), self._entered(version)
        if run is None and (end is None or end.error is not None or roles.TIMESTAMP in end.get().files):
            return None
        try:
            past = self._ends.pop(version).get() if run is None else self._placed(version, run)
            self._finish(past)
        except (TrustError, MissingFileError):
            return None
        numbers = {} if run is None else run.numbers_at(version)
        odd = [role for role, each in past.targets.items() if each.version != numbers.get(role, each.version)]
        odd += filter(self._is_wanted, new_failures(self._known, past))
        return None if odd else past

    def _entered(self, version: int) -> _Run | None:
        """Return the run that a version is in; at its first one all files are fetched, or it is none."""
        run = self._runs.get(version)
        if run is None or version != run.versions[0]:
            return run
        wanted = [named for each in run.versions for named in run.numbers_at(each).items()]
        if len(self._files.fetch_numbered(wanted, run.limits)) == len(wanted):
            return run
        self._files.drop()
        for each in run.versions:
            del self._runs[each]
        self._read(dict.fromkeys(run.versions, 0))
        return None

    def _placed(self, version: int, run: _Run) -> PastMetadata:
        """Return a state within a run; its targets are not looked at yet."""
        end, back = run.end, run.end.timestamp.version - version
        meta = dict(end.snapshot.meta)
        for role, number in run.numbers_at(version).items():
            self._files.last[role] = data = self._files.numbered(role, number)
            meta[role] = MetaFile.of(data)
        snapshot = replace(end.snapshot, version=end.snapshot.version - back, meta=meta)
        past = self._begun(end.files[roles.ROOT])
        past.conclude(replace(end.timestamp, version=version), snapshot)
        return past

    def _run(self, span: list[int]) -> _Run | None:
        """Return the run between the ends of a span of versions, if it is one (rule 3)."""
        if (ends := self._steady(span)) is None:
            return None
        old, new = (each.snapshot.meta for each in ends)
        if old[roles.ROOT] != new[roles.ROOT] or not old.keys() <= new.keys():
            return None
        changed = [role for role in new if new[role] != old.get(role) and self._is_wanted(role)]
        numbers, limits = dict[str, int](), dict[str, int]()
        for role in changed:
            number, before = self._files.number(role, new[role]), self._files.number(role, old.get(role))
            if number is None or before is None or number - before != len(span) - 1:
                return None
            longest = max(new[role].length, old[role].length if role in old else 0)
            numbers[role], limits[role] = number, 2 * longest + _SLACK
        unchanged = not changed and self._only is None  # a snapshot was signed again, and by whom is asked
        if unchanged or len(span) * sum(limits.values()) > AHEAD:
            return None
        return _Run(ends[1], range(span[1], span[-1]), numbers, limits)

    def _steady(self, span: list[int]) -> tuple[PastMetadata, PastMetadata] | None:
        """Return both ends of a span if as many snapshots as timestamps were made between them."""
        ends = [self._ends[version] for version in (span[0], span[-1])]
        if not self._concluding or any(end.error is not None for end in ends):
            return None
        first, end = (each.get() for each in ends)
        numbers = {span[-1] - span[0], end.snapshot.version - first.snapshot.version}
        return (first, end) if numbers == {len(span) - 1} else None

    def _read(self, wanted: Mapping[int, int]) -> None:
        """Read what versions of the timestamp name; where one has a number of a snapshot by that (rule 4)."""
        concluded = {version: number for version, number in wanted.items() if number}
        self._files.fetch_numbered([(roles.SNAPSHOT, each) for each in concluded.values()], self._limits)
        for version, number in concluded.items():
            with suppress(TrustError, MissingFileError):
                self._ends[version] = Outcome(self._unnamed(version, number))
        rest = [version for version in wanted if version not in self._ends]
        snapshots = list[tuple[str, MetaFile]]()
        for data in self._files.fetch_numbered((roles.TIMESTAMP, version) for version in rest):
            with suppress(TrustError):
                snapshots.append((roles.SNAPSHOT, self._timestamp(data).snapshot))
        self._files.fetch_named(snapshots)
        for version in rest:
            try:
                self._ends[version] = Outcome(self._named(version))
            except (TrustError, MissingFileError) as error:
                self._ends[version] = Outcome(error=error)
        ends = [end.get() for version in wanted if (end := self._ends[version]).error is None]
        listed = [each for end in ends for each in end.snapshot.meta.items() if self._is_wanted(each[0])]
        self._files.fetch_named(listed)

    def _named(self, version: int) -> PastMetadata:
        """Return what a version of the timestamp names."""
        stamp = self._files.numbered(roles.TIMESTAMP, version)
        if (told := self._feed.get(version)) and sha256(stamp).hexdigest() != told.lower():
            self._concluding = False  # rule 5
        timestamp = self._timestamp(stamp)
        if timestamp.version != version:
            raise VerificationError(f"it is version {timestamp.version}", role=roles.TIMESTAMP)
        data = self._files.named(roles.SNAPSHOT, timestamp.snapshot)
        timestamp.snapshot.check(data, roles.SNAPSHOT)
        past = self._under(data)
        past.update_timestamp(stamp)
        past.update_snapshot(data)
        return past

    def _unnamed(self, version: int, number: int) -> PastMetadata:
        """Return what the snapshot of this number names, with a version of the timestamp that is not read."""
        data = self._files.numbered(roles.SNAPSHOT, number)
        past = self._under(data)
        past.conclude(Timestamp(version, self.repository.now, MetaFile.of(data)))
        if past.update_snapshot(data).version != number:
            raise VerificationError(f"it is not version {number}", role=roles.SNAPSHOT)
        return past

    def _timestamp(self, data: bytes) -> Timestamp:
        return Timestamp.from_signed(Envelope.parse(data, roles.TIMESTAMP, self.repository.limits).signed)

    def _under(self, snapshot: bytes) -> PastMetadata:
        """Begin with the root that a snapshot names."""
        file = Envelope.parse(snapshot, roles.SNAPSHOT, self.repository.limits)
        return self._begun(self.roots.find(Snapshot.from_signed(file.signed).meta[roles.ROOT]))

    def _begun(self, root: bytes) -> PastMetadata:
        past = PastMetadata(self.repository.gun, self.repository.now, limits=self.repository.limits)
        past.first_root(root)
        return past

    def _finish(self, past: PastMetadata) -> None:
        """Verify targets and delegations."""
        if not self._is_wanted(roles.TARGETS):
            return
        meta, files = past.snapshot.meta, self._files
        past.update_targets(files.named(roles.TARGETS, meta[roles.TARGETS]))
        while (role := past.pending()) is not None:
            if not self._is_wanted(role):
                past.skip_delegation(role, VerificationError("it was not asked for", role=role))
                continue
            try:
                past.update_delegation(role, files.named(role, meta[role]))
            except (VerificationError, MissingFileError) as error:
                text = f"{role} cannot be read as it was"
                past.skip_delegation(role, VerificationError(text, why=str(error), role=role))
        files.last = {role: data for role, data in files.last.items() if role in {*meta, roles.SNAPSHOT}}

    def _is_wanted(self, role: str) -> bool:
        """Tell whether a file says anything of the role of interest: it is its own, or that of one above."""
        if role == roles.ROOT:  # they come one by one (`PastRoots`)
            return False
        return self._only is None or role == self._only or self._only.startswith(f"{role}/")


def new_failures(before: TrustedMetadata | None, after: TrustedMetadata) -> dict[str, TrustError]:
    """Return what of delegations cannot be read, and could be before, or not for the same reason."""
    known = {} if before is None else {role: (e.message, e.why) for role, e in before.failures.items()}
    return {role: e for role, e in after.failures.items() if known.get(role) != (e.message, e.why)}
