"""A Vault or OpenBao server, as it is asked, and what its answers mean.

What it is: one request to the transit secrets engine at a time, and its errors. What it is not: keys
(`hashivault`), which server it is and who asks (`vaultenvironment`), or HTTP (`remote.http`).

Rules:

1. Redirects are refused: the token goes to the named server, and to no other.
2. The token is in no error and no log, and texts of the server are shown without it.
3. One deadline holds for the whole request. What a server puts off is asked for once more within it
   (`services`); nothing else is.
4. Connections are kept, and each process has its own: after a fork two would read each other's answers.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import weakref
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from notarypy.errors import (
    Advice,
    KeyPermissionError,
    NetworkError,
    NotarypyError,
    ServerError,
    ThrottledError,
)
from notarypy.keys.signers.services import PerProcess, in_time
from notarypy.keys.signers.vaultenvironment import VaultEnvironment
from notarypy.limits import DEFAULT
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Redaction, Request, Response, json_object
from notarypy.remote.http.urls import host_port
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.remote.http.adapter import HttpTransport

_LOG = logging.getLogger(__name__)
_WAIT = 1.0
_TLS_ALONE, _SHORT = b"HTTP request to an HTTPS server", 200
_STANDBY = frozenset({472, 473})
_ABOUT_KEYS = frozenset({400, 404, 500})
_COUNT = re.compile(r"\d+ errors? occurred: |(?:^|(?<= ))\* ")


@dataclass(frozen=True)
class VaultRequest:
    """A request to the transit engine, and the right that it takes.

    Attributes:
        method: GET or POST.
        path: What follows the engine's path, such as `sign/release`.
        right: The capability that a policy has to give for it.
        body: What is sent as JSON.
    """

    method: str
    path: str
    right: str
    body: Mapping[str, object] | None = None


@dataclass(frozen=True)
class VaultAnswer:
    """What the engine answers: a status, data in case of success, and what it says of a refusal."""

    status: int
    data: object
    said: str


class VaultServer:
    """The server that an environment names; for several threads, and after a fork (rule 4)."""

    def __init__(self, environ: Mapping[str, str], timeout: float) -> None:
        """Connect to nothing yet; raise ConfigurationError for an environment that names no usable server."""
        self._environment, self._timeout = VaultEnvironment(environ), timeout
        self.host, self.mount = host_port(self._environment.address), self._environment.mount
        self._secrets = Redaction()
        self._link = PerProcess(partial(_Link, self._environment))
        variable = self._environment.name("VAULT_ADDR")
        _LOG.debug("%s names %s; the transit engine is at %s/", variable, self.host, self.mount)

    def ask(self, asked: VaultRequest) -> VaultAnswer:
        """Return an answer that is about a key (rules 1 to 3): 2xx, 400, 404 or 500.

        Raises AuthenticationError and its kinds, ConfigurationError, NetworkError and its kinds.
        """
        return in_time(lambda seconds: self._asked(asked, seconds), self._timeout)

    def require_token(self) -> None:
        """Raise AuthenticationError or ConfigurationError if there is no token."""
        self._environment.token()

    def _asked(self, asked: VaultRequest, seconds: float) -> VaultAnswer:
        body = None if asked.body is None else json.dumps(asked.body).encode()
        url = f"{self._environment.address}/v1/{quote(self.mount)}/{asked.path}"
        request = Request(asked.method, url, self._headers(), body, secrets=self._secrets)
        response = self._sent(request, time.monotonic() + seconds)
        said, status = self._texts(response), response.status
        document = json_object(response.body)
        empty = response.is_success and not response.body
        if (document is None and not empty) or not (response.is_success or status in _ABOUT_KEYS):
            raise self._failed(asked, response, said)
        return VaultAnswer(status, (document or {}).get("data"), said)

    def _sent(self, request: Request, deadline: float) -> Response:
        try:
            return self._link().transport.send(request, deadline)
        except NetworkError as error:
            if "host" in error.facts:
                error.why = (*error.why, f"{self._environment.name('VAULT_ADDR')} names this server")
            raise

    def _headers(self) -> dict[str, str]:
        token = self._environment.token()
        self._secrets.note(token)
        space = self._environment.namespace()
        return {
            "X-Vault-Token": token,
            "X-Vault-Request": "true",
            **({"X-Vault-Namespace": space} if space else {}),
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "notarypy",
        }

    def _texts(self, response: Response) -> str:
        """Return what the server says of a refusal, on one line and without the token (rule 2)."""
        entries = (json_object(response.body) or {}).get("errors")
        looked_at = entries[: DEFAULT.error_entries] if isinstance(entries, list) else []
        text = "; ".join(entry for entry in looked_at if isinstance(entry, str))
        return self._secrets.without(_COUNT.sub("", " ".join(text.split())))[: DEFAULT.error_chars]

    def _denied(self, asked: VaultRequest, said: str, status: int) -> KeyPermissionError:
        path, right = f"{self.mount}/{asked.path}", asked.right
        return KeyPermissionError(
            f"{self.host} does not let this token {right} {path}",
            why=(
                f"the token has ended, or none of its policies gives {right} on {path}",
                *filter(None, [said]),
            ),
            advice=Advice("get-vault-right", path=path, right=right),
            host=self.host,
            path=path,
            right=right,
            status=status,
        )

    def _failed(self, asked: VaultRequest, response: Response, said: str) -> NotarypyError:
        """Return the error for an answer that is about the server, and not about the key."""
        status = response.status
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return self._denied(asked, said, status)
        path = f"{self.mount}/{asked.path}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = failures.retry_after(response)
            return ThrottledError(
                f"{self.host} is asked too often",
                why=said or f"it answered {status}",
                host=self.host,
                path=path,
                retry_after=_WAIT if wait is None else wait,
            )
        if response.is_success or status == HTTPStatus.NOT_FOUND:
            return self.misunderstood(failures.web_page(response) or "it is not JSON")
        if status == HTTPStatus.SERVICE_UNAVAILABLE and "sealed" in said:
            advice = Advice("unseal-vault", host=self.host)
            return ServerError(
                f"{self.host} is sealed", why=said, advice=advice, host=self.host, status=status
            )
        error = failures.of_status(self.host, path, replace(response, secrets=self._secrets))
        error.why = (*filter(None, [said]), *error.why)
        if _TLS_ALONE in response.body[:_SHORT]:  # what programs in Go answer to http where they want TLS
            error.why = (*error.why, "it speaks TLS there")
            error.advice = Advice("name-vault", variable=self._environment.name("VAULT_ADDR"))
        if response.is_redirect or status in _STANDBY:
            error.advice = Advice("name-active-vault", variable=self._environment.name("VAULT_ADDR"))
        return error

    def misunderstood(self, why: str) -> ServerError:
        """Return the error for an answer that is not what the engine says."""
        message = f"{self.host} sent an answer that cannot be used"
        return ServerError(
            message, why=self._secrets.without(why), advice=Advice("look-at-vault"), host=self.host
        )


class _Link:
    """The connections of one process (rule 4)."""

    def __init__(self, environment: VaultEnvironment) -> None:
        self.transport = environment.transport()
        weakref.finalize(self, _close, self.transport, os.getpid())


def _close(transport: HttpTransport, process: int) -> None:
    """Close connections in the process that made them: in another one, a lock may be held for good."""
    if os.getpid() == process:
        transport.close()
