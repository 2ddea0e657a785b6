"""Questions that are being answered, each once for all who ask it.

What it is: who waits for what, and for whom an answer counts. What it is not: the answer (`generation`), or
the threads (`threadpool`).

Rules:

1. Who asks what is being looked into waits for that. If the answer turns out not to count for him, because it
   rests on a look that is too old by then, another one is found, for all who are left.
2. An answer that counts and was asked for lately is looked into again before it ends, while nobody waits. A
   server that cannot be asked then ends nothing that counts, and is left alone for a while. Looking ahead
   has a fifth of a processor: who asks meanwhile must not wait for it.
3. What is not taken on is refused at once. What waited for half a minute is refused when it would begin:
   nobody waits for it any more, and others do.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from notarypy.client.verify.sharing import asks_notary
from notarypy.errors import Advice, BusyError, DeadlineError, NetworkError, OperationError
from notarypy.service.keptanswers import BRIEFLY, Verdict, counting, key_of
from notarypy.service.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from notarypy.client.parameters import VerifyOptions
    from notarypy.service.generation import Generation, QuestionPlace
    from notarypy.service.keptanswers import QuestionKey, TimedLook

_AHEAD = 1 / 3
_STEP_SECONDS, _PAUSES = 0.002, 4
_PATIENCE = 30.0


class Inquiry:
    """One question that is being answered under one policy, and all who wait for that."""

    def __init__(
        self,
        inquiries: Inquiries,
        generation: Generation,
        image: str,
        options: VerifyOptions,
        place: QuestionPlace,
        *,
        resolve: bool,
    ) -> None:
        self._inquiries, self.generation = inquiries, generation
        self.image, self.options, self.place, self.resolve = image, options, place, resolve
        self.repository, self.hosts = place.gun, place.hosts
        self.key = key_of(image, options, resolve=resolve)
        self.waiting: list[tuple[float, Future[Verdict]]] = []
        self.since: float | None = None
        self.silent: Collection[str] = ()
        self._look: TimedLook | None = None

    def again(self) -> Inquiry:
        """Return the same question, into which nobody looks yet."""
        return Inquiry(
            self._inquiries, self.generation, self.image, self.options, self.place, resolve=self.resolve
        )

    @property
    def _as_read(self) -> tuple[str, str, str | None]:
        return self.place.gun, self.place.scope.prefix, self.options.root

    def may_begin(self) -> bool:
        """Claim a look at the repository that counts for the last who asked; False: another one is taken."""
        if not asks_notary(self.place.scope, self.options):
            return True
        asked, since = self._inquiries.moment(self)
        self._look = self.generation.metadata.claim(self._as_read, asked, since)
        return self._look is not None

    def run(self) -> None:
        """Find the verdict."""
        begun = time.thread_time()
        found = self._inquiries.too_late(self)
        if found is None:
            found = self.generation.verified(self.image, self.options, self.place, self._look, self._settle)
        self._settle()
        self._look = None
        if isinstance(found.image, NetworkError):
            host = found.image.facts.get("host")
            self.silent = self.hosts if host not in self.hosts else (str(host),)
        self._inquiries.end(self, found)
        if self.since is not None:
            self._inquiries.pause(time.thread_time() - begun)

    def _settle(self) -> None:
        if self._look is not None:
            self.generation.metadata.settle(self._as_read, self._look)
            self._inquiries.pool.wake()


class Inquiries:
    """All questions that are being answered; safe to use from several threads."""

    def __init__(self, most: int, max_age: float, clock: Callable[[], float]) -> None:
        """Take as many as `most` that wait for a thread."""
        self.pool = ThreadPool(most)
        self._most, self._max_age, self._clock = most, max_age, clock
        self._lock, self._closed = threading.Lock(), False
        self._found: dict[tuple[int, QuestionKey], Inquiry] = {}
        self.refused = self.allowed = self.ahead = 0
        self._next_ahead = 0.0

    def wait(self, inquiry: Inquiry, asked: float) -> Future[Verdict]:
        """Return the verdict to come on a question that is asked now (rule 1)."""
        future: Future[Verdict] = Future()
        future.set_running_or_notify_cancel()  # whoever gives up ends it for nobody
        self._wait(inquiry, asked, future)
        return future

    def may_look_ahead(self, now: float) -> bool:
        """Tell whether a question may be looked into while nobody waits for that (rule 2)."""
        return now >= self._next_ahead and not self.pool.waiting

    def pause(self, seconds: float) -> None:
        """Look ahead no more for a while, after that took so much of a processor."""
        self._next_ahead = max(self._next_ahead, self._clock() + seconds * _PAUSES)

    def look_ahead(self, inquiry: Inquiry, verdict: Verdict) -> None:
        """Look into a question again whose verdict ends soon (rule 2)."""
        now = self._clock()
        self._next_ahead = now + _STEP_SECONDS
        verdict.ahead, inquiry.since = now + BRIEFLY, now - self._max_age * _AHEAD
        if self._begun(inquiry, now, None) is not inquiry:
            return
        self.ahead += 1
        if not self.pool.send(inquiry):
            self._ended(inquiry)

    def moment(self, inquiry: Inquiry) -> tuple[float, float]:
        """Return when an inquiry was last asked for, and from when on a look counts for it."""
        with self._lock:
            asked = inquiry.waiting[-1][0] if inquiry.waiting else self._clock()
        return asked, asked - self._max_age if inquiry.since is None else inquiry.since

    def too_late(self, inquiry: Inquiry) -> Verdict | None:
        """Return a refusal for an inquiry that waited too long (rule 3)."""
        asked, now = self.moment(inquiry)[0], self._clock()
        if now - asked < _PATIENCE:
            return None
        message, why = (
            f"{inquiry.image} was not looked at in time",
            f"others wait for {', '.join(inquiry.hosts)}",
        )
        error = DeadlineError(message, why=why, advice=Advice("ask-service-later"))
        return Verdict(error, (), counting(now, now, error, self._max_age))

    def end(self, inquiry: Inquiry, verdict: Verdict) -> None:
        """Give a verdict to those for whom it counts; the others wait for another one (rule 1)."""
        generation, now = inquiry.generation, inquiry.generation.session.now()
        final = isinstance(verdict.image, BusyError)
        # Kept before anybody is told: who asks next finds it.
        if self._is_kept(inquiry, verdict):
            generation.verdicts.keep(inquiry.key, verdict)
        for asked, future in self._ended(inquiry):
            if final or verdict.counts(asked, now):
                future.set_result(verdict)
            else:
                self._wait(inquiry.again(), asked, future)

    def close(self) -> None:
        """Refuse what waits, and end the threads."""
        self._closed = True
        for errand in self.pool.close():
            if isinstance(errand, Inquiry):
                self.end(errand, Verdict(self._not_taken()))

    def _wait(self, inquiry: Inquiry, asked: float, future: Future[Verdict]) -> None:
        """Have a question wait for the inquiry that answers it."""
        found = self._begun(inquiry, asked, future)
        if found is inquiry and not self.pool.send(inquiry):
            self.end(inquiry, Verdict(self._not_taken()))

    def _is_kept(self, inquiry: Inquiry, verdict: Verdict) -> bool:
        """Tell whether a verdict counts for those who ask later (rule 2)."""
        self.allowed, self.refused = self.allowed + verdict.ok, self.refused + (not verdict.ok)
        asked, now = self._clock(), inquiry.generation.session.now()
        if not verdict.counts(asked, now):
            return False
        before = inquiry.generation.verdicts.get(inquiry.key, asked, now)
        return before is None or not before.ok or not isinstance(verdict.image, OperationError)

    def _begun(self, inquiry: Inquiry, asked: float, future: Future[Verdict] | None) -> Inquiry:
        with self._lock:
            found = self._found.setdefault((id(inquiry.generation), inquiry.key), inquiry)
            if future is not None:
                found.waiting.append((asked, future))
        return found

    def _ended(self, inquiry: Inquiry) -> list[tuple[float, Future[Verdict]]]:
        with self._lock:
            self._found.pop((id(inquiry.generation), inquiry.key), None)
            return inquiry.waiting

    def _not_taken(self) -> BusyError:
        if self._closed:
            return BusyError("the service is ending", advice=Advice("ask-service-later"))
        message, why = "too many images wait to be verified", f"{self._most} at most"
        return BusyError(message, why=why, advice=Advice("ask-service-later"))
