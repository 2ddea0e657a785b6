"""The commands by name, each imported only when it is called.

What it is: the table. What it is not: what a command does, or how a line is read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.cli.declared import Commands, Function
    from notarypy.cli.proposals import Known, Proposals

_HOME = "notarypy.cli"
COMMANDS = {
    "init": "trust:init",
    "sign": "sign:sign",
    "verify": "verify:verify",
    "pin": "pin:pin",
    "build": "pin:build",
    "revoke": "sign:revoke",
    "push": "transfer:push",
    "pull": "transfer:pull",
    "copy": "transfer:copy",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "export": "archive:export",
    "import": "archive:import_archive",
    "inspect": "verify:inspect",
    "delegate": "delegate:app",
    "signer": "delegate:signer_app",
    "admission": "admission:app",
    "key": "key:app",
    "migrate": "migrate:app",
    "status": "renew:status",
    "doctor": "doctor:doctor",
    "renew": "renew:renew",
    "history": "history:history",
    "report": "overview:report",
    "login": "login:login",
    "logout": "login:logout",
    "trust": "trust:trust",
    "forget": "trust:forget",
    "delete": "trust:delete",
    "republish": "trust:republish",
    "docker-trust": "dockertrust.plugin:docker_trust",
    "notary": "gonotary.entry:notary",
    "install-plugin": "dockertrust.plugin:install_plugin",
    "completion": "completion:completion",
    "serve": "serve:serve",
    "demo": "devserver:demo",
    "devserver": "devserver:devserver",
}
# These read all the words after them themselves, and these functions know what those may be.
RAW = {"docker-trust": "dockertrust.completing:proposals", "notary": "gonotary.notarycompletion:proposals"}


def find(name: str) -> Function | Commands | None:
    """Import a command, or the commands of a noun; None if there is none of this name."""
    if name not in COMMANDS:
        return None
    found: Function | Commands = _imported(COMMANDS[name])
    return found


def raw_proposals(name: str) -> Callable[[Sequence[str], Known, str], Proposals]:
    """Import what knows what may follow some words of a command that reads them itself."""
    found: Callable[[Sequence[str], Known, str], Proposals] = _imported(RAW[name])
    return found


def _imported(place: str) -> Any:  # noqa: ANN401 - of any type
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"{_HOME}.{module}"), attribute)
