"""What the service answers, by path: what each does with a body, and what is counted and logged of it.

What it is: the table of operations. What it is not: HTTP (`asgi`), or the documents of a request and its
answer (`webhook`, `verifyrequest`).

Rules:

1. The log names images and what was found of each, `_SHOWN` of them at the most, and whose they are;
   every word is cut at `_SHOWN_CHARS`. Counts have no names.
2. What is no AdmissionReview at all is an error of HTTP, which blocks as a refusal does. Everything else is a
   review whose answer says why.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from notarypy.client.verdicts import SkippedImage, VerifiedImage
from notarypy.errors import AdmissionReviewError, NotarypyError, OutOfScopeError
from notarypy.service.asgi import HttpAnswer, error_answer
from notarypy.service.verifyrequest import PendingRequest
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from concurrent.futures import Future

    from notarypy.limits import Limits
    from notarypy.service.asgi import Operation
    from notarypy.service.metrics import Metrics
    from notarypy.service.verifier import Verdict, Verifier
    from notarypy.service.webhook import PendingReview, Webhook

VERIFY, VALIDATE, MUTATE = "/verify", "/admit/validate", "/admit/mutate"
PATHS = (VERIFY, VALIDATE, MUTATE)
LESSER = (VERIFY,)  # who asks there leaves room for a cluster's API server
_SHOWN = 16
_SHOWN_CHARS = 256
_WHY_CHARS = 512


def operations(
    verifier: Verifier, webhook: Webhook, metrics: Metrics, limits: Limits, *, admission_only: bool = False
) -> Mapping[str, Operation]:
    """Return what answers at which path; `admission_only` leaves out what is for others than API servers."""
    reviewing: dict[str, Operation] = {
        VALIDATE: partial(_review, webhook, metrics, mutate=False),
        MUTATE: partial(_review, webhook, metrics, mutate=True),
    }
    if admission_only:
        return reviewing
    return {VERIFY: lambda body: _Verifying(PendingRequest(verifier, body, limits), metrics), **reviewing}


@dataclass(frozen=True)
class _Verifying:
    """A request whose images are being verified."""

    pending: PendingRequest
    metrics: Metrics

    @property
    def futures(self) -> Collection[Future[Verdict]]:
        """What is not known yet."""
        return self.pending.futures

    def finish(self) -> HttpAnswer:
        """Answer with what is known by now."""
        if self.pending.refused is not None:
            error = self.pending.refused
            said = "; ".join((error.message, *error.why))[:_SHOWN_CHARS]
            return HttpAnswer(self.pending.answer(), 400, {"error": error.code, "message": said})
        verdicts = self.pending.verdicts
        self.metrics.judged(map(result, verdicts))
        shown = _shown(zip(self.pending.images, verdicts, strict=True))
        return HttpAnswer(self.pending.answer(), facts=shown)


def _review(webhook: Webhook, metrics: Metrics, body: bytes, *, mutate: bool) -> _Reviewing | HttpAnswer:
    try:
        return _Reviewing(webhook, metrics, webhook.begin(body, mutate=mutate))
    except AdmissionReviewError as error:  # rule 2
        return error_answer(400, error.code, "; ".join((error.message, *error.why))[:_SHOWN_CHARS])


@dataclass(frozen=True)
class _Reviewing:
    """A review whose images are being verified."""

    webhook: Webhook
    metrics: Metrics
    pending: PendingReview

    @property
    def futures(self) -> Collection[Future[Verdict]]:
        """What is not known yet."""
        return self.pending.futures

    def finish(self) -> HttpAnswer:
        """Answer with what is known by now."""
        verdicts, found = self.pending.verdicts, self.webhook.finish(self.pending)
        self.metrics.judged(map(result, verdicts.values()))
        self.metrics.admitted("mutate" if self.pending.mutate else "validate", found.result)
        facts = {"allowed": found.allowed, **self._object(), **_shown(verdicts.items())}
        if found.result == "warned":
            facts["would_refuse"] = True
        if found.codes:
            facts["codes"] = list(found.codes)
        return HttpAnswer(json.dumps(found.document).encode(), facts=facts)

    def _object(self) -> dict[str, object]:
        review = self.pending.review
        if review is None:
            return {}
        words = {name: getattr(review, name) for name in ("uid", "operation", "kind", "namespace", "name")}
        return {name: word[:_SHOWN_CHARS] for name, word in words.items() if word}


def result(verdict: Verdict | None) -> str:
    """Return what was found of an image, in one word."""
    if verdict is None:
        return "undecided"
    if isinstance(verdict.image, VerifiedImage):
        return "audited" if verdict.image.policy and verdict.image.policy.unmet else "verified"
    return "refused" if isinstance(verdict.image, NotarypyError) else "skipped"


def _shown(verdicts: Iterable[tuple[str, Verdict | None]]) -> dict[str, Any]:
    """Return what the log says of images (rule 1)."""
    left = iter(verdicts)
    entries = [_entry(image, verdict) for image, verdict in islice(left, _SHOWN)]
    more = sum(1 for _ in left)
    return {"images": entries, **({"more_images": more} if more else {})}


def _entry(image: str, verdict: Verdict | None) -> dict[str, Any]:
    entry = {"image": image[:_SHOWN_CHARS], "result": result(verdict)}
    found = None if verdict is None else verdict.image
    if isinstance(found, NotarypyError):
        why = {"why": "; ".join(found.why)[:_WHY_CHARS]} if isinstance(found, OutOfScopeError) else {}
        return {**entry, "code": found.code, **why}
    return {**entry, "digest": found.digest} if isinstance(found, VerifiedImage | SkippedImage) else entry
