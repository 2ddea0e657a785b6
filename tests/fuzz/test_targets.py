"""Every target holds for its seeds and for a few changed ones; `scripts/fuzz` throws millions."""

from __future__ import annotations

import hashlib
import random
import sys
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from fuzz import campaign
from fuzz.targets import TARGETS, Target, limit_work
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the work down, and give it back afterwards."""
    monkeypatch.setattr("notarypy.keys.formats.pbes.DEFAULT", DEFAULT)
    monkeypatch.setattr("notarypy.keys.formats.sealed.DEFAULT", DEFAULT)
    monkeypatch.setattr("notarypy.keys.formats.cosignkey.hashlib", hashlib)
    limit_work()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds_and_some_changes(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    assert seeds
    for data in islice(campaign.mutations(seeds, random.Random(name)), len(seeds) + 60):
        target.run(data)


def test_changes_are_many_and_bounded() -> None:
    made = list(islice(campaign.mutations([b"a", b"x" * 100_000], random.Random("1")), 2, 302))
    assert len(set(made)) > 200
    assert max(map(len, made)) == 1 << 16


def test_a_finding_is_written_and_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fragile(data: bytes) -> None:
        assert b"\xff" not in data

    monkeypatch.setitem(TARGETS, "json", Target(fragile, lambda: [b"abc"]))
    monkeypatch.setattr(campaign, "guided", lambda: False)
    argv = ["--findings", str(tmp_path), "json"]
    assert campaign.main(["--inside", *argv]) == 1
    (found,) = tmp_path.iterdir()
    assert "AssertionError" in capsys.readouterr().err
    with pytest.raises(AssertionError):
        campaign.main(["--file", str(found), *argv])


def test_without_atheris_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr(campaign, "_in_a_process", lambda name, _: name == "token")
    argv = ["--findings", str(tmp_path)]
    assert campaign.main([*argv, "json"]) == 0
    assert campaign.main([*argv, "json", "token"]) == 1
    assert "fuzz: atheris is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["nothing"], ["--file", "x"], ["--file", "x", "json", "token"]])
def test_what_cannot_be_done_is_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        campaign.main(argv)
    assert caught.value.code == 2
