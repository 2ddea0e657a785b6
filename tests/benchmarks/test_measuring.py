"""The arithmetic of the benchmark, without a program that runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import tables
from benchmarks.lab import Measured, Requests, Seen
from benchmarks.measuring import Cell, Contestant, Entry, Row, Workload, cell, cells, order, slope
from benchmarks.processes import Command, Cost
from benchmarks.workloads import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOTHING = Seen(0, 0, 0, 0)


def measured(wall: float, cpu: float = 0.1, peak: float = 30.0, requests: int = 1) -> Measured:
    """Return a turn."""
    return Measured(Cost(wall, cpu, peak), Seen(1, requests, 10, 20), NOTHING)


class FakeLab:
    """A lab in which a command takes as long as its name says, and which notes what it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def travel(self, round_trip: float) -> None:
        """Note the distance."""
        self.done.append(f"{round_trip:g}")

    def measure(self, commands: Sequence[Command]) -> Measured:
        """Note the commands."""
        self.done += [command.argv[0] for command in commands]
        return measured(float(commands[0].argv[0].partition(" ")[2]))


def contestant(lab: FakeLab, name: str, seconds: float) -> Contestant:
    """Return somebody who takes that long, and whose preparation is noted."""

    def turn() -> list[Command]:
        lab.done.append(f"ready {name}")
        return [Command((f"{name} {seconds}",), {})]

    return Contestant(name, turn)


def entry(name: str, *walls: float) -> Entry:
    """Return an entry with these seconds."""
    return Entry.of(name, [measured(wall) for wall in walls])


WORKLOAD = Workload("work", "some `work`", lambda _lab: [], {0: 2.0, 50: 0.5}, peak=25)
ROW = Row(
    WORKLOAD,
    (
        Cell(0, (entry("notarypy", 0.3), entry("older", 0.6), entry("notary", 0.1))),
        Cell(50, (entry("notarypy", 0.45), entry("older", 0.6), entry("notary", 1.1))),
    ),
)
REPORT = tables.Report({"date": "today"}, ("notarypy", "older"), (ROW,))


def test_commands_one_after_the_other_add_up_but_for_memory() -> None:
    costs = [Cost(1.0, 0.5, 20.0), Cost(2.0, 0.25, 10.0)]
    assert Cost.of_all(costs) == Cost(3.0, 0.75, 20.0)


def test_the_median_counts() -> None:
    found = Entry.of("x", [measured(3, 0.3, 30, 1), measured(1, 0.1, 10, 9), measured(2, 0.2, 20, 2)])
    assert (found.wall, found.cpu, found.peak, found.notary.requests) == (2000, 200, 20, 2)
    assert found.walls == (3000, 1000, 2000)


def test_each_turn_begins_with_another_contestant() -> None:
    assert [order(3, turn) for turn in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


def test_turns_are_made_ready_without_a_distance_and_measured_with_it() -> None:
    lab = FakeLab()
    found = cell(lab, [contestant(lab, "a", 2), contestant(lab, "b", 1)], 50, runs=2, patience=60)  # type: ignore[arg-type]
    turn_of = {name: ["0", f"ready {name[0]}", "0.05", name] for name in ("a 2", "b 1")}
    assert lab.done == [*turn_of["a 2"], *turn_of["b 1"], *turn_of["b 1"], *turn_of["a 2"], "0"]
    assert [(one.contestant, one.walls) for one in found.entries] == [
        ("a", (2000, 2000)),
        ("b", (1000, 1000)),
    ]
    assert found.ratio("b") == 2.0
    assert found.ratio("c") is None


def test_a_cell_that_takes_long_ends_after_one_turn_of_each() -> None:
    lab = FakeLab()
    found = cell(lab, [contestant(lab, "a", 2), contestant(lab, "b", 1)], 0, runs=9, patience=0)  # type: ignore[arg-type]
    assert [len(one.walls) for one in found.entries] == [1, 1]


def test_a_row_is_measured_where_it_says_something() -> None:
    lab = FakeLab()
    offline = Workload("x", "x", lambda _lab: [], offline=True)
    found = cells(offline, lab, [contestant(lab, "a", 1)], (0, 50), runs=1, patience=60)  # type: ignore[arg-type]
    assert [one.round_trip for one in found] == [0]


def test_the_slope_is_the_number_of_round_trips() -> None:
    assert slope([(0, 20.0), (20, 80.0), (50, 170.0), (100, 320.0)]) == pytest.approx(3)
    assert slope([(0, 20.0)]) is None
    assert ROW.trips("notarypy") == pytest.approx(3)
    assert ROW.trips("notary") == pytest.approx(20)


def test_wanted_ratios_mean_the_first_peer_or_else_the_other_build() -> None:
    assert REPORT.target(ROW) == "notary"
    alone = Row(WORKLOAD, (Cell(50, (entry("notarypy", 0.1), entry("older", 0.9))),))
    assert REPORT.target(alone) == "older"
    assert REPORT.target(Row(WORKLOAD, (Cell(50, (entry("notarypy", 0.1),)),))) == ""


def test_the_table_shows_times_ratios_and_what_is_exceeded() -> None:
    lines = tables.markdown(REPORT).splitlines()
    assert lines[0] == "Measured with date: today."
    assert lines[4] == "| some `work` | 300 ms | 450 ms | 3.0 | 1/1 | 100 | 30 (25 !) |"
    assert lines[5] == "| … to `older` | 0.50 | 0.75 | 0.0 | 1/1 | 100 | 30 |"
    assert lines[6] == "| … to `notary` | 3.0 (2.0 !) | 0.41 (0.50) | 20.0 | 1/1 | 100 | 30 |"


def test_a_line_of_text_names_every_other_contestant() -> None:
    line = tables.line(REPORT, ROW, ROW.cells[1])
    assert "older: 0.75 of 600 ms" in line
    assert "notary: 0.41 (0.50) of 1100 ms" in line


def test_numbers_are_as_long_as_they_mean_something() -> None:
    assert [tables.ratio(value) for value in (0.0649, 1.26, 9.94, 14.6)] == ["0.06", "1.3", "9.9", "15"]
    assert [tables.duration(value) for value in (28.4, 9999.0, 12_340.0)] == ["28 ms", "9999 ms", "12.3 s"]
    both = Entry("x", (1.0,), 1.0, 1.0, Seen(1, 4, 0, 0), Seen(2, 9, 0, 0))
    assert tables.calls(both) == "1/4 + 2/9"


def test_the_document_is_json_and_has_every_turn() -> None:
    found = json.loads(json.dumps(tables.document(REPORT)))
    (row,) = found["rows"]
    assert (row["name"], row["target"], row["wanted"]) == ("work", "notary", {"0": 2.0, "50": 0.5})
    entries = row["cells"][1]["entries"]
    assert (entries[0]["contestant"], entries[0]["turns_ms"]) == ("notarypy", [450.0])
    assert entries[2]["notary"] == {"connections": 1, "requests": 1, "sent": 10, "received": 20}


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    for text in ("first", "second"):
        tables.write_between(page, text)
    assert page.read_text() == f"before\n{tables.BEGIN}\n\nsecond\n\n{tables.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="lacks the marks"):
        tables.write_between(page, "x")


def test_requests_are_counted_from_where_the_log_was_read_up_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"GET a\nsomething\nGET b\nGET half")
    requests = Requests(log, b"GET")
    assert requests.new() == 2
    with log.open("ab") as file:
        file.write(b" a line\nGET c\n")
    assert requests.new() == 2
    assert requests.new() == 0


def test_rows_have_names_of_their_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
