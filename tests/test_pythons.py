"""The whole flow under other builds of this Python, such as the distribution's, with this one's packages."""

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


@pytest.mark.parametrize("python", pythons())
def test_the_demonstration_runs(python: str, tmp_path: Path) -> None:
    places = [str(Path(__file__).parents[1]), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = {"HOME": str(tmp_path), "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(places)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [python, "-m", "notarypy", "demo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
