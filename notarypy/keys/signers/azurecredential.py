"""Who we are to Azure, as its own library finds out, for vaults and registries; and what its errors mean.

What it is: the default credential of `azure-identity`, with bounds; exceptions in, errors out. What it is
not: what a token is for, and who gets it (`azurekms`, and `remote.auth.azureregistry`).

Rules:

1. Nobody is asked for anything: neither at a terminal nor in a browser.
2. One thread at a time asks for a token; the others find it in the library's cache.
3. What the library logs shows nothing to who did not ask for its logs.
4. Of what Azure or its libraries say, one short line is passed on, as `services` shows it, and no value of a
   variable that holds a secret.
5. What cannot be used of the variables, files and programs that credentials come from is no credentials, and
   nothing of the network: the libraries raise for it whatever reading it raises.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, AuthenticationError, BackendMissingError, NotarypyError, UnreachableError
from notarypy.keys.signers import services
from notarypy.remote.http.messages import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_BROWSER = "interactivebrowsercredential"


class AzureCredential:
    """The default credential; `place` is what it is for, a key's URI or a registry, for errors.

    Raises ImportError if the library is not installed, and what it raises for settings that it cannot use.
    """

    def __init__(self, authority: str | None, timeout: float, place: str) -> None:
        from azure.identity import DefaultAzureCredential

        services.quiet("azure", "msal")
        if os.environ.get("AZURE_TOKEN_CREDENTIALS", "").strip().lower() == _BROWSER:
            raise ValueError(
                "AZURE_TOKEN_CREDENTIALS names a login in a browser, and nobody is asked for one"
            )
        more: dict[str, Any] = {} if authority is None else {"authority": authority}
        self._lock, self._place = threading.Lock(), place
        self._inner = DefaultAzureCredential(
            process_timeout=max(int(timeout), 1),
            exclude_interactive_browser_credential=True,  # nobody is asked anything
            **within(timeout),
            **more,
        )

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:  # noqa: ANN401 - as Azure's protocol
        """Return a token for a scope; raise our own errors, which the library lets through."""
        try:
            with self._lock:
                return self._inner.get_token_info(*scopes, options=options)
        except Exception as error:  # noqa: BLE001 - as where credentials are looked for
            raise without_token(self._place, error) from None


def token(scope: str, authority: str | None, timeout: float, place: str) -> str:
    """Return one token for a scope."""
    services.require_for_requests(os.environ)
    try:
        credential = AzureCredential(authority, timeout, place)
    except ImportError:
        message, advice = (
            "the library azure-identity is not installed",
            Advice("install-extra", extra="azure"),
        )
        raise BackendMissingError(message, advice=advice, library="azure-identity") from None
    except Exception as error:  # noqa: BLE001 - who looks for credentials raises what reading them raises
        raise unconfigured(place, error) from None
    return str(credential.get_token_info(scope).token)


def within(seconds: float) -> dict[str, Any]:
    """Return the options of a request that may take so long, and that the library does not repeat."""
    return {"connection_timeout": seconds, "read_timeout": seconds, "retry_total": 0}


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
    if isinstance(error, ValueError) and "challenge" in str(error):  # for another domain (`azurekms`: 3)
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
    """Return the error that credentials cannot be looked for with what is set here (rule 5)."""
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
