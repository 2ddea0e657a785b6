"""Chains of certificates for notation, good ones and such as differ from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.oid import NameOID

from support.rsakeys import kept_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

KEYS: dict[str, PrivateKey] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA-2048": kept_key(2048),
    "RSA-3072": kept_key(3072),
    "another": ec.generate_private_key(ec.SECP256R1()),
    "middle": kept_key(2048),
    "root": ec.generate_private_key(ec.SECP384R1()),
}
_USAGE = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """What a certificate says, as notation wants it of a leaf; `by` is the key that signs it.

    `public` is PEM, a key that is elsewhere; `issuer` another name than that of who signs.
    """

    name: str = "P-256"
    by: str = "P-256"
    ca: bool | None = False
    depth: int | None = None
    basic_critical: bool = True
    usage: Sequence[str] | None = ("digital_signature",)
    usage_critical: bool = True
    uses: Sequence[x509.ObjectIdentifier] | None = (Use.CODE_SIGNING,)
    start: datetime = START
    end: datetime = START + timedelta(days=90)
    sha384: bool = False
    issuer: str = ""
    public: bytes = b""

    @cache  # noqa: B019 - each of these few is signed once: no two signatures are the same
    def made(self) -> x509.Certificate:
        """Return the certificate."""
        public: Any = load_pem_public_key(self.public) if self.public else KEYS[self.name].public_key()
        issuer = _name(self.issuer or self.by)
        made = x509.CertificateBuilder(issuer, _name(self.name), public, 7, self.start, self.end)
        if self.ca is not None:
            made = made.add_extension(x509.BasicConstraints(self.ca, self.depth), self.basic_critical)
        if self.usage is not None:
            bits = x509.KeyUsage(**{bit: bit in self.usage for bit in _USAGE})
            made = made.add_extension(bits, self.usage_critical)
        if self.uses is not None:
            made = made.add_extension(x509.ExtendedKeyUsage(self.uses), critical=False)
        return made.sign(KEYS[self.by], SHA384() if self.sha384 else SHA256())


def authority(name: str, by: str, **differences: Any) -> Certificate:  # noqa: ANN401 - as the fields are
    """Return an authority's certificate."""
    return replace(Certificate(name, by, ca=True, usage=("key_cert_sign",), uses=None), **differences)


def pem(*chain: Certificate) -> bytes:
    """Return a chain as PEM."""
    return b"".join(one.made().public_bytes(Encoding.PEM) for one in chain)


def private(name: str) -> bytes:
    """Return a private key as PEM."""
    return KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


LEAF = Certificate()
ISSUED, MIDDLE, ROOT = Certificate(by="middle"), authority("middle", "root"), authority("root", "root")

GOOD: dict[str, tuple[Certificate, ...]] = {
    "P-256": (LEAF,),
    "RSA-2048": (Certificate("RSA-2048", "RSA-2048"),),
    "whole chain": (ISSUED, MIDDLE, ROOT),
    "limited depth": (ISSUED, replace(MIDDLE, depth=0), replace(ROOT, depth=1)),
    "content commitment": (replace(LEAF, usage=("digital_signature", "content_commitment")),),
    "no basic constraints": (replace(LEAF, ca=None),),
    "SHA-384": (replace(LEAF, sha384=True),),
}
# What notation refuses, by what is said of it here.
BAD: dict[str, tuple[tuple[Certificate, ...], str]] = {
    "authority": ((authority("P-256", "P-256"),), "this is an authority"),
    "no key usage": ((replace(LEAF, usage=None),), "critical, and digitalSignature"),
    "key usage not critical": ((replace(LEAF, usage_critical=False),), "critical, and digitalSignature"),
    "no digital signature": ((replace(LEAF, usage=("content_commitment",)),), "and digitalSignature"),
    **{
        name: ((replace(LEAF, usage=("digital_signature", name)),), f"is {name} too")
        for name in _USAGE[2:7]
    },
    **{
        str(number): ((replace(LEAF, uses=(Use.CODE_SIGNING, use)),), "that are not allowed")
        for number, use in enumerate(
            (Use.SERVER_AUTH, Use.CLIENT_AUTH, Use.EMAIL_PROTECTION, Use.TIME_STAMPING, Use.OCSP_SIGNING)
        )
    },
    "not signed by itself": ((Certificate(by="another", issuer="P-256"),), "1 of 1 is not issued by itself"),
    "root missing": ((ISSUED, MIDDLE), "2 of 2 is not issued by itself"),
    "middle missing": ((ISSUED, ROOT), "1 of 2 is not issued by the next one"),
    "wrong order": ((MIDDLE, ISSUED, ROOT), "this is an authority"),
    "root twice": ((ISSUED, MIDDLE, ROOT, ROOT), "3 of 4 is issued by itself, and is not the last"),
    "foreign one": ((LEAF, ROOT), "1 of 2 is issued by itself, and is not the last"),
    "issuer is none": ((Certificate(by="middle"), replace(MIDDLE, ca=False), ROOT), "is no authority"),
    "issuer may not": ((ISSUED, replace(MIDDLE, usage=("crl_sign",)), ROOT), "have keyCertSign"),
    "issuer's usage": ((ISSUED, replace(MIDDLE, usage=None), ROOT), "have keyCertSign"),
    "usage not critical": ((ISSUED, replace(MIDDLE, usage_critical=False), ROOT), "have keyCertSign"),
    "too deep": ((ISSUED, MIDDLE, replace(ROOT, depth=0)), "no chain of this length"),
}  # fmt: skip
# What notation's library takes all the same, and its specification or this program does not.
STRICTER: dict[str, tuple[tuple[Certificate, ...], str]] = {
    "no code signing": ((replace(LEAF, uses=None),), "has to have codeSigning"),
    "other use": ((replace(LEAF, uses=(Use.KERBEROS_PKINIT_KDC,)),), "has to have codeSigning"),
    "any use": ((replace(LEAF, uses=(Use.CODE_SIGNING, Use.ANY_EXTENDED_KEY_USAGE)),), "not allowed"),
    "basic not critical": ((ISSUED, replace(MIDDLE, basic_critical=False), ROOT), "say so critically"),
}
# What newer releases of the library refuse.
NEWER: dict[str, tuple[tuple[Certificate, ...], str]] = {
    "another issuer": ((replace(LEAF, issuer="another"),), "1 of 1 is not issued by itself"),
}
