"""Secrets in key URIs: whether there is one, and what of a URI may be shown.

What it is: a look at texts. What it is not: URIs of tokens (`signers.pkcs11uri`), or references (`keyuri`).

Rules:

1. A PIN or password in a URI is refused and not repeated: others see it in the list of processes.
2. Whatever somebody typed may have a secret in it, under any name: of a URI no more is shown than is known to
   be none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from notarypy.errors import Advice, UsageError

_PIN = "pin-value"
_SHOWN = {
    *("token", "manufacturer", "model", "serial", "object", "id", "type"),
    *("slot-id", "slot-description", "slot-manufacturer"),
    *("library-manufacturer", "library-description", "library-version", "module-path", "module-name"),
}
_HIDDEN = "***"
_FILE = re.compile(r"(?:file:)?(?:/|%2F)", re.IGNORECASE)
# What may begin a key URI within a text, and the parts of one of a token.
_TOKENS = re.compile(r"(pkcs11:(?=[^\s.]))(.*)", re.IGNORECASE | re.DOTALL)
_PART = re.compile(r"(^|[;?&])([^;?&]*)")
_WORD = re.compile(r"[a-z-]{1,30}|[A-Z]{1,8}|(?i:pin_value)")
# The version of a key in Vault is no secret.
_OTHER = re.compile(
    r"(?<![\w/.+-])(?!https?:)([a-z][a-z0-9+.-]+:(?:[^\s?;\"/()\\]|/(?!/)|//(?:[^/?#\s\"]*@)?)*)"
    r"([?;])(?=\S)(?!version=(?:N|[0-9]{1,9})\b(?![;&?=]))([^\"]*)",
    re.IGNORECASE,
)
_USERS = re.compile(r"(?<![\w/.+-])((?!https?:)[a-z][a-z0-9+.-]+://)[^/?#\s\"]*@", re.IGNORECASE)
_NAME, _USER = re.compile(r"[?&;:]([^?&;:=]*)="), re.compile(r"//([^/?#]*)@")


def require_none(uris: Iterable[str]) -> None:
    """Raise UsageError for a URI with a PIN or password in it, and do not show it (rule 1)."""
    if any(map(holds_secret, uris)):
        message, advice = "a key URI holds no PIN and no password", Advice("leave-out-pin")
        raise UsageError(message, why="others see it in the list of processes", advice=advice)


def holds_secret(uri: str) -> bool:
    """Tell whether a URI has a PIN or password in it, however its name is written (rule 1)."""
    pin = any(unquote(name).lower() == _PIN for name in _NAME.findall(uri))
    return pin or any(":" in user for user in _USER.findall(uri))


def shown(text: str) -> str:
    """Return a text in which no key URI has anything that could be a secret (rule 2)."""
    found = _TOKENS.search(text)
    if found is not None:
        kept = _PART.sub(_shown_part, found[2])
        return shown(text[: found.start()]) + found[1] + kept
    return _OTHER.sub(rf"\1\2{_HIDDEN}", _USERS.sub(rf"\1{_HIDDEN}@", text))


def _shown_part(found: re.Match[str]) -> str:
    """Return one attribute of a URI, with what stands before it."""
    separator, part = found[1], found[2]
    name, equals, value = part.partition("=")
    plain = name.strip().lower()
    known = plain in _SHOWN or (plain == "pin-source" and _FILE.match(value) is not None)
    if not part.strip() or (known and equals and "=" not in unquote(value)):
        return separator + part
    if not equals:  # words of a sentence behind it, or the rest of a secret
        return separator + (part if part[0].isspace() or part[0] == '"' else _HIDDEN)
    return f"{separator}{shown_name(name)}={_HIDDEN}"


def shown_name(name: str) -> str:
    """Return the name of an attribute, unless it looks like a secret itself."""
    return name if _WORD.fullmatch(name) else _HIDDEN
