"""SOURCE and DEST as they are written, and the image that a SOURCE is.

What it is: `oci:`, `oci-archive:` and `docker-archive:` behind one interface, and OCI layouts to read. What
it is not: whether the bytes are right (`images.tree` and whoever sends them checks every digest), or how
archives are read (`archives`, `dockersave`).

Rules:

1. The kind ends at the first colon, the path at the next; what follows is the name of the image in there.
2. A docker archive that has an OCI layout too is that layout, with the digests that docker gave it. Where the
   layout lacks something, as for platforms that docker did not have, the older list counts, and that is said.
3. Every manifest is checked when a source is opened; blobs are when they are sent.
4. In a directory, files may be links: their content is checked like any other. In an archive they may not.
5. It must be clear which image is meant: without a name the layout has exactly one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from notarypy.errors import Advice, InvalidNameError, StorageError, UsageError, VerificationError
from notarypy.files import read_regular, regular
from notarypy.images import layout
from notarypy.images.layout import Descriptor, blob_name
from notarypy.images.occurrences import normal
from notarypy.images.tree import Tree, grow
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images.archives import PIECE, Archive
from notarypy.storage.images.dockersave import SavedImage

_LOG = logging.getLogger(__name__)
LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE = "oci", "oci-archive", "docker-archive"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}")
_CONTAINERD_NAME = "io.containerd.image.name"
_SHOWN = 10


class ImageContent(Protocol):
    """Where the bytes of an image come from, unchecked."""

    def manifest(self, descriptor: Descriptor, /) -> bytes:
        """Return a manifest or index."""

    def chunks(self, descriptor: Descriptor, start: int, /) -> Iterator[bytes]:
        """Yield a blob from a position on."""

    def where(self, descriptor: Descriptor, /) -> str:
        """Return what errors call the place of a blob."""


@dataclass(frozen=True)
class ImageLocation:
    """A SOURCE or DEST taken apart (rule 1)."""

    kind: str
    path: Path
    name: str | None

    def __str__(self) -> str:
        """Return it as it is written."""
        return ":".join(filter(None, (self.kind, str(self.path), self.name)))


@dataclass(frozen=True)
class OpenedImage:
    """The image of a source, and what a person should know about it."""

    tree: Tree
    content: ImageContent
    notes: tuple[str, ...] = ()


def source(text: str) -> ImageLocation:
    """Read a SOURCE; raise InvalidNameError."""
    return _location(text, "SOURCE", (LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE))


def destination(text: str) -> ImageLocation:
    """Read a DEST; raise InvalidNameError."""
    return _location(text, "DEST", (LAYOUT, LAYOUT_ARCHIVE))


def open_source(location: ImageLocation, limits: Limits = DEFAULT) -> OpenedImage:
    """Return the image that a location has (rules 2 and 3).

    Raises:
        StorageError: It cannot be read, or lacks a part of the image.
        UsageError: It is not clear which image is meant.
        VerificationError: A manifest is not what it is said to be.
    """
    with _named(location):
        if location.kind == LAYOUT:
            opened = _layout(Layout(Directory(location.path), limits), location.name)
        elif location.kind == LAYOUT_ARCHIVE:
            opened = _layout(Layout(Archive(location.path, limits), limits), location.name)
        else:
            opened = _docker(Archive(location.path, limits), location.name)
    _LOG.debug("%s is %s, with %d blobs", location, opened.tree.top.descriptor.digest, len(opened.tree.blobs))
    return opened


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
                path=str(files),
            ) from None

    def find(self, name: str | None) -> Descriptor:
        """Return an image by name; raise UsageError if there is none, or it is not clear which (rule 5)."""
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
        """See `ImageContent`."""
        name = blob_name(descriptor.digest)
        try:
            return self._files.read(name, self.limits.manifest_bytes)
        except FileNotFoundError:
            message, why = f"{self._files} does not hold all of the image", f"there is no {name}"
            raise StorageError(message, why=why, path=str(self._files)) from None

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether there is a file of this size for it."""
        return self._files.size(blob_name(descriptor.digest)) == descriptor.size

    def chunks(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        """See `ImageContent`."""
        return self._files.chunks(blob_name(descriptor.digest), start)

    def where(self, descriptor: Descriptor) -> str:
        """See `ImageContent`."""
        return f"{self._files}/{blob_name(descriptor.digest)}"


@contextmanager
def _named(location: ImageLocation) -> Iterator[None]:
    try:
        yield
    except VerificationError as error:
        named = str(location.path) in error.message
        raise type(error)(
            error.message if named else f"{location} cannot be used",
            why=error.why if named else (error.message, *error.why),
            advice=error.advice or Advice("make-anew-with-writer"),
            **{**error.facts, "path": str(location.path)},
        ) from None


def _grown(top: Descriptor, content: ImageContent, limits: Limits) -> Tree:
    """Return an image; errors say which manifest was looked at."""
    latest = top

    def read(descriptor: Descriptor) -> bytes:
        nonlocal latest
        latest = descriptor
        return content.manifest(descriptor)

    try:
        return grow(top, read, limits)
    except VerificationError as error:
        error.why = (*error.why, f"read last: {content.where(latest)}")
        raise


def _location(text: str, what: str, kinds: tuple[str, ...]) -> ImageLocation:
    kind, _, rest = text.partition(":")
    path, colon, name = rest.partition(":")
    if kind not in kinds or not path or "\0" in path:
        forms = ", ".join(f"{known}:{'DIR' if known == LAYOUT else 'TAR'}" for known in kinds)
        why = f"the forms are: {forms}"
    elif colon and _NAME.fullmatch(name) is None:
        why = f'"{name}" is no name of an image'
    else:
        return ImageLocation(kind, Path(path), name if colon else None)
    raise InvalidNameError(f'"{text}" is no {what}', why=why, reference=text)


def _layout(found: Layout, name: str | None) -> OpenedImage:
    return OpenedImage(_grown(found.find(name), found, found.limits), found)


def _docker(archive: Archive, name: str | None) -> OpenedImage:
    has_layout = archive.size(layout.INDEX_FILE) is not None
    complete = _complete(Layout(archive, archive.limits), name) if has_layout else None
    if complete is not None:
        return complete
    note = f"the OCI layout in {archive} is not complete: the image is taken from its manifest.json"
    image = SavedImage(archive, name)
    return OpenedImage(_grown(image.top, image, archive.limits), image, (note,) if has_layout else ())


def _complete(found: Layout, name: str | None) -> OpenedImage | None:
    """Return the image of a layout in a docker archive, None if it is not there as a whole (rule 2)."""
    entries = [
        entry
        for entry in found.entries
        if name is None or normal(name) == normal(entry.annotations.get(_CONTAINERD_NAME, entry.name or ""))
    ]
    if len({entry.digest for entry in entries}) != 1:
        return None
    try:
        tree = _grown(entries[0], found, found.limits)
    except StorageError:
        return None
    return OpenedImage(tree, found) if all(map(found.holds, tree.blobs)) else None
