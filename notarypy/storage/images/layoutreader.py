"""An OCI image layout that is read: its files, in a directory or an archive, and the images that it names.

What it is: content for `images.tree`. What it is not: a check of digests (`images.tree`, and whoever sends
the blobs), or a writer (`layoutwriter`).

Rules:

1. In a directory, files may be links: their content is checked like any other. In an archive they may not.
2. It must be clear which image is meant. Entries that name the same content are one image. A name is what
   the layout says for an entry, or the full name that docker and containerd note beside it, as
   `io.containerd.image.name`: they write the tag alone where the layout has its names. `@N` is the entry in
   that place, from 0 on, and a digest the one that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from notarypy.errors import Advice, StorageError, UsageError, beginning
from notarypy.files import read_regular, regular
from notarypy.images import layout
from notarypy.images.layout import Descriptor, blob_name
from notarypy.images.occurrences import normal
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images.archives import PIECE, Archive

CONTAINERD_NAME = "io.containerd.image.name"
_SHOWN = 10


class Directory:
    """The files of a directory, as `Archive` has those of an archive."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        """Return what messages call it."""
        return str(self._path)

    def size(self, name: str) -> int | None:
        """See `Archive`; what cannot be looked at is not there."""
        try:
            return (self._path / name).stat().st_size
        except OSError:
            return None

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive`."""
        return read_regular(self._path / name, limit, follow=True)

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        """See `Archive`."""
        path = self._path / name
        try:
            with regular(path) as stream:
                stream.seek(start)
                while piece := stream.read(PIECE):
                    yield piece
        except FileNotFoundError:
            advice = Advice("make-layout-anew")
            raise StorageError(f"there is no file {path}", advice=advice, path=str(path)) from None


class Layout:
    """An OCI image layout: content for `images.tree`."""

    def __init__(self, files: Archive | Directory, limits: Limits = DEFAULT) -> None:
        """Read its index; raise StorageError if there is no layout, MetadataError for a malformed one."""
        self._files, self.limits = files, limits
        try:
            layout.check_layout(files.read(layout.LAYOUT_FILE, limits.layout_marker_bytes))
            self.entries = layout.read_index(files.read(layout.INDEX_FILE, limits.manifest_bytes), limits)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError(
                f"{files} is not an OCI image layout",
                why=f"it does not have {layout.LAYOUT_FILE} and {layout.INDEX_FILE}",
                advice=Advice("check-source"),
                path=str(files),
            ) from None

    def find(self, name: str | None) -> Descriptor:
        """Return an image by name; raise UsageError if there is none, or it is not clear which (rule 2)."""
        full = None if name is None else normal(name)
        found = distinct(
            entry
            for place, entry in enumerate(self.entries)
            if name is None
            or name in {entry.name, entry.digest, f"@{place}", f"@{entry.digest}"}
            or full == normal(entry.annotations.get(CONTAINERD_NAME, ""))
        )
        if len(found) == 1:
            return found[0]
        lines = [
            " ".join(filter(None, (f"@{place}", entry.digest, entry.platform, *_names(entry))))
            for place, entry in enumerate(self.entries)
        ]
        raise unclear(self._files, name, lines, Advice("name-layout-image"), several=bool(found))

    def named(self, reference: str) -> tuple[Descriptor, ...]:
        """Return the images that are called so in full, as docker and containerd note it."""
        full = normal(reference)
        named = ((entry, entry.annotations.get(CONTAINERD_NAME, entry.name)) for entry in self.entries)
        return distinct(entry for entry, name in named if name is not None and normal(name) == full)

    def names(self, image: Descriptor) -> frozenset[str]:
        """Return all names that it has for an image."""
        return frozenset(
            name for entry in self.entries if entry.digest == image.digest for name in _names(entry)
        )

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See `ImageContent`."""
        name = blob_name(descriptor.digest)
        try:
            return self._files.read(name, self.limits.manifest_bytes)
        except FileNotFoundError:
            message, why = f"{self._files} does not hold all of the image", f"there is no {name}"
            raise StorageError(message, why=why, advice=Advice("make-anew"), path=str(self._files)) from None

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether there is a file of this size for it."""
        return self._files.size(blob_name(descriptor.digest)) == descriptor.size

    def chunks(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        """See `ImageContent`."""
        return self._files.chunks(blob_name(descriptor.digest), start)

    def where(self, descriptor: Descriptor) -> str:
        """See `ImageContent`."""
        return f"{self._files}/{blob_name(descriptor.digest)}"


def distinct(entries: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return entries without those that name what another one names already."""
    return tuple({(entry.digest, entry.media_type, entry.size): entry for entry in entries}.values())


def unclear(
    files: object, name: str | None, lines: Sequence[str], advice: Advice, *, several: bool
) -> UsageError:
    """Return the error for a name that is not that of one image; `lines` say which images there are."""
    what = "not exactly one image"
    if name is not None:
        what = f'several images "{name}"' if several else f'no image "{name}"'
    why = (f"it has {len(lines)}", *beginning(lines, _SHOWN))
    return UsageError(f"{files} has {what}", why=why, advice=advice if lines else None)


def _names(entry: Descriptor) -> Iterable[str]:
    return filter(None, (entry.name, entry.annotations.get(CONTAINERD_NAME)))
