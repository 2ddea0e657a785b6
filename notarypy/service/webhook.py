"""Admission: an AdmissionReview comes in, the verifier is asked about its images, and an answer goes out.

What it is: both steps; whoever calls waits between them, with a deadline of his own. What it is not: HTTP
(`asgi`), the form of reviews and answers (`kubernetes`), or a verdict (`verifier`).

Rules:

1. An image that has a digest, or gets the signed one, is verified without its registry: what runs is what is
   signed. A tag that stays is compared with what the registry serves. Signatures of cosign are there, too.
2. What the trust policy says to take unverified is not looked up, and a warning says so.
3. A refusal says what is wrong with which image, the code of the error, why, and what to do.
4. A review that cannot be judged is refused with its reason. One without a `uid` cannot be answered at all.
5. `dryRun` makes no difference: nothing here remembers what it was asked.
6. Whoever sees a refusal is a tenant of the cluster, and need not know the whole policy: where no scope of
   it fits, its file and its scopes are for the log alone.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

from notarypy.client.parameters import VerifyOptions
from notarypy.client.verdicts import SkippedImage, VerifiedImage
from notarypy.errors import AdmissionReviewError, NotarypyError, OutOfScopeError, beginning
from notarypy.kubernetes.admissionanswer import AdmissionAnswer, ImageVerdict, answer, refusal
from notarypy.kubernetes.review import images_of, is_pod, read_review, without_objects
from notarypy.limits import DEFAULT, Limits
from notarypy.service.answercache import Unasked, by_now
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from concurrent.futures import Future

    from notarypy.kubernetes.review import AdmissionReview, PlacedImage
    from notarypy.service.verifier import Verdict, Verifier

_COMPARED, _SIGNED = VerifyOptions(), VerifyOptions(registry=False)
_REASONS = 4


@dataclass(frozen=True)
class PendingReview:
    """A review whose images are being verified, or that is `refused` already."""

    mutate: bool
    review: AdmissionReview | None
    placed: tuple[PlacedImage, ...]
    asked: Mapping[str, Future[Verdict]]
    refused: AdmissionAnswer | None = None

    @property
    def futures(self) -> Collection[Future[Verdict]]:
        """What is to be waited for."""
        return self.asked.values()

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict | None]:
        """The verdicts as they are when this is asked for the first time: log and answer say the same."""
        return {image: by_now(future) for image, future in self.asked.items()}


class Webhook:
    """Answers AdmissionReviews by what a verifier says."""

    def __init__(
        self,
        verifier: Verifier,
        *,
        require_digest: bool = False,
        warn_only: bool = False,
        advice: Callable[[NotarypyError], str] = lambda _: "",
        limits: Limits = DEFAULT,
    ) -> None:
        """With `require_digest` pods are validated only with digests, `warn_only` refuses nothing.

        `advice` says what to do about an error.
        """
        self._verifier, self._require_digest, self._warn_only = verifier, require_digest, warn_only
        self._advice, self._limits = advice, limits

    def begin(self, data: bytes, *, mutate: bool) -> PendingReview:
        """Read a review and have its images verified; raise AdmissionReviewError without a uid (rule 4)."""
        try:
            review = read_review(data, self._limits)
            placed = images_of(review, self._limits)
        except AdmissionReviewError as error:
            if "uid" not in error.facts:
                raise
            refused = refusal(error, self._text(error), warn_only=self._warn_only)
            return PendingReview(mutate, None, (), {}, refused)
        stays = not (mutate or (self._require_digest and is_pod(review)))
        images = dict.fromkeys(one.image for one in placed)
        asked = {image: self._ask(image, number, stays=stays) for number, image in enumerate(images)}
        return PendingReview(mutate, without_objects(review), placed, asked)

    def finish(self, pending: PendingReview) -> AdmissionAnswer:
        """Answer with what is known by now."""
        if pending.refused is not None or pending.review is None:
            assert pending.refused is not None  # noqa: S101 - one of both is there
            return pending.refused
        verdicts = {image: self._judged(image, each) for image, each in pending.verdicts.items()}
        return answer(
            pending.review,
            pending.placed,
            verdicts,
            mutate=pending.mutate,
            require_digest=self._require_digest,
            warn_only=self._warn_only,
        )

    def _ask(self, image: str, number: int, *, stays: bool) -> Future[Verdict]:
        """Ask about one of the images (rule 1); `stays` says that a tag is not replaced by a digest."""
        compared = stays and "@" not in image
        with suppress(NotarypyError):  # which the verdict says
            compared = compared or self._verifier.needs_registry(image)
        return self._verifier.ask(image, _COMPARED if compared else _SIGNED, number=number)

    def _judged(self, image: str, verdict: Verdict | None) -> ImageVerdict | None:
        if verdict is None:
            return None
        found, warnings = verdict.image, tuple(map(str, verdict.warnings))
        if isinstance(found, NotarypyError):
            return ImageVerdict(image, None, self._text(found), found.code, found.exit_code, warnings)
        if isinstance(found, VerifiedImage):
            return ImageVerdict(image, found.digest, warnings=warnings, basis=_basis(found))
        if isinstance(found, SkippedImage | Unasked):
            return ImageVerdict(image, warnings=warnings)  # rule 2
        assert_never(found)

    def _text(self, error: NotarypyError) -> str:
        """Return what is said of an error (rule 3)."""
        said = () if isinstance(error, OutOfScopeError) else beginning(error.why, _REASONS)  # rule 6
        why = "; ".join(said)
        told = f"{error.message} [{error.code}]{f': {why}' if why else ''}"
        return f"{told}; fix: {fix}" if (fix := self._advice(error)) else told


def _basis(image: VerifiedImage) -> str:
    """Return who vouches for an image, in the words of the audit log."""
    versions = {one.role: one.version for one in image.evidence.roles} if image.evidence else {}
    role = f"{image.role} {versions.get(image.role, '')}".strip() if image.role else ""
    signers = f"signers {' '.join(image.signers)}" if image.signers else ""
    cosign = f"cosign {' '.join(one.key for one in image.cosign)}" if image.cosign else ""
    unmet = "policy not met" if image.policy and image.policy.unmet else ""
    return ", ".join(filter(None, (role, signers, cosign, unmet)))
