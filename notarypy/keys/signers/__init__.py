"""Who signs: one module for each kind of place that a private key is in, and a table of them.

What it is not: the choice of a key (`client.keys`), or checking signatures (`tuf.envelope`). A new backend
is one module with a function `open_signer`, as in `keyfile`, and one row of `SIGNERS`; it is imported when
the first key of its scheme is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from notarypy.errors import UnsupportedKeyError

if TYPE_CHECKING:
    from notarypy.keys.passphrases import PassphraseChain, PassphraseRequest
    from notarypy.tuf.keys import PublicKey


class Signer(Protocol):
    """Whoever can sign with one key."""

    @property
    def public(self) -> PublicKey:
        """The bare public key; in which certificate it stands is the metadata's business."""

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature as metadata carries it, before base64.

        ECDSA is with SHA-256 on every curve, as r and s; RSA-PSS with SHA-256 and a salt of 32 bytes;
        Ed25519 over the message itself.
        """


SIGNERS: dict[str, str] = {"file": "notarypy.keys.signers.keyfile"}
"""The backend of each URI scheme."""


def open_signer(uri: str, request: PassphraseRequest, passphrases: PassphraseChain) -> Signer:
    """Return the signer of the key that a URI names; raise UnsupportedKeyError for a scheme without a row."""
    scheme = uri.partition(":")[0]
    if scheme not in SIGNERS:
        why = f"keys may be at: {', '.join(SIGNERS)}"
        raise UnsupportedKeyError(f"nothing here signs with keys at {scheme}:", why=why)
    signer: Signer = import_module(SIGNERS[scheme]).open_signer(uri, request, passphrases)
    return signer
