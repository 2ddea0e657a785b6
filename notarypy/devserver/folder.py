"""The folder of a devserver: what it keeps there, and what clients find there.

What it is: file names, writing the small files, and the certificates. What it is not: the servers
(`start`), or making certificates (`keys.serverpair`).

Rules:

1. One devserver at a time in a folder.
2. The ports of the first start are those of every later one: a repository's name contains the registry's
   port.
3. A folder with other things in it, and no devserver's data, is left alone. Docker's configuration may be
   there before the first start.

The folder::

    ca.crt                                what clients have to trust
    env                                   what a shell has to export
    docker/                               DOCKER_CONFIG: logins, CAs by server, trust data
    server.pem  password  ports.json      what the servers need to be the same next time
    notary.sqlite  registry.sqlite        what was published and pushed
"""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from notarypy import files, system
from notarypy.devserver import sqlite
from notarypy.errors import Advice, StorageError
from notarypy.keys.serverpair import general_name, issue
from notarypy.limits import DEFAULT

LIFE = timedelta(days=365)
_OWNER = "notarypy devserver"
USER = "dev"
_LOCK, _DOCKER = "lock", "docker"
_PUBLIC = 0o644


def serves(server: bytes, names: Sequence[str], now: datetime) -> bool:
    """Return whether a server's certificate is for all these names, and in date for another month."""
    try:
        certificate = x509.load_pem_x509_certificate(server)
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    in_date = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - timedelta(days=30)
    return in_date and all(general_name(name) in listed for name in names)


class Folder:
    """A devserver's folder; made when it is missing."""

    def __init__(self, path: Path) -> None:
        """Use the folder at `path`; raise StorageError for one that is somebody else's (rule 3)."""
        files.make_private_directory(path)
        self.path = path.resolve()
        self._require_own()
        self.docker = self.path / _DOCKER
        self.lock = self.path / _LOCK
        self.authority = self.path / "ca.crt"
        self.server = self.path / "server.pem"
        self.environment = self.path / "env"

    def _require_own(self) -> None:
        try:
            names = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            raise files.failure("read", self.path, error) from None
        if sqlite.NOTARY_DATA not in names and names - {_LOCK, _DOCKER}:
            why = "there are other files in it, which a devserver could overwrite"
            message, advice = f"{self.path} is no devserver's folder", Advice("choose-empty-folder")
            raise StorageError(message, why=why, advice=advice, path=str(self.path))

    def certify(self, names: Sequence[str], now: datetime, random: Callable[[int], bytes]) -> None:
        """Have a certificate for these names; a new one comes with a new CA."""
        if self.authority.exists() and serves(_read(self.server), names, now):
            return
        issued = issue(_OWNER, names, now, LIFE, random)
        files.write_atomic(self.server, issued.certificate + issued.key)
        files.write_atomic(self.authority, issued.authority, _PUBLIC)

    def ports(self) -> tuple[int, int]:
        """Return the ports of the Notary server and the registry last time, 0 for none (rule 2)."""
        known = _read_json(self.path / "ports.json")
        notary, registry = known.get("notary", 0), known.get("registry", 0)
        return (notary, registry) if type(notary) is type(registry) is int else (0, 0)

    def keep_ports(self, notary: int, registry: int) -> None:
        """Note the ports for the next time."""
        document = json.dumps({"notary": notary, "registry": registry})
        files.write_atomic(self.path / "ports.json", document.encode())

    def password(self, random: Callable[[int], bytes]) -> str:
        """Return the password of `USER`, the same each time."""
        path = self.path / "password"
        if not _read(path):
            files.write_atomic(path, random(12).hex().encode())
        return _read(path).decode("ascii", "replace")

    def introduce(self, notary: str, registry: str) -> None:
        """Let docker and notarypy find the CA for both servers, named by host and port."""
        data = self.authority.read_bytes()
        for kind, host in (("tls", notary), ("certs.d", registry)):
            files.write_atomic(self.docker / kind / system.folder_name(host) / "ca.crt", data, _PUBLIC)

    def log_in(self, hosts: Sequence[str], password: str) -> None:
        """Let docker and notarypy find the login, beside what else is in docker's configuration."""
        path = self.docker / "config.json"
        document = _read_json(path)
        logins = document.setdefault("auths", {})
        for host in hosts:
            logins[host] = {"auth": basic(password)}
        files.write_atomic(path, json.dumps(document, indent=1).encode())

    def write_environment(self, variables: Mapping[str, str]) -> None:
        """Write the `env` file."""
        files.write_atomic(self.environment, os.fsencode("\n".join((*exports(variables), ""))))


def basic(password: str) -> str:
    """Return the login as docker's configuration and NOTARY_AUTH have it."""
    return base64.b64encode(f"{USER}:{password}".encode()).decode()


def exports(variables: Mapping[str, str]) -> list[str]:
    """Return the lines that make a POSIX shell export variables."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def _read(path: Path) -> bytes:
    try:
        return files.read_regular(path, DEFAULT.config_bytes)
    except FileNotFoundError:
        return b""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path) or b"{}")
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise StorageError(f"cannot use {path}", why="it is not a JSON object", advice=Advice("move-away"))
    return document
