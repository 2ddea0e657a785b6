"""AdmissionReview v1, as an API server sends it: one request, and where its object names images.

What it is: a reading that is strict about everything that a verdict rests on; places of images, as JSON
pointers, and which of them are to be verified. What it is not: the kinds and their paths
(`images.workloads.podkinds`), a verdict, or the answer (`admissionanswer`).

Rules:

1. JSON that all programs read alike (`jsontext`: 3), and of a size that is bounded.
2. A request has a `uid`, which its answer repeats. Once it was read every error carries it, so that the
   answer is a refusal with its reason; without it there can be no answer.
3. Only v1 is read. Of another version the `uid` is read, and the refusal is in that version: its reader
   understands it.
4. `null` is as nothing. Any other value of another type is an error.
5. An object says the same kind as its request, if it says one.
6. Containers, init and ephemeral containers and image volumes of a pod name images, and those of the template
   in each kind that has one. `pods/ephemeralcontainers` is a whole Pod, or up to Kubernetes 1.22 a list of
   its own.
7. DELETE and CONNECT bring no image. So do a change of `status`, and kinds that name none.
8. A kind or a subresource that is not known is refused: nobody here knows where it has images.
9. What an UPDATE leaves as it was passes: the same image in the same list under the same name. So does a
   template that is being deleted, which its old state alone can say, for its pods are looked at themselves.
   A pod that is being deleted may still be given containers: new images in it are verified. Nothing else in a
   request proves anything: owners, labels and annotations are whatever their writer likes.
10. A container or volume without an image names none: templates may lack it, and in pods the API server
   refuses it itself, after all webhooks that change them. What is of another type is refused.
11. What waits for verdicts is small: names are cut where they are too long for one, and of the object only
   what the answer changes is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from notarypy import jsontext
from notarypy.errors import AdmissionReviewError, Advice
from notarypy.images.workloads import podkinds
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, replace

_T = TypeVar("_T")

VERSION = "admission.k8s.io/v1"
_GROUP = "admission.k8s.io/"
_KIND = "AdmissionReview"
_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
_UID_CHARS = 256
_NAME_CHARS = 253  # Kubernetes' own bound, of containers, too
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


_EPHEMERAL = ("", "EphemeralContainers")
_SUBRESOURCE = "ephemeralcontainers"
_OF_PODS = frozenset({"", _SUBRESOURCE, "resize"})
_STATUS = "status"
_POD = "Pod"
_SHOWN_CHARS = 80
_KEPT_CHARS = 64 * 1024
ANNOTATION = "notarypy.io/images"
"""The annotation that keeps images' names as they were written."""


@dataclass(frozen=True)
class PlacedImage:
    """An image as it is written, where that is, and in which list under which name."""

    image: str
    pointer: str
    field: str
    container: str

    @property
    def place(self) -> str:
        """What messages and the annotation call the place: the order of a list may change, names do not."""
        return f"{self.field}/{self.container}"


@dataclass(frozen=True)
class Annotations:
    """Those of a pod or template: the pointer to its metadata, whether it has these, and what is there."""

    metadata: str
    has_metadata: bool
    present: Mapping[str, Any] | None


def images_of(review: AdmissionReview, limits: Limits = DEFAULT) -> tuple[PlacedImage, ...]:
    """Return the images that are to be verified; raise AdmissionReviewError where nobody can say which."""
    with carrying(review.uid):
        path = _path(review)
        if path is None or review.object is None:
            return ()
        old = review.old if review.operation == "UPDATE" else None
        if old is not None and _may_pass(review, old, path):
            return ()
        found = tuple(_places(review.object, path, limits))
        annotations_of(review)  # which the answer writes to: what is wrong there is found now
        same = set() if old is None else {_identity(one) for one in _places(old, path, limits)}
        return tuple(_cut(one, limits) for one in found if _identity(one) not in same)


def without_objects(review: AdmissionReview) -> AdmissionReview:
    """Return what the answer needs of a review: of its object the way to the annotations alone (rule 11)."""
    annotations = annotations_of(review)
    kept: dict[str, Any] | None = None
    if annotations is not None and annotations.has_metadata:
        text = (annotations.present or {}).get(ANNOTATION)
        short = isinstance(text, str) and len(text) <= _KEPT_CHARS
        present = {ANNOTATION: text} if short else {}
        kept = {"metadata": {} if annotations.present is None else {"annotations": present}}
        for key in reversed((_path(review) or ())[:-1]):
            kept = {key: kept}
    return replace(review, object=kept, old=None)


def is_pod(review: AdmissionReview) -> bool:
    """Tell whether the object is what runs, and not a template of it."""
    return not review.group and review.kind in {_POD, _EPHEMERAL[1]}


def annotations_of(review: AdmissionReview) -> Annotations | None:
    """Return where annotations of the pod are, or of its template; None where they cannot be changed."""
    path = _path(review)
    if not path or review.subresource:
        return None
    found = _spec(review.object or {}, path[:-1])
    metadata = member(found, "metadata", dict)
    present = None if metadata is None else member(metadata, "annotations", dict)
    return Annotations(_pointer((*path[:-1], "metadata")), has_metadata=metadata is not None, present=present)


def _path(review: AdmissionReview) -> tuple[str, ...] | None:
    """Return the path to what has the lists of containers; None where no image can be (rules 6 to 8)."""
    group, kind, subresource = review.group, review.kind, review.subresource
    if review.operation in {"DELETE", "CONNECT"} or podkinds.names_no_image(group, kind):
        return None
    path = () if (group, kind) == _EPHEMERAL else podkinds.pod_spec(group, kind)
    if path is not None and subresource == _STATUS:
        return None
    if path is None or subresource not in (_OF_PODS if is_pod(review) else ("",)):
        what = f"{kind}/{subresource}" if subresource else kind
        what = f"{what[:_SHOWN_CHARS]} of {group[:_SHOWN_CHARS]}" if group else what[:_SHOWN_CHARS]
        why = "nobody here knows where it names images"
        raise AdmissionReviewError(f"{what} is not known", why=why, advice=Advice("webhook-rules"))
    return path


def _may_pass(review: AdmissionReview, old: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Tell whether nothing new can run of a change (rule 9), so that what cannot be read can end, too."""
    deleted = bool((member(old, "metadata", dict) or {}).get("deletionTimestamp"))
    return deleted and (not is_pod(review) or _spec(old, path) == _spec(review.object or {}, path))


def _spec(found: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for key in path:
        found = member(found, key, dict) or {}
    return found


def _cut(one: PlacedImage, limits: Limits) -> PlacedImage:
    """Cut what is too long to be a name; it still is (rule 11)."""
    return replace(one, image=one.image[: limits.reference_chars + 1], container=one.container[:_NAME_CHARS])


def _identity(one: PlacedImage) -> tuple[str, str, str]:
    return one.field, one.container, one.image


def _places(root: Mapping[str, Any], path: tuple[str, ...], limits: Limits) -> Iterator[PlacedImage]:
    spec = _spec(root, path)
    count = 0
    for field, *inside in podkinds.IMAGES:
        for number, element in enumerate(member(spec, field, list) or ()):
            if not isinstance(element, dict):
                raise AdmissionReviewError(f"an element of {field} is no object")
            image = _image(element, inside)
            count += bool(image)
            if count > limits.review_images:
                raise AdmissionReviewError(
                    "there are too many images", why=f"more than {limits.review_images}"
                )
            if image:
                name = member(element, "name", str) or str(number)
                yield PlacedImage(image, _pointer((*path, field, str(number), *inside)), field, name)


def _image(element: Mapping[str, Any], inside: list[str]) -> str | None:
    """Return what an element names; nothing where it names none (rule 10)."""
    *way, last = inside
    for key in way:
        element = member(element, key, dict) or {}
    return member(element, last, str)


def _pointer(path: tuple[str, ...]) -> str:
    return "".join(f"/{key}" for key in path)
