"""Logins as docker and podman write them down: config.json, auth.json, DOCKER_AUTH_CONFIG.

What it is: what one such document says for a host, where such documents are, and writing a login into one.
What it is not: it runs no helper program itself (`credentials`), sends nothing, and checks nothing that is
written (`client.logins` does); without a helper a password is encoded, and not encrypted.

Rules:

1. A document is read when it is first needed. A missing file, and one with nothing in it, is an empty one.
2. For a host the helper in `credHelpers` is asked, else the one in `credsStore`, and then `auths` is looked
   at. An empty name in `credHelpers` means no helper for that host.
3. The most specific key of `auths` counts: `registry/ns/app`, `registry/ns`, `registry`. Keys that are URLs,
   or end in `/v1/` or `/v2/`, are for their whole host. In docker's file, as in docker, any other key counts
   for its whole host too when there is nothing better.
4. An answer of a helper is kept for a minute: one command asks once, a long-lived program notices when
   short-lived credentials change.
5. A member about logins that is not of its type is an error: nobody would know why requests
   are anonymous. Members that are unknown, null or empty objects are none.
6. Of `HttpHeaders` only those named `X-Meta-...` are for registries; the others are for a docker daemon.
7. A usual place in a folder that this user may not enter, root's for example, has no login. A file that is
   there and cannot be read is an error, as is a place that REGISTRY_AUTH_FILE or DOCKER_CONFIG names.
8. A file that is written keeps everything but this login. One that cannot be read is left alone.
9. Where the file names a helper program for a host, the helper keeps the secret, and the file gets the empty
   entry that docker leaves.
10. A login takes the place of all keys that are for its whole host, however they are written. Keys with a
   path are other logins.
11. It is replaced in one step, with mode 0600. A link stays one: what it leads to is replaced.
12. Where usual places are an extra (`Extra`), as for Go notary, which knows none of them, one that cannot be
   used has no login, with one warning. What somebody named is an error as ever.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from notarypy import files, system
from notarypy.errors import Advice, AuthenticationError, ConfigurationError, StorageError
from notarypy.limits import DEFAULT
from notarypy.remote.auth.credentials import (
    HUB,
    HUB_SERVER,
    Credential,
    CredentialSource,
    Helper,
    decoded,
    host_key,
)
from notarypy.values import replace

REMEMBER = 60.0
_META = "x-meta-"
_SECRETS = ("auth", "password", "identitytoken", "registrytoken")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")
_LOG = logging.getLogger(__name__)


class DockerConfig:
    """The logins of one file, with environment and timeout of helpers.

    In podman's file keys mean what they say, and Docker Hub is `docker.io`. A `usual` place is one that
    nobody named (rule 7).
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str] | None = None,
        *,
        podman: bool = False,
        usual: bool = False,
        timeout: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._path = str(path), path
        self._environ, self._podman, self._timeout = environ or {}, podman, timeout
        self.usual, self._monotonic = usual, monotonic
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], tuple[float, Credential | None]] = {}

    def get(self, host: str, path: str = "") -> Credential | None:
        """Return what the document says for a host and a repository on it (rules 2 and 3)."""
        if helper := self._helper(host):
            # Under this name helpers keep the login of Docker Hub.
            hub = HUB if self._podman else HUB_SERVER
            if (found := self._ask(helper, hub if host_key(host) == HUB else host)) is not None:
                return found
        entry = self._entry(host_key(host), path)
        return None if entry is None else self._credential(entry)

    def registry_headers(self) -> dict[str, str]:
        """Return the headers to send to registries (rule 6); none if the file cannot be used."""
        try:
            headers = self._table("HttpHeaders")
        except ConfigurationError as error:
            # Whoever needs a login learns of it; an anonymous reader must not be stopped by it.
            _LOG.info("%s: %s", error.message, "; ".join(error.why))
            return {}
        found = {name: value for name, value in headers.items() if name.lower().startswith(_META)}
        for name, value in found.items():
            usable = isinstance(value, str) and _HEADER_VALUE.fullmatch(value)
            if not usable or not _HEADER_NAME.fullmatch(name):
                raise self._unusable(f'"{name}" in "HttpHeaders" is not a header that can be sent')
        return found

    def _helper(self, host: str) -> str:
        """Return the name of the helper for a host, empty if there is none (rule 2)."""
        helpers = self._table("credHelpers")
        named = {host_key(name): self._text(helpers, name, f'"{name}" in "credHelpers"') for name in helpers}
        return named.get(host_key(host), self._text(self._document, "credsStore", '"credsStore"'))

    def _ask(self, name: str, server: str) -> Credential | None:
        """Ask a helper, or remember what it said (rule 4)."""
        with self._lock:
            until, answer = self._answers.get((name, server), (self._monotonic(), None))
            if self._monotonic() >= until:
                answer = Helper(name, self.name, self._environ, self._timeout).get(server)
                self._answers[name, server] = self._monotonic() + REMEMBER, answer
            return answer

    def _entry(self, host: str, path: str) -> dict[str, str] | None:
        parts = [host, *filter(None, path.split("/"))]
        for length in range(len(parts), 0, -1):
            if entry := self._entries.get("/".join(parts[:length])):
                return entry
        if self._podman:
            return None
        return next((entry for place, entry in self._entries.items() if place.split("/")[0] == host), None)

    @cached_property
    def _entries(self) -> dict[str, dict[str, str]]:
        """The entries that hold something, by what they are for; a key without a URL's parts goes first."""
        auths = self._table("auths")
        found: dict[str, dict[str, str]] = {}
        for name in sorted(auths, key=lambda name: name.lower() not in (place_of(name), HUB_SERVER)):
            entry = {} if auths[name] is None else auths[name]
            if not isinstance(entry, dict):
                raise self._unusable(f'"{name}" in "auths" is not an object')
            members = ("username", *_SECRETS)
            texts = {key: self._text(entry, key, f'"{key}" of "{name}" in "auths"') for key in members}
            # A credential helper leaves an empty entry behind: there is nothing here for us then.
            if any(texts[member] for member in _SECRETS):
                found.setdefault(place_of(name), texts)
        return found

    def _credential(self, entry: dict[str, str]) -> Credential | None:
        if token := entry["registrytoken"]:
            return Credential("", token, self.name, "bearer")
        auth = entry["auth"]
        found = (
            decoded(auth, self.name) if auth else Credential(entry["username"], entry["password"], self.name)
        )
        if token := entry["identitytoken"]:
            return replace(found, secret=token, kind="identity")
        return found if found.user and found.secret else None

    def _text(self, table: Mapping[str, object], name: str, shown: str) -> str:
        """Return a text, empty for none; raise ConfigurationError for anything else (rule 5)."""
        value = table.get(name)
        if value is not None and not isinstance(value, str):
            raise self._unusable(f"{shown} is not text")
        return value or ""

    def _table(self, key: str) -> dict[str, Any]:
        table = self._document.get(key)
        if table is None:
            return {}
        if not isinstance(table, dict):
            raise self._unusable(f'"{key}" is not an object')
        return table

    @cached_property
    def _document(self) -> dict[str, Any]:
        try:
            text = self._read().decode("utf-8-sig")
            document = json.loads(text) if text.strip() else {}
        except FileNotFoundError:
            return {}
        except (StorageError, OSError) as error:
            if self.usual and _is_out_of_reach(self._path):
                _LOG.info("%s is in a folder that cannot be entered: no login is there", self.name)
                return {}
            raise self._unusable(str(error)) from None
        except (ValueError, RecursionError):
            raise self._unusable("it is not JSON") from None
        if not isinstance(document, dict):
            raise self._unusable("it is not a JSON object")
        return document

    def _read(self) -> bytes:
        # The file itself may be a link: dotfile managers and mounted secrets make it one.
        return files.read_regular(self._path, DEFAULT.config_bytes, follow=True)

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"cannot use {self.name}", why=why, advice=Advice("mend-file", file=self.name), path=self.name
        )


class DockerAuthConfig(DockerConfig):
    """The variable DOCKER_AUTH_CONFIG: the same JSON, handed over in the environment."""

    VARIABLE = "DOCKER_AUTH_CONFIG"

    def __init__(self, environ: Mapping[str, str], *, timeout: float = 60.0) -> None:
        super().__init__(Path(), environ, timeout=timeout)
        self.name = self.VARIABLE

    def _read(self) -> bytes:
        return self._environ.get(self.VARIABLE, "").encode(errors="surrogateescape")


class Extra:
    """A place that is left out, with one warning, where it cannot be used (rule 12)."""

    def __init__(self, place: CredentialSource, warn: Callable[[str], None]) -> None:
        self.name, self._warn = place.name, warn
        self._place: CredentialSource | None = place

    def get(self, host: str, path: str = "") -> Credential | None:
        """Return what the place knows."""
        try:
            return None if self._place is None else self._place.get(host, path)
        except (ConfigurationError, AuthenticationError) as error:
            self._warn(f"no login is taken from {self.name}: {'; '.join((error.message, *error.why))}")
            self._place = None
            return None


def credential_sources(
    docker: DockerConfig, environ: Mapping[str, str], *, timeout: float
) -> list[DockerConfig]:
    """Return all places in their order: REGISTRY_AUTH_FILE's, the variable, docker's file, podman's files."""
    variable = environ.get(DockerAuthConfig.VARIABLE, "").strip()
    text = [DockerAuthConfig(environ, timeout=timeout)] if variable else []
    named = named_file(environ)
    first, last = ([named], []) if named else ([], _podman_files(environ))
    before, after = (
        [DockerConfig(path, environ, podman=True, usual=not named, timeout=timeout) for path in paths]
        for paths in (first, last)
    )
    return [*before, *text, docker, *after]


def named_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file that REGISTRY_AUTH_FILE names, as it does for podman, skopeo and buildah."""
    named = environ.get("REGISTRY_AUTH_FILE")
    return Path(named) if named else None


def _podman_files(environ: Mapping[str, str]) -> list[Path]:
    """Return the files podman reads when the variable names none, in its order."""
    runtime, config = environ.get("XDG_RUNTIME_DIR"), Path(environ.get("XDG_CONFIG_HOME") or "")
    if not config.is_absolute():
        config = files.home(environ) / ".config"
    found = [config / "containers" / "auth.json"]
    if runtime:
        found.insert(0, Path(runtime) / "containers" / "auth.json")
    elif system.LINUX:
        found.insert(0, Path(f"/run/containers/{system.user()}/auth.json"))
    return found


def _is_out_of_reach(path: Path) -> bool:
    """Tell whether nobody can say if the file is there: a folder above it cannot be entered."""
    try:
        path.lstat()
    except (OSError, ValueError) as error:
        return isinstance(error, PermissionError)
    return False


def place_of(name: str) -> str:
    """Return what a key of `auths` is for: a host, or a host and the beginning of a path (rule 3)."""
    _, separator, rest = name.rpartition("://")
    host, _, path = rest.partition("/")
    path = path.strip("/")
    if separator or path in ("", "v1", "v2"):
        return host_key(host)
    return f"{host_key(host)}/{path}"


class LoginFile(DockerConfig):
    """One file of logins, for writing; make a new one for each change."""

    def store(self, host: str, user: str, secret: str) -> str:
        """Store a login; return the file, or the helper program, that has it now (rules 9 and 10)."""
        helper, key = self.helper_for(host), self._key(host)
        entry = {}
        if helper is not None:
            helper.store(key, user, secret)
        else:
            entry = {"auth": b64encode(f"{user}:{secret}".encode()).decode()}
        self._write({**self._others(host), key: entry})
        return self.name if helper is None else helper.program

    def erase(self, host: str) -> bool:
        """Erase the login for a host; tell whether there was one."""
        helper, key = self.helper_for(host), self._key(host)
        kept = helper is not None and helper.get(key) is not None
        if helper is not None and kept:
            helper.erase(key)
        others = self._others(host)
        listed = others != self._table("auths")
        if listed:
            self._write(others)
        return kept or listed

    def helper_for(self, host: str) -> Helper | None:
        """Return the helper program that keeps logins for a host; None if the file does."""
        name = self._helper(host)
        return Helper(name, self.name, self._environ, self._timeout) if name else None

    def _key(self, host: str) -> str:
        """Return what docker, or podman, calls a host."""
        if host_key(host) != HUB:
            return host
        return HUB if self._podman else HUB_SERVER

    def _others(self, host: str) -> dict[str, object]:
        return {key: entry for key, entry in self._table("auths").items() if place_of(key) != host_key(host)}

    def _write(self, auths: Mapping[str, object]) -> None:
        text = json.dumps({**self._document, "auths": auths}, indent="\t", ensure_ascii=False)
        target = Path(os.path.realpath(self._path))
        files.make_private_directory(target.parent)
        files.write_atomic(target, text.encode(errors="surrogatepass"))
