"""A throw-away certificate authority that vouches for one server.

What it is: a CA certificate, and a server's certificate with its key. What it is not:
a CA that could issue anything else; its key is forgotten as soon as it has signed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

LIFE = timedelta(days=365)
SLACK = timedelta(hours=1)
_SERIAL_BYTES = 16
_AUTHORITY = "notarypy devserver: throw-away CA"


@dataclass(frozen=True)
class Issued:
    """Certificates, all PEM.

    Attributes:
        authority: What clients have to trust.
        server: The server's certificate and after it its private key, unencrypted.
    """

    authority: bytes
    server: bytes


def issue(names: Sequence[str], now: datetime, random: Callable[[int], bytes] = os.urandom) -> Issued:
    """Make a CA and let it sign a certificate for host names and addresses, in date for a year."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    above, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    identity = x509.SubjectKeyIdentifier.from_public_key(above.public_key())
    authority = (
        _template(_AUTHORITY, above.public_key(), now, random)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(above, SHA256())
    )
    server = (
        _template("notarypy devserver", below.public_key(), now, random)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity), critical=False
        )
        .sign(above, SHA256())
    )
    key = below.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(authority.public_bytes(Encoding.PEM), server.public_bytes(Encoding.PEM) + key)


def serves(server: bytes, names: Sequence[str], now: datetime) -> bool:
    """Tell whether a server's certificate is for all these names, and in date for another month."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(server)
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    in_date = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - timedelta(days=30)
    return in_date and all(_name(name) in listed for name in names)


def _template(
    name: str, key: EllipticCurvePublicKey, now: datetime, random: Callable[[int], bytes]
) -> x509.CertificateBuilder:
    from cryptography import x509

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)])

    start = now.astimezone(UTC).replace(microsecond=0) - SLACK
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(_AUTHORITY))
        .public_key(key)
        .serial_number(int.from_bytes(random(_SERIAL_BYTES), "big") or 1)
        .not_valid_before(start)
        .not_valid_after(start + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    """Return a host name, or an address as such."""
    from ipaddress import ip_address

    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
