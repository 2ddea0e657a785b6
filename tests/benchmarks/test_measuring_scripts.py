"""How the scripts that measure read a command line, keep what they found, and end."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from typing import TYPE_CHECKING

import pytest

from interop.harness import costs
from support import scripts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", scripts.ENDING)
def test_a_signal_ends_a_script_in_one_line(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    def main() -> int:
        try:
            os.kill(os.getpid(), number)
            return 0
        finally:
            os.kill(os.getpid(), number)  # somebody is impatient
            done.append("cleared")

    before = signal.getsignal(number)
    assert scripts.run("scripts/x", main) == 128 + number
    said = f"scripts/x: ended by {number.name}; what was measured until then was printed\n"
    assert capsys.readouterr().err == said
    assert done == ["cleared"]
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    def main() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 3

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert scripts.run("scripts/x", main) == 3
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_goes_also_when_the_end_comes_while_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    remove = shutil.rmtree

    def ended(_: Path) -> None:
        monkeypatch.setattr(shutil, "rmtree", remove)
        raise scripts.EndedError(signal.SIGTERM)

    def main() -> int:
        with scripts.folder("x-") as path:
            (path / "file").touch()
            monkeypatch.setattr(shutil, "rmtree", ended)
        return 0

    assert scripts.run("scripts/x", main) == 143
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    scripts.write(file, "old")
    scripts.write(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) & 0o600 == 0o600
    with pytest.raises(UnicodeEncodeError):
        scripts.write(file, "\udcff")
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_to_a_file_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    scripts.write(scripts.destination(str(link)), "found")
    assert link.is_symlink()
    assert (tmp_path / "file").read_text() == "found"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "argument WORKLOAD: 'nope' is none of version, help, "),
        (["--of", "/nonexistent"], "'/nonexistent' has no /nonexistent/.venv/bin/python"),
        (["--imports", "-1"], "'-1' is no whole number from 0 on"),
    ],
)
def test_costs_of_what_is_not_there_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        costs.main(words)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
