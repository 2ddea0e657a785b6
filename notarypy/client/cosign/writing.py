"""Signatures as cosign and notation make them, written into a registry beside what others have signed there.

What it is: one manifest or index at a time, signed under one or several names, or for notation under one
chain of certificates. What it is not: reading (`reading`), or a decision what is signed (`client.migrate`).

Rules:

1. What is there and valid is left alone: for each name a text with this digest by this key, and one bundle
   that counts for the repository. Nothing is signed that is not to be written.
2. What is named is there before what names it: texts and configuration before the manifest at the tag, the
   bundle before its manifest. Whoever is killed in between leaves what nobody finds.
3. The manifest at the tag is looked at again just before it is put, and made anew if it changed. Where
   somebody wrote at the same moment all the same, reading back shows what was lost of ours, texts or bundle,
   and that is put again; nothing is signed twice. Nothing is put that is larger than readers take.
4. At the end everything is read again, and has to verify by the public key.
5. The first name says in the bundle where the trust comes from: one bundle stands for all names.
6. For notation the payload is the descriptor alone: no name, and nothing of where the trust comes from. A
   chain that is not valid at this moment signs nothing, and a signature is checked before it is written: a
   wrong one is an error of the key, not of the registry.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from notarypy import __version__
from notarypy.client.cosign.reading import is_signed_for_notation, read_signatures
from notarypy.cosign import notationenvelope, signaturekeys, sigstorebundle, simplesigning
from notarypy.cosign.signatures import FORMS, counting
from notarypy.errors import Advice, ImageMissingError, UnconfirmedPublishError, UsageError, VerificationError
from notarypy.images import manifests
from notarypy.images import reference as references
from notarypy.images.referrerlist import EMPTY
from notarypy.keys.signers.base import changed
from notarypy.remote.registry.blobs import Blobs
from notarypy.remote.registry.referrers import TRIES, Referrers, at_tag, put_at_tag
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.cosign.signatures import CosignSignature, SignatureForm
    from notarypy.cosign.simplesigning import Claim
    from notarypy.images.layout import Descriptor
    from notarypy.remote.registry.registry import RegistryClient

    SignatureState = Literal["written", "there", "missing"]
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.cosign.notationenvelope import SigningChain
    from notarypy.keys.signers.base import Signer

_SHOWN = 3
_THERE: SignatureState = "there"
_LOG = logging.getLogger(__name__)
_AGENT = f"notarypy/{__version__}"


class PayloadSigner(Protocol):
    """A key that signs as cosign does, or notation; see `keys.signers.cosignsigner` and `NotationSigner`."""

    key: VerificationKey

    def sign(self, message: bytes) -> bytes:
        """Return a signature that the key verifies."""
        ...


@dataclass(frozen=True)
class SignatureStates:
    """What became of a digest's texts by name, its bundle, its envelope; none of what was not wanted."""

    sig: Mapping[str, SignatureState]
    bundle: SignatureState | None
    notation: SignatureState | None = None


class Missing(NamedTuple):
    """The names that no valid text has, and whether there is no valid bundle."""

    claims: Sequence[Claim]
    bundle: bool

    @property
    def forms(self) -> list[SignatureForm]:
        """The forms in which anything is missing."""
        return [form for form in FORMS if (self.bundle if form == "bundle" else self.claims)]


def missing(valid: Sequence[CosignSignature], claims: Sequence[Claim], forms: Collection[str]) -> Missing:
    """Return what a manifest with these signatures lacks (rule 1)."""
    repository = replace(references.parse(claims[0].reference), tag=None, digest=claims[0].digest)
    names = {one.reference for one in valid if one.form == "sig"}
    absent = [claim for claim in claims if claim.reference not in names]
    bundled = any(one.form == "bundle" for one in counting(valid, repository))
    return Missing(absent if "sig" in forms else [], "bundle" in forms and not bundled)


class ReferrerWriter:
    """Writes what refers to the images of one repository (rule 2); several threads may use it."""

    def __init__(self, registry: RegistryClient, path: str, signer: PayloadSigner) -> None:
        self._registry, self._path, self._signer = registry, path, signer
        self._blobs, self._referrers = Blobs(registry, path, push=True), Referrers(registry, path)
        self._lock, self._has_empty = threading.Lock(), False

    def _refer(self, content: bytes, manifest: bytes) -> None:
        """Put some content, its manifest, and have that listed as referring to its subject."""
        with self._lock:
            if not self._has_empty:
                self._send_empty()
        self._send(content)
        self._referrers.put(manifest)

    def _send_empty(self) -> None:
        """Have the empty configuration there, which all that refer to images of the repository share."""
        if not self._blobs.has(manifests.digest_of(EMPTY), len(EMPTY)):
            self._send(EMPTY)
        self._has_empty = True

    def _send(self, data: bytes) -> None:
        digest = manifests.digest_of(data)
        self._blobs.upload(digest, len(data), lambda at: iter([data[at:]]), lambda _: None)

    def _not_served(self, digest: str, *why: str) -> UnconfirmedPublishError:
        host = self._registry.host
        message = f"{host} took the signatures of {digest}, and does not serve them"
        return UnconfirmedPublishError(message, why=why, advice=Advice("sign-once-more"), host=host)


class SignatureWriter(ReferrerWriter):
    """Writes signatures of cosign with one key, and in some forms."""

    def __init__(
        self, registry: RegistryClient, path: str, signer: PayloadSigner, forms: Collection[str]
    ) -> None:
        super().__init__(registry, path, signer)
        self._forms = forms

    def write(
        self, subject: Descriptor, claims: Sequence[Claim], *, dry_run: bool = False
    ) -> SignatureStates:
        """Sign a manifest under all names in claims, where that is missing, and read everything back.

        UnconfirmedPublishError: the registry took it, and does not serve it.
        """
        first = left = self._missing(subject, claims)
        if dry_run or not any(first):
            return self._states(claims, first, "missing")
        signed: dict[bytes, bytes] = {}
        for attempt in range(1, TRIES + 1):
            _LOG.debug("%s@%s lacks a signature: %s", self._path, subject.digest, left)
            if left.claims:
                self._add_layers(subject.digest, left.claims, signed)
            if left.bundle:
                self._add_bundle(subject, claims[0], signed)
            left = self._missing(subject, claims)
            if not any(left):
                return self._states(claims, first, "written")
            # Others wrote meanwhile, or what was written takes a moment to be served.
            self._registry.exchange.pause(attempt)
        lost = [f"no valid text for {claim.reference}" for claim in left.claims[:_SHOWN]]
        raise self._not_served(subject.digest, *lost, *(["no valid bundle"] if left.bundle else []))

    def _missing(self, subject: Descriptor, claims: Sequence[Claim]) -> Missing:
        """Return what has no valid signature as it is read now (rules 1 and 4)."""
        found = read_signatures(
            self._registry,
            self._path,
            subject.digest,
            [self._signer.key],
            forms=self._forms,
            enough=lambda valid: not any(missing(valid, claims, self._forms)),
            named={claim.reference for claim in claims},
        )
        return missing(found.valid, claims, self._forms)

    def _states(self, claims: Sequence[Claim], first: Missing, new: SignatureState) -> SignatureStates:
        names = {claim.reference for claim in first.claims}
        sig = {claim.reference: new if claim.reference in names else _THERE for claim in claims}
        bundle = new if first.bundle else _THERE
        forms = self._forms
        return SignatureStates(sig if "sig" in forms else {}, bundle if "bundle" in forms else None)

    def _add_layers(self, digest: str, claims: Sequence[Claim], signed: dict[bytes, bytes]) -> None:
        """Add texts to the manifest at the tag for signatures, signed now or before (rules 2 and 3)."""
        texts = [simplesigning.payload(claim) for claim in claims]
        for text in texts:
            if text not in signed:
                signed[text] = self._signer.sign(text)
                self._send(text)
        tag = simplesigning.tag_of(digest)
        there, limits = self._at(tag), self._registry.exchange.limits
        for _ in range(1, TRIES + 1):
            with at_tag(self._registry, self._path, tag):
                config, made = simplesigning.with_layers(there, {one: signed[one] for one in texts}, limits)
            self._send(config)
            if (now := self._at(tag)) == there:
                put_at_tag(self._registry, self._path, tag, made, manifests.read(made).media_type)
                return
            there = now

    def _add_bundle(self, subject: Descriptor, claim: Claim, signed: dict[bytes, bytes]) -> None:
        """Put a bundle, and have it listed as referring to the manifest (rules 2, 3 and 5)."""
        body = sigstorebundle.statement(subject.digest, claim.annotations)
        message = sigstorebundle.message(body)
        if message not in signed:
            signed[message] = self._signer.sign(message)
        content = sigstorebundle.bundle(body, signed[message], self._signer.key.hint)
        self._refer(content, sigstorebundle.manifest(subject, content))

    def _at(self, tag: str) -> bytes | None:
        """Return the manifest at a tag, None if there is none."""
        try:
            return self._registry.document(self._path, tag).body
        except ImageMissingError:
            return None


# -- notation


class NotationSigner:
    """The key of a chain, which signs for notation as it signs metadata."""

    def __init__(self, chain: SigningChain, signer: Signer, place: str) -> None:
        """Take a signer; raise UsageError for one with another key than the chain's."""
        self.key, self.place, self._signer = signaturekeys.of(signer.public), place, signer
        if self.key.public != chain.public:
            raise UsageError(
                f"the certificate is not for the key {place}",
                why=(f"the key is {self.key.public.keyid}", f"the certificate's is {chain.public.keyid}"),
                advice=Advice("give-certificate-of-key"),
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
        claims: Sequence[Claim],  # noqa: ARG002 - rule 6
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
        """Return an envelope and the manifest that keeps it (rule 6)."""
        now, chain = self._clock(), self._chain
        signed = notationenvelope.message(subject, chain.algorithm, now)
        content = notationenvelope.envelope(signed, self._signer.sign(signed), chain, _AGENT)
        try:
            notationenvelope.verify(content, chain, subject)
        except VerificationError as error:
            raise changed(chain.public, "the key", error.message) from None
        return content, notationenvelope.manifest(subject, content, chain, now)
