"""SOURCE and DEST as they are written, and the image that a SOURCE is.

What it is: `oci:`, `oci-archive:` and `docker-archive:` behind one interface. What it is not: whether the
bytes are right (`images.tree` and whoever sends them checks every digest), or how layouts and archives are
read (`layoutreader`, `archives`).

Rules:

1. The kind ends at the first colon, the path at the next that is not a Windows drive's; what follows is the
   name of the image in there.
2. A docker archive that has an OCI layout too is that layout, with the digests that docker gave it. Its list
   must name the same image, by its configuration: programs load the one or the other. Where the layout lacks
   something, as for platforms that docker did not have, the list counts, and that is said. An OCI archive
   that has such a list too is its layout, and the list must not name another image by that name.
3. Every manifest is checked when a source is opened; blobs are when they are sent.
4. It must be clear which image is meant: without a name there is exactly one. `@N` is the one in that place
   of the layout, or of a docker archive's list; a digest is the one that has it in the layout.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from notarypy import system
from notarypy.errors import (
    Advice,
    InvalidNameError,
    MetadataError,
    StorageError,
    UsageError,
    VerificationError,
)
from notarypy.images import layout
from notarypy.images.tree import Tree, config_of, grow
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images import layoutreader
from notarypy.storage.images.archives import Archive
from notarypy.storage.images.layoutreader import Directory, Layout, SavedEntry, SavedImage, distinct, unclear
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.images.layout import Descriptor

_LOG = logging.getLogger(__name__)
LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE = "oci", "oci-archive", "docker-archive"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}")
_CHOICE = re.compile(r"@(?:[0-9]{1,6}|sha[0-9]{3}:[0-9a-f]{64,128})")
_BARE = re.compile(r"[a-z0-9][a-z0-9._-]*(?::(?!$)[A-Za-z0-9_.-]+)?")
_DIGEST = re.compile(r"@?sha[0-9]{3}:")


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
    return _location(text, "SOURCE", (LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE), (_NAME, _CHOICE))


def destination(text: str) -> ImageLocation:
    """Read a DEST; raise InvalidNameError."""
    return _location(text, "DEST", (LAYOUT, LAYOUT_ARCHIVE), (_NAME,))


def refuse_files(source: str, destination: str) -> None:
    """Raise UsageError for places in files where names are wanted: other programs copy to and from both.

    A bare word for a destination is such a place too: nobody but Docker copies to docker.io/library.
    """
    if _BARE.fullmatch(destination) and not _is_place(destination):
        raise UsageError(
            f'"{destination}" means docker.io/library/{destination}, where Docker alone puts images',
            why="a name of an image has a registry and a repository",
            advice=Advice(
                "name-or-pull", source=source, destination=f"{LAYOUT}:{destination.partition(':')[0]}"
            ),
        )
    into = _is_place(destination)
    if into or _is_place(source):
        raise UsageError(
            f'"{destination if into else source}" is a place in files, and no name of an image',
            why="copies go from registry to registry",
            advice=Advice("pull-into-files", source=source, destination=destination)
            if into
            else Advice("push-from-files", source=source, destination=destination),
        )


def _is_place(text: str) -> bool:
    """Tell whether a text is a place in files (rule 1), whatever comes behind the kind."""
    return text.partition(":")[0] in {LAYOUT, LAYOUT_ARCHIVE, DOCKER_ARCHIVE}


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
            opened = _layout_archive(Archive(location.path, limits), location.name)
        else:
            opened = _docker(Archive(location.path, limits), location.name)
    _LOG.debug("%s is %s, with %d blobs", location, opened.tree.top.descriptor.digest, len(opened.tree.blobs))
    return opened


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


def _location(text: str, what: str, kinds: Sequence[str], names: Sequence[re.Pattern[str]]) -> ImageLocation:
    kind, _, rest = text.partition(":")
    path, colon, name = system.split_path(rest)
    if kind not in kinds or not path or "\0" in path:
        forms = ", ".join(f"{known}:{'DIR' if known == LAYOUT else 'TAR'}" for known in kinds)
        why = f"the forms are: {forms}"
    elif colon and not any(pattern.fullmatch(name) for pattern in names):
        why = f'"{name}" is no name of an image'
    else:
        return ImageLocation(kind, Path(path), name if colon else None)
    raise InvalidNameError(f'"{text}" is no {what}', why=why, reference=text)


def _layout(found: Layout, name: str | None) -> OpenedImage:
    return OpenedImage(_grown(found.find(name), found, found.limits), found)


def _layout_archive(archive: Archive, name: str | None) -> OpenedImage:
    """Return the image of an OCI archive; a list beside the layout must not contradict it (rule 2)."""
    found = Layout(archive, archive.limits)
    opened = _layout(found, name)
    if name is not None and _DIGEST.match(name):
        return opened
    entries, top = layoutreader.listed(archive), opened.tree.top.descriptor
    names = {*found.names(top), *([] if name is None else [name])}
    by_name = [entry for entry in entries if any(map(entry.is_called, names))]
    for entry in entries if name is None and len(entries) == 1 else by_name:
        _agree(archive, opened.tree, entry, name)
    return opened


def _docker(archive: Archive, name: str | None) -> OpenedImage:
    """Return the image of a docker archive (rules 2 and 4)."""
    entries = layoutreader.listed(archive)
    if archive.size(layout.INDEX_FILE) is not None:
        found = Layout(archive, archive.limits)
        if not entries or (name is not None and _DIGEST.match(name)):
            return _layout(found, name)
        return _with_list(archive, found, entries, name)
    if archive.size(layoutreader.LIST_FILE) is None:
        message, advice = f"{archive} is not a usable archive", Advice("check-source")
        why = f"it has no {layoutreader.LIST_FILE}: docker save did not write it"
        raise MetadataError(message, why=why, advice=advice, path=str(archive))
    chosen = _chosen(entries, name)
    if len(chosen) != 1:
        raise _unclear_in_list(archive, entries, name, several=bool(chosen))
    return _from_list(archive, chosen[0])


def _with_list(
    archive: Archive, found: Layout, entries: Sequence[SavedEntry], name: str | None
) -> OpenedImage:
    """Return the image of a docker archive that has both, a list and a layout (rule 2)."""
    chosen = _chosen(entries, name)
    by_place = name is not None and name.startswith("@")
    names = [each for entry in chosen for each in entry.names] if by_place else [name]
    tops = distinct(top for each in names for top in (found.named(each) if each else found.entries))
    if len(chosen) > 1 or len(tops) > 1 or not (chosen or tops):
        raise _unclear_in_list(archive, entries, name, several=bool(chosen or tops))
    if not chosen:
        return OpenedImage(_grown(tops[0], found, found.limits), found)
    tree = _whole(tops[0], found) if tops else None
    if tree is None:
        what = "is not complete" if tops else f"does not have {name or 'the image'}"
        note = f"the OCI layout in {archive} {what}: the image is taken from its manifest.json"
        return _from_list(archive, chosen[0], note)
    _agree(archive, tree, chosen[0], name)
    return OpenedImage(tree, found)


def _agree(archive: Archive, tree: Tree, entry: SavedEntry, name: str | None) -> None:
    """Check that an entry of the list is an image of the layout, by its configuration (rule 2)."""
    config = entry.config_digest(archive)
    if config not in _configs(tree, archive.limits):
        raise VerificationError(
            f"{archive} says two things of {name or 'its image'}",
            why=(
                f"its {layout.INDEX_FILE} names {tree.top.descriptor.digest}",
                f"its {layoutreader.LIST_FILE} names one with another configuration, {config}",
            ),
            advice=Advice("make-anew-with-writer"),
        )


def _chosen(entries: Sequence[SavedEntry], name: str | None) -> Sequence[SavedEntry]:
    if name is None:
        return entries
    if name.startswith("@"):
        return [entry for place, entry in enumerate(entries) if name == f"@{place}"]
    return [entry for entry in entries if entry.is_called(name)]


def _unclear_in_list(
    archive: Archive, entries: Sequence[SavedEntry], name: str | None, *, several: bool
) -> UsageError:
    lines = [" ".join((f"@{place}", *_seen(archive, entry))) for place, entry in enumerate(entries)]
    return unclear(archive, name, lines, Advice("name-archive-image"), several=several)


def _seen(archive: Archive, entry: SavedEntry) -> Sequence[str]:
    """Return the names of an entry; of one without any the id that docker shows."""
    if entry.names:
        return entry.names
    try:
        return (f"image id {entry.config_digest(archive)}",)
    except MetadataError:
        return ()


def _from_list(archive: Archive, entry: SavedEntry, *notes: str) -> OpenedImage:
    image = SavedImage(archive, entry)
    return OpenedImage(_grown(image.top, image, archive.limits), image, notes)


def _whole(top: Descriptor, found: Layout) -> Tree | None:
    """Return an image of a layout, None if it is not there as a whole."""
    try:
        tree = _grown(top, found, found.limits)
    except StorageError:
        return None
    return tree if all(map(found.holds, tree.blobs)) else None


def _configs(tree: Tree, limits: Limits) -> set[str]:
    """Return the digests of all configurations that the manifests of an image name."""
    nodes = [node for node in (tree.top, *tree.below) if node.descriptor.media_type != layout.ARTIFACT]
    found = (config_of(node.descriptor, node.data, limits) for node in nodes)
    return {config.digest for config in found if config is not None}
