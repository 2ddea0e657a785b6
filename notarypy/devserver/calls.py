"""What both services share of HTTP: calls taken apart, routes, uploaded forms, error documents, and logins.

What it is: as much of it as a Notary server and a registry need, forms as strictly as a server reads them;
and a service in front of a service that asks who it is, with Basic authentication or Bearer tokens from a
token server of its own. What it is not: a network, which `core` or `https` is; a reader of nested forms and
transfer encodings, with which nobody uploads metadata; or a model of rights: whoever knows a password may do
everything.

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
from collections.abc import Callable, Mapping
from datetime import datetime
from email.message import Message
from typing import Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from notarypy.images.manifests import encode
from notarypy.remote.http.messages import Request, Response
from notarypy.values import dataclass, field, replace

Kind = Literal["basic", "token"]

JSON_TYPE = "application/json; charset=utf-8"
SERVICE = "notarypy devserver"
LIFETIME = 300
EVERYTHING = "registry:catalog:*"
_BASIC = f'Basic realm="{SERVICE}"'
_TUF = re.compile(r"/v2/(?P<name>.+)/_trust/(?P<rest>tuf/.*|changefeed)")
_IMAGES = re.compile(r"/v2/(?P<name>.+)/(?:manifests|blobs|referrers|tags)/.*")


@dataclass(frozen=True)
class Call:
    """A request taken apart: `base` is scheme and host, the path is decoded, header names are in lower case.

    Of each parameter of the query there is the first value.
    """

    method: str
    base: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, request: Request) -> Call:
        """Take a request apart."""
        parts = urlsplit(request.url)
        query = dict(reversed(parse_qsl(parts.query, keep_blank_values=True)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        base = f"{parts.scheme}://{parts.netloc}"
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
        return cls(request.method.upper(), base, unquote(parts.path), query, headers, body)


class Service(Protocol):
    """Something that answers calls for one host."""

    def handle(self, call: Call) -> Response:
        """Return the answer to a call, an error document for what is wrong with it."""
        ...


class Refused(Exception):  # noqa: N818 - an answer on its way to the client, not a fault of this program
    """A call that is answered with an error document; `detail` is left out when it is not given."""

    def __init__(self, status: int, code: str, message: str, *detail: object) -> None:
        """Make the document."""
        super().__init__(code)
        self.code = code
        entry: dict[str, object] = {"code": code, "message": message}
        if detail:
            entry["detail"] = detail[0]
        self.response = json_response({"errors": [entry]}, status)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON document."""
    body = encode(value) + b"\n"
    return Response(status, {"content-type": JSON_TYPE, **(headers or {})}, body)


class Routes:
    """Which method and path go to which handler; the first fitting route wins."""

    def __init__(self, *routes: tuple[str, str, Callable[..., Response]]) -> None:
        """Give each its methods, a pattern for whole paths, and what gets the call and the named groups."""
        self._routes = [(methods, re.compile(path, re.ASCII), handler) for methods, path, handler in routes]

    def answer(self, call: Call) -> Response | None:
        """Return the answer of the first route that fits, or None."""
        for methods, pattern, handler in self._routes:
            match = pattern.fullmatch(call.path) if call.method in methods.split() else None
            if match:
                return handler(call, **match.groupdict())
        return None

    def known(self, path: str) -> bool:
        """Return whether a path is there for another method."""
        return any(pattern.fullmatch(path) for _, pattern, _ in self._routes)


@dataclass(frozen=True)
class FormPart:
    """One part of a multipart/form-data body; `filename` is empty when its header gives none."""

    filename: str
    data: bytes


def form_parts(content_type: str, body: bytes) -> list[FormPart]:
    """Return the parts of a body; raise ValueError unless it is well-formed multipart."""
    kind = Message()
    kind["Content-Type"] = content_type
    boundary = kind.get_boundary()
    if kind.get_content_maintype() != "multipart" or not boundary:
        raise ValueError("the body is not multipart")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) == 1 or not pieces[-1].startswith(b"--"):
        raise ValueError("the body has no closing boundary")
    return [_form_part(piece) for piece in pieces[1:-1]]


def _form_part(piece: bytes) -> FormPart:
    head, separator, data = piece.partition(b"\r\n\r\n")
    if not separator or head.strip(b" \t")[:2] not in (b"", b"\r\n"):
        raise ValueError("a part has no header, or its boundary line goes on")
    headers = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    filename = headers.get_param("filename", "", "content-disposition")
    return FormPart(filename if isinstance(filename, str) else "", data)


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

    `scope_of` returns what a call needs, None for nothing; `users` has passwords by name.
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
        if self.kind == "basic":
            return None if self._user(call) else ""
        kind, _, value = call.headers.get("authorization", "").partition(" ")
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
        if user is None and (
            "authorization" in call.headers or call.method == "POST"
        ):  # no token trades here
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
    refused = Refused(401, "UNAUTHORIZED", text).response
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
