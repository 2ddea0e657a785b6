"""`notary delegation add`, `list`, `remove`, `purge`: who signs for a repository besides its owner.

What it is: these commands in Go notary's words, and the files of keys that they read. What it is not: how
delegations are staged (`client.stagingapi`), or what becomes of them (`tuf.applystaged`).

Rules:

1. A key is the file of a public key or certificate, or the URI of a key that is elsewhere; of that only the
   public half is read.
2. The empty path is all paths, and stands for all others that are given with it.
3. A delegation is removed as a whole only with a yes: from `-y`, or as the answer to a question.
4. What is asked for and changes nothing is said: no key and no path, or an id that is none.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.cli.gonotary import givenfiles, goerrors
from notarypy.cli.text.render import safe
from notarypy.errors import Advice, InvalidNameError, NotarypyError, UnsupportedKeyError, UsageError
from notarypy.keys.signers import is_uri
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.client.api import Client
    from notarypy.client.verdicts import RoleEntry

_ALL = "all-paths"
_ALL_PATHS = '"" <all paths>'
_QUESTION = "\nAre you sure you want to remove all data for this delegation? (yes/no)\n"
_NOTHING = "no key and no path was given: nothing is staged"
_INVALID = "invalid delegation role name"
_ID = re.compile(r"[0-9a-f]{64}")
_HEADING = ("ROLE", "PATHS", "KEY IDS", "THRESHOLD")


def add(shell: NotaryShell, line: CommandLine) -> None:
    """Stage a delegation, or more keys and paths of one."""
    gun, role, *files = line.arguments
    paths = _paths(line)
    if not files and paths is None:
        text = "must specify the Global Unique Name and the role of the delegation along with the public key "
        raise _mistake(f"{text}certificate paths and/or a list of paths to add", shell, "add")
    if paths is not None and (line.switch(_ALL) or "" in paths):
        paths = [""]  # rule 2
    with shell.client() as client:
        keys = [_public(client, word, role) for word in files]
        ids = [_checked(client, word, key) for word, key in zip(files, keys, strict=True)]
        _require_role(role, f"failed to create delegation: tuf: invalid role {role}. {_INVALID}")
        if keys or paths:
            client.staging.add_delegation(gun, role, keys, paths or ())
        else:
            shell.warn(_NOTHING)
        _say(shell, gun, f"Addition of delegation role {role}", _keys(ids), _with(paths))
        shell.publish_if_asked(client, line)


def remove(shell: NotaryShell, line: CommandLine) -> None:
    """Stage the removal of a delegation, or of keys and paths of one."""
    gun, role, *ids = line.arguments
    paths = _paths(line)
    _require_role(role, f"invalid delegation name {role}")
    with shell.client() as client:
        if ids or paths is not None:
            _remove_some(shell, client, line, paths)
        else:
            _require_yes(shell, line)
            client.staging.remove_delegation(gun, role)
            _say(shell, gun, f"Forced removal (including all keys and paths) of delegation role {role}")
        shell.publish_if_asked(client, line)


def _remove_some(shell: NotaryShell, client: Client, line: CommandLine, paths: list[str] | None) -> None:
    gun, role, *ids = line.arguments
    every = line.switch(_ALL)
    _warn_of_beginnings(shell, ids)
    if every or paths:  # which Go stages first
        client.staging.remove_delegation_paths(gun, role, () if every else paths or (), all_paths=every)
    if ids:
        client.staging.remove_delegation_keys(gun, role, ids)
    elif not every and not paths:
        shell.warn(_NOTHING)
    said = "with all paths" if every else _with(paths)
    _say(shell, gun, f"Removal of delegation role {role}", _keys(ids), said)


def _warn_of_beginnings(shell: NotaryShell, ids: Sequence[str]) -> None:
    """Say which ids are none (rule 4): Go notary, which may be what publishes, looks for whole ones."""
    for one in ids:
        if _ID.fullmatch(one) is None:
            shell.warn(f"{one} is no whole id of a key, and means none")


def _require_yes(shell: NotaryShell, line: CommandLine) -> None:
    """Go on only with a yes (rule 3)."""
    if line.switch("yes"):
        shell.write(f"{_QUESTION}Confirmed `yes` from flag\n")
    else:
        shell.agreed(_QUESTION, Advice("add-yes"))


def purge(shell: NotaryShell, line: CommandLine) -> None:
    """Stage the removal of keys from all delegations."""
    gun, ids = line.arguments[0], line.texts("key")
    if not ids:
        text = "Please provide at least one key ID to be removed using the --key flag"
        raise _mistake(text, shell, "purge")
    _warn_of_beginnings(shell, ids)
    with shell.client() as client:
        client.staging.purge_keys(gun, ids)
        shell.out(f"Removal of the following keys from all delegations in {gun} staged for next publish:")
        for one in ids:
            shell.write(f"\t- {safe(one)}\n")
        shell.publish_if_asked(client, line)


def list_roles(shell: NotaryShell, line: CommandLine) -> None:
    """List the delegations of a repository."""
    gun = line.arguments[0]
    words = f"Error retrieving delegation roles for repository {gun}: "
    with goerrors.after(words, NotarypyError), shell.client() as client:
        found = client.delegations(gun)
    for one in found:
        few = f"it takes {one.threshold} signatures and has too few keys"
        if problem := one.problem or (few if len(one.keys) < one.threshold else ""):
            shell.warn(f"{one.role} cannot be used: {problem}")
    if not found:
        shell.write("\n\nNo delegations present in this repository.\n\n\n")
        return
    shell.out()
    shell.table(_HEADING, [row for one in sorted(found, key=lambda one: one.role) for row in _rows(one)])
    shell.out()


def _rows(entry: RoleEntry) -> Iterator[tuple[str, str, str, str]]:
    """Yield the lines of a role: a path and a key each, as many as there are of either."""
    role, threshold = entry.role, str(entry.threshold)
    for path, key in zip_longest(_shown(entry.paths) or [""], entry.keys, fillvalue=""):
        yield role, path, key, threshold
        role = threshold = ""


def _paths(line: CommandLine) -> list[str] | None:
    """Return the paths that a line names, none where it names all; None where it says nothing of paths."""
    return line.texts("paths") if line.switch(_ALL) or "paths" in line.flags else None


def _shown(paths: Sequence[str]) -> list[str]:
    return [path or _ALL_PATHS for path in sorted(paths)]


def _with(paths: Sequence[str] | None) -> str:
    return "" if paths is None else "with paths [{}]".format("\n".join(map(safe, _shown(paths))))


def _keys(ids: Sequence[str]) -> str:
    return f"with keys [{safe(' '.join(ids))}]" if ids else ""


def _say(shell: NotaryShell, gun: str, what: str, *parts: str) -> None:
    """Say what is staged."""
    given = "".join(f" {part}," for part in parts if part)
    shell.write(f'\n{safe(what)}{given} to repository "{safe(gun)}" staged for next publish.\n\n')


def _public(client: Client, word: str, role: str) -> bytes:
    """Return what a file has, or the public half of a key that is elsewhere (rule 1)."""
    if is_uri(word):
        return client.keys.public(word, name=roles.signer_name(role))
    if not (word and Path(word).exists()):
        message = f"file for public key does not exist: {word}"
        raise UsageError(message, advice=Advice("check-file"), path=word)
    try:
        return givenfiles.content(word)
    except UsageError as error:
        text, why = f"unable to read public key from file: {word}", (error.message, *error.why)
        raise UsageError(text, why=why, advice=error.advice, path=word) from None


def _checked(client: Client, word: str, key: bytes) -> str:
    """Return the id of a public key; raise UnsupportedKeyError, in Go notary's words, if it is none."""
    try:
        return client.keys.check_public(key)
    except UnsupportedKeyError as error:
        pem = b"-----BEGIN" in key
        said, why = (error.message, ()) if pem else ("no valid public key found", (error.message,))
        message = f"unable to parse valid public key certificate from PEM file {word}: {said}"
        raise type(error)(message, why=(*why, *error.why), advice=error.advice, **error.facts) from None


def _require_role(role: str, text: str) -> None:
    if not roles.is_delegation(role):
        why = "a delegation is called targets/NAME, of a-z, 0-9, - and _, maybe with more of these below"
        raise InvalidNameError(text, why=why, role=role)


def _mistake(text: str, shell: NotaryShell, command: str) -> UsageError:
    return UsageError(text, advice=Advice("see-help", command=f"{shell.name} delegation {command}"))
