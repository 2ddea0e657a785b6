"""Restoring a backup, or moving old keys, in processes that die, each before another step on the disk.

Run as `python -m support.dying BACKUP HOME FRESH`: restores into copies of HOME, or with FRESH into empty
homes; with `migrate` in place of BACKUP the keys of HOME are moved. Prints a line of JSON for each step:
what a process left that died before it, and what the next one made of that.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

# What restoring needs is loaded once, and not in each process.
from notarypy.client.api import Client
from notarypy.client.backup import restoring
from notarypy.client.keys import manager, migrating

if TYPE_CHECKING:
    from collections.abc import Callable

_CHANGING = {
    "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.chmod", "os.truncate", "socket.connect",
}  # fmt: skip
_DIED = 9
MIGRATE = "migrate"
_LOADED = restoring, manager, migrating


def main(backup: str, home: Path, *, fresh: bool) -> None:
    """Let one process after the other die one step later, until one lives to the end."""
    step = code = 1
    while code:
        there = home.with_name(f"{home.name}-{step}")
        if fresh:
            there.mkdir()
        else:
            shutil.copytree(home, there)
        code = _in_process(backup, there, step)
        left = files(there)
        _in_process(backup, there, 0)
        sys.stdout.write(json.dumps({"died": bool(code), "left": left, "then": files(there)}) + "\n")
        sys.stdout.flush()
        step += 1


def files(home: Path) -> dict[str, str]:
    """Return all files below a home but locks, by path."""
    found = {str(path.relative_to(home)): path for path in home.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes().decode("latin-1")
        for name, path in found.items()
        if not name.endswith(".lock")
    }


def _in_process(backup: str, home: Path, step: int) -> int:
    """Restore in a process of its own, which dies before its so many-th step; return its exit code."""
    client = Client.from_environment({"HOME": str(home)}, passphrases=lambda _: None)
    return die(client.keys.migrate if backup == MIGRATE else lambda: client.upkeep.restore(backup), step)


def die(act: Callable[[], object], step: int) -> int:
    """Do something in a process that dies before its so many-th step, or of an error; return its exit code.

    A step changes files or connects to a server.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writing = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_CREAT)
        )
        if writing or event in _CHANGING:
            left -= 1
            if left == 0:
                os._exit(_DIED)

    vars(os)["fsync"] = lambda _: None  # nobody pulls the plug here
    sys.addaudithook(count)
    try:
        act()
    except BaseException:  # noqa: BLE001 - a forked process never goes on in its parent's place
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), fresh=len(sys.argv) > 3)
