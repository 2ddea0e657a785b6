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

Verify an image: released by signed metadata, and served by the registry as signed.

What it is: the questions `verify` asks of trusted metadata and the registry. What
it is not: the verification of metadata (`tuf.trusted`), or what is required of signers
and dates (`tuf.policy`).

Rules:

6. A tag is signed when `targets/releases`, or else `targets`, lists it. If both do
   and disagree, releases wins and a warning says so.
7. `REPO@DIGEST` needs some released tag with that digest, and of several the one counts
   that meets most: whoever may release could add another that fewer signed.
   `REPO:TAG@DIGEST` needs the tag's signed digest to be that one.
8. The registry serves exactly the signed digest and size.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import root_end
from notarypy.client.metadata.refresh import refresh
from notarypy.client.parameters import VerifyOptions
from notarypy.client.results import AppliedPolicy, SkippedImage, VerifiedImage
from notarypy.errors import (
    Advice,
    DigestMismatchError,
    ExpiredError,
    NotarypyError,
    NotVerifiedError,
    TagUnsignedError,
    UsageError,
)
from notarypy.tuf import policy, roles
from notarypy.tuf.policy import Release, Requirements, Signers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.client.session import Session
    from notarypy.errors import PolicyError
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference
    from notarypy.storage.settings.policyfile import Scope
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
        require_current(known, session.now())
    trusted = known or cache.get(gun, prefix, lambda: _metadata(session, text, scope, options.root))
    if trusted.gun != gun:
        raise RuntimeError("the metadata is of another repository")
    found = release(
        trusted,
        parsed.tag,
        parsed.digest,
        session.warn,
        lambda one: tuple(map(bool, _unmet(trusted, one, options, scope))),
    )
    unmet = _judge(session, trusted, found, options, scope)
    image = replace(
        verified(trusted, found),
        repository=written,
        signed_as=None if gun == written else gun,
        policy=None if scope is None else AppliedPolicy(scope.prefix, scope.mode, unmet),
    )
    if _asks_registry(session, options):
        by_name = image.digest if parsed.digest else image.tag
        wanted = by_name if parsed.tag is None else parsed.tag
        compare(image, session.manifest(parsed, wanted))
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


_SHOWN_TAGS = 10
_SHOWN_CHARACTERS = 128


def release(
    trusted: TrustedMetadata,
    tag: str | None,
    digest: str | None,
    warn: Callable[[str], None],
    shortfall: Callable[[Release], tuple[bool, ...]] = lambda _: (),
) -> Release:
    """Return what verified metadata releases (rules 6 and 7).

    Args:
        trusted: The repository's metadata.
        tag: The tag; without tag and digest it is `latest`.
        digest: `sha256:` and 64 hex digits, or None.
        warn: Told when two roles disagree.
        shortfall: What a release does not meet, the worst first.

    Raises:
        TagUnsignedError: Nothing released has this tag or digest.
        DigestMismatchError: The tag is signed with another digest.
    """
    found = min(_released(trusted, tag, digest), key=shortfall)
    _warn_of_split(trusted, found.tag, warn)
    return found


def require_current(trusted: TrustedMetadata, now: datetime) -> None:
    """Raise ExpiredError for metadata that was read earlier and has ended since, certificates included."""
    ends = {role: targets.expires for role, targets in trusted.targets.items()}
    ends[roles.ROOT], ends[roles.SNAPSHOT] = root_end(trusted), trusted.snapshot.expires
    ends[roles.TIMESTAMP] = trusted.timestamp.expires
    role = min(ends, key=lambda name: ends[name])
    if ends[role] <= now:
        raise ExpiredError(
            f"the metadata of {trusted.gun} that was read earlier is out of date",
            why=f"{role} ended on {ends[role]:%Y-%m-%d %H:%M}Z",
            advice=Advice("refresh"),
            role=role,
        )


def verified(trusted: TrustedMetadata, found: Release) -> VerifiedImage:
    """Return a release as the image that the metadata vouches for."""
    relied = [trusted.root.expires, trusted.timestamp.expires, trusted.snapshot.expires]
    relied += [trusted.targets[name].expires for name in {roles.TARGETS, found.role}]
    signers = policy.signers(trusted, found.tag, found.content)
    return VerifiedImage(
        repository=trusted.gun,
        tag=found.tag,
        digest=f"sha256:{found.content.sha256}",
        size=found.content.length,
        role=found.role,
        signers=tuple(map(roles.signer_name, signers)),
        expires=min(relied),
    )


def compare(image: VerifiedImage, served: Manifest) -> None:
    """Raise DigestMismatchError unless the registry serves what is signed (rule 8)."""
    if (served.digest, served.size) != (image.digest, image.size):
        raise DigestMismatchError(
            f"the registry serves {image.repository}:{image.tag} with another content than the signed one",
            why=(
                f"signed: {image.digest}, {image.size} bytes",
                f"served: {served.digest}, {served.size} bytes",
            ),
            advice=Advice(
                "pull-signed",
                reference=image.reference,
                tagged=f"{image.signed_as or image.repository}:{image.tag}",
            ),
            signed=image.digest,
            served=served.digest,
        )


def _released(trusted: TrustedMetadata, asked: str | None, digest: str | None) -> list[Release]:
    if asked is None and digest is not None:
        return _released_digest(trusted, digest)
    tag = "latest" if asked is None else asked
    found = policy.released(trusted, tag)
    if found is None:
        raise _unsigned(trusted, tag)
    role, content = found
    if digest is not None and digest != f"sha256:{content.sha256}":
        raise DigestMismatchError(
            f"{trusted.gun}:{tag} is signed with another digest",
            why=(f"asked: {digest}", f"signed: sha256:{content.sha256}"),
            signed=f"sha256:{content.sha256}",
            asked=digest,
        )
    return [Release(tag, role, content)]


def _released_digest(trusted: TrustedMetadata, digest: str) -> list[Release]:
    """Return the releases with a digest; before others of their kind those of another kind (rule 7)."""
    listed = policy.released_names(trusted).items()
    found = [Release(tag, role, content) for tag, (role, content) in listed if content.digest == digest]
    if not found:
        raise TagUnsignedError(f"{trusted.gun}@{digest} is not signed", why="no released tag has this digest")
    first_level = [role for role in trusted.targets if roles.parent(role) == roles.TARGETS]
    before: Counter[object] = Counter()
    ranks = {}
    for one in found:
        listing = [role for role in first_level if _vouches(trusted, role, one)]
        kind = (one.role, one.content.length, *listing)
        ranks[one.tag] = before[kind]
        before[kind] += 1
    return sorted(found, key=lambda one: ranks[one.tag])[: trusted.limits.judged_tags]


def _vouches(trusted: TrustedMetadata, role: str, one: Release) -> bool:
    content = policy.entry(trusted, role, one.tag)
    return content is not None and content.same_content(one.content)


def _shortened(name: str) -> str:
    left = len(name) - _SHOWN_CHARACTERS
    return f"{name[:_SHOWN_CHARACTERS]}... ({left} characters more)" if left > 0 else name


def _unsigned(trusted: TrustedMetadata, tag: str) -> TagUnsignedError:
    signed = list(policy.released_names(trusted))
    listed = [roles.signer_name(role) for role, _ in policy.entries(trusted, tag)]
    shown = ", ".join(map(_shortened, signed[:_SHOWN_TAGS])) or "none"
    why = [f"signed tags: {shown}{' ...' if len(signed) > _SHOWN_TAGS else ''}"]
    if listed:
        why.append(f"listed by {', '.join(listed)}, which does not release it: targets/releases does")
    return TagUnsignedError(
        f"{trusted.gun}:{tag} is not signed",
        why=tuple(why),
        advice=Advice("sign-tag", gun=trusted.gun, tag=tag),
        gun=trusted.gun,
        tag=tag,
    )


def _warn_of_split(trusted: TrustedMetadata, tag: str, warn: Callable[[str], None]) -> None:
    ours, theirs = (policy.entry(trusted, role, tag) for role in (roles.RELEASES, roles.TARGETS))
    if ours is not None and theirs is not None and not ours.same_content(theirs):
        warn(
            f"{trusted.gun}:{tag} is {ours.digest or 'without sha256'} in targets/releases, which counts, "
            f"and {theirs.digest or 'without sha256'} in targets"
        )
