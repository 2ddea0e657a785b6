"""Public keys that cosign's signatures are verified with.

What it is: a bare key and the form of signature that cosign knows of it. What it is not: a private key, or
the signatures of metadata (`tuf.envelope`), which have other forms.

Rules:

1. A signature is over SHA-256 of the message: ECDSA as DER and never r and s, RSA as PKCS #1 v1.5 and never
   PSS; Ed25519 over the message itself.
2. Which keys are sane is decided as for metadata (`tuf.keyobjects`, rule 1), and a certificate is none: who
   a key belongs to is said by whoever names its file.
3. In a bundle the hint of a key is the SHA-256 of its SubjectPublicKeyInfo, in base64.
4. A file has one key or more, one after the other: any of them counts for the file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from notarypy.errors import Advice, UnsupportedKeyError
from notarypy.tuf import filetypes
from notarypy.tuf.keys import SHORT_KEYID, PublicKey
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class VerificationKey:
    """One public key; `public` is bare."""

    public: PublicKey

    @property
    def keytype(self) -> str:
        """`ecdsa`, `rsa` or `ed25519`."""
        return self.public.keytype

    @property
    def short(self) -> str:
        """How messages name it."""
        return f"key {self.public.canonical_id[:SHORT_KEYID]}"

    @cached_property
    def pem(self) -> bytes:
        """The key as a PEM block `PUBLIC KEY`, as cosign writes `cosign.pub`."""
        return self.public.to_pem()

    @cached_property
    def hint(self) -> str:
        """What a bundle calls the key (rule 3)."""
        der = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    @cached_property
    def _key(self) -> Any:  # noqa: ANN401 - any of the three kinds
        if self.keytype == "ed25519":
            return load_pem_public_key(self.pem)
        return load_der_public_key(self.public.public)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether a signature is this key's over a message (rule 1)."""
        try:
            if self.keytype == "ecdsa":
                self._key.verify(signature, message, ec.ECDSA(SHA256()))
            elif self.keytype == "rsa":
                self._key.verify(signature, message, PKCS1v15(), SHA256())
            else:
                self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def load(data: bytes) -> VerificationKey:
    """Read a PEM block `PUBLIC KEY`; raise UnsupportedKeyError for anything else (rule 2)."""
    if _CERTIFICATE in data:
        raise UnsupportedKeyError(
            "a certificate is no key that cosign's signatures are verified with",
            why="a key alone verifies them: authorities and identities of certificates count for nothing",
            advice=Advice("give-cosign-key"),
        )
    if b"PUBLIC KEY-----" not in data:
        found = filetypes.recognised(data)
        secret = ["whoever has it can sign: hand it to nobody"] if b"PRIVATE KEY-----" in data else []
        message = "this is no public key that cosign's signatures are verified with"
        raise UnsupportedKeyError(message, why=(found.words, *secret), advice=found.public)
    try:
        return VerificationKey(PublicKey.from_pem(data))
    except UnsupportedKeyError as error:
        message = "cosign's signatures are not verified with this key"
        raise UnsupportedKeyError(message, why=error.why or error.message, advice=error.advice) from None


def keys_in(pem: bytes) -> tuple[VerificationKey, ...]:
    """Read the blocks of a file, each a public key; raise UnsupportedKeyError for anything else (rule 4)."""
    blocks = [match[0] for match in _BLOCK.finditer(pem)] or [pem]
    if len(blocks) < pem.count(b"-----BEGIN "):  # a key that is left out could be the one that is meant
        raise UnsupportedKeyError("a key in this file has no end", advice=Advice("give-cosign-key"))
    return tuple(dict.fromkeys(map(load, blocks)))


def of(public: PublicKey) -> VerificationKey:
    """Return the key of metadata as one of signatures; a certificate counts by its key."""
    return VerificationKey(public.bare)


def signer_of(keys: Iterable[VerificationKey], signature: bytes, message: bytes) -> VerificationKey | None:
    """Return the first key that a signature over a message is by, None if it is none of theirs."""
    return next((key for key in keys if key.verify(signature, message)), None)


def der_of(raw: bytes) -> bytes:
    """Turn r and s of the same length, one after the other, into DER (rule 1)."""
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
