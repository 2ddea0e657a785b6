"""Where the docker daemon of this machine listens, or podman in its place.

What it is: which socket docker would take. What it is not: a connection (`daemon`).

Rules:

1. `DOCKER_HOST` says it; else the docker context that `DOCKER_CONTEXT` or `currentContext` in docker's
   config.json names, unless that is `default`; else the first of the usual sockets that is there.
2. What was said is never replaced by a guess: in another daemon an image of the same name is another image.
3. Only unix sockets will do. A daemon behind tcp or ssh is refused, and how to do without it is said.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, StorageError, UnreachableError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKER_SOCKET = "/var/run/docker.sock"
PODMAN_SOCKET = "/run/podman/podman.sock"
_SCHEME = "unix://"


@dataclass(frozen=True)
class DaemonAddress:
    """A daemon's socket, and who said that it is there, for error texts."""

    socket: str
    source: str


def find(environ: Mapping[str, str], docker_config: Path) -> DaemonAddress:
    """Return where the daemon listens.

    Args:
        environ: The environment.
        docker_config: The folder of docker's configuration.

    Raises:
        ConfigurationError: It is said to listen where we cannot go, or what says so cannot be read.
        UnreachableError: Nothing says where, and none of the usual sockets is there.
    """
    if host := environ.get("DOCKER_HOST", "").strip():
        return _place(host, "DOCKER_HOST")
    variable = environ.get("DOCKER_CONTEXT", "").strip()
    config = docker_config / "config.json"
    name = variable or _read(config).get("currentContext") or "default"
    if name != "default":
        return _of_context(name, docker_config, "DOCKER_CONTEXT" if variable else str(config))
    usual = _usual(environ)
    for socket in usual:
        if Path(socket).exists():
            return DaemonAddress(socket, "the usual place")
    raise UnreachableError(
        "there is no docker daemon here",
        why=f"DOCKER_HOST is not set, and there is none of: {', '.join(usual)}",
        advice=Advice("start-daemon"),
        reason="daemon",
        searched=usual,
    )


def _usual(environ: Mapping[str, str]) -> list[str]:
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    own = [f"{runtime}/podman/podman.sock"] if Path(runtime).is_absolute() else []
    return [DOCKER_SOCKET, *own, PODMAN_SOCKET]


def _place(host: str, source: str) -> DaemonAddress:
    """Read a daemon's address (rule 3)."""
    if host.startswith(f"{_SCHEME}/"):
        return DaemonAddress(host.removeprefix(_SCHEME), source)
    # The address itself may hold a login: only its scheme is shown.
    scheme = host.partition("://")[0] if "://" in host else "no scheme"
    raise ConfigurationError(
        f"cannot use the docker daemon that {source} names",
        why=f"only unix:///path/to/socket can be used here, and it has {scheme}",
        advice=Advice("push-yourself"),
        source=source,
    )


def _of_context(name: object, docker_config: Path, source: str) -> DaemonAddress:
    """Return where the daemon of a docker context listens; docker keeps contexts by their names' hashes."""
    shown = name if isinstance(name, str) else ""
    folder = docker_config / "contexts" / "meta" / hashlib.sha256(shown.encode()).hexdigest()
    endpoints = _read(folder / "meta.json").get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(host, str) or not host:
        raise ConfigurationError(
            f'there is no docker context "{shown}"',
            why=f"{source} names it, and {folder / 'meta.json'} has no address of a daemon",
            advice=Advice("choose-context"),
            source=source,
        )
    return _place(host, f'the docker context "{shown}"')


def _read(path: Path) -> dict[str, Any]:
    """Return a JSON object of docker's; an empty one if there is no such file.

    Raises:
        ConfigurationError: There is something else.
    """
    try:
        document = json.loads(files.read_regular(path, DEFAULT.config_bytes, follow=True).decode())
    except FileNotFoundError:
        return {}
    except (StorageError, OSError) as error:
        raise ConfigurationError(f"cannot use {path}", why=str(error), path=str(path)) from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ConfigurationError(f"cannot use {path}", why="it is not a JSON object", path=str(path))
    return document
