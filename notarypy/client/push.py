"""Send an image to a registry: blobs side by side, then manifests, the named one last.

What it is: from a checked tree and its content to a registry that serves it. What it is
not: where the content comes from, or signing.

Rules:

1. A blob that is there is not sent; one that is in another repository of the registry is
   mounted where that is known and allowed.
2. Every manifest is put after all that it names, and the tag last: whoever sees the tag
   sees the whole image.
3. What was put is read back, byte for byte and with its type, before this returns.
4. Foreign layers are not sent, and not fetched from anywhere to be sent: a registry
   takes the manifest without them. That is said. skopeo does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from notarypy.client.transfers import PushedImage
from notarypy.errors import DigestMismatchError, ImageMissingError, VerificationError
from notarypy.remote.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.crew import Tally
    from notarypy.images.layout import Descriptor
    from notarypy.images.reference import Reference
    from notarypy.images.tree import Node, Tree
    from notarypy.remote.registry import Registry
    from notarypy.storage.sources import Content

    Origins = Callable[[Descriptor], Sequence[str]]


@dataclass(frozen=True)
class Shipment:
    """One image on its way.

    Attributes:
        tree: The image.
        content: Where its blobs come from.
        origins: Returns the repositories of the target's registry that a blob may be in.
    """

    tree: Tree
    content: Content
    origins: Origins


@dataclass
class _Counts:
    uploaded: list[int] = field(default_factory=list)
    mounted: list[int] = field(default_factory=list)
    present: list[int] = field(default_factory=list)


def check_digest(tree: Tree, target: Reference) -> None:
    """Raise DigestMismatchError if the target names another digest than the image has."""
    digest = tree.top.descriptor.digest
    if target.digest not in {None, digest}:
        raise DigestMismatchError(
            f"the image is not {target}",
            why=f"its digest is {digest}",
            fix="leave the digest out, or name the right source",
            expected=target.digest,
            actual=digest,
        )


def push(shipment: Shipment, registry: Registry, target: Reference, tally: Tally) -> PushedImage:
    """Send an image and return when the registry serves it.

    Args:
        shipment: The image.
        registry: The target's registry.
        target: What it is to be called there.
        tally: Counts, and runs the threads.

    Raises:
        DigestMismatchError: The source or the registry has something else than it says.
        NetworkError: The registry could not be asked, or did not take it.
    """
    tree, counts = shipment.tree, _Counts()
    blobs = Blobs(registry, target.path, push=True)

    def job(blob: Descriptor) -> Callable[[], None]:
        return lambda: _bring(blobs, blob, shipment, counts, tally)

    with tally.telling(f"pushing {target}", tree.size):
        tally.run([job(blob) for blob in tree.blobs])
    for node in tree.below:
        _put(registry, target.path, node.descriptor.digest, node)
    _put(registry, target.path, target.tag or target.digest or "latest", tree.top)
    top = tree.top.descriptor
    return PushedImage(
        repository=target.repository,
        tag=target.tag,
        digest=top.digest,
        size=top.size,
        platforms=tree.platforms,
        uploaded=len(counts.uploaded),
        mounted=len(counts.mounted),
        present=len(counts.present),
        sent=sum(counts.uploaded),
        foreign=tuple(blob.digest for blob in tree.foreign),
    )


def _bring(blobs: Blobs, blob: Descriptor, shipment: Shipment, counts: _Counts, tally: Tally) -> None:
    """See to it that the registry has a blob (rule 1)."""
    moved = tally.blob()
    moved(0)
    if blobs.has(blob.digest, blob.size):
        counts.present.append(blob.size)
    elif any(blobs.mount(blob.digest, blob.size, origin) for origin in shipment.origins(blob)):
        counts.mounted.append(blob.size)
    else:
        blobs.upload(blob.digest, blob.size, lambda start: shipment.content.chunks(blob, start), moved)
        counts.uploaded.append(blob.size)
    moved(blob.size)


def _put(registry: Registry, path: str, reference: str, node: Node) -> None:
    """Store a manifest and read it back (rules 2 and 3)."""
    registry.put_manifest(path, reference, node.data, node.descriptor.media_type)
    host, wanted = registry.host, node.descriptor
    try:
        answer = registry.document(path, reference, (wanted.media_type,))
    except ImageMissingError:
        raise VerificationError(
            f"{host} took {reference} and does not have it",
            why=f"the manifest {wanted.digest} cannot be read back",
            fix="ask the operator of the registry",
            host=host,
        ) from None
    if answer.body != node.data:
        raise DigestMismatchError(
            f"{host} does not serve what was pushed as {reference}",
            why=f"pushed: {wanted.digest}, {wanted.size} bytes; it serves {len(answer.body)} other bytes",
            fix="somebody else may have pushed the same tag: look, and push again",
            host=host,
            expected=wanted.digest,
        )
    said = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != wanted.media_type:
        raise VerificationError(
            f"{host} serves {reference} as another kind of thing",
            why=(f"pushed: {wanted.media_type}", f"served: {said or 'without a type'}"),
            fix="ask the operator of the registry",
            host=host,
        )
