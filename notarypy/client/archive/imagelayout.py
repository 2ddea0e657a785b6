"""The images of an archive: fetched by their signed digests, and put into it as an OCI layout.

What it is: the second half of an export with images, beside the trust data, and the folder where an archive
is made. What it is not: the decision which images are signed (`trustdata`), or a download
(`transfer.pulling`).

Rules:

1. The folder is beside the archive, and the same for all archives there, whatever they are called: one run at
   a time works in it, and goes on with what an earlier one has fetched.
2. It is removed once an archive has all that it was to have. It stays after a failure that another run may
   not have, if anything was fetched.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from notarypy.client.transfer.progress import Moving, warn_of_foreign
from notarypy.client.transfer.pulling import LayoutPull, RemoteImage
from notarypy.client.verify.image import require_served
from notarypy.errors import Advice, AuthenticationError, NotarypyError, StorageError, UsageError
from notarypy.images import layout, manifests
from notarypy.storage.images.layoutwriter import LayoutWriter, discard, make_private
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.client.verdicts import VerifiedImage
    from notarypy.images.layout import Descriptor
    from notarypy.storage.images.layoutwriter import ArchiveWriter

_FOLDER = ".notarypy-export"
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
    _over: bool = False
    _missed: bool = False

    @property
    def staging(self) -> Path:
        """Where they are brought together; what is there already is not fetched again (rule 1)."""
        return self.target.with_name(_FOLDER)

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Hold the folder for one run (rules 1 and 2)."""
        make_private(self.staging)
        with ExitStack() as afterwards, LayoutWriter(self.staging, self.session.limits).opened():
            afterwards.callback(self._discard)
            yield self.staging
            self._over = not self._missed

    def bring(self, repository: str, images: Iterable[VerifiedImage]) -> tuple[VerifiedImage, ...]:
        """Fetch images of a repository; return those that are there as a whole."""
        parsed, came = self.session.parse(repository), []
        opened = LayoutWriter(self.staging, self.session.limits)
        for image in images:
            ref = f"{image.repository}:{image.tag}"
            try:
                remote = RemoteImage(self.session.registry(parsed), parsed.path)
                self._bring(opened, remote, image, ref)
            except StorageError:
                raise
            except NotarypyError as error:
                self._missed |= error.retryable or isinstance(error, AuthenticationError)
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

    def _discard(self) -> None:
        if self._over or not (self.staging / "blobs").exists():
            discard(self.staging)
        elif self._missed:
            self.session.warn(f"what was fetched of images stays in {self.staging} for the next export")

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
