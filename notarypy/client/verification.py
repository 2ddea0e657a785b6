"""Verify an image: its metadata, what the caller requires, the trust policy, the registry.

What it is: the one place where all that `verify` promises comes together. What it is
not: a judge; `verify` says what is released, `tuf.policy` whether that is enough.

Rules:

1. Where there is a trust policy, the scope of the repository as it was written counts.
2. What the caller requires is enforced in every mode. The policy is added to it.
3. `audit` turns what the policy requires of a release (exit 10) into warnings, and
   nothing else: not the verification, not the pins of roots, not a missing scope.
4. `skip` leaves the verification out, and says so, unless the caller requires a signer
   or a root: then the image is verified as if there were no policy.
5. A mirror is verified by the trust data of the repository it mirrors; its own
   registry must serve what is signed there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from notarypy.client import verify as release
from notarypy.client.parameters import VerifyOptions
from notarypy.client.refresh import refresh
from notarypy.client.results import AppliedPolicy, SkippedImage
from notarypy.errors import Advice, NotarypyError, NotVerifiedError, UsageError
from notarypy.tuf import policy, roles
from notarypy.tuf.policy import Requirements, Signers

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.results import VerifiedImage
    from notarypy.client.session import Session
    from notarypy.errors import PolicyError
    from notarypy.images.reference import Reference
    from notarypy.storage.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata


@dataclass(frozen=True)
class MetadataCache:
    """Metadata that several references share: each repository is refreshed once, or fails once."""

    _found: dict[tuple[str, str], TrustedMetadata | NotarypyError] = field(default_factory=dict)

    def get(self, gun: str, scope: str, fetch: Callable[[], TrustedMetadata]) -> TrustedMetadata:
        """Return the metadata of a repository as one scope reads it; raise what its refresh raised."""
        if (gun, scope) not in self._found:
            try:
                self._found[gun, scope] = fetch()
            except NotarypyError as error:
                self._found[gun, scope] = error
        found = self._found[gun, scope]
        if isinstance(found, NotarypyError):
            raise found
        return found


def scope_of(session: Session, text: str, options: VerifyOptions) -> Scope | None:
    """Return the scope that counts for a reference; None without a policy, or where rule 4 sets it aside.

    Raises:
        OutOfScopeError: There is a policy, and it has none.
    """
    scope = session.scope(session.gun(text)[0])
    skipped = scope is not None and scope.mode == "skip"
    return None if skipped and options.needs_verification else scope


def current_metadata(session: Session, text: str, root: str | None) -> TrustedMetadata:
    """Return a repository's metadata as `verify` reads it; a `root` is a PIN that it must meet.

    Raises:
        TrustError: There is none, or it cannot be verified, or the trust policy has no scope for it.
    """
    scope = scope_of(session, text, VerifyOptions(root=root))
    return _metadata(session, text, None if scope and scope.mode == "skip" else scope, root)


def _metadata(session: Session, text: str, scope: Scope | None, root: str | None) -> TrustedMetadata:
    """Return a repository's metadata, read by the scope's name, server and roots."""
    return refresh(session.repository(text, root, scope, whole=False))


def verify(
    session: Session, text: str, options: VerifyOptions, known: TrustedMetadata | None = None
) -> VerifiedImage:
    """Return an image that meets everything; see `verify_unless_skipped`.

    Raises:
        NotVerifiedError: The trust policy says to skip it.
    """
    if known is not None and options.root is not None:
        raise RuntimeError("a root is checked by refresh, not beside metadata that it returned")
    image = verify_unless_skipped(session, text, options, known)
    if isinstance(image, SkippedImage):
        raise NotVerifiedError(
            f"{image.reference} was not verified",
            why=f'the scope "{image.policy.scope}" of the trust policy says skip',
            advice=Advice("require-or-skip"),
        )
    return image


def verify_unless_skipped(
    session: Session,
    text: str,
    options: VerifyOptions,
    known: TrustedMetadata | None = None,
    cache: MetadataCache | None = None,
) -> VerifiedImage | SkippedImage:
    """Return an image that meets everything, or that the trust policy says to skip.

    Args:
        session: Settings, servers and clock.
        text: The reference.
        options: What the caller requires of it.
        known: Its repository's metadata, if that is at hand.
        cache: Where metadata is kept for other references.

    Raises:
        TrustError: It is not signed, not trustworthy, or does not meet what is required.
        UsageError: It is to be skipped, and nobody can say which image it is.
    """
    scope = scope_of(session, text, options)
    parsed, (written, _) = session.parse(text), session.gun(text)
    if scope is not None and scope.mode == "skip":
        return _skipped(session, parsed, written, scope, options)
    gun = written if scope is None else scope.gun(written)
    cache, prefix = cache or MetadataCache(), "" if scope is None else scope.prefix
    if known is not None:
        release.require_current(known, session.now())
    trusted = known or cache.get(gun, prefix, lambda: _metadata(session, text, scope, options.root))
    if trusted.gun != gun:
        raise RuntimeError("the metadata is of another repository")
    found = release.release(
        trusted,
        parsed.tag,
        parsed.digest,
        session.warn,
        lambda one: tuple(map(bool, _unmet(trusted, one, options, scope))),
    )
    unmet = _judge(session, trusted, found, options, scope)
    image = replace(
        release.image(trusted, found),
        repository=written,
        signed_as=None if gun == written else gun,
        policy=None if scope is None else AppliedPolicy(scope.prefix, scope.mode, unmet),
    )
    if _asks_registry(session, options):
        by_name = image.digest if parsed.digest else image.tag
        wanted = by_name if parsed.tag is None else parsed.tag
        release.compare(image, session.manifest(parsed, wanted))
    return image


def _judge(
    session: Session,
    trusted: TrustedMetadata,
    found: policy.Release,
    options: VerifyOptions,
    scope: Scope | None,
) -> tuple[PolicyError, ...]:
    """Raise for what is not met, and return what is only to be told (rules 2 and 3)."""
    errors, asked = _unmet(trusted, found, options, scope)
    if scope is None or scope.mode == "enforce":
        errors += asked
    if errors:
        raise policy.together(errors)
    if scope is None or scope.mode == "enforce":
        return ()
    for error in asked:
        session.warn(f"audit: {error.message} [{error.code}]: {'; '.join(error.why)}")
    return tuple(asked)


def _required(options: VerifyOptions) -> Requirements:
    named = tuple(roles.signer_role(name) for name in options.signers)
    return Requirements(Signers(every=named, everyone=options.all_signers))


def _unmet(
    trusted: TrustedMetadata, found: policy.Release, options: VerifyOptions, scope: Scope | None
) -> tuple[list[PolicyError], list[PolicyError]]:
    """Return what a release does not meet of what the caller requires, and of what the policy requires."""
    asked = [] if scope is None else policy.unmet(trusted, found, scope.requirements)
    return policy.unmet(trusted, found, _required(options)), asked


def _skipped(
    session: Session, parsed: Reference, written: str, scope: Scope, options: VerifyOptions
) -> SkippedImage:
    digest, size = parsed.digest, None
    if digest is None:
        if not _asks_registry(session, options):
            raise UsageError(
                f"nobody can say which image {written}:{parsed.tag or 'latest'} is",
                why=(f"{scope.source} says to verify nothing", "no registry is to be asked either"),
                advice=Advice("name-digest"),
            )
        served = session.manifest(parsed, parsed.tag or "latest")
        digest, size = served.digest, served.size
    session.warn(f"{written}@{digest} is NOT VERIFIED: {scope.source} says to skip it")
    return SkippedImage(written, parsed.tag, digest, size, AppliedPolicy(scope.prefix, scope.mode))


def _asks_registry(session: Session, options: VerifyOptions) -> bool:
    return options.registry and not session.literal and not session.settings.offline
