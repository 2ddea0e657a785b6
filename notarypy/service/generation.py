"""One trust policy as it was read, with all the files that it names, and everything that is known under it.

What it is: whether a policy may be served, and whether it has changed; which scope decides about an image,
who is asked for that, and its verification. What it is not: when that happens (`inquiries`), which policy
counts (`verifier`), or the reading of the file (`storage.settings.policyfile`).

Rules:

1. What the trust policy says to skip is asked of nobody, unless its digest is wanted. Whoever asks may only
   require more than the policy: where it skips an image nothing pins a root, so nothing more can be required.
2. An error of ours is a refusal like any other. Nothing is raised, and nothing is allowed because of it.
3. A warning of one verification is in its own verdict; what there is to say of a repository is in that of
   each of its images.
4. Metadata that takes much memory is read by two threads at a time, of one server by one; who waits for that
   longer than a request takes is refused.
5. There is a policy, and each scope that takes Notary's word for anything pins roots in the policy itself. A
   caller's pin counts beside these, and beside what other files pin (`servicesession`: 7).
6. Certificates, authorities and keys of cosign that it names are read with it, and must be usable then. What
   becomes of these files afterwards changes nothing until all of it reads well again.
7. It has changed when any of its files holds something else. Dates do not matter: a volume may swap them all
   at once, and a file be written twice in one moment.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from notarypy.client import weight
from notarypy.client.metadata.roots import root_policy
from notarypy.client.parameters import Unverified
from notarypy.client.verdicts import AppliedPolicy, SkippedImage
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.client.verify.sharing import Look, MetadataCache, asks_notary
from notarypy.client.weight import HeavyCalls
from notarypy.client.workers import check_stop
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConfigurationError,
    NotarypyError,
    NotVerifiedError,
    OperationError,
    TlsError,
)
from notarypy.remote.http.urls import host_port
from notarypy.service.answercache import CachedMetadata, CachedVerdicts, Unasked, Verdict, counting
from notarypy.service.servicesession import hear
from notarypy.storage.settings.policyfile import PolicyFile, TrustPolicy
from notarypy.tuf import roles
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.parameters import VerifyOptions
    from notarypy.service.answercache import Counting, TimedLook
    from notarypy.service.servicesession import ServiceSession
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.storage.settings.requiredsignatures import NamedFiles
    from notarypy.storage.settings.settings import Settings
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
        self, session: ServiceSession, policy: HeldPolicy, max_age: float, clock: Callable[[], float]
    ) -> None:
        """Know nothing yet; the `policy` is that of the session."""
        self.session, self.policy, self._clock, self._max_age = session, policy, clock, max_age
        self.metadata = CachedMetadata(session.limits, max_age, clock, session.now)
        self.verdicts = CachedVerdicts(session.limits.kept_verdicts)
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
            counts = shared.counting  # and goes on with it (`answercache`: 8)
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


@dataclass(frozen=True)
class HeldPolicy(PolicyFile):
    """A policy file as it was read; in settings it stands in the file's place.

    Attributes:
        policy: What was read, with the contents of the files that it names.
        digest: Of all that was read.
    """

    policy: TrustPolicy
    digest: bytes

    def read(self) -> TrustPolicy:
        """Return the policy as it was read."""
        return self.policy

    def is_current(self) -> bool:
        """Tell whether all files hold what they held (rule 7)."""
        try:
            return _digest(self.data(), self.policy) == self.digest
        except NotarypyError:
            return False


def hold(settings: Settings, now: datetime) -> HeldPolicy:
    """Read the trust policy that settings name; raise ConfigurationError for one that cannot be served."""
    file = settings.policy
    data = None if file is None else file.data()
    if file is None or data is None:
        raise _missing()
    policy = file.parse(data)
    require_pins(policy)
    held = replace(policy, scopes={prefix: _held(scope) for prefix, scope in policy.scopes.items()})
    for scope in held.scopes.values():
        _require_usable(settings, scope, now)
    return HeldPolicy(file.path, file.home, file.named, held, _digest(data, held, held=True))


def require_pins(policy: TrustPolicy | None) -> None:
    """Raise ConfigurationError unless there is a trust policy that pins what it trusts (rule 5)."""
    if policy is None:
        raise _missing()
    if found := unpinned(policy):
        raise ConfigurationError(
            f"the trust policy {policy.path} does not pin every root",
            why=tuple(f'scope "{prefix}" {reason}' for prefix, reason in found.items()),
            advice=Advice("pin-in-policy"),
            path=str(policy.path),
        )


def unpinned(policy: TrustPolicy) -> dict[str, str]:
    """Return the scopes that need Notary's word and pin no root in the policy itself, and what is wrong."""
    found = {}
    for prefix, scope in policy.scopes.items():
        if scope.mode != "skip" and scope.require.notary and not scope.roots:
            found[prefix] = "trusts on first use" if scope.first_use else "pins no root"
    return found


def _missing() -> ConfigurationError:
    return ConfigurationError("there is no trust policy", advice=Advice("give-service-policy"))


def _named(scope: Scope) -> Iterator[NamedFiles]:
    yield scope.roots
    if scope.require.cosign is not None:
        yield scope.require.cosign


def _held(scope: Scope) -> Scope:
    """Return a scope with the contents of its files (rule 6)."""
    roots = replace(scope.roots, held={path: scope.roots.read(path) for path in scope.roots.paths})
    keys = scope.require.cosign
    if keys is not None:
        keys = replace(keys, held={path: keys.read(path) for path in keys.paths})
    return replace(scope, roots=roots, require=replace(scope.require, cosign=keys))


def _require_usable(settings: Settings, scope: Scope, now: datetime) -> None:
    """Raise ConfigurationError unless pins and keys can be read from the files of a scope."""
    if scope.roots:
        root_policy(settings, scope.prefix.rstrip(roles.ANY), now, None, scope)
    if scope.require.cosign is not None:
        from notarypy.client.verify.cosignrequirements import of_policy  # what reads its keys

        of_policy(scope.require.cosign)


def _digest(data: bytes | None, policy: TrustPolicy, *, held: bool = False) -> bytes:
    """Return what tells apart what all files hold; raise for one that cannot be read unless it is `held`."""
    found = hashlib.sha256(repr(data).encode())
    for scope in policy.scopes.values():
        for named in _named(scope):
            for path in named.paths:
                content = named.held[path] if held else named.read_now(path)
                found.update(hashlib.sha256(content).digest())
    return found.digest()
