"""Where each setting comes from: an option, a variable, a line of a file, or the default.

What it is: settings that were joined already, taken apart again for people; and settings that are joined in
spite of what is wrong with some of them. What it is not: their meaning (`storage.settings`).

Rules:

1. The order is that of `settings`: option, variable, file, default.
2. No secret is part of what is shown: of a variable that holds one only that it is set, of a proxy no user.
3. What cannot be used is left out, one source at a time, and reported; the rest counts. That is for whoever
   looks for what is wrong: nothing is verified or published by such settings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, NotarypyError
from notarypy.limits import DEFAULT
from notarypy.remote.http.urls import proxy_address
from notarypy.storage.settings.configfile import FileSettings
from notarypy.storage.settings.settings import FIRST_USE_VARIABLE, SERVER_VARIABLE, Settings, load

_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_]+)\s*=")
_MEMBER = re.compile(r'"([A-Za-z_]+)"\s*:')
_SECRET = re.compile(
    r".*_PASSPHRASE(?:_FILE)?|NOTARYPY_PASSPHRASE_.*|NOTARY_AUTH|DOCKER_AUTH_CONFIG|COSIGN_PASSWORD|"
    r"(?:VAULT|BAO)_TOKEN|AWS_(?:SECRET_ACCESS_KEY|SESSION_TOKEN)"
)
_PASSPHRASES = (
    *("NOTARYPY_NEW_PASSPHRASE", "NOTARYPY_PASSPHRASE_NAME"),
    *("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"),
    *(f"NOTARY_{role}_PASSPHRASE" for role in ("ROOT", "TARGETS", "SNAPSHOT", "DELEGATION")),
)
READ = (
    *("NOTARYPY_FIRST_USE", "NOTARYPY_KEYRING", "NOTARYPY_SERVICE", "DOCKER_CONTENT_TRUST", SERVER_VARIABLE),
    *("NOTARY_AUTH", *_PASSPHRASES, *(f"{name}_FILE" for name in _PASSPHRASES)),
)
"""Variables of ours, docker's and Go notary's that are read; NAME is that of any key."""
# Names of keys; of old docker, which are named elsewhere; of Go's programs; and what Kubernetes sets.
_FAMILIES = re.compile(
    r"NOTARYPY_PASSPHRASE_(?!FILE$).+|DOCKER_CONTENT_TRUST_(?:OFFLINE|TAGGING)_PASSPHRASE|"
    r"NOTARY_(?:REMOTE_SERVER|TRUST|TRUST_PINNING|SERVER|SIGNER)_.+|.*_(?:SERVICE_HOST|(?:SERVICE_)?PORT)(?:_.*)?"
)
_SHOWN = (
    *("NOTARYPY_SERVICE", "NOTARYPY_KEYRING", "REGISTRY_AUTH_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("DOCKER_CONTENT_TRUST", "DOCKER_HOST", "DOCKER_CONTEXT", "NO_PROXY"),
)
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY")


class Origin(NamedTuple):
    """A setting, its value for people, and where that is from."""

    name: str
    value: str
    source: str


def origins(settings: Settings) -> Iterator[Origin]:
    """Yield every setting that counts, as far as it is from somewhere or has a default worth knowing."""
    lines = _lines(settings.config)
    place = _Places(settings, lines)
    yield Origin("trust directory", _shown(settings.trust_dir), place.of("trust_dir", "DOCKER_CONFIG"))
    yield Origin("docker's directory", _shown(settings.docker_config), place.of("", "DOCKER_CONFIG"))
    yield Origin("configuration file", _presence(settings.config), place.of("config", "XDG_CONFIG_HOME"))
    policy = None if settings.policy is None else settings.policy.path
    yield Origin("trust policy", _presence(policy), place.of("policy", "XDG_CONFIG_HOME"))
    yield from _servers(settings, place, lines)
    files_of = [("CAs", "tlscacert", settings.tls_ca), ("client certificate", "tlscert", settings.tls_cert)]
    for name, option, path in files_of:
        if path is not None:
            yield Origin(f"{name} for Notary servers", str(path), place.of(option, "", "tls_client_cert"))
    for host in sorted(settings.insecure_registries):
        yield Origin("registry over http", host, place.of("insecure_registry", "", "insecure_registries"))
    yield Origin("timeout", f"{settings.timeout:g} seconds", place.of("timeout"))
    yield Origin("retry-for", f"{settings.retry_for:g} seconds", place.of("retry_for"))
    if settings.passphrase_file is not None:
        yield Origin("passphrase file", str(settings.passphrase_file), "--passphrase-file")
    if settings.archive is not None:
        yield Origin("archive", str(settings.archive), "--archive")
    if settings.offline:
        yield Origin("offline", "cached trust data alone", "--offline")
    words = {True: "allowed", False: "forbidden everywhere", None: "asked, or refused"}
    yield Origin("first use", words[settings.first_use], _first_use(settings, place))
    yield from _variables(settings.environ)


def _servers(settings: Settings, place: _Places, lines: Mapping[str, int]) -> Iterator[Origin]:
    if settings.server is not None:
        yield Origin("Notary server", settings.server, place.of("server", SERVER_VARIABLE))
    tables = {f"{key.rpartition('.')[0]}." for key in lines}
    for host, table in sorted(settings.registries.items()):
        key = f"registry.{host}." if f"registry.{host}." in tables else ""
        for name, value, member, old in (
            ("Notary server", table.server, "server", "url"),
            ("only CAs of the Notary server", table.ca, "ca", "root_ca"),
            ("root pins", ", ".join(table.root), "root", "certs"),
        ):
            if value:
                source = place.line(f"{key}{member}" if key else old)
                yield Origin(f"{name} for {host}", str(value), source)
    for gun, pins in sorted(settings.gun_pins.items()):
        yield Origin(f"root pins for {gun}", ", ".join(pins), place.line("certs"))
    for gun, path in sorted(settings.gun_authorities.items()):
        yield Origin(f"authorities of roots for {gun}", str(path), place.line("ca"))


class _Places:
    """Where settings are from (rule 1)."""

    def __init__(self, settings: Settings, lines: Mapping[str, int]) -> None:
        self._settings, self._lines = settings, lines

    def of(self, option: str, variable: str = "", key: str = "") -> str:
        """Return the place of a setting that has an option, a variable, and a key in the file."""
        if option and self._settings.options.get(option):
            return f"--{option.replace('_', '-')}"
        if variable and self._settings.environ.get(variable):
            return variable
        return self.line(key or option) if (key or option) in self._lines else "the default"

    def line(self, key: str) -> str:
        """Return the place of a key in the configuration file."""
        number = self._lines.get(key)
        at = f", line {number}" if number else ""
        return f"{key.rpartition('.')[2]} in {self._settings.config}{at}"


def _lines(path: Path | None) -> dict[str, int]:
    """Return the line of each key of a configuration file, with its table before it; the first one counts."""
    try:
        data = files.read_regular(path, DEFAULT.config_bytes, follow=True) if path is not None else b""
    except (NotarypyError, OSError):
        return {}
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), start=1):
        if header := _TABLE.fullmatch(line):
            table = f"{header[1].replace(chr(34), '').replace(chr(39), '')}."
        elif key := _KEY.match(line):
            found.setdefault(f"{table}{key[1]}", number)
        for member in _MEMBER.findall(line):
            found.setdefault(member.lower(), number)
    return found


def _presence(path: Path | None) -> str:
    if path is None:
        return "none"
    return _shown(path) if os.path.lexists(path) or files.lacks_home(path) else f"{path}, which is not there"


def _shown(path: Path) -> str:
    return "none, as there is no home directory" if files.lacks_home(path) else str(path)


def _first_use(settings: Settings, place: _Places) -> str:
    if settings.first_use is False:
        return place.line("disable_tofu")
    return "the default" if settings.first_use is None else place.of("first_use", FIRST_USE_VARIABLE)


def _variables(environ: Mapping[str, str]) -> Iterator[Origin]:
    """Yield variables that count, without secrets (rule 2)."""
    for name in sorted(environ):
        if not environ[name] or name in unread(environ):
            continue
        if _SECRET.fullmatch(name):
            yield Origin(name, "set, and not shown", "the environment")
        elif name in _SHOWN or name.lower() == "no_proxy":
            yield Origin(name, environ[name], "the environment")
        elif name.upper() in _PROXIES:
            yield Origin(name, proxy_address(environ[name]) or "set", "the environment")


def unread(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that look like ours, docker's or Go notary's, and that nobody reads."""
    ours = (name for name in environ if name.startswith(("NOTARYPY_", "NOTARY_", "DOCKER_CONTENT_TRUST")))
    return sorted(name for name in ours if name not in READ and not _FAMILIES.fullmatch(name))


class InSpite(NamedTuple):
    """Settings as far as they can be used, and what is wrong with the others."""

    settings: Settings
    problems: tuple[NotarypyError, ...]


def load_in_spite(options: Mapping[str, object], environ: Mapping[str, str]) -> InSpite:
    """Join settings as `load` does, without what cannot be used (rule 3)."""
    problems: list[NotarypyError] = []
    home, environ = _home(environ, problems), dict(environ)
    given = {name: value for name, value in options.items() if value is not None}
    with suppress(NotarypyError, OSError, ValueError):
        return InSpite(load(given, environ, home), tuple(problems))
    for part in ({"tlscert", "tlskey"}, *({name} for name in given if name not in {"tlscert", "tlskey"})):
        chosen = {name: value for name, value in given.items() if name in part - {"config"}}
        if problem := _problem(chosen, {}, home):
            given = {name: value for name, value in given.items() if name not in part}
            problems.append(problem)
    for name in (SERVER_VARIABLE, FIRST_USE_VARIABLE):
        if problem := _problem({}, {name: environ.get(name, "")}, home):
            del environ[name]
            problems.append(problem)
    with suppress(NotarypyError, OSError, ValueError):
        return InSpite(load(given, environ, home), tuple(problems))
    unknown = ConfigurationError("the configuration cannot be used", advice=Advice("check-file"))
    problems.append(_problem(given, environ, home, file=None) or unknown)
    given.pop("config", None)
    return InSpite(load(given, environ, home, file=FileSettings()), tuple(problems))


def _problem(
    options: Mapping[str, object],
    environ: Mapping[str, str],
    home: Path,
    file: FileSettings | None = FileSettings(),  # noqa: B008 - a frozen value
) -> NotarypyError | None:
    try:
        load(options, environ, home, file=file)
    except NotarypyError as error:
        return error
    except (OSError, ValueError) as error:
        return ConfigurationError("a setting cannot be used", why=str(error), advice=Advice("check-file"))
    return None


def _home(environ: Mapping[str, str], problems: list[NotarypyError]) -> Path:
    home = files.home(environ)
    try:
        files.require_home(home)
    except ConfigurationError as error:
        problems.append(error)
    if not home.is_absolute():
        why = f"HOME is {home}, which means another directory wherever a command is run"
        problems.append(ConfigurationError("HOME is no whole path", why=why, advice=Advice("set-home")))
    return home.absolute()
