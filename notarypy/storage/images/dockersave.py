"""What `docker save` writes, when it is no OCI layout: a configuration and layers, and no manifest.

What it is: the manifest such an image gets here, always the same for the same archive. What it is not: a
builder; configuration and layers go out as they are.

Rules:

1. Layers are pushed as they lie in the archive. Uncompressed ones stay uncompressed: their digests are those
   in the configuration, and the image's digest depends on no compressor.
2. The manifest is an OCI manifest. Layer types say what the bytes are.
3. The configuration has the digest in its file name; a layer is the one that the configuration lists at its
   place. Both are checked when the archive is opened, whether they will be sent or not.
4. A layer's name may be a link to another layer of the archive: that is how docker saves a layer that it has
   twice.
5. Entries of the list that name the same configuration and layers are one image, with the names of both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from notarypy.errors import Advice, DigestMismatchError, MetadataError
from notarypy.images import layout, manifests
from notarypy.images.layout import Descriptor
from notarypy.images.occurrences import normal
from notarypy.storage.images import compression
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.storage.images.archives import Archive, Member

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
        """Make the manifest of an image; raise VerificationError (rule 3)."""
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
        """Return a layer as it is to be pushed (rules 1 to 4)."""
        member = self._archive.find(name, links=True)
        if member is None:
            _malformed(self._archive, f"it lacks the layer {name[:100]}")
        kind = compression.kind_of(next(self._archive.pieces(member, 0), b""))
        if kind not in {"", "gzip"}:
            _malformed(self._archive, f"a layer in it is compressed with {kind}")
        packed = kind == "gzip"
        if member not in self._hashed:  # a layer may be listed twice (rule 4)
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
    """Return the configuration of an image (rule 3)."""
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
