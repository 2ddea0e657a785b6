"""Move an image and sign it: from files to a registry, or between registries.

What it is: the use cases behind `copy` and `sign --push`. What it is not: the moving (`push`,
`fetch`), or the signing (`signing`).

Rules:

1. What leaves a registry was verified; the trust policy is obeyed as by `verify`.
2. What is signed is the digest that was pushed, and no other. Whether the keys here may
   sign it is looked at before anything is sent.
3. A digest never changes on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.publish.initialise import init as initialise
from notarypy.client.publish.preview import rehearse
from notarypy.client.publish.signall import sign_all
from notarypy.client.publish.signing import custom_data, tagged
from notarypy.client.results import CopiedImage, VerifiedImage
from notarypy.client.transfer.pushing import Shipment, check_digest, outgoing, send
from notarypy.client.transfer.registrysource import RemoteImage, warn_of_foreign
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.errors import Advice, NotVerifiedError
from notarypy.images import manifests

if TYPE_CHECKING:
    from notarypy.client.parameters import SignOptions, VerifyOptions
    from notarypy.client.results import Progress, PushedImage, SignedTag
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
    """Send an image from files to a registry, and sign exactly its digest.

    Args:
        session: Settings, servers and keys.
        source: `oci:DIR[:TAG]`, `oci-archive:TAR[:TAG]` or `docker-archive:TAR[:REF]`.
        reference: `REPO[:TAG]`.
        signing: How to sign.
        init: Initialise a repository that has no trust data.
        progress: Told how far it is.
    """
    target, shipment = outgoing(session, source, reference)
    _require_signable(session, shipment.tree, target, signing, init=init)
    pushed = send(session, shipment, target, progress)
    return pushed, _sign_exactly(session, pushed, target, signing)


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
    """Verify an image and copy it, all platforms, to another name, with the same digest.

    Args:
        session: Settings, servers and keys.
        source: `REPO[:TAG][@DIGEST]`.
        destination: `REPO[:TAG]`.
        options: What the caller requires of the image.
        signing: How to sign the copy; None to leave it unsigned.
        init: Initialise the new name's repository if the copy is signed and it has no trust data.
        progress: Told how far it is.
    """
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
    check_digest(tree, target)
    origins = (parsed.path,) if parsed.api_host == target.api_host and parsed.path != target.path else ()
    if signing is not None:
        _require_signable(session, tree, target, signing, init=init)
    warn_of_foreign(tree, session.warn, "copied")
    pushed = send(session, Shipment(tree, remote, lambda _: origins), target, progress)
    signed = None if signing is None else _sign_exactly(session, pushed, target, signing)
    return CopiedImage(image.reference, verified, pushed, signed)


def _require_signable(
    session: Session, tree: Tree, target: Reference, signing: SignOptions, *, init: bool
) -> None:
    """Raise what signing an image would raise, before anything is sent (rule 2)."""
    if signing.custom is not None:
        custom_data(signing.custom)
    if init:
        initialise(session, target.repository)
    manifest = manifests.read(tree.top.data, tree.top.descriptor.media_type, session.limits)
    rehearse(session.publisher(target.repository), {target.tag or "latest": manifest}, signing)


def _sign_exactly(
    session: Session, pushed: PushedImage, target: Reference, signing: SignOptions
) -> SignedTag:
    """Sign the digest that was pushed, whatever the tag says by now (rule 2)."""
    (signed,) = sign_all(session, [f"{target.repository}:{pushed.tag}@{pushed.digest}"], signing)
    return signed
