"""Kept verification: images are asked for again and again, and servers as seldom as the answers allow.

What it is: questions in, verdicts out, and what is known meanwhile. What it is not: a judge
(`client.verify`), a server (nothing here listens), or the threads (`threadpool`).

Rules:

1. A verdict counts for questions that are asked at most `max_age` after it began to look, a refusal for less
   (`keptmetadata`: 1 and 3), and no verdict beyond the date of what it relied on.
2. Who asks what is being looked at waits for that. If the look turns out not to count for him, another one is
   taken, for all who are left.
3. What the trust policy says to skip is asked of nobody, unless its digest is wanted. Whoever asks may only
   require more than the policy: where it skips an image nothing pins a root, so nothing more can be required.
4. An error of ours is a refusal like any other. Nothing is raised, and nothing is allowed because of it.
5. A warning of one verification is in its own verdict; what there is to say of a repository is in that of
   each of its images. What is to be said once in a session is said in the log.
6. Nothing is ever trusted on first use.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.api import utc_now
from notarypy.client.metadata.dates import ended
from notarypy.client.parameters import Unverified, VerifyOptions
from notarypy.client.verdicts import AppliedPolicy, SkippedImage, VerifiedImage
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.client.verify.sharing import asks_notary
from notarypy.client.weight import OneAtATime
from notarypy.client.workers import check_stop
from notarypy.errors import (
    Advice,
    BusyError,
    NotarypyError,
    NotVerifiedError,
    OperationError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http.urls import host_port
from notarypy.service.heldpolicy import require_pins
from notarypy.service.keptmetadata import KeptMetadata, SharedMetadata, TimedLook, counting
from notarypy.service.ownsession import OwnSession, hear
from notarypy.service.threadpool import ThreadPool
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.remote.http.transport import Transport
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.storage.settings.settings import Settings

    Key = tuple[str, bytes, bool]

MAX_AGE = 30.0
ANY = VerifyOptions()
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unasked:
    """An image that the trust policy says to take unverified; nobody was asked which digest its tag has."""

    repository: str
    tag: str
    policy: AppliedPolicy


@dataclass(frozen=True)
class _Place:
    """Where a question is answered: by which scope, by the trust data of which name, at which hosts."""

    scope: Scope
    gun: str
    hosts: tuple[str, ...]


class Verdict:
    """What came of one question: an image or an error, and what there is to say of it.

    Attributes:
        image: The image as it was verified or skipped, or why it is refused.
        warnings: In the order in which they came; those that are `Unverified` say what was not verified.
        until: Until when it counts, by the clock of `time.monotonic`.
    """

    __slots__ = ("_ends", "_settled", "image", "until", "warnings")

    def __init__(
        self,
        image: VerifiedImage | SkippedImage | Unasked | NotarypyError,
        warnings: tuple[str, ...] = (),
        counting: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.image, self.warnings = image, warnings
        self._settled, self.until = counting
        self._ends = image.expires if isinstance(image, VerifiedImage) else None

    @property
    def ok(self) -> bool:
        """Whether the image may be used: it was verified, or is to be skipped."""
        return not isinstance(self.image, NotarypyError)

    def counts(self, asked: float, now: datetime) -> bool:
        """Tell whether it answers a question that is asked at a moment, `now` by the clock on the wall."""
        timely = asked < self.until or asked <= self._settled
        return timely and (self._ends is None or not ended(self._ends, now))


class Verifier:
    """Verifies images by one trust policy; safe to use from several threads.

    Attributes:
        questions: How many were asked, `known` ones too.
        answered: How many of those were answered at once by what was known.
        refused: How many verdicts were refusals, of those that were looked for.
        pool: How many questions are `waiting` there, how many are looked into (`busy`), and its `threads`.
        metadata: Of how many `repositories` it is kept, its `weight` in bytes, and the number of `looks`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        max_age: float = MAX_AGE,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        limits: Limits = DEFAULT,
    ) -> None:
        """Read the trust policy; raise ConfigurationError unless it pins what it trusts.

        Answers are at most `max_age` seconds old when they are asked for. `clock` is monotonic, `now` the one
        on the wall; requests go by `transport`, None for real HTTPS.
        """
        self.max_age, self._clock, self._now, self._limits = max_age, clock, now, limits
        self._session = OwnSession(replace(settings, first_use=False), transport, now, limits)
        require_pins(self._session.trust_policy())
        self.metadata = KeptMetadata(limits, max_age, clock, now)
        self.pool = ThreadPool(limits.waiting_questions)
        self._lock = threading.Lock()
        self._verdicts: OrderedDict[Key, Verdict] = OrderedDict()
        self._inquiries: dict[Key, _Inquiry] = {}
        self._alone = OneAtATime(check_stop)
        self._closed = False
        self.questions = self.answered = self.refused = 0

    def ask(self, image: str, options: VerifyOptions = ANY, *, resolve: bool = False) -> Future[Verdict]:
        """Return the verdict to come on an image; it is there at once if it is known.

        `options` are required beside the trust policy. With `resolve` the registry is asked for the digest
        of a tag that is to be skipped.
        """
        future: Future[Verdict] = Future()
        future.set_running_or_notify_cancel()  # whoever gives up ends it for nobody
        if (known := self.known(image, options, resolve=resolve)) is not None:
            future.set_result(known)
            return future
        try:
            place = self._place(image, options)
            passed = None if place.scope.mode != "skip" else self._passed(image, place.scope, resolve=resolve)
        except NotarypyError as error:
            passed = Verdict(error)
        if passed is None:
            self._wait(_Inquiry(self, image, options, place, resolve=resolve), self._clock(), future)
        else:
            future.set_result(passed)
        return future

    def known(self, image: str, options: VerifyOptions = ANY, *, resolve: bool = False) -> Verdict | None:
        """Return the verdict on an image if it is known; no work is begun."""
        key, now = _key(image, options, resolve=resolve), self._clock()
        with self._lock:
            self.questions += 1
            verdict = self._verdicts.get(key)
            if verdict is None or not verdict.counts(now, self._now()):
                return None
            self._verdicts.move_to_end(key)
            self.answered += 1
            return verdict

    def needs_registry(self, image: str) -> bool:
        """Tell whether the trust policy asks for what the registry alone has: signatures of cosign."""
        scope = self._session.scope(self._session.gun(image)[0])
        return scope is not None and scope.require.cosign is not None

    def ready(self) -> str:
        """Return why no question is answered; "" if nothing is in the way."""
        return "the verifier was closed" if self._closed else ""

    def close(self) -> None:
        """Answer what waits with a refusal, and end the threads and connections."""
        self._closed = True
        for errand in self.pool.close():
            if isinstance(errand, _Inquiry):
                self._end(errand, Verdict(_closing()))
        self._session.close()

    # How a verdict comes about

    def _place(self, image: str, options: VerifyOptions) -> _Place:
        """Return where a question is answered; raise what refuses it without asking anybody."""
        session = self._session
        written, registry = session.gun(image)
        scope = session.scope(written)
        if scope is None:
            raise RuntimeError("a verifier has a trust policy")
        if scope.mode == "skip":
            if options.needs_verification:
                message, why = f"{written} cannot be verified", f"{scope.source} says to verify nothing"
                raise NotVerifiedError(message, why=why, advice=Advice("require-in-policy"))
            return _Place(scope, written, (registry,))
        gun = scope.gun(written)
        server = host_port(session.server_url(gun, scope)) if asks_notary(scope, options) else ""
        asks_registry = options.registry or scope.require.cosign is not None or bool(options.also)
        hosts = {server, registry if asks_registry else ""} - {""}
        return _Place(scope, gun, tuple(sorted(hosts)))

    def _passed(self, image: str, scope: Scope, *, resolve: bool) -> Verdict | None:
        """Return the verdict on an image to be skipped, None if its digest is to be found (rule 3)."""
        parsed, (written, _) = self._session.parse(image), self._session.gun(image)
        applied = AppliedPolicy(scope.prefix, scope.mode)
        if parsed.digest is None and resolve:
            return None
        named = f"{written}@{parsed.digest}" if parsed.digest else f"{written}:{parsed.tag or 'latest'}"
        said = Unverified(f"{named} is NOT VERIFIED: {scope.source} says to skip it")
        if parsed.digest is None:
            return Verdict(Unasked(written, parsed.tag or "latest", applied), (said,))
        return Verdict(SkippedImage(written, parsed.tag, parsed.digest, None, applied), (said,))

    def _wait(self, inquiry: _Inquiry, asked: float, future: Future[Verdict]) -> None:
        """Have a question wait for the inquiry that answers it (rule 2)."""
        with self._lock:
            found = self._inquiries.setdefault(inquiry.key, inquiry)
            found.waiting.append((asked, future))
        if found is inquiry and not self.pool.send(inquiry):
            self._end(inquiry, Verdict(_closing() if self._closed else _busy(self._limits.waiting_questions)))

    def _end(self, inquiry: _Inquiry, verdict: Verdict) -> None:
        """Give a verdict to those for whom it counts, and have the others wait for another one (rule 2)."""
        final = isinstance(verdict.image, BusyError)
        with self._lock:
            self._inquiries.pop(inquiry.key, None)
            now = self._now()
            counts = [final or verdict.counts(asked, now) for asked, _ in inquiry.waiting]
            if verdict.until > self._clock():
                self._verdicts[inquiry.key] = verdict
                self._verdicts.move_to_end(inquiry.key)
                while len(self._verdicts) > self._limits.kept_verdicts:
                    self._verdicts.popitem(last=False)
            self.refused += not verdict.ok
        for (asked, future), counted in zip(inquiry.waiting, counts, strict=True):
            if counted:
                future.set_result(verdict)
                continue
            again = _Inquiry(self, inquiry.image, inquiry.options, inquiry.place, resolve=inquiry.resolve)
            self._wait(again, asked, future)

    def _verified(self, inquiry: _Inquiry, look: TimedLook | None) -> Verdict:
        """Verify an image in this thread, by the look that counts for it."""
        said: list[str] = []
        began = self._clock() if look is None else min(self._clock(), look.began)
        settle = partial(self._settle, inquiry, look)
        shared = None if look is None else SharedMetadata(look, settle)
        error: NotarypyError | None = None
        before = hear(said)
        try:
            with self._alone.call(None):
                image = verify_unless_skipped(self._session, inquiry.image, inquiry.options, cache=shared)
        except NotarypyError as caught:
            error = caught
        except Exception as unexpected:  # noqa: BLE001 - whatever it is, the image is refused (rule 4)
            _LOG.exception("%s: an error of notarypy's own", inquiry.image)
            error = OperationError(
                f"{inquiry.image} could not be verified", why=f"a mistake here: {unexpected!r}"
            )
        finally:
            hear(before)
            settle()
        if look is not None and shared is not None and shared.used:
            said = [*look.warnings, *said]
        counts = counting(began, self._clock(), error, self.max_age)
        if error is not None:
            # Its frames would be kept with it.
            error.__traceback__ = error.__context__ = error.__cause__ = None
        return Verdict(error or image, tuple(dict.fromkeys(said)), counts)

    def _settle(self, inquiry: _Inquiry, look: TimedLook | None) -> None:
        if look is not None:
            self.metadata.settle(inquiry.repository_as_read, look)
            self.pool.wake()


class _Inquiry:
    """One question that is being answered, and all who wait for that."""

    def __init__(
        self, verifier: Verifier, image: str, options: VerifyOptions, place: _Place, *, resolve: bool
    ) -> None:
        self.image, self.options, self.place, self.resolve = image, options, place, resolve
        self.repository, self.hosts = place.gun, place.hosts
        self.key = _key(image, options, resolve=resolve)
        self.repository_as_read = (place.gun, place.scope.prefix, options.root)
        self.waiting: list[tuple[float, Future[Verdict]]] = []
        self._verifier = verifier
        self._look: TimedLook | None = None

    def may_begin(self) -> bool:
        """Claim a look at the repository that counts for the last who asked; False: another one is taken."""
        if not asks_notary(self.place.scope, self.options):
            return True
        asked, metadata = self.waiting[-1][0], self._verifier.metadata
        self._look = metadata.claim(self.repository_as_read, asked, asked - metadata.max_age)
        return self._look is not None

    def run(self) -> None:
        """Find the verdict."""
        verifier = self._verifier
        verifier._end(self, verifier._verified(self, self._look))  # noqa: SLF001 - of this module


def _key(image: str, options: VerifyOptions, *, resolve: bool) -> Key:
    """Return what tells questions apart, in little memory whatever is required."""
    if not options.needs_verification:
        return image, b"-" if options.registry else b"", resolve
    said = repr(
        (tuple(options.signers), options.all_signers, options.root, options.registry, tuple(options.also))
    )
    return image, hashlib.sha256(said.encode()).digest(), resolve


def _busy(most: int) -> BusyError:
    return BusyError(
        "too many images wait to be verified", why=f"{most} at most", advice=Advice("ask-service-later")
    )


def _closing() -> BusyError:
    return BusyError("the service is ending", advice=Advice("ask-service-later"))
