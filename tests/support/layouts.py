"""Images on the disk, as other tools leave them: layouts, archives, what docker saves."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from notarypy.devserver import sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME = "org.opencontainers.image.ref.name"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def entry(media_type: str, data: bytes, /, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a descriptor of some content."""
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def image(
    *layers: bytes, config: bytes = b"{}", layer_type: str = OCI_LAYER, **more: object
) -> sample.Sample:
    """Return an image of one platform with exactly these layers."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": sample.MANIFEST,
        "config": entry(OCI_CONFIG, config),
        "layers": [entry(layer_type, layer) for layer in layers],
        **more,
    }
    return sample.Sample((config, *layers), (), compact(manifest), sample.MANIFEST)


def files(made: sample.Sample, *names: str, **annotations: str) -> dict[str, bytes]:
    """Return the files of a layout that has an image under some names."""
    listed = [entry(made.media_type, made.top, annotations={NAME: name, **annotations}) for name in names]
    found = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": compact({"schemaVersion": 2, "manifests": listed}),
    }
    for data in (*made.blobs, *made.manifests, made.top):
        found[f"blobs/{digest(data).replace(':', '/')}"] = data
    return found


def directory(path: Path, contents: Mapping[str, bytes]) -> Path:
    """Write files into a directory."""
    for name, data in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def archive(
    path: Path,
    contents: Mapping[str, bytes],
    links: Mapping[str, str] | None = None,
    style: int = tarfile.USTAR_FORMAT,
) -> Path:
    """Write a tar archive of files, and of symbolic links."""
    with tarfile.open(path, "w", format=style) as made:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            made.addfile(member)
    return path


def layout(path: Path, made: sample.Sample | None = None, name: str = "1") -> Path:
    """Write a layout with one image."""
    return directory(path, files(made or sample.make("an image"), name))


def saved(layers: Sequence[bytes], tags: Sequence[str] = ("app:1",), **config: object) -> dict[str, bytes]:
    """Return what docker saved before it knew OCI layouts."""
    told = compact({"os": "linux", "rootfs": {"diff_ids": [digest(each) for each in layers]}, **config})
    hexes = digest(told).removeprefix("sha256:")
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    listed = [{"Config": f"{hexes}.json", "RepoTags": list(tags), "Layers": names}]
    return {f"{hexes}.json": told, **dict(zip(names, layers, strict=True)), "manifest.json": compact(listed)}
