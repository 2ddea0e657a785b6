"""Pin: every image that a file names is verified, and named by its signed digest.

What it is: the use case behind `pin` and the first half of `build`. What it is not: the reading of files
(`inputs`).

Rules:

1. Each image is verified as by `verify`, trust policy included; each repository is refreshed once, each image
   looked at once, however often it is named. Those of a file, or of all that are looked at ahead, are
   verified side by side; what there is to say of one is said where it stands.
2. `NAME:TAG` gets the digest that is signed for the tag, also where another one stood. `NAME@DIGEST` must be
   signed, and stays. A name with neither follows `latest`, and says so.
3. With `check` nothing is replaced, and a digest that stands there must be the signed one; with `strict` too
   one must stand there.
4. Left alone, with a warning: what the caller or the trust policy skips, the image that reads the file, and
   names that may be stages of a later build. With `strict` the last two are images like any other, and a file
   is refused of which a part is not known here.
5. All images are tried; only a file without a failure gives its new text.
6. A check in which not one image was verified, while something was left unseen that nobody chose to skip, is
   no check; with `strict` that goes for each file.
"""

from __future__ import annotations

import copy
import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from notarypy.client.build import inputs
from notarypy.client.build.inputs import FileKind, FileVariables, PinnedFile, PinnedImage
from notarypy.client.parameters import PinOptions, Unverified, VerifyOptions
from notarypy.client.verdicts import SkippedImage, VerifiedImage
from notarypy.client.verify.image import verify_unless_skipped
from notarypy.client.verify.many import verify_each
from notarypy.client.verify.sharing import MetadataCache, scope_of
from notarypy.errors import (
    Advice,
    BuildFileError,
    ConfigurationError,
    InvalidNameError,
    NotarypyError,
    NothingThereError,
    UnpinnedError,
)
from notarypy.images import occurrences
from notarypy.images import reference as references
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.build.inputs import BuildInput
    from notarypy.client.session import Session
    from notarypy.client.workers import Outcome
    from notarypy.images.occurrences import Occurrence

_LEFT = {
    "frontend": "this image reads the Dockerfile and runs in the build; --strict verifies it",
    "trigger": "it may be a stage of a later build; --strict takes it for an image",
}
_LOG = logging.getLogger(__name__)


@dataclass
class Resolver:
    """Resolves the images that several files name to signed digests."""

    _session: Session
    options: PinOptions
    _cache: MetadataCache = field(default_factory=MetadataCache)
    _known: dict[str, VerifiedImage | NotarypyError | str] = field(default_factory=dict)
    _ahead: dict[str, Outcome[VerifiedImage | SkippedImage]] = field(default_factory=dict)
    _read: dict[str, tuple[bytes, BuildInput]] = field(default_factory=dict)
    _skipped: set[str] = field(default_factory=set)
    _unseen: list[str] = field(default_factory=list)
    _overlooked: list[str] = field(default_factory=list)

    def file(
        self, data: bytes, source: str, kind: FileKind | None = None, variables: FileVariables | None = None
    ) -> PinnedFile:
        """Return a file with what became of each of its images (rule 5)."""
        variables = variables or FileVariables()
        self.look_ahead([(data, source)], kind, variables)
        before, found = self._read.pop(source, (b"", None))
        if found is None or before is not data:
            found = inputs.read(inputs.decode(data, source, kind), source, kind, variables)
        if self.options.strict and found.unknown:
            raise BuildFileError(found.unknown[0], why="--strict leaves nothing alone", file=source)
        known = len(self._unseen)
        self._unseen += found.notes
        for note in found.notes:
            self._session.warn(note)
        for line in () if self.options.full else found.hidden:
            self._session.warn(f"{source}:{line}: builders other than BuildKit may take other images here")
        images = [self.image(source, occurrence) for occurrence in found.occurrences]
        if not any(image.verified for image in images):
            self._overlooked += self._unseen[known:]
        names = {
            occurrence: image.reference
            for occurrence, image in zip(found.occurrences, images, strict=True)
            # For a build nothing is left to variables: what is written counts.
            if image.reference not in {None, image.written if self.options.full else image.image}
        }
        if not names or self.options.check or any(image.error for image in images):
            return PinnedFile(found, images, data, data)
        after = occurrences.encode(found.with_names(names, variables))
        for occurrence in names:
            if "$" in occurrence.written:
                note = f"{occurrence.written} is {occurrence.image} from now on, whatever its variables say"
                self._session.warn(f"{source}:{occurrence.line}: {note}")
        return PinnedFile(found, images, data, after)

    def look_ahead(
        self,
        given: Sequence[tuple[bytes, str]],
        kind: FileKind | None = None,
        variables: FileVariables | None = None,
    ) -> None:
        """Verify the images of several files side by side; `file` is called for each of them after it."""
        variables = variables or FileVariables()
        for data, source in given:
            if source not in self._read:
                with suppress(NotarypyError):  # which `file` raises
                    found = inputs.read(inputs.decode(data, source, kind), source, kind, variables)
                    self._read[source] = data, found
        listed = [each for _, found in self._read.values() for each in found.occurrences]
        texts = list(dict.fromkeys(text for each in listed if (text := self._to_be_verified(each))))
        if len(texts) > 1:
            with closing(verify_each(self._session, texts, VerifyOptions(), self._cache)) as outcomes:
                self._ahead.update(zip(texts, outcomes, strict=True))

    def _to_be_verified(self, occurrence: Occurrence) -> str:
        """Return the name by which an image will be verified that was not yet; nothing for others."""
        with suppress(NotarypyError):
            references.parse(occurrence.image)
            text = self._name(occurrence)
            known = text in self._known or text in self._ahead
            if not (known or self._why_left(occurrence) or self._skips(text)):
                return text
        return ""

    def image(self, source: str, occurrence: Occurrence) -> PinnedImage:
        """Return what becomes of one image."""
        seen = PinnedImage(occurrence.line, occurrence.what, occurrence.written, occurrence.image)
        place = f"{source}:{occurrence.line}"
        try:
            seen = replace(seen, previous=references.parse(occurrence.image).digest)
            found = self._left(occurrence) or self._verified(occurrence)
            if isinstance(found, str):
                _LOG.debug("%s: %s is left alone: %s", place, occurrence.image, found)
                self._session.warn(Unverified(f"{place}: {occurrence.image} is NOT VERIFIED: {found}"))
                return replace(seen, left=found)
            if self.options.check:
                self._check_pinned(source, occurrence, seen.previous)
            name = str(references.parse(occurrence.image)) if self.options.full else occurrence.image
            reference = occurrences.pinned(name, found.digest)
        except NotarypyError as error:
            _LOG.debug("%s: %s fails: %s", place, occurrence.image, error.code)
            return replace(seen, previous=None, error=_located(error, source, occurrence))
        _LOG.debug("%s: %s is resolved to %s", place, occurrence.image, found.digest)
        return replace(seen, reference=reference, digest=found.digest, verified=found)

    def _check_pinned(self, source: str, occurrence: Occurrence, digest: str | None) -> None:
        """Warn of a signed image whose digest does not stand in the file; with `strict` raise (rule 3)."""
        if digest is not None and occurrence.written.endswith(digest):
            return
        what = f"{occurrence.image} is signed, and not pinned"
        if digest is not None:
            what = f"{occurrence.written} is {occurrence.image} only while its variables say so"
        if self.options.strict:
            why, advice = "--strict requires the digest to stand in the file", Advice("pin-file", file=source)
            raise UnpinnedError(what, why=why, advice=advice)
        self._session.warn(f"{source}:{occurrence.line}: {what}")

    def warn_of_unused(self) -> None:
        """Warn of what was to be skipped and is named nowhere."""
        for text in self.options.skip:
            if text not in self._skipped:
                self._session.warn(f"nothing names {text}, which was to be skipped")

    def require_looked(self) -> None:
        """Raise NothingThereError for a check that looked at nothing (rule 6)."""
        nothing = not any(isinstance(found, VerifiedImage) for found in self._known.values())
        if self._unseen and nothing:
            what, unseen = "not one image was verified", self._unseen
        elif self._overlooked and self.options.strict:
            what, unseen = "files of which nothing was verified", self._overlooked
        else:
            return
        raise NothingThereError(what, why=tuple(unseen[:10]), advice=Advice("name-files-with-images"))

    def _left(self, occurrence: Occurrence) -> str:
        """Return why an image is left alone, or nothing (rule 4), and remember it."""
        self._skipped.update(self._covering(occurrence))
        left = self._why_left(occurrence)
        if left and left == _LEFT.get(occurrence.kind):
            self._unseen.append(f"{occurrence.image} is left alone: {left}")
        return left

    def _covering(self, occurrence: Occurrence) -> list[str]:
        return [text for text in self.options.skip if occurrences.is_covered(occurrence.image, text)]

    def _why_left(self, occurrence: Occurrence) -> str:
        if covering := self._covering(occurrence):
            return f"--skip {covering[0]}"
        if self.options.replaced(occurrence):
            return "a build context takes its place"
        return "" if self.options.strict else _LEFT.get(occurrence.kind, "")

    def _name(self, occurrence: Occurrence) -> str:
        """Return the name by which an image is verified (rules 2 and 3)."""
        return occurrence.image if self.options.check else occurrences.followed(occurrence.image)

    def _verified(self, occurrence: Occurrence) -> VerifiedImage | str:
        """Return an image verified, or why the policy skips it; raise why it failed (rule 1)."""
        text = self._name(occurrence)
        if text not in self._known:
            try:
                self._known[text] = self._judge(text)
            except NotarypyError as error:
                self._known[text] = error
        if isinstance(found := self._known[text], NotarypyError):
            raise found
        return found

    def _judge(self, text: str) -> VerifiedImage | str:
        if skips := self._skips(text):
            return skips
        if (ahead := self._ahead.pop(text, None)) is not None:
            found = ahead.get()
        else:
            found = verify_unless_skipped(self._session, text, VerifyOptions(), cache=self._cache)
        if isinstance(found, SkippedImage):
            raise TypeError("the scope was looked at before")
        return found

    def _skips(self, text: str) -> str:
        """Return why the trust policy skips an image; nothing if it does not."""
        scope = scope_of(self._session, text, VerifyOptions())
        return f"{scope.source} says to skip it" if scope is not None and scope.mode == "skip" else ""


def _located(error: NotarypyError, source: str, occurrence: Occurrence) -> NotarypyError:
    if isinstance(error, ConfigurationError):  # what is at fault is another file, which it names
        return error
    found = copy.copy(error)
    if found.advice is None and isinstance(found, InvalidNameError):
        place = f"{source}:{occurrence.line}"
        found.advice = Advice("mend-place", place=place)
        if "{{" in occurrence.written:
            found.advice = Advice("render-first", place=place)
    found.message = f"{source}:{occurrence.line}: {error.message}"
    found.args = (found.message,)
    found.facts = {**error.facts, "file": source, "line": occurrence.line, "image": occurrence.image}
    return found


def resolver(session: Session, options: PinOptions) -> Resolver:
    """Return what resolves the images of several files, with one look at each repository."""
    session.refuse_literal("pin")
    for text in options.skip:
        references.parse(text)
    return Resolver(session, options)
