"""What was measured, as text, Markdown and JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measuring import Cell, Entry, Row

BEGIN, END = "<!-- scripts/bench writes from here -->", "<!-- to here -->"
WIDTH = 120
SECONDS_FROM = 10_000
EXACT_BELOW = 1
WHOLE_FROM = 10


@dataclass(frozen=True)
class Report:
    """A run of the benchmark.

    Attributes:
        facts: What was measured where, by name.
        builds: The names of the builds, this checkout's first.
    """

    facts: dict[str, str]
    builds: tuple[str, ...]
    rows: tuple[Row, ...]

    def target(self, row: Row) -> str:
        """Return whom a row's wanted ratios mean: the first peer, or the other build if there is none."""
        peers = [name for name in row.contestants if name not in self.builds]
        others = [name for name in row.contestants if name in self.builds[1:]]
        return (*peers, *others, "")[0]


# -- words -----------------------------------------------------------------------------------------


def duration(milliseconds: float) -> str:
    """Return a time as tables show it."""
    if milliseconds >= SECONDS_FROM:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms"


def ratio(value: float) -> str:
    """Return a ratio with as many digits as mean something."""
    if value < EXACT_BELOW:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < WHOLE_FROM else f"{value:.0f}"


def met(value: float, wanted: float) -> str:
    """Return a ratio with the one that is wanted, marked if it is exceeded."""
    return f"{ratio(value)} ({ratio(wanted)}{'' if value <= wanted else ' !'})"


def calls(entry: Entry) -> str:
    """Return connections and requests, to Notary and to the registry."""
    seen = [f"{one.connections}/{one.requests}" for one in (entry.notary, entry.registry)]
    return seen[0] if seen[1] == "0/0" else " + ".join(seen)


def line(report: Report, row: Row, cell: Cell) -> str:
    """Return one cell as a line of text."""
    own = cell.entries[0]
    costs = f"CPU {own.cpu:5.0f} ms  {own.peak:4.0f} MiB"
    words = [f"{cell.round_trip:4} ms  {duration(own.wall):>8}  {calls(own):>11}  {costs}"]
    for entry in cell.entries[1:]:
        value = own.wall / entry.wall
        wanted = row.workload.wanted.get(cell.round_trip) if entry.contestant == report.target(row) else None
        shown = ratio(value) if wanted is None else met(value, wanted)
        words.append(
            f"{entry.contestant}: {shown} of {duration(entry.wall)}, {calls(entry)}, {entry.peak:.0f} MiB"
        )
    return "  |  ".join(words)


# -- Markdown --------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the whole table: a row for this build in milliseconds, then one for each other in ratios."""
    distances = sorted({cell.round_trip for row in report.rows for cell in row.cells})
    head = ["work", *(f"{distance} ms" for distance in distances), "trips", "calls", "CPU ms", "MiB"]
    lines = [_cells(head), _cells(["---", *["--:"] * (len(head) - 1)])]
    for row in report.rows:
        for number, contestant in enumerate(row.contestants):
            title = row.workload.title if number == 0 else f"… to `{contestant}`"
            shown = [_shown(report, row, distance, contestant) for distance in distances]
            lines.append(_cells([title, *shown, *_costs(row, contestant)]))
    facts = "; ".join(f"{name}: {value}" for name, value in report.facts.items())
    return "\n".join([*textwrap.wrap(f"Measured with {facts}.", WIDTH), "", *lines])


def _cells(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"


def _shown(report: Report, row: Row, distance: int, contestant: str) -> str:
    cell = next((cell for cell in row.cells if cell.round_trip == distance), None)
    if cell is None:
        return ""
    own = cell.entries[0]
    if contestant == own.contestant:
        return duration(own.wall)
    value, wanted = cell.ratio(contestant), row.workload.wanted.get(distance)
    if value is None:
        return ""
    return met(value, wanted) if wanted and contestant == report.target(row) else ratio(value)


def _costs(row: Row, contestant: str) -> list[str]:
    entry = row.cells[0].entry(contestant)
    assert entry is not None
    trips = row.trips(contestant)
    wanted = row.workload.peak
    peak = f"{entry.peak:.0f}"
    if wanted and contestant == row.contestants[0]:
        peak += f" ({wanted:.0f}{'' if entry.peak <= wanted else ' !'})"
    return ["" if trips is None else f"{max(trips, 0):.1f}", calls(entry), f"{entry.cpu:.0f}", peak]


def write_between(page: Path, text: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between the marks of a page.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks {marks[0]} and {marks[1]}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


# -- JSON ------------------------------------------------------------------------------------------


def document(report: Report) -> dict[str, Any]:
    """Return everything as a JSON document."""
    return {
        "facts": report.facts,
        "builds": report.builds,
        "rows": [_row(report, row) for row in report.rows],
    }


def _row(report: Report, row: Row) -> dict[str, Any]:
    return {
        "name": row.workload.name,
        "title": row.workload.title,
        "target": report.target(row),
        "wanted": {str(distance): value for distance, value in row.workload.wanted.items()},
        "wanted_peak_mib": row.workload.peak,
        "trips": {contestant: row.trips(contestant) for contestant in row.contestants},
        "cells": [
            {
                "round_trip_ms": cell.round_trip,
                "entries": [
                    {
                        "contestant": entry.contestant,
                        "wall_ms": entry.wall,
                        "ratio": cell.ratio(entry.contestant),
                        "turns_ms": entry.walls,
                        "cpu_ms": entry.cpu,
                        "peak_mib": entry.peak,
                        "notary": asdict(entry.notary),
                        "registry": asdict(entry.registry),
                    }
                    for entry in cell.entries
                ],
            }
            for cell in row.cells
        ],
    }
