"""Programs that build images: what they are told, and how they are run with pinned images.

What it is: the second half of `build`, up to the start. What it is not: the choice of
digests (`bases`), the run (`builderrun`), or a builder.

Rules:

1. The builder gets a Dockerfile of ours, in a directory of its own outside of the context,
   with every image in full and by digest. The ignore file beside the first one stays in
   force, as for BuildKit before the one of the context; buildah and podman are told so.
   Builders that do not read by BuildKit's rules get it so written that there is one way to
   read it (`images.dockerfile.portable`); what cannot be written so is refused.
2. Nothing else may bring an image in: see `builderargs`.
3. An image that is not signed stops everything before the builder is started.
4. One image is signed: several platforms are for builders that push them as one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.build.arguments import Arguments
from notarypy.client.build.inputs import FileVariables
from notarypy.client.build.resolver import Resolver, resolver
from notarypy.errors import Advice, BuilderError, BuildFileError, UsageError
from notarypy.images import occurrences
from notarypy.images import reference as references
from notarypy.images.dockerfile import portable, stages
from notarypy.images.dockerfile.variables import BuildOptions
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.client.build.inputs import PinnedFile, PinnedImage
    from notarypy.client.parameters import PinOptions
    from notarypy.client.results import SignedTag
    from notarypy.client.session import Session

_SECRET = re.compile(r"(NOTARYPY_|NOTARY_|DOCKER_CONTENT_TRUST)")
_IGNORE = (".dockerignore", ".containerignore")


@dataclass(frozen=True)
class Builder:
    """A program that builds images.

    Attributes:
        name: Its name here.
        command: The command that builds.
        file: Its option for the Dockerfile.
        usual: Names of the Dockerfile in a context, the first that is there.
        push: The command that pushes, if building does not.
        reserved: Options that `sign` needs for itself.
        buildkit: Whether it reads Dockerfiles by the rules of BuildKit, in every release.
        ignore: Its option for an ignore file, if it does not look beside the Dockerfile.
    """

    name: str
    command: tuple[str, ...]
    file: str = "--file"
    usual: tuple[str, ...] = ("Dockerfile", "dockerfile")
    push: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    buildkit: bool = False
    ignore: str = ""


_CONTAINERFILES = ("Containerfile", "Dockerfile")
BUILDERS = {
    each.name: each
    for each in (
        Builder("buildx", ("docker", "buildx", "build"), reserved=("metadata-file",), buildkit=True),
        *(
            Builder(
                name,
                (name, "build"),
                usual=_CONTAINERFILES,
                push=(name, "push"),
                reserved=("manifest", "iidfile"),
                ignore="--ignorefile",
            )
            for name in ("buildah", "podman")
        ),
        Builder("kaniko", ("/kaniko/executor",), "--dockerfile", reserved=("digest-file", "no-push")),
        Builder("docker", ("docker", "build")),
    )
}


@dataclass(frozen=True)
class Plan:
    """A build that may begin if none of its images failed.

    Attributes:
        builder: The builder.
        file: The Dockerfile.
        pinned: What became of its images.
        contexts: What became of images that are build contexts.
        arguments: What the builder is told.
        sign: `REPO:TAG` to push and sign, or None.
        copy: The Dockerfile for builders that are not BuildKit; else None.
        connection: Options that reach the builder's store, and the registry.
        ignored: The ignore files of the Dockerfile, by what their names end with.
        environ: The builder's environment.
    """

    builder: Builder
    file: Path
    pinned: PinnedFile
    contexts: tuple[PinnedImage, ...]
    arguments: tuple[str, ...]
    sign: str | None
    copy: bytes | None = None
    connection: tuple[str, ...] = field(default=(), repr=False)
    ignored: Mapping[str, bytes] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def images(self) -> tuple[PinnedImage, ...]:
        """All images of the build."""
        return (*self.pinned.images, *self.contexts)

    def check(self) -> None:
        """Raise what failed for the first image that failed."""
        for image in self.images:
            if image.error is not None:
                raise image.error


@dataclass(frozen=True)
class Built:
    """A build that went well: the digest it pushed and the tag it signed, if that was the plan."""

    builder: str
    digest: str | None = None
    signed: SignedTag | None = None


def plan_build(
    session: Session,
    arguments: Sequence[str],
    options: PinOptions,
    *,
    name: str | None,
    file: str | None,
    sign: str | None,
) -> Plan:
    """Read the arguments, then verify and pin, and say what was to be skipped and is named nowhere."""
    images = resolver(session, options)
    found = _plan(session, images, arguments, name=name, file=file, sign=sign)
    images.warn_of_unused()
    return found


def _plan(
    session: Session,
    images: Resolver,
    arguments: Sequence[str],
    *,
    name: str | None,
    file: str | None,
    sign: str | None,
) -> Plan:
    environ = {key: value for key, value in session.settings.environ.items() if not _SECRET.match(key)}
    told = Arguments.read(arguments, environ)
    target = None if sign is None else _tag(sign)
    builder = _builder(name, environ)
    if target is not None:
        _check_signing(builder, told)
    kaniko = builder.name == "kaniko"
    path = _file(file, told.context(arguments, is_option=kaniko), builder)
    try:
        data = files.read_regular(path, DEFAULT.build_file_bytes, follow=True)
    except FileNotFoundError:
        raise UsageError(f"there is no {path}", advice=Advice("name-dockerfile")) from None
    images.options = replace(
        images.options, replaced=lambda occurrence: told.replaces(occurrence, buildkit=builder.buildkit)
    )
    options = BuildOptions(told.build_args, told.platform)
    pinned = images.file(data, str(file or path), "dockerfile", FileVariables(options))
    contexts, argv = told.pin_contexts(images, arguments)
    wanted = Plan(
        builder,
        path,
        pinned,
        contexts,
        argv,
        target,
        None,
        tuple(told.connection),
        _ignore_files(path),
        environ,
    )
    if builder.buildkit or any(image.error for image in wanted.images):
        return wanted
    return _in_plain_lines(wanted, told, options)


def _in_plain_lines(wanted: Plan, told: Arguments, options: BuildOptions) -> Plan:
    """Return the plan with a Dockerfile that nobody can read in two ways, and its names (rule 1)."""
    source = wanted.pinned.source
    found = stages.parse(occurrences.decode(wanted.pinned.data, source), source, options)
    told.refuse_stages([stage.name for stage in found.stages])
    plain = portable.write(found, source, wanted.arguments)
    images = [image for image in wanted.pinned.images if image.what != "# syntax"]
    portable.check(plain, [image.reference or image.image for image in images], source)
    argv = wanted.arguments
    if told.target:
        argv = told.retarget(argv, plain.stage(found, told.target, source))
    return replace(wanted, copy=occurrences.encode(plain.text), arguments=argv)


def _tag(sign: str) -> str:
    parsed = references.parse(sign)
    if parsed.digest is not None:
        raise UsageError(f'"{sign}" has a digest', why="the digest is what comes out of the build")
    return str(parsed if parsed.tag else parsed.with_tag("latest"))


def _builder(name: str | None, environ: Mapping[str, str]) -> Builder:
    """Return the builder that is asked for, or the first of the usual ones that is here."""
    if name is not None:
        if name not in BUILDERS:
            raise UsageError(
                f'there is no builder "{name}"', advice=Advice("one-of", names=", ".join(BUILDERS))
            )
        return _here(BUILDERS[name], environ)
    for each in ("buildx", "buildah", "podman"):
        found = BUILDERS[each]
        if shutil.which(found.command[0], path=environ.get("PATH")) and _works(found, environ):
            return _here(found, environ)
    raise BuilderError("there is no builder here", why="docker buildx, buildah and podman were looked for")


def _works(builder: Builder, environ: Mapping[str, str]) -> bool:
    """Tell whether docker has buildx; other programs have only to be there."""
    if builder.name != "buildx":
        return True
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [_program("docker", environ), "buildx", "version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _here(builder: Builder, environ: Mapping[str, str]) -> Builder:
    """Return a builder with the paths of its programs."""
    command = (_program(builder.command[0], environ), *builder.command[1:])
    return replace(builder, command=command, push=(command[0], *builder.push[1:]) if builder.push else ())


def _program(name: str, environ: Mapping[str, str]) -> str:
    """Return the path of a program, from the absolute directories of PATH alone."""
    directories = environ.get("PATH", os.defpath).split(os.pathsep)
    places = os.pathsep.join(directory for directory in directories if Path(directory).is_absolute())
    found = shutil.which(name, path=places) if places or "/" in name else None
    if found is None:
        raise BuilderError(
            f"{name} is not here",
            why="no directory of PATH has it",
            advice=Advice("install-program", program=name),
        )
    return found


def _check_signing(builder: Builder, told: Arguments) -> None:
    if builder.name == "docker":
        raise UsageError(
            "--sign does not go with docker build",
            why="it does not say which digest it has pushed",
            advice=Advice("take-buildx-or-push"),
        )
    if told.several and builder.push:
        raise UsageError(
            f"{builder.name} makes several images of several platforms",
            why="--sign signs one",
            advice=Advice("take-buildx-or-platform"),
        )
    for option in builder.reserved:
        if option in told.options:
            raise UsageError(f"--{option} does not go with --sign", advice=Advice("leave-out-sign"))


def _file(given: str | None, context: Path, builder: Builder) -> Path:
    names = [Path(given)] if given else [context / name for name in builder.usual]
    path = next((name for name in names if name.exists()), names[0]).absolute()
    if path.suffix == ".in":
        raise BuildFileError(f"{path} is for a preprocessor", why="builders run one on files that end in .in")
    return path


def _ignore_files(path: Path) -> dict[str, bytes]:
    found = {}
    for ending in _IGNORE:
        beside = path.with_name(f"{path.name}{ending}")
        if beside.is_file():
            found[ending] = files.read_regular(beside, DEFAULT.build_file_bytes, follow=True)
    return found
