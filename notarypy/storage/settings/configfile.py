"""Configuration files: our TOML and Go notary's `config.json`, read into one form.

What it is: files in, `FileSettings` out, and the tables that the trust policy is read from too. What it is
not: it knows no options and no environment, and sets no defaults (`settings` does).

Rules:

1. An unknown key of ours is an error: a mistyped `root` must not mean "no pin". Of Go's file it is `unread`,
   as there, but where it looks like something about pins.
2. What Go notary's file asks for and this program does not do is refused, not left out: turning off the
   verification of TLS.
3. Relative paths are relative to the file, except the trust directory of Go's file, which is relative to the
   working directory as there. `~/` is the home.
4. A pin is 64 hex digits; abbreviations are refused.
5. Of Go's file, the one server with its CA is for every registry. Keys count in any case, as Go reads them.
   GUNs in `trust_pinning` count as they are, and in lower case, which is all that Go makes of them.
6. TOML with a table `remote_server` or `trust_pinning` is Go's file, too. YAML, which it also reads, is not.
7. A byte order mark before all, as Windows' editors and PowerShell write it, means nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, InvalidNameError, StorageError
from notarypy.images.reference import parse_registry
from notarypy.limits import DEFAULT
from notarypy.storage.settings.configsection import Section
from notarypy.values import dataclass, field

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_GOS_KEYS = ("trust_dir", "remote_server", "trust_pinning")
_SERVER_KEYS = ("url", "root_ca", "tls_client_cert", "tls_client_key", "skiptlsverify")
_PINNING_KEYS = ("certs", "ca", "disable_tofu")
_OFF = (None, False, 0, "", "0", "f", "false")


@dataclass(frozen=True)
class RegistrySettings:
    """What is configured for the images of one registry.

    Attributes:
        server: Address of its Notary server, or None.
        ca: The only CAs to trust for that server, or None.
        root: Pins of roots; empty for none.
    """

    server: str | None = None
    ca: Path | None = None
    root: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSettings:
    """What a configuration file says; None and empty for what it leaves out.

    Attributes:
        registries: Settings by registry host; `*` for the rest.
        gun_pins: Pins by GUN, or by the beginning of a GUN and `*`.
        gun_authorities: Files with authorities of root certificates, by the beginning of a GUN.
        first_use: Whether a root may be trusted on first use where nothing is pinned; None for no word of it.
        unread: Where keys are of Go notary's file that mean nothing.
    """

    trust_dir: Path | None = None
    timeout: float | None = None
    retry_for: float | None = None
    insecure_registries: tuple[str, ...] = ()
    registries: Mapping[str, RegistrySettings] = field(default_factory=dict)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    gun_pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gun_authorities: Mapping[str, Path] = field(default_factory=dict)
    first_use: bool | None = None
    unread: tuple[str, ...] = ()


def read(path: Path, home: Path) -> FileSettings:
    """Read a file, TOML or JSON by its extension or first character; raise ConfigurationError."""
    path = path.absolute()
    try:
        data = files.read_regular(path, DEFAULT.config_bytes, follow=True)
    except StorageError as error:
        raise ConfigurationError(error.message, why=error.why, advice=error.advice, path=str(path)) from error
    return parse(data, path, home)


def parse(data: bytes, path: Path, home: Path) -> FileSettings:
    """Return what a configuration says that is, or will be, at a path; raise ConfigurationError."""
    _LOG.debug("settings from %s", path)
    if path.suffix == ".json" or (path.suffix != ".toml" and data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"):
        return _read_gonotary(Section.of_json(data, path, home))
    if path.suffix in {".yaml", ".yml"}:
        raise ConfigurationError(f"{path} is YAML", why="it cannot be read", advice=Advice("write-json"))
    top = Section.of_toml(data, path, home)
    return (
        _read_gonotary(top)
        if {"remote_server", "trust_pinning"} & {*map(str.lower, top.names())}
        else _read_toml(top)
    )


def _read_toml(top: Section) -> FileSettings:
    top.require_known("trust_dir", "timeout", "retry_for", "insecure_registries", "first_use", "registry")
    tables = top.section("registry")
    registries: dict[str, RegistrySettings] = {}
    for key in tables.names():
        try:
            host = key if key == "*" else parse_registry(key).lower()
        except InvalidNameError as error:
            raise tables.problem(f'"{key}"', error.why[0], Advice("write-registry")) from error
        if host in registries:
            raise tables.problem(key, f"{host} has two tables")
        table = tables.section(key)
        table.require_known("server", "ca", "root")
        registries[host] = RegistrySettings(table.server("server"), table.file("ca"), table.pins("root"))
    return FileSettings(
        trust_dir=top.file("trust_dir"),
        timeout=top.seconds("timeout"),
        retry_for=top.seconds("retry_for"),
        insecure_registries=top.texts("insecure_registries"),
        registries=registries,
        first_use=True if top.flag("first_use") else None,
    )


def _read_gonotary(top: Section) -> FileSettings:
    """Read Go notary's file (rules 2 and 5)."""
    top = top.lowered()
    server = top.section("remote_server").lowered()
    unread = (*top.unread(*_GOS_KEYS), *server.unread(*_SERVER_KEYS))
    if not _is_off(server.value("skiptlsverify")):
        why = "certificates of servers are always verified"
        raise server.problem("skipTLSVerify", why, Advice("trust-ca-instead"))
    pinning = top.section("trust_pinning").lowered()
    pinning.require_known(*_PINNING_KEYS)
    everywhere = RegistrySettings(server.server("url"), server.file("root_ca"))
    certs, authorities = pinning.section("certs"), pinning.section("ca")
    return FileSettings(
        unread=unread,
        trust_dir=top.file("trust_dir", base=Path()),
        registries={} if everywhere == RegistrySettings() else {"*": everywhere},
        tls_cert=server.file("tls_client_cert"),
        tls_key=server.file("tls_client_key"),
        gun_pins=_in_lower_case_too({gun: certs.pins(gun) for gun in certs.names()}),
        gun_authorities=_in_lower_case_too(
            {each: authorities.required_file(each) for each in authorities.names()}
        ),
        first_use=None if _is_off(pinning.value("disable_tofu")) else False,
    )


def _in_lower_case_too(values: dict[str, T]) -> dict[str, T]:
    return {**{name.lower(): value for name, value in values.items()}, **values}


def _is_off(value: object) -> bool:
    return (value.lower() if isinstance(value, str) else value) in _OFF
