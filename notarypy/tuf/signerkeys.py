"""Public keys of signers, as the files have them that signers give to the owner of a repository.

What it is: PEM public keys and certificates in, keys for metadata out. What it is not: the file that is wrong
(`filetypes`), private keys (`keys.formats`), or the certificates of root keys (`certificates`).

Rules:

1. The first block of a file decides.
2. A public key is written anew as docker and Go notary read it, in whatever form it came. Ed25519 is refused:
   Go's clients verify such delegations but cannot load or list them.
3. A certificate is published as it is and becomes an x509 key. It is therefore one that docker and Go notary
   read (`certificateparts`, rule 3), in date, and not signed with SHA-1 or MD5. Who has another one can give
   its key alone.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from notarypy.errors import Advice, UnsupportedKeyError
from notarypy.tuf import certificateparts, filetypes
from notarypy.tuf.certificateparts import foreign_problem
from notarypy.tuf.certificates import FUTURE, certificate_problem
from notarypy.tuf.keyobjects import USE_KEY_KIND, require_known
from notarypy.tuf.keys import PublicKey, public_key_of

if TYPE_CHECKING:
    from datetime import datetime

_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s")
_ED25519, _KIND_BYTES = b"\x06\x03\x2b\x65\x70", 32  # its object identifier, and where a kind is said
_PEM_DASHES = b"-----"
_PEM_HEADER = re.compile(rb"^[A-Za-z-]+:[^\n]*\n", re.MULTILINE)


def load_public_pem(data: bytes, now: datetime) -> PublicKey:
    """Read a file as the key of a delegation (rules 1 to 3); raise UnsupportedKeyError if it is none."""
    label, body, block = _first_pem(data)
    if label == "CERTIFICATE":
        return _certificate_key(block, now)
    if label == "PUBLIC KEY":
        return _bare_key(body)
    if label.endswith("PRIVATE KEY"):
        _require_useful(body)
    raise filetypes.no_public_key(data)


def _require_useful(body: bytes) -> None:
    """Raise UnsupportedKeyError for a private key whose public half would be refused for its kind."""
    with suppress(ValueError):  # encrypted ones do not say
        written = base64.b64decode(_PEM_HEADER.sub(b"", body))
        require_known(written)
        if _ED25519 in written[:_KIND_BYTES]:
            raise UnsupportedKeyError("an Ed25519 key cannot be a signer's key", advice=USE_KEY_KIND)


def _first_pem(data: bytes) -> tuple[str, bytes, bytes]:
    for begin in _PEM_BEGIN.finditer(data):
        # A body ends at the next dashes, wherever they are: nothing is looked at twice.
        end = data.find(_PEM_DASHES, begin.end())
        closing = b"-----END " + begin[1] + _PEM_DASHES
        if end >= 0 and data.startswith(closing, end):
            return begin[1].decode(), data[begin.end() : end], data[begin.start() : end + len(closing)]
    raise filetypes.no_public_key(data)


def _bare_key(body: bytes) -> PublicKey:
    try:
        der = base64.b64decode(_PEM_HEADER.sub(b"", body))
        require_known(der)
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise UnsupportedKeyError("this public key cannot be read", advice=USE_KEY_KIND) from None
    return _delegation_key(public_key_of(key))


def _delegation_key(key: PublicKey) -> PublicKey:
    if key.keytype == "ed25519":
        raise UnsupportedKeyError("an Ed25519 key cannot be a signer's key", advice=USE_KEY_KIND)
    return key


def _certificate_key(pem: bytes, now: datetime) -> PublicKey:
    try:
        [certificate] = certificateparts.load_pem(pem)
    except (ValueError, x509.InvalidVersion):
        message, advice = "this certificate cannot be read", Advice("take-certified-key")
        raise UnsupportedKeyError(message, advice=advice) from None
    bare = _delegation_key(public_key_of(certificate))
    reason = certificate_problem(certificate, now)
    if certificate.not_valid_before_utc > now + FUTURE:
        reason = f"it is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
    foreign = foreign_problem(certificate)
    if reason or foreign:
        message, advice = "this certificate cannot be a signer's key", Advice("take-certified-key")
        why = reason or f"docker and Go notary cannot read it: {foreign}"
        raise UnsupportedKeyError(message, why=why, advice=advice)
    return PublicKey(f"{bare.keytype}-x509", certificate.public_bytes(Encoding.PEM))
