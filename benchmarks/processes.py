"""Programs that are measured: what to run, what it cost."""

from __future__ import annotations

import marshal
import os
import select
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIMEOUT = 600.0
LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Command:
    """A program with its arguments and its whole environment."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Cost:
    """What one command, or several one after the other, took.

    Attributes:
        wall: Seconds from start to end.
        cpu: User and system seconds.
        peak: The largest process's peak of resident memory, in MiB.
    """

    wall: float
    cpu: float
    peak: float

    @staticmethod
    def of_all(costs: Iterable[Cost]) -> Cost:
        """Return the cost of commands that ran one after the other."""
        known = list(costs)
        return Cost(
            sum(cost.wall for cost in known),
            sum(cost.cpu for cost in known),
            max(cost.peak for cost in known),
        )


class ProgramFailedError(Exception):
    """A measured program did not succeed, so that its time says nothing."""


class Launcher:
    """The small process that starts the programs; see `launcher`."""

    def __init__(self, output: Path) -> None:
        """Start it; what programs print goes to the file `output`, each time anew."""
        self._output = output
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # no terminal: nothing can prompt
        )

    def run(self, command: Command) -> Cost:
        """Run a command that must succeed.

        Raises:
            ProgramFailedError: it did not, or took more than ten minutes.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        path = programs.find(command.argv[0])
        environment = {"PATH": programs.SEARCH_PATH, **command.environment}
        marshal.dump(([path, *command.argv[1:]], environment, str(self._output)), self._process.stdin)
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
            self.close()
            raise ProgramFailedError(f"$ {shlex.join(command.argv)[:500]}\nstill runs after {TIMEOUT:.0f} s")
        code, wall, user, system, peak = marshal.load(self._process.stdout)  # noqa: S302 - our own child
        if code:
            said = self._output.read_text(errors="replace")[-4000:]
            raise ProgramFailedError(f"$ {shlex.join(command.argv)[:500]}\n[exit {code}]\n{said}")
        return Cost(wall, user + system, peak / 1024)

    def close(self) -> None:
        """End it and whatever it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._process:
            pass

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()
