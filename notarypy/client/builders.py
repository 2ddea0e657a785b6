"""Programs that build images: what they are told, and how they are run with pinned images.

What it is: the second half of `build`. What it is not: the choice of digests (`bases`), or
a builder.

Rules:

1. The builder gets a Dockerfile of ours, in a directory of its own outside of the context,
   with every image in full and by digest. The ignore file beside the first one stays in
   force, as for BuildKit before the one of the context; buildah and podman are told so.
2. Nothing else may bring an image in: see `builderargs`.
3. An image that is not signed stops everything before the builder is started.
4. The builder is started without a shell, and without the variables of notarypy, Notary and
   docker content trust: those may be passphrases. What it prints goes to standard error.
5. What is signed is the digest that the builder says it has pushed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.builderargs import Arguments
from notarypy.client.buildfile import Told
from notarypy.errors import BuilderError, BuildFileError, UsageError
from notarypy.images import mentions
from notarypy.images import reference as references
from notarypy.images.dockerargs import Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.client.bases import Pinning
    from notarypy.client.buildfile import PinnedFile, PinnedImage
    from notarypy.client.results import SignedTag
    from notarypy.client.session import Session

_SECRET = re.compile(r"(NOTARYPY_|NOTARY_|DOCKER_CONTENT_TRUST)")
_IGNORE = (".dockerignore", ".containerignore")
_STANDARD_ERROR = 2


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
        heredocs: Whether every release of it knows heredocs.
        ignore: Its option for an ignore file, if it does not look beside the Dockerfile.
    """

    name: str
    command: tuple[str, ...]
    file: str = "--file"
    usual: tuple[str, ...] = ("Dockerfile", "dockerfile")
    push: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    heredocs: bool = False
    ignore: str = ""


_CONTAINERFILES = ("Containerfile", "Dockerfile")
BUILDERS = {
    each.name: each
    for each in (
        Builder("buildx", ("docker", "buildx", "build"), reserved=("metadata-file",), heredocs=True),
        Builder(
            "buildah",
            ("buildah", "build"),
            usual=_CONTAINERFILES,
            push=("buildah", "push"),
            reserved=("manifest",),
            ignore="--ignorefile",
        ),
        Builder(
            "podman",
            ("podman", "build"),
            usual=_CONTAINERFILES,
            push=("podman", "push"),
            reserved=("manifest",),
            ignore="--ignorefile",
        ),
        Builder("kaniko", ("/kaniko/executor",), "--dockerfile", reserved=("digest-file",)),
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
        ignored: The ignore files of the Dockerfile, by what their names end with.
        environ: The builder's environment.
    """

    builder: Builder
    file: Path
    pinned: PinnedFile
    contexts: tuple[PinnedImage, ...]
    arguments: tuple[str, ...]
    sign: str | None
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


def plan(
    session: Session,
    pinning: Pinning,
    arguments: Sequence[str],
    *,
    name: str | None,
    file: str | None,
    sign: str | None,
) -> Plan:
    """Read the arguments, then verify and pin; see `Bases.plan_build`."""
    environ = {key: value for key, value in session.settings.environ.items() if not _SECRET.match(key)}
    told = Arguments.read(arguments, environ)
    target = None if sign is None else _tag(sign)
    builder = _builder(name, environ)
    if target is not None:
        _check_signing(builder, told)
    kaniko = builder.name == "kaniko"
    path = _file(file, told.context(arguments, is_option=kaniko), builder)
    try:
        data = files.read_regular(path, mentions.LIMIT, follow=True)
    except FileNotFoundError:
        raise UsageError(f"there is no {path}", fix="name the Dockerfile with --file") from None
    pinning.wish = replace(pinning.wish, contexts=told.replaced())
    pinned = pinning.file(
        data, str(file or path), "dockerfile", Told(Options(told.build_args, told.platform))
    )
    if pinned.hidden and not builder.heredocs:
        raise BuildFileError(
            f"{pinned.source}:{pinned.hidden[0]}: {builder.name} may take images from this heredoc",
            why="not every release of it knows heredocs; to the others these lines are instructions",
            fix="put the text into a file and COPY it, or take --builder buildx",
            file=pinned.source,
            line=pinned.hidden[0],
        )
    contexts, argv = told.pin_contexts(pinning, arguments)
    return Plan(builder, path, pinned, contexts, argv, target, _ignore_files(path), environ)


def run(wanted: Plan) -> str | None:
    """Run the builder; return the digest that it pushed, if that is the plan."""
    wanted.check()
    data = wanted.pinned.data
    with tempfile.TemporaryDirectory(prefix="notarypy-build-") as directory:
        folder = Path(directory)
        copied = folder / wanted.file.name
        copied.write_bytes(data)
        for ending, content in wanted.ignored.items():
            copied.with_name(f"{copied.name}{ending}").write_bytes(content)
        report = folder / "digest"
        command = [*wanted.builder.command, wanted.builder.file, str(copied)]
        for ending in [*wanted.ignored][-1:] if wanted.builder.ignore else ():
            command += [wanted.builder.ignore, str(copied.with_name(f"{copied.name}{ending}"))]
        _run([*command, *_signing(wanted, report), *wanted.arguments], wanted)
        if wanted.sign is not None and wanted.builder.push:
            _run([*wanted.builder.push, "--digestfile", str(report), wanted.sign], wanted)
        return None if wanted.sign is None else _digest(report, wanted.builder)


def _tag(sign: str) -> str:
    parsed = references.parse(sign)
    if parsed.digest is not None:
        raise UsageError(f'"{sign}" has a digest', why="the digest is what comes out of the build")
    return str(parsed if parsed.tag else parsed.with_tag("latest"))


def _builder(name: str | None, environ: Mapping[str, str]) -> Builder:
    """Return the builder that is asked for, or the first of the usual ones that is here."""
    if name is not None:
        if name not in BUILDERS:
            raise UsageError(f'there is no builder "{name}"', fix=f"one of {', '.join(BUILDERS)}")
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
        raise BuilderError(f"{name} is not here", why="no directory of PATH has it", fix=f"install {name}")
    return found


def _check_signing(builder: Builder, told: Arguments) -> None:
    if builder.name == "docker":
        raise UsageError(
            "--sign does not go with docker build",
            why="it does not say which digest it has pushed",
            fix="take --builder buildx, or push and run: notarypy sign REF",
        )
    for option in builder.reserved:
        if option in told.options:
            raise UsageError(f"--{option} does not go with --sign", fix="leave one of them out")


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
            found[ending] = files.read_regular(beside, mentions.LIMIT, follow=True)
    return found


def _signing(wanted: Plan, report: Path) -> list[str]:
    """Return the options that make a builder tag, push and tell the digest."""
    if wanted.sign is None:
        return []
    return {
        "buildx": ["--metadata-file", str(report), "--tag", wanted.sign, "--push"],
        "kaniko": ["--digest-file", str(report), "--destination", wanted.sign],
    }.get(wanted.builder.name, ["--tag", wanted.sign])


def _run(command: list[str], wanted: Plan) -> None:
    """Run a program (rule 4)."""
    name = " ".join([Path(command[0]).name, *(command[1:2])])
    try:
        done = subprocess.run(  # noqa: S603 - the builder that was asked for, with the caller's arguments
            command, env=dict(wanted.environ), stdout=_STANDARD_ERROR, check=False
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its arguments cannot be used"
        raise BuilderError(f"{name} cannot be started", why=reason) from None
    if done.returncode:
        code = done.returncode
        ended = f"it ended with status {code}" if code > 0 else f"it was killed by signal {-code}"
        raise BuilderError(f"{name} failed", why=ended, fix="see what it says above", status=code)


def _digest(report: Path, builder: Builder) -> str:
    """Return the digest that the builder says it has pushed (rule 5)."""
    try:
        text = files.read_regular(report, mentions.LIMIT).decode()
        found = json.loads(text)["containerimage.digest"] if builder.name == "buildx" else text.strip()
        return references.check_digest(str(found))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, UsageError):
        raise BuilderError(
            f"{builder.name} does not say which digest it has pushed", fix="push it, then: notarypy sign REF"
        ) from None
