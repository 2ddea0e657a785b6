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
5. Of all that is wrong the worst is the error of a repository, and names the others. What could not be
   looked at is not said to be missing. Whether a tag may be signed the new way is judged as `releases` does.
6. Without a key nothing counts as signed the new way.
7. A tag is done when `migrate cosign` would have nothing to write, by any of the keys: in each of the forms,
   under this very name, for the tag's manifest and all that it lists. Without forms any that counts will do.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.cosign.reading import read_signatures
from notarypy.client.cosign.writing import missing
from notarypy.client.metadata.dates import role_entries
from notarypy.client.metadata.lenientrefresh import refresh_outdated
from notarypy.client.metadata.refresh import refresh
from notarypy.client.migrate.inventory import ReportedRepository, ReportedSignature, ReportedTag
from notarypy.client.migrate.losses import losses
from notarypy.client.migrate.releases import below, not_verified
from notarypy.client.parameters import VerifyOptions
from notarypy.client.transfer.progress import StepCounter
from notarypy.client.verify.image import decide, require_served
from notarypy.client.verify.sharing import scope_of
from notarypy.client.workers import gathered, outcomes
from notarypy.cosign.signaturekeys import keys_in
from notarypy.cosign.signatures import FORMS, OtherSignatures, counting
from notarypy.cosign.simplesigning import Claim
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
    PolicyError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
    beginning,
)
from notarypy.images import layout
from notarypy.images.reference import Reference, natural
from notarypy.tuf import policy, roles
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.migrate.inventory import Served
    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.client.verdicts import ReleasedImage
    from notarypy.client.workers import Outcome
    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.cosign.signatures import CosignSignature
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
    *,
    forms: Sequence[str] = FORMS,
    children: bool = True,
) -> Generator[Outcome[ReportedRepository], None, None]:
    """Yield what each repository has, in the order given; `keys` are public keys in PEM, by name.

    UsageError, UnsupportedKeyError, when the first is asked for: nothing is migrated so, or that is no key.
    """
    session.refuse_literal("what is migrated")
    known = {name: _keys_in(name, data) for name, data in keys.items()}
    report = partial(_RepositoryReport, session, known, root, tuple(forms), children, {})
    with StepCounter(progress, "looking") as counter:
        yield from outcomes([report(counter, text).repository for text in texts], _REPOSITORIES)


def _keys_in(name: str, data: bytes) -> Sequence[VerificationKey]:
    try:
        return keys_in(data)
    except UnsupportedKeyError as error:
        raise error.saying(f"it is {name}") from None


@dataclass(frozen=True)
class _RepositoryReport:
    """What one repository has; `silent` are registries and repositories not to be asked again (rule 4)."""

    session: Session
    keys: Mapping[str, Sequence[VerificationKey]]
    root: str | None
    forms: tuple[str, ...]
    children: bool
    silent: dict[str, NotarypyError]
    counter: StepCounter
    text: str

    def repository(self) -> ReportedRepository:
        """Return everything about it (rule 1)."""
        session, (written, _) = self.session, self.session.gun(self.text, whole=True)
        found = ReportedRepository(written, session.now())
        try:
            required = VerifyOptions(root=self.root)
            scope = scope_of(session, self.text, required)
            skipped = not_verified(written, scope, required)
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
            error=_worst(written, tags, skipped or ended, any_key=bool(self.keys)),
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
            message = f"whether {tag.reference} is served was not looked at"
            why = "no registry is asked without a network (--offline)"
            return replace(tag, problem=lacking or NothingThereError(message, why=why))
        try:
            tag, served = self._served(tag, asked, image)
            tag = tag if tag.kept is False else self._signatures(tag, asked, image, served)
        except NotarypyError as error:
            return replace(tag, problem=error)
        return replace(tag, problem=lacking)

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

    def _served(
        self, tag: ReportedTag, asked: Reference, image: ReleasedImage
    ) -> tuple[ReportedTag, Manifest | None]:
        """Compare with the registry (rule 2); return also what it serves as signed."""
        found = self._manifest(asked, tag.tag)
        try:
            if found is not None:
                require_served(image, found)
                return replace(tag, served="same", platforms=found.platforms), found
        except DigestMismatchError:
            tag = replace(tag, served="moved", found=found.digest if found else None)
        kept = self._manifest(asked, image.digest)
        served: Served = "gone" if found is None else "moved"
        platforms = kept.platforms if kept else ()
        return replace(tag, served=served, kept=kept is not None, platforms=platforms), None

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

    def _signatures(
        self, tag: ReportedTag, asked: Reference, image: ReleasedImage, served: Manifest | None
    ) -> ReportedTag:
        """Look for new signatures (rules 3 and 7)."""
        names = {key: name for name, keys in self.keys.items() for key in keys}
        host, _, path = (image.signed_as or image.repository).partition("/")
        named = Reference(host, path, tag.tag, image.digest)
        where, name = (
            (self.session.registry(asked), asked.path, image.digest),
            f"{named.repository}:{tag.tag}",
        )
        found = read_signatures(*where, tuple(names), named=[name])
        ours = counting(found.valid, named)
        signed = (ReportedSignature(one.form, names[one.key], one.reference or None) for one in ours)
        # What is for another tag of the same image is worth a word only where nothing else is there.
        elsewhere = Counter((one.form, one.reference) for one in (() if ours else found.valid))
        others = (
            OtherSignatures(form, f"it is for {other}" if other else "it was signed as another image", count)
            for (form, other), count in elsewhere.items()
        )
        lacks = self._missing(asked, name, served, found.valid) if ours and served else ()
        signatures = tuple(dict.fromkeys(signed))
        return replace(tag, signatures=signatures, others=(*found.others, *others), missing=tuple(lacks))

    def _missing(
        self, asked: Reference, name: str, top: Manifest, valid: Sequence[CosignSignature]
    ) -> Iterator[str]:
        """Yield the forms of signatures that would be written for what is served (rule 7)."""
        forms, path, registry = self.forms, asked.path, self.session.registry(asked)
        yield from missing(valid, [Claim(name, top.digest)], forms).forms
        if not (self.children and forms and top.is_index):
            return
        keys = [key for keys in self.keys.values() for key in keys]
        index = registry.document(path, top.digest).body
        for child in below(registry, path, layout.of(index, top.media_type), index):
            found = read_signatures(registry, path, child.digest, keys, forms=forms, named={name})
            lacks = missing(found.valid, [Claim(name, child.digest)], forms).forms
            yield from (f"{form} of {child.platform or child.digest}" for form in lacks)


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


def _worst(
    repository: str, tags: Sequence[ReportedTag], whole: NotarypyError | None, *, any_key: bool
) -> NotarypyError | None:
    """Return the one error of a repository with what else there is; `whole` is about all of it."""

    def those(served: Served) -> list[ReportedTag]:
        return [tag for tag in tags if tag.served == served]

    nothing = NothingThereError(f"no tag of {repository} is released, so none was looked at")
    found: list[NotarypyError] = list(filter(None, (whole, None if tags else nothing)))
    known = [tag for tag in those("same") if isinstance(tag.problem, PolicyError | None)]
    unsigned, partly = [tag for tag in known if not tag.signatures], [tag for tag in known if tag.missing]
    key = "by a key that was given" if any_key else "as far as is known: no key was given"
    to_sign = Advice("report-unsigned", gun=repository)
    for kind, some, what, to_do in (
        (DigestMismatchError, those("moved"), "not served as signed", None),
        (ImageMissingError, those("gone"), "gone from the registry", None),
        (NotMigratedError, unsigned, f"not signed the new way {key}", to_sign),
        (NotMigratedError, partly, "signed the new way in part", to_sign),
    ):
        if some:
            first, message = some[0], f"{len(some)} of {len(tags)} released tags of {repository} are {what}"
            moved = Advice("report-moved", reference=first.reference)
            gone = Advice("report-gone", reference=first.reference)
            advice = to_do or (moved if first.served == "moved" else gone)
            found.append(kind(message, why=_lines(some), advice=advice, tags=[tag.tag for tag in some]))
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
    return first.saying(*more)


def _lines(tags: Sequence[ReportedTag]) -> tuple[str, ...]:
    lines = [f"{tag.tag}: signed {tag.digest}, served {tag.found}" for tag in tags if tag.found]
    lines = lines or [f"{tag.tag} lacks {', '.join(tag.missing)}" for tag in tags if tag.missing]
    return beginning(lines, _SHOWN) if lines else (_named(tags),)


def _named(tags: Sequence[ReportedTag]) -> str:
    return ", ".join(beginning([tag.tag for tag in tags], _SHOWN))
