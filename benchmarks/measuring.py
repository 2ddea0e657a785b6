"""Turns: who competes, in which order, and what comes out.

Rules:

1. What a turn needs is made ready before it, without a distance, and is not measured.
2. Contestants take turns, each time beginning with another one, so that what the machine does meanwhile meets
   all of them.
3. The median of the turns counts. A cell ends early when its turns have taken longer than the patience, after
   one turn each.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.lab import Measured, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.lab import Lab
    from benchmarks.processes import Command

ROUND_TRIPS = (0, 20, 50, 100)


@dataclass(frozen=True)
class Contestant:
    """One of those who do the same work.

    Attributes:
        name: As tables show it; the first contestant is this checkout's build.
        turn: Makes a turn ready and returns what is measured.
    """

    name: str
    turn: Callable[[], Sequence[Command]]


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes:
        name: For `--only`.
        title: What is done.
        enter: Makes the row ready, once, and returns who competes.
        wanted: The ratio of wall times, by milliseconds of round trip, that is not to be exceeded: to the
            first peer, or to the other build.
        peak: The MiB of this build's peak that are not to be exceeded.
        offline: No server is asked, so that only the nearest distance says something.
        costly: The other build takes its turn only if the row is asked for by name.
    """

    name: str
    title: str
    enter: Callable[[Lab], Sequence[Contestant]]
    wanted: Mapping[int, float] = field(default_factory=dict)
    peak: float | None = None
    offline: bool = False
    costly: bool = False


@dataclass(frozen=True)
class Entry:
    """What one contestant took for one row at one distance: medians over its turns.

    Attributes:
        walls: Milliseconds of each turn.
    """

    contestant: str
    walls: tuple[float, ...]
    cpu: float
    peak: float
    notary: Seen
    registry: Seen

    @staticmethod
    def of(contestant: str, turns: Sequence[Measured]) -> Entry:
        """Return the medians of turns."""
        return Entry(
            contestant,
            tuple(turn.cost.wall * 1000 for turn in turns),
            statistics.median(turn.cost.cpu * 1000 for turn in turns),
            statistics.median(turn.cost.peak for turn in turns),
            _usual([turn.notary for turn in turns]),
            _usual([turn.registry for turn in turns]),
        )

    @property
    def wall(self) -> float:
        """Milliseconds from start to end."""
        return statistics.median(self.walls)


@dataclass(frozen=True)
class Cell:
    """One row at one distance: this build's entry first."""

    round_trip: int
    entries: tuple[Entry, ...]

    def entry(self, contestant: str) -> Entry | None:
        """Return a contestant's entry."""
        return next((entry for entry in self.entries if entry.contestant == contestant), None)

    def ratio(self, contestant: str) -> float | None:
        """Return how many times longer this build took than a contestant."""
        entry = self.entry(contestant)
        return self.entries[0].wall / entry.wall if entry else None


@dataclass(frozen=True)
class Row:
    """All that was measured of a workload."""

    workload: Workload
    cells: tuple[Cell, ...]

    @property
    def contestants(self) -> tuple[str, ...]:
        """Who took part."""
        return tuple(entry.contestant for entry in self.cells[0].entries) if self.cells else ()

    def trips(self, contestant: str) -> float | None:
        """Return how many round trips a contestant waits for, by the slope of its times."""
        entries = [(cell.round_trip, cell.entry(contestant)) for cell in self.cells]
        points = [(float(round_trip), entry.wall) for round_trip, entry in entries if entry]
        return slope(points)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the straight line that is nearest to points, or None if there is no such line."""
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004 - a line has two points
        return None
    xs, ys = zip(*points, strict=True)
    return statistics.linear_regression(xs, ys).slope


def _usual(seen: Sequence[Seen]) -> Seen:
    return Seen(
        statistics.median_low([one.connections for one in seen]),
        statistics.median_low([one.requests for one in seen]),
        statistics.median_low([one.sent for one in seen]),
        statistics.median_low([one.received for one in seen]),
    )


def order(count: int, turn: int) -> list[int]:
    """Return in which order contestants take this turn (rule 2)."""
    return [(turn + number) % count for number in range(count)]


def cells(
    workload: Workload,
    lab: Lab,
    contestants: Sequence[Contestant],
    round_trips: Sequence[int],
    *,
    runs: int,
    patience: float,
) -> Iterator[Cell]:
    """Measure one row, distance by distance."""
    for round_trip in round_trips:
        if round_trip == 0 or not workload.offline:
            yield cell(lab, contestants, round_trip, runs=runs, patience=patience)


def cell(lab: Lab, contestants: Sequence[Contestant], round_trip: int, *, runs: int, patience: float) -> Cell:
    """Measure one row at one distance (rules 1 to 3)."""
    turns: list[list[Measured]] = [[] for _ in contestants]
    end = time.monotonic() + patience
    for turn in range(runs):
        for number in order(len(contestants), turn):
            lab.travel(0)
            commands = contestants[number].turn()
            lab.travel(round_trip / 1000)
            turns[number].append(lab.measure(commands))
        if time.monotonic() > end:
            break
    lab.travel(0)
    entries = (Entry.of(one.name, done) for one, done in zip(contestants, turns, strict=True))
    return Cell(round_trip, tuple(entries))
