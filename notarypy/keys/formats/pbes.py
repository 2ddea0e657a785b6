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
from contextlib import suppress
from typing import NoReturn

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

_PBES2 = "1.2.840.113549.1.5.13"
# MD5 with DES, SHA-1 with three-key triple DES, SHA-1 with RC2-40.
_PBES1 = {"1.2.840.113549.1.5.3", "1.2.840.113549.1.12.1.3", "1.2.840.113549.1.12.1.6"}
_PBKDF2 = "1.2.840.113549.1.5.12"
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


_KDFS: dict[str, type[_Pbkdf2 | _Scrypt]] = {_PBKDF2: _Pbkdf2, "1.3.6.1.4.1.11591.4.11": _Scrypt}


def decrypt(der: bytes, passphrase: bytes) -> bytes:
    """Decrypt an EncryptedPrivateKeyInfo; what comes out may still be noise (rule 3).

    Raises PassphraseWrongError if the passphrase is certainly wrong, else UnsupportedKeyError.
    """
    try:
        outer = asn1.decode_der(_Encrypted, der)
        if outer.algorithm.oid.dotted_string != _PBES2:
            return _decrypt_pbes1(der, outer.algorithm, passphrase)
        kdf, cipher, iv = _scheme(outer.algorithm.parameters.parse(_Pbes2))
        return _decipher(cipher, iv, _derive(kdf, _KEY_SIZES[cipher], passphrase), outer.data)
    except (ValueError, MemoryError, OverflowError):
        raise UnsupportedKeyError(_DAMAGED) from None


def require_portable(der: bytes) -> None:
    """Raise UnsupportedKeyError unless the Go clients read this encryption too (rule 1)."""
    try:
        algorithm = asn1.decode_der(_Encrypted, der).algorithm
        if algorithm.oid.dotted_string == _PBES2:
            kdf, cipher, _ = _scheme(algorithm.parameters.parse(_Pbes2))
            if cipher == _AES256_CBC and _hash_of(kdf) == "sha1":
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

    Raises PassphraseWrongError if the passphrase does not open it, else UnsupportedKeyError.
    """
    identifier = require_traditional(cipher)
    try:
        iv, size, secret, block = bytes.fromhex(iv_hex), _KEY_SIZES[identifier], b"", b""
        while len(secret) < size:  # a chain of MD5, as in OpenSSL's PEM encryption
            salted = block + passphrase + iv[:_TRADITIONAL_SALT]
            block = hashlib.md5(salted, usedforsecurity=False).digest()
            secret += block
        der = _decipher(identifier, iv, secret[:size], data)
    except ValueError:
        raise UnsupportedKeyError(_DAMAGED) from None
    with suppress(ValueError):
        if asn1.decode_der(asn1.TLV, der).tag_bytes == _SEQUENCE:
            return der
    raise PassphraseWrongError(_WRONG)


def require_traditional(cipher: str) -> str:
    """Return what a PEM header's cipher stands for; raise UnsupportedKeyError for an unknown one."""
    if cipher.upper() not in _TRADITIONAL:
        _refuse_encryption(f"cipher {cipher} is unknown")
    return _TRADITIONAL[cipher.upper()]


def _scheme(parameters: _Pbes2) -> tuple[_Pbkdf2 | _Scrypt, str, bytes]:
    """Return key derivation, cipher and its start of PBES2, and bound the work they ask for (rule 2)."""
    name = parameters.kdf.oid.dotted_string
    if name not in _KDFS:
        _refuse_encryption(f"key derivation {name} is unknown")
    kdf: _Pbkdf2 | _Scrypt = parameters.kdf.parameters.parse(_KDFS[name])
    if isinstance(kdf, _Pbkdf2):
        _check_iterations(kdf.iterations)
    elif min(kdf.n, kdf.r, kdf.p) < 1 or kdf.p > DEFAULT.scrypt_parallel:
        _refuse_encryption("its scrypt parameters are out of range")
    elif kdf.n * kdf.r * 128 > DEFAULT.scrypt_memory_bytes:
        _refuse_encryption("its scrypt parameters ask for too much memory")
    cipher = parameters.cipher.oid.dotted_string
    if cipher not in _KEY_SIZES:
        _refuse_encryption(f"cipher {cipher} is unknown")
    return kdf, cipher, parameters.cipher.parameters.parse(bytes)


def _check_iterations(iterations: int) -> None:
    most = DEFAULT.kdf_rounds
    if not 0 < iterations <= most:
        _refuse_encryption(f"it asks for {iterations} rounds, and the limit is {most}")


def _refuse_encryption(why: str) -> NoReturn:
    raise UnsupportedKeyError("this key's encryption cannot be read", why=why, advice=Advice("encrypt-anew"))


def _derive(kdf: _Pbkdf2 | _Scrypt, size: int, passphrase: bytes) -> bytes:
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


def _decipher(cipher: str, iv: bytes, secret: bytes, data: bytes) -> bytes:
    algorithm = TripleDES(secret) if cipher == _TRIPLE_DES_CBC else AES(secret)
    if not data or len(data) % (algorithm.block_size // 8):
        raise ValueError("not whole blocks")
    decryptor = Cipher(algorithm, CBC(iv)).decryptor()
    padded = decryptor.update(data) + decryptor.finalize()
    size = padded[-1]
    if padded[-size:] != bytes([size]) * size:
        raise PassphraseWrongError(_WRONG)
    return padded[:-size]


def _decrypt_pbes1(der: bytes, algorithm: _Algorithm, passphrase: bytes) -> bytes:
    """Decrypt what is older than PBES2, which old OpenSSL releases wrote by default."""
    if algorithm.oid.dotted_string not in _PBES1:
        _refuse_encryption(f"algorithm {algorithm.oid.dotted_string} is unknown")
    _check_iterations(algorithm.parameters.parse(_SaltAndRounds).iterations)
    try:
        key = load_der_private_key(der, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the last: noise that names an unknown kind of key
        raise PassphraseWrongError(_WRONG) from None
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
