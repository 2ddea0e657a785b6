"""Run a builder as planned: its Dockerfile, its process, and the digest that it pushed.

What it is: the part of `build` that starts programs. What it is not: the decision what to
start (`builders`).

Rules:

1. Everything that the builder gets or writes for us is in a new directory of our own, which
   goes away with it. So what is found there is of this build.
2. A program is started without a shell, in a session of its own, and without the variables of
   notarypy, Notary and docker content trust: those may be passphrases. What it prints goes to
   standard error. Whoever interrupts us ends all of its processes too, before anything else.
3. What is signed is the digest that the builder says it has pushed. Builders that push in a
   second step are told to push the very image that the first one made, by its id, from the
   store that it was made in. Without an id nothing is pushed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.build.builders import Built
from notarypy.client.parameters import SignOptions
from notarypy.client.publish.signing import require_signable, sign_all
from notarypy.errors import Advice, BuilderError, NotarypyError, UsageError
from notarypy.images import reference as references
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from notarypy.client.build.builders import Builder, Plan
    from notarypy.client.session import Session

_STANDARD_ERROR = 2
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_PATIENCE = 10


def build(session: Session, plan: Plan) -> Built:
    """Run the builder; sign what it pushed, if that is the plan and, so far as can be told, possible."""
    plan.check()
    if plan.sign is None:
        run(plan)
        return Built(plan.builder.name)
    tag = references.parse(plan.sign).tag or "latest"
    require_signable(session, plan.sign, {tag}, SignOptions())
    digest = run(plan)
    try:
        (signed,) = sign_all(session, [f"{plan.sign}@{digest}"], SignOptions())
    except NotarypyError as error:
        error.why = (*error.why, f"{plan.sign} was pushed with {digest}, and is not signed")
        raise
    return Built(plan.builder.name, digest, signed)


def run(wanted: Plan) -> str | None:
    """Run the builder; return the digest that it pushed, if that is the plan."""
    wanted.check()
    data = wanted.pinned.data if wanted.copy is None else wanted.copy
    with tempfile.TemporaryDirectory(prefix="notarypy-build-") as directory:
        folder = Path(directory)
        copied = folder / wanted.file.name
        copied.write_bytes(data)
        for ending, content in wanted.ignored.items():
            copied.with_name(f"{copied.name}{ending}").write_bytes(content)
        command = [*wanted.builder.command, wanted.builder.file, str(copied)]
        for ending in [*wanted.ignored][-1:] if wanted.builder.ignore else ():
            command += [wanted.builder.ignore, str(copied.with_name(f"{copied.name}{ending}"))]
        environ = _environ(wanted, folder)
        _run([*command, *_signing(wanted, folder), *wanted.arguments], environ)
        if wanted.sign is None:
            return None
        report = folder / "digest"
        if wanted.builder.push:
            image = _image_id(folder / "image", wanted.builder)
            command = [*wanted.builder.push, *wanted.connection, "--digestfile", str(report)]
            _run([*command, image, f"docker://{wanted.sign}"], environ)
        return _digest(report, wanted.builder)


def _environ(wanted: Plan, folder: Path) -> dict[str, str]:
    """Return the variables of the builder.

    A configuration of docker without its file has no logins. Docker takes it so; buildah and
    podman fail, unless another file says that there are none.
    """
    found = dict(wanted.environ)
    docker = found.get("DOCKER_CONFIG")
    if wanted.builder.push and docker and "REGISTRY_AUTH_FILE" not in found:
        with suppress(OSError, ValueError):
            if not (Path(docker) / "config.json").exists():
                (folder / "auth.json").write_text("{}")
                found["REGISTRY_AUTH_FILE"] = str(folder / "auth.json")
    return found


def _signing(wanted: Plan, folder: Path) -> list[str]:
    """Return the options that make a builder tag, push and tell what it made."""
    if wanted.sign is None:
        return []
    report = str(folder / "digest")
    return {
        "buildx": ["--metadata-file", report, "--tag", wanted.sign, "--push"],
        "kaniko": ["--digest-file", report, "--destination", wanted.sign],
    }.get(wanted.builder.name, ["--iidfile", str(folder / "image"), "--tag", wanted.sign])


def _run(command: list[str], environ: dict[str, str]) -> None:
    """Run a program (rule 2)."""
    name = " ".join([Path(command[0]).name, *(command[1:2])])
    try:
        process = subprocess.Popen(  # noqa: S603 - the builder that was asked for, with the caller's arguments
            command, env=environ, stdout=_STANDARD_ERROR, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its arguments cannot be used"
        raise BuilderError(f"{name} cannot be started", why=reason) from None
    try:
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    if code:
        ended = f"it ended with status {code}" if code > 0 else f"it was killed by signal {-code}"
        raise BuilderError(f"{name} failed", why=ended, advice=Advice("see-builder-output"), status=code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started in its session's first group of processes."""
    if not hasattr(os, "killpg"):  # Windows
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
        raise BuilderError(
            f"{builder.name} does not say which image it has built",
            why="nothing was pushed or signed",
            advice=Advice("build-one-image"),
        )
    return match[1]


def _digest(report: Path, builder: Builder) -> str:
    """Return the digest that the builder says it has pushed (rule 3)."""
    try:
        text = files.read_regular(report, DEFAULT.build_file_bytes).decode()
        found = json.loads(text)["containerimage.digest"] if builder.name == "buildx" else text.strip()
        return references.check_digest(str(found))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, UsageError):
        raise BuilderError(
            f"{builder.name} does not say which digest it has pushed", advice=Advice("push-then-sign")
        ) from None
