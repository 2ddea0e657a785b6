"""The registry: as much of the distribution interface as pushing and reading an image takes.

What it is: manifests by tag and digest, blobs, uploads in one or many pieces, tags.
What it is not: storage of anything real; it lives in memory.

Rules:

1. What is stored under a digest has that digest.
2. A manifest's media type is the content type it was pushed with, byte for byte what came.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.devserver.wire import Call, Refused, Routes, json_response
from notarypy.remote.transport import Response

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = r"/v2/(?P<name>[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*)"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"sha256:[a-f0-9]{64}"
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Pushed:
    """A manifest as it was pushed."""

    media_type: str
    data: bytes


class RegistryService:
    """A registry without a network."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Start empty, with upload ids from `random(size)`."""
        self._random = random
        self._manifests: dict[tuple[str, str], Pushed] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._uploads: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self._routes = Routes()
        manifest = f"{_NAME}/manifests/(?P<reference>{_TAG}|{_DIGEST})"
        blob = f"{_NAME}/blobs/(?P<digest>{_DIGEST})"
        upload = f"{_NAME}/blobs/uploads/(?P<upload>[a-f0-9]+)"
        for method, pattern, handler in (
            ("GET", "/v2/", self._ping),
            ("GET", f"{_NAME}/tags/list", self._list),
            ("GET", manifest, self._manifest),
            ("HEAD", manifest, self._manifest),
            ("PUT", manifest, self._put_manifest),
            ("DELETE", manifest, self._delete_manifest),
            ("GET", blob, self._blob),
            ("HEAD", blob, self._blob),
            ("POST", f"{_NAME}/blobs/uploads/", self._begin),
            ("PATCH", upload, self._append),
            ("PUT", upload, self._finish),
        ):
            self._routes.add(method, pattern, handler)

    def handle(self, call: Call) -> Response:
        """Return the answer to a call."""
        try:
            with self._lock:
                return self._routes.answer(call) or Response(404)
        except Refused as refused:
            return refused.response()

    def push(self, repository: str, tag: str, manifest: bytes, media_type: str) -> str:
        """Store a manifest under a tag, without looking into it, and return its digest."""
        with self._lock:
            return self._keep(repository, tag, Pushed(media_type, manifest))

    def put_blob(self, repository: str, data: bytes) -> str:
        """Store a blob and return its digest."""
        with self._lock:
            self._blobs[repository, _digest(data)] = data
        return _digest(data)

    def _keep(self, name: str, reference: str, pushed: Pushed) -> str:
        digest = _digest(pushed.data)
        self._manifests[name, digest] = pushed
        tags = self._tags.setdefault(name, {})
        if reference != digest:
            tags[reference] = digest
        return digest

    # -- manifests and tags

    def _ping(self, _call: Call) -> Response:
        return json_response({}, headers={"docker-distribution-api-version": "registry/2.0"})

    def _list(self, _call: Call, name: str) -> Response:
        if name not in self._tags:
            raise _unknown("NAME_UNKNOWN", "repository name not known to registry", name=name)
        return json_response({"name": name, "tags": sorted(self._tags[name])})

    def _manifest(self, _call: Call, name: str, reference: str) -> Response:
        digest = self._tags.get(name, {}).get(reference, reference)
        pushed = self._manifests.get((name, digest))
        if pushed is None:
            raise _unknown("MANIFEST_UNKNOWN", "manifest unknown", reference=reference)
        return Response(200, _described(pushed.data, pushed.media_type), pushed.data)

    def _put_manifest(self, call: Call, name: str, reference: str) -> Response:
        try:
            json.loads(call.body)
        except ValueError:
            raise Refused(400, "MANIFEST_INVALID", "manifest invalid", {}) from None
        if ":" in reference and reference != _digest(call.body):
            raise _digest_invalid(reference)
        digest = self._keep(name, reference, Pushed(call.headers.get("content-type", ""), call.body))
        location = f"{call.base}/v2/{name}/manifests/{digest}"
        return Response(201, {"location": location, "docker-content-digest": digest})

    def _delete_manifest(self, _call: Call, name: str, reference: str) -> Response:
        if self._manifests.pop((name, reference), None) is None:
            raise _unknown("MANIFEST_UNKNOWN", "manifest unknown", reference=reference)
        kept = {tag: digest for tag, digest in self._tags[name].items() if digest != reference}
        self._tags[name] = kept
        return Response(202)

    # -- blobs

    def _blob(self, _call: Call, name: str, digest: str) -> Response:
        data = self._blobs.get((name, digest))
        if data is None:
            raise _unknown("BLOB_UNKNOWN", "blob unknown to registry", digest=digest)
        return Response(200, _described(data, _OCTETS), data)

    def _begin(self, call: Call, name: str) -> Response:
        if "digest" in call.query:
            return self._keep_blob(call, name, call.body)
        upload = self._random(16).hex()
        self._uploads[upload] = b""
        return self._progress(call, name, upload)

    def _append(self, call: Call, name: str, upload: str) -> Response:
        self._uploads[upload] = self._uploaded(upload) + call.body
        return self._progress(call, name, upload)

    def _finish(self, call: Call, name: str, upload: str) -> Response:
        answer = self._keep_blob(call, name, self._uploaded(upload) + call.body)
        del self._uploads[upload]
        return answer

    def _keep_blob(self, call: Call, name: str, data: bytes) -> Response:
        digest = call.query.get("digest", "")
        if digest != _digest(data):
            raise _digest_invalid(digest)
        self._blobs[name, digest] = data
        location = f"{call.base}/v2/{name}/blobs/{digest}"
        return Response(201, {"location": location, "docker-content-digest": digest})

    def _uploaded(self, upload: str) -> bytes:
        if upload not in self._uploads:
            raise _unknown("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        return self._uploads[upload]

    def _progress(self, call: Call, name: str, upload: str) -> Response:
        end = max(len(self._uploads[upload]) - 1, 0)
        location = f"{call.base}/v2/{name}/blobs/uploads/{upload}"
        return Response(202, {"location": location, "range": f"0-{end}", "docker-upload-uuid": upload})


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _described(data: bytes, media_type: str) -> dict[str, str]:
    length = str(len(data))
    return {"content-type": media_type, "content-length": length, "docker-content-digest": _digest(data)}


def _unknown(code: str, message: str, **detail: str) -> Refused:
    return Refused(404, code, message, detail)


def _digest_invalid(digest: str) -> Refused:
    text = "provided digest did not match uploaded content"
    return Refused(400, "DIGEST_INVALID", text, {"digest": digest})
