"""What runs programs without starting Python for each (`forking`) kills nobody else, and goes on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from interop.harness.forking import Forker, is_own_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = ["notarypy", "--version"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    with Forker(tmp_path_factory.mktemp("own")) as running:
        yield running


def test_program_that_takes_too_long_is_killed_and_the_next_one_runs(own: Forker, tmp_path: Path) -> None:
    own.patience = 1
    own.start(["notarypy", "devserver"], {"HOME": str(tmp_path)}, folder=tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        own.wait()
    own.patience = 60
    assert own.run(VERSION, {}, folder=tmp_path).code == 0


def test_what_could_not_be_started_keeps_nobody_waiting(own: Forker, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        own.start(["notarypy", b"x"], {}, folder=tmp_path)  # type: ignore[list-item]
    assert own.run(VERSION, {}, folder=tmp_path).code == 0


def test_which_lines_are_programs_of_their_own_is_no_chance() -> None:
    def chosen(stage: str, *argv: str) -> list[int]:
        return [n for n in range(1200) if is_own_program(f"tests/test_a.py::test_{n} ({stage})", argv)]

    verify = chosen("call", "notarypy", "verify", "/tmp/1/a:1", "--root", "0")
    assert 60 < len(verify) < 140
    assert verify == chosen("call", "notarypy", "verify", "/tmp/2/b:1", "--root=1")
    assert verify != chosen("call", "notarypy", "verify", "/tmp/1/a:1", "--json", "--root", "0")
    assert len(chosen("setup", "notarypy", "verify", "a:1")) in {0, 1200}
