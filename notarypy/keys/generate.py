"""Making keys and the certificate a root key stands in.

What it is: the same kinds of keys and certificates the Go clients make. What it is not: storage (`keystore`)
or checking certificates (`tuf.certificates`).

Rules:

1. A root key stands in root metadata inside a self-signed certificate whose common name is the GUN. One root
   key may serve many repositories, each with a certificate, and thus a TUF id, of its own.
2. Time and randomness are handed in, except where the library makes a key.
"""

from __future__ import annotations

import os
import warnings
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notarypy.errors import Advice, UnsupportedKeyError
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.roles import check_gun

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.keys.formats.pkcs8 import PrivateKey

_VALIDITY = timedelta(days=3650)
_RSA_BITS = 3072
_RSA_EXPONENT = 65537
_SERIAL_BYTES = 16
_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_encipherment=True,
    content_commitment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def generate(algorithm: str = "ecdsa") -> PrivateKey:
    """Make a key: `ecdsa` on P-256, or `rsa` of 3072 bits; raise UnsupportedKeyError for another type."""
    if algorithm == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "rsa":
        return rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    raise UnsupportedKeyError(
        f"cannot make keys of type {algorithm}", why="a key is ecdsa or rsa", advice=Advice("leave-key-type")
    )


def root_certificate(
    key: PrivateKey, gun: str, now: datetime, random: Callable[[int], bytes] = os.urandom
) -> PublicKey:
    """Return the root key as `ecdsa-x509` or `rsa-x509`: in a self-signed certificate for the GUN (rule 1).

    Raises:
        InvalidNameError: The GUN cannot be a repository's name.
        UnsupportedKeyError: The key is neither ECDSA nor RSA.
    """
    if isinstance(key, Ed25519PrivateKey):
        raise UnsupportedKeyError("an Ed25519 key cannot be a root key", why="it has to be ECDSA or RSA")
    name, start = _common_name(check_gun(gun)), now.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(int.from_bytes(random(_SERIAL_BYTES), "big") or 1)
        .not_valid_before(start)
        .not_valid_after(start + _VALIDITY)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    certificate = builder.public_key(key.public_key()).sign(key, SHA256())
    return PublicKey(f"{public_key_of(key).keytype}-x509", certificate.public_bytes(Encoding.PEM))


def _common_name(gun: str) -> x509.Name:
    with warnings.catch_warnings():
        # X.509 limits a common name to 64 bytes; Notary does not, and GUNs are often longer.
        warnings.simplefilter("ignore", UserWarning)
        attribute = x509.NameAttribute(NameOID.COMMON_NAME, gun, _validate=False)
    return x509.Name([attribute])
