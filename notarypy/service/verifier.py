"""Kept verification: images are asked for again and again, and servers as seldom as the answers allow.

What it is: questions in, verdicts out, under the trust policy of the moment. What it is not: a judge
(`client.verify`), or a server: nothing here listens.

Rules:

1. A verdict counts for questions that are asked at most `max_age` after it began to look, a refusal for less,
   and none beyond the date of what it relied on (`answercache`). So two verifiers agree
   within `max_age` of a publish.
2. The trust policy is read anew when one of its files holds something else. If it reads well everything that
   is known under the old one is forgotten; if not, the old one counts on, and the log says why.
3. Nothing is ever trusted on first use (`generation`: 5).
4. One request takes ten seconds at most: whoever waits for an answer is gone by then.
5. What is known grows old while the machine sleeps, too. Where its own clock does not tell that, as after a
   pause of a virtual machine, the one on the wall does: what that is ahead by all at once has passed.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from notarypy import files, system
from notarypy.client import workers
from notarypy.client.api import utc_now
from notarypy.client.parameters import VerifyOptions
from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.limits import DEFAULT, Limits
from notarypy.service.answercache import Unasked, Verdict, key_of
from notarypy.service.generation import Generation, hold
from notarypy.service.inquiries import Inquiries, Inquiry
from notarypy.service.servicesession import RememberingDirectory, ServiceSession
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import datetime

    from notarypy.remote.http.transport import Transport
    from notarypy.storage.settings.settings import Settings

__all__ = ["ANY", "MAX_AGE", "Unasked", "Verdict", "Verifier"]

MAX_AGE = 30.0
ANY = VerifyOptions()
_REQUEST_SECONDS = 10.0
_LOOK_SECONDS = 2.0
_AT_FIRST = 8
_STEP_SECONDS = 1.0  # clocks are set right by less than that while they run
_LOG = logging.getLogger(__name__)


class Elapsed:
    """Seconds that pass while this machine sleeps, too (rule 5); safe to use from several threads."""

    def __init__(
        self, now: Callable[[], datetime] = utc_now, awake: Callable[[], float] | None = None
    ) -> None:
        """Join `now`, the clock on the wall, to one of this machine that no hand moves."""
        self._now, self._awake = now, awake or system.machine_clock
        self._lock, self._slept = threading.Lock(), 0.0
        self._apart = now().timestamp() - self._awake()

    def __call__(self) -> float:
        """Return the time."""
        with self._lock:
            awake = self._awake()
            ahead = self._now().timestamp() - awake - self._apart
            if abs(ahead) > _STEP_SECONDS:
                self._apart += ahead
                self._slept += max(ahead, 0.0)
            return awake + self._slept


class Verifier:
    """Verifies images by one trust policy; safe to use from several threads.

    Attributes:
        max_age: How old the look may be that an answer rests on, in seconds.
        questions: How many were asked.
        answered: How many of those were answered at once by what was known.
        inquiries: How many verdicts were looked for `ahead`; of its `pool` how many questions are `waiting`
            for a thread or `busy` in one, and its `threads`.
        policies: How many trust policies were read well.
        complaint: What is wrong with the present files of the trust policy; "" if they are those that count.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        max_age: float = MAX_AGE,
        transport: Transport | None = None,
        clock: Callable[[], float] | None = None,
        now: Callable[[], datetime] = utc_now,
        limits: Limits = DEFAULT,
    ) -> None:
        """Read the trust policy; ConfigurationError: it does not pin all roots. UsageError: it is offline.

        Raises StorageError: there can be no trust directory. `clock` only goes on, `now` is the one on the
        wall; requests go by `transport`, None for real HTTPS.
        """
        if settings.offline:  # no look would ever be a new one
            raise UsageError("a service asks servers", advice=Advice("leave-out", option="--offline"))
        self._settings = replace(settings, first_use=False, timeout=min(settings.timeout, _REQUEST_SECONDS))
        clock = clock or Elapsed(now)
        self._transport, self._clock, self._now, self._limits = transport, clock, now, limits
        self.max_age = max_age
        self._directory = RememberingDirectory(settings.trust_dir, limits)
        self.inquiries = Inquiries(limits.waiting_questions, max_age, clock)
        self.questions = self.answered = self.policies = self._looks = 0
        self.complaint = ""
        self._generation = self._new_generation()
        files.make_private_directory(settings.trust_dir)
        self._generation.session.directory()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Return the verifier itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def watch(self) -> None:
        """Look at the files of the trust policy every two seconds, in a thread, until this is closed."""
        name = "notarypy-verifier-policy"
        self._watch = threading.Thread(target=self._look_at_files, name=name, daemon=True)
        self._watch.start()

    def ask(
        self, image: str, options: VerifyOptions = ANY, *, resolve: bool = False, number: int = 0
    ) -> Future[Verdict]:
        """Return the verdict to come on an image, there at once if it is known; others may wait for it, too.

        `options` are required beside the trust policy. With `resolve` the registry is asked for the digest
        of a tag that is to be skipped. `number` says how many the same request asked before.
        """
        generation, asked = self._generation, self._clock()
        verdict = self._known(generation, image, options, asked, resolve=resolve)
        if verdict is not None and (asked < verdict.ahead or not self.inquiries.may_look_ahead(asked)):
            return verdict.future
        try:
            place = generation.place(image, options)
            last = number >= _AT_FIRST
            inquiry = Inquiry(self.inquiries, generation, image, options, place, resolve=resolve, last=last)
            if verdict is not None:
                self.inquiries.look_ahead(inquiry, verdict)
            elif (verdict := generation.passed(image, place.scope, resolve=resolve)) is None:
                return self.inquiries.wait(inquiry, asked)
        except NotarypyError as error:
            verdict = Verdict(error)
        return verdict.future

    def known(self, image: str, options: VerifyOptions = ANY, *, resolve: bool = False) -> Verdict | None:
        """Return the verdict on an image if it is known; no work is begun."""
        return self._known(self._generation, image, options, self._clock(), resolve=resolve)

    def needs_registry(self, image: str) -> bool:
        """Tell whether the trust policy asks for what the registry alone has: signatures of cosign."""
        session = self._generation.session
        scope = session.scope(session.gun(image)[0])
        return scope is not None and scope.require.cosign is not None

    def ready(self) -> str:
        """Return why no question is answered; "" if nothing is in the way."""
        return "the verifier was closed" if self._ended.is_set() else self.inquiries.pool.ready()

    def look_at_policy(self) -> bool:
        """Have the trust policy count that its files hold now; tell whether that is another one (rule 2)."""
        with self._lock:
            if self._generation.policy.is_current():
                self.complaint = ""
                return False
            try:
                found = self._new_generation()
            except NotarypyError as error:
                said = "; ".join((error.message, *error.why))
                if said != self.complaint:
                    _LOG.error("the trust policy that was read before counts on: %s", said)
                self.complaint = said
                return False
            before, self._generation, self.complaint = self._generation, found, ""
            self._looks += before.metadata.looks
        _LOG.warning("the trust policy was read anew; what was known by the old one is forgotten")
        before.session.close()
        return True

    def close(self) -> None:
        """Answer what waits with a refusal, and end the threads and connections."""
        self._ended.set()
        self.inquiries.close()
        if self._watch is not None:
            self._watch.join(_LOOK_SECONDS)
        self._generation.session.close()

    @property
    def looks(self) -> int:
        """How often the metadata of a repository was looked at."""
        return self._looks + self._generation.metadata.looks

    def numbers(self) -> dict[str, float]:
        """Return what is counted here; what ends in `_total` only grows."""
        generation, inquiries = self._generation, self.inquiries
        return {
            "questions_total": self.questions,
            "answers_kept_total": self.answered,
            "looked_ahead_total": inquiries.ahead,
            "refreshes_total": self.looks,
            "policies_read_total": self.policies,
            "policy_outdated": bool(self.complaint),
            "questions_waiting": inquiries.pool.waiting,
            "kept_verdicts": len(generation.verdicts),
            "kept_repositories": generation.metadata.repositories,
            "kept_metadata_bytes": generation.metadata.weight,
            "unstored_bytes": self._directory.remembered_bytes,
            "verifier_threads": inquiries.pool.threads + workers.threads(),
        }

    def _known(
        self, generation: Generation, image: str, options: VerifyOptions, asked: float, *, resolve: bool
    ) -> Verdict | None:
        self.questions += 1
        found = generation.verdicts.get(key_of(image, options, resolve=resolve), asked, self._now())
        self.answered += found is not None
        return found

    def _new_generation(self) -> Generation:
        policy = hold(self._settings, self._now())
        settings = replace(self._settings, policy=policy)
        session = ServiceSession(settings, self._transport, self._now, self._limits, self._directory)
        self.policies += 1
        return Generation(session, policy, self.max_age, self._clock)

    def _look_at_files(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.look_at_policy()
            except Exception:  # noqa: BLE001 - the files are looked at again, whatever it was
                _LOG.exception("the trust policy could not be looked at")
