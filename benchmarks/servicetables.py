"""What `service` measured, and its tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import tables

if TYPE_CHECKING:
    from benchmarks.serving import Held

WAITING = 20.0


@dataclass(frozen=True)
class Rate:
    """What one contestant reached: the median of its turns."""

    name: str
    rate: float
    load: float
    ratio: float
    wanted: float | None


@dataclass(frozen=True)
class Waiting:
    """How long requests waited at half of what their service can: milliseconds."""

    name: str
    rate: float
    median: float
    late: float
    longest: float

    @property
    def ratio(self) -> float:
        """How many times the median one in a hundred takes, or longer."""
        return self.late / self.median


@dataclass
class Found:
    """All that came out."""

    facts: dict[str, str]
    rates: list[Rate] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    held: list[tuple[int, Held]] = field(default_factory=list)
    refreshes: int = 0


def rates(found: Found) -> str:
    """Return how many verifications a second everybody reached."""
    lines = [
        "| who verifies | verifications/s | times the loop | the load's share of a core |",
        "|---|--:|--:|--:|",
    ]
    for one in found.rates:
        ratio = reached(one.ratio, one.wanted)
        lines.append(f"| {one.name} | {one.rate:.0f} | {ratio} | {f'{one.load:.2f}' if one.load else ''} |")
    return "\n".join(lines)


def reached(value: float, wanted: float | None) -> str:
    """Return a ratio with the one that is to be reached, marked if it is not."""
    if wanted is None:
        return tables.ratio(value)
    return f"{tables.ratio(value)} ({wanted:.0f}{'' if value >= wanted else ' !'})"


def waiting(found: Found) -> str:
    """Return how long requests waited."""
    lines = [
        "| at half of that | requests/s | median ms | p99 ms | p99 to median | longest ms |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for one in found.waiting:
        ratio = tables.met(one.ratio, WAITING)
        times = f"{one.median:.2f} | {one.late:.2f} | {ratio} | {one.longest:.1f}"
        lines.append(f"| {one.name} | {one.rate:.0f} | {times} |")
    return "\n".join(lines)


def held(found: Found) -> str:
    """Return what the service held."""
    lines = ["| after requests | MiB | threads | open files |", "|--:|--:|--:|--:|"]
    lines += [
        f"| {count} | {held.memory:.1f} | {held.threads} | {held.files} |" for count, held in found.held
    ]
    return "\n".join(lines)


def page(found: Found) -> str:
    """Return all of it as Markdown."""
    told = "; ".join(f"{name}: {value}" for name, value in found.facts.items())
    return "\n\n".join(
        (
            f"Measured with {told}.",
            rates(found),
            waiting(found),
            held(found),
            f"Requests to the Notary server while these were answered: {found.refreshes}.",
        )
    )
