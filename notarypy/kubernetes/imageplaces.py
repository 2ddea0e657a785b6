"""Where the object of an AdmissionReview names images, and which of them are to be verified.

What it is: places, as JSON pointers. What it is not: the kinds and their paths (`images.workloads.podkinds`),
or a verdict.

Rules:

1. Containers, init and ephemeral containers and image volumes of a pod, and of the template in each kind that
   has one. `pods/ephemeralcontainers` is a whole Pod, or up to Kubernetes 1.22 a list of its own.
2. DELETE and CONNECT bring no image. So do a change of `status`, and kinds that name none.
3. A kind or a subresource that is not known is refused: nobody here knows where it has images.
4. What an UPDATE leaves as it was passes: the same image in the same list under the same name. So does a
   template that is being deleted, which its old state alone can say, for its pods are looked at themselves.
   A pod that is being deleted may still be given containers: new images in it are verified. Nothing else in a
   request proves anything: owners, labels and annotations are whatever their writer likes.
5. A container or volume without an image names none: templates may lack it, and in pods the API server
   refuses it itself, after all webhooks that change them. What is of another type is refused.
6. What waits for verdicts is small: names are cut where they are too long for one, and of the object only
   what the answer changes is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from notarypy.errors import AdmissionReviewError, Advice
from notarypy.images.workloads import podkinds
from notarypy.kubernetes.review import AdmissionReview, carrying, member
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, replace

_EPHEMERAL = ("", "EphemeralContainers")
_SUBRESOURCE = "ephemeralcontainers"
_OF_PODS = frozenset({"", _SUBRESOURCE, "resize"})
_STATUS = "status"
_POD = "Pod"
_SHOWN_CHARS = 80
_NAME_CHARS = 253  # of a container: more than the API server takes
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
    """Return what the answer needs of a review: of its object the way to the annotations alone (rule 6)."""
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
    """Return the path to what has the lists of containers; None where no image can be (rules 1 to 3)."""
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
    """Tell whether nothing new can run of a change (rule 4), so that what cannot be read can end, too."""
    deleted = bool((member(old, "metadata", dict) or {}).get("deletionTimestamp"))
    return deleted and (not is_pod(review) or _spec(old, path) == _spec(review.object or {}, path))


def _spec(found: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for key in path:
        found = member(found, key, dict) or {}
    return found


def _cut(one: PlacedImage, limits: Limits) -> PlacedImage:
    """Cut what is too long to be a name; it still is (rule 6)."""
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
    """Return what an element names; nothing where it names none (rule 5)."""
    *way, last = inside
    for key in way:
        element = member(element, key, dict) or {}
    return member(element, last, str)


def _pointer(path: tuple[str, ...]) -> str:
    return "".join(f"/{key}" for key in path)
