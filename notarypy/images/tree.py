"""A whole image: the named manifest or index, all that it names, each once.

What it is: the walk from a digest down to blobs, the bytes of every manifest checked on the way. What it is
not: it fetches nothing; `read` is a parameter, and blobs are only named.

Rules:

1. The bytes of every manifest have the digest and the size that its descriptor says.
2. Content that is named twice is named with the same size and, for manifests, the same type.
3. Depth, number and size are limited: a small index cannot make for endless work.
4. A `subject` is another image, and no part of this one.
5. What BuildKit attests is stored with an image, and no platform runs it: it is not listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from notarypy.errors import Advice, MetadataError, UsageError
from notarypy.images import layout, manifests, platforms
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.images.layout import Descriptor

    Read = Callable[[Descriptor], bytes]

_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")


@dataclass(frozen=True)
class Node:
    """A manifest or index with its bytes."""

    descriptor: Descriptor
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Tree:
    """An image: the manifest or index that names it, and those `below`, each after what it names.

    Blobs are in the order in which they were first named, and nothing carries those that are `foreign`.
    Platforms are those of the top, then those of the indexes in it.
    """

    top: Node
    below: tuple[Node, ...]
    blobs: tuple[Descriptor, ...]
    foreign: tuple[Descriptor, ...]
    platforms: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


def grow(top: Descriptor, read: Read, limits: Limits = DEFAULT) -> Tree:
    """Return the image that the descriptor of a manifest or index names; what `read` returns is checked."""
    grower = _Grower(read, limits)
    data = grower.bytes_of(top)
    kind = manifests.read(data, top.media_type, limits)
    grower.walk(top, data, 0)
    blobs = grower.blobs.values()
    return Tree(
        Node(top, data),
        tuple(node for digest, node in grower.nodes.items() if digest != top.digest),
        tuple(blob for blob in blobs if not blob.is_foreign),
        tuple(blob for blob in blobs if blob.is_foreign),
        tuple(dict.fromkeys((*kind.platforms, *grower.platforms))),
    )


def listed(top: Descriptor, data: bytes, read: Read, limits: Limits = DEFAULT) -> tuple[Descriptor, ...]:
    """Return what is below an index with these checked bytes; indexes alone are read (rule 5)."""
    grower, found = _Grower(read, limits), {top.digest: top}
    waiting = [(top, data, 0)]
    for one, of_it, depth in waiting:
        for child in grower.links(one, of_it, depth).manifests:
            if child.annotations.get(_ATTESTATION[0]) == _ATTESTATION[1]:
                continue
            known = found.setdefault(child.digest, child)
            _agree(known, child)
            if len(found) > limits.image_manifests:
                raise _beyond(f"it has more than {limits.image_manifests} manifests")
            if known is child and child.media_type in manifests.INDEXES:
                waiting.append((child, grower.bytes_of(child), depth + 1))
    return tuple(found.values())[1:]


def choose(
    top: Descriptor, data: bytes, platform: str, limits: Limits = DEFAULT
) -> tuple[Descriptor, tuple[str, ...]]:
    """Return the entry of an index for one platform, and the platforms that are left out.

    `data` are the bytes of `top`, checked; `platform` has a variant where it is not clear without.
    UsageError: it is no index, or has none or several for this platform.
    """
    platform = platforms.completed(platform)
    listed = layout.links(data, top.media_type, limits).manifests
    entries = [entry for entry in listed if entry.platform]
    exact = [entry for entry in entries if entry.platform == platform]
    usual = platforms.normal(platform)
    exact = exact or [entry for entry in entries if platforms.normal(entry.platform) == usual]
    found = exact or [entry for entry in entries if entry.platform.startswith(f"{platform}/")]
    if len(found) != 1:
        there = ", ".join(entry.platform for entry in entries) or "none: it is a single image"
        what = f"the image has {'several entries' if found else 'nothing'} for {platform}"
        advice = Advice("name-its-platform")
        raise UsageError(what, why=f"its platforms: {there}", advice=advice, platform=platform)
    return found[0], tuple(entry.platform for entry in entries if entry is not found[0])


def config_of(top: Descriptor, data: bytes, limits: Limits = DEFAULT) -> Descriptor | None:
    """Return the configuration of a single image, which tells its platform; None for an index."""
    named = layout.links(data, top.media_type, limits)
    small = [blob for blob in named.blobs[:1] if blob.size <= limits.image_config_bytes]
    is_index = named.manifests or manifests.read(data, top.media_type, limits).is_index
    return None if is_index or not small else small[0]


def check_single(config: bytes, platform: str, limits: Limits = DEFAULT) -> None:
    """Raise UsageError for a single image that is of another platform than was asked for."""
    try:
        found = manifests.platform_of({"platform": manifests.decode(config, limits.image_config_bytes)})
    except MetadataError:
        found = ""
    platform = platforms.completed(platform)
    same = platforms.normal(found) == platforms.normal(platform)
    if not same and not found.startswith(f"{platform}/"):
        why = f"it is a single image of {found or 'no platform'}"
        what, advice = f"the image has nothing for {platform}", Advice("name-its-platform")
        raise UsageError(what, why=why, advice=advice, platform=platform)


class _Grower:
    """The walk, and what it has found so far."""

    def __init__(self, read: Read, limits: Limits) -> None:
        self._read, self._limits = read, limits
        self._bytes = 0
        self.nodes: dict[str, Node] = {}
        self.blobs: dict[str, Descriptor] = {}
        self.platforms: list[str] = []

    def bytes_of(self, descriptor: Descriptor) -> bytes:
        """Return the checked bytes of a manifest (rules 1 and 3)."""
        limits = self._limits
        if descriptor.size > limits.manifest_bytes:
            raise _beyond(f"a manifest has {descriptor.size} bytes, more than {limits.manifest_bytes}")
        self._bytes += descriptor.size
        if self._bytes > limits.image_manifests_bytes:
            raise _beyond(f"its manifests have more than {limits.image_manifests_bytes} bytes together")
        return descriptor.check(self._read(descriptor))

    def links(self, descriptor: Descriptor, data: bytes, depth: int) -> layout.Links:
        """Return what a manifest names, if it is not too deep (rule 3)."""
        if depth > self._limits.index_levels:
            raise _beyond(f"indexes are nested more than {self._limits.index_levels} deep")
        return layout.links(data, descriptor.media_type, self._limits)

    def walk(self, descriptor: Descriptor, data: bytes, depth: int) -> None:
        """Note what a manifest names, and then itself."""
        limits, named = self._limits, self.links(descriptor, data, depth)
        self.platforms += [child.platform for child in named.manifests if child.platform]
        for child in named.manifests:
            known = self.nodes.get(child.digest)
            if known is None:
                self.walk(child, self.bytes_of(child), depth + 1)
            else:
                _agree(known.descriptor, child)
        for blob in named.blobs:
            known_blob = self.blobs.setdefault(blob.digest, blob)
            _agree(known_blob, blob)
            if known_blob.is_foreign and not blob.is_foreign:
                self.blobs[blob.digest] = blob
        self.nodes[descriptor.digest] = Node(descriptor, data)
        most, blobs = limits.image_manifests, limits.image_blobs
        if len(self.nodes) > most or len(self.blobs) > blobs:
            raise _beyond(f"it has more than {most} manifests or {blobs} blobs")


def _agree(one: Descriptor, other: Descriptor) -> None:
    """Check that two descriptors of the same content do not contradict each other (rule 2)."""
    same_type = one.media_type == other.media_type or not one.is_manifest
    if one.size != other.size or not same_type:
        why = f"{one.digest}: {one.media_type}, {one.size} bytes; {other.media_type}, {other.size} bytes"
        raise MetadataError("the image names the same content in two ways", why=why)


def _beyond(why: str) -> MetadataError:
    return MetadataError("the image is beyond the limits", why=why)
