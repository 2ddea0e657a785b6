"""Questions that are being answered, each once for all who ask it.

What it is: who waits for what, and for whom an answer counts. What it is not: the answer (`generation`), or
the threads (`threadpool`).

Rules:

1. Who asks what is being looked into waits for that. If the answer turns out not to count for him, because it
   rests on a look that is too old by then, another one is found, for all who are left. A good one that was
   looked for after he had asked, and whose date has passed by now, is a refusal: the next would be no better.
2. An answer that counts and was asked for lately is looked into again before it ends, while nobody waits. A
   server that cannot be asked then ends nothing that counts, and is left alone for a while. Looking ahead
   has a fifth of a processor, and one look at a time while looks are quick: who asks meanwhile must not wait
   for it.
3. What is not taken on is refused at once. What waited for half a minute is refused when it would begin:
   nobody waits for it any more, and others do. Such a refusal says nothing of who asks later, or of servers.
4. Who comes before a look begins waits with all others who did, and so do those who come after that. However
   many ask, that is one thing to wait for, and it takes no memory for each of them.
5. What nobody waits for any more is not begun. Of a request that asks much the first few questions have their
   turn with those of others, and the rest waits for its turn after all that.
"""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.client.verify.sharing import asks_notary
from notarypy.errors import Advice, BusyError, ExpiredError, NetworkError, NotarypyError, OperationError
from notarypy.service.answercache import BRIEFLY, Verdict, key_of
from notarypy.service.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from notarypy.client.parameters import VerifyOptions
    from notarypy.service.answercache import QuestionKey, TimedLook
    from notarypy.service.generation import Generation, QuestionPlace

_AHEAD = 1 / 3
_STEP_SECONDS, _PAUSES = 0.02, 4
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
        last: bool = False,
    ) -> None:
        self._inquiries, self.generation = inquiries, generation
        self.image, self.options, self.place, self.resolve = image, options, place, resolve
        self.repository, self.hosts = place.gun, place.hosts
        self.key = key_of(image, options, resolve=resolve)
        self.waiting: list[Asked] = []
        self.joined: Asked | None = None
        self.since, self.ahead, self.begun, self.last = -math.inf, False, False, last
        self.heard: Mapping[str, bool] = {}
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
        return self._inquiries.begin(self)

    def claim(self, asked: float, since: float) -> bool:
        """Claim a look that counts for a question asked at a moment, and was not begun before another."""
        if not asks_notary(self.place.scope, self.options):
            return True
        self._look = self.generation.metadata.claim(self._as_read, asked, since)
        return self._look is not None

    def run(self) -> None:
        """Find the verdict."""
        begun, known = time.thread_time(), self._look is not None and self._look.found is not None
        found = self._inquiries.too_late(self)
        if found is None:
            found = self.generation.verified(self.image, self.options, self.place, self._look, self._settle)
        self._settle()
        self._look = None
        self._hear(found, {self.place.server} if known else frozenset())
        self._inquiries.end(self, found)
        if self.ahead:
            self._inquiries.pause(time.thread_time() - begun)

    def fail(self) -> None:
        """Refuse the image by a mistake of ours."""
        self._settle()
        why = "a mistake in notarypy, which its log tells"
        error = OperationError(f"{self.image} could not be verified", why=why)
        self._inquiries.end(self, Verdict(error), final=True)

    def _hear(self, found: Verdict, unasked: Collection[str]) -> None:
        """Note which hosts answered: of one that was asked ahead of a refusal nobody knows."""
        error = found.image
        if isinstance(error, BusyError):
            return
        sure = self.place.server if isinstance(error, NotarypyError) else ""
        hosts = [host for host in self.hosts if host not in unasked]
        heard = {host: True for host in hosts if sure in {"", host}}
        if isinstance(error, NetworkError):
            silent = error.facts.get("host")
            heard |= {host: False for host in hosts if host == silent or silent not in self.hosts}
        self.heard = heard

    def _settle(self) -> None:
        if self._look is not None:
            self.generation.metadata.settle(self._as_read, self._look)
            self._inquiries.pool.wake()


class Asked(Future[Verdict]):
    """What some wait for together: how many of them there are, and when the last of them asked (rule 4)."""

    _done_callbacks: list[Callable[[Future[Verdict]], object]]

    def __init__(self, inquiries: Inquiries, inquiry: Inquiry, asked: float) -> None:
        """Nobody waits for this `inquiry` yet."""
        super().__init__()
        self._inquiries, self.inquiry, self.last, self.askers = inquiries, inquiry, asked, 0
        self.set_running_or_notify_cancel()  # whoever gives up ends it for nobody

    def leave(self, callback: Callable[[Future[Verdict]], object]) -> None:
        """Wait no longer: have a callback called no more, and nothing begun if that was the last (rule 5)."""
        with self._condition, suppress(ValueError):
            self._done_callbacks.remove(callback)
        self._inquiries.leave(self)

    def answer(self, verdict: Verdict) -> None:
        """Give them a verdict, unless they have one."""
        if not self.done():
            self.set_result(verdict)


class Inquiries:
    """All questions that are being answered; safe to use from several threads."""

    def __init__(self, most: int, max_age: float, clock: Callable[[], float]) -> None:
        """Take as many as `most` that wait for a thread."""
        self.pool = ThreadPool(most)
        self._most, self._max_age, self._clock = most, max_age, clock
        self._lock, self._closed = threading.Lock(), False
        self._found: dict[tuple[int, QuestionKey], Inquiry] = {}
        self.ahead, self._next_ahead, self._rested = 0, 0.0, 0.0

    def wait(self, inquiry: Inquiry, asked: float) -> Future[Verdict]:
        """Return the verdict to come on a question that is asked now (rule 1)."""
        with self._lock:
            found = self._under_way(inquiry)
            if (joined := found.joined) is None:
                joined = found.joined = Asked(self, found, asked)
                found.waiting.append(joined)
            joined.last, joined.askers = max(asked, joined.last), joined.askers + 1
        if found.last and not inquiry.last:
            self.pool.hasten(found)
        self._send(inquiry, found)
        return joined

    def leave(self, asked: Asked) -> None:
        """Count one asker less; what nobody waits for is not begun (rule 5)."""
        with self._lock:
            asked.askers, inquiry = asked.askers - 1, asked.inquiry
            if inquiry.begun or inquiry.ahead or any(each.askers > 0 for each in inquiry.waiting):
                return
            self._forget(inquiry)
        if self.pool.take_back(inquiry):
            self._ended(inquiry)  # without a verdict: who has left says that he knows of none

    def may_look_ahead(self, now: float) -> bool:
        """Tell whether a question may be looked into while nobody waits for that (rule 2)."""
        return now >= max(self._next_ahead, self._rested) and not self.pool.waiting

    def pause(self, seconds: float) -> None:
        """Look ahead no more for a while, after that took so much of a processor."""
        self._next_ahead, self._rested = 0.0, max(self._rested, self._clock() + seconds * _PAUSES)

    def look_ahead(self, inquiry: Inquiry, verdict: Verdict) -> None:
        """Look into a question again whose verdict ends soon (rule 2)."""
        now = self._clock()
        self._next_ahead = now + _STEP_SECONDS
        verdict.later, inquiry.since, inquiry.ahead = now + BRIEFLY, now - self._max_age * _AHEAD, True
        with self._lock:
            if self._under_way(inquiry) is not inquiry:
                return
        self.ahead += 1
        self._send(inquiry, inquiry)

    def begin(self, inquiry: Inquiry) -> bool:
        """Tell whether a look that counts was claimed; who comes then waits apart from others (rule 4)."""
        with self._lock:
            asked = self._last(inquiry)
            if inquiry.claim(asked, max(inquiry.since, asked - self._max_age)):
                inquiry.joined, inquiry.begun = None, True
            return inquiry.begun

    def too_late(self, inquiry: Inquiry) -> Verdict | None:
        """Return a refusal for an inquiry that waited too long (rule 3)."""
        with self._lock:
            if self._clock() - self._last(inquiry) < _PATIENCE:
                return None
        message, why = (
            f"{inquiry.image} was not looked at in time",
            f"others wait for {', '.join(inquiry.hosts)}",
        )
        return Verdict(BusyError(message, why=why, advice=Advice("ask-service-later")))

    def end(self, inquiry: Inquiry, verdict: Verdict, *, final: bool = False) -> None:
        """Give a verdict to those for whom it counts, a `final` one to all; others wait for another one."""
        generation, now = inquiry.generation, inquiry.generation.session.now()
        final = final or isinstance(verdict.image, BusyError)
        # Kept before anybody is told: who asks next finds it.
        if self._is_kept(inquiry, verdict):
            generation.verdicts.keep(inquiry.key, verdict)
        for asked in self._ended(inquiry):
            if final or verdict.counts(asked.last, now):
                asked.answer(verdict)
            elif verdict.ends is not None and asked.last <= verdict.began:
                asked.answer(Verdict(_outdated(inquiry.image, verdict.ends)))
            else:
                newer = inquiry.again()
                newer.since = -math.inf if verdict.ok else math.nextafter(verdict.began, math.inf)
                self._wait_again(newer, asked)

    def close(self) -> None:
        """Refuse what waits, and end the threads."""
        self._closed = True
        for errand in self.pool.close():
            if isinstance(errand, Inquiry):
                self.end(errand, Verdict(self._not_taken()))

    def _wait_again(self, inquiry: Inquiry, asked: Asked) -> None:
        with self._lock:
            found = asked.inquiry = self._under_way(inquiry)
            found.waiting.append(asked)
            found.since = max(found.since, inquiry.since)
        self._send(inquiry, found)

    def _send(self, inquiry: Inquiry, found: Inquiry) -> None:
        """Have a question looked into, unless another inquiry was found that does."""
        if found is inquiry and not self.pool.send(inquiry):
            self.end(inquiry, Verdict(self._not_taken()))

    def _last(self, inquiry: Inquiry) -> float:
        return max((each.last for each in inquiry.waiting), default=self._clock())

    def _is_kept(self, inquiry: Inquiry, verdict: Verdict) -> bool:
        """Tell whether a verdict counts for those who ask later (rule 2)."""
        asked, now = self._clock(), inquiry.generation.session.now()
        if not verdict.counts(asked, now):
            return False
        before = inquiry.generation.verdicts.get(inquiry.key, asked, now)
        return before is None or not before.ok or not isinstance(verdict.image, OperationError)

    def _under_way(self, inquiry: Inquiry) -> Inquiry:
        return self._found.setdefault((id(inquiry.generation), inquiry.key), inquiry)

    def _ended(self, inquiry: Inquiry) -> list[Asked]:
        with self._lock:
            self._forget(inquiry)
            return inquiry.waiting

    def _forget(self, inquiry: Inquiry) -> None:
        key = id(inquiry.generation), inquiry.key
        if self._found.get(key) is inquiry:
            del self._found[key]

    def _not_taken(self) -> BusyError:
        if self._closed:
            return BusyError("the service is ending", advice=Advice("ask-service-later"))
        if why := self.pool.ready():
            return BusyError("no image can be verified", why=why, advice=Advice("ask-service-later"))
        message, why = "too many images wait to be verified", f"{self._most} at most"
        return BusyError(message, why=why, advice=Advice("ask-service-later"))


def _outdated(image: str, ends: datetime) -> ExpiredError:
    message, why = f"what vouches for {image} ended just now", f"it ended on {ends:%Y-%m-%d %H:%M}Z"
    return ExpiredError(message, why=why, advice=Advice("check-clock"))
