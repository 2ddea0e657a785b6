"""Requests and answers as values, bodies as streams, and the secrets that no text may repeat.

What it is: what a transport and what is built on it agree on. What it is not: sending, files or credentials.

Rules:

1. A stream can be sent again: each iteration begins anew.
2. Neither a stream nor a sink raises OSError: that would look like the network's. What goes wrong with a file
   is a StorageError.
3. Every secret is noted before it is sent: passwords, tokens, values of configured headers. It is kept only
   to recognise it.
4. Text of a server is shown only without them. A secret is found as it was sent and as it is written in
   base64, URLs and JSON, alone or behind its user's name.
5. Servers may pass on what they were sent: those that share logins share a Redaction too.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field

HIDDEN = "***"
KEPT = 512
_MARK = "\U0010ffff"  # no character, and in no secret; what hides one is not looked at again
_FORM = "application/x-www-form-urlencoded"


class Redaction:
    """The secrets of a conversation; safe to use from several threads."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], set[str]] = {}
        self._longest_first: list[str] | None = None
        self._lock = threading.Lock()

    def note(self, secret: str, user: str = "") -> None:
        """Note a secret, and whose it is; the latest ones are remembered (rule 3)."""
        with self._lock:
            if not secret:
                return
            if (secret, user) in self._secrets:
                self._secrets[secret, user] = self._secrets.pop((secret, user))
                return
            self._secrets[secret, user] = _forms(secret, user)
            if len(self._secrets) > KEPT:
                del self._secrets[next(iter(self._secrets))]
            self._longest_first = None

    def note_request(self, headers: Mapping[str, str], body: object) -> None:
        """Note what a request says to show who it is from."""
        for name, value in headers.items():
            if name.lower() == "authorization":
                kind, _, rest = value.partition(" ")
                if kind.lower() == "basic":
                    with suppress(ValueError):
                        user, _, secret = b64decode(rest).decode().partition(":")
                        self.note(secret, user)
                self.note(rest)
        kinds = {value for name, value in headers.items() if name.lower() == "content-type"}
        if _FORM in kinds and isinstance(body, bytes):
            form = dict(parse_qsl(body.decode()))
            for name in ("refresh_token", "access_token"):
                self.note(form.get(name, ""))

    def note_url(self, url: str) -> None:
        """Note the password in a URL."""
        parts = urlsplit(url)
        self.note(unquote(parts.password or ""), unquote(parts.username or ""))

    def without(self, text: str) -> str:
        """Return a text of a server without any secret (rule 4)."""
        with self._lock:
            if not self._secrets:
                return text
            if self._longest_first is None:
                forms = {form for known in self._secrets.values() for form in known}
                self._longest_first = sorted(forms, key=len, reverse=True)
            # No pattern of them all: to compile one of many long tokens takes seconds.
            for form in self._longest_first:
                if form in text:
                    text = text.replace(form, _MARK)
            return text.replace(_MARK, HIDDEN)


def json_object(data: bytes) -> dict[str, Any] | None:
    """Return a JSON object that somebody sent; None if it is anything else."""
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_json(data: bytes) -> bool:
    """Tell whether somebody sent JSON, of any kind, or nothing at all."""
    try:
        json.loads(data.decode() or "{}")
    except (ValueError, RecursionError):
        return False
    return True


def _forms(secret: str, user: str) -> set[str]:
    """Return the ways in which a secret may be written (rule 4)."""
    raw = secret.encode(errors="surrogatepass")
    whole = f"{user}:{secret}".encode(errors="surrogatepass")
    encoded = {encode(data).decode() for encode in (b64encode, urlsafe_b64encode) for data in (raw, whole)}
    return {
        *(secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], raw.hex()),
        *encoded,
        *(text.rstrip("=") for text in encoded),
        *(quoted(raw, safe="") for quoted in (quote, quote_plus)),
    }


NOTHING = Redaction()
"""Knows no secret."""


class Stream(Protocol):
    """A request body of a known size, which is more than nothing (rules 1 and 2)."""

    def __len__(self) -> int:
        """Return the bytes of the whole."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield all of it in pieces of moderate size."""
        ...


class Sink(Protocol):
    """What takes the body of an answer (rule 2)."""

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
        """Return what takes the pieces of this answer, a 2xx; raise to refuse it."""
        ...


@dataclass(frozen=True)
class Request:
    """One HTTP request; `secrets` is what logs must not show.

    The body of a successful answer has at most `limit` bytes, and goes to the sink, if there is one, in place
    of the answer. A single step may take `stall` seconds; None for all there is until the deadline.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | Stream | None = field(default=None, repr=False)
    limit: int = DEFAULT.answer_bytes
    sink: Sink | None = field(default=None, repr=False)
    stall: float | None = None
    secrets: Redaction = field(default=NOTHING, repr=False, compare=False)

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers, with the length of a body that knows it."""
        known = None if self.body is None or isinstance(self.body, bytes) else len(self.body)
        return {**self.headers, **({} if known is None else {"Content-Length": str(known)})}


@dataclass(frozen=True)
class Response:
    """One HTTP answer; header names are in lower case, repeated headers joined by a comma.

    What it says may be shown only without the `secrets` that it may repeat.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    secrets: Redaction = field(default=NOTHING, repr=False, compare=False)

    @property
    def is_success(self) -> bool:
        """Tell whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_redirect(self) -> bool:
        """Tell whether the status is 3xx."""
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST
