"""Certificates as `cryptography` reads them: names, extensions, serial numbers, and what others cannot read.

What it is: reading certificates, those with a serial number of zero or below included, which docker and Go
take and `cryptography` warns of; names in them; and what docker and Go notary cannot read. What it is not:
the rules of root certificates (`certificates`), which loads this for certificates that are not `usual`.

Rules:

1. X.509 limits a common name to 64 bytes; Notary does not, and names of repositories are often longer.
   `Certificate.subject` and `issuer` warn of each such name, and what silences warnings does so for all
   threads: both are therefore read from their bytes.
2. A common name that is not text of one of the usual kinds, or badly encoded, is a ValueError.
3. What is published must be read by docker and Go notary too: one certificate that they cannot read hides
   every signer of the repository from them. They want the key as its kind is usually written (a curve by its
   name, a point in full, RSA as plain RSA), the same algorithm inside and outside of what is signed, names
   and extensions that are well-formed, and none twice. Nobody is kept from reading what is published already.
4. A certificate whose serial number is zero or below is read with another one, of the same length. Nothing
   here looks at serial numbers; all else that is read is its own.
5. Its bytes, and with them its hash and every key id, are those that it came with.
6. A signature under it is checked over its own bytes, by the checks that the package makes.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, TypeVar, cast

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from notarypy.tuf import der

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
STRANGE_EXTENSION = (x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
# By tag: UTF8String, PrintableString, T61String, IA5String, BMPString.
_ENCODINGS = {b"\x0c": "utf-8", b"\x13": "ascii", b"\x14": "utf-8", b"\x16": "ascii", b"\x1e": "utf-16-be"}
# T61String is any bytes to Go, and there is NumericString.
_ENCODINGS_OF_GO = {b"\x14": "latin-1", b"\x12": "ascii"}
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
# Go refuses a certificate for a URI that it cannot take apart; this takes none that Go does not.
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?://[A-Za-z0-9.@:_~-]*(?=[/?#]|$))?(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
)


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return what an extension of this kind holds, or None; a ValueError if some cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except STRANGE_EXTENSION as error:
        raise ValueError(str(error)) from None


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is one of an authority."""
    basic = extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.ca


# -- names, rules 1 and 2


@asn1.sequence
class _Attribute:
    kind: ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class _Body:
    """The part of a certificate that is signed."""

    version: Annotated[int | None, asn1.Explicit(0)]
    serial: asn1.TLV
    algorithm: asn1.TLV
    issuer: list[asn1.SetOf[_Attribute]]
    validity: asn1.TLV
    subject: list[asn1.SetOf[_Attribute]]
    key: asn1.TLV
    issuer_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[asn1.TLV] | None, asn1.Explicit(3)]


def common_names(certificate: x509.Certificate) -> list[str]:
    """Return every common name of the subject, in order; raise ValueError for one that cannot be read."""
    return _texts(asn1.decode_der(_Body, certificate.tbs_certificate_bytes).subject)


def issuer_names(certificate: x509.Certificate) -> list[str]:
    """Return every common name of the issuer, in order; raise ValueError for one that cannot be read."""
    return _texts(asn1.decode_der(_Body, certificate.tbs_certificate_bytes).issuer)


def _texts(name: list[asn1.SetOf[_Attribute]]) -> list[str]:
    attributes = [attribute for part in name for attribute in part.as_list()]
    return [_text(attribute.value) for attribute in attributes if attribute.kind == NameOID.COMMON_NAME]


def _text(value: asn1.TLV) -> str:
    """Decode a string of one of the usual kinds (rule 2)."""
    encoding = _ENCODINGS.get(value.tag_bytes)
    if encoding is None:
        raise ValueError("its common name is not a text")
    return bytes(value.data).decode(encoding)


# -- certificates that others cannot read, rule 3


def foreign_problem(certificate: x509.Certificate) -> str:
    """Say why docker and Go notary cannot read a certificate; empty when they can (rule 3)."""
    try:
        body = asn1.decode_der(_Body, certificate.tbs_certificate_bytes)
        _, outer, _ = der.elements(certificate.public_bytes(Encoding.DER))
        for part in [*body.issuer, *body.subject]:
            for attribute in part.as_list():
                _foreign_text(attribute.value)
        reason = _key_form_problem(asn1.encode_der(body.key), certificate) or _extension_problem(certificate)
    except (ValueError, *STRANGE_EXTENSION):
        return "one of its names or extensions is malformed"
    return reason or ("" if outer == asn1.encode_der(body.algorithm) else "it names two signature algorithms")


def _foreign_text(value: asn1.TLV) -> None:
    encoding = {**_ENCODINGS, **_ENCODINGS_OF_GO}.get(value.tag_bytes)
    if encoding is None:
        raise ValueError("a name is not a text")
    bytes(value.data).decode(encoding)


def _key_form_problem(written: bytes, certificate: x509.Certificate) -> str:
    public = certificate.public_key()
    if written == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        return ""
    algorithm, *_ = der.elements(written)
    if algorithm.startswith(_RSA_PSS, 2):
        return "its key is RSA-PSS, and not plain RSA"
    return "its key is in an unusual form: the curve spelled out, a compressed point, or no parameters"


def _extension_problem(certificate: x509.Certificate) -> str:
    names = extension(certificate, x509.SubjectAlternativeName)  # this reads every extension
    links = names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    odd = [link for link in links if _URI.fullmatch(link) is None]
    return f"one of its names is no URI: {odd[0]}" if odd else ""


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
    """Do as `child.verify_directly_issued_by(issuer)`, and raise what it raises (rule 6)."""
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
    """One certificate, read under another serial number (rules 4 and 5)."""

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
