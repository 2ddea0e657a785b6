"""A server's key and its certificate, under a CA that signs nothing else.

What it is: certificates that any TLS client takes, strict ones too, and that one who is told the CA trusts.
What it is not: a CA that could issue anything more: its key is forgotten as soon as it has signed.

Rules:

1. The time is handed in, and so is the randomness of serial numbers.
2. Each CA has a name of its own, of which its key is a part: clients may be told two of them at once, while
   one takes the other's place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notarypy.values import dataclass

_SLACK = timedelta(hours=1)
_SERIAL_BYTES = 16


@dataclass(frozen=True)
class ServerPair:
    """What clients have to trust, and a server's certificate with its private key, unencrypted; all PEM."""

    authority: bytes
    certificate: bytes
    key: bytes
    until: datetime


def issue(
    owner: str,
    names: Sequence[str],
    now: datetime,
    life: timedelta,
    random: Callable[[int], bytes] = os.urandom,
) -> ServerPair:
    """Make a CA and let it sign a certificate for host names and addresses."""
    above, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    identity = x509.SubjectKeyIdentifier.from_public_key(above.public_key())
    issuer = _named(f"{owner}: throw-away CA {identity.digest.hex()[:8]}")
    start = now.astimezone(UTC).replace(microsecond=0)

    def template(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key)
            .serial_number(int.from_bytes(random(_SERIAL_BYTES), "big") or 1)
            .not_valid_before(start - _SLACK)
            .not_valid_after(start + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    authority = (
        template(issuer, above.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(above, SHA256())
    )
    server = (
        template(_named(owner), below.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity), critical=False
        )
        .sign(above, SHA256())
    )
    key = below.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ServerPair(
        authority.public_bytes(Encoding.PEM), server.public_bytes(Encoding.PEM), key, start + life
    )


def general_name(name: str) -> x509.GeneralName:
    """Return a host name or an address as certificates have it."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    other = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    none = dict.fromkeys((*other, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **none)
