"""What a verified image is for programs: the members of a result of `verify`, on a command line or a service.

What it is: `verdicts` as values of JSON. What it is not: a decision, or how errors are written, which whoever
calls says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.client.verdicts import SkippedImage
from notarypy.jsontext import fields, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.verdicts import AppliedPolicy, Evidence, VerifiedImage
    from notarypy.errors import NotarypyError

    _Written = Callable[[NotarypyError], dict[str, Any]]


def image_json(image: VerifiedImage | SkippedImage, written: _Written) -> dict[str, Any]:
    """Return the members that stand beside `ref` and `ok`; errors are `written`."""
    verified = None if isinstance(image, SkippedImage) else image
    return {
        "image": image.reference,
        **fields(image, "repository tag digest size"),
        "verified": verified is not None,
        "role": verified and verified.role,
        "signers": verified.signers if verified else (),
        "expires": verified and moment(verified.expires),
        "signed_as": verified and verified.signed_as,
        "cosign": [fields(each, "key form reference") for each in verified.cosign] if verified else (),
        "policy": policy_json(image.policy, written),
        "evidence": verified and verified.evidence and _evidence_json(verified.evidence),
    }


def policy_json(applied: AppliedPolicy | None, written: _Written) -> dict[str, Any] | None:
    """Return what the trust policy said of an image; errors are `written`."""
    unmet = [written(each) for each in applied.unmet] if applied else []
    return {**fields(applied, "scope mode"), "unmet": unmet} if applied else None


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    known = fields(evidence, "time server offline exported compared root_pins root_keys")
    return {**known, "roles": [fields(each, "role version expires") for each in evidence.roles]}
