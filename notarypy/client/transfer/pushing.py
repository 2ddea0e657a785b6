"""Send an image to a registry, or have the docker daemon of this machine send it.

What it is: from a checked tree and its content, or a name that the daemon knows, to a registry that serves
it. What it is not: signing (`copying`); and no image is built or tagged.

Rules:

1. A blob that is there is not sent; one that is in another repository of the registry is mounted where that
   is known and allowed. Blobs go side by side.
2. Every manifest is put after all that it names, and the tag last: whoever sees the tag sees the whole image.
3. What was put is read back, byte for byte, before this returns. What it is called counts for nothing.
4. A registry that fails at a manifest, or says that it lacks a part of it, may be busy with somebody who
   pushes the same: it is asked again. Then its word that it has the blobs counts no longer, and they are
   sent, once. One that calls the manifest invalid may mean the same (Google's does).
5. What cannot be read back at once is asked for again, for a few seconds.
6. Foreign layers are not sent, nor fetched to be sent: a registry takes the manifest without them, as it does
   from skopeo. That is said. docker's, as it is installed, says of layers that name URLs that it lacks them:
   where it names these alone, that is meant.
7. A daemon pushes with the login for that registry that docker would send, and replaces the tag there. An
   image that it does not have is not looked for anywhere else; and a reference with a digest is refused: what
   is pushed has the digest that it has.
8. What a daemon pushed is read back by the digest that it named: a manifest with that digest and that size,
   or nothing. The tag is not asked for: somebody else may have pushed meanwhile.
9. A registry that refuses a manifest is asked what it has under the tag. If it is this very manifest, it is
   pushed; if it is another one, the registry keeps it (ECR, Harbor, ACR, Quay and Docker Hub say that each in
   its own way), and that is said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from notarypy.client.publish.signing import tagged
from notarypy.client.results import PushedImage
from notarypy.client.transfer.progress import Moved, Moving, warn_of_foreign
from notarypy.errors import (
    Advice,
    AuthenticationError,
    DigestMismatchError,
    ImageMissingError,
    NetworkError,
    NotarypyError,
    ServerError,
    UsageError,
    VerificationError,
)
from notarypy.images import layout
from notarypy.remote.registry.blobs import Blobs
from notarypy.storage.images import locations
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.images.layout import Descriptor
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference
    from notarypy.images.tree import Node, Tree
    from notarypy.remote.http.messages import Response
    from notarypy.remote.registry.registry import RegistryClient
    from notarypy.storage.images.locations import ImageContent

READINGS = 5
_LACKING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_ABOUT_TAGS = frozenset({"TAG_INVALID"})  # ECR, of a tag that it keeps
_DOUBTFUL = frozenset({"MANIFEST_INVALID"})
_NOT_REFUSED = frozenset({408, 413, 429, 500, 502, 503, 504})
_ASKED = 4
_PERHAPS = "or it takes no layers that name URLs, as one of these does"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shipment:
    """One image on its way, and where its blobs come from.

    `origins` returns the repositories of the target's registry that a blob may be in.
    """

    tree: Tree
    content: ImageContent
    origins: Callable[[Descriptor], Sequence[str]]


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


def send(session: Session, shipment: Shipment, target: Reference, progress: Progress | None) -> PushedImage:
    """Send an image, as `latest` if the target has no tag, and return when the registry serves it."""
    if target.tag is None:
        target = target.with_tag("latest")
    registry = session.registry(target)
    blobs = Blobs(registry, target.path, push=True)
    push = _Push(shipment, registry, target, blobs, Moving(progress or session.progress))
    push.run()
    tree, top = shipment.tree, shipment.tree.top.descriptor
    return PushedImage(
        repository=target.repository,
        tag=target.tag,
        digest=top.digest,
        size=top.size,
        platforms=tree.platforms,
        uploaded=len(push.uploaded),
        mounted=len(push.mounted),
        present=len(tree.blobs) - len(push.uploaded) - len(push.mounted),
        sent=sum(push.uploaded.values()),
        foreign=tuple(blob.digest for blob in tree.foreign),
    )


@dataclass
class _Push:
    """One push, and how each blob came to be there."""

    shipment: Shipment
    registry: RegistryClient
    target: Reference
    blobs: Blobs
    moving: Moving
    uploaded: dict[str, int] = field(default_factory=dict)
    mounted: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Send an image in the order of rule 2."""
        tree = self.shipment.tree
        with self.moving.reporting(f"pushing {self.target}", tree.size):
            self.moving.run([partial(self._bring, blob) for blob in tree.blobs])
        for node in tree.below:
            self._put(node.descriptor.digest, node)
        self._put(self.target.tag or "latest", tree.top)

    def _bring(self, blob: Descriptor) -> None:
        """See to it that the registry has a blob (rule 1)."""
        moved = self.moving.counter()
        moved(0)
        origins = self.shipment.origins(blob)
        if self.blobs.has(blob.digest, blob.size):
            _LOG.debug("%s is there already", blob.digest)
        elif any(self.blobs.mount(blob.digest, blob.size, origin) for origin in origins):
            self.mounted.add(blob.digest)
            _LOG.debug("%s mounted from another repository", blob.digest)
        else:
            self._send(blob, moved)
        moved(blob.size)

    def _send(self, blob: Descriptor, moved: Moved, *, believe: bool = True) -> None:
        content = self.shipment.content
        self.blobs.upload(
            *(blob.digest, blob.size, lambda start: content.chunks(blob, start), moved),
            where=content.where(blob),
            believe=believe,
        )
        self.uploaded[blob.digest] = blob.size
        _LOG.debug("%s sent, %d bytes", blob.digest, blob.size)

    def _believed(self, node: Node) -> list[Descriptor]:
        """Return the blobs of a manifest that the registry only says it has (rule 4)."""
        named, sent = self._named(node), self.uploaded
        return [blob for blob in named if not blob.is_foreign and blob.digest not in sent]

    def _named(self, node: Node) -> Sequence[Descriptor]:
        return layout.links(node.data, node.descriptor.media_type, self.registry.exchange.limits).blobs

    def _send_again(self, blobs: Sequence[Descriptor]) -> None:
        for blob in blobs:
            self.mounted.discard(blob.digest)
            self._send(blob, lambda _: None, believe=False)

    def _put(self, reference: str, node: Node) -> None:
        """Store a manifest and read it back (rules 2 to 5)."""
        for attempt in range(1, _ASKED + 1):
            try:
                self.registry.put_manifest(self.target.path, reference, node.data, node.descriptor.media_type)
                break
            except (AuthenticationError, ImageMissingError, ServerError) as error:
                believed = self._believed(node)
                lacking = _says(error, _LACKING)
                doubtful = bool(believed) and _says(error, _DOUBTFUL)
                busy = lacking or error.facts.get("status") == HTTPStatus.INTERNAL_SERVER_ERROR
                if attempt == _ASKED or not (busy or doubtful):
                    self._explain(error, reference, node)
                    break
                _LOG.debug("the manifest %s was not taken: once more (%s)", reference, error.message)
            self.registry.exchange.pause(attempt)
            if doubtful or (lacking and attempt == _ASKED - 1):
                self._send_again(believed)
        _read_back(self.registry, self.target.path, reference, node)

    def _explain(self, error: NotarypyError, reference: str, node: Node) -> None:
        """Return if a registry that refuses a manifest has it all the same; raise what it means (rule 9)."""
        host = self.registry.host
        if _says(error, _LACKING):
            raise _lacking(host, reference, error, self._named(node))
        if isinstance(error, ImageMissingError) or error.facts.get("status") in _NOT_REFUSED:
            raise error
        kept = self._kept(reference)
        if kept == node.descriptor.digest:
            _LOG.debug("%s refuses %s, and has it already: %s", host, reference, error.message)
            return
        if kept:
            error.why = (*error.why, f"it has {reference} already, as {kept}, and keeps it")
        if kept or _says(error, _ABOUT_TAGS):
            error.advice = Advice("push-other-tag", tag=reference, host=host)
        elif isinstance(error, ServerError):
            error.advice = error.advice or Advice("ask-about-manifest", host=host)
        raise error

    def _kept(self, tag: str) -> str | None:
        """Return the digest that a registry has under a tag; None for a digest, or if it has none."""
        if ":" in tag:
            return None
        with suppress(NotarypyError):
            return self.registry.manifest(self.target.path, tag).digest
        return None


def _says(error: NotarypyError, codes: Container[str]) -> bool:
    """Tell whether a registry gives one of these reasons."""
    return any(line.partition(":")[0] in codes for line in error.why)


def _lacking(host: str, reference: str, error: NotarypyError, named: Sequence[Descriptor]) -> NotarypyError:
    naming, missed = {blob.digest for blob in named if blob.urls}, error.facts.get("lacking")
    if isinstance(missed, list) and missed and naming.issuperset(missed):
        message = f"{host} refuses {reference}, a layer of which names URLs"
        return ServerError(message, why=error.why, advice=Advice("allow-urls", host=host), host=host)
    return VerificationError(
        f"{host} does not have what it says it has",
        why=(f"it says of the manifest {reference}:", *error.why, "" if missed or not naming else _PERHAPS),
        advice=Advice("ask-registry"),
        host=host,
    )


def _read_back(registry: RegistryClient, path: str, reference: str, node: Node) -> None:
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
    said = answer.headers.get("content-type")
    _LOG.debug("%s read back as %s; the header says %s", wanted.digest, reference, said)


def _read(registry: RegistryClient, path: str, reference: str, wanted: Descriptor) -> Response:
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


def has_local(session: Session, reference: Reference) -> bool:
    """Return whether the daemon has an image; False where there is no daemon."""
    try:
        return session.connections.daemon().has(reference)
    except NetworkError:
        return False


def require_pushable(session: Session, reference: Reference) -> None:
    """Raise UsageError for what no daemon can push from here (rule 7)."""
    session.refuse_literal("pushing")
    if session.settings.offline:
        raise UsageError(f"{reference} is to be pushed", why="--offline allows no request")
    if reference.digest is not None:
        raise UsageError(
            f'"{reference}" names a digest, and what the daemon pushes has its own',
            advice=Advice("write-instead", text=f"{reference.repository}:{reference.tag or 'TAG'}"),
        )


def push_local(session: Session, image: Reference) -> Manifest:
    """Have the daemon push a tag, and return what the registry has then (rules 7 and 8)."""
    require_pushable(session, image)
    name = f"{image.repository}:{image.tag or 'latest'}"
    _LOG.info("the daemon pushes %s", name)
    pushed = session.connections.daemon().push(image, session.connections.credential(image))
    if pushed.partial:
        session.warn_once(
            f"the daemon has only a part of the index {name}: it pushed one platform's manifest"
        )
    manifest = session.manifest(image, pushed.digest)
    if (manifest.digest, manifest.size) != (pushed.digest, pushed.size):
        raise DigestMismatchError(
            f"{image.registry} has something else than the daemon says it pushed as {name}",
            why=(
                f"pushed: {pushed.digest}, {pushed.size} bytes",
                f"there: {manifest.digest}, {manifest.size} bytes",
            ),
            advice=Advice("push-once-more"),
            expected=pushed.digest,
            actual=manifest.digest,
        )
    _LOG.debug("%s read back, as the daemon pushed it", manifest.digest)
    return manifest
