"""Private keys as DER: what a key file holds once its encryption is off.

What it is: the inner forms that OpenSSL and the Go clients write, as key objects.
What it is not: encryption (`pbes`), PEM text (`pem`) or files (`keystore`).

Rules:

1. Go writes EC keys as PKCS#8 version 1 without the public key that version 1
   calls for. The version and all optional parts are ignored when reading.
2. Go's Ed25519 keys have an algorithm and a layout of their own; the standard
   form is unreadable there and is refused here.
3. A passphrase is right when what it decrypts is one PrivateKeyInfo.
4. A key that Notary could not verify is refused when it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from notarypy.errors import Advice, PassphraseWrongError, UnsupportedKeyError
from notarypy.keys.formats import pbes
from notarypy.tuf.keys import public_key_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_GO_ED25519 = "1.3.6.1.4.1.11591.15.1"
_GO_ED25519_LENGTH = 96
_USE_KEY_KIND = Advice("use-key-kind")


@asn1.sequence
class _PrivateKeyInfo:
    version: int
    algorithm: asn1.TLV
    key: bytes
    attributes: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    public: Annotated[asn1.BitString | None, asn1.Implicit(1)]


@asn1.sequence
class _PlainInfo:
    """What is left of a PrivateKeyInfo for the library to load (rule 1)."""

    version: int
    algorithm: asn1.TLV
    key: bytes


@asn1.sequence
class _BareAlgorithm:
    oid: ObjectIdentifier


@asn1.sequence
class _GoEd25519Info:
    version: int
    algorithm: _BareAlgorithm
    key: bytes


def load(der: bytes) -> PrivateKey:
    """Read an unencrypted PKCS#8 key.

    Raises:
        UnsupportedKeyError: It is not one, or of a kind Notary cannot use.
    """
    try:
        info = asn1.decode_der(_PrivateKeyInfo, der)
    except ValueError:
        raise UnsupportedKeyError("this private key is damaged", why="it is not PKCS#8") from None
    return _key_of(info)


def load_encrypted(der: bytes, passphrase: bytes) -> PrivateKey:
    """Decrypt and read an encrypted PKCS#8 key.

    Raises:
        PassphraseWrongError: The passphrase does not open it (rule 3).
        UnsupportedKeyError: It is damaged, of a kind Notary cannot use, or its encryption is unknown.
    """
    decrypted = pbes.decrypt(der, passphrase)
    try:
        info = asn1.decode_der(_PrivateKeyInfo, decrypted)
    except ValueError:
        raise PassphraseWrongError("the passphrase does not open this key") from None
    return _key_of(info)


def load_standard(der: bytes) -> PrivateKey:
    """Read an unencrypted SEC1, PKCS#1 or ordinary PKCS#8 key.

    Raises:
        UnsupportedKeyError: It is damaged or of a kind Notary cannot use.
    """
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        key = load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnsupportedKeyError(
            "this private key cannot be read",
            why="it is damaged, or of a kind other than ECDSA and RSA",
            advice=_USE_KEY_KIND,
        ) from None
    return usable(key)


def load_go_ed25519(raw: bytes) -> PrivateKey:
    """Read Go's 96 bytes of an Ed25519 key: public key, seed, public key (rule 2).

    Raises:
        UnsupportedKeyError: They are not that.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public, seed, again = raw[:32], raw[32:64], raw[64:]
    if len(raw) == _GO_ED25519_LENGTH and public == again:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        if key.public_key().public_bytes_raw() == public:
            return key
    raise UnsupportedKeyError("this Ed25519 private key is damaged", why="its halves do not fit together")


def dump(key: PrivateKey) -> bytes:
    """Return a key as the PKCS#8 that the Go clients read (rule 2)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if not isinstance(key, Ed25519PrivateKey):
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes_raw()
    algorithm = _BareAlgorithm(oid=ObjectIdentifier(_GO_ED25519))
    octets = public + key.private_bytes_raw() + public
    return asn1.encode_der(_GoEd25519Info(version=0, algorithm=algorithm, key=octets))


def usable(key: object) -> PrivateKey:
    """Return a key that was read in a standard form; raise UnsupportedKeyError if Notary cannot use it."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        _refuse("this file holds an Ed25519 key", "Notary v1 accepts ECDSA and RSA keys")
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        _refuse("Notary v1 cannot use this kind of key", f"it is a {type(key).__name__}")
    public_key_of(key)
    return key


def _refuse(message: str, why: str) -> NoReturn:
    raise UnsupportedKeyError(message, why=why, advice=_USE_KEY_KIND)


def _key_of(info: _PrivateKeyInfo) -> PrivateKey:
    if _is_go_ed25519(info):
        return load_go_ed25519(info.key)
    return load_standard(asn1.encode_der(_PlainInfo(version=0, algorithm=info.algorithm, key=info.key)))


def _is_go_ed25519(info: _PrivateKeyInfo) -> bool:
    algorithm: _BareAlgorithm
    try:
        algorithm = info.algorithm.parse(_BareAlgorithm)
    except ValueError:  # it has parameters, as those of EC and RSA keys do
        return False
    return algorithm.oid.dotted_string == _GO_ED25519
