"""Certificates that authorities issued, the same in every run.

What it is: chains for tests of pins by authority. What it is not: root certificates as
the clients make them (`author.root_key`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from notarypy.tuf import der
from notarypy.tuf.envelope import ecdsa_raw
from support.author import GUN, NOW, private_key
from support.otherkeys import tlv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

YEARS = timedelta(days=3650)
LEAF = "leaf"


@dataclass(frozen=True)
class Made:
    """How one certificate differs from a sound one.

    Attributes:
        name: Of its key; its common name too, but that of the leaf is the GUN.
        by: The name of the key that signs it; it is the issuer's common name too.
        ca: Whether it says it is an authority; None to say nothing.
        depth: Path length, or None.
        cert_sign: Whether it may sign certificates; None for no key usage at all.
        uses: Extended key usages, or None.
        odd: Whether it has a critical extension that nobody knows.
        start: Its first moment.
        end: Its last moment.
        sha1: Whether its signature is made with SHA-1.
        key: Another key than the one its name stands for.
    """

    name: str
    by: str
    ca: bool | None = True
    depth: int | None = None
    cert_sign: bool | None = True
    uses: Sequence[x509.ObjectIdentifier] | None = None
    odd: bool = False
    start: datetime = NOW
    end: datetime = NOW + YEARS
    sha1: bool = False
    key: ec.EllipticCurvePrivateKey | None = None

    def certificate(self) -> x509.Certificate:
        """Return the certificate."""
        public = (self.key or private_key(self.name)).public_key()
        builder = x509.CertificateBuilder(_name(self.by), _name(self.name), public, 1, self.start, self.end)
        for value, critical in self._extensions():
            builder = builder.add_extension(value, critical=critical)
        made = builder.sign(private_key(self.by), SHA256(), ecdsa_deterministic=True)
        return _with_sha1(made, private_key(self.by)) if self.sha1 else made

    def _extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        found: list[tuple[x509.ExtensionType, bool]] = []
        if self.ca is not None:
            found.append((x509.BasicConstraints(self.ca, self.depth), True))
        if self.cert_sign is not None:
            signing = bool(self.ca) and self.cert_sign
            bits = [not signing, False, False, False, False, signing, False, False, False]
            found.append((x509.KeyUsage(*bits), True))
        if self.uses is not None:
            found.append((x509.ExtendedKeyUsage(self.uses), False))
        if self.odd:
            found.append((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True))
        return found


def _with_sha1(made: x509.Certificate, issuer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return a certificate signed anew with SHA-1, which the builder refuses to do."""
    sha256, sha1 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")
    old = made.tbs_certificate_bytes
    content = old[4 if old[1] == 0x82 else 3 if old[1] == 0x81 else 2 :]
    tbs = tlv(0x30, content.replace(sha256, sha1, 1))
    signature = issuer.sign(tbs, ec.ECDSA(SHA1(), deterministic_signing=True))
    return x509.load_der_x509_certificate(tlv(0x30, tbs, sha1, tlv(3, b"\0", signature)))


def leaf(by: str = "ca", **differences: Any) -> Made:  # noqa: ANN401 - as the fields of Made are
    """Return a root key's certificate that `by` issued."""
    return Made(LEAF, by, **{"ca": False, **differences})


def authority(name: str = "ca", by: str = "", **differences: Any) -> Made:  # noqa: ANN401 - as the fields of Made are
    """Return an authority's certificate, self-signed unless `by` issued it."""
    return Made(name, by or name, **differences)


def pem(*made: Made) -> bytes:
    """Return certificates as one PEM text."""
    return b"".join(each.certificate().public_bytes(Encoding.PEM) for each in made)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, GUN if name == LEAF else name)])


def as_on_yubikey(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a self-signed certificate, PEM, as releases of Go notary made it with a key on a YubiKey.

    Its signature is not valid, and nobody looks at it: r and s without DER, of a hash that was hashed.
    """
    body = certificate.tbs_certificate_bytes
    _, algorithm, _ = der.elements(certificate.public_bytes(Encoding.DER))
    signed = key.sign(sha256(body).digest(), ec.ECDSA(SHA256()))
    raw = ecdsa_raw(signed, key.key_size)
    made = tlv(0x30, body + algorithm + tlv(0x03, b"\0" + raw))
    return x509.load_der_x509_certificate(made).public_bytes(Encoding.PEM)
