"""AdmissionReview v1, as an API server sends it.

What it is: the reading of one request, strict about everything that a verdict rests on. What it is not: where
images stand in its object (`imageplaces`), or the answer (`admissionanswer`).

Rules:

1. JSON that all programs read alike (`jsontext`: 3), and of a size that is bounded.
2. A request has a `uid`, which its answer repeats. Once it was read every error carries it, so that the
   answer is a refusal with its reason; without it there can be no answer.
3. Only v1 is read. Of another version the `uid` is read, and the refusal is in that version: its reader
   understands it.
4. `null` is as nothing. Any other value of another type is an error.
5. An object says the same kind as its request, if it says one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from notarypy import jsontext
from notarypy.errors import AdmissionReviewError, Advice
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, replace

_T = TypeVar("_T")

VERSION = "admission.k8s.io/v1"
_GROUP = "admission.k8s.io/"
_KIND = "AdmissionReview"
_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
_UID_CHARS = 256
_NAME_CHARS = 253  # Kubernetes' own bound
_WORDS: dict[type, str] = {str: "text", bool: "truth value", dict: "object", list: "list"}


@dataclass(frozen=True)
class AdmissionReview:
    """A request: what is to be done with which object; `old` is the object as it is before an UPDATE."""

    uid: str
    group: str
    kind: str
    subresource: str
    operation: str
    namespace: str
    name: str
    object: Mapping[str, Any] | None
    old: Mapping[str, Any] | None
    dry_run: bool


def read_review(data: bytes, limits: Limits = DEFAULT) -> AdmissionReview:
    """Read a request; raise AdmissionReviewError, with the facts `uid` and `version` if these were read."""
    document = _decoded(data, limits)
    version = document.get("apiVersion")
    if document.get("kind") != _KIND or not isinstance(version, str) or not version.startswith(_GROUP):
        raise AdmissionReviewError("this is no AdmissionReview", why="its kind or apiVersion is another")
    request = document.get("request")
    uid = request.get("uid") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(uid, str) or not 0 < len(uid) <= _UID_CHARS:
        raise AdmissionReviewError("this AdmissionReview has no request with a uid")
    with carrying(uid, version):
        return _read(request, uid, version)


@contextmanager
def carrying(uid: str, version: str = VERSION) -> Iterator[None]:
    """Let an error inside carry what its answer repeats (rule 2)."""
    try:
        yield
    except AdmissionReviewError as error:
        raise error.saying(uid=uid, version=version) from None


def _read(request: dict[str, Any], uid: str, version: str) -> AdmissionReview:
    if version != VERSION:
        why, advice = f"it is {version[:80]}", Advice("review-version")
        raise AdmissionReviewError("only AdmissionReview v1 is read", why=why, advice=advice)
    kind = member(request, "kind", dict) or {}
    read = AdmissionReview(
        uid,
        group=member(kind, "group", str) or "",
        kind=member(kind, "kind", str) or "",
        subresource=member(request, "subResource", str) or "",
        operation=member(request, "operation", str) or "",
        namespace=(member(request, "namespace", str) or "")[:_NAME_CHARS],
        name=(member(request, "name", str) or "")[:_NAME_CHARS],
        object=member(request, "object", dict),
        old=member(request, "oldObject", dict),
        dry_run=bool(member(request, "dryRun", bool)),
    )
    if read.operation not in _OPERATIONS:
        raise AdmissionReviewError(f'"{read.operation[:80]}" is no operation', why="of an AdmissionReview")
    if not read.kind:
        raise AdmissionReviewError("this AdmissionReview does not say the kind of its object")
    if read.operation in {"CREATE", "UPDATE"}:
        for each in (read.object, read.old):
            _check_kind(read, each)
        if read.object is None:
            raise AdmissionReviewError(f"this {read.operation} has no object")
    return read if read.name else replace(read, name=_name(read.object))


def _check_kind(read: AdmissionReview, found: Mapping[str, Any] | None) -> None:
    """Refuse an object of another kind than its request says (rule 5)."""
    kind = read.kind if found is None else member(found, "kind", str)
    if kind not in {None, "", read.kind}:
        message = f"a request about a {read.kind[:80]} has a {str(kind)[:80]}"
        raise AdmissionReviewError(message, why="the kinds of request and object differ")


def _name(found: Mapping[str, Any] | None) -> str:
    """Return what an object is called that has no name yet: the beginning of the one it will get."""
    metadata = (found or {}).get("metadata")
    name = metadata.get("generateName") if isinstance(metadata, dict) else ""
    return name[:_NAME_CHARS] if isinstance(name, str) else ""


def member(found: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    """Return a member, None if it is not there; raise AdmissionReviewError for another type (rule 4)."""
    value = found.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise AdmissionReviewError(f"{name} is no {_WORDS[kind]}")


def _decoded(data: bytes, limits: Limits) -> dict[str, Any]:
    """Decode a text strictly (rule 1)."""
    message = "this AdmissionReview cannot be read"
    if len(data) > limits.review_bytes:
        raise AdmissionReviewError(message, why=f"it has more than {limits.review_bytes} bytes")
    try:
        return jsontext.read(data, limits.json_levels, limits.review_parts)
    except ValueError as error:
        raise AdmissionReviewError(message, why=str(error)) from None
