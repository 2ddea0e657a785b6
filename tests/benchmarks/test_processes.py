"""Starting programs and what they cost; other builds of the package."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import builds
from benchmarks.processes import Command, Launcher, ProgramFailedError

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str) -> Command:
    """Return a command that runs this."""
    return Command((sys.executable, "-I", "-S", "-c", code), {"WORD": "hello"})


def test_a_program_runs_with_nothing_but_its_environment(tmp_path: Path) -> None:
    output = tmp_path / "output"
    code = (
        "import os, sys; print(sorted(os.environ), sys.stdin.read(), os.getsid(0) == os.getsid(os.getppid()))"
    )
    with Launcher(output) as launcher:
        cost = launcher.run(python(code))
    assert output.read_text().split() == ["['LC_CTYPE',", "'PATH',", "'WORD']", "True"]
    assert cost.cpu > 0
    assert cost.wall > 0


def test_memory_is_that_of_the_program_alone(tmp_path: Path) -> None:
    ballast = bytearray(100 << 20)
    with Launcher(tmp_path / "output") as launcher:
        small = launcher.run(python("pass"))
        large = launcher.run(python("x = bytearray(40 << 20)"))
    assert len(ballast) == 100 << 20
    assert small.peak < 30
    assert large.peak >= small.peak + 35


def test_a_program_that_fails_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    with Launcher(tmp_path / "output") as launcher:
        with pytest.raises(ProgramFailedError, match=r"(?s)exit 3.*no such luck"):
            launcher.run(python("import sys; print('no such luck'); sys.exit(3)"))
        launcher.run(python("pass"))


@pytest.mark.slow
def test_a_build_is_installed_and_independent_of_this_checkout(tmp_path: Path) -> None:
    build = builds.current(tmp_path / "build")
    run = subprocess.run(
        [build.program, "--version"], capture_output=True, text=True, check=True, env={}, timeout=60
    )
    assert run.stdout.startswith("notarypy ")
    python_ = build.program.with_name("python3")
    where = subprocess.run(
        [python_, "-I", "-c", "import notarypy, requests; print(notarypy.__file__)"],
        capture_output=True, text=True, check=True, env={}, timeout=60,
    ).stdout.strip()  # fmt: skip
    assert where.startswith(str(tmp_path))
    assert list((tmp_path / "build").rglob("notarypy/tuf/__pycache__/trusted.*.pyc"))
