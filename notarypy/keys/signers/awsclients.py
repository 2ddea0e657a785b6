"""The SDK's clients for AWS KMS: with whose credentials, in which region, and by which address.

What it is: botocore as it is set here. What it is not: what KMS is asked (`awskms`).

Rules:

1. ENDPOINT is asked over https, as cosign does. Plain http leads to this machine alone, and only where
   AWS_ENDPOINT_URL says so: who changes an answer on its way could hand over another public key. The same
   holds for all services that the SDK asks for credentials, for they get what buys some.
2. Credentials are those of the SDK's usual chain, and the region that of the ARN. Where there is none,
   AWS_REGION counts before AWS_DEFAULT_REGION, as for cosign; botocore by itself reads the latter alone.
   What the environment that was handed in says counts before that of the process.
3. Credentials are fetched before KMS is asked, so that what goes wrong with them is not taken for its answer.
   Nobody is asked for a code of MFA: this is no terminal's matter, and may be nobody's at all.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, ConfigurationError
from notarypy.keys.signers import awserrors, services

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONNECTIONS = 32  # as many threads may sign at the same time without opening a connection each time
# What an environment that was handed in may say otherwise than that of the process (rule 2).
_VARIABLES = {
    "profile": "AWS_PROFILE",
    "config_file": "AWS_CONFIG_FILE",
    "credentials_file": "AWS_SHARED_CREDENTIALS_FILE",
    "ca_bundle": "AWS_CA_BUNDLE",
}
_IGNORE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
_WAYS = frozenset({"https_proxy", "http_proxy", "no_proxy", "requests_ca_bundle"})
_ACCESS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Clients:
    """The SDK's clients, which the threads of one process share."""

    def __init__(self) -> None:
        self.made: dict[tuple[object, ...], tuple[Any, Callable[[], None]]] = {}
        self.lock = threading.Lock()

    def get(
        self, endpoint: str, region: str, environ: Mapping[str, str], timeout: float
    ) -> tuple[Any, Callable[[], None]]:
        """Return a client for an endpoint and region, and what fetches the credentials that it uses."""
        found = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        said = sorted(item for item in environ.items() if item[0].startswith("AWS_"))
        said += sorted(item for item in os.environ.items() if item[0].lower() in _WAYS)
        known = (endpoint, found, timeout, *said)
        with self.lock:
            if known not in self.made:
                self.made[known] = _client(endpoint, found, environ, timeout)
            return self.made[known]


CLIENTS = services.PerProcess(Clients)


def _client(
    endpoint: str, region: str | None, environ: Mapping[str, str], timeout: float
) -> tuple[Any, Callable[[], None]]:
    try:
        from botocore.config import Config
        from botocore.session import Session
    except ImportError:
        raise services.missing("aws", "botocore") from None
    session = Session()
    for name, variable in _VARIABLES.items():
        if (said := environ.get(variable)) and said != os.environ.get(variable):
            session.set_config_variable(name, said)
    if environ.get(_IGNORE, "").lower() == "true":
        session.set_config_variable("ignore_configured_endpoint_urls", True)  # noqa: FBT003 - the SDK's
    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        user_agent_extra="notarypy",
    )
    services.require_proxy(os.environ, socks=False)
    session.set_default_client_config(config)  # for those that fetch credentials, too
    session.register("before-send", _require_private)
    _require_authorities(session, environ)
    roles = session.get_component("credential_provider").get_provider("assume-role")
    roles._prompter = awserrors.no_code  # noqa: SLF001 - there is no other way to it
    keys = _keys(environ)
    client = session.create_client("kms", region, endpoint_url=_url(endpoint, environ), **keys)
    _require_private_url("kms", client.meta.endpoint_url)
    if keys:
        return client, lambda: None
    credentials = session.get_credentials()
    if credentials is None:
        raise awserrors.anonymous()
    return client, lambda: _fetch(credentials)


def _fetch(credentials: Any) -> None:  # noqa: ANN401 - it has no types
    """Have credentials at hand that are still valid, asking whoever gives them (rule 3)."""
    try:
        credentials.get_frozen_credentials()
    except Exception as error:  # what reading a file or running a program raises, too
        if (known := awserrors.of_credentials(error)) is None:
            raise
        raise known from None


def _require_authorities(session: Any, environ: Mapping[str, str]) -> None:  # noqa: ANN401 - it has no types
    """Raise ConfigurationError for authorities that are none: the SDK takes it for TLS that failed."""
    said = session.get_config_variable("ca_bundle")
    name = "AWS_CA_BUNDLE" if environ.get("AWS_CA_BUNDLE") == said else "ca_bundle"
    found = {name: said or "", "REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE", "")}
    services.require_authorities(found, *found)


def _url(endpoint: str, environ: Mapping[str, str]) -> str | None:
    if endpoint:
        return f"https://{endpoint}"
    if environ.get(_IGNORE, "").lower() == "true":
        return None
    return environ.get("AWS_ENDPOINT_URL_KMS") or environ.get("AWS_ENDPOINT_URL") or None


def _keys(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return access keys that the process's environment does not have; the SDK finds those by itself."""
    found = {name.lower(): environ[name] for name in _ACCESS if environ.get(name)}
    same = all(os.environ.get(name) == environ.get(name) for name in _ACCESS)
    return {} if same else found


def _require_private(request: Any, event_name: str, **_: object) -> None:  # noqa: ANN401 - it has no types
    """Look at a request before it is sent (rule 1)."""
    _require_private_url(event_name.split(".")[1], request.url)


def _require_private_url(service: str, url: str) -> None:
    """Raise ConfigurationError for plain http to another machine."""
    if (host := services.in_the_clear(url)) is not None:
        name = service.upper().replace("-", " ")
        variable = f"AWS_ENDPOINT_URL_{name.replace(' ', '_')}"
        why = (
            f"{variable}, AWS_ENDPOINT_URL or the profile names http://{host}: http is for this machine alone"
        )
        message = f"AWS {name} is to be asked without TLS"
        raise ConfigurationError(message, why=why, advice=Advice("use-aws-https"))
