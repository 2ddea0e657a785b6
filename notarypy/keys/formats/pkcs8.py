"""Private keys as key files hold them: from a block and its passphrase to a key object, and back.

What it is: the forms that OpenSSL and the Go clients write. What it is not: encryption (`pbes`), PEM text
(`pem`) or files (`keystore`).

Rules:

1. Go writes EC keys as PKCS#8 version 1 without the public key that version 1 calls for. The version and all
   optional parts are ignored when reading.
2. Go's Ed25519 keys have an algorithm and a layout of their own; the standard form is unreadable there and is
   refused here, unless it is for another use than Notary.
3. A passphrase is right when what it decrypts is one PrivateKeyInfo.
4. A key that Notary could not verify is refused when it is read.
"""

from __future__ import annotations

from typing import Annotated

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509 import ObjectIdentifier

from notarypy.errors import (
    Advice,
    NotarypyError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pbes, pem
from notarypy.tuf.keyobjects import USE_KEY_KIND, kind, require_known, unusable
from notarypy.tuf.keys import public_key_of

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey

# One guess at a passphrase costs an attacker as many rounds as one use costs the owner. Measured on
# one core: 2048 rounds, Go's own count, take under 1 ms; 100 000 take 45 ms here and 60 ms in Go's
# clients; 600 000 take 260 and 310 ms. Those clients decrypt each key in every signing command, and a
# whole signing command takes some 150 ms here: 100 000 makes guessing 49 times dearer than Go's files
# do, and the owner hardly feels it. Every file names its own count, so this one can be raised.
ROUNDS = 100_000
SALT_BYTES = 8
IV_BYTES = 16

_GO_ED25519 = "1.3.6.1.4.1.11591.15.1"
_GO_ED25519_LENGTH = 96


@asn1.sequence
class _PrivateKeyInfo:
    version: int
    algorithm: asn1.TLV
    key: bytes
    attributes: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    public: Annotated[asn1.BitString | None, asn1.Implicit(1)]


@asn1.sequence
class _PlainInfo:
    """What is left of a PrivateKeyInfo for the library to load, and what Go's Ed25519 keys are (rule 1)."""

    version: int
    algorithm: asn1.TLV
    key: bytes


@asn1.sequence
class _BareAlgorithm:
    oid: ObjectIdentifier


def decrypt(block: pem.KeyBlock, passphrase: str | None, *, ed25519: bool = False) -> PrivateKey:
    """Open a key; a passphrase that it does not need is ignored. `ed25519`: see `load`.

    Raises PassphraseNeededError, PassphraseWrongError (rule 3) or, where the key or its encryption is damaged
    or cannot be used, UnsupportedKeyError (rule 4).
    """
    if not block.encrypted:
        if block.label == "ED25519 PRIVATE KEY":
            return _load_go_ed25519(block.der)
        if block.label != "PRIVATE KEY":
            return _load_standard(block.der)
        damaged = UnsupportedKeyError("this private key is damaged", why="it is not PKCS#8")
        return load(block.der, damaged, ed25519=ed25519)
    if not passphrase:
        raise PassphraseNeededError("this key is encrypted")
    secret = secret_of(passphrase)
    if block.label == pem.SEALED:
        wrong = PassphraseWrongError("the passphrase does not open this key")
        return load(pbes.decrypt(block.der, secret), wrong, ed25519=ed25519)
    # SEC1 or PKCS#1 encrypted by PEM headers: the form of old key stores and old OpenSSL.
    cipher, _, iv = block.headers["DEK-Info"].partition(",")
    return _load_standard(pbes.decrypt_traditional(cipher, iv, block.der, secret))


def encrypt(
    key: PrivateKey, passphrase: str, role: str, gun: str | None, *, salt: bytes, iv: bytes, iterations: int
) -> bytes:
    """Return a key as the file the Go clients read and write; raise InvalidNameError for its role or GUN.

    `salt` and `iv` are `SALT_BYTES` and `IV_BYTES` fresh random bytes; `iterations` is `ROUNDS` unless there
    is a reason. The GUN is written only for the roles whose keys belong to one.
    """
    if not passphrase:
        raise ValueError("a key is never written without a passphrase")
    headers = {"role": role}
    if gun is not None and role in pem.GUN_ROLES:
        headers["gun"] = gun
    sealed = pbes.encrypt(_dump(key), secret_of(passphrase), salt=salt, iv=iv, iterations=iterations)
    return pem.text(pem.SEALED, headers, sealed)


def require_portable(block: pem.KeyBlock) -> None:
    """Raise UnsupportedKeyError unless a block is encrypted as the Go clients read it."""
    if not block.encrypted:
        raise UnsupportedKeyError("this private key is not encrypted", advice=Advice("store-key"))
    der = block.der  # whatever its encryption, it has to be base64
    if block.label == pem.SEALED:
        pbes.require_portable(der)
    else:
        pbes.require_traditional(block.headers["DEK-Info"].partition(",")[0])


def secret_of(passphrase: str) -> bytes:
    """Return a passphrase's bytes; those of the environment that are not UTF-8 as they came."""
    try:
        return passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PassphraseWrongError("this passphrase is not text") from None


def load(der: bytes, problem: NotarypyError, *, ed25519: bool = False) -> PrivateKey:
    """Read a PKCS#8 key that is decrypted; raise `problem` for what is none, or UnsupportedKeyError.

    With `ed25519` it is for another use than Notary, and may be such a key in its standard form (rule 2).
    """
    try:
        info = asn1.decode_der(_PrivateKeyInfo, der)
    except ValueError:
        raise problem from None
    try:
        algorithm = info.algorithm.parse(_BareAlgorithm)
    except ValueError:  # it has parameters, as those of EC and RSA keys do
        algorithm = None
    if algorithm is not None and algorithm.oid.dotted_string == _GO_ED25519:
        return _load_go_ed25519(info.key)
    return _load_standard(
        asn1.encode_der(_PlainInfo(version=0, algorithm=info.algorithm, key=info.key)), ed25519=ed25519
    )


def _load_standard(der: bytes, *, ed25519: bool = False) -> PrivateKey:
    """Read an unencrypted SEC1, PKCS#1 or ordinary PKCS#8 key (rules 2 and 4)."""
    try:
        require_known(der)
        key = load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnsupportedKeyError(
            "this private key cannot be read",
            why="it is damaged, or of a kind other than ECDSA and RSA",
            advice=USE_KEY_KIND,
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        public_key_of(key)
        return key
    if isinstance(key, Ed25519PrivateKey):
        if ed25519:
            return key
        message, why = "this file holds an Ed25519 key", "Notary v1 accepts ECDSA and RSA keys"
        raise UnsupportedKeyError(message, why=why, advice=USE_KEY_KIND)
    raise unusable(kind(key.public_key()))


def _load_go_ed25519(raw: bytes) -> PrivateKey:
    """Read Go's 96 bytes of an Ed25519 key: public key, seed, public key (rule 2)."""
    public, seed, again = raw[:32], raw[32:64], raw[64:]
    if len(raw) == _GO_ED25519_LENGTH and public == again:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        if key.public_key().public_bytes_raw() == public:
            return key
    raise UnsupportedKeyError("this Ed25519 private key is damaged", why="its halves do not fit together")


def _dump(key: PrivateKey) -> bytes:
    """Return a key as the PKCS#8 that the Go clients read (rule 2)."""
    if not isinstance(key, Ed25519PrivateKey):
        return standard(key)
    public = key.public_key().public_bytes_raw()
    bare = asn1.encode_der(_BareAlgorithm(oid=ObjectIdentifier(_GO_ED25519)))
    octets, algorithm = public + key.private_bytes_raw() + public, asn1.decode_der(asn1.TLV, bare)
    return asn1.encode_der(_PlainInfo(version=0, algorithm=algorithm, key=octets))


def standard(key: PrivateKey) -> bytes:
    """Return a key, unencrypted, as PKCS#8 has its kind."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
