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


def test_growth_is_measured_for_all_that_grows(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    paths = f"{builds.ROOT}:{builds.ROOT / 'tests'}"
    argv = [sys.executable, "-m", "benchmarks.scale", "--sizes", "3", "--turns", "1", "--json", str(found)]
    run = programs.run(argv, {"PYTHONPATH": paths, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}).expect(0)
    assert "| to 3 signers |" in run.stdout
    requests = {
        (kind, point["work"], point["who"]): point["requests"]
        for kind, points in json.loads(found.read_text()).items()
        for point in points
    }
    assert len(requests) == 8 + 4 + 2
    assert requests["tags", "sign", "notarypy"] == 4
    assert requests["signers", "verify, cold", "notarypy"] == 4 + 1 + 3
    assert requests["repositories", "verify, warm", "notarypy"] == 3


def test_the_service_is_measured_beside_the_clients(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    paths = f"{builds.ROOT}:{builds.ROOT / 'tests'}"
    argv = [sys.executable, "-m", "benchmarks.service", "--turns", "1", "--seconds", "0.2"]
    argv += ["--waiting", "0.4", "--requests", "50", "--json", str(found)]
    # No TMPDIR: the path of a socket is short.
    run = programs.run(argv, {"PYTHONPATH": paths, "HOME": str(tmp_path)}).expect(0)
    assert "| `notary lookup` in a loop |" in run.stdout
    document = json.loads(found.read_text())
    assert [one["rate"] > 0 for one in document["rates"]] == [True] * 10
    assert len(document["waiting"]) == 7
    assert [count for count, _ in document["held"]] == list(range(0, 51, 5))
