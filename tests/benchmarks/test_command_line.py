"""What `scripts/bench` may be asked for."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import main, parsed


def test_a_smoke_run_is_short_unless_more_is_asked_for() -> None:
    chosen = parsed(["--smoke"])
    assert (chosen.only, chosen.rtt, chosen.runs) == (["verify-warm"], [0], 1)
    chosen = parsed(["--smoke", "--only", "sign,init", "--rtt", "0,35"])
    assert (chosen.only, chosen.rtt, chosen.runs) == (["sign", "init"], [0, 35], 1)


@pytest.mark.parametrize(
    "words", [["--only", "verify"], ["--runs", "0"], ["--runs", "25"], ["--rtt", "near"], ["--frob"]]
)
def test_what_cannot_be_measured_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(words)


def test_the_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.startswith("startup ")
