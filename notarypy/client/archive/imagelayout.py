"""The images of an archive: fetched by their signed digests, and put into it as an OCI layout.

What it is: the second half of an export with images, beside the trust data. What it is not: the decision
which images are signed (`trustdata`), or a download (`transfer.pulling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.transfer.progress import Moving, warn_of_foreign
from notarypy.client.transfer.pulling import LayoutPull, RemoteImage
from notarypy.client.verify.image import require_served
from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.images import layout, manifests
from notarypy.storage.images.layoutwriter import LayoutWriter, discard, make_private
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.client.verdicts import VerifiedImage
    from notarypy.images.layout import Descriptor
    from notarypy.storage.images.layoutwriter import ArchiveWriter

_DOCKERS = (
    "there are manifests of docker's type in it: skopeo, podman and buildah do not find these images by "
    "their names, notarypy push does"
)


@dataclass
class ImageLayout:
    """Images that were fetched to be in an archive; `failed` is given those that cannot be."""

    session: Session
    target: Path
    failed: Callable[[str, NotarypyError], object]
    progress: Progress | None
    _named: list[tuple[Descriptor, str]] = field(default_factory=list)
    _blobs: set[str] = field(default_factory=set)

    @property
    def staging(self) -> Path:
        """Where they are brought together; what is there already is not fetched again."""
        return self.target.with_name(f".{self.target.name}.notarypy")

    def bring(self, repository: str, images: Iterable[VerifiedImage]) -> tuple[VerifiedImage, ...]:
        """Fetch images of a repository; return those that are there as a whole."""
        parsed, came = self.session.parse(repository), []
        make_private(self.staging)
        with LayoutWriter(self.staging, self.session.limits).opened() as opened:
            for image in images:
                ref = f"{image.repository}:{image.tag}"
                try:
                    remote = RemoteImage(self.session.registry(parsed), parsed.path)
                    self._bring(opened, remote, image, ref)
                except NotarypyError as error:
                    self.failed(ref, error)
                else:
                    came.append(image)
        return tuple(came)

    def write(self, archive: ArchiveWriter) -> None:
        """Write all of them into an archive; raise UsageError for more than a reader takes."""
        index = layout.index_of(self._named)
        if len(index) > self.session.limits.manifest_bytes:
            raise too_much(f"{len(self._named)} images")
        archive.add(layout.LAYOUT_FILE, layout.LAYOUT_TEXT)
        archive.add(layout.INDEX_FILE, index)
        for name in sorted(self._blobs):
            archive.add_file(name, self.staging / name)

    def discard(self) -> None:
        """Remove what was fetched, which is in the archive now."""
        if self.staging.exists():
            discard(self.staging)

    def _bring(self, opened: LayoutWriter, remote: RemoteImage, image: VerifiedImage, ref: str) -> None:
        """Fetch an image by its signed digest."""
        tree, _ = remote.tree(remote.top(image.digest, image.size))
        top = tree.top.descriptor
        require_served(image, manifests.read(tree.top.data, top.media_type, remote.limits))
        warn_of_foreign(tree, self.session.warn, "fetched")
        if top.media_type in {manifests.DOCKER_MANIFEST, manifests.DOCKER_LIST}:
            self.session.warn_once(_DOCKERS)
        LayoutPull(remote, opened, Moving(self.progress)).run(tree, f"exporting {ref}")
        nodes = [node.descriptor for node in (*tree.below, tree.top)]
        self._blobs.update(layout.blob_name(each.digest) for each in (*tree.blobs, *nodes))
        self._named.append((top, ref))


def too_much(what: str) -> UsageError:
    """Return the error for an archive that nobody could read."""
    message, why = "this is too much for one archive", f"it would have {what}: nobody could read it"
    return UsageError(message, why=why, advice=Advice("export-apart"))
