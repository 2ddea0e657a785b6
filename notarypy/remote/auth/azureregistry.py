"""Azure Container Registry: which hosts are its registries, and the login that a token of Entra buys.

What it is: the exchange that `az acr login` makes, too. What it is not: where the token is from, or what is
done with the login: it is a user and a password, as any other (`tokens`).

Rules:

1. A token of Entra goes to hosts in the domains of Azure's registries alone, by https, at the usual port, and
   to the very registry that was named: not to a place that an answer names, nor after a redirect.
2. The token is one for registries. It is good for nothing else in Azure.
3. What it is traded for is good at that one registry, for about three hours, and has the rights of the moment
   of the exchange.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from notarypy.errors import Advice, AuthenticationError, ServerError, UsageError
from notarypy.remote.http.messages import Request, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.remote.http.transport import Exchange

USER: Final = "00000000-0000-0000-0000-000000000000"  # whose password is a token of the registry
SCOPE: Final = "https://containerregistry.azure.net/.default"  # rule 2
_AUTHORITIES: Final[Mapping[str, str | None]] = {
    "azurecr.io": None,  # where the library looks by itself
    "azurecr.cn": "login.chinacloudapi.cn",
    "azurecr.us": "login.microsoftonline.us",
}
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\.(azurecr\.(?:io|cn|us))")
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_LOG = logging.getLogger(__name__)


def serves(host: str) -> bool:
    """Tell whether a host is one of Azure's registries."""
    return _HOST.fullmatch(host) is not None


def authority_of(host: str, environ: Mapping[str, str]) -> str | None:
    """Return where tokens for a registry come from; UsageError: it is none of Azure's (rule 1)."""
    found = _HOST.fullmatch(host)
    if found is None:
        why = f"its host is in none of the domains of Azure's registries: {', '.join(_AUTHORITIES)}"
        if serves(host.rpartition(":")[0]):
            why = "Azure's registries are on port 443 alone"
        raise UsageError(f"{host} is no registry of Azure", why=why, advice=Advice("name-azure-registry"))
    return environ.get("AZURE_AUTHORITY_HOST") or _AUTHORITIES[found[1]]


def trade(exchange: Exchange, host: str, token: str) -> str:
    """Return the password that a registry gives for a token of Entra; AuthenticationError: it gives none."""
    form = {"grant_type": "access_token", "service": host, "access_token": token}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    _LOG.debug("%s is asked for a login, for a token of Azure", host)
    try:
        response = exchange.send(
            Request("POST", f"https://{host}/oauth2/exchange", headers, urlencode(form).encode())
        )
    except AuthenticationError as error:
        raise _refused(host, *error.why) from None
    if not response.is_success:
        raise _refused(host, f"{host} answered {response.status}")
    password = (json_object(response.body) or {}).get("refresh_token")
    if not isinstance(password, str) or not _TOKEN.fullmatch(password):
        raise ServerError(f"{host} sent no usable login for the token of Azure", host=host)
    return password


def _refused(host: str, *why: str) -> AuthenticationError:
    return AuthenticationError(
        f"{host} gives no login for the identity that Azure knows us by",
        why=why,
        advice=Advice("get-azure-role"),
        host=host,
        asked=None,
        granted=None,
        user=None,
        source=None,
    )
