"""Pin: every image that a file names is verified, and named by its signed digest.

What it is: the use case behind `pin` and the first half of `build`, and the part of Client
that has them. What it is not: usable alone; `api.Client` is the class to make.

Rules:

1. Each image is admitted as `verify` admits it, trust policy included; each repository is
   refreshed once, each image looked at once, however often it is named.
2. `NAME:TAG` gets the digest that is signed for the tag, also where another one stood.
   `NAME@DIGEST` must be signed, and stays. A name with neither follows `latest`, and says so.
3. With `check` nothing is replaced, and a digest that stands there must be the signed one.
4. Left alone, and told: what the caller or the trust policy skips, the image that reads the
   file, and names that may be stages of a later build. With `strict` the last two are
   images like any other, and a file is refused of which a part is not known here.
5. All images are tried; only a file without a failure gives its new text.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from notarypy.client import buildfile
from notarypy.client.authoring import Authoring
from notarypy.client.buildfile import PinnedFile, PinnedImage, Told
from notarypy.errors import BuildFileError, NotarypyError
from notarypy.images import mentions
from notarypy.images import reference as references
from notarypy.images.dockerargs import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from notarypy.client.admit import Shelf
    from notarypy.client.builders import Built, Plan
    from notarypy.client.buildfile import FileKind
    from notarypy.client.results import VerifiedImage
    from notarypy.client.session import Session
    from notarypy.images.mentions import Mention


@dataclass(frozen=True)
class Wish:
    """How to go about it.

    Attributes:
        skip: REFs of images to leave alone.
        strict: Whether to leave nothing else alone (rule 4).
        check: Whether to look only (rule 3).
        full: Whether to write names in full, with their registry.
        replaced: Tells whether a build context takes the place of an image.
    """

    skip: Sequence[str] = ()
    strict: bool = False
    check: bool = False
    full: bool = False
    replaced: Callable[[Mention], bool] = lambda _: False


@dataclass
class Pinning:
    """What several files share."""

    session: Session
    wish: Wish
    shelf: Shelf
    known: dict[str, VerifiedImage | NotarypyError | str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    def file(self, data: bytes, source: str, kind: FileKind | None, told: Told) -> PinnedFile:
        """Return a file with what became of each of its images (rule 5)."""
        found = buildfile.read(mentions.decode(data, source), source, kind, told)
        if self.wish.strict and found.unknown:
            raise BuildFileError(found.unknown[0], why="--strict leaves nothing alone", file=source)
        for note in found.notes:
            self.session.warn(note)
        for line in () if self.wish.full else found.hidden:
            self.session.warn(f"{source}:{line}: builders other than BuildKit may take other images here")
        images = [self.image(source, mention) for mention in found.mentions]
        names = {
            mention: image.reference
            for mention, image in zip(found.mentions, images, strict=True)
            if image.reference not in {None, self._standing(mention)}
        }
        after = data
        if names and not self.wish.check and not any(image.error for image in images):
            after = mentions.encode(found.with_names(names, told))
            self._tell_variables(source, names)
        return PinnedFile(found, images, data, after)

    def image(self, source: str, mention: Mention) -> PinnedImage:
        """Return what becomes of one image."""
        seen = PinnedImage(mention.line, mention.what, mention.written, mention.image)
        place = f"{source}:{mention.line}"
        try:
            previous = references.parse(mention.image).digest
            left = self._left(mention)
            if left:
                self.session.warn(f"{place}: {mention.image} is NOT VERIFIED: {left}")
                return _changed(seen, left=left, previous=previous)
            return self._admitted(seen, mention, previous, place)
        except NotarypyError as error:
            return _changed(seen, error=_located(error, source, mention))

    def _standing(self, mention: Mention) -> str:
        """Return the name that has to become another one: for a build nothing is left to variables."""
        return mention.written if self.wish.full else mention.image

    def tell_unused(self) -> None:
        """Warn of what was to be skipped and is named nowhere."""
        for text in self.wish.skip:
            if text not in self.skipped:
                self.session.warn(f"nothing names {text}, which was to be skipped")

    def _left(self, mention: Mention) -> str:
        """Return why an image is left alone, or nothing (rule 4)."""
        covering = [text for text in self.wish.skip if mentions.is_covered(mention.image, text)]
        self.skipped.update(covering)
        if covering:
            return f"--skip {covering[0]}"
        if self.wish.replaced(mention):
            return "a build context takes its place"
        if mention.kind == "frontend" and not self.wish.strict:
            return "this image reads the Dockerfile and runs in the build; --strict verifies it"
        if mention.kind == "trigger" and not self.wish.strict:
            return "it may be a stage of a later build; --strict takes it for an image"
        return ""

    def _admitted(self, seen: PinnedImage, mention: Mention, previous: str | None, place: str) -> PinnedImage:
        followed = mention.image if self.wish.check else mentions.followed(mention.image)
        found = self._admit(followed)
        if isinstance(found, str):
            self.session.warn(f"{place}: {mention.image} is NOT VERIFIED: {found}")
            return _changed(seen, left=found, previous=previous)
        if isinstance(found, NotarypyError):
            raise found
        if self.wish.check and previous is None:
            self.session.warn(f"{place}: {mention.image} is signed, and not pinned")
        name = str(references.parse(mention.image)) if self.wish.full else mention.image
        return _changed(
            seen,
            reference=mentions.pinned(name, found.digest),
            digest=found.digest,
            previous=previous,
            verified=found,
        )

    def _admit(self, text: str) -> VerifiedImage | NotarypyError | str:
        """Return an image verified, or why it failed, or why the policy skips it (rule 1)."""
        if text not in self.known:
            try:
                self.known[text] = self._judge(text)
            except NotarypyError as error:
                self.known[text] = error
        return self.known[text]

    def _judge(self, text: str) -> VerifiedImage | str:
        from notarypy.client.admit import Demands, admit, scope_of
        from notarypy.client.results import SkippedImage

        scope = scope_of(self.session, text, Demands())
        if scope is not None and scope.mode == "skip":
            return f"{scope.source} says to skip it"
        found = admit(self.session, text, Demands(), shelf=self.shelf)
        if isinstance(found, SkippedImage):
            raise TypeError("the scope was looked at before")
        return found

    def _tell_variables(self, source: str, names: Mapping[Mention, str]) -> None:
        for mention in names:
            if "$" in mention.written:
                self.session.warn(
                    f"{source}:{mention.line}: {mention.written} is {mention.image} from now on, "
                    "whatever its variables say"
                )


def _changed(seen: PinnedImage, **known: object) -> PinnedImage:
    from dataclasses import replace

    return replace(seen, **known)  # type: ignore[arg-type]  # each caller names members of it


def _located(error: NotarypyError, source: str, mention: Mention) -> NotarypyError:
    """Return an error that says where the image is named."""
    found = copy.copy(error)
    found.message = f"{source}:{mention.line}: {error.message}"
    found.args = (found.message,)
    found.facts = {**error.facts, "file": source, "line": mention.line, "image": mention.image}
    return found


class Bases(Authoring):
    """What a Client can do for builds and workloads that take signed images."""

    def pinning(self, wish: Wish | None = None) -> Pinning:
        """Return what pins several files, with one look at each repository."""
        from notarypy.client.admit import Shelf

        self._session.refuse_literal("pin")
        wish = wish or Wish()
        for text in wish.skip:
            references.parse(text)
        return Pinning(self._session, wish, Shelf())

    def pin(
        self,
        data: bytes,
        *,
        source: str = "Dockerfile",
        kind: FileKind | None = None,
        build_args: Mapping[str, str] | None = None,
        platform: str | None = None,
        target: str | None = None,
        environment: Mapping[str, str] | None = None,
        skip: Sequence[str] = (),
        strict: bool = False,
        check: bool = False,
    ) -> PinnedFile:
        """Verify every image that a file names, and name it by its signed digest.

        Args:
            data: The file: a Dockerfile, a compose file or a Kubernetes manifest.
            source: Its name.
            kind: What it is; None to tell by name and content.
            build_args: The build arguments of a Dockerfile.
            platform: The platform that the build is for, `os/architecture[/variant]`.
            target: The stage that is built; stages behind it are left alone.
            environment: The variables of a compose file; nothing else is looked at.
            skip: REFs of images to leave alone; a repository covers all of its images.
            strict: Leave nothing else alone.
            check: Replace nothing; digests that stand there must be the signed ones.

        Raises:
            BuildFileError: The file cannot be read, or does not say which images it means.

        What fails for a single image is raised by `data` of the result.
        """
        pinning = self.pinning(Wish(skip, strict, check))
        told = Told(Options(build_args or {}, platform, target), environment or {})
        found = pinning.file(data, source, kind, told)
        pinning.tell_unused()
        return found

    def plan_build(
        self,
        arguments: Sequence[str],
        *,
        builder: str | None = None,
        file: str | None = None,
        sign: str | None = None,
        skip: Sequence[str] = (),
        strict: bool = False,
    ) -> Plan:
        """Read a builder's arguments, and verify and pin the images that the build takes.

        Args:
            arguments: What comes after `docker buildx build` or its like; the context is the last.
            builder: `buildx`, `docker`, `buildah`, `podman` or `kaniko`; None for the first that is here.
            file: The Dockerfile; None for the usual one in the context.
            sign: `REPO[:TAG]` to push to and to sign.
            skip: REFs of images to leave alone.
            strict: Leave nothing else alone.

        Raises:
            UsageError: The arguments do not tell which images the build takes.
            BuilderError: There is no builder.
        """
        from notarypy.client import builders

        pinning = self.pinning(Wish(skip, strict, full=True))
        found = builders.plan(self._session, pinning, arguments, name=builder, file=file, sign=sign)
        pinning.tell_unused()
        return found

    def build(self, plan: Plan) -> Built:
        """Run the builder with every image pinned; sign what it pushed, if that is the plan.

        Raises:
            NotarypyError: An image is not signed, or the result could not be: nothing was started.
            BuilderError: The builder failed.
        """
        from notarypy.client import builderrun, builders

        plan.check()
        if plan.sign is None:
            builderrun.run(plan)
            return builders.Built(plan.builder.name)
        self._could_sign_result(plan.sign)
        digest = builderrun.run(plan)
        try:
            (signed,) = self.sign([f"{plan.sign}@{digest}"])
        except NotarypyError as error:
            error.why = (*error.why, f"{plan.sign} was pushed with {digest}, and is not signed")
            raise
        return builders.Built(plan.builder.name, digest, signed)

    def _could_sign_result(self, reference: str) -> None:
        """Raise before a build what signing its result would raise after it."""
        from notarypy.client.sign import Options as Signing

        parsed = references.parse(reference)
        self._check_signable(reference, {parsed.tag or "latest"}, Signing(), init=False)
