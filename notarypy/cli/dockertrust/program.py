"""The program `docker-trust`: also the plugin that docker runs for `docker trust`.

What it is: the way from the words of a command line to an exit code. What it is not: their grammar
(`grammar`) or the commands.

Rules:

1. docker runs a plugin with all of its own words: its global options, the plugin's name, and what
   follows. The options that mean something here are `--config`, `--host` and `--context`.
2. No exception leaves as a traceback, and no local variable, which may be a secret, is shown.
3. Ctrl-C is 130. Standard output that cannot be written is 1.

`notarypy docker-trust`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import typer

from notarypy.cli.dockertrust import grammar, plugin
from notarypy.cli.dockertrust.shell import FailureError, Shell, told
from notarypy.errors import Advice, NotarypyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.cli.run import Run

_HERE = "notarypy.cli.dockertrust"
_INTERRUPTED = 130
_NAME = "trust"


def main() -> NoReturn:
    """Run this process as `docker-trust`, or as the plugin of another name that its file has."""
    from notarypy.cli.main import finish

    finish(start, sys.argv)


def start(argv: Sequence[str]) -> int:
    """Run the words of a process, the program's own name included; return the exit code."""
    from notarypy.cli.main import show_everything

    show_everything()
    called = os.path.basename(argv[0]).removesuffix(".exe")  # noqa: PTH119 - a word, not a path
    name = called.removeprefix("docker-") if called.startswith("docker-") else _NAME
    if list(argv[1:]) == [plugin.METADATA]:
        sys.stdout.write(plugin.metadata())
        return 0
    words, changed = plugin.without_dockers_own(argv[1:], name)
    return run(words, Shell({**os.environ, **changed}, name=f"docker {name}"))


def run(words: Sequence[str], shell: Shell) -> int:
    """Run a command line that begins after the program's name; return the exit code."""
    try:
        code = _run(words, shell)
        shell.write("", flush=True)
    except FailureError as failure:
        code = _failed(shell, str(failure))
    except NotarypyError as error:
        code = _failed(shell, told(error))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        code = 1
    except OSError as error:
        code = _failed(shell, ": ".join(filter(None, (error.filename, error.strerror or str(error)))))
    except Exception as error:  # noqa: BLE001 - the last frame: whatever it is, the user gets one line
        code = _failed(shell, _defect(error))
    return code


def _defect(error: Exception) -> str:
    from notarypy.cli.report import origin

    return f"unexpected {type(error).__name__}{origin(error)}\n  why: this is a defect of notarypy"


def _failed(shell: Shell, text: str) -> int:
    with suppress(OSError):
        shell.write("", flush=True)  # results come before the error where both go to one place
    with suppress(OSError):
        shell.err(text)
    return 1


def _run(words: Sequence[str], shell: Shell) -> int:
    read = grammar.read(words, shell.name)
    if isinstance(read, grammar.Answer):
        if read.to_stdout:
            shell.write(read.text)
        else:
            shell.err(read.text.removesuffix("\n"))
        return read.code
    module, _, function = read.function.partition(":")
    getattr(import_module(f"{_HERE}.{module}"), function)(shell, read)
    return 0


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    "docker-trust",
    context_settings={
        "allow_extra_args": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
        "ignore_unknown_options": True,
    },
    add_help_option=False,
)
def docker_trust(context: typer.Context) -> None:
    """Do what docker trust does, in its words."""
    session: Run = context.obj
    session.report.command = "docker-trust"
    if session.options.json:
        raise UsageError(
            "docker-trust prints what docker prints, and no document",
            advice=Advice("leave-out", option="--json"),
        )
    shell = Shell(os.environ, session.options.for_client(), "notarypy docker-trust")
    session.report.own_code = run(context.args, shell)
