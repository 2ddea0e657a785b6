"""`scripts/bench` works: one row, no distance, one turn."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from benchmarks import builds
from interop.harness import programs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_smoke_run_measures_everybody(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    paths = f"{builds.ROOT}:{builds.ROOT / 'tests'}"
    argv = [sys.executable, "-m", "benchmarks", "--smoke", "--markdown", "--json", str(found)]
    run = programs.run(argv, {"PYTHONPATH": paths, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}).expect(0)
    assert "| … to `notary lookup` |" in run.stdout
    (row,) = json.loads(found.read_text())["rows"]
    ours, notary, docker = row["cells"][0]["entries"]
    assert (ours["notary"]["connections"], ours["notary"]["requests"]) == (1, 1)
    assert (notary["notary"]["connections"], notary["notary"]["requests"]) == (2, 2)
    assert docker["notary"]["requests"] > 0
    assert ours["registry"]["connections"] == 0
    assert ours["cpu_ms"] > 0
    assert ours["peak_mib"] > 5
