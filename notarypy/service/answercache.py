"""What is known, and for which questions it counts: metadata of repositories, and verdicts on images.

What it is: what is kept under one trust policy, in bounded memory. What it is not: the refresh
(`client.metadata`), or how a verdict comes about (`generation`).

Rules:

1. A look at metadata, and what rests on it, counts for a question that was asked at most `max_age` after the
   look began. Where that is 0 it has to begin after the question was asked: one that was under way by then
   does not count.
2. Of a repository, as one scope and one pin read it, one look is under way at a time. Who cannot use what is
   known waits for it, and holds no thread meanwhile.
3. A refusal counts for five seconds after its look began, never longer than a success: what was just signed
   is not refused by what was known before. So where a look that is older would refuse, a newer one is taken,
   once for all who wait. A server that could not be asked is an answer to all who waited, and to those who
   come within five seconds; that we had no time to ask it is one to those who waited alone.
4. What has ended by the clock on the wall counts no longer, however fresh the look is, nor what has come to
   an age that the trust policy sets.
5. So many repositories are kept, and so many bytes, as estimated; those that nobody asked for go first. The
   last one is kept whatever it takes: a question may be about any tag of it.
6. So many verdicts are kept; those that nobody asked for go first.
7. All that is required tells questions apart, and takes little memory.
8. Where a new look finds the very files of the one before, with the same dates and the same to say of them, a
   good image that was judged by nothing else would be judged as it was: it counts from the new look. That is
   not so for what a registry was asked about, or for what there was something to say of the image itself, and
   a refusal is looked into again.
9. Where it finds other files, nothing that was judged by those before counts any more: who has seen a tag
   signed anew does not name its old digest, and then refuse that.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import ages_reached, ended, role_ends
from notarypy.client.verdicts import AppliedPolicy, SkippedImage, VerifiedImage
from notarypy.client.verify.sharing import Look
from notarypy.errors import BusyError, NotarypyError, OperationError
from notarypy.tuf import canonical
from notarypy.tuf.policy import MaxAge
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.client.parameters import VerifyOptions
    from notarypy.limits import Limits
    from notarypy.tuf.trusted import TrustedMetadata

    LookKey = tuple[str, str, str | None]

QuestionKey = tuple[str, bytes, bool]
_REGISTRY, _NO_REGISTRY = b"registry", b""
BRIEFLY, _AHEAD = 5.0, 2 / 3


class Counting:
    """For which questions an answer counts, by when they are asked (rules 1 and 3).

    Attributes:
        settled: Up to this moment it counts in any case.
        until: Before this moment it counts.
        ahead: From this moment on somebody may look again.
        over: Whether a newer look found something else (rule 9).
    """

    __slots__ = ("ahead", "over", "settled", "until")

    def __init__(self, settled: float, until: float, ahead: float = math.inf) -> None:
        self.settled, self.until, self.ahead, self.over = settled, until, ahead, False

    def holds(self, asked: float) -> bool:
        """Tell whether it counts for a question."""
        return not self.over and (asked <= self.settled or asked < self.until)

    def go_on(self, newer: Counting) -> None:
        """Count from a newer look, for all that rests on this (rule 8)."""
        self.settled, self.until, self.ahead = newer.settled, newer.until, newer.ahead


def counting(began: float, done: float, error: BaseException | None, max_age: float) -> Counting:
    """Return for which questions an answer counts (rules 1 and 3)."""
    if error is None:
        return Counting(began, began + max_age, began + max_age * _AHEAD)
    brief = 0.0 if isinstance(error, BusyError) else min(BRIEFLY, max_age)
    if isinstance(error, OperationError):
        return Counting(done, done + brief)
    return Counting(began, began + brief)


_FOR_NOBODY = Counting(-math.inf, -math.inf)


class TimedLook(Look):
    """A look, when it began, and until when it counts."""

    def __init__(self, began: float) -> None:
        super().__init__()
        self.began = began
        self.ends: datetime | None = None
        self.aged: datetime | None = None
        self.limit = MaxAge()
        self.warnings: list[str] = []
        self.weight = 0
        # Both at once, as other threads read them: what was found, and for whom that counts.
        self._finished: tuple[TrustedMetadata | NotarypyError | None, Counting]
        self._finished = None, Counting(began, began)

    def counts(self, asked: float, since: float, now: datetime) -> bool:
        """Tell whether it counts for a question that wants nothing from before a moment (rules 1, 3, 4)."""
        timely = self._finished[1].holds(asked)
        if isinstance(self.found, NotarypyError):
            return timely
        return timely and self.began >= since and (self.ends is None or not ended(self.ends, now))

    def is_finished(self) -> bool:
        """Tell whether it is noted until when that counts which was found: it may have been renewed."""
        return self._finished[0] is self.found

    def counting_of(self, found: TrustedMetadata) -> Counting | None:
        """Return for whom metadata counts, None if something else was found since."""
        finished, counting = self._finished
        return counting if finished is found else None

    def follow(self, before: TimedLook) -> None:
        """Have what rests on the look before count from this one, if both found the same (rules 8 and 9)."""
        (found, counting), (earlier, kept) = self._finished, before._finished
        if found is None or isinstance(found, NotarypyError):
            return
        if earlier is None or isinstance(earlier, NotarypyError):
            return
        if earlier.files != found.files:
            kept.over = True
        elif (self.ends, self.warnings) == (before.ends, before.warnings):
            kept.go_on(counting)
            self._finished = found, kept

    def finish(self, done: float, max_age: float) -> None:
        """Note until when it counts."""
        found = self.found
        error = found if isinstance(found, NotarypyError) else None
        self._finished[1].over = True  # by which others were judged, if this was renewed
        self._finished = found, counting(self.began, done, error, max_age)
        if found is not None and not isinstance(found, NotarypyError):
            ages = ages_reached(found, self.limit)
            self.aged, self.ends = min(ages, default=None), min(*role_ends(found).values(), *ages)
            self.weight = sum(map(canonical.memory, found.files.values()))


class CachedMetadata:
    """The looks at all repositories; safe to use from several threads."""

    def __init__(
        self, limits: Limits, max_age: float, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        """Know nothing yet."""
        self._limits, self.max_age, self.clock, self.now = limits, max_age, clock, now
        self._lock = threading.Lock()
        self._kept: OrderedDict[LookKey, TimedLook] = OrderedDict()
        self._failed: OrderedDict[LookKey, TimedLook] = OrderedDict()
        self._under_way: dict[LookKey, TimedLook] = {}
        self.weight = self.looks = 0

    @property
    def repositories(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def claim(self, key: LookKey, asked: float, since: float) -> TimedLook | None:
        """Return the look that counts for a question, or one that whoever asks has to take; None: wait."""
        with self._lock:
            if (look := self._known(key, asked, since)) is not None:
                return look
            if key in self._under_way:
                return None
            self._under_way[key] = look = TimedLook(self.clock())
            self.looks += 1
            return look

    def settle(self, key: LookKey, look: TimedLook) -> None:
        """Keep what a look found by now, or let another one be taken if it found nothing; twice is once."""
        with self._lock:
            if self._under_way.get(key) is look:
                del self._under_way[key]
            elif self._kept.get(key) is not look:
                return
            if look.is_finished() or look.found is None:
                return
            if self._kept.get(key) is look:
                self.weight -= self._kept.pop(key).weight
            look.finish(self.clock(), self.max_age)
            if isinstance(look.found, OperationError):  # what is known counts on, while it does
                self._failed[key] = look
                if len(self._failed) > self._limits.kept_repositories:
                    self._failed.popitem(last=False)
                return
            self._failed.pop(key, None)
            self._keep(key, look)

    def _known(self, key: LookKey, asked: float, since: float) -> TimedLook | None:
        for looks in (self._kept, self._failed):
            look = looks.get(key)
            if look is not None and look.counts(asked, since, self.now()):
                looks.move_to_end(key)
                return look
        return None

    def _keep(self, key: LookKey, look: TimedLook) -> None:
        """Keep a look in place of an earlier one (rule 5)."""
        before = self._kept.pop(key, None)
        if before is not None:
            look.follow(before)
        self._kept[key] = look
        self.weight += look.weight - (before.weight if before else 0)
        while len(self._kept) > 1 and (
            len(self._kept) > self._limits.kept_repositories or self.weight > self._limits.kept_bytes
        ):
            self.weight -= self._kept.popitem(last=False)[1].weight


@dataclass(frozen=True)
class Unasked:
    """An image that the trust policy says to take unverified; nobody was asked which digest its tag has."""

    repository: str
    tag: str
    policy: AppliedPolicy


class Verdict:
    """What came of one question: an image or an error, and what there is to say of it.

    Attributes:
        image: The image as it was verified or skipped, or why it is refused.
        warnings: In the order in which they came; those that are `Unverified` say what was not verified.
        written: What is answered of it, once somebody has written that.
        later: Until when nobody looks again before it ends, whatever `ahead` the look says.
        ends: When what vouches for a good image ends or is too old, by the clock on the wall.
        future: One that has this result, for all who ask.
    """

    __slots__ = ("_basis", "_counting", "ends", "future", "image", "later", "warnings", "written")

    def __init__(
        self,
        image: VerifiedImage | SkippedImage | Unasked | NotarypyError,
        warnings: tuple[str, ...] = (),
        counting: Counting = _FOR_NOBODY,
        aged: datetime | None = None,
        basis: Counting | None = None,
    ) -> None:
        """`basis` is the look's counting, which may be over before that of the verdict itself (rule 9)."""
        self.image, self.warnings, self.later, self.written = image, warnings, -math.inf, ""
        self._counting, self._basis = counting, basis or counting
        self.future: Future[Verdict] = Future()
        self.future.set_result(self)
        expires = image.expires if isinstance(image, VerifiedImage) else None
        self.ends = min(filter(None, (expires, aged)), default=None)

    @property
    def ok(self) -> bool:
        """Whether the image may be used: it was verified, or is to be skipped."""
        return not isinstance(self.image, NotarypyError)

    def counts(self, asked: float, now: datetime) -> bool:
        """Tell whether it answers a question asked at a moment; `now` is that of the clock on the wall."""
        timely = self._counting.holds(asked) and not self._basis.over
        return timely and (self.ends is None or not ended(self.ends, now))

    @property
    def ahead(self) -> float:
        """From when on somebody may look again before it ends."""
        return max(self._counting.ahead, self.later)

    @property
    def began(self) -> float:
        """When what it rests on began to be looked at."""
        return self._counting.settled


def by_now(future: Future[Verdict]) -> Verdict | None:
    """Return the verdict that somebody waits for, None if it is not known yet."""
    return future.result() if future.done() and not future.cancelled() else None


class CachedVerdicts:
    """Verdicts by question; safe to use from several threads."""

    def __init__(self, most: int) -> None:
        """Know nothing yet."""
        self._most, self._lock = most, threading.Lock()
        self._verdicts: OrderedDict[QuestionKey, Verdict] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._verdicts)

    def get(self, key: QuestionKey, asked: float, now: datetime) -> Verdict | None:
        """Return the verdict that counts for a question, None if there is none."""
        with self._lock:
            found = self._verdicts.get(key)
            if found is None:
                return None
            if found.counts(asked, now):
                self._verdicts.move_to_end(key)
                return found
            del self._verdicts[key]
            return None

    def keep(self, key: QuestionKey, verdict: Verdict) -> None:
        """Keep a verdict, in place of the one before."""
        with self._lock:
            self._verdicts[key] = verdict
            self._verdicts.move_to_end(key)
            while len(self._verdicts) > self._most:
                self._verdicts.popitem(last=False)


def key_of(image: str, options: VerifyOptions, *, resolve: bool) -> QuestionKey:
    """Return what tells questions apart (rule 7)."""
    if not options.needs_verification:
        return image, _REGISTRY if options.registry else _NO_REGISTRY, resolve
    said = (tuple(options.signers), options.all_signers, options.root, options.registry, tuple(options.also))
    return image, hashlib.sha256(repr(said).encode()).digest(), resolve
