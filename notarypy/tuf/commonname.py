"""The common names in a certificate's subject and issuer, however long they are.

What it is: a reader of the one field that Notary looks at, and people know. What it is not: a judge of
certificates (`certificates`).

Rules:

1. X.509 limits a common name to 64 bytes; Notary does not, and names of repositories
   are often longer. `Certificate.subject` and `issuer` warn of each such name, and what
   silences warnings does so for all threads: both are therefore read from their bytes.
2. A text that is not one of the usual kinds, or badly encoded, is a ValueError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cryptography.hazmat import asn1
from cryptography.x509.oid import NameOID, ObjectIdentifier

if TYPE_CHECKING:
    from cryptography import x509

# By tag: UTF8String, PrintableString, T61String, IA5String, BMPString.
_ENCODINGS = {
    b"\x0c": "utf-8",
    b"\x13": "ascii",
    b"\x14": "utf-8",
    b"\x16": "ascii",
    b"\x1e": "utf-16-be",
}


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
    return _texts(_body(certificate).subject)


def issuer_names(certificate: x509.Certificate) -> list[str]:
    """Return every common name of the issuer, in order; raise ValueError for one that cannot be read."""
    return _texts(_body(certificate).issuer)


def _body(certificate: x509.Certificate) -> _Body:
    return asn1.decode_der(_Body, certificate.tbs_certificate_bytes)


def _texts(name: list[asn1.SetOf[_Attribute]]) -> list[str]:
    attributes = [attribute for part in name for attribute in part.as_list()]
    return [_text(attribute.value) for attribute in attributes if attribute.kind == NameOID.COMMON_NAME]


def _text(value: asn1.TLV) -> str:
    """Decode a string of one of the usual kinds (rule 2)."""
    encoding = _ENCODINGS.get(value.tag_bytes)
    if encoding is None:
        raise ValueError("its common name is not a text")
    return bytes(value.data).decode(encoding)
