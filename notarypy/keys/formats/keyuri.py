"""References to keys that are elsewhere: the file that says where one is, and its public half.

What it is: bytes to values and back. What it is not: opening what a reference names (`signers`).

Rules:

1. A reference is one PEM block `PUBLIC KEY` with the headers `keytype`, `role` and `uri`. Go's clients read
   `.key` files alone, and see none of it.
2. Its file's name is the canonical id of the key in it, which is of a type that docker and Go notary know.
3. A URI holds no secret, and a file that names one with a secret is refused as it is not ours.
   Whatever somebody typed may have one, under any name: of a URI no more is shown than is known to be none.
4. A scheme is read in capitals too, as RFC 3986 has it, and kept in small letters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from notarypy.errors import Advice, InvalidNameError, UnsupportedKeyError, UsageError
from notarypy.keys.formats import pem
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.tuf.keys import PublicKey

KEYTYPES = frozenset({"ecdsa", "rsa"})
"""What docker and Go notary verify with, of signers and of roots."""
_LABEL = "PUBLIC KEY"
_PIN = "pin-value"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+(?=:)", re.ASCII | re.IGNORECASE)
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


@dataclass(frozen=True)
class KeyReference:
    """Where a key is, what it is for, and its public half."""

    uri: str
    role: str
    public: PublicKey


def read(data: bytes) -> KeyReference:
    """Read a reference; raise UnsupportedKeyError for anything else (rule 1)."""
    from notarypy.tuf.keys import PublicKey  # hashes, which a list of key files does without

    blocks = pem.blocks(data)
    if [block.label for block in blocks] != [_LABEL]:
        raise UnsupportedKeyError("this file does not say where a key is", why="it is no single PUBLIC KEY")
    headers: Mapping[str, str] = blocks[0].headers
    missing = [name for name in ("keytype", "uri") if not headers.get(name)]
    if missing:
        raise UnsupportedKeyError("this file does not say where a key is", why=f"it has no {missing[0]}")
    uri, keytype = usual(headers["uri"]), headers["keytype"]
    if holds_secret(uri):
        raise UnsupportedKeyError("this file holds a secret in a URI", why="a reference has none")
    if keytype not in KEYTYPES:
        raise UnsupportedKeyError("this file names a key that nobody can use", why=f"its type is {keytype}")
    return KeyReference(uri, headers.get("role", ""), PublicKey(keytype, blocks[0].der))


def write(reference: KeyReference) -> bytes:
    """Return a reference as its file has it; raise InvalidNameError for what cannot be read there again."""
    headers = {"keytype": reference.public.keytype, "role": reference.role, "uri": reference.uri}
    data = pem.text(_LABEL, headers, reference.public.public)
    try:
        same = read(data) == reference
    except UnsupportedKeyError:
        same = False
    if not same:
        raise InvalidNameError("this key URI cannot be noted", why="it could not be read again as it is")
    return data


def usual(uri: str) -> str:
    """Return a URI with its scheme in small letters (rule 4), and anything else as it is."""
    return _SCHEME.sub(lambda scheme: scheme[0].lower(), uri, count=1) if _SCHEME.match(uri) else uri


def require_no_secret(uri: str) -> None:
    """Raise UsageError for a URI with a PIN or password in it, and do not show it (rule 3)."""
    if holds_secret(uri):
        message, advice = "a key URI holds no PIN and no password", Advice("leave-out-pin")
        raise UsageError(message, why="others see it in the list of processes", advice=advice)


def holds_secret(uri: str) -> bool:
    """Tell whether a URI has a PIN or password in it, however its name is written (rule 3)."""
    pin = any(unquote(name).lower() == _PIN for name in _NAME.findall(uri))
    return pin or any(":" in user for user in _USER.findall(uri))


def shown(text: str) -> str:
    """Return a text in which no key URI has anything that could be a secret (rule 3)."""
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
