"""SOURCE and DEST as they are written, and the image that a SOURCE is.

What it is: `oci:`, `oci-archive:` and `docker-archive:` behind one interface. What it is
not: how each is read (`layouts`, `archives`, `dockersave`).

Rules:

1. The kind ends at the first colon, the path at the next; what follows is the name of
   the image in there.
2. A docker archive that has an OCI layout too is that layout, with the digests that
   docker gave it. Where the layout lacks something, as for platforms that docker did
   not have, the older list counts, and that is said.
3. Every manifest is checked when a source is opened; blobs are when they are sent.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from notarypy.errors import Advice, InvalidNameError, StorageError, VerificationError
from notarypy.images.tree import Tree, grow
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images.archives import Archive
from notarypy.storage.images.layouts import Directory, Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.images.layout import Descriptor

LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE = "oci", "oci-archive", "docker-archive"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}")
_CONTAINERD_NAME = "io.containerd.image.name"


class Content(Protocol):
    """Where the bytes of an image come from, unchecked."""

    def manifest(self, descriptor: Descriptor, /) -> bytes:
        """Return a manifest or index."""
        ...

    def chunks(self, descriptor: Descriptor, start: int, /) -> Iterator[bytes]:
        """Yield a blob from a position on."""
        ...

    def where(self, descriptor: Descriptor, /) -> str:
        """Return what errors call the place of a blob."""
        ...


@dataclass(frozen=True)
class Place:
    """A SOURCE or DEST taken apart (rule 1)."""

    kind: str
    path: Path
    name: str | None

    def __str__(self) -> str:
        """Return it as it is written."""
        return ":".join(filter(None, (self.kind, str(self.path), self.name)))


@dataclass(frozen=True)
class Opened:
    """The image of a source, and what a person should know about it."""

    tree: Tree
    content: Content
    notes: tuple[str, ...] = ()


def source(text: str) -> Place:
    """Read a SOURCE; raise InvalidNameError."""
    return _place(text, "SOURCE", (LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE))


def destination(text: str) -> Place:
    """Read a DEST; raise InvalidNameError."""
    return _place(text, "DEST", (LAYOUT, LAYOUT_ARCHIVE))


def open_source(place: Place, limits: Limits = DEFAULT) -> Opened:
    """Return the image that a place has (rules 2 and 3).

    Raises:
        StorageError: The place cannot be read, or lacks a part of the image.
        UsageError: It is not clear which image is meant.
        VerificationError: A manifest is not what it is said to be.
    """
    with _named(place):
        if place.kind == LAYOUT:
            return _layout(Layout(Directory(place.path), limits), place.name)
        archive = Archive(place.path, limits)
        if place.kind == LAYOUT_ARCHIVE:
            return _layout(Layout(archive, limits), place.name)
        return _docker(archive, place.name)


@contextmanager
def _named(place: Place) -> Iterator[None]:
    """Say of what is wrong with an image where it was read, and that no registry is to blame."""
    try:
        yield
    except VerificationError as error:
        named = str(place.path) in error.message
        raise type(error)(
            error.message if named else f"{place} cannot be used",
            why=error.why if named else (error.message, *error.why),
            advice=error.advice or Advice("make-anew-with-writer"),
            **{**error.facts, "path": str(place.path)},
        ) from None


def _grown(top: Descriptor, content: Content, limits: Limits) -> Tree:
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


def _place(text: str, what: str, kinds: tuple[str, ...]) -> Place:
    kind, _, rest = text.partition(":")
    path, colon, name = rest.partition(":")
    if kind not in kinds or not path or "\0" in path:
        forms = ", ".join(f"{known}:{'DIR' if known == LAYOUT else 'TAR'}" for known in kinds)
        raise InvalidNameError(f'"{text}" is no {what}', why=f"the forms are: {forms}", reference=text)
    if colon and _NAME.fullmatch(name) is None:
        raise InvalidNameError(
            f'"{text}" is no {what}', why=f'"{name}" is no name of an image', reference=text
        )
    return Place(kind, Path(path), name if colon else None)


def _layout(found: Layout, name: str | None) -> Opened:
    return Opened(_grown(found.find(name), found, found.limits), found)


def _docker(archive: Archive, name: str | None) -> Opened:
    from notarypy.storage.images import dockersave

    notes: tuple[str, ...] = ()
    if archive.size("index.json") is not None:
        complete = _complete(Layout(archive, archive.limits), name)
        if complete is not None:
            return complete
        notes = (f"the OCI layout in {archive} is not complete: the image is taken from its manifest.json",)
    image = dockersave.SavedImage(archive, name)
    return Opened(_grown(image.top, image, archive.limits), image, notes)


def _complete(found: Layout, name: str | None) -> Opened | None:
    """Return the image of a layout in a docker archive, None if it is not there as a whole."""
    from notarypy.images.occurrences import normal

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
    return Opened(tree, found) if all(map(found.holds, tree.blobs)) else None
