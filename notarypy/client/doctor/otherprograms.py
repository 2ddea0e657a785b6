"""Docker and Go notary beside us: which there are, what they share with us, and what their variables say.

What it is: programs that are asked for their versions, their files and variables. What it is not: a daemon or
a server; nobody is asked over a network.

Rules:

1. A program is started with the words for its version alone, without a terminal, for some seconds at most.
2. Variables contradict each other where two programs would take different servers or passphrases for the
   same. No value of a passphrase is shown.
3. A variable that looks like one of ours, docker's or Go notary's, and is none, is named: what it was to say
   does not count. Kubernetes sets some by itself, for services that are called so.
4. A host tells by its name alone until when its Notary service is there.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.doctor import origins
from notarypy.errors import Advice, NotarypyError
from notarypy.images.reference import DOCKER_HUB
from notarypy.limits import DEFAULT
from notarypy.storage.settings.settings import DOCKER_HUB_ENDS, SERVER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from notarypy.client.findings import Findings
    from notarypy.client.session import Session
    from notarypy.storage.settings.settings import Settings

_SECONDS = 10.0
_VERSION = re.compile(r"version:? +v?(\d[^\s,]*)", re.IGNORECASE)
_OWN = "notarypy"  # which our own `notary` says of itself
_UNKNOWN = "of an unknown version"
_PLUGINS = (
    *("/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins"),
    *("/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins"),
)
_WITHOUT_TRUST = 29  # from here on docker has no docker trust of its own
_ENDS = (
    (re.compile(r"(?:[a-z0-9-]+\.)*azurecr\.(?:io|cn|us)(?::\d+)?"), "Azure's registries", date(2028, 3, 31)),
    (re.compile(r"(?:msr|dtr)\..*"), "Mirantis' MSR 2.9, which its name says it is", date(2027, 3, 24)),
)
_SAME = (
    ("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "NOTARY_ROOT_PASSPHRASE"),
    ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_TARGETS_PASSPHRASE"),
    ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_DELEGATION_PASSPHRASE"),
)
_OLD = {
    "DOCKER_CONTENT_TRUST_OFFLINE_PASSPHRASE": "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE",
    "DOCKER_CONTENT_TRUST_TAGGING_PASSPHRASE": "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
}


def programs(found: Findings, session: Session) -> None:
    """Look for docker and Go notary, and at what they share with us."""
    settings, area = session.settings, "docker"
    docker = next(_versions("docker", "--version", settings.environ), "")
    if docker:
        found.ok(area, f"docker {docker} is here", program="docker", version=docker)
    if notary := next(_versions("notary", "version", settings.environ), ""):
        found.ok(area, f"Go notary {notary} is here", program="notary", version=notary)
    plugin = _plugin(settings)
    major = docker.partition(".")[0]
    if plugin is not None and not _starts(plugin):
        text = f"docker's plugin {plugin} starts a Python that is not there"
        found.bad(area, text, Advice("install-plugin-anew"))
    elif plugin is not None:
        found.ok(area, f"docker trust can run notarypy: {plugin}")
    elif major.isdigit() and int(major) >= _WITHOUT_TRUST:
        text = f"docker {docker} has no docker trust of its own, and no plugin has it"
        found.warning(area, text, Advice("install-plugin-anew"))
    with found.looking(area):
        _shared(found, settings)
    _variables(found, settings.environ)


def _versions(program: str, word: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the versions of the programs of a name that are here, but for our own (rule 1)."""
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    for path in dict.fromkeys(shutil.which(program, path=folder) for folder in folders if folder):
        if path is not None and (said := _said(path, word, environ)) is not None and _OWN not in said:
            version = _VERSION.search(said)
            yield version[1] if version else _UNKNOWN


def _said(path: str, word: str, environ: Mapping[str, str]) -> str | None:
    """Return what a program says that was found by its name; None if it cannot be started."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, by a fixed name
            [path, word],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environ),
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace")


def _plugin(settings: Settings) -> Path | None:
    folders = [str(settings.docker_config / "cli-plugins"), *_PLUGINS]
    return next((path for folder in folders if os.path.lexists(path := Path(folder, "docker-trust"))), None)


def _starts(plugin: Path) -> bool:
    """Tell whether a plugin can be started, and of our own whether the Python that it names is there."""
    if not os.access(plugin, os.X_OK):
        return False
    try:
        text = files.read_regular(plugin, DEFAULT.plugin_bytes, follow=True).decode(errors="replace")
    except (NotarypyError, OSError):
        return True  # another program
    python = re.search(r"^exec (/\S+) ", text, re.MULTILINE)
    return python is None or os.access(python[1], os.X_OK)


def _shared(found: Findings, settings: Settings) -> None:
    """Say whether docker's trust directory is ours, and what docker's file says of content trust."""
    docker = settings.docker_config / "trust"
    if files.lacks_home(docker):
        pass  # docker has none either
    elif settings.trust_dir == docker:
        found.ok("docker", f"keys and trusted roots are shared with docker: {docker}")
    else:
        ours = settings.trust_dir
        text = f"docker keeps keys and trusted roots in {docker}, and here {ours} counts"
        same = docker.exists() and ours.exists() and docker.samefile(ours)
        note = found.ok if same or not docker.is_dir() else found.warning
        note("docker", text)
    home = files.home(settings.environ) if settings.policy is None else settings.policy.home
    go = home / ".notary"
    if any((go / "private").glob("*.key")) and not (
        settings.trust_dir.exists() and go.samefile(settings.trust_dir)
    ):
        text = f"Go notary has keys of its own in {go}, which are not here"
        found.warning("docker", text, Advice("share-with-notary", path=settings.trust_dir))
    path = settings.docker_config / "config.json"
    if path.exists():
        try:
            document = json.loads(files.read_regular(path, DEFAULT.config_bytes, follow=True) or b"{}")
        except ValueError:
            found.bad("docker", f"{path} is not JSON", Advice("mend-file", file=path))
            return
        if isinstance(document, dict) and "contentTrust" in document:
            found.warning(
                "docker",
                f"contentTrust in {path} is for no docker client: it is not read",
                Advice("set-content-trust"),
            )


def _variables(found: Findings, environ: Mapping[str, str]) -> None:
    """Compare variables of docker and of Go notary (rule 2), and name those that nobody reads (rule 3)."""
    for name in origins.unread(environ):
        longer = [each for each in origins.READ if each.startswith(name)]
        meant = (longer or difflib.get_close_matches(name, origins.READ, 1, 0.0))[0]
        text = f"{name} is set, and nothing reads a variable of this name"
        found.warning("environment", text, Advice("use-variable", name=name, meant=meant))
    server, other = environ.get(SERVER_VARIABLE, ""), environ.get("NOTARY_REMOTE_SERVER_URL", "")
    if server and other and server.rstrip("/") != other.rstrip("/"):
        text = f"{SERVER_VARIABLE} is {server}, and Go notary is told NOTARY_REMOTE_SERVER_URL={other}"
        found.warning("docker", text, Advice("unset", name="NOTARY_REMOTE_SERVER_URL"))
    for ours, theirs in _SAME:
        if environ.get(ours) and environ.get(theirs) and environ[ours] != environ[theirs]:
            text = f"{ours} and {theirs} have different passphrases: the first is tried first"
            found.warning("docker", text, Advice("unset", name=theirs))
    for old, new in _OLD.items():
        if environ.get(old) and not environ.get(new):
            found.warning(
                "docker", f"{old} is of an old docker, and not read: {new} is", Advice("unset", name=old)
            )
    trust = environ.get("DOCKER_CONTENT_TRUST", "")
    if trust.lower() in {"0", "false", "f"} and server:
        text = f"DOCKER_CONTENT_TRUST={trust} turns docker's verification off, while {SERVER_VARIABLE} is set"
        found.warning("docker", text, Advice("set-content-trust"))
    elif trust and trust.lower() not in {"1", "true", "t", "0", "false", "f"}:
        found.warning(
            "docker", f"DOCKER_CONTENT_TRUST is {trust}, which docker refuses", Advice("set-content-trust")
        )


def endings(found: Findings, hosts: Sequence[str], today: date) -> None:
    """Say of services that are going to end when that is (rule 4)."""
    for host in hosts:
        known = [(name, ends) for pattern, name, ends in _ENDS if pattern.fullmatch(host)]
        if host in {DOCKER_HUB, "notary.docker.io"}:
            known = [("Docker Hub's Notary service", DOCKER_HUB_ENDS)]
        for name, ends in known:
            over = "ended" if today >= ends else "ends"
            note = found.bad if today >= ends else found.warning
            note("server", f"{host}: Notary at {name} {over} on {ends}", Advice("leave-notary"))
