"""notarypy's own commands for `docker trust`: `docker-trust` runs it, `install-plugin` makes docker run it.

What it is: the two commands of the program notarypy, and the file in docker's folder of plugins. What it is
not: the program that this file starts (`program`).

Rules:

1. The file starts the very Python that wrote it, and adds nothing to where modules are looked for, but the
   single file if notarypy was started from one.
2. Only what `install-plugin` wrote is overwritten or removed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from notarypy import files, system
from notarypy.cli.declared import Option
from notarypy.cli.dockertrust import program
from notarypy.cli.dockertrust.shell import Shell
from notarypy.cli.run import Context, begin
from notarypy.errors import Advice, AlreadyExistsError, InvalidNameError, StorageError, UsageError
from notarypy.limits import DEFAULT

MARK = "# Written by notarypy install-plugin, which may overwrite or remove it."
_START = "import sys; del sys.argv[0]; from notarypy.cli.main import docker_trust; docker_trust()"
_START_FILE = (
    "import sys; del sys.argv[0]; sys.path.insert(0, {!r}); import notarypy_single_file as it; it.start()"
)
_MODE = 0o755
_TRUST = "trust"


def docker_trust(context: Context) -> None:
    """Do what docker trust does, in its words."""
    session = context.run
    session.report.command = "docker-trust"
    if session.options.json:
        advice = Advice("leave-out", option="--json")
        raise UsageError("docker-trust prints what docker prints, and no document", advice=advice)
    shell = Shell(os.environ, session.options.for_client, "notarypy docker-trust")
    session.report.own_code = program.run(context.words, shell)


def install_plugin(
    context: Context,
    *,
    directory: Annotated[
        str | None,
        Option(
            "--dir", metavar="DIR", help="Docker's folder of plugins; default: cli-plugins in its directory."
        ),
    ] = None,
    name: Annotated[str, Option(metavar="NAME", help="What follows docker on a command line.")] = _TRUST,
    uninstall: Annotated[bool, Option("--uninstall", help="Remove the plugin.")] = False,
) -> None:
    """Make docker trust run notarypy.

    Docker 29 and later has no docker trust of its own. Older ones have: there the plugin needs another name.

    Example:
      notarypy install-plugin
      notarypy install-plugin --name dct
    """
    run = begin(context)
    if re.fullmatch(r"[a-z][a-z0-9]*", name) is None:
        raise InvalidNameError(f'"{name}" cannot be a plugin', why="docker takes letters a-z and digits")
    folder = Path(os.environ.get("DOCKER_CONFIG") or files.home(os.environ) / ".docker", "cli-plugins")
    path = files.require_home(Path(directory or folder, f"docker-{name}"))
    known = _present(path)
    if system.WINDOWS and not uninstall:
        raise UsageError("docker on Windows runs no script as a plugin", advice=Advice("copy-plugin"))
    if uninstall:
        if known:
            path.unlink()
        text = f"removed {path}" if known else f"there is no {path}"
    else:
        own = _own_commands()
        if name in own and name != _TRUST:
            message, advice = f"docker has a command {name} of its own", Advice("choose-plugin-name")
            raise InvalidNameError(message, why="it would never run this plugin", advice=advice)
        command = f'exec {shlex.quote(sys.executable)} -P -c {shlex.quote(_start())} "$0" "$@"'  # rule 1
        files.write_atomic(path, f"#!/bin/sh\n{MARK}\n{command}\n".encode(), _MODE)
        use = f"docker {name} runs notarypy" + (" now" if own else "")
        if name in own:
            use = f"the docker here runs its own docker {name}, and this from version 29 on; or use --name"
        text = f"installed {path}: {use}"
    run.report.done(name, {"path": str(path), "installed": not uninstall}, text)


def _start() -> str:
    """Return what Python is to do (rule 1)."""
    loader = getattr(sys.modules.get("notarypy_single_file"), "__loader__", None)
    return _START if loader is None else _START_FILE.format(os.path.realpath(loader.archive))


def _own_commands() -> frozenset[str]:
    """Return the commands that the docker here has without plugins, whose names it marks.

    No daemon is asked: it is sent where there is none.
    """
    program = shutil.which("docker")
    if program is None:
        return frozenset()
    command, environ = [program, "--help"], {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    try:
        done = subprocess.run(  # noqa: S603 - the docker of PATH, without a shell
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(re.findall(r"^  ([a-z][a-z0-9]*) ", done.stdout.decode(errors="replace"), re.MULTILINE))


def _present(path: Path) -> bool:
    """Return whether the plugin is there; raise AlreadyExistsError if something else is."""
    try:
        data = files.read_regular(path, DEFAULT.plugin_bytes)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (StorageError, OSError):
        data = b""
    if MARK.encode() in data:
        return True
    why, advice = "it is not of notarypy install-plugin", Advice("move-away-or", option="--name")
    raise AlreadyExistsError(f"{path} exists", why=why, advice=advice, path=str(path))
