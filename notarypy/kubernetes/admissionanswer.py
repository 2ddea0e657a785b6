"""The answer to an AdmissionReview: allowed or not, why, and with which images in place of those written.

What it is: verdicts of images in, the answer out. What it is not: a verdict.

Rules:

1. Allowed is what has a good verdict for every image that is to be verified. An image without a verdict, for
   the deadline came before, is refused, and the message says which were verified by then.
2. An image is named by the digest that is signed, in the name as it was written: the tag goes, for not all
   runtimes take both. What has a digest already is left as it is, so a second review changes nothing.
3. The name as it was written is kept in an annotation, from place to name; what is there already is kept for
   other places. It proves nothing. Metadata of `pods/ephemeralcontainers` cannot be changed.
4. Where digests are required, a pod whose verified image has none is refused. Templates are not, for pods are
   changed when they are made of these; nor is what the policy says to take unverified.
5. A warning says where a tag alone was compared, and where that stays without a registry, which nodes may
   complete in another way than docker. Warnings and messages are bounded, as the API server cuts them, and
   have no control characters.
6. Who only warns refuses nothing: each refusal becomes a warning, before all others. What is good is changed
   as it would be; what is not stays as it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from notarypy.errors import (
    AdmissionReviewError,
    NotarypyError,
    UndecidedError,
    UnpinnedError,
    beginning,
    worst,
)
from notarypy.images import reference
from notarypy.kubernetes.review import (
    ANNOTATION,
    VERSION,
    AdmissionReview,
    Annotations,
    PlacedImage,
    annotations_of,
    is_pod,
)
from notarypy.values import dataclass

_FORBIDDEN = 403
_WARNING_CHARS, _WARNINGS_CHARS, _MORE_CHARS = 255, 4096, 32
_REFUSAL_CHARS, _REFUSALS = 1024, 16
_AUDIT_CHARS = 1024
_WOULD_BE = "would be refused: "


@dataclass(frozen=True)
class ImageVerdict:
    """What was found out about an image, as it was asked for.

    `refused` says why it may not run, with the `code` and `exit_code` of the error. One that may has the
    `digest` that was verified, None where the policy says to take it unverified. `basis` says who signed it.
    """

    image: str
    digest: str | None = None
    refused: str = ""
    code: str = ""
    exit_code: int = 0
    warnings: tuple[str, ...] = ()
    basis: str = ""

    @property
    def is_tag(self) -> bool:
        """Whether it is verified, and named without its digest."""
        return bool(self.digest and not self.refused) and "@" not in self.image

    @property
    def audit(self) -> str:
        """What the audit log keeps of it."""
        return " ".join(filter(None, (pinned(self.image, self.digest or ""), self.basis)))


@dataclass(frozen=True)
class AdmissionAnswer:
    """The whole AdmissionReview to answer with; `exit_code` is the worst of refusals.

    `codes` are those of refusals, or of what would be refused by who does not only warn.
    """

    document: dict[str, Any]
    allowed: bool
    codes: tuple[str, ...] = ()
    exit_code: int = 0

    @property
    def result(self) -> str:
        """The answer in a word."""
        return "refused" if not self.allowed else "warned" if self.codes else "allowed"


def answer(
    review: AdmissionReview,
    placed: Sequence[PlacedImage],
    verdicts: Mapping[str, ImageVerdict | None],
    *,
    mutate: bool,
    require_digest: bool = False,
    warn_only: bool = False,
) -> AdmissionAnswer:
    """Return the answer for what `images_of` returned; a verdict that is None is not known yet."""
    required = require_digest and not mutate and is_pod(review)
    images = dict.fromkeys(one.image for one in placed)
    judged = [_judged(image, verdicts.get(image), required=required) for image in images]
    refused = [one for one in judged if one.refused]
    warnings = [text for one in judged for text in one.warnings]
    if not mutate and not require_digest:
        warnings += [text for one in judged for text in _of_name(one)]
    allowed = warn_only or not refused
    response: dict[str, Any] = {"uid": review.uid, "allowed": allowed}
    if not allowed:
        response["status"] = _status("\n".join([*_lines(placed, refused), *_in_time(judged)]))
    elif mutate and (operations := _patch(review, placed, {one.image: one for one in judged})):
        patch = json.dumps(operations, separators=(",", ":")).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    if allowed:
        warnings = [*map(_WOULD_BE.__add__, _lines(placed, refused)), *warnings]
    response |= {"warnings": shown} if (shown := _bounded(warnings)) else {}
    named = {
        "verified": [one.audit for one in judged if one.digest],
        "unverified": [one.image for one in judged if allowed and not one.digest],
    }
    if kept := {name: _clipped("; ".join(each), _AUDIT_CHARS) for name, each in named.items() if each}:
        response["auditAnnotations"] = kept
    codes = tuple(dict.fromkeys(one.code for one in refused))
    return AdmissionAnswer(
        _document(VERSION, response),
        allowed,
        codes,
        0 if allowed else worst({one.exit_code for one in refused}),
    )


def refusal(error: AdmissionReviewError, text: str, *, warn_only: bool = False) -> AdmissionAnswer:
    """Return the answer to a request that nobody can judge; `text` says why."""
    uid, version = str(error.facts["uid"]), str(error.facts["version"])
    response: dict[str, Any] = {"uid": uid, "allowed": warn_only}
    if warn_only:
        response["warnings"] = _bounded([_WOULD_BE + text])
    else:
        response["status"] = _status(_clipped(text, _REFUSAL_CHARS))
    exit_code = 0 if warn_only else error.exit_code
    return AdmissionAnswer(_document(version, response), warn_only, (error.code,), exit_code)


def pinned(image: str, digest: str) -> str:
    """Return a name as it was written, by its digest (rule 2)."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@{digest}"


def _document(version: str, response: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "AdmissionReview", "response": response}


def _status(message: str) -> dict[str, Any]:
    return {"code": _FORBIDDEN, "reason": "Forbidden", "message": message}


def _judged(image: str, found: ImageVerdict | None, *, required: bool) -> ImageVerdict:
    """Return the verdict of an image, with what is required beside it (rules 1 and 4)."""
    if found is None:
        why = "servers that say so have not answered yet; try again, for what they have sent is kept"
        return _refused(f"{image} was not verified in time", why, image, UndecidedError)
    if required and found.is_tag:
        named = pinned(image, found.digest or "")
        why = f"signed is {named}; what names digests was not asked, or something has changed it since"
        return _refused(f"{image} is not named by its digest", why, image, UnpinnedError)
    return found


def _refused(what: str, why: str, image: str, error: type[NotarypyError]) -> ImageVerdict:
    return ImageVerdict(image, None, f"{what} [{error.code}]: {why}", error.code, error.exit_code)


def _of_name(one: ImageVerdict) -> Iterator[str]:
    """Yield what a name that stays as it is leaves open (rule 5)."""
    if one.refused or "@" in one.image:
        return
    if one.is_tag:
        yield f"{one.image} is taken by its tag, which can move; it is {one.digest} now"
    if not reference.names_registry(one.image):
        yield f"{one.image} names no registry: docker.io's is looked at, and a node may pull another one"


def _lines(placed: Sequence[PlacedImage], refused: Sequence[ImageVerdict]) -> list[str]:
    """Return what is refused, where it is and why."""
    places: dict[str, list[str]] = {}
    for one in placed:
        places.setdefault(one.image, []).append(one.place)
    lines = [
        _clipped(f"{', '.join(beginning(places[one.image], 3))}: {_named(one)}", _REFUSAL_CHARS)
        for one in refused[:_REFUSALS]
    ]
    if left := len(refused) - _REFUSALS:
        lines += [f"{left} more are refused"] if left > 0 else []
    return lines


def _in_time(judged: Sequence[ImageVerdict]) -> Iterator[str]:
    """Yield what was verified by the deadline, where something was not."""
    verified = [one.image for one in judged if one.digest and not one.refused]
    if verified and any(one.code == UndecidedError.code for one in judged):
        yield _clipped(f"verified: {', '.join(verified)}", _REFUSAL_CHARS)


def _named(one: ImageVerdict) -> str:
    """Return why an image is refused, with its name where the reason does not have it."""
    return one.refused if one.image in one.refused else f"{one.image}: {one.refused}"


def _patch(
    review: AdmissionReview, placed: Sequence[PlacedImage], judged: Mapping[str, ImageVerdict]
) -> list[dict[str, Any]]:
    """Return what names images by their digests, and keeps the names (rules 2 and 3)."""
    written: dict[str, str] = {}
    operations: list[dict[str, Any]] = []
    for one in placed:
        if judged[one.image].is_tag:
            written[one.place] = one.image
            name = pinned(one.image, judged[one.image].digest or "")
            operations.append({"op": "replace", "path": one.pointer, "value": name})
    annotations = annotations_of(review)
    if written and annotations is not None:
        operations.append(_annotating(annotations, written))
    return operations


def _annotating(annotations: Annotations, written: dict[str, str]) -> dict[str, Any]:
    """Return what keeps the names, and makes whatever is missing on the way there (rule 3)."""
    text = json.dumps(_kept(annotations.present) | written, sort_keys=True)
    path, added = f"{annotations.metadata}/annotations", {ANNOTATION: text}
    if annotations.present is not None:
        return {"op": "add", "path": f"{path}/{ANNOTATION.replace('/', '~1')}", "value": text}
    if annotations.has_metadata:
        return {"op": "add", "path": path, "value": added}
    return {"op": "add", "path": annotations.metadata, "value": {"annotations": added}}


def _kept(annotations: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the annotation has already; nothing of what is no object of texts (rule 3)."""
    try:
        found = json.loads((annotations or {}).get(ANNOTATION) or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    texts = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if texts else {}


def _bounded(texts: Iterable[str]) -> list[str]:
    """Return warnings as far as the API server shows them (rule 5)."""
    shown: list[str] = []
    found = list(dict.fromkeys(_clipped(each, _WARNING_CHARS) for each in texts))
    left = _WARNINGS_CHARS - _MORE_CHARS
    for text in found:
        left -= len(text.encode())
        if left < 0:
            return [*shown, f"{len(found) - len(shown)} more warnings"]
        shown.append(text)
    return shown


def _clipped(text: str, most: int) -> str:
    """Return a text without control characters, and no longer than that in bytes."""
    safe = text[: most + 1]
    if not safe.isprintable():
        safe = "".join(each if each.isprintable() else "?" for each in safe)
    data = safe.encode()
    return safe if len(data) <= most else f"{data[: most - 3].decode(errors='ignore')}..."
