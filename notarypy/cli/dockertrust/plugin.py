"""docker's protocol for plugins of its command line, and the file that makes one of this program.

What it is: what docker asks a plugin, what it calls it with, and what stands in its folder. What it is
not: the installation (`cli.dockertrust.plugin`).

Rules:

1. docker asks for metadata with one word, and takes only plugins that answer in JSON.
2. What comes before the plugin's name are docker's own options; `docker help NAME` is a request for
   help. As with docker, `--context` counts before `DOCKER_HOST`, unless it is `default`.
3. The file starts the very Python that wrote it, and adds nothing to where modules are looked for.

`notarypy install-plugin`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notarypy import files
from notarypy.errors import Advice, AlreadyExistsError, InvalidNameError, StorageError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.cli.run import Run

METADATA = "docker-cli-plugin-metadata"
MARK = "# Written by notarypy install-plugin, which may overwrite or remove it."
_START = "import sys; del sys.argv[0]; from notarypy.cli.dockertrust.program import main; main()"
_VARIABLES = {"--config": "DOCKER_CONFIG", "--host": "DOCKER_HOST", "--context": "DOCKER_CONTEXT"}
_SHORT = {"-H": "--host", "-c": "--context", "-l": "--log-level"}
_WITH_VALUE = {*_VARIABLES, "--log-level", "--tlscacert", "--tlscert", "--tlskey"}
_SWITCHES = {"-D", "--debug", "--tls", "--tlsverify"}


def metadata() -> str:
    """Return what docker wants to know of a plugin (rule 1)."""
    from notarypy import __version__

    facts = {
        "SchemaVersion": "0.1.0",
        "Vendor": "notarypy",
        "Version": __version__,
        "ShortDescription": "Sign images, and say who may",
    }
    return json.dumps(facts, indent=5) + "\n"


def script(python: str) -> str:
    """Return the file for docker's folder of plugins (rule 3)."""
    command = f'exec {shlex.quote(python)} -P -c {shlex.quote(_START)} "$0" "$@"'
    return f"#!/bin/sh\n{MARK}\n{command}\n"


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


_MODE = 0o755
_TRUST = "trust"


def install_plugin(
    context: typer.Context,
    *,
    directory: Annotated[
        str | None,
        typer.Option(
            "--dir", metavar="DIR", help="Docker's folder of plugins; default: cli-plugins in its directory."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What follows docker on a command line.")
    ] = _TRUST,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove the plugin.")] = False,
) -> None:
    """Make docker run notarypy for docker trust.

    Docker 29 and later has no docker trust of its own. Older ones have: there the plugin needs another name.

    Example:
      notarypy install-plugin
      notarypy install-plugin --name dct
    """
    session: Run = context.obj
    session.begin(context)
    if re.fullmatch(r"[a-z][a-z0-9]*", name) is None:
        raise InvalidNameError(f'"{name}" cannot be a plugin', why="docker takes letters a-z and digits")
    path = _folder(directory) / f"docker-{name}"
    known = _present(path)
    if uninstall:
        if known:
            path.unlink()
        text = f"removed {path}" if known else f"there is no {path}"
    else:
        own = _own_commands()
        if name in own and name != _TRUST:
            raise InvalidNameError(
                f"docker has a command {name} of its own",
                why="it would never run this plugin",
                advice=Advice("choose-plugin-name"),
            )
        _write(path)
        text = f"installed {path}: {_use(name, own)}"
    session.report.done(name, {"path": str(path), "installed": not uninstall}, text)


def _use(name: str, own: Collection[str]) -> str:
    """Say what docker does with the plugin."""
    if name in own:
        return f"the docker here runs its own docker {name}, and this from version 29 on; or use --name"
    return f"docker {name} runs notarypy" + (" now" if own else "")


def _own_commands() -> frozenset[str]:
    """Return the commands that the docker here has without plugins, whose names it marks.

    No daemon is asked: it is sent where there is none.
    """
    import shutil
    import subprocess

    program = shutil.which("docker")
    if program is None:
        return frozenset()
    environ = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    try:
        done = subprocess.run(  # noqa: S603 - the docker of PATH, without a shell
            [program, "--help"],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(re.findall(r"^  ([a-z][a-z0-9]*) ", done.stdout.decode(errors="replace"), re.MULTILINE))


def _folder(directory: str | None) -> Path:
    if directory is not None:
        return Path(directory)
    named = os.environ.get("DOCKER_CONFIG")
    return (Path(named) if named else Path.home() / ".docker") / "cli-plugins"


def _present(path: Path) -> bool:
    """Tell whether the plugin is there.

    Raises:
        AlreadyExistsError: Something else is.
    """
    try:
        data = files.read_regular(path, DEFAULT.plugin_bytes)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (StorageError, OSError):
        data = b""
    if MARK.encode() in data:
        return True
    raise AlreadyExistsError(
        f"{path} exists",
        why="it is not of notarypy install-plugin",
        advice=Advice("move-away-or", option="--name"),
        path=str(path),
    )


def _write(path: Path) -> None:
    files.write_atomic(path, script(sys.executable).encode(), _MODE)
