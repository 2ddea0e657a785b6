"""Signatures of an image as cosign makes them, read from its registry and verified.

What it is: all that somebody with one of some keys says of a digest, in both forms. What it is not: a
decision which signatures an image needs, or trust by anything else than a key.

Rules:

1. The classic form is at the tag `sha256-HEX.sig`, bundles are among what refers to the image. What something
   is its layers say: entries that cosign made in the list at a tag have a wrong `artifactType`, so that only
   what says to be something else altogether is not asked for, nor a bundle that says to be an attestation.
2. A signature is valid if one of the keys made it over a text, or over a statement of cosign's own predicate,
   about this very digest. The name and the annotations in it are what whoever signed says (`signatures`: 3).
3. Anybody who may push may put anything there: it is counted with the reason why it is no valid signature,
   keeps no other from being found, and raises nothing. A registry that fails, that cannot be reached, or that
   does not let us read the image is an error: what it has is not known.
4. All of it is limited, and a manifest has one bundle, as cosign makes them. The newest come first, as far as
   the order says which they are; what is not looked at is counted too.
5. Who looks for some names is shown first what says to have one of them, so that each is found of a digest
   with many tags; what says to have another name comes last. A text that several have signed is fetched once,
   and nothing more is asked for when there is enough.
6. Notation finds its signatures by their type in the list: where that is another one, nobody reads them.
"""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from notarypy.cosign import notationenvelope, sigstorebundle, simplesigning
from notarypy.cosign.signaturekeys import signer_of
from notarypy.cosign.signatures import FORMS, GUN, CosignSignature, OtherSignatures, Signatures
from notarypy.errors import (
    Advice,
    AuthenticationError,
    DigestMismatchError,
    ImageMissingError,
    NotarypyError,
    NotFoundError,
    ResponseLimitError,
    ServerError,
    UnconfirmedPublishError,
    VerificationError,
)
from notarypy.images.manifests import INDEXES
from notarypy.images.referrerlist import EMPTY_TYPE
from notarypy.remote.registry.blobs import Blobs
from notarypy.remote.registry.referrers import Referrers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from notarypy.cosign.notationenvelope import SigningChain
    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.cosign.simplesigning import SignatureLayer
    from notarypy.images.layout import Descriptor
    from notarypy.remote.registry.registry import RegistryClient

    Enough = Callable[[Sequence[CosignSignature]], bool]

# What a manifest with a bundle may be listed as (rule 1); "" is what nobody says anything of.
_LISTED_AS = ("", EMPTY_TYPE, "application/vnd.oci.image.config.v1+json")
_BUNDLES = "application/vnd.dev.sigstore.bundle"
_PREDICATE = "dev.sigstore.bundle.predicateType"
# What is wrong with an entry and not with the registry (rule 3), and what is said of it.
_NOT_OURS = (VerificationError, ResponseLimitError, NotFoundError, ImageMissingError, AuthenticationError)
_WHY: tuple[tuple[type[NotarypyError], str], ...] = (
    (DigestMismatchError, "what it names has another digest or size"),
    (ResponseLimitError, "it is larger than it may be"),
    (NotFoundError, "what it names is not there"),
    (ImageMissingError, "what it names is not there"),
    (AuthenticationError, "the registry does not let us read it"),
)
_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_ELSEWHERE = 2  # how far a name is from those that are looked for
_LOG = logging.getLogger(__name__)
Entry = TypeVar("Entry")
Found = TypeVar("Found")


def read_signatures(
    registry: RegistryClient,
    path: str,
    digest: str,
    keys: Sequence[VerificationKey],
    *,
    forms: Collection[str] = FORMS,
    enough: Enough = lambda _: False,
    named: Collection[str] = (),
) -> Signatures:
    """Return the signatures of a manifest or index in a repository, in some forms (rules 1 to 5).

    `named` are references that are looked for: so many classic ones are looked at beyond the limit.
    `enough` is asked after each valid one whether those found will do; what is not looked at then is not
    counted.

    Raises:
        AuthenticationError: The registry does not let us read the repository.
        NetworkError: It fails, or cannot be reached.
        DigestMismatchError: What it serves at a tag has not the digest that it says.
    """
    reader = _Reader(registry, path, digest, keys, named)
    found: list[CosignSignature] = []
    for one in reader.all(forms):
        found.append(one)
        if enough(found):
            break
    others = [OtherSignatures(form, why, count) for (form, why), count in reader.others.items()]
    _LOG.debug("%s/%s@%s: %d valid signatures, others: %s", registry.host, path, digest, len(found), others)
    return Signatures(digest, tuple(found), tuple(others))


def is_signed_for_notation(
    registry: RegistryClient, path: str, subject: Descriptor, chain: SigningChain
) -> bool:
    """Tell whether a chain has signed a manifest or index for notation, and notation finds that (rule 6).

    Raises as `read_signatures`, and UnconfirmedPublishError where notation does not find it.
    """
    reader = _Reader(registry, path, subject.digest, (), ())
    found = list(islice(reader.notation(subject, chain), 1))
    _LOG.debug(
        "%s/%s@%s: for notation %s, others: %s", registry.host, path, subject.digest, found, reader.others
    )
    if any(entry.artifact_type != notationenvelope.ARTIFACT_TYPE for entry in found):
        raise UnconfirmedPublishError(
            f"notation does not find its signatures in {registry.host}",
            why=f'what is a {notationenvelope.ARTIFACT_TYPE} is listed as "{found[0].artifact_type}"',
            advice=Advice("ask-registry-for-types"),
            host=registry.host,
        )
    return bool(found)


class _NoSignatureError(VerificationError):
    """An entry is no valid signature."""


class _Reader:
    """Reads what one digest has, and counts what is no valid signature."""

    def __init__(
        self,
        registry: RegistryClient,
        path: str,
        digest: str,
        keys: Sequence[VerificationKey],
        named: Collection[str],
    ) -> None:
        self._registry, self._path, self._digest, self._keys = registry, path, digest, keys
        self._named = named
        self._limits, self._blobs = registry.exchange.limits, Blobs(registry, path)
        self._texts: dict[str, bytes] = {}
        self._bytes = 0
        self.others: Counter[tuple[Any, str]] = Counter()  # a form, notation's too, and why

    def all(self, forms: Collection[str]) -> Iterator[CosignSignature]:
        """Yield all valid signatures, the classic ones first: they take fewer requests (rule 5)."""
        layers = self._first("sig", sorted(self._at_tag(), key=self._distance)) if "sig" in forms else []
        yield from self._classic(layer for layer in layers if self._distance(layer) < _ELSEWHERE)
        if "bundle" in forms:
            yield from self._bundles()
        yield from self._classic(layer for layer in layers if self._distance(layer) == _ELSEWHERE)

    def _distance(self, layer: SignatureLayer) -> int:
        if not self._named or layer.reference in self._named:
            return 0
        return _ELSEWHERE if layer.reference else 1

    def _classic(self, layers: Iterable[SignatureLayer]) -> Iterator[CosignSignature]:
        for layer in layers:
            if one := self._judged("sig", self._classic_one, layer):
                yield one

    def _at_tag(self) -> Sequence[SignatureLayer]:
        """Return the layers at the tag, the newest first."""
        try:
            body = self._registry.document(self._path, simplesigning.tag_of(self._digest)).body
        except ImageMissingError:
            return ()
        except ResponseLimitError as error:
            self._count("sig", error)
            return ()
        try:
            return tuple(dict.fromkeys(simplesigning.layers(body, self._limits)))[::-1]
        except VerificationError as error:
            self._count("sig", error)
            return ()

    def _classic_one(self, layer: SignatureLayer) -> CosignSignature:
        if not layer.signature:
            raise _NoSignatureError("it has no signature in base64")
        text = self._texts.get(layer.payload.digest)
        if text is None:
            text = self._blob(layer.payload, self._limits.cosign_payload_bytes)
            self._texts[layer.payload.digest] = text
        claim = simplesigning.read(layer.payload.check(text), self._limits)
        if claim.digest != self._digest:
            raise _NoSignatureError("it is about another image")
        key = self._signer([layer.signature], text)
        return CosignSignature("sig", key, claim.reference, claim.annotations, layer.payload.digest)

    def _bundles(self) -> Iterator[CosignSignature]:
        listed = Referrers(self._registry, self._path).of(self._digest)
        if listed.more:
            self.others["bundle", "not looked at: there is more than the limits let in"] += 1
        likely = list(dict.fromkeys(filter(_may_be_bundle, reversed(listed.entries))))
        likely.sort(key=lambda entry: not entry.artifact_type.startswith(_BUNDLES))
        for entry in self._first("bundle", likely):
            if one := self._judged("bundle", self._bundle_one, entry):
                yield one

    def _bundle_one(self, entry: Descriptor) -> CosignSignature | None:
        """Return the signature in what refers to the image; None if that says to be something else."""
        self._take(entry, self._limits.manifest_bytes)
        manifest = entry.check(self._registry.document(self._path, entry.digest).body)
        layers = sigstorebundle.layers(manifest, self._limits)
        if not layers and not entry.artifact_type.startswith(_BUNDLES):
            return None
        if len(layers) != 1:
            raise _NoSignatureError("it has no bundle of version 0.3, or several")
        data = self._blob(layers[0], self._limits.cosign_bundle_bytes)
        bundle = sigstorebundle.read(data, self._limits)
        if not bundle.statement.is_signature:
            raise _NoSignatureError("it is an attestation")
        said = bundle.statement.subjects.get(self._digest)
        if said is None:
            raise _NoSignatureError("it is about another image")
        key = self._signer(bundle.signatures, bundle.message)
        return CosignSignature("bundle", key, said.get(GUN, ""), said, layers[0].digest)

    def notation(self, subject: Descriptor, chain: SigningChain) -> Iterator[Descriptor]:
        """Yield the entries that are envelopes as this chain makes them."""
        kinds = (notationenvelope.ARTIFACT_TYPE, *_LISTED_AS)
        listed = dict.fromkeys(reversed(Referrers(self._registry, self._path).of(self._digest).entries))
        likely = sorted(
            (entry for entry in listed if entry.artifact_type in kinds),
            key=lambda entry: kinds.index(entry.artifact_type),
        )
        for entry in self._first("notation", likely):
            if self._judged("notation", partial(self._envelope, subject, chain), entry):
                yield entry

    def _envelope(self, subject: Descriptor, chain: SigningChain, entry: Descriptor) -> Descriptor:
        self._take(entry, self._limits.manifest_bytes)
        manifest = entry.check(self._registry.document(self._path, entry.digest).body)
        layers = notationenvelope.layers(manifest, self._limits)
        if len(layers) != 1:
            raise _NoSignatureError("it has no envelope, or several")
        data = self._blob(layers[0], self._limits.cosign_bundle_bytes)
        notationenvelope.verify(data, chain, subject, self._limits)
        return entry

    def _signer(self, signatures: Sequence[bytes], message: bytes) -> VerificationKey:
        made = (signer_of(self._keys, signature, message) for signature in signatures)
        key = next((key for key in made if key is not None), None)
        if key is None:
            raise _NoSignatureError("it is by none of the keys")
        return key

    def _first(self, form: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return as many as are looked at, and count the others (rule 4)."""
        most = self._limits.cosign_signatures + (len(self._named) if form == "sig" else 0)
        if len(entries) > most:
            self.others[form, f"not looked at: there are more than {most}"] += len(entries) - most
        return entries[:most]

    def _judged(self, form: str, look: Callable[[Entry], Found], entry: Entry) -> Found | None:
        """Return what there is to an entry; None, and count why, if it is nothing good (rule 3)."""
        try:
            return look(entry)
        except _NOT_OURS as error:
            self._count(form, error)
        except ServerError as error:
            status = error.facts.get("status")
            if not isinstance(status, int) or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY:
                raise
            self._count(form, error)
        return None

    def _count(self, form: str, error: NotarypyError) -> None:
        known = next((why for kind, why in _WHY if isinstance(error, kind)), None)
        self.others[form, known or ": ".join((error.message, *error.why[:1]))] += 1

    def _take(self, content: Descriptor, most: int) -> None:
        """Raise for content that is too large, or too much together with all before (rule 4)."""
        if content.size > most:
            raise _NoSignatureError("it is larger than it may be")
        if self._bytes + content.size > self._limits.cosign_bytes:
            raise _NoSignatureError("not looked at: all together are larger than they may be")
        self._bytes += content.size

    def _blob(self, blob: Descriptor, most: int) -> bytes:
        self._take(blob, most)
        target = _Memory()
        self._blobs.download(blob.digest, blob.size, target)
        return blob.check(bytes(target.data))


class _Memory:
    """A download into memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def position(self) -> int:
        return len(self.data)

    def restart(self) -> None:
        self.data.clear()

    def write(self, data: bytes) -> None:
        self.data += data


def _may_be_bundle(entry: Descriptor) -> bool:
    """Tell whether it is worth a request to look what a referrer is (rule 1)."""
    says = entry.annotations.get(_PREDICATE, sigstorebundle.PREDICATE)
    kind = entry.artifact_type in _LISTED_AS or entry.artifact_type.startswith(_BUNDLES)
    return kind and says == sigstorebundle.PREDICATE and entry.is_manifest and entry.media_type not in INDEXES
