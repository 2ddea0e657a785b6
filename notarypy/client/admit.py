"""Admit an image: verified metadata, the demands of the caller, the trust policy, the registry.

What it is: the one place where all that `verify` promises comes together. What it is
not: a judge; `verify` says what is released, `tuf.policy` whether that is enough.

Rules:

1. Where there is a trust policy, the scope of the repository as it was written counts.
2. What the caller demands is enforced in every mode. The policy is added to it.
3. `audit` turns what the policy requires of a release (exit 10) into warnings, and
   nothing else: not the verification, not the pins of roots, not a missing scope.
4. `skip` leaves the verification out, and says so, unless the caller demands a signer
   or a root: then the image is verified as if there were no policy.
5. A mirror is verified by the trust data of the repository it mirrors; its own
   registry must serve what is signed there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from notarypy.client import verify
from notarypy.client.refresh import refresh
from notarypy.client.results import AppliedPolicy, SkippedImage
from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.tuf import policy, roles
from notarypy.tuf.policy import Requirements, Signers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.results import VerifiedImage
    from notarypy.client.session import Session
    from notarypy.errors import PolicyError
    from notarypy.images.reference import Reference
    from notarypy.storage.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata


@dataclass(frozen=True)
class Demands:
    """What the caller wants, whatever the trust policy says.

    Attributes:
        signers: Names or roles of signers who must have signed this very digest.
        all_signers: Whether every signer of the repository must have.
        root: A PIN that the repository's root must meet, or None.
        registry: Whether to compare with what the registry serves.
    """

    signers: Sequence[str] = ()
    all_signers: bool = False
    root: str | None = None
    registry: bool = True

    def __bool__(self) -> bool:
        """Tell whether anything is demanded that only verification can tell."""
        return bool(self.signers or self.all_signers or self.root is not None)

    def requirements(self) -> Requirements:
        """Return what is demanded of a release."""
        named = tuple(roles.signer_role(name) for name in self.signers)
        return Requirements(Signers(every=named, everyone=self.all_signers))


@dataclass(frozen=True)
class Shelf:
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


def scope_of(session: Session, text: str, demands: Demands) -> Scope | None:
    """Return the scope that counts for a reference; None without a policy, or where rule 4 sets it aside.

    Raises:
        OutOfScopeError: There is a policy, and it has none.
    """
    scope = session.scope(session.gun(text)[0])
    return None if scope is not None and scope.mode == "skip" and demands else scope


def metadata(session: Session, text: str, scope: Scope | None, root: str | None) -> TrustedMetadata:
    """Return a repository's metadata, read by the scope's name, server and roots."""
    return refresh(session.repository(text, root, scope, whole=False))


def admit(
    session: Session,
    text: str,
    demands: Demands,
    known: TrustedMetadata | None = None,
    shelf: Shelf | None = None,
) -> VerifiedImage | SkippedImage:
    """Return an image that meets everything, or that the trust policy says to skip.

    Args:
        session: Settings, servers and clock.
        text: The reference.
        demands: What the caller wants of it.
        known: Its repository's metadata, if that is at hand.
        shelf: Where metadata is kept for other references.

    Raises:
        TrustError: It is not signed, not trustworthy, or does not meet what is required.
        UsageError: It is to be skipped, and nobody can say which image it is.
    """
    scope = scope_of(session, text, demands)
    parsed, (written, _) = session.parse(text), session.gun(text)
    if scope is not None and scope.mode == "skip":
        return _skipped(session, parsed, written, scope, demands)
    gun = written if scope is None else scope.gun(written)
    shelf, prefix = shelf or Shelf(), "" if scope is None else scope.prefix
    if known is not None:
        verify.require_current(known, session.now())
    trusted = known or shelf.get(gun, prefix, lambda: metadata(session, text, scope, demands.root))
    if trusted.gun != gun:
        raise RuntimeError("the metadata is of another repository")
    found = verify.release(
        trusted,
        parsed.tag,
        parsed.digest,
        session.warn,
        lambda one: tuple(map(bool, _unmet(trusted, one, demands, scope))),
    )
    unmet = _judge(session, trusted, found, demands, scope)
    image = replace(
        verify.image(trusted, found),
        repository=written,
        signed_as=None if gun == written else gun,
        policy=None if scope is None else AppliedPolicy(scope.prefix, scope.mode, unmet),
    )
    if _asks_registry(session, demands):
        by_name = image.digest if parsed.digest else image.tag
        wanted = by_name if parsed.tag is None else parsed.tag
        verify.compare(image, session.manifest(parsed, wanted))
    return image


def _judge(
    session: Session, trusted: TrustedMetadata, found: policy.Release, demands: Demands, scope: Scope | None
) -> tuple[PolicyError, ...]:
    """Raise for what is not met, and return what is only to be told (rules 2 and 3)."""
    errors, asked = _unmet(trusted, found, demands, scope)
    if scope is None or scope.mode == "enforce":
        errors += asked
    if errors:
        raise policy.together(errors)
    if scope is None or scope.mode == "enforce":
        return ()
    for error in asked:
        session.warn(f"audit: {error.message} [{error.code}]: {'; '.join(error.why)}")
    return tuple(asked)


def _unmet(
    trusted: TrustedMetadata, found: policy.Release, demands: Demands, scope: Scope | None
) -> tuple[list[PolicyError], list[PolicyError]]:
    """Return what a release does not meet of what is demanded, and of what the policy requires."""
    asked = [] if scope is None else policy.unmet(trusted, found, scope.requirements)
    return policy.unmet(trusted, found, demands.requirements()), asked


def _skipped(
    session: Session, parsed: Reference, written: str, scope: Scope, demands: Demands
) -> SkippedImage:
    digest, size = parsed.digest, None
    if digest is None:
        if not _asks_registry(session, demands):
            raise UsageError(
                f"nobody can say which image {written}:{parsed.tag or 'latest'} is",
                why=(f"{scope.source} says to verify nothing", "no registry is to be asked either"),
                advice=Advice("name-digest"),
            )
        served = session.manifest(parsed, parsed.tag or "latest")
        digest, size = served.digest, served.size
    session.warn(f"{written}@{digest} is NOT VERIFIED: {scope.source} says to skip it")
    return SkippedImage(written, parsed.tag, digest, size, AppliedPolicy(scope.prefix, scope.mode))


def _asks_registry(session: Session, demands: Demands) -> bool:
    return demands.registry and not session.literal and not session.settings.offline
