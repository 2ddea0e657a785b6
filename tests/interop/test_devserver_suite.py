"""The same tests of the clients that run against the real servers, run against the devserver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = ("flow", "go_notary", "docker", "init", "sign", "signers", "publish", "revoke", "rotate")


@pytest.mark.parametrize("suite", SUITES)
def test_clients_see_no_difference(suite: str, tmp_path: Path) -> None:
    path = HERE / f"test_{suite}.py"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-cov", f"--basetemp={tmp_path / 'run'}"]
    environment = {**os.environ, "INTEROP_SERVERS": "devserver"}
    for name in [name for name in environment if name.startswith(("PYTEST_", "COV_"))]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(path)],
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
