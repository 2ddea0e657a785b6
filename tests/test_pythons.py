"""The whole flow under other builds of this Python, with its packages, and under later ones with theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# scripts/setup brings them, each with its own C library; Debian has no 3.12.
LATER = {
    name: Path(sys.prefix, "servers", "pythons", name, "usr/bin", f"python{name}")
    for name in ("3.13", "3.14")
}
PROGRAM = "import sys; print(sys.version_info[:2], sys.implementation.cache_tag, sys.maxsize)"


def said(python: str) -> str:
    """Return what tells whether two Pythons can share packages; empty if it does not start."""
    done = subprocess.run(
        [python, "-I", "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout if done.returncode == 0 else ""


def pythons() -> list[str]:
    """Return this Python and every other one here that can use its packages."""
    found = [shutil.which(name, path=os.defpath) for name in ("python3", f"python{VERSION}")]
    others = {str(Path(name).resolve()) for name in found if name}
    return [sys.executable, *sorted(name for name in others if said(name) == said(sys.executable))]


def demonstrate(command: list[str], home: Path, *places: str) -> None:
    """Run `notarypy demo` of this checkout, with packages in these places."""
    environment = {"HOME": str(home), "PATH": os.defpath, "PYTHONPYCACHEPREFIX": str(home / "compiled")}
    environment["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parents[1]), *places))
    command = [*command, "-m", "notarypy", "demo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("python", pythons())
def test_the_demonstration_runs(python: str, tmp_path: Path) -> None:
    demonstrate([python], tmp_path, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))


@pytest.mark.parametrize("version", LATER)
def test_the_demonstration_runs_with_later_pythons(version: str, tmp_path: Path) -> None:
    assert said(str(LATER[version])).startswith(str(tuple(map(int, version.split("."))))), "run scripts/setup"
    demonstrate([str(LATER[version]), "-W", "error"], tmp_path)
