"""Certificates with a serial number of zero or below: docker and Go take them, and so do we.

What it is: reading certificates as the `cryptography` package does, that kind included, of which it warns and
which a later version refuses. What it is not: a judgment of certificates (`certificates`, `authorities`).

Rules:

1. Such a certificate is read with another serial number, of the same length. Nothing here looks at serial
   numbers; all else that is read is its own.
2. Its bytes, and with them its hash and every key id, are those that it came with.
3. A signature under it is checked over its own bytes, by the checks that the package makes.
"""

from __future__ import annotations

import base64
import re
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from notarypy.tuf import der

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
_EXPLICIT_VERSION, _NEGATIVE, _COLUMNS = 0xA0, 0x80, 64


def load_pem(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a text, as `load_pem_x509_certificates` does, and raise what it raises."""
    blocks = [_decoded(block) for block in _BLOCK.findall(pem)]
    if not any(map(_odd, blocks)):
        return x509.load_pem_x509_certificates(pem)
    return [
        cast("x509.Certificate", _Renumbered(block)) if _odd(block) else x509.load_der_x509_certificate(block)
        for block in blocks
    ]


def require_issued(child: x509.Certificate, issuer: x509.Certificate) -> None:
    """Do as `child.verify_directly_issued_by(issuer)`, and raise what it raises (rule 3)."""
    known: Any = issuer
    if not isinstance(child, _Renumbered):
        child.verify_directly_issued_by(known.read if isinstance(known, _Renumbered) else known)
        return
    _, outer, _ = der.elements(child.der)
    algorithm, names, *_ = _after_serial(child.der)
    _, _, _, subject, *_ = _after_serial(known.public_bytes(Encoding.DER))
    if outer != algorithm or names != subject:
        raise ValueError("another issuer, or two signature algorithms")
    public, read = known.public_key(), child.read
    how: Any = read.signature_algorithm_parameters
    if isinstance(public, rsa.RSAPublicKey) and read.signature_hash_algorithm is not None:
        public.verify(read.signature, child.tbs_certificate_bytes, how, read.signature_hash_algorithm)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(read.signature, child.tbs_certificate_bytes, how)
    else:
        raise ValueError("a key of another kind")


class _Renumbered:
    """One certificate, read under another serial number (rules 1 and 2)."""

    def __init__(self, block: bytes) -> None:
        self.der, self.read = block, x509.load_der_x509_certificate(_renumbered(block))

    def __getattr__(self, name: str) -> object:
        return getattr(self.read, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Renumbered) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    @property
    def tbs_certificate_bytes(self) -> bytes:
        return der.elements(self.der)[0]

    def public_bytes(self, encoding: Encoding) -> bytes:
        if encoding is Encoding.DER:
            return self.der
        text = base64.b64encode(self.der)
        lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
        return b"\n".join((b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""))


def _decoded(block: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except ValueError:
        return b""


def _parts(block: bytes) -> list[bytes]:
    """Return the elements of what is signed, the serial number first."""
    parts = der.elements(der.elements(block)[0])
    return parts[1:] if parts[0][0] == _EXPLICIT_VERSION else parts


def _after_serial(block: bytes) -> list[bytes]:
    return _parts(block)[1:]


def _odd(block: bytes) -> bool:
    """Tell whether a certificate has a serial number of zero or below; what is none has not."""
    try:
        serial = _parts(block)[0]
    except (ValueError, IndexError):
        return False
    number = serial[2:]
    return serial[0] == der.INTEGER and bool(number) and (number[0] >= _NEGATIVE or not any(number))


def _renumbered(block: bytes) -> bytes:
    _, *signature = der.elements(block)
    serial, *rest = _parts(block)
    at = len(block) - sum(map(len, [serial, *rest, *signature]))
    return block[: at + 2] + b"\x01" + bytes(len(serial) - 3) + block[at + len(serial) :]
