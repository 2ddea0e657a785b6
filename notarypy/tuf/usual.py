"""Usual keys, and usual certificates of roots and signers, known by their very bytes.

What it is: a short way to what nearly every repository has: keys on P-256 or of RSA, the certificates that
openssl makes for signers, and those that Notary's programs make for root keys. What it is not: a reader of
keys or certificates: whatever differs is None here, and left to `keyobjects` and `cryptography.x509`, whose
loading takes a fifth of a small command's time.

Rules:

1. Something is usual if it is, byte for byte, what writing its parts anew gives: DER with the shortest
   lengths, in PEM lines of 64 characters. There is nothing to be tolerant of.
2. A key is an EC key on P-256 whose point is on the curve, or an RSA key of 2048, 3072 or 4096 bits with an
   odd modulus and the exponent 65537.
3. A certificate is X.509 version 3, or version 1 and has no extensions; it has a positive serial number, is
   signed by ECDSA or RSA (PKCS#1 v1.5) with SHA-256, and none of its extensions is there twice.
4. Names have one attribute in each part: UTF-8, ASCII, or a PrintableString of the characters that it may
   have. Dates from 2050 on, and no others, have years of four digits.
5. A root's certificate is such a one of version 3, of one common name that is issuer and subject, for code
   signing, and no authority. Of a signer's nothing but the key is looked at: nobody checks its names, dates,
   extensions or issuer while verifying.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from notarypy.tuf import der
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_BYTES, _COORDINATE = 91, 32
_RSA, _EXPONENT = bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("0203010001")
_RSA_REST, _RSA_SIZES = 38, frozenset({256, 384, 512})  # bytes without the modulus, and of the modulus
_VERSION, _TRUE = bytes.fromhex("a003020102"), bytes.fromhex("0101ff")
_SHA256 = frozenset(
    {bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300d06092a864886f70d01010b0500")}
)
# Key usage in its two encodings, code signing, no authority.
_EXTENSIONS = frozenset(
    bytes.fromhex(f"a3353033300e0603551d0f0101ff040403020{unused}a030130603551d25040c300a")
    + bytes.fromhex("06082b06010505070303300c0603551d130101ff04023000")
    for unused in "05"
)
_COMMON_NAME = bytes.fromhex("0603550403")
_UTC_TIME, _TIME, _SET, _EXTENSION_LIST = 0x17, 0x18, 0x31, 0xA3
_TEXTS = {
    0x0C: re.compile(rb".+", re.DOTALL),  # UTF8String
    0x13: re.compile(rb"[A-Za-z0-9 '()+,./:=?-]+"),  # PrintableString
    0x16: re.compile(rb"[\x00-\x7f]+"),  # IA5String
}
_KIND = re.compile(rb"\x06[\x03-\x20](?:[\x00-\x7f]|[\x81-\xff][\x80-\xff]{0,3}[\x00-\x7f])+")
_MOST_SERIAL, _HIGH = 20, 0x80
_HEAD, _FOOT = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
_COLUMNS = 64


@dataclass(frozen=True)
class UsualCertificate:
    """What is looked at in a root's usual certificate; dates are called as `cryptography` calls them.

    Attributes:
        name: The common name.
        public: The key, DER SubjectPublicKeyInfo.
        der: The certificate itself.
    """

    name: str
    public: bytes
    der: bytes
    not_valid_before_utc: datetime
    not_valid_after_utc: datetime


@dataclass(frozen=True)
class _Parts:
    issuer: bytes
    subject: bytes
    begin: datetime
    end: datetime
    public: bytes
    extensions: bytes
    der: bytes


def public_key(keytype: str, written: bytes) -> EllipticCurvePublicKey | RSAPublicKey | None:
    """Return the key object of a usual key (rule 2); None for anything else, as for another type."""
    if keytype == "ecdsa":
        return _p256_key(written)
    return _rsa_key(written) if keytype == "rsa" else None


def _p256_key(written: bytes) -> EllipticCurvePublicKey | None:
    if len(written) != _P256_BYTES or not written.startswith(_P256):
        return None
    from cryptography.hazmat.primitives.asymmetric import ec  # who needs only ids does without

    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), written[len(_P256) - 1 :])
    except ValueError:
        return None


def _rsa_key(written: bytes) -> RSAPublicKey | None:
    size = len(written) - _RSA_REST
    modulus = written[-len(_EXPONENT) - size : -len(_EXPONENT)]
    if size not in _RSA_SIZES or modulus[0] < _HIGH or modulus[-1] % 2 == 0:
        return None
    numbers = der.element(der.SEQUENCE, der.element(der.INTEGER, b"\0" + modulus) + _EXPONENT)
    if written != der.element(der.SEQUENCE, _RSA + der.element(der.BITS, b"\0" + numbers)):
        return None
    from cryptography.hazmat.primitives.asymmetric import rsa

    exponent = int.from_bytes(_EXPONENT[2:], "big")
    return rsa.RSAPublicNumbers(exponent, int.from_bytes(modulus, "big")).public_key()


def written(key: object) -> bytes:
    """Return the bytes of a key object on P-256, or of its public half; empty for any other object."""
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey):
        key = key.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return b""
    numbers = key.public_numbers()
    return _P256 + numbers.x.to_bytes(_COORDINATE, "big") + numbers.y.to_bytes(_COORDINATE, "big")


def certified(pem: bytes) -> tuple[str, bytes] | None:
    """Return type and bytes of the key in a usual certificate (rule 3); None for anything else."""
    found = _opened(pem)
    return None if found is None else (_keytype(found.public), found.public)


def certificate(pem: bytes) -> UsualCertificate | None:
    """Return what a root's usual certificate says (rule 5); None for anything else."""
    found = _opened(pem)
    if found is None or found.extensions not in _EXTENSIONS or found.issuer != found.subject:
        return None
    name = _common_name(found.subject)
    return None if name is None else UsualCertificate(name, found.public, found.der, found.begin, found.end)


def _opened(pem: bytes) -> _Parts | None:
    try:
        block = base64.b64decode(pem[len(_HEAD) : -len(_FOOT)])
        return _read(block) if pem == _as_pem(block) else None
    except ValueError:
        return None


def _as_pem(block: bytes) -> bytes:
    text = base64.b64encode(block)
    lines = [text[at : at + _COLUMNS] + b"\n" for at in range(0, len(text), _COLUMNS)]
    return b"".join((_HEAD, *lines, _FOOT))


def _read(block: bytes) -> _Parts | None:
    """Read a certificate, DER (rule 3); None, or a ValueError, for one that is not usual."""
    signed, algorithm, signature = der.elements(block)
    parts = der.elements(signed)
    if parts[:1] != [_VERSION]:
        parts = [b"", *parts, b""]
    _, serial, inner, issuer, validity, subject, public, extensions = parts
    begin, end = der.elements(validity)
    usual = (
        inner == algorithm
        and algorithm in _SHA256
        and _is_serial(serial)
        and issuer == _sequence(map(_name_part, der.elements(issuer)))
        and subject == _sequence(map(_name_part, der.elements(subject)))
        and extensions == (_extensions(extensions) if extensions else b"")
        and signature == der.element(der.BITS, b"\0" + der.content(signature)[1:])
        and validity == _sequence((begin, end))
        and signed == _sequence(parts)
        and block == _sequence((signed, algorithm, signature))
        and public_key(_keytype(public), public) is not None
    )
    if not usual:
        return None
    return _Parts(issuer, subject, _time(begin), _time(end), public, extensions, block)


def _sequence(elements: Iterable[bytes]) -> bytes:
    return der.element(der.SEQUENCE, b"".join(elements))


def _keytype(public: bytes) -> str:
    return "ecdsa" if public.startswith(_P256) else "rsa"


def _is_serial(element: bytes) -> bool:
    """Tell whether an element is a positive number of at most 20 bytes, in as few as it takes."""
    number = element[2:]
    if element != der.element(der.INTEGER, number) or not 0 < len(number) <= _MOST_SERIAL:
        return False
    return 0 < number[0] < _HIGH or (number[0] == 0 and len(number) > 1 and number[1] >= _HIGH)


def _name_part(part: bytes) -> bytes:
    """Write a part of a name anew (rule 4); raise ValueError for one that is not usual."""
    kind, value = der.elements(der.content(part))
    text, allowed = der.content(value), _TEXTS.get(value[0])
    if not _is_kind(kind) or allowed is None or not allowed.fullmatch(text):
        raise ValueError("no text")
    text.decode()
    return der.element(_SET, _sequence((kind, der.element(value[0], text))))


def _common_name(name: bytes) -> str | None:
    """Return the common name that a usual name consists of; None for any other."""
    parts = der.elements(name)
    if len(parts) != 1:
        return None
    kind, value = der.elements(der.content(parts[0]))
    return der.content(value).decode() if kind == _COMMON_NAME else None


def _extensions(written: bytes) -> bytes:
    """Write extensions anew; raise ValueError for some that are not usual (rule 3)."""
    found = [der.elements(each) for each in der.elements(der.content(written))]
    kinds = {kind for kind, *_ in found if _is_kind(kind)}
    if not found or len(kinds) < len(found):
        raise ValueError("no extensions, or one twice")
    return der.element(_EXTENSION_LIST, _sequence(map(_extension, found)))


def _extension(parts: list[bytes]) -> bytes:
    kind, *critical, value = parts
    if critical not in ([], [_TRUE]):
        raise ValueError("no extension")
    return _sequence((kind, *critical, der.element(der.OCTETS, der.content(value))))


def _is_kind(element: bytes) -> bool:
    """Tell whether an element is an object identifier, of at most 32 bytes, its numbers below 2**35."""
    return element == der.element(der.OID, element[2:]) and _KIND.fullmatch(element) is not None


def _time(element: bytes) -> datetime:
    """Read a date (rule 4); raise ValueError for one that is not usual."""
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
