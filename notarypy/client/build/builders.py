"""Programs that build images: which there are, how they are run as planned, and the digest they push.

What it is: the part of `build` that starts programs. What it is not: the decision what to start
(`arguments`), or the choice of digests (`resolver`).

Rules:

1. Everything that the builder gets or writes for us is in a new directory of our own, which goes away with
   it. So what is found there is of this build.
2. A program is started without a shell, in a session of its own, and without the variables of notarypy,
   Notary and docker content trust: those may be passphrases. What it prints goes to standard error. Whoever
   interrupts us ends all of its processes too, before anything else.
3. What is signed is the digest that the builder says it has pushed. Builders that push in a second step are
   made to push the very image that the first one made, by its id, from the store that it was made in. Without
   an id nothing is pushed.
4. Programs are looked for in the absolute directories of PATH alone.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files, system
from notarypy.client.parameters import SignOptions
from notarypy.client.publish.signing import require_signable, sign_all
from notarypy.errors import Advice, BuilderError, NotarypyError, UsageError
from notarypy.images import reference as references
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from notarypy.client.build.inputs import PinnedFile, PinnedImage
    from notarypy.client.results import SignedTag
    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
_SECRET = re.compile(r"(NOTARYPY_|NOTARY_|DOCKER_CONTENT_TRUST)")
_STANDARD_ERROR = 2
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_PATIENCE = 10


@dataclass(frozen=True)
class Builder:
    """A program that builds images.

    `file` is its option for the Dockerfile, whose `usual` names in a context count in this order; `push` is
    the command that pushes, if building does not. Options that signing needs are `reserved`. `buildkit` says
    that every release reads Dockerfiles by the rules of BuildKit; `ignore` is the option for an ignore file,
    if it does not look beside the Dockerfile.
    """

    name: str
    command: tuple[str, ...]
    file: str = "--file"
    usual: tuple[str, ...] = ("Dockerfile", "dockerfile")
    push: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    buildkit: bool = False
    ignore: str = ""


_BUILDAH = Builder(
    "buildah",
    ("buildah", "build"),
    usual=("Containerfile", "Dockerfile"),
    push=("buildah", "push"),
    reserved=("manifest", "iidfile"),
    ignore="--ignorefile",
)
BUILDERS = {
    "buildx": Builder("buildx", ("docker", "buildx", "build"), reserved=("metadata-file",), buildkit=True),
    "buildah": _BUILDAH,
    "podman": replace(_BUILDAH, name="podman", command=("podman", "build"), push=("podman", "push")),
    "kaniko": Builder("kaniko", ("/kaniko/executor",), "--dockerfile", reserved=("digest-file", "no-push")),
    "docker": Builder("docker", ("docker", "build")),
}


@dataclass(frozen=True)
class Plan:
    """A build that may begin if none of its images failed.

    `pinned` says what became of the images of the Dockerfile, `file`, and `contexts` of those that are build
    contexts. `sign` is a `REPO:TAG` to push and sign; `copy` is the Dockerfile for builders that are not
    BuildKit. Options for the `connection` reach the builder's store and the registry. Ignore files of the
    Dockerfile, `ignored`, go by what their names end with.
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


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a builder may see (rule 2)."""
    return {key: value for key, value in environ.items() if not _SECRET.match(key)}


def find(name: str | None, environ: Mapping[str, str]) -> Builder:
    """Return the builder of a name, or the first of the usual ones that is here, with its programs' paths."""
    if name is not None and name not in BUILDERS:
        raise UsageError(f'there is no builder "{name}"', advice=Advice("one-of", names=", ".join(BUILDERS)))
    usual = (BUILDERS[each] for each in ("buildx", "buildah", "podman"))
    found = BUILDERS[name] if name else next((each for each in usual if _is_here(each, environ)), None)
    if found is None:
        why = "docker buildx, buildah and podman were looked for"
        raise BuilderError("there is no builder here", why=why)
    program = _program(found.command[0], environ)
    if name == "buildx" and not _is_here(found, environ):
        why = "docker buildx version fails"
        raise BuilderError("docker has no buildx here", why=why, advice=Advice("install-buildx"))
    push = (program, *found.push[1:]) if found.push else ()
    return replace(found, command=(program, *found.command[1:]), push=push)


def _is_here(builder: Builder, environ: Mapping[str, str]) -> bool:
    """Tell whether a program is there; docker must have buildx too."""
    if not shutil.which(builder.command[0], path=environ.get("PATH")):
        return False
    if builder.name != "buildx":
        return True
    command, nothing = [_program("docker", environ), "buildx", "version"], subprocess.DEVNULL
    try:
        subprocess.run(  # noqa: S603 - a fixed command
            command, env=dict(environ), stdin=nothing, stdout=nothing, stderr=nothing, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _program(name: str, environ: Mapping[str, str]) -> str:
    """Return the path of a program (rule 4)."""
    directories = environ.get("PATH", os.defpath).split(os.pathsep)
    places = os.pathsep.join(directory for directory in directories if Path(directory).is_absolute())
    found = shutil.which(name, path=places) if places or "/" in name else None
    if found is None:
        advice = Advice("install-program", program=name)
        raise BuilderError(f"{name} is not here", why="no directory of PATH has it", advice=advice)
    return found


def build(session: Session, plan: Plan) -> Built:
    """Run the builder; sign what it pushed, if that is the plan and, so far as can be seen, possible."""
    plan.check()
    if plan.sign is None:
        _build(plan)
        return Built(plan.builder.name)
    tag = references.parse(plan.sign).tag or "latest"
    require_signable(session, plan.sign, {tag}, SignOptions())
    digest = _build(plan)
    try:
        (signed,) = sign_all(session, [f"{plan.sign}@{digest}"], SignOptions())
    except NotarypyError as error:
        error.why = (*error.why, f"{plan.sign} was pushed with {digest}, and is not signed")
        raise
    return Built(plan.builder.name, digest, signed)


def _build(plan: Plan) -> str | None:
    """Run the builder; return the digest that it pushed, if that is the plan (rules 1 and 3)."""
    builder = plan.builder
    with tempfile.TemporaryDirectory(prefix="notarypy-build-") as directory:
        folder = Path(directory)
        copied = folder / plan.file.name
        copied.write_bytes(plan.pinned.data if plan.copy is None else plan.copy)
        command = [*builder.command, builder.file, str(copied)]
        for ending, content in plan.ignored.items():
            (beside := copied.with_name(f"{copied.name}{ending}")).write_bytes(content)
        if plan.ignored and builder.ignore:
            command += [builder.ignore, str(beside)]  # the last one counts
        environ = _environ(plan, folder)
        _run([*command, *_signing(plan, folder), *plan.arguments], environ)
        if plan.sign is None:
            return None
        report = folder / "digest"
        if builder.push:
            image = _image_id(folder / "image", builder)
            command = [*builder.push, *plan.connection, "--digestfile", str(report)]
            _run([*command, image, f"docker://{plan.sign}"], environ)
        return _digest(report, builder)


def _environ(plan: Plan, folder: Path) -> dict[str, str]:
    # A configuration of docker without its file has no logins. Docker takes it so; buildah and podman fail,
    # unless another file says that there are none.
    found = dict(plan.environ)
    docker = found.get("DOCKER_CONFIG")
    if plan.builder.push and docker and "REGISTRY_AUTH_FILE" not in found:
        with suppress(OSError, ValueError):
            if not (Path(docker) / "config.json").exists():
                (folder / "auth.json").write_text("{}")
                found["REGISTRY_AUTH_FILE"] = str(folder / "auth.json")
    return found


def _signing(plan: Plan, folder: Path) -> list[str]:
    if plan.sign is None:
        return []
    report = str(folder / "digest")
    return {
        "buildx": ["--metadata-file", report, "--tag", plan.sign, "--push"],
        "kaniko": ["--digest-file", report, "--destination", plan.sign],
    }.get(plan.builder.name, ["--iidfile", str(folder / "image"), "--tag", plan.sign])


def _run(command: list[str], environ: dict[str, str]) -> None:
    """Run a program (rule 2)."""
    name = " ".join([Path(command[0]).name, *(command[1:2])])
    _LOG.debug("running %s with %d arguments", command[0], len(command) - 1)
    process = None
    try:
        with _signals_held():
            process = subprocess.Popen(  # noqa: S603 - the builder that was asked for, with the caller's arguments
                command, env=environ, stdout=_STANDARD_ERROR, start_new_session=True
            )
        code = process.wait()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its arguments cannot be used"
        raise BuilderError(f"{name} cannot be started", why=reason) from None
    except BaseException:
        if process is not None:
            _end(process)
        raise
    if code:
        ended = f"it ended with status {code}" if code > 0 else f"it was killed by signal {-code}"
        raise BuilderError(f"{name} failed", why=ended, advice=Advice("see-builder-output"), status=code)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Keep what ends this process waiting: a program that is being started could not be ended yet."""
    came: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # only there do signals interrupt
        numbers = []
    handlers = {number: signal.getsignal(number) for number in numbers if callable(signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda caught, _: came.append(caught))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started in its session's first group of processes."""
    if system.WINDOWS:  # it has no such groups
        process.terminate()
        process.wait()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _image_id(report: Path, builder: Builder) -> str:
    """Return the id of the image that was built just now (rule 3)."""
    try:
        match = _IMAGE_ID.fullmatch(files.read_regular(report, DEFAULT.build_file_bytes).decode().strip())
    except (FileNotFoundError, ValueError):
        match = None
    if match is None:
        what, advice = f"{builder.name} does not say which image it has built", Advice("build-one-image")
        raise BuilderError(what, why="nothing was pushed or signed", advice=advice)
    return match[1]


def _digest(report: Path, builder: Builder) -> str:
    """Return the digest that the builder says it has pushed (rule 3)."""
    try:
        text = files.read_regular(report, DEFAULT.build_file_bytes).decode()
        found = json.loads(text)["containerimage.digest"] if builder.name == "buildx" else text.strip()
        digest = references.check_digest(str(found))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, UsageError):
        what = f"{builder.name} does not say which digest it has pushed"
        raise BuilderError(what, advice=Advice("push-then-sign")) from None
    _LOG.debug("%s pushed %s", builder.name, digest)
    return digest
