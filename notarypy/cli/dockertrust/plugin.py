"""docker's protocol for plugins of its command line, and the file that makes one of this program.

What it is: what docker asks a plugin, what it calls it with, and what stands in its folder. What it is
not: the installation (`cli.installplugin`).

Rules:

1. docker asks for metadata with one word, and takes only plugins that answer in JSON.
2. What comes before the plugin's name are docker's own options; `docker help NAME` is a request for
   help. As with docker, `--context` counts before `DOCKER_HOST`, unless it is `default`.
3. The file starts the very Python that wrote it, and adds nothing to where modules are looked for.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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
