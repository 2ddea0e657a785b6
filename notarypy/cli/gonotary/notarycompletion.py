"""`notary completion`, and what may end a line of `notary`.

What it is: the table of `commands` by places. What it is not: the names that are known here
(`cli.proposals`), or the scripts (`cli.text.shellscripts`), which complete lines of notarypy, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress

from notarypy.cli.cobra import (
    HELP,
    Command,
    CommandLine,
    Flag,
    FlagError,
    HelpWantedError,
    find,
    inner_commands,
    parse,
)
from notarypy.cli.declared import Argument, Option, Parameter
from notarypy.cli.gonotary import commands
from notarypy.cli.gonotary.notaryshell import NotaryShell
from notarypy.cli.proposals import Known, Proposal, Proposals, values
from notarypy.cli.text import shellscripts
from notarypy.errors import NotarypyError

_ROTATED = "a role whose keys are replaced"
# What arguments and values of flags are, in the words of `proposals`.
_PLACES = {"GUN": "GUN", "Role": "ROLE", "target": "TAG", "role": "ROLE", "file": "FILE", "pemfile": "FILE"}
_PLACES |= {"X509": "FILE", "keyID": "KEY", "KeyID": "ID", "key": _ROTATED}
_FLAGS = {"configFile": "FILE", "tlscacert": "FILE", "tlscert": "FILE", "tlskey": "FILE", "trustDir": "DIR"}
_FLAGS |= {"custom": "FILE", "rootkey": "FILE", "rootcert": "FILE", "input": "FILE", "output": "FILE"}
_FLAGS |= {"roles": "ROLE", "role": "ROLE", "gun": "GUN"}


def bash(shell: NotaryShell, line: CommandLine) -> None:
    """Print what completes lines in bash."""
    _print(shell, "bash", line)


def fish(shell: NotaryShell, line: CommandLine) -> None:
    """Print what completes lines in fish."""
    _print(shell, "fish", line)


def zsh(shell: NotaryShell, line: CommandLine) -> None:
    """Print what completes lines in zsh."""
    _print(shell, "zsh", line)


def _print(shell: NotaryShell, name: str, line: CommandLine) -> None:
    shorter = line.switch("no-descriptions")
    shell.write(shellscripts.without_descriptions(name) if shorter else shellscripts.SCRIPTS[name])


def proposals(words: Sequence[str], known: Known, typed: str) -> Proposals:  # noqa: ARG001 - as all have it
    """Return what may follow these words, where this much is typed; names are of this program's directory."""
    command, rest = find(commands.BY_WORDS, words, commands.GLOBALS)
    flags = [*command.flags, *commands.GLOBALS]
    given, arguments, waiting = _read(flags, rest)
    if waiting is not None:
        place = "KEY" if waiting.name == "key" and command.words[:1] == ("key",) else ""
        place = "ID" if waiting.name == "key" and not place else place or _FLAGS.get(waiting.name, "")
        return _of(place, _known(given, arguments), typed)
    if typed.startswith("-") and "--" not in rest:
        shown = [Proposal(f"--{flag.name}", flag.help) for flag in (*flags, HELP)]
        return Proposals(each for each in shown if each.text[2:] not in given)
    if command.words == ("help",):
        inside = find(commands.BY_WORDS, arguments)[0]
        return Proposals(
            Proposal(one.words[-1], one.about) for one in inner_commands(commands.COMMANDS, inside)
        )
    if not command.function:
        inner = [] if arguments else inner_commands(commands.COMMANDS, command)
        return Proposals(Proposal(one.words[-1], one.about) for one in inner)
    return _of(_place(command, len(arguments)), _known(given, arguments), typed)


def _read(flags: Sequence[Flag], words: Sequence[str]) -> tuple[dict[str, str], list[str], Flag | None]:
    """Return the flags on a line, its arguments, and the flag whose value comes next, if one does."""
    for missing in ((), ("0",)):  # a value is missing: one that each kind takes
        with suppress(FlagError, HelpWantedError):
            found, arguments = parse(flags, [*words, *missing])
            given = {name: str(value) for name, value in found.items()}
            last = words[-1] if words and missing else ""
            waits = (flag for flag in flags if last.endswith(flag.short or "=") or last == f"--{flag.name}")
            return given, arguments, next(waits, None) if missing else None
    return {}, [], None


def _place(command: Command, at: int) -> str:
    """Return what the argument at a place is, in the words of `proposals`."""
    shown = re.findall(r"\w+", command.usage.replace("file path", "").replace("key role", "key"))
    if command.most is not None and at >= command.most:
        return ""
    names = [name for name in shown if not name.isdigit()]
    return _PLACES.get(names[min(at, len(names) - 1)], "") if names else ""


def _known(given: dict[str, str], arguments: Sequence[str]) -> Known:
    """Return what is known in the trust directory of this program."""
    named = {"config": given.get("configFile"), "trust_dir": given.get("trustDir")}
    # The shell has not done that yet, which is in the middle of the line.
    options = {name: os.path.expanduser(value) for name, value in named.items() if value}  # noqa: PTH111
    with suppress(NotarypyError, OSError):
        settings = NotaryShell(os.environ, options).settings()
        return Known({"trust_dir": settings.trust_dir}, os.environ, arguments)
    return Known({}, {}, arguments)


def _of(metavar: str, known: Known, typed: str) -> Proposals:
    if not metavar:
        return Proposals()
    record = Option("--role", metavar=metavar) if metavar == "ROLE" else Argument(metavar=metavar)
    if metavar == _ROTATED:
        record = Argument(metavar="ROLE")
    return values(Parameter("", str, record), typed, known)
