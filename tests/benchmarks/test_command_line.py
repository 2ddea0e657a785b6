"""What `scripts/bench` may be asked for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import benchmarks.__main__ as bench
from benchmarks import builds, lab, scale, service
from benchmarks.__main__ import main, parsed
from benchmarks.lab import Measured, Seen
from benchmarks.measuring import Cell, Entry, Row
from benchmarks.processes import Cost
from support import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measuring import Workload


def test_a_smoke_run_is_short_unless_more_is_asked_for() -> None:
    chosen = parsed(["--smoke"])
    assert (chosen.only, chosen.rtt, chosen.runs) == (["verify-warm"], [0], 1)
    chosen = parsed(["--smoke", "--only", "sign,init", "--rtt", "0,35"])
    assert (chosen.only, chosen.rtt, chosen.runs) == (["sign", "init"], [0, 35], 1)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--only", "verify", "no such row: verify"),
        ("--only", "verify-warm,", "an empty word in 'verify-warm,'"),
        ("--only", "sign,sign", "'sign,sign' names something twice"),
        ("--runs", "0", "'0' is no whole number from 1 on"),
        ("--runs", "25", "turns and distances are 1 to 99 together"),
        ("--rtt", "near", "'near' is no whole number from 0 on"),
        ("--rtt", "-5", "'-5' is no whole number from 0 on"),
        ("--rtt", "0,0", "'0,0' has a number twice"),
        ("--patience", "-1", "'-1' is no number of seconds"),
        ("--patience", "nan", "'nan' is no number of seconds"),
        ("--patience", "long", "'long' is no number of seconds"),
        ("--against", "nosuchrev", "'nosuchrev' is no commit of this repository"),
        ("--against", "", "'' is no commit of this repository"),
        ("--against", "^HEAD", "'^HEAD' is no name of a commit"),
        ("--json", "/", "'/' is there and no file"),
        ("--json", "/nonexistent/x", "'/nonexistent/x': /nonexistent is no folder that can be written to"),
        ("--frob", "1", "unrecognized arguments: --frob 1"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed([option, value])
    error = capsys.readouterr().err
    assert error.startswith("scripts/bench: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["size"], "'size' is none of tags, signers, repositories"),
        (["--sizes", "0"], "'0' is no whole number from 1 on"),
        (["--turns", "x"], "'x' is no whole number from 1 on"),
        (["--json", "/"], "'/' is there and no file"),
    ],
)
def test_so_it_is_where_growth_is_measured(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        scale.main(words)
    assert said in capsys.readouterr().err
    assert scale.command_line().parse_args([]).kinds == []
    assert "[]" not in scale.command_line().format_help()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--turns", "0"], "'0' is no whole number from 1 on"),
        (["--seconds", "inf"], "'inf' is no number of seconds"),
        (["--requests", "9"], "'9' is no whole number from 10 on"),
        (["verify"], "unrecognized arguments: verify"),
    ],
)
def test_so_it_is_where_the_service_is_measured(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        service.main(words)
    error = capsys.readouterr().err
    assert error.startswith("scripts/bench service: ")
    assert said in error


def test_another_commit_is_known() -> None:
    assert parsed(["--against", "HEAD"]).against == "HEAD"


def test_a_file_is_meant_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parsed(["--json", "found.json"]).json == tmp_path / "found.json"
    run = subprocess.run(
        [builds.ROOT / "scripts" / "costs", "--of", "no/such"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2
    assert f"{tmp_path}/no/such/.venv/bin/python" in run.stderr
    assert not (builds.ROOT / "scripts" / "bench").read_text().count("\ncd ")


@contextlib.contextmanager
def no_servers(*_: object) -> Iterator[SimpleNamespace]:
    """Stand in for the lab."""
    yield SimpleNamespace()


def test_each_row_is_kept_as_soon_as_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "folders", tmp_path / "found.json"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(builds, "current", lambda path: builds.Build("notarypy", "abc", path))
    monkeypatch.setattr(bench, "facts", lambda *_: {"date": "today"})
    monkeypatch.setattr(lab, "opened", no_servers)

    def measured(workload: Workload, *_: object) -> Row:
        if workload.name == "sign":
            os.kill(os.getpid(), signal.SIGTERM)
        nothing = Seen(0, 0, 0, 0)
        turn = Measured(Cost(1.0, 1.0, 1.0), nothing, nothing)
        return Row(workload, (Cell(0, (Entry.of("notarypy", [turn]),)),))

    monkeypatch.setattr(bench, "measured", measured)
    words = ["--only", "verify-warm,sign", "--json", str(file)]
    assert scripts.run("scripts/bench", lambda: main(words)) == 143
    assert [row["name"] for row in json.loads(file.read_text())["rows"]] == ["verify-warm"]
    assert list(folder.iterdir()) == []


def test_the_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.startswith("startup ")
