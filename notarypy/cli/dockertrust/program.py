"""The program `docker-trust`: also the plugin that docker runs for `docker trust`.

What it is: the way from the words of a command line to an exit code, and docker's protocol for plugins. What
it is not: the words' grammar (`grammar`), the commands, or the installation (`plugin`).

Rules:

1. docker asks a plugin for metadata with one word, and takes only plugins that answer in JSON. With another
   word it asks what may end a line.
2. docker runs a plugin with all of its own words: its global options, the plugin's name, and what follows;
   `docker help NAME` is a request for help. The options that mean something here are `--config`, `--host` and
   `--context`, which counts before `DOCKER_HOST`, as with docker, unless it is `default`.
3. No exception leaves as a traceback, and no local variable, which may be a secret, is shown.
4. Ctrl-C is 130 (`main`: 3). Standard output that cannot be written is 1.
5. typer is not loaded for this program.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from notarypy import __version__
from notarypy.cli.cobra import Answer
from notarypy.cli.dockertrust import grammar
from notarypy.cli.dockertrust.shell import FailureError, Shell, error_text
from notarypy.cli.main import code_of, show_everything
from notarypy.cli.main import docker_trust as main  # noqa: F401 - plugins that were installed before begin here
from notarypy.cli.report import origin
from notarypy.errors import NotarypyError

METADATA = "docker-cli-plugin-metadata"
_COMPLETE = "__complete"
_HERE = "notarypy.cli.dockertrust"
_NAME = "trust"
_VARIABLES = {"--config": "DOCKER_CONFIG", "--host": "DOCKER_HOST", "--context": "DOCKER_CONTEXT"}
_SHORT = {"-H": "--host", "-c": "--context", "-l": "--log-level"}
_WITH_VALUE = {*_VARIABLES, "--log-level", "--tlscacert", "--tlscert", "--tlskey"}
_SWITCHES = {"-D", "--debug", "--tls", "--tlsverify"}


def start(argv: Sequence[str]) -> int:
    """Run the words of a process, the program's own name included; return the exit code."""
    show_everything()
    called = os.path.basename(argv[0]).removesuffix(".exe")  # noqa: PTH119 - a word, not a path
    name = called.removeprefix("docker-") if called.startswith("docker-") else _NAME
    if list(argv[1:]) == [METADATA]:
        return _written(metadata())
    if list(argv[1:3]) == [_COMPLETE, name]:
        return _complete(argv[3:])
    words, changed = without_dockers_own(argv[1:], name)
    return run(words, Shell({**os.environ, **changed}, name=f"docker {name}"))


def _complete(words: Sequence[str]) -> int:
    from notarypy.cli.dockertrust import completing  # docker asks for metadata much more often

    with suppress(NotarypyError):  # nobody reads complaints in the middle of a line
        return _written(completing.answer(words))
    return 0


def _written(answer: str) -> int:
    """Answer docker; return the exit code."""
    try:
        sys.stdout.write(answer)
        sys.stdout.flush()
    except OSError:
        return 1
    return 0


def run(words: Sequence[str], shell: Shell) -> int:
    """Run a command line that begins after the program's name; return the exit code."""
    try:
        code = _run(words, shell)
        shell.write("", flush=True)
    except FailureError as failure:
        code = _failed(shell, str(failure))
    except NotarypyError as error:
        code = _failed(shell, error_text(error))
    except KeyboardInterrupt as error:
        code = code_of(error)
    except BrokenPipeError:
        code = 1
    except OSError as error:
        code = _failed(shell, ": ".join(filter(None, (error.filename, error.strerror or str(error)))))
    except Exception as error:  # noqa: BLE001 - the last frame: whatever it is, the user gets one line
        said = f"unexpected {type(error).__name__}{origin(error)}\n  why: this is a defect of notarypy"
        code = _failed(shell, said)
    return code


def _failed(shell: Shell, text: str) -> int:
    shell.failed(text)
    return 1


def _run(words: Sequence[str], shell: Shell) -> int:
    read = grammar.read(words, shell.name)
    if isinstance(read, Answer):
        if read.to_stdout:
            shell.write(read.text)
        else:
            shell.err(read.text.removesuffix("\n"))
        return read.code
    module, _, function = read.function.partition(":")
    getattr(import_module(f"{_HERE}.{module}"), function)(shell, read)
    return 0


def metadata() -> str:
    """Return what docker wants to know of a plugin (rule 1)."""
    facts = {
        "SchemaVersion": "0.1.0",
        "Vendor": "notarypy",
        "Version": __version__,
        "ShortDescription": "Sign images, and say who may",
    }
    return json.dumps(facts, indent=5) + "\n"


def without_dockers_own(words: Sequence[str], name: str) -> tuple[list[str], dict[str, str]]:
    """Return the words after the plugin's name, and variables for the options before it (rule 2)."""
    rest, changed = list(words), dict[str, str]()
    while rest and rest[0].startswith("-"):
        flag, equals, value = rest[0].partition("=")
        flag = _SHORT.get(flag, flag)
        if flag in _WITH_VALUE and (equals or len(rest) > 1):
            if not equals:
                value = rest.pop(1)
            if flag in _VARIABLES:
                changed[_VARIABLES[flag]] = value
            if flag == "--context" and value != "default":
                changed["DOCKER_HOST"] = ""
        elif flag not in _SWITCHES:
            break
        rest.pop(0)
    if rest[:2] == ["help", name]:
        return [*rest[2:], "--help"], changed
    # Without the plugin's name docker did not start this: what stands there is for the grammar.
    return (rest[1:], changed) if rest[:1] == [name] else (list(words), {})
