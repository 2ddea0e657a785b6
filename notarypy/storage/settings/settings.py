"""Options, environment and configuration files, joined into one frozen `Settings`.

What it is: the one answer to "which server, which directory, which certificates". What it is not: credentials
(`remote.auth.credentials`) and passphrases (`keys.passphrases`), which take what they need from
`Settings.environ`.

Rules:

1. An option beats the environment, which beats the configuration file, which beats the default. An empty
   variable counts as unset; an empty option is an error, for it is mostly a variable that should have had a
   value.
2. A registry's own table beats the table `*`, key by key. A `ca` belongs to the server of its own table.
3. Servers speak https, except a loopback address for which the user wrote http.
4. A registry named insecure may be asked over http; its certificate is verified all the same when it speaks
   https.
5. Trust on first use is allowed by an option, a variable or a file, and `disable_tofu` beats them all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal, TypedDict

from notarypy import files, system
from notarypy.errors import Advice, ConfigurationError, InvalidNameError
from notarypy.images.reference import DOCKER_HUB, parse_registry
from notarypy.storage.settings import configfile, configsection, servers
from notarypy.storage.settings.configfile import FileSettings, RegistrySettings
from notarypy.storage.settings.policyfile import Pins, PolicyFile, by_gun
from notarypy.storage.settings.servers import TlsFiles
from notarypy.tuf import roles
from notarypy.values import dataclass, field

__all__ = ["DOCKER_HUB_SERVER", "GlobalOptions", "RegistrySettings", "Settings", "TlsFiles", "load"]

DOCKER_HUB_SERVER = "https://notary.docker.io"
"""Where docker looks for trust data of Docker Hub."""
DOCKER_HUB_ENDS = date(2026, 12, 8)
"""The day on which Docker ends that service."""

_LOG = logging.getLogger(__name__)
SERVER_VARIABLE = "DOCKER_CONTENT_TRUST_SERVER"
_ON, _OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})
FIRST_USE_VARIABLE = "NOTARYPY_FIRST_USE"
SYSTEM_CERTS = tuple(folder / "certs.d" for folder in system.machine_folders("containers", "docker"))


class GlobalOptions(TypedDict, total=False):
    """What the command line's global options say; None is as good as left out.

    Attributes:
        server: The Notary server.
        trust_dir: Keys and cached trust data.
        config: The configuration file, TOML or Go notary's JSON.
        tlscacert: The only CAs, a PEM file, to trust for the Notary server.
        tlscert: Client certificate for the Notary server.
        tlskey: Its private key.
        insecure_registry: Registries that may be asked over http.
        timeout: The most that one request may take, in seconds or as "2m".
        retry_for: How long a publish goes on when others are quicker or answers are lost, likewise.
        passphrase_file: One passphrase, or lines `root=`, `targets=`, `snapshot=`, `NAME=`.
        offline: Whether to use cached trust data only.
        policy: The trust policy.
        first_use: Whether readers may trust a root that nothing is known of.
        archive: A trust archive that is read in place of any Notary server; nothing is stored then.
    """

    server: str | None
    trust_dir: Path | str | None
    config: Path | str | None
    tlscacert: Path | str | None
    tlscert: Path | str | None
    tlskey: Path | str | None
    insecure_registry: Sequence[str] | None
    timeout: float | str | None
    retry_for: float | str | None
    passphrase_file: Path | str | None
    offline: bool | None
    policy: Path | str | None
    first_use: bool | None
    archive: Path | str | None


@dataclass(frozen=True)
class Settings:
    """Everything that was decided before the first file or server is touched.

    Attributes:
        trust_dir: The trust directory.
        docker_config: Docker's own configuration directory.
        docker_is_extra: Whether certificates and logins there are an extra (`gosettings`, rule 5).
        server: The Notary server that an option or the environment names, or None.
        server_source: The option or variable that names it.
        tls_ca: The only CAs to trust for Notary servers, from an option, or None.
        tls_cert: Client certificate for Notary servers, or None.
        tls_key: Its key; None exactly if `tls_cert` is.
        insecure_registries: Registries that may be asked over http.
        timeout: Seconds for one request as a whole.
        retry_for: Seconds to go on after conflicts with other publishers.
        passphrase_file: As given by the option, or None.
        registries: Settings by registry host; `*` for the rest.
        offline: Whether only cached trust data may be used.
        environ: The environment; holds secrets, so it is not shown.
        registry_certs: Directories that hold a folder of certificates per registry.
        gun_pins: Pins by GUN, or by the beginning of a GUN and `*`.
        gun_authorities: Files with the authorities of root certificates, by the beginning of a GUN.
        policy: Where the trust policy is, or would be; None for no policy at all.
        first_use: Whether readers may trust a root that nothing is known of: True by a decision, None while
            there is none, False where nobody may, publishers neither.
        archive: A trust archive that is read in place of Notary servers, or None.
        options: The options that were given; for whoever looks where a setting is from.
        config: The configuration file, whether it is there or not; None for none.
        unread: Where keys are in it that mean nothing.
    """

    trust_dir: Path
    docker_config: Path
    server: str | None = None
    server_source: str = "--server"
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_registries: frozenset[str] = frozenset()
    timeout: float = 60.0
    retry_for: float = 60.0
    passphrase_file: Path | None = None
    registries: Mapping[str, RegistrySettings] = field(default_factory=dict)
    offline: bool = False
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    registry_certs: tuple[Path, ...] = SYSTEM_CERTS
    gun_pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gun_authorities: Mapping[str, Path] = field(default_factory=dict)
    policy: PolicyFile | None = None
    first_use: bool | None = None
    archive: Path | None = None
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    config: Path | None = None
    unread: tuple[str, ...] = ()
    docker_is_extra: bool = False

    def server_for(self, registry_host: str) -> str:
        """Return the address of the Notary server for a registry's images; raise ConfigurationError."""
        url = self.server or self._configured_server(registry_host)
        named = self.server_source_for(registry_host) or "no setting"
        _LOG.debug("the Notary server of %s is %s (named by %s)", registry_host, url, named)
        return url

    def names_server(self, registry_host: str) -> bool:
        """Tell whether the user named the Notary server for a registry; else it is only derived."""
        return self.server is not None or any(table.server for table in self._tables(registry_host))

    def server_source_for(self, registry_host: str) -> str:
        """Return what names the Notary server for a registry, in words; empty where it is only derived."""
        if self.server is not None:
            return self.server_source
        return "server in the configuration file" if self.names_server(registry_host) else ""

    def notary_server_at(self, host_port: str) -> str | None:
        """Return the Notary server that a setting names at a host and port, if there is one."""
        urls = (self.server, *(table.server for table in self.registries.values()))
        wanted = servers.with_port(host_port)
        return next((url for url in urls if url and servers.with_port(url) == wanted), None)

    def pins_for(self, registry_host: str, gun: str = "") -> Pins | None:
        """Return the configured pins for a repository, or None.

        The most specific counts alone: the GUN, the longest beginning of the GUN, the longest beginning with
        authorities, the registry, `*`.
        """
        found = by_gun(gun, self.gun_pins, self.gun_authorities)
        roots = next((table.root for table in self._tables(registry_host) if table.root), ())
        if not found and roots:
            found = Pins(roots, source=f"root in {self.config or 'the configuration file'}")
        return found or None

    def tls_for(
        self, host_port: str, *, kind: Literal["notary", "registry"], docker: bool = True
    ) -> TlsFiles:
        """Return the certificate files for a server; options and `ca` count for Notary servers only.

        Of these, docker's folder counts where `docker` says so. Raises TlsError for a folder that cannot be
        listed, ConfigurationError for half of a client pair.
        """
        if kind == "registry":
            return servers.find(self.registry_certs, host_port, None, None, environ=self.environ)
        pair = (self.tls_cert, self.tls_key) if self.tls_cert and self.tls_key else None
        ca = self._ca_for(host_port)
        bases = [self.docker_config / "tls"] if docker and not (self.docker_is_extra and ca) else []
        return servers.find(bases, host_port, ca, pair, environ=self.environ, options=True)

    def schemes_for(self, registry_host: str) -> tuple[str, ...]:
        """Return the schemes to ask a registry with, in order."""
        loopback = servers.is_loopback(registry_host)
        if registry_host.lower() in self.insecure_registries:
            return ("http", "https") if loopback else ("https", "http")
        plain = loopback and not servers.with_port(registry_host).endswith(f":{servers.HTTPS_PORT}")
        if plain and not any(map(os.path.isdir, servers.folders(self.registry_certs, registry_host))):
            return ("http", "https")
        return ("https",)

    def _tables(self, registry_host: str) -> list[RegistrySettings]:
        wanted = roles.comparable(registry_host)
        own = [host for host in self.registries if roles.comparable(host) == wanted]
        own.sort(key=lambda host: host != registry_host.lower())
        return [self.registries[host] for host in (*own, "*") if host in self.registries]

    def _configured_server(self, registry_host: str) -> str:
        named = next((table.server for table in self._tables(registry_host) if table.server), None)
        if named is not None or registry_host == DOCKER_HUB:
            return named or DOCKER_HUB_SERVER
        try:
            return servers.server_url(f"https://{parse_registry(registry_host)}", "the registry's host")
        except (InvalidNameError, ConfigurationError) as error:
            message, advice = f'no Notary server is known for "{registry_host}"', Advice("name-server")
            raise ConfigurationError(message, why=error.why, advice=advice) from error

    def _ca_for(self, host_port: str) -> Path | None:
        """Return the CA file that replaces the system's store for a Notary server (rule 2)."""
        if self.tls_ca is not None:
            return self.tls_ca
        wanted = servers.with_port(host_port)
        for host, table in self.registries.items():
            if host == "*" or not (table.server or table.ca):
                continue
            if servers.with_port(self._configured_server(host)) == wanted:
                return table.ca
        rest = self.registries.get("*", RegistrySettings())
        using = {servers.with_port(url) for url in (rest.server, self.server) if url}
        return rest.ca if rest.server is None or wanted in using else None


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    home: Path | None = None,
    *,
    system_certs: tuple[Path, ...] = SYSTEM_CERTS,
    file: FileSettings | None = None,
) -> Settings:
    """Join options, environment and file; raise ConfigurationError, or TypeError for no `GlobalOptions`.

    The home is by default this user's. With `file` no configuration file is read.
    """
    given, home = _given(flags), home or files.home(environ)
    variables = [name for name in (SERVER_VARIABLE, "DOCKER_CONFIG", "XDG_CONFIG_HOME") if environ.get(name)]
    _LOG.debug("settings from options %s, variables %s", sorted(given) or "none", variables or "none")
    xdg = Path(environ.get("XDG_CONFIG_HOME", ""))
    xdg = xdg if xdg.is_absolute() else home / ".config"
    config = _path(given, "config")
    file = _file_settings(config, xdg, home) if file is None else file
    docker_config = Path(environ.get("DOCKER_CONFIG") or home / ".docker").absolute()
    folders = xdg / "containers", xdg / "docker", docker_config
    trust_dir = docker_config / "trust"
    if file.trust_dir is not None and not environ.get("DOCKER_CONFIG"):
        trust_dir = file.trust_dir.absolute()
    named_pair = _path(given, "tlscert"), _path(given, "tlskey")
    tls_cert, tls_key = servers.client_pair(named_pair, (file.tls_cert, file.tls_key), config)
    server, named = environ.get(SERVER_VARIABLE), SERVER_VARIABLE
    if "server" in given:
        server, named = str(given["server"]), "--server"
    hosts = given.get("insecure_registry", ())
    if isinstance(hosts, str) or not isinstance(hosts, Iterable):
        raise TypeError("insecure_registry is a sequence of hosts")
    insecure, policy = (*hosts, *file.insecure_registries), _path(given, "policy")
    return Settings(
        trust_dir=_path(given, "trust_dir") or trust_dir,
        docker_config=docker_config,
        server=servers.server_url(server, named) if server else None,
        server_source=named,
        tls_ca=_path(given, "tlscacert"),
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure_registries=frozenset(parse_registry(str(host)).lower() for host in insecure),
        timeout=_seconds(given, "timeout", file.timeout, Settings.timeout),
        retry_for=_seconds(given, "retry_for", file.retry_for, Settings.retry_for),
        passphrase_file=_path(given, "passphrase_file"),
        registries=file.registries,
        offline=bool(given.get("offline", False)),
        environ=dict(environ),
        registry_certs=(*system_certs, *(folder / "certs.d" for folder in folders)),
        gun_pins=file.gun_pins,
        gun_authorities=file.gun_authorities,
        policy=PolicyFile(policy or xdg / "notarypy" / "policy.toml", home, named=policy is not None),
        first_use=_first_use(given, environ, file),
        archive=_path(given, "archive"),
        options=given,
        config=config or xdg / "notarypy" / "config.toml",
        unread=file.unread,
    )


def _first_use(given: Mapping[str, object], environ: Mapping[str, str], file: FileSettings) -> bool | None:
    """Return what was decided about first use; a file that forbids it counts in any case (rule 5)."""
    allowed = _switch(environ, FIRST_USE_VARIABLE) or bool(given.get("first_use", False))
    return file.first_use if file.first_use is False else allowed or file.first_use


def _switch(environ: Mapping[str, str], name: str) -> bool:
    """Tell whether a variable turns something on; raise ConfigurationError for a word that is neither."""
    word = environ.get(name, "").strip().lower()
    if word not in _ON | _OFF:
        raise ConfigurationError(f"{name} is neither 1 nor 0", advice=Advice("set-or-unset", variable=name))
    return word in _ON


def _given(flags: Mapping[str, object]) -> dict[str, object]:
    unknown = flags.keys() - GlobalOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"no such options: {', '.join(sorted(unknown))}")
    given = {name: value for name, value in flags.items() if value is not None}
    for name, value in given.items():
        if value == "":
            raise ConfigurationError(f"{_option(name)} is empty", advice=Advice("give-value"))
    return given


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _path(given: Mapping[str, object], name: str) -> Path | None:
    value = given.get(name)
    return None if value is None else Path(str(value)).absolute()


def _file_settings(path: Path | None, xdg: Path, home: Path) -> FileSettings:
    usual = xdg / "notarypy" / "config.toml"
    try:
        return configfile.read(path or usual, home)
    except FileNotFoundError as error:
        if path is None and os.path.lexists(usual):  # pins are in it
            why, advice = "what it leads to is not there", Advice("check-file")
            raise ConfigurationError(f"{usual} is a link", why=why, advice=advice) from error
        if path is None:
            return FileSettings()
        why = f"there is no {path}"
        raise ConfigurationError("--config names no file", why=why, path=str(path)) from error


def _seconds(given: Mapping[str, object], name: str, configured: float | None, usual: float) -> float:
    if (value := given.get(name)) is not None:
        return configsection.seconds(value, name, _option(name))
    return usual if configured is None else configured
