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
5. Of Go's file, the one server with its CA is for every registry. Keys count in any case, as Go reads them;
   GUNs in `trust_pinning` keep theirs, where Go forgets it and such pins never match.
6. TOML with a table `remote_server` or `trust_pinning` is Go's file, too. YAML, which it also reads, is not.
7. A byte order mark before all, as Windows' editors and PowerShell write it, means nothing.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, InvalidNameError, StorageError
from notarypy.images.reference import parse_registry
from notarypy.limits import DEFAULT
from notarypy.storage.settings import servers, spans
from notarypy.values import dataclass, field

_LOG = logging.getLogger(__name__)
_PIN = re.compile(r"[0-9a-fA-F]{64}")
_GOS_KEYS = ("trust_dir", "remote_server", "trust_pinning")
_SERVER_KEYS = ("url", "root_ca", "tls_client_cert", "tls_client_key", "skiptlsverify")
_PINNING_KEYS = ("certs", "ca", "disable_tofu")
_PINS_NEVERTHELESS = ("trust_pinning", "certs", "disable_tofu")  # what nobody means otherwise, anywhere
_ALIKE = 0.7
# A request takes some time, and nobody waits longer than that.
_LEAST_SECONDS, _MOST_SECONDS = {"timeout": 0.001, "retry_for": 0.0}, 1_000_000
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


class Section:
    """One table of a configuration file: takes values out, and complains with their place."""

    def __init__(self, values: Mapping[str, Any], where: str, path: Path, home: Path) -> None:
        """Keep the values and the place they are from."""
        self._values, self._where, self._path, self._home = values, where, path, home

    @classmethod
    def of_toml(cls, data: bytes, path: Path, home: Path) -> Section:
        """Read TOML; raise ConfigurationError."""
        import tomllib  # 3 ms, and most people have no file of settings

        try:
            return cls(tomllib.loads(data.decode("utf-8-sig")), "", path, home)
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, "TOML", error) from error

    @classmethod
    def of_json(cls, data: bytes, path: Path, home: Path) -> Section:
        """Read one JSON object without duplicate members; raise ConfigurationError."""
        try:
            values = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, "JSON", error) from error
        if not isinstance(values, dict):
            raise ConfigurationError(f"{path} cannot be used", why="it is not a JSON object", path=str(path))
        return cls(values, "", path, home)

    def place(self, key: str) -> str:
        """Return where a key is, for people."""
        return f"{self._where}{key} in {self._path}"

    def problem(self, key: str, why: str, advice: Advice | None = None) -> ConfigurationError:
        """Return the error for a key's value."""
        message = f"{self.place(key)} cannot be used"
        facts = {"path": str(self._path), "key": self._where + key}
        return ConfigurationError(message, why=why, advice=advice, **facts)

    def require_known(self, *known: str) -> None:
        """Refuse other keys than these (rule 1)."""
        for key in self._values:
            if key not in known:
                raise self.problem(key, "there is no such key", Advice("known-keys", names=", ".join(known)))

    def unread(self, *known: str) -> list[str]:
        """Return where other keys than these are; refuse one that looks like those about pins (rule 1)."""
        if found := [key for key in self._values if key not in known]:
            import difflib  # few files have such keys

            fine = (key for key in found if not difflib.get_close_matches(key, _PINS_NEVERTHELESS, 1, _ALIKE))
            self.require_known(*known, *fine)
        return [self.place(key) for key in found]

    def lowered(self) -> Section:
        """Return the same table as Go's reader sees it: keys in lower case, without empty texts and null."""
        if len({key.lower() for key in self._values}) != len(self._values):
            raise self.problem("", "two keys differ only in case")
        found = {
            key.lower(): value for key, value in self._values.items() if value is not None and value != ""
        }
        return Section(found, self._where, self._path, self._home)

    def section(self, key: str) -> Section:
        """Return the table of a key; a missing one is empty."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.problem(key, "it is not a table")
        return Section(value, f"{self._where}{key}.", self._path, self._home)

    def names(self) -> list[str]:
        """Return the keys in their order."""
        return list(self._values)

    def value(self, key: str) -> object:
        """Return a value of any type, or None."""
        return self._values.get(key)

    def text(self, key: str) -> str | None:
        """Return a text; an empty one is an error."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise self.problem(key, "it is not a text, or is empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a missing one is empty."""
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.problem(key, "it is not a list of texts")
        return tuple(values)

    def flag(self, key: str) -> bool:
        """Return true or false; a missing one is false."""
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise self.problem(key, "it is neither true nor false")
        return value

    def threshold(self, key: str, most: int) -> int:
        """Return how many of a list `any`, which has `most`, are wanted; 1 for a missing one."""
        value = self._values.get(key)
        if value is None:
            return 1
        if not most:
            raise self.problem(key, "it counts those of any, and there is none")
        if type(value) is not int or not 1 <= value <= most:
            raise self.problem(key, f"it is not a number from 1 to {most}")
        return value

    def seconds(self, key: str) -> float | None:
        """Return a number of seconds."""
        value = self._values.get(key)
        return None if value is None else seconds(value, key, self.place(key))

    def file(self, key: str, *, base: Path | None = None) -> Path | None:
        """Return a path (rule 3)."""
        text = self.text(key)
        return None if text is None else self._expanded(text, base)

    def paths(self, key: str) -> tuple[Path, ...]:
        """Return a list of paths (rule 3); a missing one is empty."""
        texts = self.texts(key)
        if not all(texts):
            raise self.problem(key, "a name of a file is empty")
        return tuple(self._expanded(text) for text in texts)

    def _expanded(self, text: str, base: Path | None = None) -> Path:
        if text == "~" or text.startswith("~/"):
            return files.require_home(self._home) / text[2:]
        return (base or self._path.parent) / text

    def required_file(self, key: str) -> Path:
        """Return the path of a key that is there (rule 3)."""
        found = self.file(key)
        if found is None:
            raise self.problem(key, "it names no file")
        return found

    def server(self, key: str) -> str | None:
        """Return the address of a Notary server."""
        text = self.text(key)
        return None if text is None else servers.server_url(text, self.place(key))

    def pins(self, key: str) -> tuple[str, ...]:
        """Return pins in lower case; an empty list is an error, a missing one is empty (rule 4)."""
        values = self.texts(key)
        if key in self._values and not values:
            raise self.problem(key, "it names no root", Advice("pin-nothing"))
        for value in values:
            if _PIN.fullmatch(value) is None:
                raise self.problem(key, f'"{value}" is not 64 hex digits')
        return tuple(value.lower() for value in values)


def seconds(value: object, name: str, place: str) -> float:
    """Return the seconds that the setting of this name may be; raise ConfigurationError naming the place."""
    number, shown = spans.seconds(value), str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, str) and spans.too_long(value):
        number = math.inf
    least, why, advice = _LEAST_SECONDS[name], "", Advice("write-span")
    if number is None or math.isnan(number):
        why = f"{shown} is not a number of seconds, and no span of time"
    elif number < least:
        why = f"{shown} is too short: it is {least:g} seconds at the least"
    elif number > _MOST_SECONDS:
        why, advice = f"{shown} is too long", Advice("write-shorter-span", most=f"{_MOST_SECONDS} seconds")
    else:
        return number
    raise ConfigurationError(f"{place} cannot be used", why=why, advice=advice)


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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _unreadable(path: Path, kind: str, error: Exception) -> ConfigurationError:
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return ConfigurationError(f"{path} is not {kind}", why=why, path=str(path))


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
        trust_dir=top.file("trust_dir", base=Path.cwd()),
        registries={} if everywhere == RegistrySettings() else {"*": everywhere},
        tls_cert=server.file("tls_client_cert"),
        tls_key=server.file("tls_client_key"),
        gun_pins={gun: certs.pins(gun) for gun in certs.names()},
        gun_authorities={prefix: authorities.required_file(prefix) for prefix in authorities.names()},
        first_use=None if _is_off(pinning.value("disable_tofu")) else False,
    )


def _is_off(value: object) -> bool:
    return (value.lower() if isinstance(value, str) else value) in _OFF
