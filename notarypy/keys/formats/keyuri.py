"""References to keys that are elsewhere: the file that says where one is, and its public half.

What it is: bytes to values and back. What it is not: opening what a reference names (`signers`).

Rules:

1. A reference is one PEM block `PUBLIC KEY` with the headers `keytype`, `role` and `uri`. Go's clients read
   `.key` files alone, and see none of it.
2. Its file's name is the canonical id of the key in it, which is of a type that docker and Go notary know.
3. A URI holds no secret (`urisecrets`), and a file that names one with a secret is refused as it is not ours.
4. A scheme is read in capitals too, as RFC 3986 has it, and kept in small letters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.errors import InvalidNameError, UnsupportedKeyError
from notarypy.keys.formats import pem
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.tuf.keys import PublicKey

KEYTYPES = frozenset({"ecdsa", "rsa"})
"""What docker and Go notary verify with, of signers and of roots."""
_LABEL = "PUBLIC KEY"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+(?=:)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class KeyReference:
    """Where a key is, what it is for, of which repository if of one alone, and its public half."""

    uri: str
    role: str
    public: PublicKey
    gun: str | None = None


def read(data: bytes) -> KeyReference:
    """Read a reference; raise UnsupportedKeyError for anything else (rule 1)."""
    # Hashes and patterns, which a list of key files does without.
    from notarypy.keys.formats.urisecrets import holds_secret
    from notarypy.tuf.keys import PublicKey

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
    return KeyReference(
        uri, headers.get("role", ""), PublicKey(keytype, blocks[0].der), headers.get("gun") or None
    )


def write(reference: KeyReference) -> bytes:
    """Return a reference as its file has it; raise InvalidNameError for what cannot be read there again."""
    headers = {"keytype": reference.public.keytype, "role": reference.role, "uri": reference.uri}
    headers |= {"gun": reference.gun} if reference.gun else {}
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
