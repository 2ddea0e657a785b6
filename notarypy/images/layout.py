"""Descriptors, and what manifests, indexes and OCI image layouts say with them.

What it is: JSON in, checked values out. What it is not: it reads no file, asks no registry and hashes no
blob; `tree` puts whole images together.

Rules:

1. A descriptor names content by type, digest and size. A `data` member must be that very content.
2. A manifest or index is what its media type says, one of `manifests.ACCEPT` or the artifact manifest that
   OCI once had. Anything else that an index lists is a blob.
3. A layer that is not to be distributed and names URLs is foreign: nothing here carries it, and nothing
   fetches it. Every other layer is ordinary, URLs or not.
4. A layout says version 1. Its index may list a name several times: docker and containerd write the tag
   alone, without the repository. A name is only given to an image where it stands for one image at most.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from notarypy.errors import Advice, AlreadyExistsError, DigestMismatchError, MetadataError
from notarypy.images import manifests
from notarypy.images.manifests import malformed
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, field, replace

ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
NAME = "org.opencontainers.image.ref.name"
LAYOUT_FILE, INDEX_FILE = "oci-layout", "index.json"
LAYOUT_TEXT = b'{"imageLayoutVersion":"1.0.0"}'

_MANIFESTS = frozenset({*manifests.ACCEPT, ARTIFACT})
_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.",
    "application/vnd.oci.image.layer.nondistributable.",
)
_ORIGIN = "containerd.io/distribution.source."
_REPOSITORY = re.compile(r"(?=.{1,255}\Z)[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*")


@dataclass(frozen=True)
class Descriptor:
    """What names some content by type, digest and number of bytes (rule 1).

    The platform is `os/architecture[/variant]`, or "" for what is for none; `urls` say where foreign layers
    are. `artifact_type` is what a manifest says to be if it is no image, "" where nothing says so.
    """

    media_type: str
    digest: str
    size: int
    platform: str = ""
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)
    artifact_type: str = field(default="", compare=False)

    @property
    def name(self) -> str | None:
        """The name that a layout gives it."""
        return self.annotations.get(NAME)

    @property
    def is_manifest(self) -> bool:
        """Whether it is a manifest or an index, not a blob (rule 2)."""
        return self.media_type in _MANIFESTS

    @property
    def is_foreign(self) -> bool:
        """Whether nothing is to carry it (rule 3)."""
        return bool(self.urls) and self.media_type.startswith(_FOREIGN)

    def origins(self, registry: str, limits: Limits = DEFAULT) -> tuple[str, ...]:
        """Return the repositories of a registry that it is said to be in, as containerd notes them.

        Each is asked for with our login, so that whoever wrote the manifest gets few, and names alone.
        """
        noted = filter(_REPOSITORY.fullmatch, self.annotations.get(_ORIGIN + registry, "").split(","))
        return tuple(islice(noted, limits.blob_origins))

    def to_json(self) -> dict[str, Any]:
        """Return it as an index lists it, without what only its own index knows."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    def check(self, data: bytes) -> bytes:
        """Return the content if it is what this names; raise DigestMismatchError if it is not."""
        actual = digest_like(self.digest, data)
        if len(data) != self.size or actual != self.digest:
            raise differs(self, actual, len(data))
        return data


@dataclass(frozen=True)
class Links:
    """What a manifest or index names."""

    manifests: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]


def differs(wanted: Descriptor, digest: str, size: int) -> DigestMismatchError:
    """Return the error for content that is not what a descriptor names."""
    message = "content is not what its manifest says"
    why = (f"wanted: {wanted.digest}, {wanted.size} bytes", f"found: {digest}, {size} bytes")
    return DigestMismatchError(message, why=why, expected=wanted.digest, actual=digest)


def digest_like(digest: str, data: bytes) -> str:
    """Return the digest of data by the algorithm of another digest."""
    algorithm = digest.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def of(data: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of some content."""
    return Descriptor(media_type, manifests.digest_of(data), len(data))


def links(data: bytes, media_type: str, limits: Limits = DEFAULT) -> Links:
    """Return what a manifest or index of a type that `Descriptor.is_manifest` knows names."""
    if media_type == ARTIFACT:
        artifact = manifests.decode(data, limits.manifest_bytes)
        if artifact.get("mediaType") != ARTIFACT or not isinstance(artifact.get("blobs", []), list):
            malformed("it is not the artifact manifest that it is said to be")
        return Links((), _descriptors(artifact.get("blobs", []), "blobs"))
    found = manifests.read(data, media_type, limits)
    document = json.loads(data)
    if not found.is_index:
        return Links((), _descriptors([document["config"], *(document["layers"] or ())], "manifest"))
    entries = _descriptors(document["manifests"] or (), "manifests")
    if any(entry.media_type.startswith(manifests.SCHEMA_1) for entry in entries):
        malformed("the index lists an image of the old manifest format, schema 1")
    listed = tuple(entry for entry in entries if entry.is_manifest)
    return Links(listed, tuple(entry for entry in entries if not entry.is_manifest))


def blob_name(digest: str) -> str:
    """Return where a layout has some content."""
    return f"blobs/{digest.replace(':', '/')}"


def read_index(data: bytes, limits: Limits = DEFAULT) -> tuple[Descriptor, ...]:
    """Return the entries of a layout's `index.json`; raise MetadataError if it is none (rule 4)."""
    try:
        document = manifests.decode(data, limits.manifest_bytes)
        listed = manifests.listed(document, "manifests")
        if document.get("schemaVersion") != 2 or listed is None:  # noqa: PLR2004 - the one there is
            malformed("schemaVersion is not 2, or there is no list of manifests")
        entries = _descriptors(listed, "manifests")
    except MetadataError as error:
        message, why = "this is not an OCI image layout", ("its index.json:", *error.why)
        raise MetadataError(message, why=why, advice=Advice("make-anew-with-writer")) from None
    return entries


def check_layout(data: bytes) -> None:
    """Raise MetadataError unless a file says that its folder or archive is a layout (rule 4)."""
    try:
        version = manifests.decode(data).get("imageLayoutVersion")
    except MetadataError:
        version = None
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        message, why = "this is not an OCI image layout", "its oci-layout does not say version 1"
        raise MetadataError(message, why=why, advice=Advice("check-source"))


def with_entry(index: bytes | None, entry: Descriptor, name: str, limits: Limits = DEFAULT) -> bytes:
    """Return a layout's `index.json` in which a name stands for an entry; others stay as they are."""
    document: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
    if index is not None:
        if len({old.digest for old in read_index(index, limits) if old.name == name}) > 1:
            why = f"several images in it are called {name}"
            raise AlreadyExistsError("the name cannot be given", why=why, advice=Advice("choose-other-name"))
        document = json.loads(index)
    kept = [old for old in document["manifests"] or () if (old.get("annotations") or {}).get(NAME) != name]
    document["manifests"] = [*kept, {**entry.to_json(), "annotations": {NAME: name}}]
    return manifests.encode(document)


def index_of(entries: Iterable[tuple[Descriptor, str]]) -> bytes:
    """Return the `index.json` of a new layout, with the name of each image."""
    listed = [{**entry.to_json(), "annotations": {NAME: name}} for entry, name in entries]
    return json.dumps({"schemaVersion": 2, "manifests": listed}, separators=(",", ":")).encode()


def _descriptors(entries: Sequence[object], where: str) -> tuple[Descriptor, ...]:
    return tuple(descriptor(entry, where) for entry in entries)


def descriptor(value: object, where: str) -> Descriptor:
    """Return the descriptor that a JSON value is; raise MetadataError if it is none (rule 1)."""
    manifests.check_descriptor(value, where)
    assert isinstance(value, dict)  # noqa: S101 - just checked; this tells the type checker
    urls, annotations, data = value.get("urls"), value.get("annotations"), value.get("data")
    if urls is not None and not (isinstance(urls, list) and _are_texts(urls)):
        malformed(f"urls in {where} are not a list of texts")
    if annotations is not None and not (isinstance(annotations, dict) and _are_texts(annotations.values())):
        malformed(f"annotations in {where} are not texts by name")
    found = Descriptor(value["mediaType"], value["digest"], value["size"], manifests.platform_of(value))
    artifact_type = value.get("artifactType")
    found = replace(
        found,
        urls=tuple(urls or ()),
        annotations=annotations or {},
        artifact_type=artifact_type if isinstance(artifact_type, str) else "",
    )
    if data is not None:
        try:
            content = b64decode(data if isinstance(data, str) else "?", validate=True)
        except ValueError:
            malformed(f"data in {where} is not base64")
        found.check(content)
    return found


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(text, str) for text in values)
