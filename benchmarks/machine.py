"""What is measured, and where: the facts that stand above a table."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.builds import Build

# Debian's notary knows its compiler's version and not its own.
VERSIONS = {
    "Go notary of": ["notary", "version"],
    "docker": ["docker", "--version"],
    "skopeo": ["skopeo", "-v"],
}


def facts(taking_turns: Sequence[Build], turns: int) -> dict[str, str]:
    """Return what is measured, and where."""
    found = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": taking_turns[0].commit,
        **{f"against {build.name}": build.commit for build in taking_turns[1:]},
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "turns": f"up to {turns}",
    }
    for name, words in VERSIONS.items():
        said = subprocess.run(
            [programs.find(words[0]), *words[1:]], capture_output=True, text=True, check=False
        ).stdout
        version = re.search(r"(?:go)?\d+\.\d+[\w.+~-]*", said)
        found[name] = version[0] if version else "?"
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
