"""What the verification service answers, read strictly: verdicts on the images that were asked about.

What it is: bytes in, verdicts or an error out. What it is not: asking (`verificationservice`), or goodwill:
an answer is the last word, and one that is not exactly as expected is none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from notarypy import jsontext
from notarypy.errors import WORST_FIRST, NotarypyError, UndecidedError, worst
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODE = re.compile(r"[a-z_]+(?:\.[a-z_]+)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Of a good image: what has to be there, and of which types it may be.
_MEMBERS: dict[str, tuple[type, ...]] = {
    "image": (str,),
    "repository": (str,),
    "tag": (str, type(None)),
    "digest": (str,),
    "size": (int, type(None)),
    "verified": (bool,),
    "role": (str, type(None)),
    "signers": (list,),
    "expires": (str, type(None)),
    "signed_as": (str, type(None)),
    "cosign": (list,),
    "policy": (dict, type(None)),
    "evidence": (dict, type(None)),
}


class ServiceVerdictError(NotarypyError):
    """An error of the service, with the code, the exit code and the rest that it has there."""

    def __init__(self, value: object) -> None:
        match value:
            case {
                "code": str(code), "exit": int(exit_code), "message": str(message), "why": list(why),
                "facts": dict(facts), "advice": advice, "retryable": bool(retryable), **rest,
            } if not rest:  # fmt: skip
                known = _CODE.fullmatch(code) and exit_code in WORST_FIRST and not isinstance(exit_code, bool)
                if known and all(isinstance(line, str) for line in why):
                    super().__init__(message, why=tuple(why), advice=jsontext.advised(advice))
                    vars(self).update(facts=facts, code=code, exit_code=exit_code, retryable=retryable)
                    return
        raise ValueError("an error has a code and the rest")


@dataclass(frozen=True)
class ServiceVerdict:
    """What the service says of one image: what it is, or an error; `unmet` are what `audit` lets pass.

    Of `warnings` each goes with whether it says that something was not verified.
    """

    data: dict[str, Any]
    error: ServiceVerdictError | None
    unmet: tuple[ServiceVerdictError, ...]
    warnings: tuple[tuple[str, bool], ...]

    @property
    def undecided(self) -> bool:
        """Whether the service did not know in time."""
        return self.error is not None and self.error.code == UndecidedError.code


@dataclass(frozen=True)
class AskedImage:
    """An image that is asked about: as it was written, and which one the answer has to be about."""

    text: str
    repository: str
    tag: str | None
    digest: str | None


def read(body: bytes, images: Sequence[AskedImage], *, verified: bool) -> list[ServiceVerdict]:
    """Return the verdicts on images, in their order; `verified` tells that none of them may be skipped.

    Raises:
        ServiceVerdictError: The answer refuses the whole request.
        ValueError: It is not what was asked for.
    """
    document = jsontext.read(body, DEFAULT.json_levels, DEFAULT.json_parts)
    if (document.get("schema"), document.get("command")) != (1, "verify"):
        raise ValueError("it is not the document of a verification")
    if "error" in document:
        raise ServiceVerdictError(document["error"])
    return _verdicts(document, images, verified=verified)


def _verdicts(
    document: dict[str, Any], images: Sequence[AskedImage], *, verified: bool
) -> list[ServiceVerdict]:
    """Return the verdicts of a document; raise ValueError unless it has one for each image."""
    results = document.get("results")
    if not isinstance(results, list) or len(results) != len(images):
        raise ValueError("it has not one result for each image")
    found: list[ServiceVerdict] = []
    for result, asked in zip(results, images, strict=True):
        found.append(_verdict(result, asked, found))
    codes = {each.error.exit_code for each in found if each.error is not None}
    if document.get("exit") != worst(codes):
        raise ValueError("its exit code is not that of its results")
    if verified and not all(each.error or each.data["verified"] for each in found):
        raise ValueError("an image was skipped, though something is required of it")
    return found


def _verdict(result: object, asked: AskedImage, before: Sequence[ServiceVerdict]) -> ServiceVerdict:
    if not isinstance(result, dict) or result.pop("ref", None) != asked.text:
        raise ValueError("a result is of another image")
    ok, same = result.pop("ok", None), result.pop("same_as", None)
    warnings = tuple(map(_warning, _list(result.pop("warnings", None))))
    if ok is False and result.keys() == {"error"}:
        return ServiceVerdict({}, _error(result["error"], same, before), (), warnings)
    if ok is not True or same is not None or result.keys() != _MEMBERS.keys():
        raise ValueError("a result is neither good nor an error")
    if not all(type(result[name]) in types for name, types in _MEMBERS.items()):  # true is no number
        raise ValueError("a result has a member of another type")
    _require_meant(result, asked)
    unmet: tuple[ServiceVerdictError, ...] = ()
    if (policy := result["policy"]) is not None:
        if policy.keys() != {"scope", "mode", "unmet"} or policy["mode"] not in {"enforce", "audit", "skip"}:
            raise ValueError("a policy has other members")
        unmet = tuple(map(ServiceVerdictError, _list(policy["unmet"])))
    if not result["verified"] and (policy is None or policy["mode"] != "skip"):
        raise ValueError("an image was not verified, and no policy says to skip it")
    return ServiceVerdict(result, None, unmet, warnings)


def _error(value: object, same: object, before: Sequence[ServiceVerdict]) -> ServiceVerdictError:
    """Return an error, the very one of an earlier image if that is said."""
    error = ServiceVerdictError(value)
    if same is None:
        return error
    if type(same) is not int or not 0 <= same < len(before):
        raise ValueError("an error is that of no earlier image")
    first = before[same].error
    if first is None or (first.code, first.message, first.why) != (error.code, error.message, error.why):
        raise ValueError("an error is not that of an earlier image")
    return first


def _require_meant(result: dict[str, Any], asked: AskedImage) -> None:
    """Raise ValueError unless a good image is the one that was asked about."""
    repository, digest, tag = result["repository"], result["digest"], result["tag"]
    meant = asked.tag is None or tag == asked.tag
    if asked.tag is None and asked.digest is None:
        meant = tag in {"latest", None}  # without one in what is skipped
    if (
        repository != asked.repository
        or _DIGEST.fullmatch(digest) is None
        or asked.digest not in {None, digest}
        or not meant
        or result["image"] != f"{repository}@{digest}"
        or not all(isinstance(name, str) for name in result["signers"])
    ):
        raise ValueError("a result is of another image")


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is none")  # noqa: TRY004 - of an answer, as all others
    return value


def _warning(value: object) -> tuple[str, bool]:
    match value:
        case {"text": str(text), "unverified": bool(unverified), **rest} if not rest:
            return text, unverified
    raise ValueError("a warning is none")
