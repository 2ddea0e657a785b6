"""`notarypy install-plugin`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notarypy import files
from notarypy.cli.dockertrust import plugin
from notarypy.errors import Advice, AlreadyExistsError, InvalidNameError, StorageError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Collection

    from notarypy.cli.session import Session

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
    session: Session = context.obj
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
    if plugin.MARK.encode() in data:
        return True
    raise AlreadyExistsError(
        f"{path} exists",
        why="it is not of notarypy install-plugin",
        advice=Advice("move-away-or", option="--name"),
        path=str(path),
    )


def _write(path: Path) -> None:
    files.write_atomic(path, plugin.script(sys.executable).encode(), _MODE)
