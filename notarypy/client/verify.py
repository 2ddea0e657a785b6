"""Verify an image: signed, by the required signers, and served by the registry as signed.

What it is: the questions `verify` asks of trusted metadata and the registry. What
it is not: the verification of metadata (`tuf.trusted`).

Rules:

1. A tag is signed when `targets/releases`, or else `targets`, lists it. If both do
   and disagree, releases wins and a warning says so.
2. `REPO@DIGEST` needs some released tag with that digest; `REPO:TAG@DIGEST` needs the
   tag's signed digest to be that one.
3. A required signer's own role lists the same digest and length.
4. The registry serves exactly the signed digest and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.client.results import VerifiedImage
from notarypy.errors import DigestMismatchError, SignerMissingError, TagUnsignedError
from notarypy.tuf import lookup, roles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.images.manifests import Manifest
    from notarypy.tuf.metadata import FileMeta
    from notarypy.tuf.trusted import TrustedMetadata

_SHOWN_TAGS = 10


@dataclass(frozen=True)
class Asked:
    """What to verify: a tag, a digest or both, and who must have signed it.

    Attributes:
        tag: The tag; without tag and digest it is `latest`.
        digest: `sha256:` and 64 hex digits.
        signers: Names or roles of required signers.
        all_signers: Whether every signer of the repository is required.
    """

    tag: str | None = None
    digest: str | None = None
    signers: Sequence[str] = ()
    all_signers: bool = False


def verify(trusted: TrustedMetadata, asked: Asked, warn: Callable[[str], None]) -> VerifiedImage:
    """Return the image that verified metadata vouches for (rules 1 to 3).

    Raises:
        TagUnsignedError: Nothing released has this tag or digest.
        DigestMismatchError: The tag is signed with another digest.
        SignerMissingError: A required signer does not vouch for it.
    """
    tag, role, content = _released(trusted, asked)
    _warn_of_split(trusted, tag, warn)
    _require_signers(trusted, tag, content, _required(trusted, asked))
    relied = [trusted.root.expires, trusted.timestamp.expires, trusted.snapshot.expires]
    relied += [trusted.targets[name].expires for name in {roles.TARGETS, role}]
    return VerifiedImage(
        repository=trusted.gun,
        tag=tag,
        digest=f"sha256:{content.sha256}",
        size=content.length,
        role=role,
        signers=tuple(roles.signer_name(name) for name in lookup.signers(trusted, tag, content)),
        expires=min(relied),
    )


def compare(image: VerifiedImage, served: Manifest) -> None:
    """Raise DigestMismatchError unless the registry serves what is signed (rule 4)."""
    if (served.digest, served.size) != (image.digest, image.size):
        raise DigestMismatchError(
            f"the registry serves {image.repository}:{image.tag} with another content than the signed one",
            why=(
                f"signed: {image.digest}, {image.size} bytes",
                f"served: {served.digest}, {served.size} bytes",
            ),
            fix=f"pull the signed one: {image.reference}; if the new one is right: "
            f"notarypy sign {image.repository}:{image.tag}",
            signed=image.digest,
            served=served.digest,
        )


def _released(trusted: TrustedMetadata, asked: Asked) -> tuple[str, str, FileMeta]:
    """Return tag, releasing role and content (rules 1 and 2)."""
    if asked.tag is None and asked.digest is not None:
        return _released_digest(trusted, asked.digest)
    tag = asked.tag or "latest"
    found = lookup.released(trusted, tag)
    if found is None:
        raise _unsigned(trusted, tag)
    role, content = found
    if asked.digest is not None and asked.digest != f"sha256:{content.sha256}":
        raise DigestMismatchError(
            f"{trusted.gun}:{tag} is signed with another digest",
            why=(f"asked: {asked.digest}", f"signed: sha256:{content.sha256}"),
            signed=f"sha256:{content.sha256}",
            asked=asked.digest,
        )
    return tag, role, content


def _released_digest(trusted: TrustedMetadata, digest: str) -> tuple[str, str, FileMeta]:
    for tag, (role, content) in lookup.released_names(trusted).items():
        if digest == f"sha256:{content.sha256}":
            return tag, role, content
    raise TagUnsignedError(f"{trusted.gun}@{digest} is not signed", why="no released tag has this digest")


def _unsigned(trusted: TrustedMetadata, tag: str) -> TagUnsignedError:
    signed = list(lookup.released_names(trusted))
    listed = [roles.signer_name(role) for role, _ in lookup.entries(trusted, tag)]
    shown = ", ".join(signed[:_SHOWN_TAGS]) or "none"
    why = [f"signed tags: {shown}{' ...' if len(signed) > _SHOWN_TAGS else ''}"]
    if listed:
        why.append(f"listed by {', '.join(listed)}, which does not release it: targets/releases does")
    return TagUnsignedError(
        f"{trusted.gun}:{tag} is not signed",
        why=tuple(why),
        fix=f"sign it: notarypy sign {trusted.gun}:{tag}",
        gun=trusted.gun,
        tag=tag,
    )


def _warn_of_split(trusted: TrustedMetadata, tag: str, warn: Callable[[str], None]) -> None:
    ours, theirs = (lookup.entry(trusted, role, tag) for role in (roles.RELEASES, roles.TARGETS))
    if ours is not None and theirs is not None and not ours.same_content(theirs):
        warn(
            f"{trusted.gun}:{tag} is sha256:{ours.sha256} in targets/releases, which counts, "
            f"and sha256:{theirs.sha256} in targets"
        )


def _required(trusted: TrustedMetadata, asked: Asked) -> list[str]:
    required = [roles.signer_role(name) for name in asked.signers]
    if asked.all_signers:
        delegated = [entry.name for entry in trusted.targets[roles.TARGETS].roles]
        required += [role for role in delegated if role != roles.RELEASES]
        if not required:
            raise SignerMissingError(f"{trusted.gun} has no signers", why="--all-signers needs at least one")
    return list(dict.fromkeys(required))


def _require_signers(trusted: TrustedMetadata, tag: str, content: FileMeta, required: Sequence[str]) -> None:
    signed = lookup.signers(trusted, tag, content)
    missing = [role for role in required if role not in signed]
    if missing:
        raise SignerMissingError(
            f"{trusted.gun}:{tag} is not signed by {', '.join(roles.signer_name(role) for role in missing)}",
            why=tuple(_found(trusted, role, tag) for role in missing),
            signers=[roles.signer_name(role) for role in signed],
            missing=[roles.signer_name(role) for role in missing],
        )


def _found(trusted: TrustedMetadata, role: str, tag: str) -> str:
    if role in trusted.failures:
        return f"{role}: {trusted.failures[role].message}"
    if trusted.targets[roles.TARGETS].delegation(role) is None and role not in trusted.targets:
        return f"{role} does not exist"
    content = lookup.entry(trusted, role, tag)
    return f"{role} lists sha256:{content.sha256}" if content else f"{role} does not list this tag"
