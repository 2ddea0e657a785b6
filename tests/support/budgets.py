"""What commands may cost, as `tests/budgets.toml` says: the one place that a change must touch to exceed it.

Rules:

1. Requests and rounds are what the file says; rounds may be a range, for workers do not always end in one
   order. More is too much, and fewer is told too, so that the number is lowered and what was won is not lost
   again unnoticed. Connections may be fewer: how many workers need one is not always the same.
2. Instructions, memory and modules may be a little more. Where Python and packages are those that the file
   was measured with, they may not be far less either, for the same reason.
3. Anywhere else counts differ. There the bounds are wider, that of instructions is scaled by what a reference
   program takes, and nothing is too little. Nowhere is a bound left out.
"""

from __future__ import annotations

import platform
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from notarypy.keys.signers import SIGNERS

_DOCUMENT: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "budgets.toml").read_text("utf-8"))
WORKLOADS: dict[str, dict[str, Any]] = _DOCUMENT["workloads"]
NOT_LOADED: dict[str, set[str]] = {name: set(names) for name, names in _DOCUMENT["not-loaded"].items()}
NOT_LOADED["tokens"] |= {row.partition(":")[0] for row in SIGNERS.values()}
_MEASURED_WITH: dict[str, Any] = _DOCUMENT["measured-with"]
_TOLERANCE: dict[str, dict[str, float]] = _DOCUMENT["tolerance"]
_HELP = '(tests/budgets.toml; CONTRIBUTING.md, "Budgets", says what to do)'


@dataclass(frozen=True)
class Place:
    """Where is measured: as the file was or not, and how many times more instructions programs take here."""

    usual: bool
    scale: float

    @classmethod
    def of(cls, reference: int) -> Place:
        """Return the place where the reference program takes so many instructions."""
        packages = {name: metadata.version(name) for name in _MEASURED_WITH["packages"]}
        here = {"python": platform.python_version(), "machine": platform.machine(), "packages": packages}
        scale = reference / 1e6 / _MEASURED_WITH["reference"]
        return cls(here == {name: _MEASURED_WITH[name] for name in here} and abs(scale - 1) < 0.01, scale)


def complaint(workload: str, measure: str, found: float, place: Place) -> str:
    """Return what is wrong with a measure that has a tolerance (rules 2 and 3); empty if nothing is."""
    bound, tolerance = WORKLOADS[workload][measure], _TOLERANCE[measure]
    limit = bound * (1 + tolerance["more" if place.usual else "more-elsewhere"])
    limit *= place.scale if measure == "instructions" else 1
    what = f"{workload}: {measure} {found:.5g}, where the budget is {bound}"
    if found > limit:
        return f"{what}, here at most {limit:.5g} {_HELP}"
    if place.usual and found < bound * (1 - tolerance["less"]):
        return f"{what}: lower it, so that what was won stays {_HELP}"
    return ""


def traffic_complaints(workload: str, rounds: int, passed: dict[str, tuple[int, int]]) -> list[str]:
    """Return what is wrong with rounds, and with connections and requests by server (rule 1)."""
    budget = WORKLOADS[workload]
    found = []
    least, _, most = str(budget.get("rounds", 0)).partition("-")
    if not int(least) <= rounds <= int(most or least):
        found.append(_changed(workload, "rounds", rounds, int(most or least)))
    for server in ("notary", "registry"):
        connections, requests = map(int, budget.get(server, "0/0").split("/"))
        if passed[server][1] != requests:
            found.append(_changed(workload, f"requests to the {server}", passed[server][1], requests))
        if passed[server][0] > connections:
            found.append(_changed(workload, f"connections to the {server}", passed[server][0], connections))
    return found


def _changed(workload: str, what: str, found: int, bound: int) -> str:
    advice = "more than" if found > bound else "so lower the number that stands there:"
    return f"{workload}: {found} {what}, {advice} {bound} {_HELP}"


def module_complaints(workload: str, modules: set[str], place: Place) -> list[str]:
    """Return what is wrong with the modules that were loaded: which are unwanted, and how many there are."""
    unwanted = set[str]().union(*(NOT_LOADED[name] for name in WORKLOADS[workload]["not-loaded"]))
    found = sorted(within(unwanted, modules))
    named = [f"{workload}: loaded, and not to be: {', '.join(found)} {_HELP}"] if found else []
    return [*named, *filter(None, [complaint(workload, "modules", len(modules), place)])]


def within(names: set[str], modules: set[str]) -> set[str]:
    """Return the modules that are named, or are inside of packages that are."""
    return {module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in names)}
