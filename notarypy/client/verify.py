"""Verify an image: released by signed metadata, and served by the registry as signed.

What it is: the questions `verify` asks of trusted metadata and the registry. What
it is not: the verification of metadata (`tuf.trusted`), or what is required of signers
and dates (`tuf.policy`).

Rules:

1. A tag is signed when `targets/releases`, or else `targets`, lists it. If both do
   and disagree, releases wins and a warning says so.
2. `REPO@DIGEST` needs some released tag with that digest, and of several the one counts
   that meets most: whoever may release could add another that fewer signed.
   `REPO:TAG@DIGEST` needs the tag's signed digest to be that one.
3. The registry serves exactly the signed digest and size.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from notarypy.client.results import VerifiedImage
from notarypy.client.status import root_end
from notarypy.errors import Advice, DigestMismatchError, ExpiredError, TagUnsignedError
from notarypy.tuf import lookup, roles
from notarypy.tuf.policy import Release

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.images.manifests import Manifest
    from notarypy.tuf.trusted import TrustedMetadata

_SHOWN_TAGS = 10
_SHOWN_CHARACTERS = 128


def release(
    trusted: TrustedMetadata,
    tag: str | None,
    digest: str | None,
    warn: Callable[[str], None],
    shortfall: Callable[[Release], tuple[bool, ...]] = lambda _: (),
) -> Release:
    """Return what verified metadata releases (rules 1 and 2).

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


def image(trusted: TrustedMetadata, found: Release) -> VerifiedImage:
    """Return a release as the image that the metadata vouches for."""
    relied = [trusted.root.expires, trusted.timestamp.expires, trusted.snapshot.expires]
    relied += [trusted.targets[name].expires for name in {roles.TARGETS, found.role}]
    signers = lookup.signers(trusted, found.tag, found.content)
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
    """Raise DigestMismatchError unless the registry serves what is signed (rule 3)."""
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
    found = lookup.released(trusted, tag)
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
    """Return the releases with a digest; before others of their kind those of another kind (rule 2)."""
    listed = lookup.released_names(trusted).items()
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
    content = lookup.entry(trusted, role, one.tag)
    return content is not None and content.same_content(one.content)


def _shortened(name: str) -> str:
    left = len(name) - _SHOWN_CHARACTERS
    return f"{name[:_SHOWN_CHARACTERS]}... ({left} characters more)" if left > 0 else name


def _unsigned(trusted: TrustedMetadata, tag: str) -> TagUnsignedError:
    signed = list(lookup.released_names(trusted))
    listed = [roles.signer_name(role) for role, _ in lookup.entries(trusted, tag)]
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
    ours, theirs = (lookup.entry(trusted, role, tag) for role in (roles.RELEASES, roles.TARGETS))
    if ours is not None and theirs is not None and not ours.same_content(theirs):
        warn(
            f"{trusted.gun}:{tag} is {ours.digest or 'without sha256'} in targets/releases, which counts, "
            f"and {theirs.digest or 'without sha256'} in targets"
        )
