"""The usual key and the usual certificate, known by their very bytes.

What it is: a short way to what nearly every repository has: an EC key on P-256, and the self-signed
certificate around it that Notary's programs make for a root key. What it is not: a reader of keys or
certificates: whatever differs is None here, and left to `keyobjects` and `cryptography.x509`, whose loading
takes a sixth of a small command's time.

Rules:

1. Something is usual if it is, byte for byte, what writing its parts anew gives: DER with the shortest
   lengths, in PEM lines of 64 characters. There is nothing to be tolerant of.
2. Such a certificate is X.509 version 3 with a positive serial number, signed by ECDSA with SHA-256, of one
   common name that is issuer and subject, with an EC key on P-256 whose point is on the curve, for code
   signing, and no authority.
3. A common name is UTF-8, or a PrintableString of the characters that it may have. Dates from 2050 on, and no
   others, have years of four digits.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from notarypy.tuf import der
from notarypy.values import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_BYTES, _COORDINATE = 91, 32
_VERSION, _ECDSA_SHA256 = bytes.fromhex("a003020102"), bytes.fromhex("300a06082a8648ce3d040302")
# Key usage in its two encodings, code signing, no authority.
_EXTENSIONS = frozenset(
    bytes.fromhex(f"a3353033300e0603551d0f0101ff040403020{unused}a030130603551d25040c300a")
    + bytes.fromhex("06082b06010505070303300c0603551d130101ff04023000")
    for unused in "05"
)
_COMMON_NAME = bytes.fromhex("0603550403")
_UTF8, _PRINTABLE, _UTC_TIME, _TIME, _SET = 0x0C, 0x13, 0x17, 0x18, 0x31
_MOST_SERIAL, _HIGH = 20, 0x80
_HEAD, _FOOT = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
_COLUMNS = 64


@dataclass(frozen=True)
class UsualCertificate:
    """What is looked at in a usual certificate; dates are called as `cryptography` calls them.

    Attributes:
        name: The common name.
        public: The key, DER SubjectPublicKeyInfo.
    """

    name: str
    public: bytes
    not_valid_before_utc: datetime
    not_valid_after_utc: datetime


def public_key(written: bytes) -> EllipticCurvePublicKey | None:
    """Return the key object of a usual key; None for anything else, as a point that is not on the curve."""
    if len(written) != _P256_BYTES or not written.startswith(_P256):
        return None
    from cryptography.hazmat.primitives.asymmetric import ec  # who needs only ids does without

    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), written[len(_P256) - 1 :])
    except ValueError:
        return None


def written(key: object) -> bytes:
    """Return the bytes of a key object on P-256, or of its public half; empty for any other object."""
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey):
        key = key.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return b""
    numbers = key.public_numbers()
    return _P256 + numbers.x.to_bytes(_COORDINATE, "big") + numbers.y.to_bytes(_COORDINATE, "big")


def certificate(pem: bytes) -> UsualCertificate | None:
    """Return what a usual certificate says; None for anything else."""
    try:
        block = base64.b64decode(pem[len(_HEAD) : -len(_FOOT)])
        return _read(block) if pem == _as_pem(block) else None
    except ValueError:
        return None


def _as_pem(block: bytes) -> bytes:
    text = base64.b64encode(block)
    lines = [text[at : at + _COLUMNS] + b"\n" for at in range(0, len(text), _COLUMNS)]
    return b"".join((_HEAD, *lines, _FOOT))


def _read(block: bytes) -> UsualCertificate | None:
    """Read a certificate, DER; None, or a ValueError, for one that is not usual."""
    signed, algorithm, signature = der.elements(block)
    version, serial, inner, issuer, validity, subject, public, extensions = der.elements(signed)
    name, written_name = _name(subject)
    begin, end = der.elements(validity)
    usual = (
        (version, inner, algorithm) == (_VERSION, _ECDSA_SHA256, _ECDSA_SHA256)
        and (issuer, subject) == (written_name, written_name)
        and extensions in _EXTENSIONS
        and _is_serial(serial)
        and signature == der.element(der.BITS, b"\0" + signature[3:])
        and validity == der.element(der.SEQUENCE, begin + end)
        and signed == der.element(der.SEQUENCE, b"".join(der.elements(signed)))
        and block == der.element(der.SEQUENCE, signed + algorithm + signature)
        and public_key(public) is not None
    )
    return UsualCertificate(name, public, _time(begin), _time(end)) if usual else None


def _is_serial(element: bytes) -> bool:
    """Tell whether an element is a positive number of at most 20 bytes, in as few as it takes."""
    number = element[2:]
    if element != der.element(der.INTEGER, number) or not 0 < len(number) <= _MOST_SERIAL:
        return False
    return 0 < number[0] < _HIGH or (number[0] == 0 and len(number) > 1 and number[1] >= _HIGH)


def _name(subject: bytes) -> tuple[str, bytes]:
    """Return the common name of a subject, and a subject with nothing but that; raise ValueError for none."""
    at = subject.index(_COMMON_NAME) + len(_COMMON_NAME)
    tag, content = subject[at : at + 1], der.content(subject[at:])
    if tag == bytes((_PRINTABLE,)) and not re.fullmatch(rb"[A-Za-z0-9 '()+,./:=?-]+", content):
        raise ValueError("not printable")
    if tag not in {bytes((_UTF8,)), bytes((_PRINTABLE,))} or not content:
        raise ValueError("no text")
    attribute = der.element(der.SEQUENCE, _COMMON_NAME + der.element(tag[0], content))
    return content.decode(), der.element(der.SEQUENCE, der.element(_SET, attribute))


def _time(element: bytes) -> datetime:
    """Read a date (rule 3); raise ValueError for one that is not usual."""
    digits = element[2:-1]
    short = element == der.element(_UTC_TIME, digits + b"Z") and len(digits) == len("yymmddHHMMSS")
    if not short and (element != der.element(_TIME, digits + b"Z") or len(digits) != len("yyyymmddHHMMSS")):
        raise ValueError("no date")
    if not digits.isdigit() or (not short and digits < b"2050"):
        raise ValueError("no date")
    if short:
        digits = (b"19" if digits >= b"50" else b"20") + digits
    year, *rest = int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, len(digits), 2))
    month, day, hour, minute, second = rest
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
