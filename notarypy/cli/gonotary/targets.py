"""`notary add`, `addhash`, `remove`, `list`, `lookup`, `verify`: content of any kind, by its name.

What it is: these commands in Go notary's words, and the files that they read and write. What it is not: how
content is hashed and verified (`client.verify.content`), which role's word counts
(`client.verify.targetfiles`), or how changes are staged (`client.stagingapi`).

Rules:

1. A file is read piece by piece, however long it is; a pipe is fine. `-` is a file of that name, as there.
2. Standard output, or the file of `-o`, gets what was verified, and nothing of anything else. With `-q` there
   is no output at all, not even in a file, as there.
3. Nothing is written into the trust directory: it would replace a key.
4. A size is a number as Go's programs read it: `0x10`, `1_000`, and octal after a zero, which is said.
5. How far it is stands on a terminal, unless that is where the content comes from.
6. A role that is named by nothing, as in `-r ,`, is targets for `list`, and none for all others, as there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from notarypy import system
from notarypy.cli import userfiles
from notarypy.cli.cobra import parse_int
from notarypy.cli.gonotary import givenfiles, goerrors
from notarypy.cli.text import terminal
from notarypy.errors import (
    Advice,
    DigestMismatchError,
    RepositoryMissingError,
    RepositoryUnpublishedError,
    TagUnsignedError,
    UsageError,
)
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.cli.text.progressline import CountedWork
    from notarypy.client.api import Client
    from notarypy.client.stagingapi import StagedContent

_HEADING = ("NAME", "DIGEST", "SIZE (BYTES)", "ROLE")
_NOTHING = "\nNo targets present in this repository.\n\n"
_DIGITS = {"sha256": 64, "sha512": 128}
_STDOUT = Path("/dev/fd/1")


def add(shell: NotaryShell, line: CommandLine) -> None:
    """Stage a file as a target."""
    gun, name, path = line.arguments[:3]
    custom, wanted = _custom(line), _roles(line)
    with shell.client() as client:
        with givenfiles.opened(path) as stream:
            size, work = os.fstat(stream.fileno()).st_size, _progress(stream)
            content = client.targets.describe(stream, what=path, size=size, progress=work)
        client.staging.add_target(gun, name, _content(content.length, content.hashes, custom), roles=wanted)
        _staged(shell, client, line, f'Addition of target "{name}" to repository "{gun}"')


def addhash(shell: NotaryShell, line: CommandLine) -> None:
    """Stage a target by its size and hashes."""
    gun, name, size = line.arguments[:3]
    given = {kind: digits for kind in _DIGITS if (digits := line.text(kind))}
    if not given:
        text = "Must specify a GUN, target, byte size of target data, and at least one hash"
        advice = Advice("see-help", command=f"{shell.name} addhash")
        raise UsageError(text, why="neither --sha256 nor --sha512 has a value", advice=advice)
    custom, length = _custom(line), _size(shell, size)
    hashes = {kind: _raw(kind, digits) for kind, digits in given.items()}
    wanted = _roles(line)
    with shell.client() as client:
        client.staging.add_target(gun, name, _content(length, hashes, custom), roles=wanted)
        kinds = ", ".join(given)
        _staged(shell, client, line, f'Addition of target "{name}" by {kinds} hash to repository "{gun}"')


def remove(shell: NotaryShell, line: CommandLine) -> None:
    """Stage the removal of a target."""
    gun, name = line.arguments[:2]
    with shell.client() as client:
        client.staging.remove_target(gun, name, roles=_roles(line))
        _staged(shell, client, line, f"Removal of {name} from {gun}")


def list_targets(shell: NotaryShell, line: CommandLine) -> None:
    """List targets."""
    gun, wanted = line.arguments[0], [role or roles.TARGETS for role in line.texts("roles")]  # rule 6
    with shell.client() as client:
        found = client.targets.list(gun, roles=wanted)
    if not found:
        shell.write(_NOTHING)
        return
    shell.table(_HEADING, [(one.name, one.sha256 or "", str(one.length), one.role) for one in found])


def lookup(shell: NotaryShell, line: CommandLine) -> None:
    """Show one target."""
    gun, name = line.arguments[:2]
    with shell.client() as client, _in_gos_words(f"No valid trust data for {name}"):
        found = client.targets.lookup(gun, name)
    shell.out(f"{found.name} sha256:{found.sha256 or ''} {found.length}")


def verify(shell: NotaryShell, line: CommandLine) -> None:
    """Print content if it is what a target says."""
    gun, name = line.arguments[:2]
    source, output = line.text("input"), line.text("output")
    shell.reads_content = not source
    sink = None if line.switch("quiet") else _sink(shell, output)
    shell.writes_content = sink is not None and not isinstance(sink, Path)
    if output and sink is None:
        shell.warn(f"nothing is written to {output}: --quiet leaves out all output")

    before = f"error retrieving target by name:{name}, error:"
    opened = givenfiles.opened(source) if source else _standard_input()
    in_words = _in_gos_words(f"{before}No valid trust data for {name}")
    missing = goerrors.after(before, RepositoryMissingError, RepositoryUnpublishedError)
    with _interrupted(), opened as stream, in_words, missing, shell.client() as client:
        client.targets.verify(gun, name, stream, sink, progress=_progress(stream))


# What they share


def _content(length: int, hashes: Mapping[str, bytes], custom: bytes | None) -> StagedContent:
    from notarypy.client.stagingapi import StagedContent  # with it all that publishes, which no reader needs

    return StagedContent(length, hashes.get("sha256"), hashes.get("sha512"), custom)


def _staged(shell: NotaryShell, client: Client, line: CommandLine, what: str) -> None:
    shell.out(f"{what} staged for next publish.")
    shell.publish_if_asked(client, line)


def _roles(line: CommandLine) -> list[str]:
    """Return the roles that are named, targets if none is; raise UsageError for what lists no targets."""
    wanted = line.texts("roles") or [roles.TARGETS]
    for role in wanted:
        if role != roles.TARGETS and not roles.is_delegation(role):
            text = f"tuf: invalid role {role}. cannot add targets to this role"
            why = "targets, and delegations such as targets/NAME, list targets"
            raise UsageError(text, why=why, role=role)
    return wanted


def _size(shell: NotaryShell, text: str) -> int:
    """Return a size (rule 4)."""
    try:
        size = parse_int(text)
    except ValueError as error:
        raise UsageError(str(error), why="a size is a number of bytes") from None
    if size > 7 and re.match(r"\+?0[^xXbB]", text):  # noqa: PLR2004 - digits that mean the same in both
        shell.warn(f"{text} is read as octal, as Go notary does: {size} bytes")
    return size


def _raw(kind: str, digits: str) -> bytes:
    """Return a hash; raise UsageError in Go notary's words if it is none."""
    if len(digits) == _DIGITS[kind] and re.fullmatch("[0-9a-fA-F]+", digits):
        return bytes.fromhex(digits)
    raise UsageError(f"invalid {kind} hex contents provided", why=f"a {kind} has {_DIGITS[kind]} hex digits")


def _custom(line: CommandLine) -> bytes | None:
    """Return what is to be attached to a target."""
    path = line.text("custom")
    return givenfiles.content(path) if path else None


@contextmanager
def _interrupted() -> Iterator[None]:
    """Clean up after `kill`, too: a file that is half written beside another one goes away."""
    from notarypy.cli.run import SignalInterrupts  # most commands write no such file

    with SignalInterrupts():
        yield


@contextmanager
def _standard_input() -> Iterator[BinaryIO]:
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    yield sys.stdin.buffer


def _sink(shell: NotaryShell, output: str | None) -> BinaryIO | Path:
    """Return where content goes (rules 2 and 3)."""
    if output and system.descriptor(Path(output)) != _STDOUT:
        givenfiles.require_place(output)
        userfiles.require_outside(path := Path(output), shell.settings().trust_dir)
        return path.absolute()
    if sys.stdout is None:
        raise OSError("standard output is closed")
    return sys.stdout.buffer


def _progress(stream: BinaryIO) -> CountedWork | None:
    """Return what counts bytes for whoever looks at a terminal (rule 5)."""
    line = None if stream.isatty() else terminal.progress_line()
    return None if line is None else line.work()


@contextmanager
def _in_gos_words(missing: str) -> Iterator[None]:
    """Say in Go notary's words that a name is not listed, or that content is not what is."""
    try:
        yield
    except TagUnsignedError as error:
        error.why, error.message = (error.message, *error.why), missing
        raise
    except DigestMismatchError as error:
        kind, name = error.facts["kind"], error.facts["name"]
        what = f"{kind} checksum" if kind else "size"
        said = f"{what} for {name} did not match: expected {error.facts['expected']}"
        error.why = (error.message, *error.why)
        error.message = f"data not present in the trusted collection, {said}"
        raise
