"""Asking who it is: Basic authentication, or Bearer tokens from a token server of its own.

What it is: a service in front of a service. What it is not: a model of rights; whoever knows a password may
do everything.

Rules:

1. Without valid credentials nothing reaches the service but health checks; the answer is 401 with the
   challenge that the real servers send.
2. A token is for what was asked when it was issued. `/token` issues it for a password; without one it issues
   a token for nothing.
3. Tokens end with their time, or with the process.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from notarypy.devserver.calls import Call, Refused, json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from notarypy.devserver.calls import Service
    from notarypy.remote.http.messages import Response

    Kind = Literal["basic", "token"]

SERVICE = "notarypy devserver"
LIFETIME = 300
EVERYTHING = "registry:catalog:*"
_BASIC = f'Basic realm="{SERVICE}"'
_TUF = re.compile(r"/v2/(?P<name>.+)/_trust/(?P<rest>tuf/.*|changefeed)")
_IMAGES = re.compile(r"/v2/(?P<name>.+)/(?:manifests|blobs|tags)/.*")


@dataclass(frozen=True)
class IssuedToken:
    """What a token is good for."""

    scope: str
    ends: float

    def covers(self, wanted: str) -> bool:
        """Return whether everything wanted was granted."""
        granted_for, _, granted = self.scope.rpartition(":")
        wanted_for, _, actions = wanted.rpartition(":")
        allowed = set(granted.split(","))
        return granted_for == wanted_for and ("*" in allowed or set(actions.split(",")) <= allowed)


@dataclass
class Login:
    """A service that first asks who it is (rules 1 to 3).

    Attributes:
        service: What is asked once it is known who asks.
        scope_of: Returns what a call needs, None for nothing.
        kind: How to ask.
        users: Passwords by name.
        clock: Returns the time, aware.
        random: Returns so many random bytes.
    """

    service: Service
    scope_of: Callable[[Call], str | None]
    kind: Kind
    users: Mapping[str, str]
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    _tokens: dict[str, IssuedToken] = field(default_factory=dict)

    def handle(self, call: Call) -> Response:
        """Return the service's answer, a challenge, or a token."""
        if self.kind == "token" and call.path == "/token":
            return self._issue(call)
        wanted = self.scope_of(call)
        trouble = None if wanted is None else self._trouble(call, wanted)
        return self.service.handle(call) if trouble is None else self._challenge(call, wanted, trouble)

    def _trouble(self, call: Call, wanted: str) -> str | None:
        """Return what is wrong with the credentials, "" when there are none."""
        kind, _, value = call.headers.get("authorization", "").partition(" ")
        if self.kind == "basic":
            return None if self._user(call) else ""
        if kind.lower() != "bearer":
            return ""
        token = self._tokens.get(value)
        if token is None or token.ends <= self.clock().timestamp():
            return "invalid_token"
        if call.path == "/v2/" and token.scope:
            return None
        return None if token.covers(wanted) else "insufficient_scope"

    def _challenge(self, call: Call, wanted: str | None, trouble: str) -> Response:
        if self.kind == "basic":
            challenge = _BASIC
        else:
            challenge = f'Bearer realm="{call.base}/token",service="{SERVICE}",scope="{wanted}"'
            challenge += f',error="{trouble}"' if trouble else ""
        return _unauthorized(challenge, "authentication required")

    def _issue(self, call: Call) -> Response:
        user = self._user(call)
        if user is None and "authorization" in call.headers:
            return _unauthorized(_BASIC, "wrong user or password")
        now = self.clock().timestamp()
        self._tokens = {value: token for value, token in self._tokens.items() if token.ends > now}
        value = self.random(24).hex()
        self._tokens[value] = IssuedToken(call.query.get("scope", EVERYTHING) if user else "", now + LIFETIME)
        return json_response({"token": value, "expires_in": LIFETIME})

    def _user(self, call: Call) -> str | None:
        kind, _, value = call.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return None
        known = self.users.get(user)
        return user if known and hmac.compare_digest(known.encode(), password.encode()) else None


def _unauthorized(challenge: str, text: str) -> Response:
    refused = Refused(401, "UNAUTHORIZED", text).response()
    return replace(refused, headers={**refused.headers, "www-authenticate": challenge})


def notary_scope(call: Call) -> str | None:
    """Return the scope that the real Notary server wants for a call."""
    if call.path == "/_notary_server/health":
        return None
    match = _TUF.fullmatch(call.path)
    if match is None:
        return EVERYTHING
    key = match["rest"].endswith(".key")
    if call.method == "DELETE" or (call.method == "POST" and key):
        actions = "*"
    else:
        actions = "push,pull" if call.method == "POST" or key else "pull"
    return f"repository:{match['name']}:{actions}"


def registry_scope(call: Call) -> str | None:
    """Return the scope that a registry wants for a call."""
    match = _IMAGES.fullmatch(call.path)
    if match is None:
        return EVERYTHING
    actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(call.method, "pull,push")
    return f"repository:{match['name']}:{actions}"
