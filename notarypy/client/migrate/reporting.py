"""How far repositories are on their way out: what is released, served, and signed the new way already.

What it is: looking, and saying what is missing. What it is not: signing, or a verification that anybody may
rely on: what is past its date is shown here too.

Rules:

1. A repository that cannot be read is in the report with the reason, and ends nothing. One whose metadata has
   ended is read all the same, in all but its dates, and stays refused.
2. Trust data is read once for each repository, past caches, and the registry asked once for each tag: for a
   tag that is not served as signed once more, by digest, whether it has the signed image at all.
3. New signatures are looked for where the registry has the signed image. They count as they do for `verify`
   (`cosign.signatures`): by a key that was given, for this digest and, if they name an image, for this one.
4. A registry that cannot be reached, or does not let us read a repository, is not asked again for each tag.
5. What keeps a repository from being done is one error, the worst: a tag that moved, one that lacks what the
   trust policy requires, in `audit` mode too, an end, a tag that is gone or not signed the new way, what
   could not be asked. Whether a tag may be signed the new way is judged as `releases` does.
6. Without a key nothing counts as signed the new way.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.cosign.reading import read_signatures
from notarypy.client.metadata.dates import role_entries
from notarypy.client.metadata.expired import refresh_outdated
from notarypy.client.metadata.refresh import refresh
from notarypy.client.migrate.inventory import ReportedRepository, ReportedSignature, ReportedTag
from notarypy.client.migrate.losses import losses
from notarypy.client.parameters import VerifyOptions
from notarypy.client.transfer.progress import StepCounter
from notarypy.client.verify.image import decide, require_served
from notarypy.client.verify.inspection import natural
from notarypy.client.verify.sharing import scope_of
from notarypy.client.workers import gathered, outcomes
from notarypy.cosign.signaturekeys import keys_in
from notarypy.cosign.signatures import OtherSignatures, counting
from notarypy.errors import (
    WORST_FIRST,
    Advice,
    AuthenticationError,
    DeadlineError,
    DigestMismatchError,
    ExpiredError,
    ImageMissingError,
    InvalidNameError,
    NotarypyError,
    NothingThereError,
    NotMigratedError,
    NotVerifiedError,
    PolicyError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
    beginning,
)
from notarypy.images.reference import Reference
from notarypy.tuf import policy, roles
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.migrate.inventory import Served
    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.client.verdicts import ReleasedImage
    from notarypy.client.workers import Outcome
    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.images.manifests import Manifest
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_REPOSITORIES = 4
_SHOWN = 10


def report(
    session: Session,
    texts: Sequence[str],
    keys: Mapping[str, bytes],
    root: str | None = None,
    progress: Progress | None = None,
) -> Generator[Outcome[ReportedRepository], None, None]:
    """Yield what each repository has, in the order given; `keys` are public keys in PEM, by name."""
    session.refuse_literal("what is migrated")
    known = {name: _keys_in(name, data) for name, data in keys.items()}
    silent: dict[str, NotarypyError] = {}
    with StepCounter(progress, "looking") as counter:
        looks = [_RepositoryReport(session, text, known, root, silent, counter) for text in texts]
        yield from outcomes([look.repository for look in looks], _REPOSITORIES)


def _keys_in(name: str, data: bytes) -> Sequence[VerificationKey]:
    try:
        return keys_in(data)
    except UnsupportedKeyError as error:
        raise type(error)(error.message, why=(*error.why, f"it is {name}"), advice=error.advice) from None


@dataclass(frozen=True)
class _RepositoryReport:
    """What one repository has; `silent` are registries and repositories not to be asked again (rule 4)."""

    session: Session
    text: str
    keys: Mapping[str, Sequence[VerificationKey]]
    root: str | None
    silent: dict[str, NotarypyError]
    counter: StepCounter

    def repository(self) -> ReportedRepository:
        """Return everything about it (rule 1)."""
        session, (written, _) = self.session, self.session.gun(self.text, whole=True)
        found = ReportedRepository(written, session.now())
        try:
            scope = scope_of(session, self.text, VerifyOptions(root=self.root))
            skipped = _skipped(written, scope)
            scope = None if skipped else scope
            known = session.repository(self.text, self.root, scope).past_caches()
            found = replace(found, server=known.server_url)
            trusted, names, ended = _read(known)
        except NotarypyError as error:
            _LOG.debug("%s cannot be read: %s", written, error.code)
            return replace(found, error=error)
        names.sort(key=natural)
        self.counter.expect(len(names))
        tags = tuple(gathered([partial(self._tag, trusted, written, name, scope) for name in names]))
        return replace(
            found,
            signed_as=None if trusted.gun == written else trusted.gun,
            root_pins=trusted.root.pins,
            roles=tuple(role_entries(trusted)),
            tags=tags,
            losses=losses(trusted, tags, known.server_url),
            error=_worst(written, tags, skipped or ended),
        )

    def _tag(self, trusted: TrustedMetadata, written: str, name: str, scope: Scope | None) -> ReportedTag:
        tag = self._looked_at(trusted, written, name, scope)
        self.counter.step()
        return tag

    def _looked_at(
        self, trusted: TrustedMetadata, written: str, name: str, scope: Scope | None
    ) -> ReportedTag:
        released = policy.released(trusted, name)
        if released is None:
            raise RuntimeError("only released tags are looked at")
        signers = tuple(map(roles.signer_name, policy.signers(trusted, name, released[1])))
        tag = ReportedTag(
            written, name, released[1].digest, released[1].length, released[0], signers, expires=None
        )
        try:
            asked = self.session.parse(tag.reference)
            image, lacking = self._decided(trusted, asked, scope)
        except InvalidNameError as error:
            message = f"{name} of {written} can be no tag of an image, so that no registry was asked for it"
            return replace(tag, problem=NothingThereError(message, why=error.why))
        except NotarypyError as error:  # content without a digest
            return replace(tag, problem=error)
        tag = replace(tag, expires=image.expires)
        if self.session.settings.offline:
            return replace(tag, problem=lacking or _not_asked(tag))
        try:
            return replace(self._served(tag, asked, image), problem=lacking)
        except NotarypyError as error:
            return replace(tag, problem=error)

    def _decided(
        self, trusted: TrustedMetadata, asked: Reference, scope: Scope | None
    ) -> tuple[ReleasedImage, PolicyError | None]:
        """Return what is signed, and what the trust policy requires that it lacks."""
        written = f"{asked.registry}/{asked.path}"
        decided = partial(decide, trusted, asked, VerifyOptions(), written=written, warn=self.session.warn)
        try:
            image = decided(scope)
        except PolicyError as error:
            return decided(None), error
        audited = () if image.policy is None else image.policy.unmet
        return image, policy.together(audited) if audited else None

    def _served(self, tag: ReportedTag, asked: Reference, image: ReleasedImage) -> ReportedTag:
        """Compare with the registry, and look for new signatures (rules 2 and 3)."""
        found = self._manifest(asked, tag.tag)
        try:
            if found is not None:
                require_served(image, found)
                tag = replace(tag, served="same", platforms=found.platforms)
        except DigestMismatchError:
            tag = replace(tag, served="moved", found=found.digest if found else None)
        if tag.served != "same":
            kept = self._manifest(asked, image.digest)
            served: Served = "gone" if found is None else "moved"
            tag = replace(tag, served=served, kept=kept is not None, platforms=kept.platforms if kept else ())
        return tag if tag.kept is False else self._signatures(tag, asked, image)

    def _manifest(self, asked: Reference, wanted: str) -> Manifest | None:
        """Return what the registry serves, None for nothing."""
        places = (asked.registry, f"{asked.registry}/{asked.path}")
        for place in places:
            if place in self.silent:
                raise self.silent[place]
        try:
            return self.session.manifest(asked, wanted)
        except ImageMissingError:
            return None
        except (UnreachableError, TlsError, DeadlineError) as error:
            self.silent[places[0]] = error
            raise
        except AuthenticationError as error:
            self.silent[places[1]] = error
            raise

    def _signatures(self, tag: ReportedTag, asked: Reference, image: ReleasedImage) -> ReportedTag:
        names = {key: name for name, keys in self.keys.items() for key in keys}
        registry, _, path = (image.signed_as or image.repository).partition("/")
        named = Reference(registry, path, tag.tag, image.digest)
        where = (self.session.registry(asked), asked.path, image.digest)
        found = read_signatures(*where, tuple(names), named=[f"{named.repository}:{tag.tag}"])
        ours = counting(found.valid, named)
        signed = (ReportedSignature(one.form, names[one.key], one.reference or None) for one in ours)
        # What is for another tag of the same image is worth a word only where nothing else is there.
        elsewhere = Counter((one.form, one.reference) for one in (() if ours else found.valid))
        others = (
            OtherSignatures(form, f"it is for {name}" if name else "it was signed as another image", count)
            for (form, name), count in elsewhere.items()
        )
        return replace(tag, signatures=tuple(dict.fromkeys(signed)), others=(*found.others, *others))


def _read(repository: Repository) -> tuple[TrustedMetadata, list[str], ExpiredError | None]:
    """Return metadata, released names, and what has ended; raise what else is wrong (rule 1)."""
    try:
        trusted = refresh(repository)
        return trusted, policy.released_names(trusted), None
    except ExpiredError as error:
        with suppress(NotarypyError):
            trusted = refresh_outdated(repository)
            return trusted, policy.released_names(trusted), error
        raise


def _skipped(repository: str, scope: Scope | None) -> NotVerifiedError | None:
    """Return why nothing of a repository may be signed anew, if the trust policy says to skip it."""
    if scope is None or scope.mode != "skip":
        return None
    message, advice = f"{repository} is not verified by anybody", Advice("require-before-signing")
    return NotVerifiedError(message, why=f"{scope.source} says skip", advice=advice)


def _not_asked(tag: ReportedTag) -> NothingThereError:
    why = "no registry is asked without a network (--offline)"
    return NothingThereError(f"whether {tag.reference} is served was not looked at", why=why)


def _worst(repository: str, tags: Sequence[ReportedTag], whole: NotarypyError | None) -> NotarypyError | None:
    """Return the one error of a repository (rule 5), with what else there is; `whole` is about all of it."""

    def those(served: Served, *, signed: bool | None = None) -> list[ReportedTag]:
        return [tag for tag in tags if tag.served == served and signed in {None, bool(tag.signatures)}]

    def error(
        kind: type[NotarypyError], some: Sequence[ReportedTag], what: str, to_do: Advice
    ) -> NotarypyError:
        message = f"{len(some)} of {len(tags)} released tags of {repository} are {what}"
        return kind(message, why=_lines(some), advice=to_do, tags=[tag.tag for tag in some])

    found: list[NotarypyError] = [] if whole is None else [whole]
    if moved := those("moved"):
        advice = Advice("report-moved", reference=moved[0].reference)
        found.append(error(DigestMismatchError, moved, "not served as signed", advice))
    if gone := those("gone"):
        advice = Advice("report-gone", reference=gone[0].reference)
        found.append(error(ImageMissingError, gone, "gone from the registry", advice))
    if unsigned := those("same", signed=False):
        advice = Advice("report-unsigned", gun=repository)
        found.append(
            error(NotMigratedError, unsigned, "not signed the new way by a key that was given", advice)
        )
    problems: dict[type[NotarypyError], list[ReportedTag]] = {}
    for tag in tags:
        if tag.problem is not None:
            problems.setdefault(type(tag.problem), []).append(tag)
    found += map(_together, problems.values())
    found.sort(key=lambda error: WORST_FIRST.index(error.exit_code))
    if found:
        found[0].why += tuple(f"also: {error.message}" for error in found[1:])
    return found[0] if found else None


def _together(tags: Sequence[ReportedTag]) -> NotarypyError:
    """Return what tags lack, or why they were not looked at, as the error of the first says it."""
    first = tags[0].problem
    if first is None:
        raise RuntimeError("only problems are put together")
    more = (f"so it is for {len(tags)} tags: {_named(tags)}",) if len(tags) > 1 else ()
    why = (*first.why, *more)
    return type(first)(first.message, why=why, advice=first.advice, **first.facts)


def _lines(tags: Sequence[ReportedTag]) -> tuple[str, ...]:
    moved = [f"{tag.tag}: signed {tag.digest}, served {tag.found}" for tag in tags if tag.found]
    return beginning(moved, _SHOWN) if moved else (_named(tags),)


def _named(tags: Sequence[ReportedTag]) -> str:
    return ", ".join(beginning([tag.tag for tag in tags], _SHOWN))
