"""Released tags that may be signed anew: verified today, and served by their registry.

What it is: which tags are meant, whether each may be signed, and the manifests that are its image. What it is
not: the verification itself (`client.verify.image`), or a signature (`resigning`).

Rules:

1. A tag is verified as `verify` does it, with pins and policy, and compared with what the registry serves.
   Notary must vouch for it, whatever the policy requires of cosign: that is what is yet to be signed.
   What a policy in `audit` mode finds missing is an error here: a signature outlives the warning. What a
   policy says to skip is verified by nobody, and of what it requires of cosign alone Notary is not asked;
   neither is signed, unless the caller requires something of Notary.
2. Each repository is refreshed once; of each tag one manifest is asked for. What fails for one tag ends no
   other.
3. The digest of an index vouches for what it lists. That is signed too, but for what BuildKit attests: podman
   and skopeo look at the signature of a platform's own manifest alone.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.verify.image import by_notary
from notarypy.client.verify.inspection import signed_tags
from notarypy.client.verify.sharing import MetadataCache, asks_notary, read_ahead, scope_of
from notarypy.client.workers import outcomes
from notarypy.errors import Advice, NotarypyError, NothingThereError, NotVerifiedError
from notarypy.images import manifests, tree
from notarypy.images.layout import Descriptor
from notarypy.images.reference import natural
from notarypy.tuf import policy
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.parameters import VerifyOptions
    from notarypy.client.session import Session
    from notarypy.client.transfer.progress import StepCounter
    from notarypy.client.verdicts import ReleasedImage
    from notarypy.images.reference import Reference
    from notarypy.remote.registry.registry import RegistryClient
    from notarypy.storage.settings.policyfile import Scope


@dataclass(frozen=True)
class SignableImage:
    """A tag that may be signed: what is verified of it, and the manifests of the image, its own first."""

    image: ReleasedImage
    manifests: tuple[Descriptor, ...]


def signable_images(
    session: Session, texts: Sequence[str], required: VerifyOptions, counter: StepCounter, *, children: bool
) -> list[tuple[str, SignableImage | NotarypyError]]:
    """Return the tags that texts of one repository name, REPO for all released ones, or why each fails."""
    cache = MetadataCache()
    try:
        refs = _references(session, texts, required, cache)
    except NotarypyError as error:
        return [(text, error) for text in texts]
    counter.expect(len(refs))
    calls = [partial(_signable, session, ref, required, cache, children=children) for ref in refs]
    done: list[tuple[str, SignableImage | NotarypyError]] = []
    with closing(outcomes(calls)) as found:
        for ref, outcome in zip(refs, found, strict=True):
            try:
                done.append((ref, outcome.get()))
            except NotarypyError as error:
                done.append((ref, error))
            counter.step()
    return done


def _references(
    session: Session, texts: Sequence[str], required: VerifyOptions, cache: MetadataCache
) -> list[str]:
    """Return a reference for each tag that texts of one repository name, after a refresh (rule 2)."""
    scope, gun = scope_of(session, texts[0], required), session.gun(texts[0])[0]
    if error := not_verified(gun, scope, required):
        raise error
    read_ahead(session, texts[0], required, cache)
    found: dict[tuple[str, str | None], str] = {}
    for text in texts:
        parsed = session.parse(text)
        tags = [parsed.tag] if parsed.tag else signed_tags(session, text, required.root, cache)
        for tag in sorted(tags, key=natural):
            found.setdefault((tag, parsed.digest), text if parsed.tag else f"{text}:{tag}")
    if not found:
        message = f"no tag of {gun} is signed, so there is nothing to sign"
        raise NothingThereError(message, advice=Advice("sign-a-tag", gun=gun))
    return list(found.values())


def not_verified(gun: str, scope: Scope | None, required: VerifyOptions) -> NotVerifiedError | None:
    """Return why nothing of a repository may be signed anew, where Notary is not asked about it (rule 1)."""
    if scope is None or asks_notary(scope, required):
        return None
    return NotVerifiedError(
        f"{gun} is not verified by Notary's trust data, so nothing of it is signed anew",
        why=f"{scope.source} {'says skip' if scope.mode == 'skip' else 'requires cosign alone'}",
        advice=Advice("require-before-signing"),
    )


def _signable(
    session: Session, text: str, required: VerifyOptions, cache: MetadataCache, *, children: bool
) -> SignableImage:
    """Return a tag that may be signed (rule 1)."""
    parsed = session.parse(text)
    registry, served = session.registry(parsed), dict[str, tuple[Descriptor, bytes]]()

    def fetch(reference: Reference, wanted: str) -> manifests.Manifest:
        answer = registry.document(reference.path, wanted)
        found = manifests.served(answer.body, answer.headers.get("content-type"), session.limits)
        served[found.digest] = Descriptor(found.media_type, found.digest, found.size), answer.body
        return found

    image = by_notary(session, text, required, scope_of(session, text, required), cache=cache, fetch=fetch)
    if image.policy is not None and image.policy.unmet:
        raise policy.together(image.policy.unmet)
    top, data = served[image.digest]
    return SignableImage(image, (top, *(below(registry, parsed.path, top, data) if children else ())))


def below(registry: RegistryClient, path: str, top: Descriptor, data: bytes) -> tuple[Descriptor, ...]:
    """Return what an index with these bytes lists, and what indexes in it list (rule 3)."""
    limits = registry.exchange.limits
    return tree.listed(top, data, lambda one: registry.document(path, one.digest).body, limits)
