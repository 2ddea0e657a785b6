"""Password-based encryption of private keys: DER in, DER out.

What it is: reading every encryption OpenSSL writes, and writing the one form the Go clients read. What it is
not: what a decrypted key means (`pkcs8`).

Rules:

1. Written keys use PBES2 with AES-256-CBC and PBKDF2 without a named hash, which means HMAC-SHA1. The Go
   clients assume just that whatever the file says, so a better hash would make a key that only we can read.
2. The work a file may ask for is bounded before any of it is done.
3. Good padding proves nothing: one wrong passphrase in 256 leaves it. The caller looks at the structure of
   what comes out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES, AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509 import ObjectIdentifier

from notarypy.errors import Advice, PassphraseWrongError, UnsupportedKeyError
from notarypy.limits import DEFAULT

_T = TypeVar("_T")

_PBES2 = "1.2.840.113549.1.5.13"
# MD5 with DES, SHA-1 with three-key triple DES, SHA-1 with RC2-40.
_PBES1 = {"1.2.840.113549.1.5.3", "1.2.840.113549.1.12.1.3", "1.2.840.113549.1.12.1.6"}
_PBKDF2 = "1.2.840.113549.1.5.12"
_SCRYPT = "1.3.6.1.4.1.11591.4.11"
_AES256_CBC = "2.16.840.1.101.3.4.1.42"
_TRIPLE_DES_CBC = "1.2.840.113549.3.7"
_KEY_SIZES = {
    "2.16.840.1.101.3.4.1.2": 16,
    "2.16.840.1.101.3.4.1.22": 24,
    _AES256_CBC: 32,
    _TRIPLE_DES_CBC: 24,
}
# The HMACs' identifiers end in 6 to 13.
_HASH_NAMES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512_224", "sha512_256")
_HASHES = {f"1.2.840.113549.2.{number}": name for number, name in enumerate(_HASH_NAMES, start=6)}
# What the headers of older PEM files call the ciphers, all in CBC mode.
_TRADITIONAL = {
    "AES-128-CBC": "2.16.840.1.101.3.4.1.2",
    "AES-192-CBC": "2.16.840.1.101.3.4.1.22",
    "AES-256-CBC": _AES256_CBC,
    "DES-EDE3-CBC": _TRIPLE_DES_CBC,
}
_TRADITIONAL_SALT = 8
_SEQUENCE = b"\x30"
_WRONG = "the passphrase does not open this key"
_DAMAGED = "this encrypted private key is damaged"


@asn1.sequence
class _Algorithm:
    oid: ObjectIdentifier
    parameters: asn1.TLV


@asn1.sequence
class _Encrypted:
    algorithm: _Algorithm
    data: bytes


@asn1.sequence
class _Pbes2:
    kdf: _Algorithm
    cipher: _Algorithm


@asn1.sequence
class _HashAlgorithm:
    oid: ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Pbkdf2:
    salt: bytes
    iterations: int
    length: int | None
    prf: _HashAlgorithm | None


@asn1.sequence
class _Scrypt:
    salt: bytes
    n: int
    r: int
    p: int
    length: int | None


@asn1.sequence
class _SaltAndRounds:
    salt: bytes
    iterations: int


@dataclass(frozen=True)
class _Scheme:
    """How one file is encrypted: a hash name for PBKDF2, or scrypt's parameters."""

    kdf: _Pbkdf2 | _Scrypt
    cipher: str
    iv: bytes


def decrypt(der: bytes, passphrase: bytes) -> bytes:
    """Decrypt an EncryptedPrivateKeyInfo; what comes out may still be noise (rule 3).

    Raises:
        PassphraseWrongError: The passphrase is certainly wrong.
        UnsupportedKeyError: The file is damaged or its encryption is unknown.
    """
    try:
        outer = asn1.decode_der(_Encrypted, der)
        if outer.algorithm.oid.dotted_string != _PBES2:
            return _decrypt_pbes1(der, outer.algorithm, passphrase)
        scheme = _scheme(_parsed(outer.algorithm.parameters, _Pbes2))
        padded = _decipher(scheme.cipher, scheme.iv, _derive(scheme, passphrase), outer.data)
    except (ValueError, MemoryError, OverflowError):
        raise UnsupportedKeyError(_DAMAGED) from None
    return _unpad(padded)


def require_portable(der: bytes) -> None:
    """Raise UnsupportedKeyError unless the Go clients read this encryption too (rule 1)."""
    try:
        algorithm = asn1.decode_der(_Encrypted, der).algorithm
        if algorithm.oid.dotted_string == _PBES2:
            scheme = _scheme(_parsed(algorithm.parameters, _Pbes2))
            if scheme.cipher == _AES256_CBC and _hash_of(scheme.kdf) == "sha1":
                return
    except (ValueError, OverflowError):
        raise UnsupportedKeyError(_DAMAGED) from None
    raise UnsupportedKeyError("docker and Go notary cannot read this encryption", advice=Advice("store-anew"))


def encrypt(der: bytes, passphrase: bytes, *, salt: bytes, iv: bytes, iterations: int) -> bytes:
    """Encrypt a PKCS#8 key as the Go clients read it (rule 1); `salt` and `iv` are fresh random bytes."""
    secret = hashlib.pbkdf2_hmac("sha1", passphrase, salt, iterations, 32)
    padder = PKCS7(AES256.block_size).padder()
    padded = padder.update(der) + padder.finalize()
    encryptor = Cipher(AES256(secret), CBC(iv)).encryptor()
    data = encryptor.update(padded) + encryptor.finalize()
    pbes2 = _Pbes2(
        kdf=_algorithm(_PBKDF2, _SaltAndRounds(salt=salt, iterations=iterations)),
        cipher=_algorithm(_AES256_CBC, iv),
    )
    return asn1.encode_der(_Encrypted(algorithm=_algorithm(_PBES2, pbes2), data=data))


def _algorithm(oid: str, parameters: object) -> _Algorithm:
    tlv = asn1.decode_der(asn1.TLV, asn1.encode_der(parameters))
    return _Algorithm(oid=ObjectIdentifier(oid), parameters=tlv)


def decrypt_traditional(cipher: str, iv_hex: str, data: bytes, passphrase: bytes) -> bytes:
    """Decrypt what the PEM header `DEK-Info: cipher,iv` stands before: SEC1 or PKCS#1 as DER.

    Raises:
        PassphraseWrongError: The passphrase does not open it.
        UnsupportedKeyError: The file is damaged or its encryption is unknown.
    """
    identifier = require_traditional(cipher)
    try:
        iv = bytes.fromhex(iv_hex)
        secret = _derive_traditional(passphrase, iv[:_TRADITIONAL_SALT], _KEY_SIZES[identifier])
        padded = _decipher(identifier, iv, secret, data)
    except ValueError:
        raise UnsupportedKeyError(_DAMAGED) from None
    der = _unpad(padded)
    try:
        tag = asn1.decode_der(asn1.TLV, der).tag_bytes
    except ValueError:
        tag = b""
    if tag != _SEQUENCE:
        raise PassphraseWrongError(_WRONG)
    return der


def require_traditional(cipher: str) -> str:
    """Return what a PEM header's cipher stands for; raise UnsupportedKeyError for an unknown one."""
    if cipher.upper() not in _TRADITIONAL:
        _refuse_encryption(f"cipher {cipher} is unknown")
    return _TRADITIONAL[cipher.upper()]


def _parsed(value: asn1.TLV, cls: type[_T]) -> _T:
    parsed: _T = value.parse(cls)
    return parsed


def _unpad(padded: bytes) -> bytes:
    size = padded[-1]
    if padded[-size:] != bytes([size]) * size:
        raise PassphraseWrongError(_WRONG)
    return padded[:-size]


def _scheme(parameters: _Pbes2) -> _Scheme:
    """Read the PBES2 parameters and bound the work they ask for (rule 2)."""
    kdf: _Pbkdf2 | _Scrypt
    name = parameters.kdf.oid.dotted_string
    if name == _PBKDF2:
        kdf = _parsed(parameters.kdf.parameters, _Pbkdf2)
        _check_iterations(kdf.iterations)
    elif name == _SCRYPT:
        kdf = _parsed(parameters.kdf.parameters, _Scrypt)
        if min(kdf.n, kdf.r, kdf.p) < 1 or kdf.p > DEFAULT.scrypt_parallel:
            _refuse_encryption("its scrypt parameters are out of range")
        if kdf.n * kdf.r * 128 > DEFAULT.scrypt_memory_bytes:
            _refuse_encryption("its scrypt parameters ask for too much memory")
    else:
        _refuse_encryption(f"key derivation {name} is unknown")
    cipher = parameters.cipher.oid.dotted_string
    if cipher not in _KEY_SIZES:
        _refuse_encryption(f"cipher {cipher} is unknown")
    return _Scheme(kdf, cipher, _parsed(parameters.cipher.parameters, bytes))


def _check_iterations(iterations: int) -> None:
    most = DEFAULT.kdf_rounds
    if not 0 < iterations <= most:
        _refuse_encryption(f"it asks for {iterations} rounds, and the limit is {most}")


def _refuse_encryption(why: str) -> NoReturn:
    raise UnsupportedKeyError("this key's encryption cannot be read", why=why, advice=Advice("encrypt-anew"))


def _derive(scheme: _Scheme, passphrase: bytes) -> bytes:
    kdf, size = scheme.kdf, _KEY_SIZES[scheme.cipher]
    if isinstance(kdf, _Scrypt):
        memory = DEFAULT.scrypt_memory_bytes * 2
        return hashlib.scrypt(passphrase, salt=kdf.salt, n=kdf.n, r=kdf.r, p=kdf.p, maxmem=memory, dklen=size)
    name = _hash_of(kdf)
    if name is None:
        _refuse_encryption("its key derivation uses an unknown hash")
    return hashlib.pbkdf2_hmac(name, passphrase, kdf.salt, kdf.iterations, size)


def _hash_of(kdf: _Pbkdf2 | _Scrypt) -> str | None:
    if isinstance(kdf, _Scrypt):
        return None
    return "sha1" if kdf.prf is None else _HASHES.get(kdf.prf.oid.dotted_string)


def _derive_traditional(passphrase: bytes, salt: bytes, size: int) -> bytes:
    """Chain MD5 as OpenSSL's PEM encryption does."""
    secret = block = b""
    while len(secret) < size:
        block = hashlib.md5(block + passphrase + salt, usedforsecurity=False).digest()
        secret += block
    return secret[:size]


def _decipher(cipher: str, iv: bytes, secret: bytes, data: bytes) -> bytes:
    algorithm = TripleDES(secret) if cipher == _TRIPLE_DES_CBC else AES(secret)
    if not data or len(data) % (algorithm.block_size // 8):
        raise ValueError("not whole blocks")
    decryptor = Cipher(algorithm, CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _decrypt_pbes1(der: bytes, algorithm: _Algorithm, passphrase: bytes) -> bytes:
    """Decrypt what is older than PBES2, which old OpenSSL releases wrote by default."""
    if algorithm.oid.dotted_string not in _PBES1:
        _refuse_encryption(f"algorithm {algorithm.oid.dotted_string} is unknown")
    _check_iterations(_parsed(algorithm.parameters, _SaltAndRounds).iterations)
    try:
        key = load_der_private_key(der, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the last: noise that names an unknown kind of key
        raise PassphraseWrongError(_WRONG) from None
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
