"""The registry: as much of the distribution interface as pushing and reading images takes.

What it is: manifests by tag and digest, what refers to them, blobs, uploads in one or many pieces, mounts,
deletion, lists. What it is not: a check of images; what a manifest names may be missing.

Rules:

1. What is stored under a digest has that digest.
2. A manifest's media type is the content type it was pushed with, byte for byte what came.
3. Pieces of an upload come in order, and only the whole upload becomes a blob.
4. Of a blob the rest can be had too: a range with a beginning and maybe an end, as real registries serve it.
5. A manifest that names a subject is in the list of what refers to it as long as it is there, whether the
   subject is there or not; whoever pushed it hears of that by `OCI-Subject`. Without the list (`referrers`)
   it is a manifest like any other, and the list's place is 404 as text, as of docker's registry.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from notarypy.devserver.calls import Call, Refused, Routes, json_response
from notarypy.devserver.stores import ImageStore, StoredManifest
from notarypy.errors import MetadataError, VerificationError
from notarypy.images import manifests, referrerlist
from notarypy.images.manifests import digest_of
from notarypy.remote.http.messages import Response
from notarypy.values import replace

_NAME = r"/v2/(?P<name>[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*)"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"sha256:[a-f0-9]{64}"
_VERSION = {"docker-distribution-api-version": "registry/2.0"}
_OCTETS = "application/octet-stream"


class RegistryService:
    """A registry without a network.

    Attributes:
        images: Everything that was pushed.
        referrers: Whether to list what refers to an image (rule 5).
        page: How many of those one answer lists.
    """

    def __init__(self, random: Callable[[int], bytes], images: ImageStore | None = None) -> None:
        """Serve what `images` holds (None: nothing yet), with upload ids from `random(size)`."""
        self.images = images or ImageStore()
        self.referrers, self.page = True, 100
        self._random = random
        self._uploads: dict[str, bytearray] = {}
        self._lock = threading.RLock()
        manifest = f"{_NAME}/manifests/(?P<reference>{_TAG}|{_DIGEST})"
        blob = f"{_NAME}/blobs/(?P<digest>{_DIGEST})"
        upload = f"{_NAME}/blobs/uploads/(?P<upload>[a-f0-9]+)"
        self._routes = Routes(
            ("GET", "/v2/", lambda _: json_response({}, headers=_VERSION)),
            ("GET", "/v2/_catalog", self._catalog),
            ("GET", f"{_NAME}/tags/list", self._list),
            ("GET HEAD", manifest, self._manifest),
            ("PUT", manifest, self._put_manifest),
            ("DELETE", manifest, self._delete_manifest),
            ("GET", f"{_NAME}/referrers/(?P<digest>[^/]+)", self._referrers),
            ("GET HEAD", blob, self._blob),
            ("DELETE", blob, self._delete_blob),
            ("POST", f"{_NAME}/blobs/uploads/", self._begin),
            ("GET", upload, self._status),
            ("PATCH", upload, self._append),
            ("PUT", upload, self._finish),
            ("DELETE", upload, self._cancel),
        )

    def handle(self, call: Call) -> Response:
        """Return the answer to a call."""
        try:
            with self._lock:
                return self._routes.answer(call) or Response(405 if self._routes.known(call.path) else 404)
        except Refused as refused:
            return refused.response

    def push(self, repository: str, tag: str, manifest: bytes, media_type: str) -> str:
        """Store a manifest under a tag, without looking into it, and return its digest."""
        with self._lock:
            return self._store_manifest(repository, tag, StoredManifest(media_type, manifest))

    def put_blob(self, repository: str, data: bytes) -> str:
        """Store a blob and return its digest."""
        digest = digest_of(data)
        with self._lock:
            self.images.put_blob(repository, digest, data)
        return digest

    def _store_manifest(self, name: str, reference: str, pushed: StoredManifest) -> str:
        digest = digest_of(pushed.data)
        self.images.put_manifest(name, digest, pushed, None if reference == digest else reference)
        return digest

    # -- manifests and tags

    def _catalog(self, call: Call) -> Response:
        page, headers = _page(call, self.images.names())
        return json_response({"repositories": page}, headers=headers)

    def _list(self, call: Call, name: str) -> Response:
        if name not in self.images.names():
            raise _unknown("NAME_UNKNOWN", "repository name not known to registry", name=name)
        page, headers = _page(call, sorted(self.images.tags(name)))
        return json_response({"name": name, "tags": page}, headers=headers)

    def _manifest(self, _call: Call, name: str, reference: str) -> Response:
        pushed = self.images.manifest(name, self.images.tags(name).get(reference, reference))
        if pushed is None:
            raise _unknown("MANIFEST_UNKNOWN", "manifest unknown", reference=reference)
        return Response(200, _described(pushed.data, pushed.media_type), pushed.data)

    def _put_manifest(self, call: Call, name: str, reference: str) -> Response:
        media_type = call.headers.get("content-type", "")
        _require_manifest(call.body, media_type)
        if ":" in reference:
            _require_digest(reference, call.body)
        subject = _subject(call.body) if self.referrers else ""
        digest = self._store_manifest(name, reference, StoredManifest(media_type, call.body))
        answer = _created(f"{call.base}/v2/{name}/manifests/{digest}", digest)
        return replace(answer, headers={**answer.headers, "oci-subject": subject}) if subject else answer

    def _delete_manifest(self, _call: Call, name: str, reference: str) -> Response:
        if reference in self.images.tags(name):
            self.images.delete_tag(name, reference)
        elif self.images.manifest(name, reference) is None:
            raise _unknown("MANIFEST_UNKNOWN", "manifest unknown", reference=reference)
        else:
            self.images.delete_manifest(name, reference)
        return Response(202)

    def _referrers(self, call: Call, name: str, digest: str) -> Response:
        if not self.referrers:
            return Response(404, {"content-type": "text/plain; charset=utf-8"}, b"404 page not found\n")
        if not manifests.is_digest(digest):
            raise Refused(400, "DIGEST_INVALID", "invalid digest", {"digest": digest})
        if name not in self.images.names():
            raise _unknown("NAME_UNKNOWN", "repository name not known to registry", name=name)
        pushed = (self.images.manifest(name, known) for known in self.images.referrers(name, digest))
        entries = [referrerlist.entry_of(one.data, one.media_type) for one in pushed if one]
        wanted = call.query.get("artifactType", "")
        listed = {entry.digest: entry for entry in entries if wanted in ("", entry.artifact_type)}
        page, headers = _page(replace(call, query={"n": str(self.page), **call.query}), sorted(listed))
        index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": []}
        index["manifests"] = [referrerlist.entry_json(listed[digest]) for digest in page]
        headers |= {"oci-filters-applied": "artifactType"} if wanted else {}
        return json_response(index, headers={**headers, "content-type": manifests.OCI_INDEX})

    # -- blobs

    def _blob(self, call: Call, name: str, digest: str) -> Response:
        data = self._known_blob(name, digest)
        wanted = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", call.headers.get("range", ""))
        if wanted is None:
            return Response(200, _described(data, _OCTETS), data)
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        if first > last:
            return Response(416, {"content-range": f"bytes */{len(data)}"})
        part = data[first : last + 1]
        span = {"content-range": f"bytes {first}-{last}/{len(data)}", "content-length": str(len(part))}
        return Response(206, {**_described(data, _OCTETS), **span}, part)

    def _delete_blob(self, _call: Call, name: str, digest: str) -> Response:
        self._known_blob(name, digest)
        self.images.delete_blob(name, digest)
        return Response(202)

    def _known_blob(self, name: str, digest: str) -> bytes:
        data = self.images.blob(name, digest)
        if data is None:
            raise _unknown("BLOB_UNKNOWN", "blob unknown to registry", digest=digest)
        return data

    def _begin(self, call: Call, name: str) -> Response:
        if "digest" in call.query:
            _require_digest(call.query["digest"], call.body)
            return self._store_blob(call, name, call.body)
        mounted = self.images.blob(call.query.get("from", ""), call.query.get("mount", ""))
        if mounted is not None:
            return self._store_blob(call, name, mounted)
        upload = self._random(16).hex()
        self._uploads[upload] = bytearray()
        return self._progress(call, name, upload, 202)

    def _status(self, call: Call, name: str, upload: str) -> Response:
        self._uploaded(upload)
        return self._progress(call, name, upload, 204)

    def _append(self, call: Call, name: str, upload: str) -> Response:
        self._extend(call, self._uploaded(upload))
        return self._progress(call, name, upload, 202)

    def _finish(self, call: Call, name: str, upload: str) -> Response:
        uploaded = self._uploaded(upload)
        self._extend(call, uploaded)
        data = bytes(uploaded)
        _require_digest(call.query.get("digest", ""), data)
        del self._uploads[upload]
        return self._store_blob(call, name, data)

    def _cancel(self, _call: Call, name: str, upload: str) -> Response:  # noqa: ARG002 - as all routes
        self._uploaded(upload)
        del self._uploads[upload]
        return Response(204)

    def _extend(self, call: Call, uploaded: bytearray) -> None:
        """Add a piece, if it goes on where the last one ended (rule 3)."""
        given = call.headers.get("content-range", "")
        stated = re.fullmatch(r"(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/[0-9*]+)?", given)
        if given and stated is None:
            raise Refused(400, "BLOB_UPLOAD_INVALID", "blob upload invalid", {"content-range": given})
        if stated and (int(stated[1]) != len(uploaded) or int(stated[2]) < int(stated[1])):
            raise Refused(416, "BLOB_UPLOAD_INVALID", "blob upload invalid", {"received": len(uploaded)})
        uploaded += call.body

    def _store_blob(self, call: Call, name: str, data: bytes) -> Response:
        digest = self.put_blob(name, data)
        return _created(f"{call.base}/v2/{name}/blobs/{digest}", digest)

    def _uploaded(self, upload: str) -> bytearray:
        if upload not in self._uploads:
            raise _unknown("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        return self._uploads[upload]

    def _progress(self, call: Call, name: str, upload: str, status: int) -> Response:
        end = max(len(self._uploads[upload]) - 1, 0)
        location = f"{call.base}/v2/{name}/blobs/uploads/{upload}"
        return Response(status, {"location": location, "range": f"0-{end}", "docker-upload-uuid": upload})


def _page(call: Call, entries: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the entries that were asked for with `n` and `last`, and the header that leads to the next."""
    wanted = call.query.get("n", str(len(entries)))
    if not (wanted.isascii() and wanted.isdecimal()):
        raise Refused(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested", {"n": wanted})
    left = [entry for entry in entries if entry > call.query.get("last", "")]
    page = left[: int(wanted)]
    if not page or len(page) == len(left):
        return page, {}
    following = urlencode({**call.query, "n": wanted, "last": page[-1]})
    return page, {"link": f'<{call.path}?{following}>; rel="next"'}


def _require_manifest(data: bytes, media_type: str) -> None:
    """Refuse what is no image, no index, and nothing that says itself to be of another type."""
    try:
        document = manifests.decode(data)
    except MetadataError:
        document = {}
    if media_type in (manifests.OCI_INDEX, manifests.DOCKER_LIST):
        fits = manifests.listed(document, "manifests") is not None
    elif media_type in manifests.ACCEPT:
        fits = isinstance(document.get("config"), dict) and manifests.listed(document, "layers") is not None
    else:
        fits = "mediaType" in document
    if not fits or document.get("mediaType", media_type) != media_type:
        raise Refused(400, "MANIFEST_INVALID", "manifest invalid", {})


def _subject(data: bytes) -> str:
    """Return the digest that a manifest refers to, "" if it refers to none; refuse what cannot be one."""
    try:
        subject = referrerlist.subject_of(data)
    except VerificationError:
        raise Refused(400, "MANIFEST_INVALID", "manifest invalid", {"subject": "no descriptor"}) from None
    return subject.digest if subject else ""


def _described(data: bytes, media_type: str) -> dict[str, str]:
    length = str(len(data))
    return {"content-type": media_type, "content-length": length, "docker-content-digest": digest_of(data)}


def _unknown(code: str, message: str, **detail: str) -> Refused:
    return Refused(404, code, message, detail)


def _require_digest(digest: str, data: bytes) -> None:
    """Refuse what has another digest than it is to be stored under (rule 1)."""
    if digest != digest_of(data):
        text = "provided digest did not match uploaded content"
        raise Refused(400, "DIGEST_INVALID", text, {"digest": digest})


def _created(location: str, digest: str) -> Response:
    return Response(201, {"location": location, "docker-content-digest": digest})
