"""What takes long to make is made once, however many workers want it.

The folders are those of one test run: they go when it ends, as they take much room.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "once"


@dataclass(frozen=True)
class Once:
    """The folders that all workers of a run have, below the temporary folder of one of them."""

    base: Path

    @property
    def folder(self) -> Path:
        """Where they are; a worker's own temporary folder is inside of the run's."""
        return (self.base.parent if "PYTEST_XDIST_WORKER" in os.environ else self.base) / NAME

    def made(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return a folder that was filled by the first worker that wanted it; others wait for that one."""
        self.folder.mkdir(exist_ok=True)
        found, done = self.folder / name, self.folder / f"{name}.done"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(found, ignore_errors=True)
                found.mkdir()
                make(found)
                done.touch()
        return found
