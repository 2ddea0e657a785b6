"""Who is killed while staged changes are published leaves nothing half, and the next one goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import served

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]
ALL = {"targets": ["1"], "targets/team": ["2"]}
STAGED = 5  # a delegation takes two


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Process]:
    with served.devserver(tmp_path_factory.mktemp("devserver")) as process:
        yield process


@pytest.mark.parametrize("begun", [True, False], ids=["a new repository", "one that is there"])
def test_nothing_is_half_published_and_nothing_lost(
    server: served.Process, tmp_path: Path, begun: bool
) -> None:
    home = tmp_path / ("new" if begun else "known")
    folder = home / "tls" / server.notary
    folder.mkdir(parents=True)
    shutil.copy(server.authority, folder / "ca.crt")
    words = [sys.executable, "-m", "support.dyingstager", str(home), f"https://{server.notary}"]
    done = subprocess.run(
        [*words, *(["begun"] if begun else [])],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    before: dict[str, list[str]] = {} if begun else {"targets": []}
    assert [one["died"] for one in found] == [True] * (len(found) - 1) + [False]
    assert len(found) > 15
    for number, one in enumerate(found):
        killed = one["killed"]
        assert killed["listed"] in (before, ALL), number
        assert killed["left"] == STAGED or killed["listed"] == ALL, number
        assert one["then"] == {"left": 0, "listed": ALL, "roots": 2, "lost": []}, number
        assert killed["lost"] == [], number
    assert {one["killed"]["roots"] for one in found} == ({0, 1, 2} if begun else {2})
    assert {STAGED, 0} < {one["killed"]["left"] for one in found}
