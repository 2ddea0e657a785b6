"""Whether an image may run: signed metadata, what the caller requires, the trust policy, the registry.

What it is: the one module that says so. First the decision, which is pure: metadata, requirements, policy
and what the registry serves go in, a verified image or an error comes out. Then what fetches for it. What it
is not: the verification of metadata (`tuf.trusted`), or what signers and dates must meet (`tuf.policy`).

Rules:

1. A tag is signed when `targets/releases`, or else `targets`, lists it. If both do and disagree, releases
   wins and a warning says so.
2. `REPO@DIGEST` needs some released tag with that digest, and of several the one counts that meets most:
   whoever may release could add another that fewer signed. `REPO:TAG@DIGEST` needs the tag's signed digest
   to be that one.
3. What the caller requires is enforced in every mode. The policy is added to it.
4. `audit` turns what the policy requires of a release (exit 10) into warnings, and nothing else: not the
   verification, not the pins of roots, not a missing scope.
5. The registry serves exactly the signed digest and size, and content with the signed SHA-512, where that is
   signed too. Of a hash of another kind nobody says what it is of, Go neither: it does not count. Where no
   registry is asked there is no content to compare; then the entries of two roles must agree in every hash
   that both have, or they are of different content.
6. Where there is a trust policy, the scope of the repository as it was written counts.
7. `skip` leaves the verification out, and says so, unless the caller requires a signer or a root: then the
   image is verified as if there were no policy.
8. A mirror is verified by the trust data of the repository it mirrors; its own registry must serve what is
   signed there.
9. Metadata may be minutes old where a cache is between here and the Notary server. Before an image is refused
   the server itself is asked once whether it has something newer, by which the image is then judged.
10. The registry is asked for a tag while metadata is read, where it is settled which root the repository must
   have (`roots`: 4). Its answer counts, and is shown, only for an image that was accepted without it; until
   then it has no error either. By digest, and before a first use is decided, it is asked afterwards.
"""

from __future__ import annotations

import logging
from functools import cache as once
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import ended, file_ends, relied_on, role_ends
from notarypy.client.metadata.refresh import refresh
from notarypy.client.metadata.roots import is_settled
from notarypy.client.parameters import Unverified
from notarypy.client.verdicts import AppliedPolicy, Evidence, ReleasedImage, SkippedImage, VerifiedImage
from notarypy.client.verify.sharing import MetadataCache, scope_of
from notarypy.client.workers import meanwhile
from notarypy.errors import (
    Advice,
    DigestMismatchError,
    ExpiredError,
    NotVerifiedError,
    PolicyError,
    TagUnsignedError,
    TrustError,
    UsageError,
)
from notarypy.tuf import policy, roles
from notarypy.tuf.policy import Release, Requirements, Signers
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.parameters import VerifyOptions
    from notarypy.client.session import Session
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata

    Unmet = tuple[list[PolicyError], list[PolicyError]]

_LOG = logging.getLogger(__name__)
_SHOWN_TAGS = 10
_SHOWN_CHARACTERS = 128


# The decision


def decide(
    trusted: TrustedMetadata,
    asked: Reference,
    options: VerifyOptions,
    scope: Scope | None,
    *,
    written: str,
    warn: Callable[[str], None],
) -> ReleasedImage:
    """Return the image that verified metadata vouches for, if it meets everything (rules 1 to 4).

    `trusted` is of the repository, or of the one that it mirrors, and `written` its name as it was written.
    The caller requires `options`, and the trust policy `scope`, if there is one. `warn` is given what is not
    met in `audit`, and where two roles disagree.
    """
    found = _release(trusted, asked, options, scope)
    ours, theirs = (policy.entry(trusted, role, found.tag) for role in (roles.RELEASES, roles.TARGETS))
    if ours is not None and theirs is not None and not ours.same_content(theirs):
        released, listed = (one.digest or "without sha256" for one in (ours, theirs))
        name = f"{trusted.gun}:{found.tag}"
        warn(f"{name} is {released} in targets/releases, which counts, and {listed} in targets")
    errors, audited = _unmet(trusted, found, options, scope)
    if scope is None or scope.mode == "enforce":
        errors, audited = errors + audited, []
    if errors:
        _LOG.debug("%s:%s does not meet: %s", trusted.gun, found.tag, [error.code for error in errors])
        raise policy.together(errors)
    for error in audited:
        warn(Unverified.in_audit(error))
    ends = file_ends(trusted)
    relied = {roles.ROOT, roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, found.role}
    signers = policy.signers(trusted, found.tag, found.content)
    return ReleasedImage(
        repository=written,
        tag=found.tag,
        digest=f"sha256:{found.content.sha256}",
        size=found.content.length,
        role=found.role,
        signers=tuple(map(roles.signer_name, signers)),
        expires=min(ends[role] for role in relied),
        signed_as=None if trusted.gun == written else trusted.gun,
        policy=None if scope is None else AppliedPolicy(scope.prefix, scope.mode, tuple(audited)),
        sha512=found.content.sha512,
    )


def require_served(image: VerifiedImage, served: Manifest) -> None:
    """Raise DigestMismatchError unless the registry serves what is signed (rule 5)."""
    same = (served.digest, served.size) == (image.digest, image.size)
    if same and image.sha512 in {None, served.sha512}:
        return
    signed = (image.digest, f"{image.size} bytes", *([f"sha512:{image.sha512}"] if same else []))
    found = (served.digest, f"{served.size} bytes", *([f"sha512:{served.sha512}"] if same else []))
    tagged = f"{image.signed_as or image.repository}:{image.tag}"
    raise DigestMismatchError(
        f"the registry serves {image.repository}:{image.tag} with another content than the signed one",
        why=(f"signed: {', '.join(signed)}", f"served: {', '.join(found)}"),
        advice=Advice("pull-signed", reference=image.reference, tagged=tagged),
        signed=image.digest,
        served=served.digest,
    )


def require_current(trusted: TrustedMetadata, now: datetime) -> None:
    """Raise ExpiredError for metadata that was read earlier and has ended since, certificates included."""
    ends = role_ends(trusted)
    role = min(ends, key=lambda name: ends[name])
    if ended(ends[role], now):
        raise ExpiredError(
            f"the metadata of {trusted.gun} that was read earlier is out of date",
            why=f"{role} ended on {ends[role]:%Y-%m-%d %H:%M}Z",
            advice=Advice("refresh"),
            role=role,
        )


def _unmet(trusted: TrustedMetadata, found: Release, options: VerifyOptions, scope: Scope | None) -> Unmet:
    """Return what a release does not meet of what the caller requires, and of what the policy requires."""
    named = tuple(roles.signer_role(name) for name in options.signers)
    required = Requirements(Signers(every=named, everyone=options.all_signers))
    audited = [] if scope is None else policy.unmet(trusted, found, scope.requirements)
    return policy.unmet(trusted, found, required), audited


def _release(
    trusted: TrustedMetadata, asked: Reference, options: VerifyOptions, scope: Scope | None
) -> Release:
    """Return what is released under a tag or digest, `latest` without either (rules 1 and 2)."""
    tag, digest = asked.tag, asked.digest
    if tag is None and digest is not None:
        found = policy.with_digest(trusted, digest)
        return min(found, key=lambda one: tuple(map(bool, _unmet(trusted, one, options, scope))))
    tag = "latest" if tag is None else tag
    listed = policy.released(trusted, tag)
    if listed is None:
        raise _unsigned(trusted, tag)
    role, content = listed
    signed = f"sha256:{content.sha256}"
    if digest not in {None, signed}:
        raise DigestMismatchError(
            f"{trusted.gun}:{tag} is signed with another digest",
            why=(f"asked: {digest}", f"signed: {signed}"),
            advice=Advice("pull-other", reference=f"{trusted.gun}@{signed}"),
            signed=signed,
            asked=digest,
        )
    return Release(tag, role, content)


def _unsigned(trusted: TrustedMetadata, tag: str) -> TagUnsignedError:
    signed = policy.released_names(trusted)
    listed = [roles.signer_name(role) for role, _ in policy.entries(trusted, tag)]
    shown, more = ", ".join(map(_shortened, signed[:_SHOWN_TAGS])), len(signed) - _SHOWN_TAGS
    why = [f"the repository's signed tags are: {shown or 'none'}{f' and {more} more' if more > 0 else ''}"]
    if listed:
        why.append(f"listed by {', '.join(listed)}, which does not release it: targets/releases does")
    return TagUnsignedError(
        f"{trusted.gun}:{tag} is not signed",
        why=tuple(why),
        advice=Advice("sign-tag", gun=trusted.gun, tag=tag),
        gun=trusted.gun,
        tag=tag,
    )


def _shortened(name: str) -> str:
    left = len(name) - _SHOWN_CHARACTERS
    return f"{name[:_SHOWN_CHARACTERS]}... ({left} characters more)" if left > 0 else name


# What fetches for it


def verify(
    session: Session, text: str, options: VerifyOptions, known: TrustedMetadata | None = None
) -> VerifiedImage:
    """Return an image that meets everything; NotVerifiedError if the trust policy says to skip it."""
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

    `known` is its repository's metadata, if that is at hand; `cache` is for other references.

    Raises:
        TrustError: It is not signed, not trustworthy, or does not meet what is required.
        UsageError: It is to be skipped, and nobody can say which image it is.
    """
    scope = scope_of(session, text, options)
    parsed, (written, _) = session.parse(text), session.gun(text)
    if scope is not None and scope.mode == "skip":
        return _skipped(session, parsed, written, scope, options)
    notary = partial(by_notary, session, text, options, scope, known=known, cache=cache)
    if not options.also and (scope is None or scope.require.cosign is None):
        return notary()
    # Signatures of cosign, and what reads them, are for those who ask for them.
    from notarypy.client.verify.cosignrequirements import CosignVerification

    return CosignVerification(session, parsed, written, options, scope).image(notary)


def by_notary(
    session: Session,
    text: str,
    options: VerifyOptions,
    scope: Scope | None,
    *,
    known: TrustedMetadata | None = None,
    cache: MetadataCache | None = None,
    fetch: Callable[[Reference, str], Manifest] | None = None,
) -> ReleasedImage:
    """Return an image for which Notary vouches, whatever a scope that skips nothing says of cosign.

    `fetch` asks the registry for a tag or digest, for whoever wants to keep the answer.
    """
    parsed, (written, _) = session.parse(text), session.gun(text)
    cache = cache or MetadataCache()
    gun, prefix = (written, "") if scope is None else (scope.gun(written), scope.prefix)
    if known is not None:
        require_current(known, session.now())

    @once
    def repository() -> Repository:
        return session.repository(text, options.root, scope, whole=False)

    asked, wanted = _asks_registry(session, options), parsed.tag or parsed.digest or "latest"

    def judged(trusted: TrustedMetadata, served: Callable[[], Manifest]) -> ReleasedImage:
        image = decide(trusted, parsed, options, scope, written=written, warn=session.warn)
        if asked:
            require_served(image, served())
        _LOG.debug("%s: %s; compared with the registry: %s", text, image, asked)
        server, ids = session.server_url(gun, scope), trusted.root.roles[roles.ROOT].keyids
        relied, offline = relied_on(trusted, image.tag, image.digest), session.settings.offline
        archive = repository().archive if session.settings.archive else None
        server, exported = (archive.server_of(gun), archive.exported) if archive else (server, None)
        evidence = Evidence(session.now(), server, offline, asked, trusted.root.pins, ids, relied, exported)
        return replace(image, evidence=evidence)

    ahead = asked and wanted != parsed.digest and not known and not cache.knows(gun, prefix)
    ahead = ahead and is_settled(repository())
    with meanwhile(partial(fetch or session.manifest, parsed, wanted), wanted=ahead) as served:
        trusted = known or cache.get(gun, prefix, lambda: refresh(repository()))
        if trusted.gun != gun:
            raise RuntimeError("the metadata is of another repository")
        try:
            return judged(trusted, served)
        except TrustError:
            newer = None if known else cache.renew(gun, prefix, repository().past_caches(), trusted)
            if newer is None:
                raise
        return judged(newer, served)


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
    session.warn(Unverified(f"{written}@{digest} is NOT VERIFIED: {scope.source} says to skip it"))
    return SkippedImage(written, parsed.tag, digest, size, AppliedPolicy(scope.prefix, scope.mode))


def _asks_registry(session: Session, options: VerifyOptions) -> bool:
    return options.registry and not session.literal and not session.settings.offline
