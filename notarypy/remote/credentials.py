"""Where a user name and its secret come from.

A keychain asks its sources in order; the first that knows one of the names wins. More kinds of sources
(credential helpers, other files) only have to be `Source`s. Secrets are shown by no repr and no error.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from notarypy import files
from notarypy.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONFIG_LIMIT = 1024 * 1024
_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "notary.docker.io"})


@dataclass(frozen=True)
class Credential:
    """A user and a secret: a password or, if `identity`, a token that is traded for access tokens."""

    user: str
    secret: str = field(repr=False)
    source: str
    identity: bool = False


class Source(Protocol):
    """One place that may know credentials."""

    name: str

    def get(self, host: str) -> Credential | None:
        """Return what is known for a host, named `host` or `host:port`."""


class Keychain:
    """Sources in their order; an empty keychain stays anonymous."""

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        self._sources = tuple(sources)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the sources, for error texts."""
        return tuple(source.name for source in self._sources)

    def find(self, hosts: Sequence[str]) -> Credential | None:
        """Return the first credential of any source for any of these host names.

        Raises:
            ConfigurationError: A source is there but cannot be understood.
        """
        for source in self._sources:
            for host in hosts:
                if (found := source.get(host)) is not None:
                    return found
        return None


class NotaryAuth:
    """The variable NOTARY_AUTH, base64 of `user:password`: for the Notary server, whatever its name."""

    name = "NOTARY_AUTH"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._value = environ.get(self.name, "")

    def get(self, host: str) -> Credential | None:  # noqa: ARG002 - it is for whichever server is configured
        """Return the variable's credential."""
        if not self._value.strip():
            return None
        return _decoded(self._value, self.name)


class DockerConfig:
    """The `auths` of a docker config.json; the file is read when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def get(self, host: str) -> Credential | None:
        """Return the entry for a host."""
        entry = self._entries.get(_key(host))
        return None if entry is None else self._credential(entry)

    def _credential(self, entry: dict[str, Any]) -> Credential | None:
        user, secret = _string(entry, "username"), _string(entry, "password")
        if auth := _string(entry, "auth"):
            stored = _decoded(auth, self.name)
            user, secret = stored.user, stored.secret
        if token := _string(entry, "identitytoken"):
            return Credential(user, token, self.name, identity=True)
        # A credential helper leaves an empty entry behind: there is nothing here for us then.
        return Credential(user, secret, self.name) if user and secret else None

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        auths = self._document.get("auths") or {}
        if not isinstance(auths, dict):
            raise self._unusable('"auths" is not an object')
        return {_key(name): entry for name, entry in auths.items() if isinstance(entry, dict)}

    @cached_property
    def _document(self) -> dict[str, Any]:
        try:
            # The file itself may be a link: dotfile managers and mounted secrets make it one.
            data = files.read_regular(self._path, CONFIG_LIMIT, follow=True)
            document = json.loads(data.decode())
        except FileNotFoundError:
            return {}
        except (StorageError, OSError) as error:
            raise self._unusable(str(error)) from None
        except (ValueError, RecursionError):
            raise self._unusable("it is not JSON") from None
        if not isinstance(document, dict):
            raise self._unusable("it is not a JSON object")
        return document

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"cannot use {self._path}", why=why, path=str(self._path))


def _string(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _decoded(text: str, source: str) -> Credential:
    """Read base64 of `user:password`."""
    try:
        user, colon, secret = base64.b64decode("".join(text.split()), validate=True).decode().partition(":")
    except ValueError:
        user, colon, secret = "", "", ""
    if not colon or not user:
        raise ConfigurationError(f"{source} holds a credential that is not base64 of user:password")
    return Credential(user, secret.strip("\x00"), source)


def _key(name: str) -> str:
    """Reduce the ways to write a registry in config.json to its host."""
    host = name.lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in _HUB else host.removesuffix(":443")
