"""The program `notary`, and `notarypy notary`: the way from the words of a command line to an exit code.

What it is: the outermost frame of the program, and its version. What it is not: what a line means
(`commands`), or another command.

Rules:

1. No exception leaves as a traceback, and no local variable, which may be a secret, is shown.
2. Ctrl-C is 130; what is cleaned up after another signal, as `kill` sends, is 128 and its number. Standard
   output that cannot be written is 1, and 141 where its reader went away: SIGPIPE ends programs in Go. Other
   errors have the exit code of their kind.
3. typer is not loaded for this program. All else is loaded where Ctrl-C is Ctrl-C already (rule 2).
4. Without standard output nothing is done: nobody would learn of it. What could not be written after
   something was done is said on standard error.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from notarypy import __version__
from notarypy.cli.cobra import Answer
from notarypy.cli.main import code_of, show_everything
from notarypy.cli.main import notary as main  # noqa: F401 - scripts that were installed before begin here
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.cli.run import Context

_HERE = "notarypy.cli.gonotary"
_NO_GO = f"none (notarypy, Python {sys.version.split()[0]})"  # who asks for Go's version is told the truth
_NO_READER = 141  # what a shell says of a program that SIGPIPE ended


def start(argv: Sequence[str]) -> int:
    """Run the words of a process, without the program's own name; return the exit code."""
    show_everything()
    shell: NotaryShell = import_module(f"{_HERE}.notaryshell").NotaryShell(os.environ)
    return run(argv, shell)


def notary(context: Context) -> None:
    """Do what Go's notary does, in its words."""
    from notarypy.cli.gonotary.notaryshell import NotaryShell  # rule 3

    session = context.run
    session.report.command = "notary"
    if session.options.json:
        advice = Advice("leave-out", option="--json")
        raise UsageError("notary prints what Go's notary prints, and no document", advice=advice)
    shell = NotaryShell(os.environ, session.options.for_client, "notarypy notary")
    shell.verbose = session.options.verbose
    session.report.own_code = run(context.words, shell)


def run(words: Sequence[str], shell: NotaryShell) -> int:
    """Run a command line that begins after the program's name; return the exit code."""
    from notarypy.cli.gonotary import commands

    try:
        shell.write("")  # rule 4
        code = _run(commands.read(words, shell.name), partial(commands.unread, words), shell)
        shell.write("", flush=True)
    except KeyboardInterrupt as error:
        code = code_of(error)
    except BrokenPipeError:
        code = _NO_READER
    except Exception as error:  # noqa: BLE001 - the last frame: whatever it is, the user gets its text
        code = shell.ended_by(error)
    return code


def _run(read: CommandLine | Answer, unread: Callable[[], list[str]], shell: NotaryShell) -> int:
    if isinstance(read, Answer):
        shell.write(read.text)
        return read.code
    shell.take(read)
    for word in unread():
        shell.warn(f'"{word}" means nothing here')
    module, _, function = read.function.partition(":")
    with shell.logging():
        getattr(import_module(f"{_HERE}.{module}"), function)(shell, read)
    return 0


def version(shell: NotaryShell, _: CommandLine) -> None:
    """Print the version, a fact a line."""
    shell.write(f"notary\n Version:    {__version__}\n Git commit: \n Go version: {_NO_GO}\n")


def version_in_short(shell: NotaryShell, _: CommandLine) -> None:
    """Print the version in one line."""
    shell.write(f"notary Version: {__version__}, Git commit: , Go version: {_NO_GO}\n")
