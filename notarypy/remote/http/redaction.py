"""Secrets that were sent, taken out of whatever servers say.

What it is: what a conversation has sent that is secret, and texts without it. What it is not: credentials; it
keeps only what was really sent, to recognise it.

Rules:

1. Every secret is noted before it is sent: passwords, tokens, values of configured headers.
2. Text of a server is shown only after this. A secret is found as it was sent and as it is written in base64,
   URLs and JSON, alone or behind its user's name.
3. Servers may tell each other what they were told: those that share logins share this too.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode, b64encode, urlsafe_b64encode
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN = "***"
KEPT = 512
_FORM = "application/x-www-form-urlencoded"


class Redaction:
    """The secrets of a conversation; safe to use from several threads."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], set[str]] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def note(self, secret: str, user: str = "") -> None:
        """Note a secret, and whose it is; the latest ones are remembered (rule 1)."""
        with self._lock:
            if not secret or (secret, user) in self._secrets:
                return
            self._secrets[secret, user] = _forms(secret, user)
            if len(self._secrets) > KEPT:
                del self._secrets[next(iter(self._secrets))]
            self._pattern = None

    def note_request(self, headers: Mapping[str, str], body: object) -> None:
        """Note what a request says to show who it is from."""
        for name, value in headers.items():
            if name.lower() == "authorization":
                self._note_authorization(value)
        kinds = {value for name, value in headers.items() if name.lower() == "content-type"}
        if _FORM in kinds and isinstance(body, bytes):
            for name, value in parse_qsl(body.decode()):
                if name == "refresh_token":
                    self.note(value)

    def note_url(self, url: str) -> None:
        """Note the password in a URL."""
        parts = urlsplit(url)
        self.note(unquote(parts.password or ""), unquote(parts.username or ""))

    def without(self, text: str) -> str:
        """Return a text of a server without any secret (rule 2)."""
        with self._lock:
            if not self._secrets:
                return text
            if self._pattern is None:
                forms = {form for known in self._secrets.values() for form in known}
                self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
            return self._pattern.sub(HIDDEN, text)

    def _note_authorization(self, value: str) -> None:
        kind, _, rest = value.partition(" ")
        if kind.lower() == "basic":
            with suppress(ValueError):
                user, _, secret = b64decode(rest).decode().partition(":")
                self.note(secret, user)
        self.note(rest)


def _forms(secret: str, user: str) -> set[str]:
    """Return the ways in which a secret may be written (rule 2)."""
    raw = secret.encode(errors="surrogatepass")
    whole = f"{user}:{secret}".encode(errors="surrogatepass")
    encoded = {encode(data).decode() for encode in (b64encode, urlsafe_b64encode) for data in (raw, whole)}
    written = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], raw.hex()}
    return {
        *written,
        *encoded,
        *(text.rstrip("=") for text in encoded),
        *(quoted(raw, safe="") for quoted in (quote, quote_plus)),
    }


NOTHING = Redaction()
"""Knows no secret."""
