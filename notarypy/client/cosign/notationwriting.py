"""Signatures as notation makes them, written into a registry beside what others have signed there.

What it is: one manifest or index at a time, under one chain of certificates. What it is not: a decision what
may be signed (`client.migrate`), or reading (`reading`).

Rules:

1. What is there and as good as ours is left alone; nothing is signed that is not to be written. At the end
   the envelope is read again, and has to verify; what was lost of it is put again, and not signed twice.
2. A chain that is not valid at this moment signs nothing.
3. A signature is checked before anything is written: a wrong one is an error of the key, not of the registry.
4. No name and nothing of where the trust comes from is signed: the payload is the descriptor alone, as
   notation makes it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy import __version__
from notarypy.client.cosign.reading import is_signed_for_notation
from notarypy.client.cosign.writing import ReferrerWriter, SignatureStates
from notarypy.cosign import notationenvelope, signaturekeys
from notarypy.errors import Advice, UsageError, VerificationError
from notarypy.keys.signers.base import changed
from notarypy.remote.registry.referrers import TRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from notarypy.client.cosign.writing import PayloadSigner
    from notarypy.cosign.signingchain import SigningChain
    from notarypy.cosign.simplesigning import Claim
    from notarypy.images.layout import Descriptor
    from notarypy.keys.signers.base import Signer
    from notarypy.remote.registry.registry import RegistryClient

_AGENT = f"notarypy/{__version__}"
_LOG = logging.getLogger(__name__)


class NotationSigner:
    """The key of a chain, which signs for notation as it signs metadata."""

    def __init__(self, chain: SigningChain, signer: Signer, place: str) -> None:
        """Take a signer; raise UsageError for one with another key than the chain's."""
        self.key, self.place, self._signer = signaturekeys.of(signer.public), place, signer
        if self.key.public != chain.public:
            raise UsageError(
                f"the certificate is not for the key {place}",
                why=(f"the key is {self.key.public.keyid}", f"the certificate's is {chain.public.keyid}"),
                advice=Advice("give-signing-certificate"),
            )

    def sign(self, message: bytes) -> bytes:
        """Return r and s, or an RSA-PSS signature, as metadata has them; `NotationWriter` checks it."""
        signature = self._signer.sign(message)[1]
        _LOG.debug("key %s, %s, signed as notation does", self.key.public.keyid, self.place)
        return signature


class NotationWriter(ReferrerWriter):
    """Writes envelopes under one chain."""

    def __init__(
        self,
        registry: RegistryClient,
        path: str,
        signer: PayloadSigner,
        chain: SigningChain,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(registry, path, signer)
        self._chain, self._clock = chain, clock

    def write(
        self,
        subject: Descriptor,
        claims: Sequence[Claim],  # noqa: ARG002 - rule 4
        *,
        dry_run: bool = False,
    ) -> SignatureStates:
        """Sign a manifest where that is missing, and read it back; raises as `SignatureWriter.write`."""
        if self._is_signed(subject):
            return SignatureStates({}, None, "there")
        self._chain.require_valid(self._clock())
        if dry_run:
            return SignatureStates({}, None, "missing")
        content, manifest = self._made(subject)
        for attempt in range(1, TRIES + 1):
            self._refer(content, manifest)
            if self._is_signed(subject):
                return SignatureStates({}, None, "written")
            # Others wrote the list meanwhile, or what was written takes a moment to be served.
            self._registry.exchange.pause(attempt)
        raise self._not_served(subject.digest, "no valid envelope of notation")

    def _is_signed(self, subject: Descriptor) -> bool:
        return is_signed_for_notation(self._registry, self._path, subject, self._chain)

    def _made(self, subject: Descriptor) -> tuple[bytes, bytes]:
        """Return an envelope and the manifest that keeps it (rule 3)."""
        now, chain = self._clock(), self._chain
        signed = notationenvelope.message(subject, chain.algorithm, now)
        content = notationenvelope.envelope(signed, self._signer.sign(signed), chain, _AGENT)
        try:
            notationenvelope.verify(content, chain, subject)
        except VerificationError as error:
            raise changed(chain.public, "the key", error.message) from None
        return content, notationenvelope.manifest(subject, content, chain, now)
