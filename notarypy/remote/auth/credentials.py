"""Credentials, and the keychain that looks for them in one place after the other.

What it is: the values and the order. What it is not: the places themselves, but for the variable
`NOTARY_AUTH` (`dockerconfig` and `helpers` have the others), nor what is sent to whom (`token`).

Rules:

1. Sources are asked in order, and only when a server wants to know; the first that knows one of the names
   wins. A source that is there but cannot be understood is an error.
2. A registry token is for one server alone: it is never found by another server's name.
3. No repr and no error shows a secret.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from notarypy.errors import Advice, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["password", "identity", "bearer"]
HUB = "docker.io"
_HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io", "notary.docker.io"})


@dataclass(frozen=True)
class Credential:
    """A user and a secret.

    Attributes:
        user: Who it is; empty for a registry token.
        secret: What must not be shown.
        source: The place it is from, for error texts.
        kind: `password`; `identity`, a token that is traded for access tokens; or `bearer`, a registry
            token, which is an access token itself.
    """

    user: str
    secret: str = field(repr=False)
    source: str
    kind: Kind = "password"


class CredentialSource(Protocol):
    """One place that may know credentials."""

    name: str

    def get(self, host: str, path: str = "") -> Credential | None:
        """Return what is known for a host, named `host` or `host:port`, and a repository on it."""


class Keychain:
    """Sources in their order; an empty keychain stays anonymous."""

    def __init__(self, sources: Sequence[CredentialSource] = ()) -> None:
        self._sources = tuple(sources)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the sources, for error texts."""
        return tuple(source.name for source in self._sources)

    def find(self, hosts: Sequence[str], path: str = "") -> Credential | None:
        """Return the first credential of any source for any of these host names.

        Args:
            hosts: Names to look up; the first is the server's own.
            path: The repository on it, for sources that know some repositories only.

        Raises:
            ConfigurationError: A source is there but cannot be understood.
            AuthenticationError: A program that keeps credentials did not give them.
        """
        for source in self._sources:
            for host in hosts:
                found = source.get(host, path)
                if found is not None and (found.kind != "bearer" or host_key(host) == host_key(hosts[0])):
                    return found
        return None


class NotaryAuth:
    """The variable NOTARY_AUTH, base64 of `user:password`: for the Notary server, whatever its name."""

    name = "NOTARY_AUTH"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._value = environ.get(self.name, "")

    def get(self, host: str, path: str = "") -> Credential | None:  # noqa: ARG002 - for whichever is configured
        """Return the variable's credential."""
        if not self._value.strip():
            return None
        return decoded(self._value, self.name)


def decoded(text: str, source: str) -> Credential:
    """Read base64 of `user:password`.

    Raises:
        ConfigurationError: It is something else.
    """
    try:
        user, colon, secret = base64.b64decode("".join(text.split()), validate=True).decode().partition(":")
    except ValueError:
        user, colon, secret = "", "", ""
    if not colon or not user:
        raise ConfigurationError(
            f"{source} holds a credential that is not base64 of user:password",
            advice=Advice("mend-login", source=source),
        )
    return Credential(user, secret.strip("\x00"), source)


def host_key(name: str) -> str:
    """Reduce the ways to write a registry's name to one, without scheme, path and port 443."""
    host = name.lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    host = host.removesuffix(":443")
    return HUB if host in _HUB_NAMES else host
