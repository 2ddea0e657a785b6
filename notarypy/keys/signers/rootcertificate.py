"""The certificate that a root key stands in: made with the key wherever it is, or given for it.

What it is: one self-signed certificate, or one of whoever holds the key or of an authority, if it is for this
repository, and for this key if one is meant. What it is not: what readers check (`tuf.certificates`).

Rules:

1. A root key stands in root metadata inside a self-signed certificate whose common name is the GUN. One root
   key may serve many repositories, each with a certificate, and thus a TUF id, of its own.
2. The time and randomness of a certificate are handed in.
3. A key that is elsewhere signs its certificate as it signs metadata: RSA keys with PSS, for some services
   allow nothing else. Go and docker read either.
4. Of the file of a certificate that was given, the certificates alone are published.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notarypy.errors import Advice, NotarypyError, UnsupportedKeyError, UsageError
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.tuf import certificateparts, certificates, envelope
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.keys import certificates as certificates_of
from notarypy.tuf.roles import check_gun

if TYPE_CHECKING:
    from notarypy.keys.signers.base import Signer

    Buffer = bytes | bytearray | memoryview

_VALIDITY = timedelta(days=3650)
_SERIAL_BYTES = 16
_UNUSABLE = "the root certificate cannot be used"
_PSS = padding.PSS(padding.MGF1(SHA256()), 32)


def root_certificate(
    signer: Signer, gun: str, now: datetime, random: Callable[[int], bytes] = os.urandom
) -> PublicKey:
    """Return the root key as `ecdsa-x509` or `rsa-x509`: in a self-signed certificate for the GUN (rule 1).

    Raises:
        InvalidNameError: The GUN cannot be a repository's name.
        UnsupportedKeyError: The key is neither ECDSA nor RSA.
    """
    with warnings.catch_warnings():
        # X.509 limits a common name to 64 bytes; Notary does not, and GUNs are often longer.
        warnings.simplefilter("ignore", UserWarning)
        common_name = x509.NameAttribute(NameOID.COMMON_NAME, check_gun(gun), _validate=False)
    name, start = x509.Name([common_name]), now.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(int.from_bytes(random(_SERIAL_BYTES), "big") or 1)
        .not_valid_before(start)
        .not_valid_after(start + _VALIDITY)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    key, pss = _certifying(signer)
    signed = builder.public_key(key.public_key()).sign(key, SHA256(), rsa_padding=pss)
    return PublicKey(f"{signer.public.keytype}-x509", signed.public_bytes(Encoding.PEM))


_USAGE = x509.KeyUsage(
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


def _certifying(signer: Signer) -> tuple[Any, padding.PSS | None]:
    """Return what stands for the private key, and the padding of an RSA key that is elsewhere (rule 3)."""
    if isinstance(signer, LocalSigner) and not isinstance(signer.private, Ed25519PrivateKey):
        return signer.private, None
    if signer.public.keytype == "ecdsa":
        return _EcKey(signer), None
    if signer.public.keytype == "rsa":
        return _RsaKey(signer), _PSS
    why = "it has to be ECDSA or RSA"
    raise UnsupportedKeyError(f"a key of type {signer.public.keytype} cannot be a root key", why=why)


class _Kept:
    """The private half of a key that is elsewhere: it signs, and does nothing else."""

    def __init__(self, signer: Signer) -> None:
        self._signer, self._public = signer, load_der_public_key(signer.public.public)

    def public_key(self) -> Any:  # noqa: ANN401 - as the class it is mixed into says
        return self._public

    @property
    def key_size(self) -> int:
        return int(self.public_key().key_size)

    def _refused(self, *_: object, **__: object) -> NoReturn:
        keyid = self._signer.public.keyid
        raise UnsupportedKeyError(f"the private half of key {keyid[:7]} stays where it is", keyid=keyid)

    decrypt = exchange = private_bytes = private_numbers = __copy__ = __deepcopy__ = _refused


class _EcKey(_Kept, ec.EllipticCurvePrivateKey):
    @property
    def curve(self) -> ec.EllipticCurve:
        curve: ec.EllipticCurve = self._public.curve  # type: ignore[union-attr]  # its type says that it is EC
        return curve

    def sign(self, data: Buffer, signature_algorithm: object) -> bytes:  # noqa: ARG002 - it is SHA-256 always
        raw = self._signer.sign(bytes(data))[1]
        r, s = raw[: len(raw) // 2], raw[len(raw) // 2 :]
        return utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


class _RsaKey(_Kept, rsa.RSAPrivateKey):
    def sign(self, data: Buffer, padding: object, algorithm: object) -> bytes:  # noqa: ARG002 - rule 3 says which
        return self._signer.sign(bytes(data))[1]


def certified(key: PublicKey, certificate: bytes, gun: str, now: datetime) -> PublicKey:
    """Return a root key in the certificate that was given for it; raise UsageError for another one."""
    wrapped = PublicKey(f"{key.keytype}-x509", _certificates_only(certificate))
    if wrapped.canonical_id != key.keyid:
        raise UsageError("the root certificate is for another key", why=f"the key is {key.keyid}")
    return _required(wrapped, gun, now)


def certificate_key(certificate: bytes, gun: str, now: datetime) -> PublicKey:
    """Return the root key that a certificate is for; raise UsageError for one that cannot be a root key."""
    data = _certificates_only(certificate)
    try:
        leaf = PublicKey("ecdsa-x509", data)
        kind = public_key_of(certificates_of(leaf)[0]).keytype
    except (NotarypyError, UnsupportedAlgorithm, ValueError):
        raise UsageError(_UNUSABLE, advice=Advice("make-root-certificate")) from None
    return _required(PublicKey(f"{kind}-x509", data), gun, now)


def _required(wrapped: PublicKey, gun: str, now: datetime) -> PublicKey:
    reason = certificates.problem(wrapped, gun, now) or envelope.key_problem(wrapped)
    if reason:
        raise UsageError(_UNUSABLE, why=reason, advice=Advice("give-root-certificate", gun=gun))
    return wrapped


def _certificates_only(pem_data: bytes) -> bytes:
    """Return the certificates of a PEM file written anew (rule 4)."""
    if b"PRIVATE KEY" in pem_data:
        advice = Advice("give-certificate-alone")
        raise UsageError("the root certificate's file holds a private key", advice=advice)
    try:
        found = certificateparts.load_pem(pem_data)
    except (ValueError, TypeError, x509.InvalidVersion):
        raise UsageError("the root certificate cannot be read", advice=Advice("give-certificate")) from None
    foreign = [problem for problem in map(certificateparts.foreign_problem, found) if problem]
    if foreign:
        why, advice = f"docker and Go notary cannot read it: {foreign[0]}", Advice("leave-out-certificate")
        raise UsageError(_UNUSABLE, why=why, advice=advice)
    if not found:
        raise UsageError("this is no root certificate", advice=Advice("make-root-certificate"))
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found)
