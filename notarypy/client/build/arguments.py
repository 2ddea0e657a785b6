"""The arguments of a builder, as far as they decide which images a build takes, and the plan of that build.

What it is: what docker, buildah, podman and kaniko take in much the same words. What it is not: all of their
options; what decides on no image is passed on unread. Nothing is started here (`builders`).

Rules:

1. Read, because images may depend on them: build arguments, platform, target, build contexts and kaniko's
   context. A target leaves no stage out here: what is not read as an option by mistake must not be built
   unverified.
2. Refused, because they bring images in past the Dockerfile: another Dockerfile, another first image, another
   frontend, files of build arguments, a preprocessor. And, for builders that get the Dockerfile with other
   names of stages, a context that has the name of a stage.
3. Short options stand alone, so that none hides another.
4. An image as a build context is verified and pinned in its place. What the Dockerfile names and a context
   takes the place of is no image of the build. BuildKit compares names in full, tag and digest included; the
   others compare the very text, and take only an image in place of another one in FROM.
5. Remembered, for a push that comes after the build: what names the builder's store, how to reach it, and how
   to reach the registry.
6. The builder gets a Dockerfile of ours, in a directory of its own outside of the context, with every image
   in full and by digest. The ignore file beside the first one stays in force, as for BuildKit before the one
   of the context; buildah and podman get an option for it. Builders that do not read by BuildKit's rules get
   it so written that there is one way to read it (`images.dockerfile.portable`); what cannot be written so is
   refused. So is, for BuildKit, a file that releases without heredocs would build from other lines.
7. An image that is not signed stops everything before the builder is started.
8. One image is signed: several platforms are for builders that push them as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.build import builders
from notarypy.client.build.builders import Builder, Plan
from notarypy.client.build.inputs import FileVariables, PinnedImage
from notarypy.client.build.resolver import Resolver, resolver
from notarypy.errors import Advice, BuildFileError, StorageError, UsageError
from notarypy.images import occurrences, platforms
from notarypy.images import reference as references
from notarypy.images.dockerfile import portable, stages
from notarypy.images.dockerfile.lines import lower
from notarypy.images.dockerfile.variables import BuildOptions
from notarypy.images.occurrences import Occurrence
from notarypy.limits import DEFAULT
from notarypy.values import replace

if TYPE_CHECKING:
    from notarypy.client.parameters import PinOptions
    from notarypy.client.session import Session

_IMAGE_CONTEXTS = ("docker-image://", "container-image://", "docker://")
_SHORT = 2
_REFUSED = {
    "file": Advice("give-build-file"),
    "dockerfile": Advice("give-build-file"),
    "from": Advice("write-from"),
    "build-arg-file": Advice("give-build-args"),
    "cpp-flag": Advice("preprocess"),
}
_CONNECTION = frozenset(
    {"root", "runroot", "storage-driver", "storage-opt", "imagestore", "registries-conf"}
    | {"registries-conf-dir", "connection", "url", "identity", "authfile", "cert-dir", "creds"}
)
_SWITCHES = frozenset({"tls-verify", "remote"})
_WITH_VALUE = {*_REFUSED, "build-arg", "platform", "target", "build-context", "context"}
_IGNORE = (".dockerignore", ".containerignore")


class Arguments:
    """What a builder's arguments, `words`, say about images."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str]) -> None:
        """Read them; the environment has the values of build arguments that are only named."""
        self.words = list(words)
        self.target, self.several = "", False
        self.platform: str | None = None
        self.build_args: dict[str, str] = {}
        self.contexts: dict[str, str] = {}
        self.directory: str | None = None
        self.options: set[str] = set()
        self.connection: list[str] = []
        self._environ = environ
        self._targets: list[int] = []
        waiting = iter(enumerate(self.words))
        for place, word in waiting:
            if word == "--" or (word.startswith("-") and not word.startswith("--") and len(word) > _SHORT):
                raise UsageError(f'"{word}" is not understood', advice=Advice("write-short-options"))
            if not word.startswith("-"):
                continue
            name, equals, value = word.partition("=")
            option = {"-f": "file", "-c": "context"}.get(name) or name.removeprefix("--")
            if option in _SWITCHES:
                self.connection.append(word)
            if option in _WITH_VALUE | _CONNECTION:
                at, value = (place, value) if equals else next(waiting, (place, ""))
                if option in _CONNECTION:
                    self.connection += self.words[place : at + 1]
                else:
                    self._take(option, value, at)
            self.options.add(option)
        self.several = self.several or "all-platforms" in self.options
        if "target" in self.options:
            self.build_args.setdefault("TARGETSTAGE", self.target)

    def _take(self, option: str, value: str, place: int) -> None:
        """Take an option that decides on images, and whose value stands in a place."""
        if option in _REFUSED:
            raise UsageError(f"--{option} is not for the builder", advice=_REFUSED[option])
        name, equals, rest = value.partition("=")
        if option == "platform":
            # Several, in one option or in many, or the builder's own: then nothing may depend on it.
            self.several = self.several or option in self.options or "," in value
            self.platform = value if not self.several and platforms.parts(value) else None
        elif option == "target":
            self.target = value
            self._targets.append(place)
        elif option == "context":
            self.directory = value.removeprefix("dir://")
        elif option == "build-context":
            if name in self.contexts:
                raise UsageError(f"the build context {name} is there twice")
            self.contexts[name] = rest
        elif name == "BUILDKIT_SYNTAX":
            raise UsageError("BUILDKIT_SYNTAX is not for the builder", advice=Advice("write-syntax"))
        elif equals or name in self._environ:
            self.build_args[name] = rest if equals else self._environ[name]

    def context(self, *, is_option: bool) -> Path:
        """Return the context: the last argument, or kaniko's option."""
        text = (self.directory if is_option else next(reversed(self.words), "")) or ""
        if not text or not Path(text).is_dir():
            advice = Advice("name-context-option" if is_option else "name-context-last")
            raise UsageError(f'the context "{text}" is no directory here', advice=advice)
        return Path(text)

    def replaces(self, occurrence: Occurrence, *, buildkit: bool) -> bool:
        """Tell whether a context takes the place of an image (rule 4)."""
        if occurrence.kind == "frontend":
            return False
        if buildkit:
            return occurrences.normal(occurrence.image) in map(occurrences.normal, self.contexts)
        value = self.contexts.get(occurrence.image)
        return value is not None and (occurrence.what != "FROM" or value.startswith(_IMAGE_CONTEXTS))

    def refuse_stages(self, names: Sequence[str]) -> None:
        """Raise UsageError for a context that would take the place of one of these stages (rule 2)."""
        taken = {*names, *map(str, range(len(names)))}
        for name in self.contexts:
            if lower(name) in taken:
                advice = Advice("take-buildx-or-name")
                raise UsageError(f'"{name}" is a stage and a build context', advice=advice)

    def retarget(self, stage: str) -> None:
        """Put another target down."""
        for place in self._targets:
            prefix = "--target=" if self.words[place].startswith("--target=") else ""
            self.words[place] = prefix + stage

    def pin_contexts(self, images: Resolver) -> tuple[PinnedImage, ...]:
        """Pin the images among the contexts, and return what became of them (rule 4)."""
        found = []
        for name, value in self.contexts.items():
            scheme = next((each for each in _IMAGE_CONTEXTS if value.startswith(each)), None)
            if scheme is None:
                continue
            image = value.removeprefix(scheme)
            named = Occurrence(image, image, 1, 0, 0, "--build-context")
            found.append(pinned := images.image(f"--build-context {name}", named))
            if pinned.reference is not None:
                new = f"{name}={_IMAGE_CONTEXTS[0]}{pinned.reference}"
                self.words = [word.replace(f"{name}={value}", new) for word in self.words]
        return tuple(found)


def plan_build(
    session: Session,
    words: Sequence[str],
    options: PinOptions,
    *,
    name: str | None,
    file: str | None,
    sign: str | None,
) -> Plan:
    """Read the arguments, then verify and pin, and say what was to be skipped and is named nowhere."""
    images = resolver(session, options)
    environ = builders.without_secrets(session.settings.environ)
    arguments = Arguments(words, environ)
    target = None if sign is None else _tag(sign)
    builder = builders.find(name, environ)
    if target is not None:
        _check_signing(builder, arguments)
    path = _file(file, arguments.context(is_option=builder.name == "kaniko"), builder)
    try:
        data = files.read_regular(path, DEFAULT.build_file_bytes, follow=True)
    except FileNotFoundError:
        raise UsageError(f"there is no {path}", advice=Advice("name-dockerfile")) from None
    by_buildkit = builder.buildkit
    images.options = replace(options, replaced=lambda each: arguments.replaces(each, buildkit=by_buildkit))
    given = BuildOptions(arguments.build_args, arguments.platform)
    pinned = images.file(data, str(file or path), "dockerfile", FileVariables(given))
    contexts, connection = arguments.pin_contexts(images), tuple(arguments.connection)
    plan = Plan(builder, path, pinned, contexts, tuple(arguments.words), target, connection=connection)
    ignored = {
        ending: files.read_regular(beside, DEFAULT.build_file_bytes, follow=True)
        for ending in _IGNORE
        if (beside := path.with_name(f"{path.name}{ending}")).is_file()
    }
    plan = replace(plan, ignored=ignored, environ=environ)
    if not any(image.error for image in plan.images):
        if builder.buildkit:
            _refuse_older_reading(plan, given)
        else:
            plan = _with_portable_copy(plan, arguments, given)
    images.warn_of_unused()
    return plan


def _refuse_older_reading(plan: Plan, options: BuildOptions) -> None:
    """Raise BuildFileError for a file of which an older BuildKit would build other lines (rule 6)."""
    source = plan.pinned.source
    found = stages.parse(occurrences.decode(plan.pinned.data, source), source, options)
    line = found.heredoc_of_instructions()
    if line is not None:
        what = "releases of BuildKit that know no heredocs may take other images here"
        why = "every line of it could be an instruction, its end too"
        raise occurrences.failure(source, line, what, why, Advice("end-heredoc"))


def _with_portable_copy(plan: Plan, arguments: Arguments, options: BuildOptions) -> Plan:
    """Return the plan with a Dockerfile that nobody can read in two ways, and its names (rule 6)."""
    source = plan.pinned.source
    found = stages.parse(occurrences.decode(plan.pinned.data, source), source, options)
    arguments.refuse_stages([stage.name for stage in found.stages])
    copy = portable.write(found, source, plan.arguments)
    images = [image for image in plan.pinned.images if image.what != "# syntax"]
    portable.check(copy, [image.reference or image.image for image in images], source)
    if arguments.target:
        arguments.retarget(copy.stage(found, arguments.target, source))
    return replace(plan, copy=occurrences.encode(copy.text), arguments=tuple(arguments.words))


def _tag(sign: str) -> str:
    parsed = references.parse(sign)
    if parsed.digest is not None:
        raise UsageError(f'"{sign}" has a digest', why="the digest is what comes out of the build")
    return str(parsed if parsed.tag else parsed.with_tag("latest"))


def _check_signing(builder: Builder, arguments: Arguments) -> None:
    """Refuse what does not end in one image with a digest (rule 8)."""
    if builder.name == "docker":
        why = "it does not say which digest it has pushed"
        advice = Advice("take-buildx-or-push")
        raise UsageError("--sign does not go with docker build", why=why, advice=advice)
    if arguments.several and builder.push:
        what = f"{builder.name} makes several images of several platforms"
        raise UsageError(what, why="--sign signs one", advice=Advice("take-buildx-or-platform"))
    for option in builder.reserved:
        if option in arguments.options:
            raise UsageError(f"--{option} does not go with --sign", advice=Advice("leave-out-one"))


def _file(given: str | None, context: Path, builder: Builder) -> Path:
    names = [Path(given)] if given else [context / name for name in builder.usual]
    path = next((name for name in names if name.exists()), names[0]).absolute()
    if not given and context.is_dir() and not path.exists():
        known = " or ".join(builder.usual)
        raise StorageError(
            f"there is no {known} in {context.absolute()}",
            advice=Advice("name-build-file", option=builder.file),
            path=str(path),
        )
    if path.suffix == ".in":
        raise BuildFileError(f"{path} is for a preprocessor", why="builders run one on files that end in .in")
    return path
