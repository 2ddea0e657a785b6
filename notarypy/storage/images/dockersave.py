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
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, NoReturn

from notarypy.errors import Advice, DigestMismatchError, MetadataError, UsageError
from notarypy.images import layout, manifests
from notarypy.images.layout import Descriptor
from notarypy.images.occurrences import normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.storage.images.archives import Archive, Member

LIST_FILE = "manifest.json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_GZIP = b"\x1f\x8b"
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"BZh": "bzip2"}
_PIECE = 1024 * 1024


class SavedImage:
    """One image of an archive, with the manifest `top`: content for `images.tree`."""

    def __init__(self, archive: Archive, name: str | None) -> None:
        """Find an image and make its manifest; raise UsageError, or VerificationError (rule 3)."""
        self._archive = archive
        self._members: dict[str, Member] = {}
        self._hashed: dict[Member, tuple[str, str]] = {}
        entry = _entry(archive, name)
        config, diffs = self._config(entry)
        names = entry.get("Layers")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            _malformed(archive, f"its {LIST_FILE} does not list the layers of the image")
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

    def _config(self, entry: dict[str, Any]) -> tuple[Descriptor, list[str]]:
        """Return the configuration and the digests of the uncompressed layers that it lists (rule 3)."""
        name = entry.get("Config")
        member = self._archive.find(name) if isinstance(name, str) else None
        if member is None or not isinstance(name, str):
            _malformed(self._archive, "it lacks the configuration of the image")
        data = self._archive.read(name, self._archive.limits.image_config_bytes)
        found = layout.of(data, _CONFIG)
        _same(_HEX.findall(name)[-1:], found.digest, name)
        self._members[found.digest] = member
        try:
            diffs = json.loads(data)["rootfs"]["diff_ids"]
        except (ValueError, KeyError, TypeError, RecursionError):
            diffs = None
        if not isinstance(diffs, list) or not all(
            isinstance(diff, str) and _DIGEST.fullmatch(diff) for diff in diffs
        ):
            _malformed(self._archive, "the configuration of the image does not list its layers")
        return found, diffs

    def _layer(self, name: str, diff: str) -> Descriptor:
        """Return a layer as it is to be pushed (rules 1 to 4)."""
        member = self._archive.find(name, links=True)
        if member is None:
            _malformed(self._archive, f"it lacks the layer {name[:100]}")
        begin = next(self._archive.pieces(member, 0), b"")
        other = next((kind for magic, kind in _OTHERS.items() if begin.startswith(magic)), None)
        if other is not None:
            _malformed(self._archive, f"a layer in it is compressed with {other}")
        packed = begin.startswith(_GZIP)
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
            for piece in _gunzip(pieces, own) if packed else pieces:
                plain.update(piece)
        except zlib.error:
            _malformed(self._archive, f"{name[:100]} cannot be uncompressed")
        return f"sha256:{plain.hexdigest()}", f"sha256:{(own if packed else plain).hexdigest()}"


def _gunzip(pieces: Iterator[bytes], packed: Any) -> Iterator[bytes]:  # noqa: ANN401 - hashlib's own type
    machine = zlib.decompressobj(wbits=31)
    for piece in pieces:
        packed.update(piece)
        left = piece
        while left:
            if machine.eof:
                machine = zlib.decompressobj(wbits=31)
            yield machine.decompress(left, _PIECE)
            left = machine.unused_data if machine.eof else machine.unconsumed_tail
    yield machine.flush()
    if not machine.eof:
        raise zlib.error("it ends too early")


def _entry(archive: Archive, name: str | None) -> dict[str, Any]:
    try:
        listed = json.loads(archive.read(LIST_FILE, archive.limits.manifest_bytes))
    except FileNotFoundError:
        _malformed(archive, f"it has no {LIST_FILE}: docker save did not write it")
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        _malformed(archive, f"its {LIST_FILE} is malformed")
    found = [entry for entry in listed if name is None or normal(name) in map(normal, _tags(entry))]
    if len(found) == 1:
        return dict(found[0])
    names = ", ".join(tag for entry in listed for tag in _tags(entry)) or "none"
    raise UsageError(
        f'{archive} has no image "{name}"' if name else f"{archive} has not exactly one image",
        why=f"it has {len(listed)}; names: {names[:500]}",
        advice=Advice("name-archive-image") if listed else None,
    )


def _tags(entry: dict[str, Any]) -> list[str]:
    tags = entry.get("RepoTags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _same(stated: list[str], actual: str, name: str) -> None:
    if stated and f"sha256:{stated[0]}" != actual:
        raise DigestMismatchError(
            "the archive has something else than it says",
            why=(f"{name[:100]} should be sha256:{stated[0]}", f"it is {actual}"),
            expected=f"sha256:{stated[0]}",
            actual=actual,
        )


def _malformed(archive: Archive, why: str) -> NoReturn:
    raise MetadataError(f"{archive} is not a usable archive", why=why, path=str(archive))
