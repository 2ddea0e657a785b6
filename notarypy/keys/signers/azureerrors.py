"""What errors of Azure's libraries mean, in our words.

What it is: exceptions in, errors out. What it is not: the requests (`azurekms`).

Rules:

1. Of what Azure or its libraries say, one short line is passed on, as `services` shows it, and no value of a
   variable that holds a secret.
2. What cannot be used of the variables, files and programs that credentials come from is no credentials, and
   nothing of the network: the libraries raise for it whatever reading it raises.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from notarypy.errors import (
    Advice,
    AuthenticationError,
    NotarypyError,
    UnreachableError,
)
from notarypy.keys.signers import services
from notarypy.remote.http.messages import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISABLED = frozenset({"KeyDisabled", "KeyExpired", "KeyNotYetValid", "KeyOperationForbidden"})
_NETWORK = frozenset({"ForbiddenByFirewall", "ForbiddenByConnection"})
_ASKED = re.compile(r"\w+Credential: ")
# How each of the credentials says that it is none of this machine's.
_UNAVAILABLE = re.compile(r"unavailable|not found|not installed|not be found|requires the")
# How urllib3 says that there is no way, in the text that is all that is left of it.
_UNREACHED = re.compile(
    r"Max retries|SSLError|NewConnectionError|Connection (?:aborted|refused|reset)|connect to proxy|timed out"
)
_FORBIDDEN, _BAD_REQUEST, _CONFLICT = 403, 400, 409


def failure(place: str, error: Exception) -> NotarypyError:
    """Return the error for what the library raises."""
    from azure.core import exceptions

    if isinstance(error, exceptions.HttpResponseError) and error.response is not None:
        return _refusal(place, error)
    if isinstance(error, ValueError) and "challenge" in str(error):  # it is for another domain (rule 3)
        message = "the vault asks for a token that is not for it"
        return AuthenticationError(message, why=services.said(str(error).partition(". ")[0]), uri=place)
    return services.unreached("Azure Key Vault", place, error, place.split("/")[2])


def _refusal(place: str, error: Any) -> NotarypyError:  # noqa: ANN401 - the library's error with an answer
    """Return the error for an answer that is none."""
    status, headers = error.response.status_code, error.response.headers
    found = _said(error.response)
    inner = found.get("innererror") or found.get("innerError")
    inner = inner if isinstance(inner, dict) else {}
    reason, why = str(inner.get("code", "")), str(found.get("message", ""))
    if "error_description" in found:  # who gives tokens has answered
        return without_token(place, error)
    if reason in _DISABLED or status == _CONFLICT:
        return services.disabled(place, why)
    if status == _BAD_REQUEST:
        return services.unsupported(place, why, Advice("make-azure-key"))
    todo = Advice("allow-azure-key") if status == _FORBIDDEN else Advice("log-in-azure")
    if reason in _NETWORK:
        todo = Advice("allow-azure-network")
    why = f"{reason}: {why}" if reason else why
    return services.refused(place, status, why, todo, headers.get("Retry-After"))


def _said(response: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the library's answer
    """Return the object that says what went wrong, or an empty one."""
    answer = json_object(response.body()) or {}
    inner = answer.get("error")
    return inner if isinstance(inner, dict) else answer


def unconfigured(place: str, error: Exception) -> AuthenticationError:
    """Return the error that credentials cannot be looked for with what is set here (rule 2)."""
    message, why = "the credentials for Azure that are set here cannot be used", services.reason(error)
    why = services.hidden(why, os.environ)
    return AuthenticationError(message, why=why, advice=Advice("correct-credentials"), uri=place)


def without_token(place: str, error: Exception) -> NotarypyError:
    """Return the error that there is no token: of a long list, who was asked, and who failed with what."""
    if services.is_network(error):
        return services.unreached("Azure", place, error)
    if all(kind.__name__ != "AzureError" for kind in type(error).__mro__):
        return unconfigured(place, error)
    lines = [line.strip() for line in str(error).splitlines()]
    listed = [line for line in lines if _ASKED.match(line)]
    failed = [line for line in listed or lines if line and not _UNAVAILABLE.search(line)]
    if failed and "AADSTS" not in failed[0] and _UNREACHED.search(failed[0]):
        why = (*services.where(failed[0]), services.said(failed[0]))
        return UnreachableError("Azure cannot be reached", why=why, uri=place)
    asked = ", ".join(line.partition(":")[0] for line in listed)
    return AuthenticationError(
        "Azure gives no token for the credentials that are here"
        if failed
        else "there are no credentials for Azure",
        why=(
            *(services.hidden(line, os.environ) for line in failed[:1]),
            *([f"asked: {asked}"] if asked else []),
        ),
        advice=Advice("log-in-azure"),
        uri=place,
    )
