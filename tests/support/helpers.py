"""Credential helper programs for tests: shell scripts that answer as a test wants."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_helper(folder: Path, name: str, script: str) -> Path:
    """Write `docker-credential-NAME`, a shell script, into a folder for PATH; return the program."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def knowing(logins: dict[str, tuple[str, str]], log: Path | None = None) -> str:
    """Return the script of a helper that knows some servers, and logs its argument and what it is asked."""
    answers = {
        server: json.dumps({"Username": user, "Secret": secret}) for server, (user, secret) in logins.items()
    }
    cases = "".join(
        f"{shlex.quote(server)}) printf '%s\\n' {shlex.quote(answer)};;\n"
        for server, answer in answers.items()
    )
    note = f'echo "$1 $server" >> {shlex.quote(str(log))}\n' if log else ""
    unknown = "echo 'credentials not found in native keychain'; exit 1"
    return f'server=$(cat)\n{note}[ "$1" = get ] || exit 3\ncase "$server" in\n{cases}*) {unknown};;\nesac'
