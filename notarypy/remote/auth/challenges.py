"""Challenges: what a server offers in WWW-Authenticate, taken apart.

What it is: the header, as values, and what a token says of itself. What it is not: an answer (`tokens`).

Rules:

1. Several challenges may stand in one header or in many, which arrive joined by commas. What cannot be
   understood ends the reading; the challenges before it count. A challenge that names a parameter twice is
   left out: nobody can say which one another reader would take.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from notarypy.values import dataclass

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SCHEME = re.compile(rf"[\s,]*({_NAME})(?=[\s,]|$)")
_BLOB = re.compile(r"[ \t]+[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))")
_PARAMETER = re.compile(rf'[\s,]*({_NAME})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))(?=[\s,]|$)')


@dataclass(frozen=True)
class Challenge:
    """One offered scheme; scheme and parameter names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]

    def get(self, name: str) -> str:
        """Return a parameter, "" if it is not there."""
        return self.parameters.get(name, "")


def parse(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of a WWW-Authenticate header in their order (rule 1)."""
    found: list[Challenge] = []
    position = 0
    while scheme := _SCHEME.match(header, position):
        parameters, position = _parameters(header, scheme.end())
        names = [name for name, _ in parameters]
        if len(set(names)) == len(names):
            found.append(Challenge(scheme[1].lower(), dict(parameters)))
    return tuple(found)


def _parameters(header: str, position: int) -> tuple[list[tuple[str, str]], int]:
    if blob := _BLOB.match(header, position):
        return [], blob.end()
    found: list[tuple[str, str]] = []
    while parameter := _PARAMETER.match(header, position):
        name, quoted, plain = parameter.groups()
        value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found.append((name.lower(), value))
        position = parameter.end()
    return found, position


def answerable(offered: Sequence[Challenge]) -> list[Challenge]:
    """Return the challenges that can be answered, best first."""
    return [found for wanted in ("bearer", "basic") for found in offered if found.scheme == wanted]


def name_in(scope: str | None) -> str:
    """Return the name of a scope's repository, which may hold colons itself."""
    return (scope or "").partition(":")[2].rpartition(":")[0]


def granted(header: str | None, scope: str | None) -> str | None:
    """Return the actions that a token says, unchecked, it grants on a scope's name; None if it says none."""
    name = name_in(scope)
    try:
        payload = (header or "").removeprefix("Bearer ").split(".")[1]
        claims: Any = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        entries = [entry for entry in claims["access"] or [] if entry["name"] == name]
        return ",".join(str(action) for entry in entries for action in entry["actions"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
