"""One trust policy as it was read, and everything that is known under it.

What it is: which scope decides about an image, who is asked for that, and its verification. What it is not:
when that happens (`inquiries`), or which policy counts (`verifier`).

Rules:

1. What the trust policy says to skip is asked of nobody, unless its digest is wanted. Whoever asks may only
   require more than the policy: where it skips an image nothing pins a root, so nothing more can be required.
2. An error of ours is a refusal like any other. Nothing is raised, and nothing is allowed because of it.
3. A warning of one verification is in its own verdict; what there is to say of a repository is in that of
   each of its images.
4. Metadata that takes much memory is read by two threads at a time, of one server by one; who waits for that
   longer than a request takes is refused.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client import weight
from notarypy.client.parameters import Unverified
from notarypy.client.verdicts import AppliedPolicy, SkippedImage
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.client.verify.sharing import Look, MetadataCache, asks_notary
from notarypy.client.weight import HeavyCalls
from notarypy.client.workers import check_stop
from notarypy.errors import (
    Advice,
    AuthenticationError,
    NotarypyError,
    NotVerifiedError,
    OperationError,
    TlsError,
)
from notarypy.remote.http.urls import host_port
from notarypy.service.keptanswers import (
    KeptMetadata,
    KeptVerdicts,
    Unasked,
    Verdict,
    counting,
)
from notarypy.service.ownsession import hear
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.parameters import VerifyOptions
    from notarypy.service.heldpolicy import HeldPolicy
    from notarypy.service.keptanswers import Counting, TimedLook
    from notarypy.service.ownsession import OwnSession
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_HEAVY, _HEAVY_SECONDS = 2, 10.0


@dataclass(frozen=True)
class QuestionPlace:
    """Where a question is answered: by which scope, by the trust data of which name, at which hosts."""

    scope: Scope
    gun: str
    server: str
    hosts: tuple[str, ...]
    asks_registry: bool = True


class SharedMetadata(MetadataCache):
    """What one question sees of the kept metadata: the look that was claimed for it."""

    def __init__(self, look: TimedLook, taken: Callable[[], None]) -> None:
        """Take a look; `taken` is called once it is."""
        super().__init__()
        self._look, self._taken = look, taken
        self.used, self._known = False, look.found is not None
        self.counting: Counting | None = None

    def look(self, gun: str, scope: str) -> Look:  # noqa: ARG002 - a question is about one repository
        """Return the look that was claimed."""
        return self._look

    def get(self, gun: str, scope: str, fetch: Callable[[], TrustedMetadata]) -> TrustedMetadata:
        """Return the metadata; what there is to say of it is kept with it, for each image."""
        look, self.used = self._look, True

        def watched() -> TrustedMetadata:
            before = hear(look.warnings)
            try:
                return fetch()
            finally:
                hear(before)

        try:
            found = super().get(gun, scope, watched)
        finally:
            self._taken()
            weight.give_way()  # what was read is kept, and little more is to come
        self.counting = look.counting_of(found)
        return found

    def renew(
        self, gun: str, scope: str, repository: Repository, known: TrustedMetadata
    ) -> TrustedMetadata | None:
        """Return newer metadata, which has its own dates and takes its own memory."""
        self.counting = found = None
        try:
            found = super().renew(gun, scope, repository, known)
        finally:
            self._taken()
            weight.give_way()
        self.counting = self._look.counting_of(found or known)
        return found

    def warn(self, repository: Repository) -> None:
        """Warn of what is older than what the server has, unless it is what was kept here meanwhile."""
        if not self._known:
            super().warn(repository)


class Generation:
    """What is known under one trust policy; safe to use from several threads."""

    def __init__(
        self, session: OwnSession, policy: HeldPolicy, max_age: float, clock: Callable[[], float]
    ) -> None:
        """Know nothing yet; the `policy` is that of the session."""
        self.session, self.policy, self._clock, self._max_age = session, policy, clock, max_age
        self.metadata = KeptMetadata(session.limits, max_age, clock, session.now)
        self.verdicts = KeptVerdicts(session.limits.kept_verdicts)
        self._heavy = HeavyCalls(check_stop, _HEAVY, _HEAVY_SECONDS)

    def place(self, image: str, options: VerifyOptions) -> QuestionPlace:
        """Return where a question is answered; raise what refuses it without asking anybody."""
        session = self.session
        parsed, (written, _) = session.parse(image), session.gun(image)
        registry = parsed.api_host
        scope = session.scope(written)
        if scope is None:
            raise RuntimeError("a verifier has a trust policy")
        if scope.mode == "skip":
            if options.needs_verification:  # rule 1
                message, why = f"{written} cannot be verified", f"{scope.source} says to verify nothing"
                raise NotVerifiedError(message, why=why, advice=Advice("require-in-policy"))
            return QuestionPlace(scope, written, "", (registry,))
        gun = scope.gun(written)
        server = host_port(session.server_url(gun, scope)) if asks_notary(scope, options) else ""
        asks_registry = options.registry or scope.require.cosign is not None or bool(options.also)
        hosts = dict.fromkeys(filter(None, (server, registry if asks_registry else "")))
        return QuestionPlace(scope, gun, server, tuple(hosts), asks_registry)

    def passed(self, image: str, scope: Scope, *, resolve: bool) -> Verdict | None:
        """Return the verdict on an image that is to be skipped, None if somebody is to be asked (rule 1)."""
        parsed, (written, _) = self.session.parse(image), self.session.gun(image)
        if scope.mode != "skip" or (parsed.digest is None and resolve):
            return None
        applied = AppliedPolicy(scope.prefix, scope.mode)
        named = f"{written}@{parsed.digest}" if parsed.digest else f"{written}:{parsed.tag or 'latest'}"
        said = Unverified(f"{named} is NOT VERIFIED: {scope.source} says to skip it")
        if parsed.digest is None:
            return Verdict(Unasked(written, parsed.tag or "latest", applied), (said,))
        return Verdict(SkippedImage(written, parsed.tag, parsed.digest, None, applied), (said,))

    def verified(
        self,
        image: str,
        options: VerifyOptions,
        place: QuestionPlace,
        look: TimedLook | None,
        settle: Callable[[], None],
    ) -> Verdict:
        """Verify an image here, by the look that counts for it; `settle` is called once it is taken."""
        said: list[str] = []
        began = self._clock() if look is None else min(self._clock(), look.began)
        shared = None if look is None else SharedMetadata(look, settle)
        if look is not None:
            look.limit = place.scope.requirements.max_age
        error: NotarypyError | None = None
        before = hear(said)
        try:
            with self._heavy.call(None, place.server):  # rule 4
                found = verify_unless_skipped(self.session, image, options, cache=shared)
        except NotarypyError as caught:
            error = caught
        except Exception as unexpected:  # noqa: BLE001 - whatever it is, the image is refused (rule 2)
            _LOG.exception("%s: an error of notarypy's own", image)
            why = f"a mistake in notarypy: {type(unexpected).__name__}"
            error = OperationError(f"{image} could not be verified", why=why)
        finally:
            hear(before)
            settle()
        counts = counting(began, self._clock(), error, self._max_age)
        if shared is not None and shared.counting and not (error or said or place.asks_registry):
            counts = shared.counting  # and goes on with it (`keptanswers`: 8)
        if look is not None and shared is not None and shared.used:
            said = [*look.warnings, *said]
        warnings, basis = tuple(dict.fromkeys(said)), None if shared is None else shared.counting
        if error is None:
            aged = None if look is None else look.aged
            return Verdict(found, warnings, counts, aged, basis)
        # Its frames would be kept with it.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        if isinstance(error, AuthenticationError | TlsError):
            self.session.begin_anew()
        return Verdict(error, warnings, counts, basis=basis)
