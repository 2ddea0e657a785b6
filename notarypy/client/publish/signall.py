"""Sign what references name, repository by repository.

What it is: the use case behind `sign`, from texts to signed tags. What it is not: the choice
of roles, or what is written for a tag (`sign`).

Rules:

1. All references are read before anything is asked of a server.
2. All tags of a repository are one publish; repositories follow one another, in the order
   in which they were named.
3. What a daemon pushes is signed by the digest that it pushed, and pushed only after it is
   known that the keys here may sign it (`local`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.publish.initialise import init as initialise
from notarypy.client.publish.signing import by_repository, custom_data, hushed, one_each, sign, tagged
from notarypy.client.transfer import daemonpush
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.client.parameters import SignOptions
    from notarypy.client.results import SignedTag
    from notarypy.client.session import Session


def sign_all(
    session: Session, texts: Sequence[str], options: SignOptions, *, init: bool = False, daemon: bool = False
) -> list[SignedTag]:
    """Sign tags that are in the registry, or with `daemon` those that the daemon here pushes.

    Args:
        session: Settings, servers and keys.
        texts: `REPO[:TAG][@DIGEST]` each.
        options: How to sign.
        init: Initialise a repository that has no trust data.
        daemon: Push each tag from the docker daemon of this machine, and sign exactly that.
    """
    session.refuse_literal("sign")
    groups = by_repository(texts)
    if daemon:
        _check_pushable(session, texts, options)
    if options.custom is not None:
        custom_data(options.custom)
    results: list[SignedTag] = []
    for group in groups.values():
        wanted = one_each([tagged(text) for text in group])
        if daemon:
            require_signable(session, group[0], wanted, options, init=init)
            contents = {tag: daemonpush.push(session, one) for tag, one in wanted.items()}
        else:
            contents = {
                tag: session.manifest(one, one.digest or one.tag or "latest") for tag, one in wanted.items()
            }
            if init and not options.dry_run:
                initialise(session, group[0])
        results += sign(hushed(session.publisher(group[0])), contents, options)
    return results


def require_signable(
    session: Session, text: str, tags: Collection[str], options: SignOptions, *, init: bool = False
) -> None:
    """Raise before a push or a build what signing these tags of a repository would raise after it."""
    if init:
        initialise(session, text)
    daemonpush.check_signable(session.publisher(text), tags, options)


def _check_pushable(session: Session, texts: Sequence[str], options: SignOptions) -> None:
    """Raise UsageError, before anything is pushed, for what cannot be pushed."""
    if options.dry_run:
        raise UsageError(
            "what would be signed is not known before it is pushed", advice=Advice("leave-out-dry-run")
        )
    for text in texts:
        daemonpush.check(session, session.parse(text))
