"""Opening the usual key file, known by its very bytes: an EC key on P-256 as Notary's programs encrypt it.

What it is: the short way to what nearly every key file is, and the door to `pkcs8` for all others. What it is
not: a reader of keys: whatever differs is left to `pkcs8`, whose libraries take a fifth of a small signing
command's time to load.

Rules:

1. Something is usual if it is, byte for byte, what writing its parts anew gives, as in `tuf.usual`.
2. The usual encryption is PBES2: PBKDF2 with a salt and a number of rounds and nothing else, which means
   HMAC-SHA1, and AES-256-CBC. More rounds than the limit are left to `pbes`, which refuses them.
3. The usual key is PKCS#8 with its public half, as OpenSSL (version 0) or Go (version 1, the curve named
   twice) writes it; its halves fit together.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from notarypy.errors import PassphraseWrongError
from notarypy.keys.formats import pem
from notarypy.limits import DEFAULT
from notarypy.tuf import der, usual

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from notarypy.keys.formats.pkcs8 import PrivateKey

WRONG = "the passphrase does not open this key"
_PBES2, _PBKDF2 = bytes.fromhex("06092a864886f70d01050d"), bytes.fromhex("06092a864886f70d01050c")
_AES256_CBC = bytes.fromhex("060960864801650304012a")
_KEY_BYTES, _BLOCK_BYTES = 32, 16
# What stands before the private number, between it and the public point, by the length of the whole.
_EC_P256 = "301306072a8648ce3d020106082a8648ce3d030107"
_FORMS = {
    138: (f"308187020100{_EC_P256}046d306b0201010420", "a144034200"),
    150: (f"308193020101{_EC_P256}047930770201010420", "a00a06082a8648ce3d030107a144034200"),
}
_NUMBER_BYTES, _POINT_BYTES = 32, 65


def opened(block: pem.KeyBlock, passphrase: str | None, *, ed25519: bool = False) -> PrivateKey:
    """Do as `pkcs8.decrypt` does, or `cosignkey.decrypt`, and raise what they raise."""
    if block.of_cosign and passphrase is not None:
        from notarypy.keys.formats import cosignkey  # few keys are such files

        return cosignkey.decrypt(block, passphrase, ed25519=ed25519)
    plain = _decrypted(block, passphrase) if block.label == pem.SEALED and passphrase else None
    key = None if plain is None else _usual_key(plain)
    if key is not None:
        return key
    from notarypy.keys.formats import pkcs8  # its libraries take long to load

    if plain is None:
        return pkcs8.decrypt(block, passphrase, ed25519=ed25519)
    return pkcs8.load(plain, PassphraseWrongError(WRONG), ed25519=ed25519)


def _decrypted(block: pem.KeyBlock, passphrase: str) -> bytes | None:
    """Return what the usual encryption hides, noise maybe; None for another one (rule 2)."""
    found = _usual_encryption(block.der)
    if found is None:
        return None
    salt, rounds, iv, data = found
    try:
        secret = passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    from cryptography.hazmat.primitives.ciphers import Cipher  # nobody else needs them who only lists keys
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    key = hashlib.pbkdf2_hmac("sha1", secret, salt, rounds, _KEY_BYTES)
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    padded = decryptor.update(data) + decryptor.finalize()
    size = padded[-1]
    if padded[-size:] != bytes((size,)) * size:
        raise PassphraseWrongError(WRONG)
    return padded[:-size]


def _usual_encryption(written: bytes) -> tuple[bytes, int, bytes, bytes] | None:
    """Return salt, rounds, start of the cipher and ciphertext of a usual file; None for another one."""
    try:
        algorithm, data = der.elements(written)
        _, parameters = der.elements(algorithm)
        derivation, cipher = der.elements(parameters)
        salt, rounds = map(der.content, der.elements(der.elements(derivation)[1]))
        iv = der.content(der.elements(cipher)[1])
        hidden = der.content(data)
    except (ValueError, IndexError):
        return None
    asked = _sequence(der.element(der.OCTETS, salt), der.element(der.INTEGER, rounds))
    scheme = _sequence(_sequence(_PBKDF2, asked), _sequence(_AES256_CBC, der.element(der.OCTETS, iv)))
    again = _sequence(_sequence(_PBES2, scheme), der.element(der.OCTETS, hidden))
    number = int.from_bytes(rounds, "big", signed=True)
    shortest = number.to_bytes(number.bit_length() // 8 + 1, "big") if number > 0 else b""
    whole = len(iv) == _BLOCK_BYTES and hidden and len(hidden) % _BLOCK_BYTES == 0
    if again != written or rounds != shortest or not whole or number > DEFAULT.kdf_rounds:
        return None
    return salt, number, iv, hidden


def _sequence(*parts: bytes) -> bytes:
    return der.element(der.SEQUENCE, b"".join(parts))


def _usual_key(plain: bytes) -> EllipticCurvePrivateKey | None:
    """Return a usual key; None for anything else (rule 3)."""
    before, between = map(bytes.fromhex, _FORMS.get(len(plain), ("", "")))
    number = plain[len(before) : len(before) + _NUMBER_BYTES]
    point = plain[-_POINT_BYTES:]
    if not before or plain != before + number + between + point:
        return None
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = ec.derive_private_key(int.from_bytes(number, "big"), ec.SECP256R1())
    except ValueError:
        return None
    return key if usual.written(key)[-_POINT_BYTES:] == point else None
