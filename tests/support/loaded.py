"""Which modules a program loads beside those that the standard library loads by itself, in any Python."""

from __future__ import annotations

import json
import subprocess
import sys

# Logging loads dataclasses, and protocols load ast, from Python 3.14 on.
_BEFORE = "import json, logging, sys, typing; type('P', (typing.Protocol,), {}); before = set(sys.modules)\n"
_AFTER = "\nprint(json.dumps(sorted(sys.modules.keys() - before)))"

# What takes long to load, and no usual key needs.
HEAVY = {
    "cryptography.x509",
    "cryptography.hazmat.asn1",
    "cryptography.hazmat.primitives.serialization",
    "dataclasses",
}


def loaded_by(program: str, *arguments: str) -> tuple[list[str], set[str]]:
    """Run a program, and return the lines that it prints and the modules that it loads."""
    command = [sys.executable, "-I", "-X", "utf8", "-c", f"{_BEFORE}{program}{_AFTER}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *lines, modules = done.stdout.splitlines()
    return lines, set(json.loads(modules))
