"""Private key files of cosign: a PKCS#8 key in a box that a passphrase opens.

What it is: from a block and its passphrase to a key object, and back. What it is not: what is in the box
(`pkcs8`), PEM text (`pem`) or files.

Rules:

1. A block holds JSON: scrypt with a salt, a box of NaCl with a nonce, and what is in the box. It is read with
   the three numbers of rounds that cosign's library takes and writes, and no others: nobody's file says how
   much memory is taken. Sizes are looked at before anything is derived, and it is decoded as strictly as
   metadata.
2. It is written with the label and the number of rounds that every release of cosign reads.
3. A passphrase may be empty: cosign takes one, and asks for none where COSIGN_PASSWORD is set to nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

from notarypy.errors import (
    Advice,
    BackendMissingError,
    MetadataError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem, pkcs8
from notarypy.limits import DEFAULT
from notarypy.tuf import canonical
from notarypy.tuf.fields import is_integer
from notarypy.tuf.keys import decode_base64

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey

T = TypeVar("T")
SALT_BYTES, NONCE_BYTES = 32, 24
_ROUNDS = (32768, 65536, 131072)
_SIZE, _PARALLEL, _KEY_BYTES = 8, 1, 32
_KDF, _CIPHER = "scrypt", "nacl/secretbox"


def decrypt(block: pem.KeyBlock, passphrase: str, *, ed25519: bool = False) -> PrivateKey:
    """Open a key; `ed25519` as in `pkcs8.load`.

    Raises PassphraseWrongError, BackendMissingError, or UnsupportedKeyError for a file that is damaged or
    of a key that cannot be used (rule 1).
    """
    salt, rounds, nonce, box = _parts(block)
    secret_box, wrong_box = _library()
    try:
        plain = secret_box(_derived(passphrase, salt, rounds)).decrypt(box, nonce)
    except wrong_box:
        raise PassphraseWrongError("the passphrase does not open this key") from None
    return pkcs8.load(plain, _damaged("what is in it is not PKCS#8"), ed25519=ed25519)


def encrypt(key: PrivateKey, passphrase: str, *, salt: bytes, nonce: bytes) -> bytes:
    """Return a key as cosign reads it (rule 2); salt and nonce are fresh random bytes."""
    secret_box, _ = _library()
    rounds = _ROUNDS[0]
    box = secret_box(_derived(passphrase, salt, rounds)).encrypt(pkcs8.standard(key), nonce).ciphertext
    document = {
        "kdf": {
            "name": _KDF,
            "params": {"N": rounds, "r": _SIZE, "p": _PARALLEL},
            "salt": base64.b64encode(salt).decode(),
        },
        "cipher": {"name": _CIPHER, "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(box).decode(),
    }
    return pem.text(pem.COSIGN_LABELS[0], {}, json.dumps(document, separators=(",", ":")).encode())


def _parts(block: pem.KeyBlock) -> tuple[bytes, int, bytes, bytes]:
    """Return salt, rounds, nonce and box of a block (rule 1)."""
    data = block.der
    if len(data) > DEFAULT.key_file_bytes:
        raise _damaged(f"it has more than {DEFAULT.key_file_bytes} bytes")
    try:
        document = canonical.decode(data, "what is in it")
    except MetadataError as error:
        raise _damaged("; ".join([error.message, *error.why])) from None
    kdf, cipher = _member(document, "kdf", dict), _member(document, "cipher", dict)
    for part, known in ((kdf, _KDF), (cipher, _CIPHER)):
        if part.get("name") != known:
            raise _unknown(f"it is not of {known}")
    wanted = _member(kdf, "params", dict)
    rounds = [n for n in _ROUNDS if wanted == {"N": n, "r": _SIZE, "p": _PARALLEL}]
    if not rounds or not all(map(is_integer, wanted.values())):
        raise _unknown("its scrypt parameters are none that cosign takes")
    salt, nonce, box = _bytes(kdf, "salt"), _bytes(cipher, "nonce"), _bytes(document, "ciphertext")
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES:
        raise _damaged("its salt or its nonce has another length")
    return salt, rounds[0], nonce, box


def _member(document: object, name: str, kind: type[T]) -> T:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind):
        raise _damaged(f"it has no {name}")
    return value


def _bytes(document: object, name: str) -> bytes:
    try:
        return decode_base64(_member(document, name, str), name)
    except MetadataError as error:
        raise _damaged(error.message) from None


def _derived(passphrase: str, salt: bytes, rounds: int) -> bytes:
    memory = 2 * 128 * _SIZE * rounds
    secret = pkcs8.secret_of(passphrase)
    return hashlib.scrypt(secret, salt=salt, n=rounds, r=_SIZE, p=_PARALLEL, maxmem=memory, dklen=_KEY_BYTES)


def _library() -> tuple[Any, type[Exception]]:
    """Return what opens boxes, and what it raises for one that stays shut."""
    try:
        from nacl.exceptions import CryptoError  # an extra, for these files alone
        from nacl.secret import SecretBox
    except ImportError:
        raise BackendMissingError(
            "the library PyNaCl is not installed, which opens key files of cosign",
            advice=Advice("install-extra", extra="cosign"),
            library="PyNaCl",
        ) from None
    return SecretBox, CryptoError


def _damaged(why: str) -> UnsupportedKeyError:
    return UnsupportedKeyError("this key file of cosign is damaged", why=why)


def _unknown(why: str) -> UnsupportedKeyError:
    return UnsupportedKeyError("this key file of cosign cannot be read", why=why)
