"""URIs of keys on tokens, as RFC 7512 has them: `pkcs11:token=release;object=jeff?module-path=/usr/lib/x.so`.

What it is: text to values and back. What it is not: looking for a token or a module (`tokens`).

Rules:

1. An attribute stands once, and its value is text; `id` is bytes: `%01` is one byte, `01` are two characters.
2. What a path has and we do not know names nothing: it is refused. In a query it is ignored.
3. A PIN is not in a URI: `pin-value` is refused, and no error repeats it. A file with the PIN is named by
   `pin-source`, with its path or as `file:`; commands to run, as in `|program`, are refused.
4. Modules and files are named by absolute paths: a URI means the same wherever a program stands.
5. `type` says which half of a pair was copied from somewhere. It is the pair that is meant.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from notarypy.errors import Advice, UsageError
from notarypy.keys.formats.urisecrets import shown_name
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEME = "pkcs11:"
_PATH = (
    "token", "manufacturer", "model", "serial", "object", "id", "type", "slot-id", "slot-description",
    "slot-manufacturer", "library-manufacturer", "library-description", "library-version",
)  # fmt: skip
_QUERY = ("module-path", "module-name", "pin-source")
_TYPES = ("private", "public", "cert")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
# What stands as it is, beside letters and digits: less than may, as nothing should look like a password.
_SAFE = ":!$'()+*,=/"


@dataclass(frozen=True)
class Pkcs11Uri:
    """What a URI says of a key and of its token, decoded; what it does not say is None.

    Attributes:
        values: The attributes by name, those that are text.
        id: The bytes of CKA_ID.
    """

    values: Mapping[str, str]
    id: bytes | None = None

    def __str__(self) -> str:
        """Return the URI, always written the same (rule 1)."""
        path = [f"{name}={_written(name, self)}" for name in _PATH if self._has(name)]
        query = [f"{name}={quote(self.values[name], _SAFE)}" for name in _QUERY if self._has(name)]
        return SCHEME + ";".join(path) + ("?" if query else "") + "&".join(query)

    def _has(self, name: str) -> bool:
        return self.id is not None if name == "id" else name in self.values

    def get(self, name: str) -> str | None:
        """Return an attribute that is text."""
        return self.values.get(name)

    @property
    def label(self) -> str | None:
        """CKA_LABEL of the key."""
        return self.values.get("object")

    @property
    def described(self) -> str:
        """How messages name the key."""
        named = [f'"{self.label}"'] if self.label else []
        named += [f"with id {shown_id(self.id)}"] if self.id is not None else []
        return " ".join(["key", *named]) if named else "any key"


def shown_id(value: bytes) -> str:
    """Return an id as a URI has it."""
    return "".join(f"%{byte:02X}" for byte in value)


def parse(text: str) -> Pkcs11Uri:
    """Read a URI; raise UsageError (rules 1 to 4)."""
    if not text.startswith(SCHEME):
        raise UsageError("this is no URI of a key on a token", why=f"it does not begin with {SCHEME}")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    found: dict[str, bytes] = {}
    for name, value in _attributes(path, ";"):
        if name not in _PATH:
            raise _refused(f"it has {shown_name(name)}, which names nothing that is known here")
        _put(found, name, value)
    for name, value in _attributes(query, "&"):
        if name == "pin-value":
            message, advice = "a key URI holds no PIN and no password", Advice("leave-out-pin")
            raise UsageError(message, why="others see it in the list of processes", advice=advice)
        if name in _QUERY:
            _put(found, name, value)
    identity = found.pop("id", None)
    return _checked(Pkcs11Uri({name: _text(name, value) for name, value in found.items()}, identity))


def _attributes(text: str, separator: str) -> Iterator[tuple[str, str]]:
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or _NAME.fullmatch(name) is None:
            # The part is not repeated: it may be the rest of a secret that was not encoded.
            raise _refused("it is not NAME=VALUE, each after ; and after ? each after &")
        yield name, value


def _put(found: dict[str, bytes], name: str, value: str) -> None:
    if name in found:
        raise _refused(f"it has {name} twice")
    if _ESCAPE.search(value):
        raise _refused(f"in {name}, %25 stands for a percent sign, and other characters are % and two digits")
    try:
        found[name] = unquote_to_bytes(value)
    except UnicodeEncodeError:
        raise _refused(f"{name} is not text") from None


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _refused(f"{name} is not UTF-8") from None
    if _CONTROL.search(text):
        raise _refused(f"{name} has control characters")
    return text


def _checked(uri: Pkcs11Uri) -> Pkcs11Uri:
    kind, slot, name = uri.get("type"), uri.get("slot-id"), uri.get("module-name")
    if kind is not None and kind not in _TYPES:
        raise _refused(f"its type is not one of {', '.join(_TYPES)}, and those are keys that sign")
    if slot is not None and not (slot.isascii() and slot.isdigit() and len(slot) < 20):  # noqa: PLR2004 - 64 bits
        raise _refused("slot-id is a number")
    if name is not None and _NAME.fullmatch(name) is None:
        raise _refused("module-name is a name without a path; a path is module-path")
    path = uri.get("module-path")
    if path is not None and not os.path.isabs(path):  # noqa: PTH117 - a path as the URI has it
        raise _refused("module-path is an absolute path")
    source = uri.get("pin-source")
    return uri if source is None else _with_pin_source(uri, source)


def _with_pin_source(uri: Pkcs11Uri, source: str) -> Pkcs11Uri:
    """Return a URI whose pin-source is a path (rule 3)."""
    if source.startswith("|"):
        raise _refused("pin-source is a file here; no program is run for a PIN")
    path = source
    if source.startswith("file:"):
        path = source.removeprefix("file:")
        host, slash, rest = path.removeprefix("//").partition("/") if path.startswith("//") else ("", "", "")
        if host not in {"", "localhost"}:
            raise _refused("pin-source is a file of this machine")
        path = slash + rest if slash else path
    if not path.startswith("/"):
        raise _refused("pin-source is the absolute path of a file, or file: and that path")
    return Pkcs11Uri({**uri.values, "pin-source": path}, uri.id)


def _written(name: str, uri: Pkcs11Uri) -> str:
    return shown_id(uri.id or b"") if name == "id" else quote(uri.values[name], _SAFE)


def _refused(why: str) -> UsageError:
    return UsageError("this pkcs11: URI cannot be read", why=why, advice=Advice("write-pkcs11-uri"))
