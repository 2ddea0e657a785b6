"""From settings to servers: one connection pool each for Notary servers and for registries.

What it is: the one place that joins settings, TLS, credentials and transports.
What it is not: it sends nothing; the first request opens the first connection.

Rules:

1. Notary servers are asked with the certificates for Notary servers, registries with those for registries.
   The CAs of a server vouch for the token server it names too, as they do in docker and Go notary; its client
   certificate is not shown there.
2. NOTARY_AUTH is for Notary servers alone, and so is who may be asked, and only for one that was named. A
   Notary server may be shown the login of the registry whose trust data it keeps: that is how docker logs in
   to it.
3. Where docker's folder is an extra (`Settings.docker_is_extra`), certificates and logins that cannot be used
   there, or in podman's files, are warned of once, and count as none. What somebody named, by an option or a
   variable such as DOCKER_CONFIG, is an error as ever.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Literal

from notarypy import __version__, files
from notarypy.client import workers
from notarypy.errors import ConfigurationError, TlsError
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.auth.credentials import HUB, Credential, CredentialSource, Keychain, NotaryAuth
from notarypy.remote.auth.dockerconfig import DockerConfig, Extra, LoginFile, credential_sources, named_file
from notarypy.remote.http import tls
from notarypy.remote.http.messages import Redaction
from notarypy.remote.http.throttle import Throttles
from notarypy.remote.http.transport import Authenticator, Exchange, Transport
from notarypy.remote.http.urls import host_port, origin, proxy_for
from notarypy.remote.notary import NotaryClient
from notarypy.remote.registry.registry import RegistryClient

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from notarypy.images.reference import Reference
    from notarypy.remote.daemon import Daemon
    from notarypy.remote.http.sockets import Peer
    from notarypy.storage.settings.settings import Settings, TlsFiles

    Kind = Literal["notary", "registry"]
    AskLogin = Callable[[], tuple[str, str] | None]

_AGENT = f"notarypy/{__version__}"
_NO_STORE = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


class Connections:
    """Servers by name, made when first wanted; safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport | None,
        limits: Limits = DEFAULT,
        ask_login: AskLogin | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Use one given transport for everything, or make real ones."""
        self._settings, self._given, self._limits = settings, transport, limits
        self._transports: dict[tuple[Kind, str], Transport] = {}
        self._notaries: dict[tuple[str, str], NotaryClient] = {}
        self._registries: dict[str, RegistryClient] = {}
        self._places: tuple[DockerConfig, list[CredentialSource]] | None = None
        self._secrets, self._throttles = Redaction(), Throttles()
        self._lock = threading.RLock()
        self._ask_login, self._warn = ask_login, warn
        self.watch: Callable[[Transport], Transport] = lambda transport: transport

    @property
    def servers(self) -> int:
        """How many servers are known."""
        return len(self._notaries) + len(self._registries)

    def notary(self, url: str, registry_host: str, source: str = "", notice: str = "") -> NotaryClient:
        """Return the Notary server at `url`, logged in as for `registry_host` when it asks.

        `source` is the setting that names it, `notice` what there is to know about it, for error texts.
        """
        with self._lock:
            if (url, registry_host) not in self._notaries:
                host = host_port(url)
                # A server that was only derived from a reference is anybody's: it gets no secret of ours.
                named = self._settings.names_server(registry_host)
                sources = [NotaryAuth(self._settings.environ)] if named else []
                exchange = self._exchange("notary", host, (host, *_login_names(registry_host)), sources)
                self._notaries[url, registry_host] = NotaryClient(
                    exchange, url, source, notice, registry_host
                )
            return self._notaries[url, registry_host]

    def registry(self, reference: Reference) -> RegistryClient:
        """Return the registry that serves an image."""
        host = reference.api_host
        with self._lock:
            if host not in self._registries:
                schemes = self._settings.schemes_for(reference.registry)
                exchange = self._exchange("registry", host, _login_names(reference.registry), [])
                self._registries[host] = RegistryClient(exchange, host, schemes)
            return self._registries[host]

    def trial_registry(self, reference: Reference, offered: CredentialSource) -> RegistryClient:
        """Return the registry of an image, to be shown a login that is offered, and no other."""
        schemes = self._settings.schemes_for(reference.registry)
        exchange = self._exchange("registry", reference.api_host, _login_names(reference.registry), [offered])
        return RegistryClient(exchange, reference.api_host, schemes)

    def trial_notary(self, url: str, source: str, offered: CredentialSource) -> NotaryClient:
        """Return the Notary server at `url`, to be shown a login that is offered, and no other."""
        host = host_port(url)
        return NotaryClient(self._exchange("notary", host, (host,), [offered]), url, source)

    def nobody(self, host: str) -> Exchange:
        """Return the way to a registry without a login, for what is no request of a registry's own."""
        return Exchange(
            self.watch(self._transport("registry", host)),
            timeout=self._settings.timeout,
            user_agent=_AGENT,
            secrets=self._secrets,
            throttles=self._throttles,
            check=workers.check_stop,
            limits=self._limits,
        )

    def peer(self, kind: Kind, url: str) -> Peer | None:
        """Return who answers at a server's address; None where only requests get there, as through a proxy.

        Raises OSError, which a request would explain, and TlsError for files that cannot be used.
        """
        from notarypy.remote.http import sockets  # needs http.client and ssl

        if self._given is not None or proxy_for(url, self._settings.environ):
            return None
        (scheme, host, port), name = origin(url), host_port(url)
        context = self._context(name, kind, name) if scheme == "https" else None
        with sockets.until(time.monotonic() + self._settings.timeout):
            return sockets.peer(host, port, context)

    def login_file(self) -> LoginFile:
        """Return the file that logins are written to: the first that is read."""
        environ, timeout = self._settings.environ, self._settings.timeout
        named = named_file(environ)
        path = named or files.require_home(self._settings.docker_config / "config.json")
        return LoginFile(path, environ, podman=named is not None, timeout=timeout)

    def forget_logins(self) -> None:
        """Read the places of logins anew: something was written there."""
        with self._lock:
            self._places = None

    def login(self, reference: Reference) -> str | None:
        """Return the user that is configured for the registry of an image; None if there is none."""
        found = self.credential(reference)
        return found.user or None if found is not None else None

    def daemon(self) -> Daemon:
        """Return the docker daemon of this machine."""
        from notarypy.remote.daemon import Daemon, find_daemon  # needs http.client, ssl and socket

        found = find_daemon(self._settings.environ, self._settings.docker_config)
        return Daemon(found, timeout=self._settings.timeout, user_agent=_AGENT, limits=self._limits)

    def credential(self, reference: Reference) -> Credential | None:
        """Return the login for the registry that serves an image; the daemon asks nobody, so it gets it."""
        return Keychain(self._login_places()[1]).find(_login_names(reference.registry), reference.path)

    def close(self) -> None:
        """Close all connections that were made here."""
        with self._lock:
            for transport in self._transports.values():
                transport.close()
            self._transports.clear()
            self._notaries.clear()
            self._registries.clear()
            self._places = None

    def _exchange(
        self, kind: Kind, host: str, names: Sequence[str], sources: Sequence[CredentialSource]
    ) -> Exchange:
        def authenticator() -> Authenticator:
            # 13 million instructions, 1 % of a verification, and only a server that asks who we are needs it.
            from notarypy.remote.auth.tokens import TokenAuthenticator

            ask = self._ask_login if any(isinstance(each, NotaryAuth) for each in sources) else None
            keychain = Keychain([*sources, *self._login_places()[1]], ask and partial(workers.ask, ask))
            return TokenAuthenticator(host, keychain, names, limits=self._limits)

        return Exchange(
            self.watch(self._transport(kind, host)),
            timeout=self._settings.timeout,
            authenticator=authenticator,
            user_agent=_AGENT,
            secrets=self._secrets,
            throttles=self._throttles,
            check=workers.check_stop,
            configured=self._registry_headers if kind == "registry" else None,
            limits=self._limits,
        )

    def _login_places(self) -> tuple[DockerConfig, list[CredentialSource]]:
        """Return docker's file, and all places; shared, so that a helper is asked once for all servers."""
        with self._lock:
            if self._places is None:
                settings, environ, timeout = self._settings, self._settings.environ, self._settings.timeout
                path, usual = settings.docker_config / "config.json", not environ.get("DOCKER_CONFIG")
                docker = DockerConfig(path, environ, usual=usual, timeout=timeout)
                found, extra = credential_sources(docker, environ, timeout=timeout), settings.docker_is_extra
                places: list[CredentialSource]
                places = [Extra(one, self._warn) if extra and one.usual else one for one in found]
                self._places = docker, places
            return self._places

    def _registry_headers(self) -> dict[str, str]:
        return self._login_places()[0].registry_headers()

    def _transport(self, kind: Kind, server: str) -> Transport:
        if self._given is not None:
            return self._given
        if (kind, server) not in self._transports:
            from notarypy.remote.http.adapter import HttpTransport  # needs http.client and ssl

            self._transports[kind, server] = HttpTransport(
                lambda host: self._context(host, kind, server),
                self._settings.environ,
                lambda host: self._tls_places(host, kind, server),
                self._limits,
            )
        return self._transports[kind, server]

    def _tls_places(self, host: str, kind: Kind, server: str) -> tls.TlsPlaces:
        """Return where `_context` looked, for error texts."""
        found = self._tls_for(host, kind)
        named = found if host == server else self._tls_for(server, kind)
        # The first place is the system's store, or what is in place of it.
        searched = found.searched if found.replace_ca else (*named.searched, *found.searched[1:])
        own = host == server
        return tls.TlsPlaces(
            tuple(dict.fromkeys(searched)),
            found.advice,
            found.client_searched if own else (),
            found.client_advice,
            str(found.client_cert or "") if own else "",
        )

    def _context(self, host: str, kind: Kind, server: str) -> ssl.SSLContext:
        """Return the context for a server itself, or for the token server that it names (rule 1)."""
        found = self._tls_for(host, kind)
        named = found if host == server else self._tls_for(server, kind)
        return tls.context(
            replace_ca=found.replace_ca or named.replace_ca,
            extra_ca=tuple(dict.fromkeys((*found.extra_ca, *named.extra_ca))),
            client_cert=found.client_cert if host == server else None,
            client_key=found.client_key if host == server else None,
            environ=self._settings.environ,
        )

    def _tls_for(self, name: str, kind: Kind) -> TlsFiles:
        """Return the certificate files for a server (rule 3)."""
        settings = self._settings
        if kind == "registry" or not settings.docker_is_extra or settings.environ.get("DOCKER_CONFIG"):
            return settings.tls_for(name, kind=kind)
        named = settings.tls_for(name, kind=kind, docker=False)
        try:
            found = settings.tls_for(name, kind=kind)
            docker = found.client_cert != named.client_cert
            cert, key = (found.client_cert, found.client_key) if docker else (None, None)
            ca = [path for path in found.extra_ca if not path.is_fifo()]  # which can be read once
            tls.context(extra_ca=ca, client_cert=cert, client_key=key, environ=_NO_STORE)
        except (TlsError, ConfigurationError) as error:
            self._warn(f"docker's certificates are left out: {'; '.join((error.message, *error.why))}")
            return named
        return found


def _login_names(registry_host: str) -> tuple[str, ...]:
    return ("index.docker.io", HUB) if registry_host == HUB else (registry_host,)
