"""`notarypy verify` by the verification service of this machine, where `NOTARYPY_SERVICE` names one.

What it is: when the service is asked, and its verdicts reported as those of this program are. What it is not:
the way there (`remote.verificationservice`).

Rules:

1. An option that says how or by what to verify is not the service's: it has settings of its own, and no
   caller changes them. With such an option this program verifies by itself, or refuses if it may not.
2. What the service says is final, good or bad. Only where no service answers does this program verify by
   itself, those images of which nothing was said; `--service-only` makes that an error.
3. Output, warnings, errors, exit codes and documents are those that there are without a service.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from notarypy.cli.text import render
from notarypy.client.parameters import Unverified
from notarypy.errors import Advice, UsageError
from notarypy.limits import DEFAULT
from notarypy.remote import verificationservice
from notarypy.remote.serviceverdicts import AskedImage
from notarypy.remote.verificationservice import ServiceMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.cli.references import Name
    from notarypy.cli.run import Run
    from notarypy.remote.serviceverdicts import ServiceVerdict

_SECONDS = 60.0
# Options of all commands that say nothing about a verification: how long, for publishing, and for keys.
_OF_ANY_WORK = frozenset({"timeout", "retry_for", "passphrase_file"})
_LOG = logging.getLogger(__name__)


def report(run: Run, names: Sequence[Name], required: Mapping[str, Any], *, only: bool, tags: bool) -> int:
    """Report what the service says of images, and return of how many, from the first.

    The rest is for this program: with `only` there is none. `tags` is for names that are repositories.
    """
    path = verificationservice.socket_path(os.environ)
    if not path:
        message, why = "--service-only needs a service", f"{verificationservice.VARIABLE} is not set"
        raise UsageError(message, why=why, advice=Advice("name-service"))
    option = "--all-tags" if tags else _beyond_service(run.options.for_client)
    if option and only:
        why = "the service has settings of its own, and is asked about images alone"
        advice = Advice("leave-out", option=option)
        raise UsageError(f"{option} is not possible with --service-only", why=why, advice=advice)
    with run.log_shown():
        if option:
            _LOG.info("the service at %s is not asked: it has nothing to do with %s", path, option)
            return 0
        return _reported(run, path, names, _members(required), only=only)


def _beyond_service(given: Mapping[str, Any]) -> str:
    """Return an option that the service cannot honour, nothing if there is none (rule 1)."""
    # One that is empty is a mistake, which this program finds.
    names = sorted(
        name for name, value in given.items() if value == "" or (value and name not in _OF_ANY_WORK)
    )
    return f"--{names[0].replace('_', '-')}".replace("--archive", "--from") if names else ""


def _members(required: Mapping[str, Any]) -> dict[str, object]:
    """Return what is required as a request has it: what is not said is not required."""
    also = {}
    if required.get("also"):
        from notarypy.cosign.signaturekeys import (
            keys_in,
        )  # what verifies cosign's signatures is for them alone

        also = {"also": ["".join(key.pem.decode() for key in keys_in(pem)) for pem in required["also"]]}
    known = {name: required[name] for name in ("signers", "all_signers", "root") if required[name]}
    return {**known, **also} if required["registry"] else {**known, **also, "registry": False}


def _reported(
    run: Run, path: str, names: Sequence[Name], members: Mapping[str, object], *, only: bool
) -> int:
    """Ask about images, as many at a time as may be, and report the verdicts (rule 2)."""
    images = [AskedImage(name.text, name.repository, name.tag, name.digest) for name in names]
    seconds, most = _seconds(run.options.for_client.get("timeout")), DEFAULT.service_images
    for begin in range(0, len(images), most):
        some = images[begin : begin + most]
        with run.trying(*(image.text for image in some)):
            try:
                verdicts = verificationservice.ask(path, some, members, seconds)
            except ServiceMissingError as error:
                if not only:
                    _LOG.info("%s: %s; this program verifies by itself", error.message, "; ".join(error.why))
                    return begin
                raise
            for image, verdict in zip(some, verdicts, strict=True):
                with run.trying(image.text):
                    _report_one(run, image, verdict)
    return len(images)


def _report_one(run: Run, image: AskedImage, verdict: ServiceVerdict) -> None:
    for text, unverified in verdict.warnings:
        run.report.warn(Unverified(text) if unverified else text)
    if verdict.error is not None:
        raise verdict.error
    run.report.done(image.text, partial(_data, verdict), verdict.data["image"])


def _data(verdict: ServiceVerdict) -> dict[str, Any]:
    policy = verdict.data["policy"]
    unmet = {"unmet": [render.error_json(error) for error in verdict.unmet]}
    return {**verdict.data, "policy": policy and {**policy, **unmet}}


def _seconds(given: str | None) -> float:
    if given is None:
        return _SECONDS
    from notarypy.storage.settings import configsection  # what reads configuration, for who gives that option

    return configsection.seconds(given, "timeout", "--timeout")
