"""Private key files as text: PEM blocks with Notary's headers, to and from key objects.

What it is: pure translation between bytes and key objects. What it is not: file
access (`keystore`), the choice of passphrases (`passphrase`), or DER (`pkcs8`).

Rules:

1. Every private key block of a file counts, whatever stands around it:
   `EC PARAMETERS`, certificates, comments. A file without one is refused by what
   it does hold.
2. Headers and base64 are read as Go's PEM reader does: headers end where a line
   has no colon.
3. A header with a control character is refused: it would end up in file lists,
   prompts and rewritten files.
4. Arbitrary bytes never raise anything but the errors named here, in time
   linear in their number.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    InvalidNameError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    from notarypy.tuf.keys import PublicKey

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

# One guess at a passphrase costs an attacker as many rounds as one use costs the
# owner. Measured on one core: 2048 rounds, Go's own count, take under 1 ms;
# 100 000 take 45 ms here and 60 ms in Go's clients; 600 000 take 260 and 310 ms.
# Those clients decrypt each key in every signing command, and a whole signing
# command takes some 150 ms here: 100 000 makes guessing 49 times dearer than Go's
# files do, and the owner hardly feels it. Every file names its own count, so this
# one can be raised at any time.
ROUNDS = 100_000
SALT_BYTES = 8
IV_BYTES = 16

# The roles whose keys belong to one repository; only their files name it.
GUN_ROLES = frozenset({"targets", "snapshot", "timestamp"})

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_SEALED = "ENCRYPTED PRIVATE KEY"
_READABLE = {_SEALED, "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ED25519 PRIVATE KEY"}
_ABOUT_ENCRYPTION = ("Proc-Type", "DEK-Info")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DER_SEQUENCE = b"\x30"
# A sequence of version 3, which no key has, and what begins another sequence.
_PKCS12 = re.compile(rb"\x30(?:[\x00-\x80]|\x81.|\x82.{2}|\x83.{3}|\x84.{4})\x02\x01\x03\x30", re.DOTALL)
_LINE = 64
_ADVICE = {
    "OPENSSH PRIVATE KEY": Advice("rewrite-openssh"),
    "PUBLIC KEY": Advice("give-private-half"),
    "CERTIFICATE": Advice("give-certified-key"),
}


@dataclass(frozen=True)
class KeyBlock:
    """One private key of a PEM file, still closed.

    Attributes:
        role: The `role` header: a base role, a signer's name or a full delegation role.
        gun: The `gun` header.
        path: The `path` header of exported keys: the key's canonical id.
        encrypted: Whether it takes a passphrase to open.
        block: The PEM block as it stands, which is the secret itself when it is not encrypted.
    """

    role: str | None
    gun: str | None
    path: str | None
    encrypted: bool
    block: bytes = field(repr=False)


@dataclass(frozen=True)
class _Block:
    label: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    text: bytes = field(repr=False)

    @property
    def encrypted(self) -> bool:
        return self.label == _SEALED or "DEK-Info" in self.headers


def split(data: bytes) -> list[KeyBlock]:
    """Return the private keys of a PEM file in their order (rule 1); never an empty list.

    Raises:
        UnsupportedKeyError: It holds none, or one in a form that cannot be read.
    """
    blocks = _blocks(data)
    keys = [block for block in blocks if block.label.endswith("PRIVATE KEY")]
    if not keys:
        raise _nothing_private(blocks, data)
    for block in keys:
        if block.label not in _READABLE:
            raise UnsupportedKeyError(
                f"this kind of key file cannot be read: {block.label}",
                why="Notary v1 keys are PKCS#8, SEC1 or PKCS#1",
                advice=_ADVICE.get(block.label),
            )
    return [_key_block(block) for block in keys]


def decrypt(block: KeyBlock, passphrase: str | None) -> PrivateKey:
    """Open a key; the passphrase of a key that has none is ignored.

    Raises:
        PassphraseNeededError: It is encrypted and there is no passphrase.
        PassphraseWrongError: The passphrase does not open it.
        UnsupportedKeyError: It is damaged, or a key or an encryption that cannot be used.
    """
    (parsed,) = _blocks(block.block)
    if not parsed.encrypted:
        return _load_plain(parsed)
    if not passphrase:
        raise PassphraseNeededError("this key is encrypted")
    secret = _secret(passphrase)
    if parsed.label == _SEALED:
        from notarypy.keys.formats import pkcs8

        return pkcs8.load_encrypted(_der(parsed), secret)
    return _load_traditional(parsed, secret)


def encrypt(
    key: PrivateKey, passphrase: str, role: str, gun: str | None, *, salt: bytes, iv: bytes, iterations: int
) -> bytes:
    """Return a key as the file the Go clients read and write.

    Args:
        key: The key.
        passphrase: Not empty.
        role: A base role, a signer's name, or a full delegation role.
        gun: The repository; written only for the roles whose keys belong to one.
        salt: `SALT_BYTES` fresh random bytes.
        iv: `IV_BYTES` fresh random bytes.
        iterations: The rounds of key derivation; `ROUNDS` unless there is a reason.

    Raises:
        InvalidNameError: The role or GUN cannot be a header.
    """
    from notarypy.keys.formats import pbes, pkcs8

    if not passphrase:
        raise ValueError("a key is never written without a passphrase")
    headers = {"role": role}
    if gun is not None and role in GUN_ROLES:
        headers["gun"] = gun
    sealed = pbes.encrypt(pkcs8.dump(key), _secret(passphrase), salt=salt, iv=iv, iterations=iterations)
    return _text(_SEALED, headers, sealed)


def public_pem(public: PublicKey, role: str) -> bytes:
    """Return the public half as the `NAME.pub` file that goes to the repository's owner."""
    return _text("PUBLIC KEY", {"role": role}, public.public)


def with_path(block: KeyBlock, keyid: str | None) -> bytes:
    """Return a block unchanged but for its `path` header, which is set for export, dropped for storing.

    Headers that say nothing are dropped too, for they cannot be written.

    Raises:
        UnsupportedKeyError: One of those that say how it is encrypted says nothing.
    """
    (parsed,) = _blocks(block.block)
    headers = {name: value for name, value in parsed.headers.items() if name != "path" and value}
    if any(parsed.headers.get(name) == "" for name in _ABOUT_ENCRYPTION):
        raise UnsupportedKeyError("this private key is damaged", why="it does not say how it is encrypted")
    if keyid is not None:
        headers["path"] = keyid
    return _text(parsed.label, headers, _der(parsed))


def require_portable(block: KeyBlock) -> None:
    """Raise UnsupportedKeyError unless a block is encrypted as the Go clients read it.

    Without the passphrase nothing more can be said of it.
    """
    from notarypy.keys.formats import pbes

    (parsed,) = _blocks(block.block)
    if not parsed.encrypted:
        raise UnsupportedKeyError("this private key is not encrypted", advice=Advice("store-key"))
    der = _der(parsed)
    if parsed.label == _SEALED:
        pbes.require_portable(der)
    else:
        pbes.require_traditional(parsed.headers["DEK-Info"].partition(",")[0])


def _blocks(data: bytes) -> list[_Block]:
    found: list[_Block] = []
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


def _block(label: str, lines: list[bytes]) -> _Block:
    headers: dict[str, str] = {}
    rest = iter(lines)
    body: list[bytes] = []
    for line in rest:
        name, colon, value = line.partition(b":")
        if not colon:
            body = [line, *rest]
            break
        headers[_header(name)] = _header(value)
    dashes = b"-----"
    begin, end = (dashes + word + label.encode() + dashes for word in (b"BEGIN ", b"END "))
    return _Block(label, headers, b"".join(body), b"\n".join([begin, *lines, end, b""]))


def _header(raw: bytes) -> str:
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise UnsupportedKeyError("a PEM header of this file is not UTF-8") from None
    if not text.isprintable():
        raise UnsupportedKeyError("a PEM header of this file holds a control character")
    return text


def _key_block(block: _Block) -> KeyBlock:
    role, gun, path = (block.headers.get(name) or None for name in ("role", "gun", "path"))
    return KeyBlock(role, gun, path, block.encrypted, block.text)


def _nothing_private(blocks: list[_Block], data: bytes) -> UnsupportedKeyError:
    labels = sorted({block.label for block in blocks})
    if labels:
        advice = next((_ADVICE[label] for label in labels if label in _ADVICE), None)
        return UnsupportedKeyError(
            "this file holds no private key", why=f"it holds: {', '.join(labels)}", advice=advice
        )
    if _PKCS12.match(data):
        return UnsupportedKeyError(
            "this file is not PEM",
            why="it looks like PKCS#12",
            advice=Advice("convert-pkcs12"),
        )
    if data.startswith(_DER_SEQUENCE):
        return UnsupportedKeyError(
            "this file is not PEM",
            why="it looks like DER",
            advice=Advice("convert-der"),
        )
    return UnsupportedKeyError("this file holds no PEM block")


def _der(block: _Block) -> bytes:
    try:
        return base64.b64decode(block.body, validate=True)
    except (binascii.Error, ValueError):
        raise UnsupportedKeyError("this private key is damaged", why="its text is not base64") from None


def _load_plain(block: _Block) -> PrivateKey:
    from notarypy.keys.formats import pkcs8

    loaders = {"PRIVATE KEY": pkcs8.load, "ED25519 PRIVATE KEY": pkcs8.load_go_ed25519}
    return loaders.get(block.label, pkcs8.load_standard)(_der(block))


def _load_traditional(block: _Block, secret: bytes) -> PrivateKey:
    """Open SEC1 or PKCS#1 encrypted by PEM headers, the form of old key stores and old OpenSSL."""
    from notarypy.keys.formats import pbes, pkcs8

    cipher, _, iv = block.headers["DEK-Info"].partition(",")
    return pkcs8.load_standard(pbes.decrypt_traditional(cipher, iv, _der(block), secret))


def _secret(passphrase: str) -> bytes:
    """Return a passphrase's bytes; those of the environment that are not UTF-8 as they came."""
    try:
        return passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PassphraseWrongError("this passphrase is not text") from None


def _text(label: str, headers: dict[str, str], der: bytes) -> bytes:
    """Write one block as Go does: headers sorted, but what says how it is encrypted comes first."""
    first = [name for name in _ABOUT_ENCRYPTION if name in headers]
    names = first + sorted(set(headers) - set(first))
    body = base64.b64encode(der).decode()
    lines = [f"{name}: {_writable(name, headers[name])}" for name in names]
    lines += [""] if lines else []
    lines += [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _writable(name: str, value: str) -> str:
    if not value or not value.isprintable() or value != value.strip():
        raise InvalidNameError(f"this {name} cannot stand in a key file", why=f"{value!r} is not plain text")
    return value
