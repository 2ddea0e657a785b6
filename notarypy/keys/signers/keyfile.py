"""Keys that are files: making one, opening one with its passphrases in turn, and signing with it.

What it is: the same kinds of keys and certificates as the Go clients make, and the way from a key file to a
signer and back. What it is not: which files there are (`keystore`), what they look like (`formats`), where
passphrases come from (`passphrases`), or checking certificates (`tuf.certificates`).

Rules:

1. A key is opened with the first passphrase that fits; errors name the sources that were tried.
2. A signer never shows its private key, not even to a debugger's `repr`.
3. A root key stands in root metadata inside a self-signed certificate whose common name is the GUN. One root
   key may serve many repositories, each with a certificate, and thus a TUF id, of its own.
4. The time and randomness of a certificate are handed in.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from notarypy import files
from notarypy.errors import (
    Advice,
    KeyAccessError,
    KeyMissingError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem, sealed
from notarypy.keys.passphrases import own_variable
from notarypy.limits import DEFAULT
from notarypy.tuf.envelope import METHOD_FOR, ecdsa_raw
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.roles import check_gun

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.passphrases import PassphraseChain, PassphraseRequest

_LOG = logging.getLogger(__name__)
_PSS_SALT = 32
_VALIDITY = timedelta(days=3650)
_RSA_BITS, _RSA_EXPONENT = 3072, 65537
_SERIAL_BYTES = 16


class LocalSigner:
    """A signer whose private key is in this process.

    Attributes:
        private: The key, for certificates and new passphrases (rule 2).
    """

    def __init__(self, key: PrivateKey) -> None:
        """Take a key; raise UnsupportedKeyError for one that Notary cannot verify."""
        self.public = public_key_of(key)
        self.private = key

    def __repr__(self) -> str:
        """Show the public half only (rule 2)."""
        return f"LocalSigner({self.public.keytype}, {self.public.keyid})"

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature as metadata carries it, before base64."""
        key = self.private
        if isinstance(key, ec.EllipticCurvePrivateKey):
            raw = ecdsa_raw(key.sign(message, ec.ECDSA(SHA256())), key.curve.key_size)
        elif isinstance(key, rsa.RSAPrivateKey):
            raw = key.sign(message, padding.PSS(padding.MGF1(SHA256()), _PSS_SALT), SHA256())
        else:
            raw = key.sign(message)
        return METHOD_FOR[self.public.keytype], raw


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
    """Return the root key as `ecdsa-x509` or `rsa-x509`: in a self-signed certificate for the GUN (rule 3).

    Raises:
        InvalidNameError: The GUN cannot be a repository's name.
        UnsupportedKeyError: The key is neither ECDSA nor RSA.
    """
    from cryptography import x509  # who signs with a key does without
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    if isinstance(key, Ed25519PrivateKey):
        raise UnsupportedKeyError("an Ed25519 key cannot be a root key", why="it has to be ECDSA or RSA")
    with warnings.catch_warnings():
        # X.509 limits a common name to 64 bytes; Notary does not, and GUNs are often longer.
        warnings.simplefilter("ignore", UserWarning)
        common_name = x509.NameAttribute(NameOID.COMMON_NAME, check_gun(gun), _validate=False)
    name, start = x509.Name([common_name]), now.astimezone(UTC).replace(microsecond=0)
    usage = x509.KeyUsage(
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
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(int.from_bytes(random(_SERIAL_BYTES), "big") or 1)
        .not_valid_before(start)
        .not_valid_after(start + _VALIDITY)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    certificate = builder.public_key(key.public_key()).sign(key, SHA256())
    return PublicKey(f"{public_key_of(key).keytype}-x509", certificate.public_bytes(Encoding.PEM))


def open_signer(uri: str, request: PassphraseRequest, passphrases: PassphraseChain) -> LocalSigner:
    """Return the signer of the key in the file that a `file:` URI names; raise KeyAccessError (rule 1)."""
    # On Windows a drive follows three slashes, and a server two.
    name = uri.removeprefix("file:///" if os.name == "nt" else "file://").removeprefix("file:")
    path = Path(os.fsdecode(unquote_to_bytes(name)))
    try:
        data = files.read_regular(path, DEFAULT.key_file_bytes)
    except FileNotFoundError:
        message = f"the key {request.keyid[:7]} has just been removed"
        raise KeyMissingError(message, keyid=request.keyid) from None
    return LocalSigner(open_block(pem.split(data)[0], request, passphrases, str(path)))


def open_block(
    block: pem.KeyBlock, request: PassphraseRequest, passphrases: PassphraseChain, where: str
) -> PrivateKey:
    """Open a key with the first passphrase that fits; `where` names its file in errors, if known (rule 1).

    Raises:
        PassphraseNeededError: It is encrypted and no source had a passphrase.
        PassphraseWrongError: No passphrase opens it.
        UnsupportedKeyError: It cannot be used, whatever the passphrase.
    """
    tried: list[str] = []
    try:
        if not block.encrypted:
            _LOG.debug("%s is not encrypted", request.label)
            return sealed.opened(block, None)
        for source, passphrase in passphrases.candidates(request):
            try:
                key = sealed.opened(block, passphrase)
            except PassphraseWrongError:
                tried.append(source)
            else:
                _LOG.debug("%s unlocked with the passphrase from %s", request.label, source)
                return key
            _LOG.debug("%s is not opened by the passphrase from %s", request.label, source)
    except UnsupportedKeyError as error:
        raise (pem.at_file(error, where) if where else error) from None
    raise _closed(request, passphrases, list(dict.fromkeys(tried)), where)


def seal(key: PrivateKey, role: str, gun: str | None, passphrase: str) -> bytes:
    """Return the text of a key's file, encrypted as the Go clients read it."""
    from notarypy.keys.formats import pkcs8  # who only opens keys does without

    salt, iv = os.urandom(pkcs8.SALT_BYTES), os.urandom(pkcs8.IV_BYTES)
    return pkcs8.encrypt(key, passphrase, role, gun, salt=salt, iv=iv, iterations=pkcs8.ROUNDS)


def keyid_within(block: pem.KeyBlock, passphrase: str) -> str:
    """Return the id of the key in a block; raise PassphraseWrongError."""
    return public_key_of(sealed.opened(block, passphrase)).keyid


def opens(block: pem.KeyBlock, passphrase: str) -> bool:
    """Tell whether a passphrase opens a block."""
    try:
        sealed.opened(block, passphrase)
    except PassphraseWrongError:
        return False
    return True


def _closed(
    request: PassphraseRequest, passphrases: PassphraseChain, tried: list[str], where: str
) -> KeyAccessError:
    facts = {"keyid": request.keyid, "role": request.role, "gun": request.gun}
    facts |= {"file": where} if where else {}
    place = [f"the file is {where}"] if where else []
    if not tried:
        return PassphraseNeededError(
            f"{request.label} is encrypted, and there is no passphrase for it",
            why=(passphrases.absence(request), *place),
            advice=passphrases.advice(request),
            tried=passphrases.tried(request),
            **facts,
        )
    return PassphraseWrongError(
        f"cannot unlock {request.label}",
        why="; ".join([f"tried {', '.join(tried)}", *place]),
        advice=_right_one(request) if request.keyid else passphrases.advice(request),
        tried=tried,
        **facts,
    )


def _right_one(request: PassphraseRequest) -> Advice:
    """Say which passphrase opens a key, and where to give it."""
    variable = own_variable(request)
    return {
        "root": Advice("set-root-passphrase", variable=variable),
        "targets": Advice("set-targets-passphrase", variable=variable),
        "snapshot": Advice("set-snapshot-passphrase", variable=variable),
    }.get(request.role, Advice("set-delegation-passphrase", variable=variable))
