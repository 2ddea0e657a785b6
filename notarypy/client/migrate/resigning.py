"""Released tags signed as cosign or notation does: what Notary vouches for today, and nothing else.

What it is: which digests are signed under which names, and what is said of where that trust comes from. What
it is not: which tags may be signed (`releases`), or how signatures are written (`client.cosign`).

Rules:

1. What has one digest is signed by one call, under all its names: nobody here competes for its manifest.
2. The name is that of the trust data, of a mirror that of what it mirrors: there a signature says of a digest
   what Notary says of it.
3. A tag is done when all its manifests are; what fails for one ends no other. A key that could not sign is
   not asked again: the rest fails as it did. A root key of one of the repositories signs nothing at all.
4. What ends between its verification and its signature is not signed.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from notarypy import __version__
from notarypy.client.cosign.writing import NotationSigner, NotationWriter, SignatureWriter
from notarypy.client.migrate.inventory import ResignedTag, SignedManifest
from notarypy.client.migrate.releases import SignableImage, signable_images
from notarypy.client.transfer.progress import StepCounter
from notarypy.client.workers import Outcome, UnfinishedError, outcomes
from notarypy.cosign.notationenvelope import SigningChain
from notarypy.cosign.signatures import FORMS, PREFIX
from notarypy.cosign.simplesigning import Claim
from notarypy.errors import Advice, ExpiredError, NotarypyError, UsageError, beginning
from notarypy.images import manifests
from notarypy.tuf.fields import format_time
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from datetime import datetime

    from notarypy.client.cosign.writing import PayloadSigner, SignatureStates
    from notarypy.client.parameters import Progress, VerifyOptions
    from notarypy.client.session import Session
    from notarypy.client.verdicts import ReleasedImage
    from notarypy.images.layout import Descriptor
    from notarypy.remote.registry.registry import RegistryClient

    MakeWriter = Callable[[RegistryClient, str], SignatureWriter | NotationWriter]

_NAMED = 64  # signers, roles and keys that annotations name


@dataclass(frozen=True)
class ResignOptions:
    """How to sign.

    Attributes:
        key: A KEYREF, the key to sign with.
        forms: `bundle`, `sig`, or both.
        children: Whether to sign what an index lists, too.
        dry_run: Whether to sign and write nothing.
        certificates: PEM, the leaf first: sign as notation does in place of cosign, the index alone.
    """

    key: str
    forms: Sequence[str] = FORMS
    children: bool = True
    dry_run: bool = False
    certificates: bytes | None = None

    def __post_init__(self) -> None:
        """Check what mypy cannot."""
        if not self.forms or not set(self.forms) <= set(FORMS):
            raise TypeError('forms are "bundle" and "sig", or one of them')


@dataclass(frozen=True)
class _Subject:
    """What has one digest in one repository, with all that it is to be signed as (rule 1)."""

    writer: SignatureWriter | NotationWriter
    descriptor: Descriptor
    claims: dict[str, Claim] = field(default_factory=dict)
    ends: list[datetime] = field(default_factory=list)

    def sign(self, session: Session, *, dry_run: bool) -> SignatureStates:
        """Sign it where that is missing (rule 4)."""
        if (ends := min(self.ends)) <= session.now():
            raise ExpiredError(
                f"what vouches for {self.descriptor.digest} ended before it was signed",
                why=f"it ended on {ends:%Y-%m-%d %H:%M}Z",
                advice=Advice("refresh"),
            )
        return self.writer.write(self.descriptor, list(self.claims.values()), dry_run=dry_run)


class _FailFastSigner:
    """A key that is not asked again once it could not sign (rule 3)."""

    def __init__(self, signer: PayloadSigner) -> None:
        self._signer, self.key = signer, signer.key
        self._failure: NotarypyError | None = None

    def sign(self, message: bytes) -> bytes:
        """Sign, or fail as before."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._signer.sign(message)
        except NotarypyError as error:
            self._failure = error
            raise


def resign(
    session: Session,
    texts: Sequence[str],
    how: ResignOptions,
    required: VerifyOptions,
    progress: Progress | None = None,
) -> Generator[tuple[str, Outcome[ResignedTag]], None, None]:
    """Yield for each tag of texts, REPO:TAG or REPO for all released ones, what became of it, in their order.

    Raises when the first is asked for:
        UsageError: A text names a digest and no tag, no registry may be asked, or the key is a root's.
        KeyMissingError, KeyAccessError, UnsupportedKeyError: The key cannot be had, or cannot sign so.
    """
    groups = _by_repository(session, texts, how)
    signer, writer = _signing(session, how)
    with StepCounter(progress, "signing") as counter:
        calls = [
            partial(signable_images, session, group, required, counter, children=how.children)
            for group in groups
        ]
        with closing(outcomes(calls)) as found:
            signable = [one for outcome in found for one in outcome.get()]
        _require_no_root(signer.key.public.canonical_id, signable)
        yield from _Resigning(session, signer, writer, how).run(signable, counter)


def _require_no_root(keyid: str, signable: Iterable[tuple[str, SignableImage | NotarypyError]]) -> None:
    """Raise UsageError for a key that is a root key by the trust data of what it is to sign (rule 3)."""
    for _, one in signable:
        if isinstance(one, SignableImage) and one.image.evidence and keyid in one.image.evidence.root_pins:
            message = f"key {keyid[:12]} is a root key of {one.image.repository}, which signs no images"
            raise UsageError(message, why="nothing was signed", advice=Advice("make-key"), keyid=keyid)


def _signing(session: Session, how: ResignOptions) -> tuple[_FailFastSigner, MakeWriter]:
    """Return the key, and what makes a writer with it for each repository."""
    if how.certificates is None:
        signer = _FailFastSigner(session.keys().cosign_signer(how.key))
        return signer, partial(SignatureWriter, signer=signer, forms=how.forms)
    chain = SigningChain.load(how.certificates)
    chain.require_valid(session.now())
    found = session.keys().image_signer(how.key, partial(NotationSigner, chain), cosign=False)
    signer = _FailFastSigner(found)
    return signer, partial(NotationWriter, signer=signer, chain=chain, clock=session.now)


def _by_repository(session: Session, texts: Sequence[str], how: ResignOptions) -> list[list[str]]:
    session.require_registry("migrate cosign" if how.certificates is None else "migrate notation")
    groups: dict[str, list[str]] = {}
    for text in texts:
        parsed = session.parse(text)
        if parsed.tag is None and parsed.digest is not None:
            message, why = f"{text} names no tag", "what is signed is a tag with its digest"
            raise UsageError(message, why=why, advice=Advice("name-tag-of-digest"))
        groups.setdefault(parsed.repository, []).append(text)
    return list(groups.values())


class _Resigning:
    """The subjects of one call, by repository and digest."""

    def __init__(
        self, session: Session, signer: _FailFastSigner, writer: MakeWriter, how: ResignOptions
    ) -> None:
        self._session, self._signer, self._writer, self._how = session, signer, writer, how
        self._writers: dict[str, SignatureWriter | NotationWriter] = {}
        self._subjects: dict[tuple[str, str], _Subject] = {}
        self._done: dict[tuple[str, str], Outcome[SignatureStates]] = {}

    def run(
        self, signable: Sequence[tuple[str, SignableImage | NotarypyError]], counter: StepCounter
    ) -> Generator[tuple[str, Outcome[ResignedTag]], None, None]:
        """Sign all, and yield each tag once its manifests are done (rule 3)."""
        for _, one in signable:
            if isinstance(one, SignableImage):
                self._add(one)
        counter.expect(len(self._subjects))
        waiting = iter(self._subjects)
        calls = [
            partial(each.sign, self._session, dry_run=self._how.dry_run) for each in self._subjects.values()
        ]
        with closing(outcomes(calls)) as found:
            for text, one in signable:
                if not isinstance(one, SignableImage):
                    yield text, Outcome(error=one)
                    continue
                keys = [(one.image.repository, each.digest) for each in one.manifests]
                while not all(key in self._done for key in keys):
                    self._done[next(waiting)] = _said(next(found))
                    counter.step()
                yield text, self._outcome(one, keys)
            for _ in found:  # after Ctrl-C it is raised here
                continue

    def _add(self, one: SignableImage) -> None:
        """Note what is to be signed for a tag (rules 1 and 2)."""
        image, repository = one.image, one.image.repository
        if repository not in self._writers:
            parsed = self._session.parse(repository)
            self._writers[repository] = self._writer(self._session.registry(parsed), parsed.path)
        if (
            not self._how.children
            and self._how.certificates is None
            and one.manifests[0].media_type in manifests.INDEXES
        ):
            self._session.warn_once(
                "indexes are signed without what they list: podman and skopeo, which look at the signature "
                "of a platform's own manifest, will refuse them"
            )
        for each in one.manifests:
            said = origin(image, each)
            subject = self._subjects.setdefault(
                (repository, each.digest), _Subject(self._writers[repository], each)
            )
            name = _name(image)
            subject.claims.setdefault(name, Claim(name, each.digest, said))
            subject.ends.append(image.expires)

    def _outcome(self, one: SignableImage, keys: Sequence[tuple[str, str]]) -> Outcome[ResignedTag]:
        image, name = one.image, _name(one.image)
        found = [self._done[key] for key in keys]
        if failed := next((outcome.error for outcome in found if outcome.error is not None), None):
            return Outcome(error=failed)
        states = [outcome.get() for outcome in found]
        return Outcome(
            ResignedTag(
                image.repository,
                image.tag,
                image.digest,
                self._signer.key.public.canonical_id,
                image.role,
                image.signers,
                image.signed_as,
                tuple(
                    SignedManifest(
                        each.digest, each.platform, state.sig.get(name), state.bundle, state.notation
                    )
                    for each, state in zip(one.manifests, states, strict=True)
                ),
            )
        )


def _name(image: ReleasedImage) -> str:
    """Return what is signed as the name of an image (rule 2)."""
    return f"{image.signed_as or image.repository}:{image.tag}"


def _said(outcome: Outcome[SignatureStates]) -> Outcome[SignatureStates]:
    """Return an outcome whose warnings have been said; it may be asked for often."""
    try:
        return Outcome(outcome.get())
    except (NotarypyError, UnfinishedError) as error:
        return Outcome(error=error)


def origin(image: ReleasedImage, manifest: Descriptor) -> dict[str, str]:
    """Return what a signature says of where the trust in a manifest of an image comes from."""
    evidence = image.evidence
    if evidence is None:
        raise RuntimeError("what is signed is verified by now")
    versions = (f"{each.role}={each.version}" for each in evidence.roles)
    said = {
        "gun": image.signed_as or image.repository,
        "tag": image.tag,
        "role": image.role,
        "signers": _listed(image.signers),
        "root": _listed(evidence.root_pins),
        "root-keys": _listed(evidence.root_keys),
        "versions": _listed(versions),
        "expires": _moment(image.expires),
        "verified": _moment(evidence.time),
        "server": evidence.server,
        "tool": f"notarypy/{__version__}",
    }
    if evidence.exported is not None:
        said["exported"] = _moment(evidence.exported)
    if manifest.digest != image.digest:
        said["index"] = image.digest
    return {PREFIX + name: text for name, text in said.items()}


def _listed(texts: Iterable[str]) -> str:
    """Return texts on one line, so many at most that the text of a signature stays small."""
    return ",".join(beginning(list(texts), _NAMED))


def _moment(when: datetime) -> str:
    return format_time(when.replace(microsecond=0))
