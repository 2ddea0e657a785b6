"""Move an image and sign it: from files or the docker daemon to a registry, or between registries.

What it is: the use cases behind `copy`, `sign --push` and `sign --local`. What it is not: the moving
(`pushing`, `pulling`), or the signing (`publish`).

Rules:

1. What leaves a registry was verified; the trust policy is obeyed as by `verify`.
2. What is signed is the digest that was pushed, and no other. Whether the keys here may sign it is looked at
   before anything is sent.
3. A digest never changes on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.publish.signing import (
    by_repository,
    custom_data,
    initialised,
    require_signable,
    sign_all,
    tagged,
)
from notarypy.client.results import CopiedImage, PushedImage, SignedTag
from notarypy.client.transfer import pushing
from notarypy.client.transfer.progress import warn_of_foreign
from notarypy.client.transfer.pulling import RemoteImage
from notarypy.client.verdicts import VerifiedImage
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.errors import Advice, NotVerifiedError, UsageError
from notarypy.images import manifests
from notarypy.storage.images import locations
from notarypy.values import replace

if TYPE_CHECKING:
    from notarypy.client.parameters import Progress, SignOptions, VerifyOptions
    from notarypy.client.session import Session
    from notarypy.images.reference import Reference
    from notarypy.images.tree import Tree


def push_and_sign(
    session: Session,
    source: str,
    reference: str,
    signing: SignOptions,
    *,
    init: bool,
    progress: Progress | None,
) -> tuple[PushedImage, SignedTag]:
    """Send an image from files to a registry, and sign exactly its digest; see `Client.images`."""
    target, shipment = pushing.outgoing(session, source, reference)
    with initialised(session, target.repository, signing.root, wanted=init) as created:
        _require_signable(session, shipment.tree, target, signing)
        pushed = pushing.send(session, shipment, target, progress)
        return pushed, replace(_sign_exactly(session, pushed, target, signing), created=created)


def sign_local(
    session: Session, texts: Sequence[str], options: SignOptions, *, init: bool = False
) -> list[SignedTag]:
    """Have the daemon of this machine push tags, and sign exactly that; see `Client.sign`."""
    session.refuse_literal("sign")
    by_repository(texts)
    if options.dry_run:
        raise UsageError(
            "what would be signed is not known before it is pushed", advice=Advice("leave-out-dry-run")
        )
    for text in texts:
        pushing.require_pushable(session, session.parse(text))
    return sign_all(session, texts, options, init=init, push=partial(pushing.push_local, session))


def copy(
    session: Session,
    source: str,
    destination: str,
    options: VerifyOptions,
    signing: SignOptions | None,
    *,
    init: bool,
    progress: Progress | None,
) -> CopiedImage:
    """Verify an image and copy it, all platforms, to another name; without `signing` the copy is unsigned."""
    locations.refuse_files(source, destination)
    target = tagged(destination)
    session.require_registry("copy")
    image = verify_unless_skipped(session, source, options)
    verified = isinstance(image, VerifiedImage)
    if signing is not None and not verified:
        raise NotVerifiedError(
            f"{image.reference} was not verified, so no copy of it is signed",
            why="the trust policy says to skip it",
            advice=Advice("copy-then-sign"),
        )
    parsed = session.parse(source)
    remote = RemoteImage(session.registry(parsed), parsed.path)
    tree, _ = remote.tree(remote.top(image.digest, image.size))
    pushing.check_digest(tree, target)
    origins = (parsed.path,) if parsed.api_host == target.api_host and parsed.path != target.path else ()
    shipment, signed = pushing.Shipment(tree, remote, lambda _: origins), None
    with initialised(session, target.repository, None, wanted=init and signing is not None) as created:
        if signing is not None:
            _require_signable(session, tree, target, signing)
        warn_of_foreign(tree, session.warn, "copied")
        pushed = pushing.send(session, shipment, target, progress)
        if signing is not None:
            signed = replace(_sign_exactly(session, pushed, target, signing), created=created)
    return CopiedImage(image.reference, verified, pushed, signed)


def _require_signable(session: Session, tree: Tree, target: Reference, signing: SignOptions) -> None:
    """Raise what signing an image would raise, before anything is sent (rule 2)."""
    if signing.custom is not None:
        custom_data(signing.custom)
    manifest = manifests.read(tree.top.data, tree.top.descriptor.media_type, session.limits)
    tags = {target.tag or "latest"}
    require_signable(session, target.repository, tags, signing, manifest)


def _sign_exactly(
    session: Session, pushed: PushedImage, target: Reference, signing: SignOptions
) -> SignedTag:
    """Sign the digest that was pushed, whatever the tag says by now (rule 2)."""
    (signed,) = sign_all(session, [f"{target.repository}:{pushed.tag}@{pushed.digest}"], signing)
    return signed
