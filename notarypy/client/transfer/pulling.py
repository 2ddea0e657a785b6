"""Bring a verified image into an OCI layout, and read images as they are in a registry.

What it is: the use case behind `pull`, and content for `pushing` that another registry has. What it is not:
the verification, a decision which image is the right one, or the writing (`layoutwriter`).

Rules:

1. Everything is fetched by digest, and every byte hashed before it counts. What is in the layout already
   counts after it was hashed.
2. The layout names the image last, when all of it is there. Until then nobody takes it for an image.
3. An index is fetched with everything that it names. Of one platform the layout gets that platform's
   manifest, and the platforms that were left out are named.
4. Foreign layers are not fetched from anywhere. That is said.
5. An image keeps its bytes, and so its digest, whatever their type. A layout may hold manifests of docker's
   types; that programs on containers/image do not find these by name is said.
6. A blob for another registry is streamed through a few pieces in memory, and through no file. It arrives in
   a thread of its own, which ends with whoever reads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import Full, Queue
from typing import TYPE_CHECKING

from notarypy.client.results import PulledImage
from notarypy.client.transfer.progress import Moved, Moving, warn_of_foreign
from notarypy.client.verdicts import VerifiedImage
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.errors import Advice, DigestMismatchError
from notarypy.images import manifests, platforms
from notarypy.images.layout import ARTIFACT, Descriptor
from notarypy.images.tree import Tree, check_single, choose, config_of, grow
from notarypy.remote.registry.blobs import Blobs
from notarypy.storage.images import locations
from notarypy.storage.images.layoutwriter import (
    BlobWriter,
    LayoutWriter,
    discard,
    make_private,
    pack,
    refuse_existing,
)
from notarypy.storage.images.locations import LAYOUT, ImageLocation
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.client.parameters import Progress, VerifyOptions
    from notarypy.client.session import Session
    from notarypy.limits import Limits
    from notarypy.remote.registry.registry import RegistryClient

_PIECES = 16
_POLL_SECONDS = 0.1
_LOG = logging.getLogger(__name__)


def pull_image(
    session: Session,
    reference: str,
    destination: str,
    options: VerifyOptions,
    *,
    platform: str | None,
    progress: Progress | None,
) -> PulledImage:
    """Verify an image, obeying the trust policy, and bring it into an OCI layout; see `Client.images`."""
    place = locations.destination(destination)
    platform = None if platform is None else platforms.completed(platform)
    session.require_registry("pull")
    if place.kind == LAYOUT:
        LayoutWriter(place.path).check()
    else:
        refuse_existing(place.path)
    image = verify_unless_skipped(session, reference, options)
    parsed = session.parse(reference)
    remote = RemoteImage(session.registry(parsed), parsed.path)
    tree, left_out = remote.tree(remote.top(image.digest, image.size), platform)
    warn_of_foreign(tree, session.warn, "fetched")
    name = place.name or image.tag or image.digest
    with _layout(place, tree, remote.limits) as layout:
        pull = LayoutPull(remote, layout, Moving(progress or session.progress))
        pull.run(tree, f"pulling to {place}", name)
    if tree.top.descriptor.media_type in {manifests.DOCKER_MANIFEST, manifests.DOCKER_LIST}:
        session.warn(
            f"the manifest has docker's type: skopeo, podman and buildah do not find it by the name {name}, "
            f"only as {place.kind}:{place.path}, and only while it is alone there"
        )
    return PulledImage(
        repository=image.repository,
        tag=image.tag,
        digest=image.digest,
        verified=isinstance(image, VerifiedImage),
        destination=f"{place.kind}:{place.path}:{name}",
        stored=tree.top.descriptor.digest,
        platforms=(platform,) if platform else tree.platforms,
        left_out=left_out,
        fetched=len(pull.fetched),
        reused=len(tree.blobs) - len(pull.fetched),
        foreign=tuple(blob.digest for blob in tree.foreign),
        policy=image.policy,
    )


@contextmanager
def _layout(place: ImageLocation, tree: Tree, limits: Limits) -> Iterator[LayoutWriter]:
    """Return the layout to fill; for an archive one beside it, which stays if this run fails."""
    if place.kind == LAYOUT:
        with LayoutWriter(place.path, limits).opened() as layout:
            yield layout
        return
    staging = place.path.with_name(f".{place.path.name}.notarypy")
    make_private(staging)
    with LayoutWriter(staging, limits).opened() as layout:
        yield layout
        everything = (*tree.blobs, *(node.descriptor for node in (*tree.below, tree.top)))
        pack(layout, everything, place.path)
    discard(staging)


@dataclass
class LayoutPull:
    """One image on its way into a layout, and the blobs that were fetched for it."""

    remote: RemoteImage
    layout: LayoutWriter
    moving: Moving
    fetched: list[str] = field(default_factory=list)

    def run(self, tree: Tree, what: str, name: str | None = None) -> None:
        """Fetch an image, and name it at the end, if it is to have a name (rule 2)."""
        with self.moving.reporting(what, tree.size):
            self.moving.run([partial(self._bring, blob) for blob in tree.blobs])
        for node in (*tree.below, tree.top):
            self.layout.put(node.descriptor, node.data)
        if name is not None:
            self.layout.name(tree.top.descriptor, name)
        _LOG.debug("%s is in the layout as %s", tree.top.descriptor.digest, name)

    def _bring(self, blob: Descriptor) -> None:
        """See to it that the layout has a blob (rule 1)."""
        moved = self.moving.counter()
        moved(0)
        if self.layout.has(blob):
            _LOG.debug("%s is in the layout already", blob.digest)
        else:
            self._fetch(blob, moved)
            self.fetched.append(blob.digest)
            _LOG.debug("%s fetched, %d bytes", blob.digest, blob.size)
        moved(blob.size)

    def _fetch(self, blob: Descriptor, moved: Moved) -> None:
        while True:
            with self.layout.blob_writer(blob) as writer:
                resumed = writer.resumed
                self.remote.blobs.download(blob.digest, blob.size, _CountedWriter(writer, moved))
                try:
                    writer.finish()
                except DigestMismatchError:
                    # What an earlier run left may be what is wrong: nobody is accused of that.
                    if not resumed:
                        raise
                    _LOG.debug("what an earlier run left of %s is wrong: once more", blob.digest)
                    continue
                return


class _CountedWriter:
    """A writer whose progress is counted; a write raises when the job is to stop."""

    def __init__(self, writer: BlobWriter, moved: Moved) -> None:
        self._writer, self._moved = writer, moved

    @property
    def position(self) -> int:
        return self._writer.position

    def restart(self) -> None:
        self._writer.restart()
        self._moved(0)

    def write(self, data: bytes) -> None:
        self._moved(self._writer.position)
        self._writer.write(data)
        self._moved(self._writer.position)


class RemoteImage:
    """One repository of a registry: content for `images.tree` and `client.transfer.pushing`."""

    def __init__(self, registry: RegistryClient, path: str) -> None:
        """Read from a repository."""
        self.registry, self.path = registry, path
        self.limits = registry.exchange.limits
        self.blobs = Blobs(registry, path)
        self._known: dict[str, bytes] = {}

    def top(self, digest: str, size: int | None) -> Descriptor:
        """Return what the registry has for a digest; DigestMismatchError if not of the signed size."""
        answer = self.registry.document(self.path, digest)
        found = manifests.served(answer.body, answer.headers.get("content-type"), self.limits)
        if size not in {None, found.size}:
            raise DigestMismatchError(
                f"{self.registry.host} has {digest} with another size than the signed one",
                why=f"signed: {size} bytes; served: {found.size} bytes",
                advice=Advice("distrust-registry"),
                host=self.registry.host,
                expected=digest,
            )
        self._known[digest] = answer.body
        return Descriptor(found.media_type, digest, found.size)

    def tree(self, top: Descriptor, platform: str | None = None) -> tuple[Tree, tuple[str, ...]]:
        """Return an image and the platforms left out of it; UsageError if there is nothing for `platform`."""
        left_out: tuple[str, ...] = ()
        if platform is not None:
            data = top.check(self.manifest(top))
            config = config_of(top, data, self.limits)
            if config is not None:
                check_single(config.check(b"".join(self.chunks(config, 0))), platform, self.limits)
            else:
                top, left_out = choose(top, data, platform, self.limits)
                _LOG.debug("of the index only %s for %s; left out: %s", top.digest, platform, left_out)
        return grow(top, self.manifest, self.limits), left_out

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest by digest; the named one was asked for already."""
        if descriptor.digest in self._known:
            return self._known[descriptor.digest]
        accept = (descriptor.media_type,) if descriptor.media_type == ARTIFACT else manifests.ACCEPT
        return self.registry.document(self.path, descriptor.digest, accept).body

    def chunks(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        """Yield a blob from a position on (rule 6)."""
        pipe = _Pipe(start)

        def fill() -> None:
            end: BaseException | None = None
            try:
                self.blobs.download(descriptor.digest, descriptor.size, pipe)
            except BaseException as error:  # noqa: BLE001 - raised again where the pieces are read
                end = error
            with suppress(_GoneError):
                pipe.put(end)

        threading.Thread(target=fill, daemon=True).start()
        try:
            yield from pipe.pieces()
        finally:
            pipe.gone.set()

    def where(self, descriptor: Descriptor) -> str:
        """Return what errors call the place of a blob."""
        return f"{self.registry.host}/{self.path}@{descriptor.digest}"


class _GoneError(Exception):
    """Nobody reads any more."""


class _Pipe:
    """Where a download goes on one side, and from where it is read on the other."""

    def __init__(self, start: int) -> None:
        self.position = self._passed = start
        self.gone = threading.Event()
        self._queue: Queue[bytes | BaseException | None] = Queue(_PIECES)

    def restart(self) -> None:
        """Begin anew: what was passed on already is not passed on again."""
        self.position = 0

    def write(self, data: bytes) -> None:
        """Pass on what is new."""
        fresh = data[max(self._passed - self.position, 0) :]
        self.position += len(data)
        if fresh:
            self._passed += len(fresh)
            self.put(fresh)

    def put(self, item: bytes | BaseException | None) -> None:
        """Wait for room; raise when nobody reads any more."""
        while not self.gone.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue
            return
        raise _GoneError

    def pieces(self) -> Iterator[bytes]:
        """Yield what is passed on; raise what went wrong on the other side."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
