"""Keys that sign as cosign verifies, over the same signers that sign metadata.

What it is: from a signer to signatures of images. What it is not: what these are over, and which key it is
(`client.keys.selectors`).

Rules:

1. A signature is what `VerificationKey` verifies, and it is verified before anybody gets it. ECDSA is with
   SHA-256 on every curve: that is what cosign and the readers of containers' policies take of a key in PEM.
2. RSA is another form than that of metadata, which is never signed so. A signer that has it has the method
   `sign_pkcs1v15`, from a message to a signature as PKCS #1 v1.5 with SHA-256; one that has not is refused
   before anything is signed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.cosign import signaturekeys
from notarypy.errors import Advice, UnsupportedKeyError
from notarypy.keys.signers.base import CheckedSigner, changed, own_errors

if TYPE_CHECKING:
    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.keys.signers.base import Signer

_LOG = logging.getLogger(__name__)


class CosignSigner:
    """One key that signs images as cosign does; safe to use from several threads.

    Attributes:
        key: The public half, which verifies what it signs.
        place: Where the key is, for errors.
    """

    key: VerificationKey

    def __init__(self, signer: Signer, place: str) -> None:
        """Take a signer; raise UnsupportedKeyError for one that cannot sign so (rule 2)."""
        self.key, self.place, self._signer = signaturekeys.of(signer.public), place, signer
        self._behind = signer.signer if isinstance(signer, CheckedSigner) else signer
        if self.key.keytype == "rsa" and not callable(getattr(self._behind, "sign_pkcs1v15", None)):
            raise UnsupportedKeyError(
                f"{place} cannot sign as cosign verifies",
                why="cosign's RSA is PKCS #1 v1.5, and whoever signs with this key has no sign_pkcs1v15",
                advice=Advice("use-cosign-key"),
                uri=place,
            )

    def __repr__(self) -> str:
        """Show the public half only."""
        return f"CosignSigner({self.key.keytype}, {self.key.public.keyid}, {self.place})"

    def sign(self, message: bytes) -> bytes:
        """Return a signature over a message; raise KeyChangedError for one that is not the key's (rule 1)."""
        signature = self._signature(message)
        if not isinstance(signature, bytes) or not self.key.verify(signature, message):
            raise changed(self.key.public, self.place, "its signature is not valid as cosign verifies it")
        _LOG.debug("key %s, %s, signed as cosign does", self.key.public.keyid, self.place)
        return signature

    def _signature(self, message: bytes) -> object:
        if self.key.keytype == "rsa":
            with own_errors(type(self._behind), self.place):
                return self._behind.sign_pkcs1v15(message)  # type: ignore[attr-defined]  # rule 2
        _, raw = self._signer.sign(message)
        return signaturekeys.der_of(raw) if self.key.keytype == "ecdsa" else raw
