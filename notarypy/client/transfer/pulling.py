"""Bring a verified image into an OCI layout.

What it is: the use case behind `pull`, from a digest that was verified to files. What it is
not: the verification, or the writing (`storage.images.layoutwriter`).

Rules:

1. Everything is fetched by digest, and every byte hashed before it counts. What is in the
   layout already counts after it was hashed.
2. The layout names the image last, when all of it is there. Until then nobody takes it
   for an image.
3. An index is fetched with everything that it names. Of one platform the layout gets that
   platform's manifest, and the platforms that were left out are named.
4. Foreign layers are not fetched from anywhere. That is said.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from notarypy.client.results import PulledImage, VerifiedImage
from notarypy.client.transfer.registrysource import RemoteImage, warn_of_foreign
from notarypy.client.transfer.workers import Tally
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.errors import DigestMismatchError
from notarypy.storage.images import locations
from notarypy.storage.images.layoutwriter import Incoming, discard, make_private, pack, refuse_existing
from notarypy.storage.images.locations import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from notarypy.client.parameters import VerifyOptions
    from notarypy.client.results import Progress
    from notarypy.client.session import Session
    from notarypy.images.layout import Descriptor
    from notarypy.images.tree import Tree
    from notarypy.limits import Limits
    from notarypy.storage.images.layoutwriter import Arrival
    from notarypy.storage.images.locations import Place


@dataclass
class Counts:
    """Blobs that were fetched, and blobs that were there."""

    fetched: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)


def pull_image(
    session: Session,
    reference: str,
    destination: str,
    options: VerifyOptions,
    *,
    platform: str | None,
    progress: Progress | None,
) -> PulledImage:
    """Verify an image, obeying the trust policy, and bring it into an OCI layout.

    Args:
        session: Settings and servers.
        reference: `REPO[:TAG][@DIGEST]`.
        destination: `oci:DIR[:TAG]` or `oci-archive:TAR[:TAG]`.
        options: What the caller requires of the image.
        platform: Only this `os/architecture[/variant]` of an index.
        progress: Told how far it is.
    """
    place = locations.destination(destination)
    session.require_registry("pull")
    check(place)
    image = verify_unless_skipped(session, reference, options)
    parsed = session.parse(reference)
    remote = RemoteImage(session.registry(parsed), parsed.path)
    tree, left_out = remote.tree(remote.top(image.digest, image.size), platform)
    warn_of_foreign(tree, session.warn, "fetched")
    name = place.name or image.tag or image.digest
    counts = pull(remote, tree, place, name, Tally(progress or session.progress))
    return PulledImage(
        repository=image.repository,
        tag=image.tag,
        digest=image.digest,
        verified=isinstance(image, VerifiedImage),
        destination=f"{place.kind}:{place.path}:{name}",
        stored=tree.top.descriptor.digest,
        platforms=(platform,) if platform else tree.platforms,
        left_out=left_out,
        fetched=len(counts.fetched),
        reused=len(counts.reused),
        foreign=tuple(blob.digest for blob in tree.foreign),
        policy=image.policy,
    )


def check(place: Place) -> None:
    """Raise AlreadyExistsError for a DEST that nothing can be put into."""
    if place.kind == LAYOUT:
        Incoming(place.path).check()
    else:
        refuse_existing(place.path)


def pull(remote: RemoteImage, tree: Tree, place: Place, name: str, tally: Tally) -> Counts:
    """Fetch an image into a layout.

    Args:
        remote: The registry that has it.
        tree: The image.
        place: The layout, or the archive that becomes one.
        name: What it is to be called there.
        tally: Counts, and runs the threads.

    Raises:
        DigestMismatchError: The registry serves something else than it says.
        StorageError: The layout cannot be written.
    """
    counts = Counts()
    with _layout(place, tree, remote.limits) as layout:

        def job(blob: Descriptor) -> Callable[[], None]:
            return lambda: _bring(remote, layout, blob, counts, tally)

        with tally.telling(f"pulling to {place}", tree.size):
            tally.run([job(blob) for blob in tree.blobs])
        for node in (*tree.below, tree.top):
            layout.put(node.descriptor, node.data)
        layout.name(tree.top.descriptor, name)
    return counts


@contextmanager
def _layout(place: Place, tree: Tree, limits: Limits) -> Iterator[Incoming]:
    """Return the layout to fill; for an archive one beside it, which stays if this run fails."""
    if place.kind == LAYOUT:
        with Incoming(place.path, limits).opened() as layout:
            yield layout
        return
    staging = place.path.with_name(f".{place.path.name}.notarypy")
    make_private(staging)
    with Incoming(staging, limits).opened() as layout:
        yield layout
        everything = (*tree.blobs, *(node.descriptor for node in (*tree.below, tree.top)))
        pack(layout, everything, place.path)
    discard(staging)


def _bring(remote: RemoteImage, layout: Incoming, blob: Descriptor, counts: Counts, tally: Tally) -> None:
    """See to it that the layout has a blob (rule 1)."""
    moved = tally.blob()
    moved(0)
    if layout.has(blob):
        counts.reused.append(blob.digest)
    else:
        _fetch(remote, layout, blob, moved)
        counts.fetched.append(blob.digest)
    moved(blob.size)


def _fetch(remote: RemoteImage, layout: Incoming, blob: Descriptor, moved: Callable[[int], object]) -> None:
    while True:
        with layout.arrival(blob) as arrival:
            resumed = arrival.resumed
            remote.blobs.download(blob.digest, blob.size, _Watched(arrival, moved))
            try:
                arrival.finish()
            except DigestMismatchError:
                # What an earlier run left may be what is wrong: nobody is accused of that.
                if not resumed:
                    raise
                continue
            return


class _Watched:
    """An arrival whose progress is told."""

    def __init__(self, arrival: Arrival, moved: Callable[[int], object]) -> None:
        self._arrival, self._moved = arrival, moved

    @property
    def position(self) -> int:
        """Bytes that are there."""
        return self._arrival.position

    def restart(self) -> None:
        """Throw away what is there."""
        self._arrival.restart()
        self._moved(0)

    def write(self, data: bytes) -> None:
        """Take more; whoever is to stop is told before."""
        self._moved(self._arrival.position)
        self._arrival.write(data)
        self._moved(self._arrival.position)
