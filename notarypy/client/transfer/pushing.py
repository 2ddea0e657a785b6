"""Send an image to a registry: blobs side by side, then manifests, the named one last.

What it is: from a checked tree and its content to a registry that serves it. What it is
not: where the content comes from, or signing.

Rules:

1. A blob that is there is not sent; one that is in another repository of the registry is
   mounted where that is known and allowed.
2. Every manifest is put after all that it names, and the tag last: whoever sees the tag
   sees the whole image.
3. What was put is read back, byte for byte and with its type, before this returns.
4. A registry that fails at a manifest, or says that it lacks a blob of it, may be busy with somebody who
   pushes the same: it is asked again. Then its word that it has the blobs counts no longer, and they are
   sent, once.
5. What cannot be read back at once is asked for again, for a few seconds.
6. Foreign layers are not sent, and not fetched from anywhere to be sent: a registry
   takes the manifest without them. That is said. skopeo does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from notarypy.client.publish.signing import tagged
from notarypy.client.results import PushedImage
from notarypy.client.transfer.registrysource import warn_of_foreign
from notarypy.client.transfer.workers import Tally
from notarypy.errors import Advice, DigestMismatchError, ImageMissingError, ServerError, VerificationError
from notarypy.images import layout
from notarypy.remote.registry.blobs import Blobs
from notarypy.storage.images import locations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.results import Progress
    from notarypy.client.session import Session
    from notarypy.images.layout import Descriptor
    from notarypy.images.reference import Reference
    from notarypy.images.tree import Node, Tree
    from notarypy.limits import Limits
    from notarypy.remote.http.transport import Response
    from notarypy.remote.registry.registry import Registry
    from notarypy.storage.images.locations import Content

    Origins = Callable[[Descriptor], Sequence[str]]

READINGS = 5
_LACKING = "MANIFEST_BLOB_UNKNOWN"
_ASKED = 4


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
class _Push:
    """One push, and how each blob came to be there."""

    shipment: Shipment
    blobs: Blobs
    tally: Tally
    limits: Limits
    uploaded: dict[str, int] = field(default_factory=dict)
    mounted: set[str] = field(default_factory=set)

    def bring(self, blob: Descriptor) -> None:
        """See to it that the registry has a blob (rule 1)."""
        moved = self.tally.blob()
        moved(0)
        origins = self.shipment.origins(blob)
        if self.blobs.has(blob.digest, blob.size):
            pass
        elif any(self.blobs.mount(blob.digest, blob.size, origin) for origin in origins):
            self.mounted.add(blob.digest)
        else:
            self.send(blob, moved)
        moved(blob.size)

    def send(self, blob: Descriptor, moved: Callable[[int], object], *, believe: bool = True) -> None:
        """Send a blob."""
        content = self.shipment.content
        self.blobs.upload(
            *(blob.digest, blob.size, lambda start: content.chunks(blob, start), moved),
            where=content.where(blob),
            believe=believe,
        )
        self.uploaded[blob.digest] = blob.size

    def send_again(self, node: Node) -> None:
        """Send what a manifest names and the registry only says it has (rule 4)."""
        for blob in layout.links(node.data, node.descriptor.media_type, self.limits).blobs:
            if not blob.is_foreign and blob.digest not in self.uploaded:
                self.mounted.discard(blob.digest)
                self.send(blob, lambda _: None, believe=False)


def check_digest(tree: Tree, target: Reference) -> None:
    """Raise DigestMismatchError if the target names another digest than the image has."""
    digest = tree.top.descriptor.digest
    if target.digest not in {None, digest}:
        raise DigestMismatchError(
            f"the image is not {target}",
            why=f"its digest is {digest}",
            advice=Advice("leave-digest-or-source"),
            expected=target.digest,
            actual=digest,
        )


def push_source(session: Session, source: str, reference: str, progress: Progress | None) -> PushedImage:
    """Send an image from files to a registry, unsigned."""
    target, shipment = outgoing(session, source, reference)
    return send(session, shipment, target, progress)


def outgoing(session: Session, source: str, reference: str) -> tuple[Reference, Shipment]:
    """Open a source and say where it goes; nothing is sent yet."""
    place, target = locations.source(source), tagged(reference)
    session.require_registry("push")
    opened = locations.open_source(place, session.limits)
    check_digest(opened.tree, target)
    for note in opened.notes:
        session.warn(note)
    warn_of_foreign(opened.tree, session.warn, "sent")
    host, limits = target.registry, session.limits
    return target, Shipment(opened.tree, opened.content, lambda blob: blob.origins(host, limits))


def send(session: Session, shipment: Shipment, target: Reference, progress: Progress | None) -> PushedImage:
    """Send an image to the registry of its target, as `latest` if the target has no tag."""
    if target.tag is None:
        target = target.with_tag("latest")
    return push(shipment, session.registry(target), target, Tally(progress or session.progress))


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
    tree = shipment.tree
    work = _Push(shipment, Blobs(registry, target.path, push=True), tally, registry.exchange.limits)

    def job(blob: Descriptor) -> Callable[[], None]:
        return lambda: work.bring(blob)

    with tally.telling(f"pushing {target}", tree.size):
        tally.run([job(blob) for blob in tree.blobs])
    for node in tree.below:
        _put(registry, target.path, node.descriptor.digest, node, work)
    _put(registry, target.path, target.tag or target.digest or "latest", tree.top, work)
    top = tree.top.descriptor
    return PushedImage(
        repository=target.repository,
        tag=target.tag,
        digest=top.digest,
        size=top.size,
        platforms=tree.platforms,
        uploaded=len(work.uploaded),
        mounted=len(work.mounted),
        present=len(tree.blobs) - len(work.uploaded) - len(work.mounted),
        sent=sum(work.uploaded.values()),
        foreign=tuple(blob.digest for blob in tree.foreign),
    )


def _put(registry: Registry, path: str, reference: str, node: Node, work: _Push) -> None:
    """Store a manifest and read it back (rules 2 to 5)."""
    for attempt in range(1, _ASKED + 1):
        try:
            registry.put_manifest(path, reference, node.data, node.descriptor.media_type)
            break
        except ServerError as error:
            lacking = any(line.startswith(_LACKING) for line in error.why)
            if not lacking and error.facts.get("status") != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            if attempt == _ASKED:
                raise _lacking(registry.host, reference, error) if lacking else error from None
        registry.exchange.pause(attempt)
        if lacking and attempt == _ASKED - 1:
            work.send_again(node)
    _read_back(registry, path, reference, node)


def _lacking(host: str, reference: str, error: ServerError) -> VerificationError:
    return VerificationError(
        f"{host} does not have what it says it has",
        why=(f"it says of the manifest {reference}:", *error.why),
        advice=Advice("ask-registry"),
        host=host,
    )


def _read(registry: Registry, path: str, reference: str, wanted: Descriptor) -> Response:
    """Return what the registry has now, as soon as it can be had (rule 5)."""
    for attempt in range(1, READINGS):
        try:
            return registry.document(path, reference, (wanted.media_type,))
        except ImageMissingError:
            pass
        except ServerError as error:
            if error.facts.get("status") != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
        registry.exchange.pause(attempt)
    return registry.document(path, reference, (wanted.media_type,))


def _read_back(registry: Registry, path: str, reference: str, node: Node) -> None:
    """Check that the registry serves a manifest as it was put (rule 3)."""
    host, wanted = registry.host, node.descriptor
    try:
        answer = _read(registry, path, reference, wanted)
    except ImageMissingError:
        raise VerificationError(
            f"{host} took {reference} and does not have it",
            why=f"the manifest {wanted.digest} cannot be read back",
            advice=Advice("ask-registry"),
            host=host,
        ) from None
    if answer.body != node.data:
        raise DigestMismatchError(
            f"{host} does not serve what was pushed as {reference}",
            why=f"pushed: {wanted.digest}, {wanted.size} bytes; it serves {len(answer.body)} other bytes",
            advice=Advice("push-once-more"),
            host=host,
            expected=wanted.digest,
        )
    said = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != wanted.media_type:
        raise VerificationError(
            f"{host} serves {reference} as another kind of thing",
            why=(f"pushed: {wanted.media_type}", f"served: {said or 'without a type'}"),
            advice=Advice("ask-registry"),
            host=host,
        )
