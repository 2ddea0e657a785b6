"""Sign what references name, repository by repository.

What it is: the use case behind `sign`, from texts to signed tags. What it is not: the choice
of roles, or what is written for a tag (`signing`).

Rules:

1. All references are read before anything is asked of a server.
2. All tags of a repository are one publish; repositories follow one another, in the order
   in which they were named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.publish.initialise import init as initialise
from notarypy.client.publish.preview import check_signable
from notarypy.client.publish.signing import by_repository, custom_data, hushed, one_each, sign, tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from notarypy.client.parameters import SignOptions
    from notarypy.client.results import SignedTag
    from notarypy.client.session import Session
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference

    Found = Callable[[str, Mapping[str, Reference]], Mapping[str, Manifest]]


def sign_all(
    session: Session, texts: Sequence[str], options: SignOptions, *, init: bool = False
) -> list[SignedTag]:
    """Sign tags that are in the registry.

    Args:
        session: Settings, servers and keys.
        texts: `REPO[:TAG][@DIGEST]` each.
        options: How to sign.
        init: Initialise a repository that has no trust data.
    """
    session.refuse_literal("sign")

    def served(repository: str, wanted: Mapping[str, Reference]) -> dict[str, Manifest]:
        found = {tag: session.manifest(one, one.digest or one.tag or "latest") for tag, one in wanted.items()}
        if init and not options.dry_run:
            initialise(session, repository)
        return found

    return sign_groups(session, by_repository(texts), options, served)


def sign_groups(
    session: Session, groups: Mapping[str, Sequence[str]], options: SignOptions, found: Found
) -> list[SignedTag]:
    """Sign references by repository; `found` returns the manifests of a repository's tags (rule 2)."""
    if options.custom is not None:
        custom_data(options.custom)
    results: list[SignedTag] = []
    for group in groups.values():
        contents = found(group[0], one_each([tagged(text) for text in group]))
        results += sign(hushed(session.publisher(group[0])), contents, options)
    return results


def require_signable(
    session: Session, text: str, tags: Collection[str], options: SignOptions, *, init: bool = False
) -> None:
    """Raise before a push or a build what signing these tags of a repository would raise after it."""
    if init:
        initialise(session, text)
    check_signable(session.publisher(text), tags, options)
