"""A small real image, and pushing it.

What it is: an OCI image with a text file in it, for as many platforms as wanted, the same bytes for the same
text. What it is not: a builder of images.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from notarypy.errors import ServerError
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST, digest_of
from notarypy.remote.http.messages import Request
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.remote.http.transport import Exchange

MANIFEST, INDEX = OCI_MANIFEST, OCI_INDEX
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLATFORMS = ("amd64", "arm64")


@dataclass(frozen=True)
class Sample:
    """Configurations and layers, the manifests that `top` names, and `top`: an index or a manifest."""

    blobs: tuple[bytes, ...]
    manifests: tuple[bytes, ...]
    top: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """The digest that a signature is about."""
        return digest_of(self.top)


def make(text: str, platforms: Sequence[str] = PLATFORMS) -> Sample:
    """Return an image with `text` in its only file: an index for several platforms, for one its manifest."""
    if isinstance(platforms, str):
        raise TypeError("platforms are several texts, not the letters of one")
    platforms = [one.removeprefix("linux/") for one in platforms]
    made = [_single(text, architecture) for architecture in platforms]
    blobs = tuple(blob for blobs, _ in made for blob in blobs)
    manifests = tuple(manifest for _, manifest in made)
    if len(manifests) == 1:
        return Sample(blobs, (), manifests[0], MANIFEST)
    named = {f"linux/{one}": (MANIFEST, made) for one, made in zip(platforms, manifests, strict=True)}
    return Sample(blobs, manifests, index(named), INDEX)


def index(images: Mapping[str, tuple[str, bytes]]) -> bytes:
    """Return an index of manifests, each with its media type, by platform: `os/architecture[/variant]`."""
    entries = []
    for name, (media_type, manifest) in images.items():
        parts = name.split("/") if "/" in name else ["linux", name]
        platform = dict(zip(("os", "architecture", "variant"), parts, strict=False))
        entries.append({**_entry(media_type, manifest), "platform": platform})
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def push(exchange: Exchange, registry: str, name: str, tag: str, sample: Sample) -> str:
    """Upload an image to a registry, by the URL of that, and return its digest."""
    base = f"{registry}/v2/{quote(name)}"
    scope = f"repository:{name}:pull,push"

    def send(method: str, url: str, body: bytes, media_type: str = "application/octet-stream") -> None:
        response = exchange.send(Request(method, url, {"Content-Type": media_type}, body), scope=scope)
        if not response.is_success:
            raise ServerError(f"{registry} did not take {name}", status=response.status)

    for blob in sample.blobs:
        send("POST", f"{base}/blobs/uploads/?digest={quote(digest_of(blob))}", blob)
    for manifest in sample.manifests:
        send("PUT", f"{base}/manifests/{digest_of(manifest)}", manifest, MANIFEST)
    send("PUT", f"{base}/manifests/{quote(tag)}", sample.top, sample.media_type)
    return sample.digest


def _single(text: str, architecture: str) -> tuple[tuple[bytes, bytes], bytes]:
    archive = _archive("hello.txt", f"{text}\n".encode())
    layer = gzip.compress(archive, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [digest_of(archive)]}
    config = _json({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs})
    entries = {"config": _entry(CONFIG, config), "layers": [_entry(LAYER, layer)]}
    return (config, layer), _json({"schemaVersion": 2, "mediaType": MANIFEST, **entries})


def _archive(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def _entry(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
