"""Private key files as text: PEM blocks with Notary's headers.

What it is: pure translation between bytes and blocks, with no cryptography. What it is not: file access
(`keystore`), or what is in a block (`pkcs8`).

Rules:

1. Every private key block of a file counts, whatever stands around it: `EC PARAMETERS`, certificates,
   comments. A file without one is refused by what it does hold.
2. Headers and base64 are read as Go's PEM reader does: headers end where a line has no colon.
3. A header with a control character is refused: it would end up in file lists, prompts and rewritten files.
4. Arbitrary bytes never raise anything but the errors named here, in time linear in their number.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from notarypy.errors import InvalidNameError, UnsupportedKeyError
from notarypy.tuf import filetypes
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.tuf.keys import PublicKey

# The roles whose keys belong to one repository; only their files name it.
GUN_ROLES = frozenset({"targets", "snapshot", "timestamp"})
SEALED = "ENCRYPTED PRIVATE KEY"
# What cosign calls its own key files; the second since its release 2.
COSIGN_LABELS = ("ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY")

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ._-]{1,40})-----")
_READABLE = {SEALED, "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ED25519 PRIVATE KEY"}
_ABOUT_ENCRYPTION = ("Proc-Type", "DEK-Info")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE = 64


@dataclass(frozen=True)
class KeyBlock:
    """One block of a PEM file, still closed.

    Attributes:
        label: What it is said to be.
        headers: Its headers; Notary's are `role`, `gun`, and `path` in exported keys.
        body: Its base64, without line ends.
        block: The block as it stands, which is the secret itself when it is not encrypted.
    """

    label: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    block: bytes = field(repr=False)

    @property
    def role(self) -> str | None:
        """A base role, a signer's name or a full delegation role, if it says so."""
        return self.headers.get("role") or None

    @property
    def gun(self) -> str | None:
        """The repository, if it says so."""
        return self.headers.get("gun") or None

    @property
    def path(self) -> str | None:
        """The canonical id of the key, as exported keys say it."""
        return self.headers.get("path") or None

    @property
    def encrypted(self) -> bool:
        """Whether it takes a passphrase to open."""
        return self.label == SEALED or self.of_cosign or "DEK-Info" in self.headers

    @property
    def of_cosign(self) -> bool:
        """Whether it is one of cosign's own, which trust directories do not have."""
        return self.label in COSIGN_LABELS

    @property
    def der(self) -> bytes:
        """What is in it; raises UnsupportedKeyError where that is not base64."""
        try:
            return base64.b64decode(self.body, validate=True)
        except (binascii.Error, ValueError):
            raise UnsupportedKeyError("this private key is damaged", why="its text is not base64") from None


def split(data: bytes, *, cosign: bool = False) -> list[KeyBlock]:
    """Return the private keys of a PEM file, at least one (rule 1); raise UnsupportedKeyError.

    With `cosign` they may be cosign's own, where a key is taken over, or used without being stored.
    """
    found = blocks(data)
    keys = [block for block in found if block.label.endswith("PRIVATE KEY")]
    if not keys:
        raise filetypes.no_private_key(data)
    for block in keys:
        if block.label not in _READABLE and not (cosign and block.of_cosign):
            raise UnsupportedKeyError(
                f"this kind of key file cannot be read: {block.label}",
                why="Notary v1 keys are PKCS#8, SEC1 or PKCS#1",
                advice=filetypes.recognised(block.block).private,
            )
    return keys


def public_pem(public: PublicKey, role: str) -> bytes:
    """Return the public half as the `NAME.pub` file that goes to the repository's owner."""
    return text("PUBLIC KEY", {"role": role}, public.public)


def with_path(block: KeyBlock, keyid: str | None) -> bytes:
    """Return a block unchanged but for its `path` header, which is set for export, dropped for storing.

    Headers that say nothing are dropped too, for they cannot be written; raises UnsupportedKeyError if one of
    those is to say how it is encrypted.
    """
    return with_headers(block, {"path": keyid or ""})


def with_headers(block: KeyBlock, said: dict[str, str]) -> bytes:
    """Return a block unchanged but for its `path` header, and for what is `said`; else as `with_path`."""
    headers = {name: value for name, value in {**block.headers, "path": "", **said}.items() if value}
    if any(block.headers.get(name) == "" for name in _ABOUT_ENCRYPTION):
        raise UnsupportedKeyError("this private key is damaged", why="it does not say how it is encrypted")
    return text(block.label, headers, block.der)


def text(label: str, headers: dict[str, str], der: bytes) -> bytes:
    """Write one block as Go does: headers sorted, but what says how it is encrypted comes first."""
    first = [name for name in _ABOUT_ENCRYPTION if name in headers]
    names = first + sorted(set(headers) - set(first))
    body = base64.b64encode(der).decode()
    for name in names:
        value = headers[name]
        if not value or not value.isprintable() or value != value.strip():
            message, why = f"this {name} cannot stand in a key file", f"{value!r} is not plain text"
            raise InvalidNameError(message, why=why)
    lines = [f"{name}: {headers[name]}" for name in names]
    lines += [""] if lines else []
    lines += [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def at_file(error: UnsupportedKeyError, where: str) -> UnsupportedKeyError:
    """Return an error of this package with the file, where its reader knew only bytes."""
    facts = {**error.facts, "file": where}
    return UnsupportedKeyError(
        error.message, why=(*error.why, f"the file is {where}"), advice=error.advice, **facts
    )


def blocks(data: bytes) -> list[KeyBlock]:
    """Return every block of a PEM file, of whatever kind; raise UnsupportedKeyError for a damaged one."""
    found: list[KeyBlock] = []
    label, lines = "", list[bytes]()
    for raw in data.removeprefix(_BYTE_ORDER_MARK).splitlines():
        line = raw.strip()
        boundary = _BOUNDARY.fullmatch(line)
        if boundary is None:
            lines.append(line)
            continue
        kind, name = boundary.group(1), boundary.group(2).decode()
        if kind == b"BEGIN" and not label:
            label, lines = name, []
        elif kind == b"END" and name == label:
            found.append(_block(label, lines))
            label = ""
        else:
            raise UnsupportedKeyError("this PEM file is damaged", why=f"{line.decode()} is out of place")
    if label:
        raise UnsupportedKeyError("this PEM file is cut off", why=f"its {label} has no end")
    return found


def _block(label: str, lines: list[bytes]) -> KeyBlock:
    headers: dict[str, str] = {}
    rest = iter(lines)
    body: list[bytes] = []
    for line in rest:
        name, colon, value = line.partition(b":")
        if not colon:
            body = [line, *rest]
            break
        headers[_header(name)] = _header(value)
    begin, end = (f"-----{word} {label}-----".encode() for word in ("BEGIN", "END"))
    return KeyBlock(label, headers, b"".join(body), b"\n".join([begin, *lines, end, b""]))


def _header(raw: bytes) -> str:
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise UnsupportedKeyError("a PEM header of this file is not UTF-8") from None
    if not text.isprintable():
        raise UnsupportedKeyError("a PEM header of this file holds a control character")
    return text
