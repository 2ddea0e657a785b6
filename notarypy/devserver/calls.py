"""HTTP as the services see it: a call taken apart, routes, uploaded forms, error documents.

What it is: the small piece of HTTP that a Notary server and a registry share; forms as strictly as a server
needs them. What it is not: a network, which `core` or `https` is; or a reader of nested forms and transfer
encodings, with which nobody uploads metadata.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from notarypy.remote.http.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JSON_TYPE = "application/json; charset=utf-8"
_NOT_SENT = object()


@dataclass(frozen=True)
class Call:
    """A request taken apart.

    Attributes:
        method: In capitals.
        base: Scheme and host, such as `https://registry.test`.
        path: Decoded.
        query: The first value of each parameter.
        headers: Names in lower case.
        body: Empty when there is none.
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

    def __init__(self, status: int, code: str, message: str, detail: object = _NOT_SENT) -> None:
        """Keep what the document will say."""
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail

    def response(self) -> Response:
        """Return the error document."""
        entry: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not _NOT_SENT:
            entry["detail"] = self.detail
        return json_response({"errors": [entry]}, self.status)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON document."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Response(status, {"content-type": JSON_TYPE, **(headers or {})}, body)


class Routes:
    """Which method and path go to which handler; the first fitting route wins."""

    def __init__(self, *routes: tuple[str, str, Callable[..., Response]]) -> None:
        """Give each a method, a pattern for whole paths, and what gets the call and the named groups."""
        self._routes = [
            (method, re.compile(pattern, re.ASCII), handler) for method, pattern, handler in routes
        ]

    def answer(self, call: Call) -> Response | None:
        """Return the answer of the first route that fits, or None."""
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(call.path) if method == call.method else None
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
