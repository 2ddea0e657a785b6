"""OCI image layouts to read: in a directory, or in a tar archive.

What it is: which images a layout has, and the bytes of manifests and blobs. What it is
not: whether these are right (`images.tree` and whoever sends them checks every digest).

Rules:

1. In a directory, files may be links: their content is checked like any other. In an
   archive they may not.
2. It must be clear which image is meant: without a name the layout has exactly one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from notarypy.errors import Advice, StorageError, UsageError
from notarypy.files import read_regular, regular
from notarypy.images import layout
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images.archives import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from notarypy.images.layout import Descriptor

_SHOWN = 10


class Files(Protocol):
    """Where a layout lies."""

    def size(self, name: str) -> int | None:
        """Return the size of a file, None if there is none."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """Return a small file; raise FileNotFoundError if there is none."""
        ...

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        """Yield a file from a position on; raise StorageError if there is none."""
        ...


class Directory:
    """The files of a directory."""

    def __init__(self, path: Path) -> None:
        """Name the directory."""
        self._path = path

    def __str__(self) -> str:
        """Return what messages call it."""
        return str(self._path)

    def size(self, name: str) -> int | None:
        """Return the size of a file, None if there is none."""
        try:
            return (self._path / name).stat().st_size
        except OSError:
            return None

    def read(self, name: str, limit: int) -> bytes:
        """Return a small file; raise FileNotFoundError if there is none."""
        return read_regular(self._path / name, limit, follow=True)

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        """Yield a file from a position on; raise StorageError if there is none."""
        path = self._path / name
        try:
            with regular(path) as stream:
                stream.seek(start)
                while piece := stream.read(PIECE):
                    yield piece
        except FileNotFoundError:
            raise StorageError(
                f"there is no file {path}", advice=Advice("make-layout-anew"), path=str(path)
            ) from None


class Layout:
    """An OCI image layout: content for `images.tree`."""

    def __init__(self, files: Files, limits: Limits = DEFAULT) -> None:
        """Read its index.

        Raises:
            StorageError: There is no layout.
            MetadataError: There is one that is malformed.
        """
        self._files, self.limits = files, limits
        try:
            layout.check_layout(files.read(layout.LAYOUT_FILE, limits.layout_marker_bytes))
            self.entries = layout.read_index(files.read(layout.INDEX_FILE, limits.manifest_bytes), limits)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError(
                f"{files} is not an OCI image layout",
                why=f"it does not have {layout.LAYOUT_FILE} and {layout.INDEX_FILE}",
                path=str(files),
            ) from None

    def find(self, name: str | None) -> Descriptor:
        """Return an image by name (rule 2).

        Raises:
            UsageError: There is none, or it is not clear which.
        """
        found = [entry for entry in self.entries if name in {None, entry.name}]
        if len({entry.digest for entry in found}) == 1:
            return found[0]
        names = [entry.name for entry in self.entries if entry.name]
        listed = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
        raise UsageError(
            f'{self._files} has no image "{name}"' if name else f"{self._files} has not exactly one image",
            why=f"it has {len(self.entries)}; names: {listed or 'none'}",
            advice=Advice("name-layout-image") if names else None,
        )

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return the bytes of a manifest, unchecked."""
        name = blob_name(descriptor.digest)
        try:
            return self._files.read(name, self.limits.manifest_bytes)
        except FileNotFoundError:
            raise StorageError(
                f"{self._files} does not hold all of the image",
                why=f"there is no {name}",
                path=str(self._files),
            ) from None

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether there is a file of this size for it."""
        return self._files.size(blob_name(descriptor.digest)) == descriptor.size

    def chunks(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        """Yield the bytes of a blob from a position on, unchecked."""
        return self._files.chunks(blob_name(descriptor.digest), start)

    def where(self, descriptor: Descriptor) -> str:
        """Return what errors call the place of a blob."""
        return f"{self._files}/{blob_name(descriptor.digest)}"


def blob_name(digest: str) -> str:
    """Return where a layout has some content."""
    return f"blobs/{digest.replace(':', '/')}"
