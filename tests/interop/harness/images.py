"""Tiny images, pushed over a registry's HTTP API with nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import ssl
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interop.harness import services

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = {DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json"}
_LAYER = {DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip"}
_ANY = f"{DOCKER_MANIFEST}, {OCI_MANIFEST}, {OCI_INDEX}"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def archive(text: str) -> bytes:
    """Return a tar file with a text file in it: the files of a small image."""
    buffer, content = io.BytesIO(), text.encode()
    with tarfile.open(fileobj=buffer, mode="w") as writer:
        entry = tarfile.TarInfo("text")
        entry.size = len(content)
        writer.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry holds it."""

    media_type: str
    body: bytes

    @property
    def sha256(self) -> str:
        """The digest's 64 hex digits."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def digest(self) -> str:
        """The digest as references write it."""
        return f"sha256:{self.sha256}"

    @property
    def size(self) -> int:
        """What a signature records as length."""
        return len(self.body)


def repository(registry: services.Endpoint, path: str) -> Repository:
    """Return a repository of a registry whose CA is trusted."""
    tls = None if registry.ca is None else ssl.create_default_context(cafile=str(registry.ca))
    return Repository(registry, path, tls)


@dataclass(frozen=True)
class Repository:
    """One repository of a registry, which is one GUN of a Notary server."""

    registry: services.Endpoint
    path: str
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The repository as a user writes it."""
        return f"{self.registry.host}/{self.path}"

    def ref(self, tag: str) -> str:
        """Return the reference of a tag."""
        return f"{self.name}:{tag}"

    def pinned(self, manifest: Manifest) -> str:
        """Return the reference by digest, as `verify` prints it."""
        return f"{self.name}@{manifest.digest}"

    def push(
        self, tag: str, content: str = "", media_type: str = DOCKER_MANIFEST, architecture: str = "amd64"
    ) -> Manifest:
        """Push an image of one platform that a daemon can load; other content gives another digest."""
        files = archive(f"layer of {tag} {content}")
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(files).hexdigest()}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self.put_blob(json.dumps(config).encode(), _CONFIG.get(media_type, OCI_CONFIG)),
            "layers": [self.put_blob(gzip.compress(files, mtime=0), _LAYER.get(media_type, _OCI_LAYER))],
        }
        return self.put(tag, media_type, manifest)

    def push_index(self, tag: str) -> Manifest:
        """Push an image index of two platforms."""
        entries = []
        for architecture in ("amd64", "arm64"):
            child = self.push(f"{tag}-{architecture}", architecture, OCI_MANIFEST, architecture)
            entries.append(
                {
                    "mediaType": child.media_type,
                    "digest": child.digest,
                    "size": child.size,
                    "platform": {"architecture": architecture, "os": "linux"},
                }
            )
        return self.put(tag, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})

    def tag(self, manifest: Manifest, tag: str) -> None:
        """Give an image that is here one more tag."""
        self._request("PUT", f"/v2/{self.path}/manifests/{tag}", manifest.body, manifest.media_type)

    def put(self, tag: str, media_type: str, document: dict[str, Any]) -> Manifest:
        """Push a manifest, or an index, as this document says it."""
        manifest = Manifest(media_type, json.dumps(document, indent=3).encode())
        self.tag(manifest, tag)
        return manifest

    def put_blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Push a blob and return the descriptor that manifests have of it."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        location = self._request("POST", f"/v2/{self.path}/blobs/uploads/", b"", "")
        separator = "&" if "?" in location else "?"
        self._request("PUT", f"{location}{separator}digest={digest}", data, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def manifest(self, reference: str) -> bytes:
        """Return the manifest that is at a tag or has a digest."""
        return self._send("GET", f"/v2/{self.path}/manifests/{reference}", b"", {"Accept": _ANY})[1]

    def has(self, tag: str) -> bool:
        """Return whether something is at a tag."""
        try:
            self.manifest(tag)
        except AssertionError:
            return False
        return True

    def tags(self) -> list[str]:
        """Return all tags."""
        listed: list[str] = json.loads(self._send("GET", f"/v2/{self.path}/tags/list", b"", {})[1])["tags"]
        return listed

    def blob(self, digest: str) -> bytes:
        """Return a blob."""
        return self._send("GET", f"/v2/{self.path}/blobs/{digest}", b"", {})[1]

    def _request(self, method: str, target: str, body: bytes, content_type: str) -> str:
        """Send a request that must succeed and return the Location it answers with."""
        headers = {"Content-Type": content_type} if content_type else {}
        return self._send(method, target, body, headers)[0].get("Location", "")

    def _send(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """Send a request that must succeed and return the answer."""
        if self.login is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(':'.join(self.login).encode()).decode()}"
        if self.tls is None:
            connection = http.client.HTTPConnection(self.registry.host, timeout=30)
        else:
            connection = http.client.HTTPSConnection(self.registry.host, timeout=30, context=self.tls)
        with contextlib.closing(connection):
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status in {200, 201, 202}, f"{method} {target}: {response.status} {text!r}"
            return response.headers, text
