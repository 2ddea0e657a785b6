"""An image in a directory or an archive that is read: an OCI image layout, or what `docker save` writes else.

What it is: content for `images.tree`, and the images that a layout names; the manifest of an archive that is
no layout, with a configuration and layers and no manifest: always the same for the same archive. What it is
not: a check of digests (`images.tree`, and whoever sends the blobs), or a writer (`layoutwriter`).

Rules:

1. In a directory, files may be links: their content is checked like any other. In an archive they may not.
2. It must be clear which image is meant. Entries that name the same content are one image. A name is what
   the layout says for an entry, or the full name that docker and containerd note beside it, as
   `io.containerd.image.name`: they write the tag alone where the layout has its names. `@N` is the entry in
   that place, from 0 on, and a digest the one that has it.
3. Where there is no layout, layers are pushed as they lie in the archive. Uncompressed ones stay so: their
   digests are those in the configuration, and the image's digest depends on no compressor.
4. The manifest is an OCI manifest. Layer types say what the bytes are.
5. The configuration has the digest in its file name; a layer is the one that the configuration lists at its
   place. Both are checked when the archive is opened, whether they will be sent or not.
6. A layer's name may be a link to another layer of the archive: that is how docker saves a layer that it has
   twice.
7. Entries of the list that name the same configuration and layers are one image, with the names of both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from notarypy.errors import Advice, DigestMismatchError, MetadataError, StorageError, UsageError, beginning
from notarypy.files import read_regular, regular
from notarypy.images import layout, manifests
from notarypy.images.layout import Descriptor, blob_name
from notarypy.images.occurrences import normal
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images import compression
from notarypy.storage.images.archives import PIECE, Archive
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.storage.images.archives import Member

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


LIST_FILE = "manifest.json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class SavedEntry:
    """What the list says of one image: the files of its configuration and its layers, and its names."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]

    def is_called(self, reference: str) -> bool:
        """Tell whether this is one of its names, as docker completes them."""
        return normal(reference) in map(normal, self.names)

    def config_digest(self, archive: Archive) -> str:
        """Return the digest of its configuration; raise MetadataError if there is none."""
        return _config(archive, self)[0].digest


class SavedImage:
    """One image of an archive, with the manifest `top`: content for `images.tree`."""

    def __init__(self, archive: Archive, entry: SavedEntry) -> None:
        """Make the manifest of an image; raise VerificationError (rule 5)."""
        self._archive = archive
        self._hashed: dict[Member, tuple[str, str]] = {}
        config, member, data = _config(archive, entry)
        self._members: dict[str, Member] = {config.digest: member}
        diffs, names = _diffs(archive, data), entry.layers
        if len(names) != len(diffs):
            _malformed(archive, f"it has {len(names)} layers, and the configuration lists {len(diffs)}")
        document = {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [self._layer(*pair).to_json() for pair in zip(names, diffs, strict=True)],
        }
        self._data = json.dumps(document, separators=(",", ":")).encode()
        self.top = layout.of(self._data, manifests.OCI_MANIFEST)

    def manifest(self, _: Descriptor) -> bytes:
        """Return the manifest, the only one there is."""
        return self._data

    def chunks(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        """Yield a blob from a position on."""
        return self._archive.pieces(self._members[descriptor.digest], start)

    def where(self, descriptor: Descriptor) -> str:
        """Return what errors call the place of a blob."""
        return f"{self._archive}, {descriptor.digest}"

    def _layer(self, name: str, diff: str) -> Descriptor:
        """Return a layer as it is to be pushed (rules 3 to 6)."""
        member = self._archive.find(name, links=True)
        if member is None:
            _malformed(self._archive, f"it lacks the layer {name[:100]}")
        kind = compression.kind_of(next(self._archive.pieces(member, 0), b""))
        if kind not in {"", "gzip"}:
            _malformed(self._archive, f"a layer in it is compressed with {kind}")
        packed = kind == "gzip"
        if member not in self._hashed:  # a layer may be listed twice (rule 6)
            self._hashed[member] = self._digests(member, name, packed=packed)
        unpacked, digest = self._hashed[member]
        _same([diff.removeprefix("sha256:")], unpacked, name)
        found = Descriptor(f"{_LAYER}+gzip" if packed else _LAYER, digest, member.size)
        self._members.setdefault(found.digest, member)
        return found

    def _digests(self, member: Member, name: str, *, packed: bool) -> tuple[str, str]:
        own, plain = hashlib.sha256(), hashlib.sha256()
        pieces = self._archive.pieces(member, 0)
        try:
            for piece in (
                compression.plain(_hashed(pieces, own), "gzip", self._archive.limits) if packed else pieces
            ):
                plain.update(piece)
        except MetadataError as error:
            _malformed(self._archive, f"{name[:100]} cannot be uncompressed", *error.why)
        return f"sha256:{plain.hexdigest()}", f"sha256:{(own if packed else plain).hexdigest()}"


def _hashed(pieces: Iterable[bytes], found: Any) -> Iterator[bytes]:  # noqa: ANN401 - hashlib's own type
    for piece in pieces:
        found.update(piece)
        yield piece


def listed(archive: Archive) -> tuple[SavedEntry, ...]:
    """Return the images of the list, each once; nothing if there is no list. MetadataError: malformed."""
    try:
        entries = json.loads(archive.read(LIST_FILE, archive.limits.manifest_bytes))
    except FileNotFoundError:
        return ()
    except (ValueError, RecursionError):
        entries = [None]
    found: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
    # Go writes null for a list with nothing in it.
    for entry in _list(entries, archive):
        if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
            _malformed(archive, f"its {LIST_FILE} is malformed")
        config, layers, names = entry["Config"], entry.get("Layers"), entry.get("RepoTags")
        key = config, _texts(layers, archive)
        found[key] = (*found.get(key, ()), *_texts(names, archive))
    return tuple(SavedEntry(*key, names) for key, names in found.items())


def _list(value: object, archive: Archive) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        _malformed(archive, f"its {LIST_FILE} is malformed")
    return value


def _texts(value: object, archive: Archive) -> tuple[str, ...]:
    found = _list(value, archive)
    if not all(isinstance(text, str) for text in found):
        _malformed(archive, f"its {LIST_FILE} is malformed")
    return tuple(found)


def _config(archive: Archive, entry: SavedEntry) -> tuple[Descriptor, Member, bytes]:
    """Return the configuration of an image (rule 5)."""
    member = archive.find(entry.config)
    if member is None:
        _malformed(archive, "it lacks the configuration of the image")
    data = archive.read(entry.config, archive.limits.image_config_bytes)
    found = layout.of(data, _CONFIG)
    _same(_HEX.findall(entry.config)[-1:], found.digest, entry.config)
    return found, member, data


def _diffs(archive: Archive, config: bytes) -> list[str]:
    """Return the digests of the uncompressed layers that a configuration lists."""
    try:
        diffs = json.loads(config)["rootfs"]["diff_ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        diffs = [None]
    found = _list(diffs, archive)
    if not all(isinstance(diff, str) and _DIGEST.fullmatch(diff) for diff in found):
        _malformed(archive, "the configuration of the image does not list its layers")
    return found


def _same(stated: list[str], actual: str, name: str) -> None:
    if stated and f"sha256:{stated[0]}" != actual:
        raise DigestMismatchError(
            "the archive has something else than it says",
            why=(f"{name[:100]} should be sha256:{stated[0]}", f"it is {actual}"),
            advice=Advice("make-anew-with-writer"),
            expected=f"sha256:{stated[0]}",
            actual=actual,
        )


def _malformed(archive: Archive, *why: str) -> NoReturn:
    message, advice = f"{archive} is not a usable archive", Advice("make-anew-with-writer")
    raise MetadataError(message, why=why, advice=advice, path=str(archive))
