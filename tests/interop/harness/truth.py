"""What a verification service may say of images, and whether an answer of it is right.

What it is: a book of what was signed, from when and until when, that answers are held against. What it is
not: a second verifier. Rules:

1. An image may be allowed with a digest while that digest was signed, and for the largest age of trust data
   after that, counted from the moment at which the server surely had something newer.
2. While a server says nothing that counts, nothing is allowed that rests on it, as soon as that age is over.
3. What was never signed, or is refused by the policy, is never allowed; what the policy skips always may be.
4. A refusal is HTTP 200 with `allowed: false`, a status code and a message; what is no request gets an error
   of HTTP with a text.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interop.harness.serving import Reply

ENDLESS = float("inf")
_NUMBERS = itertools.count(1)


class Wrong(AssertionError):  # noqa: N818 - it is an assertion
    """The service said what it must not say."""


class Period(NamedTuple):
    """A time in which a digest was signed for a tag."""

    digest: str
    since: float
    until: float


class Night(NamedTuple):
    """A time in which a server said nothing that counts, but for one path, for this image ("": any)."""

    but: str
    image: str
    since: float
    until: float


class Asked(NamedTuple):
    """Where and when something was asked, and when the answer was there."""

    path: str
    begun: float
    ended: float


@dataclass
class Truth:
    """What was signed, by the name of the image (rules 1 to 3)."""

    max_age: float
    signed: dict[str, list[Period]] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    nights: list[Night] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, image: str, digest: str, at: float) -> None:
        """Note that the digest is about to be signed."""
        with self.lock:
            self.signed.setdefault(image, []).append(Period(digest, at, ENDLESS))

    def ended(self, image: str, at: float, *, but: str = "") -> None:
        """Note that every digest but this one is surely no longer what is signed."""
        with self.lock:
            periods = self.signed.get(image, [])
            self.signed[image] = [
                period._replace(until=min(period.until, at)) if period.digest != but else period
                for period in periods
            ]

    def darkens(self, at: float, but: str, image: str) -> None:
        """Note that a server says nothing that counts from now on, but for a path (rule 2)."""
        with self.lock:
            self.nights.append(Night(but, image, at, ENDLESS))

    def lightens(self, at: float, image: str = "") -> None:
        """Note that servers are about to be themselves again."""
        with self.lock:
            self.nights = [
                night._replace(until=min(night.until, at)) if night.image == image else night
                for night in self.nights
            ]

    def known(self, image: str) -> str:
        """Return what is in the book about an image."""
        with self.lock:
            nights = [night for night in self.nights if night.image in ("", image)]
            return f"signed: {self.signed.get(image)}; nights: {nights[-3:]}"

    def allows(self, image: str, digest: str, asked: Asked) -> bool:
        """Return whether an answer may have allowed the image with the digest ("": any that was signed)."""
        if image in self.skipped:
            return True
        with self.lock:
            periods, nights = list(self.signed.get(image, ())), list(self.nights)
        if any(
            night.but != asked.path
            and night.image in ("", image)
            and night.since + self.max_age < asked.begun
            and asked.ended < night.until
            for night in nights
        ):
            return False
        return any(
            digest in ("", period.digest)
            and period.since <= asked.ended
            and asked.begun <= period.until + self.max_age
            for period in periods
        )


def review(images: Sequence[str], **request: object) -> dict[str, Any]:
    """Return the AdmissionReview of a new Pod with these images."""
    uid = f"uid-{next(_NUMBERS)}"
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "pod",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "tester"},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "pod", "namespace": "default"},
                "spec": {"containers": containers},
            },
            "oldObject": None,
            "dryRun": False,
            "options": {},
            **request,
        },
    }


class Judgement(NamedTuple):
    """What an answer said: whether it allowed, and why not."""

    allowed: bool
    message: str
    warnings: tuple[str, ...] = ()


def judge_verdicts(truth: Truth, images: Sequence[str], reply: Reply, asked: Asked) -> Judgement:
    """Hold the answer of /verify against the truth: it is allowed if all are."""
    if reply.status != 200:
        return judge_refusal(reply)
    results: list[dict[str, Any]] = json.loads(reply.body)["results"]
    if [result["ref"] for result in results] != list(images):
        raise Wrong(f"other images than {images}: {reply.body[:999]!r}")
    for result in results:
        written = result["ref"].partition("@")[0]
        if result["ok"] and not truth.allows(written, result["digest"], asked):
            raise Wrong(f"allowed {written}; {truth.known(written)}; {asked}: {reply.body[:999]!r}")
        if not result["ok"] and not (result["error"]["code"] and result["error"]["message"]):
            raise Wrong(f"a refusal without a reason: {result}")
    refused = [f"{result['ref']}: {result['error']['message']}" for result in results if not result["ok"]]
    return Judgement(allowed=not refused, message="; ".join(refused))


def judge_refusal(reply: Reply) -> Judgement:
    """Hold an answer to what must be refused against rule 4."""
    if reply.status != 200:
        if not (400 <= reply.status < 500 or reply.status == 503) or not reply.body.strip():
            raise Wrong(f"HTTP {reply.status} without a reason: {reply.body!r}")
        return Judgement(allowed=False, message=reply.body.decode(errors="replace"))
    answer = _answer(reply)
    if answer["allowed"]:
        raise Wrong(f"allowed what must be refused: {reply.body!r}")
    return _refusal(answer)


def judge(truth: Truth, document: dict[str, Any], reply: Reply, asked: Asked) -> Judgement:
    """Hold the answer to a review of `review` against the truth."""
    if reply.status != 200:
        return judge_refusal(reply)
    answer = _answer(reply)
    if answer["uid"] != document["request"]["uid"]:
        raise Wrong(f"answered another request than {document!r}: {reply.body!r}")
    if not answer["allowed"]:
        if "patch" in answer:
            raise Wrong(f"a refusal with a patch: {reply.body!r}")
        return _refusal(answer)
    images = _images(document)
    for place, image in patched(images, answer).items():
        written, (_, _, digest) = images[place].partition("@")[0], image.partition("@")
        if not truth.allows(written, digest, asked):
            known = truth.known(written)
            raise Wrong(f"allowed {written} as {image}; {known}; {asked}: {reply.body[:999]!r}")
    return Judgement(allowed=True, message="", warnings=tuple(answer.get("warnings", ())))


def patched(images: dict[str, str], answer: dict[str, Any]) -> dict[str, str]:
    """Return the images by their place, as the answer's patch makes them."""
    changed = dict(images)
    for operation in json.loads(base64.b64decode(answer.get("patch", "W10="))):
        if operation["path"].endswith("/image"):
            if operation["path"] not in images or operation["op"] != "replace":
                raise Wrong(f"a patch where no image is: {operation!r}")
            changed[operation["path"]] = operation["value"]
    return changed


def _images(document: dict[str, Any]) -> dict[str, str]:
    containers = document["request"]["object"]["spec"]["containers"]
    return {f"/spec/containers/{n}/image": container["image"] for n, container in enumerate(containers)}


def _answer(reply: Reply) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(reply.body)
    if document.get("kind") != "AdmissionReview":
        raise Wrong(f"no AdmissionReview: {reply.body!r}")
    answer: dict[str, Any] = document["response"]
    if answer["allowed"] is not (
        document["apiVersion"] == "admission.k8s.io/v1" and answer["allowed"] is True
    ):
        raise Wrong(f"neither allowed nor refused: {reply.body!r}")
    return answer


def _refusal(answer: dict[str, Any]) -> Judgement:
    status = answer.get("status", {})
    message = str(status.get("message", ""))
    if not message.strip() or not 400 <= int(status.get("code", 0)) < 600:
        raise Wrong(f"a refusal without a reason: {answer!r}")
    return Judgement(allowed=False, message=message, warnings=tuple(answer.get("warnings", ())))
