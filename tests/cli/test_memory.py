"""Core dumps are off in the program, and nowhere else."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from notarypy import system

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run

GET_DUMPABLE = 3
# Tells, at the moment of the first question for a passphrase's source, what the system would do.
PROGRAM = f"""
import ctypes, resource, sys
from notarypy.cli import main
from notarypy.keys import passphrases
def state():
    dumpable = ctypes.CDLL(None).prctl({GET_DUMPABLE}, 0, 0, 0, 0) if sys.platform == "linux" else 0
    return *resource.getrlimit(resource.RLIMIT_CORE), dumpable
made = passphrases.standard_chain
def chain(*arguments, **named):
    print(*state())
    return made(*arguments, **named)
passphrases.standard_chain = chain
sys.argv = ["notarypy", *sys.argv[1:]]
main.main()
"""


def program(code: str, *argv: str, home: Path) -> list[str]:
    """Run a program in a process of its own that could dump its memory; return what it printed."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = subprocess.run(
        [sys.executable, "-c", code, *argv],
        env={"HOME": str(home), "NOTARYPY_PASSPHRASE_JEFF": "a passphrase"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_the_program_dumps_no_core_when_it_asks_for_passphrases(home: Path) -> None:
    assert program(PROGRAM, "key", "generate", "jeff", home=home)[0] == "0 0 0"


def test_the_library_leaves_its_process_alone(run: Run) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    run("key", "list").expect(0)
    assert resource.getrlimit(resource.RLIMIT_CORE) == before


@pytest.mark.parametrize("error", [ValueError("not allowed"), OSError("not here")])
def test_a_system_that_refuses_stops_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    asked: list[object] = []

    def refuse(*limit: object) -> None:
        asked.append(limit)
        raise error

    def missing(library: None) -> object:
        asked.append(library)
        return object()

    monkeypatch.setattr("resource.setrlimit", refuse)
    monkeypatch.setattr("ctypes.CDLL", missing)
    system.keep_memory_private()
    assert asked[0] == (resource.RLIMIT_CORE, (0, 0))
    assert len(asked) == 1 + (sys.platform == "linux")
