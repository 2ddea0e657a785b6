"""`notarypy pin` and `notarypy build`."""

from __future__ import annotations

import contextlib
import difflib
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from notarypy import files
from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, SignalInterrupts, begin
from notarypy.cli.text import render, terminal
from notarypy.client.build.inputs import KINDS, FileVariables, PinnedFile, PinnedImage
from notarypy.client.parameters import PinOptions
from notarypy.client.verdicts import policy_json
from notarypy.errors import Advice, FirstUseError, StorageError, UsageError
from notarypy.images import occurrences
from notarypy.values import dataclass

_STDIN = "-"
_POLICY = "buildkit-policy"
_FORMATS = (*KINDS, _POLICY)

_Files = Annotated[
    list[str], Argument(metavar="FILE...", help="Dockerfiles, compose files, manifests; - is stdin.")
]
_InPlace = Annotated[bool, Option("--in-place", help="Write the files, all or none.")]
_Check = Annotated[
    bool, Option("--check", help="Write nothing; digests that stand there must be the signed ones.")
]
_Diff = Annotated[bool, Option("--diff", help="Print what would change, or changes.")]
_Kind = Annotated[
    str | None,
    Option("--format", metavar="FORMAT", help="dockerfile, compose or k8s; buildkit-policy prints a policy."),
]
_BuildArgs = Annotated[
    list[str] | None, Option(metavar="NAME=VALUE", help="A build argument of the Dockerfile. Repeatable.")
]
_Platform = Annotated[
    str | None, Option(metavar="PLATFORM", help="The platform to build for, os/arch[/variant].")
]
_Target = Annotated[
    str | None, Option(metavar="STAGE", help="The stage to build; leave those behind it alone.")
]
_Env = Annotated[
    list[str] | None, Option(metavar="NAME=VALUE", help="A variable of the compose file. Repeatable.")
]
_Skip = Annotated[
    list[str] | None, Option(metavar="IMAGE", help="Leave this image, or repository, alone. Repeatable.")
]
_Strict = Annotated[bool, Option("--strict", help="Leave nothing else alone, and with --check want digests.")]


def pin(
    context: Context,
    paths: _Files,
    *,
    in_place: _InPlace = False,
    check: _Check = False,
    diff: _Diff = False,
    kind: _Kind = None,
    build_arg: _BuildArgs = None,
    platform: _Platform = None,
    target: _Target = None,
    env: _Env = None,
    skip: _Skip = None,
    strict: _Strict = False,
    policy: references.Policy = None,
    archive: references.Archive = None,
) -> None:
    """Verify the images that files name, and write digests there.

    Prints the result, unless --in-place. Nothing is printed or written unless every image is signed.

    Example:
      notarypy pin Dockerfile
      notarypy pin --in-place Dockerfile compose.yaml k8s/*.yaml
      notarypy pin --check Dockerfile
    """
    run = begin(context)
    references.take_policy(run, policy)
    references.take_archive(run, archive)
    mode = _Mode(kind, in_place, check, diff)
    mode.require_fitting(paths)
    variables = FileVariables.of(_pairs("--build-arg", build_arg), platform, target, _pairs("--env", env))
    given = [(path, _read(path)) for path in paths]
    run.asked_for = len(given)
    with run.client(asking=False) as client:
        resolver = client.images.resolver(PinOptions(skip or (), strict=strict, check=check))
        wanted = "dockerfile" if kind == _POLICY else kind
        known = next((each for each in KINDS if each == wanted), None)
        resolver.look_ahead([(data, userfiles.name(path)) for path, data in given], known, variables)
        done: list[tuple[str, bytes, PinnedFile]] = []
        for path, data in given:
            with run.trying(userfiles.name(path)):
                found = resolver.file(data, userfiles.name(path), known, variables)
                done.append((path, data, found))
                for image in found.images:
                    _report_image(run, found.source, image)
        resolver.warn_of_unused()
        if check and run.report.exit_code == 0:
            resolver.require_looked()
    if run.report.exit_code == 0:
        _finish(run, done, mode)


def _read(path: str) -> bytes:
    """Return what a file holds; a pipe, which may wait for ever, goes to standard input."""
    is_pipe = False
    with contextlib.suppress(OSError, ValueError):  # whoever reads it says what is wrong
        is_pipe = path != _STDIN and not stat.S_ISREG(Path(path).stat().st_mode)
    if is_pipe:
        raise UsageError(f"{path} is no regular file", advice=Advice("give-pipe"), path=path)
    return userfiles.read(path)


@dataclass(frozen=True)
class _Mode:
    """What `pin` is to do with what comes out."""

    kind: str | None
    in_place: bool
    check: bool
    diff: bool

    def require_fitting(self, paths: Sequence[str]) -> None:
        """Refuse what does not go together, before anything is read."""
        advice = Advice("one-of", names=", ".join(_FORMATS))
        if self.kind is not None and self.kind not in _FORMATS:
            raise UsageError(f'there is no format "{self.kind}"', advice=advice)
        if self.check and (self.in_place or self.diff):
            advice = Advice("leave-out", option="--in-place and --diff")
            raise UsageError("--check writes and prints nothing", advice=advice)
        to_output = not (self.in_place or self.check or self.diff)
        if self.kind == _POLICY and not to_output:
            raise UsageError("--format buildkit-policy prints a policy", advice=Advice("leave-other-options"))
        if _STDIN in paths and (self.in_place or len(paths) > 1):
            raise UsageError("standard input goes alone, and to standard output")
        if len(set(paths)) != len(paths):
            raise UsageError("a file is named twice")
        if len(paths) > 1 and to_output:
            advice = Advice("give-several-files")
            raise UsageError("several files do not fit on standard output", advice=advice)


def _pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f'{option} "{text}" gives no value', advice=Advice("name-value", option=option))
        found[name] = value
    return found


def _report_image(run: Run, source: str, image: PinnedImage) -> None:
    data = {
        "file": source,
        **render.fields(image, "line what written"),
        "pinned": image.reference,
        **render.fields(image, "digest previous"),
        "verified": image.verified is not None,
        "left": image.left or None,
        "role": image.verified and image.verified.role,
        "signers": list(image.verified.signers) if image.verified else [],
        "expires": image.verified and render.moment(image.verified.expires),
        "policy": image.verified and policy_json(image.verified.policy, render.error_json),
    }
    if isinstance(image.error, FirstUseError):  # one of several repositories, each with a root of its own
        gun, pins = image.error.facts["gun"], image.error.facts["root_pins"]
        image.error.advice = Advice("pin-first-root-by-policy", gun=gun, pins=pins)
    if image.error is not None:
        run.report.failed([image.image], image.error, about=image.image)
    else:
        run.report.done(image.image, data)


def _line_of(source: str, image: PinnedImage) -> str:
    place = f"{source}:{image.line}: {image.what}"
    if image.reference is None:
        return f"{place} {image.image} left alone"
    if image.previous not in {None, image.digest}:
        return f"{place} {image.reference} was {image.previous}"
    return f"{place} {image.reference}"


def _finish(run: Run, done: Sequence[tuple[str, bytes, PinnedFile]], mode: _Mode) -> None:
    if mode.in_place:
        _write([(path, before, found.data) for path, before, found in done if found.changed])
    for path, before, found in done:
        text = _printed(path, before, found, mode)
        if text is None:
            run.report.lines(_line_of(found.source, image) for image in found.images)
        else:
            run.report.content(text)
        data = {
            "file": found.source,
            "format": found.kind,
            "changed": found.changed,
            "written": mode.in_place and found.changed,
            "text": None if text is None else text.decode(errors="backslashreplace"),
        }
        run.report.done(found.source, data)


def _printed(path: str, before: bytes, found: PinnedFile, mode: _Mode) -> bytes | None:
    """Return what is printed of a file; None where its images are listed instead."""
    if mode.diff:
        return _difference(path, before, found.data)
    if mode.in_place or mode.check:
        return None
    if mode.kind == _POLICY:
        return occurrences.encode(f"{render.document(found.policy(), 2)}\n")
    return found.data


def _difference(path: str, before: bytes, after: bytes) -> bytes:
    name = path.encode(errors="surrogateescape")
    old, new = _lines_of(before), _lines_of(after)
    return b"".join(difflib.diff_bytes(difflib.unified_diff, old, new, b"a/" + name, b"b/" + name))


def _lines_of(text: bytes) -> list[bytes]:
    *whole, last = text.split(b"\n")
    ended = [line + b"\n" for line in whole]
    return [*ended, last + b"\n\\ No newline at end of file\n"] if last else ended


def _write(changes: Sequence[tuple[str, bytes, bytes]]) -> None:
    """Replace files; when one cannot be written, put the others back."""
    done: list[tuple[Path, bytes, int]] = []
    targets = [(Path(path).resolve(), path, before, after) for path, before, after in changes]
    for _, path, before, _ in targets:
        if _read(path) != before:
            raise UsageError(f"{path} has changed meanwhile", why="nothing was written", path=path)
    try:
        for target, _, before, after in targets:
            mode = target.stat().st_mode & 0o777
            files.write_atomic(target, after, mode)
            done.append((target, before, mode))
    except (StorageError, OSError) as error:
        for target, before, mode in done:
            files.write_atomic(target, before, mode)
        if isinstance(error, StorageError):
            raise
        advice = Advice("nothing-changed")
        raise StorageError("cannot write all files", why=error.strerror or "", advice=advice) from None


def build(
    context: Context,
    arguments: Annotated[
        list[str], Argument(metavar="-- ARGS...", help="What the builder is told; the context is the last.")
    ],
    *,
    builder: Annotated[
        str | None, Option(metavar="NAME", help="buildx, buildah, podman, kaniko or docker.")
    ] = None,
    file: Annotated[
        str | None, Option("--file", metavar="FILE", help="The Dockerfile, unless it is the usual one.")
    ] = None,
    sign_ref: Annotated[
        str | None, Option("--sign", metavar="REF", help="Tag the result, push it and sign its digest.")
    ] = None,
    skip: _Skip = None,
    strict: _Strict = False,
    policy: references.Policy = None,
) -> None:
    """Build with signed base images only.

    Verifies every image that the Dockerfile names, gives the builder a copy in which each is named by its
    signed digest, and stops before the builder starts if one is not signed.

    Example:
      notarypy build -- -t registry.example.com/app:1 .
      notarypy build --builder buildah --sign REF -- --layers .
    """
    run = begin(context)
    references.take_policy(run, policy)
    with run.client() as client:
        plan = client.images.plan_build(
            arguments, builder=builder, file=file, sign=sign_ref, skip=skip or (), strict=strict
        )
        file = plan.pinned.source
        images = [(file, image) for image in plan.pinned.images]
        images += [("arguments", image) for image in plan.contexts]
        for source, image in images:
            _report_image(run, source, image)
        if run.report.exit_code:
            return
        with SignalInterrupts(), terminal.aside():  # the terminal is the builder's
            built = client.images.build(plan)
        signed, lines = built.signed, [_line_of(source, image) for source, image in images]
        lines += render.signed_lines(signed) if signed else []
        known = {"builder": built.builder, "file": file, "digest": built.digest}
        data = {**known, "signed": signed and render.signed_json(signed)}
        run.report.done(plan.sign or file, data, *lines)
