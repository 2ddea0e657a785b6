"""The commands by name, each imported only when it is called.

What it is: the table. What it is not: what a command does, or how a line is read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.cli.declared import Commands, Function

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
    "delete": "upkeep:delete",
    "republish": "upkeep:republish",
    "docker-trust": "dockertrust.plugin:docker_trust",
    "install-plugin": "dockertrust.plugin:install_plugin",
    "serve": "serve:serve",
    "demo": "devserver:demo",
    "devserver": "devserver:devserver",
}
# These read all the words after them themselves.
RAW = frozenset({"docker-trust"})


def find(name: str) -> Function | Commands | None:
    """Import a command, or the commands of a noun; None if there is none of this name."""
    if name not in COMMANDS:
        return None
    module, _, attribute = COMMANDS[name].partition(":")
    found: Function | Commands = getattr(import_module(f"{_HOME}.{module}"), attribute)
    return found
