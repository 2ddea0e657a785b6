"""Who we are to Azure, as its own library finds out: for keys in its vaults, and for its registries.

What it is: the default credential of `azure-identity`, with bounds and our errors. What it is not: what a
token is for, and who gets it (`azurekms`, and `remote.auth.azureregistry`).

Rules:

1. Nobody is asked for anything: neither at a terminal nor in a browser.
2. One thread at a time asks for a token; the others find it in the library's cache.
3. What the library logs shows nothing to who did not ask for its logs.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from notarypy.errors import Advice, BackendMissingError
from notarypy.keys.signers import azureerrors, services

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
            raise azureerrors.without_token(self._place, error) from None


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
        raise azureerrors.unconfigured(place, error) from None
    return str(credential.get_token_info(scope).token)


def within(seconds: float) -> dict[str, Any]:
    """Return the options of a request that may take so long, and that the library does not repeat."""
    return {"connection_timeout": seconds, "read_timeout": seconds, "retry_total": 0}
