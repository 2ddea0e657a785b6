"""`POST /verify`: what is asked of the service, and the document that it answers.

What it is: bytes in, questions to the verifier out; verdicts in, the document of `verify --json` out. What it
is not: HTTP, waiting, or a decision.

Rules:

1. A request is one JSON object with these members and no other, each at most once: `images`, references as
   on a command line, at least one; `signers`, `all_signers`, `root` (a pin in full), `also` (public keys of
   cosign, PEM) and `registry`. All but `images` may be left out, and then nothing more is required.
2. A request only adds to what the trust policy requires. It names no file, server, policy or directory.
3. What is wrong with a request is refused as a whole, before anything is verified.
4. An image of which nothing is known when the time is over is an error of its own, never good.
5. The answer names digests: of an image that the policy says to skip the registry is asked for it.
6. One error of several images, as that of their repository, is told as such: `same_as` is the number of the
   first result that has it.
7. Errors bring an advice, by name and values, in place of a text to type (`jsontext`: 2). Each result has its
   warnings, too: which of them are part of the result is not to be seen from the text.
8. What is to be said of a good image is written once, and kept with the verdict for all who ask.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from notarypy import jsontext
from notarypy.client.parameters import Unverified, VerifyOptions
from notarypy.client.verdicts import image_json
from notarypy.cosign.signaturekeys import keys_in
from notarypy.errors import Advice, NotarypyError, UndecidedError, UsageError, worst
from notarypy.images import reference
from notarypy.limits import DEFAULT
from notarypy.service.answercache import by_now
from notarypy.service.verifier import Unasked, Verdict
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from notarypy.client.verdicts import SkippedImage, VerifiedImage
    from notarypy.limits import Limits
    from notarypy.service.verifier import Verifier

_MEMBERS = frozenset({"images", "signers", "all_signers", "root", "also", "registry"})


@dataclass(frozen=True)
class VerifyRequest:
    """What is asked: which images, and what each of them has to fulfil."""

    images: tuple[str, ...]
    options: VerifyOptions


class PendingRequest:
    """A request that was begun; whoever waits for its `futures` decides how long.

    Attributes:
        futures: The verdicts to come, one for each image; they never raise.
        refused: Why the whole request is refused, or None (rule 3).
    """

    def __init__(self, verifier: Verifier, data: bytes, limits: Limits = DEFAULT) -> None:
        """Read a request, and have its images verified; nothing is raised."""
        self.refused: NotarypyError | None = None
        self.futures: tuple[Future[Verdict], ...] = ()
        try:
            self._request = read_request(data, limits)
        except NotarypyError as error:
            self.refused = error
            return
        options, images = self._request.options, enumerate(dict.fromkeys(self._request.images))
        asked = {each: verifier.ask(each, options, resolve=True, number=number) for number, each in images}
        self.futures = tuple(asked[image] for image in self._request.images)

    @property
    def images(self) -> tuple[str, ...]:
        """The images that are asked about."""
        return () if self.refused else self._request.images

    @cached_property
    def verdicts(self) -> list[Verdict | None]:
        """The verdicts on the images as they are when this is asked for the first time (rule 4)."""
        return list(map(by_now, self.futures))

    def answer(self) -> bytes:
        """Return the answer, with what is known by now (rule 4)."""
        if self.refused is not None:
            return refusal(self.refused)
        return answer(self._request, self.verdicts)


def read_request(data: bytes, limits: Limits) -> VerifyRequest:
    """Read a request; raise UsageError, or the error of a name, pin or key in it (rules 1 and 3)."""
    try:
        document = jsontext.read(data, limits.json_levels, limits.review_parts)
    except ValueError as error:
        raise _refused("it is no JSON that all programs read alike", str(error)) from None
    if unknown := sorted(document.keys() - _MEMBERS):
        raise _refused(
            f'nobody knows the member "{unknown[0][:64]}"', f"known: {', '.join(sorted(_MEMBERS))}"
        )
    images = _texts(document, "images", limits.service_images)
    if not images:
        raise _refused("images names no image")
    for image in images:
        reference.parse(image)
    return VerifyRequest(images, _options(document, limits))


def _options(document: dict[str, Any], limits: Limits) -> VerifyOptions:
    signers = _texts(document, "signers", limits.service_required)
    for name in signers:
        roles.signer_role(name)
    root = document.get("root")
    if root is not None and not isinstance(root, str):
        raise _refused("root is not a text")
    also = tuple(text.encode() for text in _texts(document, "also", limits.service_required))
    for pem in also:
        keys_in(pem)
    return VerifyOptions(
        signers=signers,
        all_signers=_switch(document, "all_signers", usual=False),
        root=None if root is None else roles.check_pins(root),
        registry=_switch(document, "registry", usual=True),
        also=also,
    )


def answer(request: VerifyRequest, verdicts: Sequence[Verdict | None]) -> bytes:
    """Return the document with the verdicts on the images, in their order; None is not known in time."""
    results, warnings, codes = list[str](), list[str](), set[int]()
    first: dict[NotarypyError, int] = {}
    for number, (image, known) in enumerate(zip(request.images, verdicts, strict=True)):
        verdict = known or Verdict(_undecided(image))
        found = _undecided(image) if isinstance(verdict.image, Unasked) else verdict.image
        if isinstance(found, NotarypyError):
            members: dict[str, Any] = {"ok": False, "error": error_json(found)}
            if (same := first.setdefault(found, number)) != number:
                members["same_as"] = same
            codes.add(found.exit_code)
            written = jsontext.document({**members, "warnings": _warnings_json(verdict)})
        else:
            written = _written(verdict, found)
        results.append(f'{{"ref": {jsontext.document(image)}, {written[1:]}')
        warnings += map(str, verdict.warnings)
    return _document(worst(codes), results, warnings)


def _written(verdict: Verdict, image: VerifiedImage | SkippedImage) -> str:
    """Return the result of a good image without its `ref` (rule 8)."""
    if not verdict.written:
        members = {"ok": True, **image_json(image, error_json), "warnings": _warnings_json(verdict)}
        verdict.written = jsontext.document(members)
    return verdict.written


def _warnings_json(verdict: Verdict) -> list[dict[str, Any]]:
    return [{"text": str(text), "unverified": isinstance(text, Unverified)} for text in verdict.warnings]


def refusal(error: NotarypyError) -> bytes:
    """Return the document that refuses a whole request."""
    return _document(error.exit_code, [], [], error=error_json(error))


def error_json(error: NotarypyError) -> dict[str, Any]:
    """Return an error for other programs (rule 7)."""
    return jsontext.error(error, advice=jsontext.advice(error.advice))


def _document(code: int, results: Sequence[str], warnings: list[str], **more: object) -> bytes:
    head = jsontext.document({"schema": 1, "command": "verify", "exit": code})
    rest = jsontext.document({"warnings": warnings, "first_use": [], **more})
    return f'{head[:-1]}, "results": [{", ".join(results)}], {rest[1:]}'.encode()


def _undecided(image: str) -> UndecidedError:
    return UndecidedError(
        f"{image} was not verified in time",
        why="servers that the service asks have not answered yet",
        advice=Advice("ask-again"),
        reference=image,
    )


def _texts(document: dict[str, Any], name: str, most: int) -> tuple[str, ...]:
    """Return a member that is a list of texts, none if it is left out."""
    found = document.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise _refused(f"{name} is not a list of texts")
    if len(found) > most:
        raise _refused(f"{name} has {len(found)} entries", f"at most {most} are taken")
    try:
        "".join(found).encode()
    except UnicodeEncodeError:
        raise _refused(f"{name} has what is no text") from None
    return tuple(found)


def _switch(document: dict[str, Any], name: str, *, usual: bool) -> bool:
    found = document.get(name, usual)
    if not isinstance(found, bool):
        raise _refused(f"{name} is neither true nor false")
    return found


def _refused(*why: str) -> UsageError:
    return UsageError("this request cannot be understood", why=why)
