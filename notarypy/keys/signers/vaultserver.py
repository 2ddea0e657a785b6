"""A Vault or OpenBao server: which one it is, who asks it, and what its answers mean.

What it is: one request to the transit secrets engine at a time, and its errors. What it is not: keys
(`hashivault`), or HTTP (`remote.http`).

Rules:

1. The environment says each time which server is asked, and by whom: cosign's variables `VAULT_*`, or, where
   there is no `VAULT_ADDR`, OpenBao's `BAO_*`. The two are never mixed: the token for one server does not go
   to the other one. The token is read anew for each request, for an agent renews it in its file.
2. The server is asked over https, over http on this machine alone, and its certificate counts always: there
   is no way to turn that off, for whoever answers gets a token that signs.
3. Redirects are refused: the token goes to the named server, and to no other.
4. The token is in no error and no log, and texts of the server are shown without it.
5. One deadline holds for the whole request. What a server puts off is asked for once more within it
   (`services`); nothing else is.
6. Connections are kept, and each process has its own: after a fork two would read each other's answers.
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
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from notarypy import files
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConfigurationError,
    KeyPermissionError,
    NetworkError,
    NotarypyError,
    ServerError,
    ThrottledError,
)
from notarypy.keys.signers.services import PerProcess, in_time
from notarypy.limits import DEFAULT
from notarypy.remote.http import failures, tls
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.messages import Redaction, Request, Response, json_object
from notarypy.remote.http.urls import host_port, is_loopback, origin
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)
_VAULT, _OPENBAO = "VAULT_", "BAO_"
_MOUNT = "TRANSIT_SECRET_ENGINE_PATH"
_TOKEN_FILE = ".vault-token"  # noqa: S105 - the CLIs of both, and cosign, know it by this name
_ON = frozenset({"1", "t", "true"})
_PLAIN = re.compile(r"[\x21-\x7e]+")
_WAIT = 1.0
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


class _Environment:
    """What an environment says of a server and of who asks it (rules 1 and 2)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raise ConfigurationError for an environment that names no usable server."""
        self._environ = environ
        self._family = next((family for family in (_VAULT, _OPENBAO) if environ.get(f"{family}ADDR")), "")
        self.address = self._address()
        self.mount = environ.get(_MOUNT, "").strip("/") or "transit"

    def name(self, variable: str) -> str:
        """Return what a variable of Vault's is called in the family that counts (rule 1)."""
        return self._family + variable.removeprefix(_VAULT)

    def _value(self, variable: str) -> str:
        return self._environ.get(self.name(variable), "").strip()

    def token(self) -> str:
        """Return the token of whoever asks (rule 1).

        Raises AuthenticationError if there is none, ConfigurationError for what cannot be one.
        """
        name = self.name("VAULT_TOKEN")
        token, source = self._value("VAULT_TOKEN"), name
        file = Path(self._environ.get("HOME") or Path.home()) / _TOKEN_FILE
        if not token:
            try:
                data = files.read_regular(file, DEFAULT.passphrase_file_bytes, follow=True)
                token, source = data.decode(errors="replace").strip(), str(file)
            except FileNotFoundError:
                pass
        if not token:
            raise AuthenticationError(
                f"there is no token for {host_port(self.address)}",
                why=f"{name} is not set, and there is no file {file}",
                advice=Advice("log-in-to-vault", variable=name),
                host=host_port(self.address),
            )
        if not _PLAIN.fullmatch(token):
            raise ConfigurationError(f"{source} holds no token", why="a token has no blanks and is ASCII")
        return token

    def namespace(self) -> str:
        """Return the namespace, without one an empty text; raise ConfigurationError for what is none."""
        space = self._value("VAULT_NAMESPACE").strip("/")
        if space and not _PLAIN.fullmatch(space):
            raise ConfigurationError(
                f"{self.name('VAULT_NAMESPACE')} names no namespace", why="it has blanks"
            )
        return space

    def transport(self) -> HttpTransport:
        """Return a transport to the server; nothing is sent yet."""
        places = tls.TlsPlaces(
            self._authorities()[1],
            Advice("set-vault-ca", variable=self.name("VAULT_CACERT")),
            (),
            Advice(
                "set-vault-certificate",
                cert=self.name("VAULT_CLIENT_CERT"),
                key=self.name("VAULT_CLIENT_KEY"),
            ),
            self._value("VAULT_CLIENT_CERT"),
        )
        return HttpTransport(lambda _: self._context(), self._proxies(), lambda _: places)

    def _context(self) -> ssl.SSLContext:
        files = self._authorities()[0]
        cert, key = self._value("VAULT_CLIENT_CERT"), self._value("VAULT_CLIENT_KEY")
        return tls.context(
            replace_ca=files[0] if files else None,
            extra_ca=files[1:],
            client_cert=Path(cert) if cert else None,
            client_key=Path(key) if key else None,
            environ=self._environ,
        )

    def _authorities(self) -> tuple[list[Path], tuple[str, ...]]:
        """Return the files that take the place of the system's store, and where they are."""
        if file := self._value("VAULT_CACERT"):
            return [Path(file)], (file,)
        folder = self._value("VAULT_CAPATH")
        if not folder:
            return [], ("the system's CA certificates",)
        found = sorted(path for path in Path(folder).glob("*") if path.is_file())
        if not found:
            name = self.name("VAULT_CAPATH")
            raise ConfigurationError(f"{name} names a folder without certificates", why=f"it is {folder}")
        return found, (folder,)

    def _proxies(self) -> Mapping[str, str]:
        """Return the variables that name a proxy: Vault's own count for every server, others as always."""
        own = self._value("VAULT_PROXY_ADDR") or self._value("VAULT_HTTP_PROXY")
        return {"HTTPS_PROXY": own, "HTTP_PROXY": own} if own else self._environ

    def _address(self) -> str:
        """Return the server's URL (rule 2)."""
        if not self._family:
            why, advice = "neither VAULT_ADDR nor BAO_ADDR is set", Advice("set-vault-address")
            raise ConfigurationError("nothing says where the Vault server is", why=why, advice=advice)
        name, address = self.name("VAULT_ADDR"), self._value("VAULT_ADDR").rstrip("/")
        advice = Advice("name-vault", variable=name)
        try:
            scheme, host, _ = origin(address)
        except ConfigurationError as error:
            error.why, error.advice = (*error.why, f"{name} names it"), advice
            raise
        if not _PLAIN.fullmatch(address) or "?" in address or "#" in address:
            raise ConfigurationError(f"{name} is not the address of a server", advice=advice)
        if scheme != "https" and not is_loopback(host):
            why = "whoever listens on the way would have the token"
            raise ConfigurationError(f"{name} must begin with https://", why=why, advice=advice, host=host)
        if self._value("VAULT_SKIP_VERIFY").lower() in _ON:
            name = self.name("VAULT_SKIP_VERIFY")
            ca = Advice("set-vault-ca", variable=self.name("VAULT_CACERT"))
            why = "whoever answers in place of the server would have the token"
            raise ConfigurationError(f"{name} is set, and certificates count here", why=why, advice=ca)
        return address


class VaultServer:
    """The server that an environment names; for several threads, and after a fork (rules 1 and 6)."""

    def __init__(self, environ: Mapping[str, str], timeout: float) -> None:
        """Connect to nothing yet; raise ConfigurationError for an environment that names no usable server."""
        self._environment, self._timeout = _Environment(environ), timeout
        self.host, self.mount = host_port(self._environment.address), self._environment.mount
        self._secrets = Redaction()
        self._link = PerProcess(partial(_Link, self._environment))
        variable = self._environment.name("VAULT_ADDR")
        _LOG.debug("%s names %s; the transit engine is at %s/", variable, self.host, self.mount)

    def ask(self, asked: VaultRequest) -> VaultAnswer:
        """Return an answer that is about a key (rules 3 to 5): 2xx, 400, 404 or 500.

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
        """Return what the server says of a refusal, on one line and without the token (rule 4)."""
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
    """The connections of one process (rule 6)."""

    def __init__(self, environment: _Environment) -> None:
        self.transport = environment.transport()
        weakref.finalize(self, _close, self.transport, os.getpid())


def _close(transport: HttpTransport, process: int) -> None:
    """Close connections in the process that made them: in another one, a lock may be held for good."""
    if os.getpid() == process:
        transport.close()
