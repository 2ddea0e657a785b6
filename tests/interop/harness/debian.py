"""An empty Debian 12: its own Python, and no compiler, no pip, nobody's packages.

What it is: the folder that scripts/setup makes, seen by a person in it who has a home and no rights, and can
write to nothing else. Wheels are in a folder, and there is no package index. What it is not: a container; it
has the machine's network, so that servers on loopback are reached.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import programs

if TYPE_CHECKING:
    from interop.harness.programs import Run

ROOT = Path(sys.prefix, "servers", "debian")
CHECKOUT = Path(__file__).parents[3]
USER = 1000
# Not what anything is installed from.
_SKIPPED = shutil.ignore_patterns(".*", "__pycache__", "tests", "fixtures", "benchmarks", "docs", "dist")
# The mounts are of this one process and what it starts.
_ENTER = """
root=$1 home=$2 wheels=$3 runners=$4 script=$5
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount --bind "$home" "$root/home"
mount --bind "$wheels" "$root/mnt"
mount --bind "$runners" "$root/media"
shift 5
exec "$@" "$root" /bin/bash -ec "$script"
"""


class Debian:
    """The home of somebody who has a checkout there."""

    def __init__(self, home: Path) -> None:
        assert (ROOT / "included").exists(), "scripts/setup makes it"
        self.home = home
        shutil.copytree(CHECKOUT, home / "notarypy", ignore=_SKIPPED)
        for path in (home, *home.rglob("*")):
            os.chown(path, *_whose(), follow_symlinks=False)

    def run(self, script: str) -> Run:
        """Run a script of bash in the checkout, until a command of it fails."""
        environment = {
            "HOME": "/home",
            "LANG": "C.UTF-8",
            # uv is in the last one, and nothing else that is not in the others.
            "PATH": "/home/.local/bin:/usr/bin:/bin:/media",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/mnt",
            "PIP_NO_COMPILE": "1",
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": "/mnt",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_LINK_MODE": "copy",
        }
        folders = [ROOT, self.home, Path(sys.prefix, "wheels"), Path(sys.prefix, "runners", "bin")]
        command = ["unshare", "--mount", "--propagation=private"]
        enter = [programs.find("chroot"), f"--userspec={USER}:{USER}"]
        if os.geteuid() != 0:
            command, enter = [*command, "--map-root-user"], enter[:1]
        words = [
            *command,
            "sh",
            "-ec",
            _ENTER,
            "enter",
            *map(str, folders),
            f"cd ~/notarypy\n{script}",
            *enter,
        ]
        return programs.collect(programs.start(words, environment), timeout=300)


def _whose() -> tuple[int, int]:
    return (USER, USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
