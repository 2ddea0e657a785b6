"""What users do all day costs what `tests/budgets.toml` allows: no clock is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import costs, workloads
from interop.harness.workloads import WORKLOADS, Laboratory
from support import budgets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.services import Authority, Endpoint

PYTHON = costs.Python()
SERVERS = ("notary", "registry")


@pytest.fixture(scope="module")
def lab(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, notary: Endpoint, registry: Endpoint
) -> Iterator[Laboratory]:
    PYTHON.compile()
    with workloads.laboratory(tmp_path_factory.mktemp("lab"), authority, notary, registry) as made:
        yield made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> budgets.Place:
    return budgets.Place.of(costs.reference(PYTHON, tmp_path_factory.mktemp("home")))


def test_every_workload_has_a_budget() -> None:
    assert list(budgets.WORKLOADS) == list(WORKLOADS)


def test_a_key_on_a_token_costs_little_more_than_a_key_file() -> None:
    # Either number is what was measured, give or take the tolerance, as the tests below see to.
    token, file = (budgets.WORKLOADS[name]["instructions"] for name in ("sign-token", "sign-again"))
    assert token <= 1.3 * file


@pytest.mark.parametrize("workload", WORKLOADS)
def test_round_trips_memory_and_modules(lab: Laboratory, place: budgets.Place, workload: str) -> None:
    seen = costs.watch(lab, WORKLOADS[workload](lab), PYTHON)
    passed = {name: (seen.traffic.connections[name], seen.traffic.requests[name]) for name in SERVERS}
    # All at once: a module too many makes memory dearer, too, and is what has to be known about it.
    wrong = [
        *budgets.module_complaints(workload, set(seen.modules), place),
        *budgets.traffic_complaints(workload, len(seen.traffic.rounds), passed),
        *filter(None, [budgets.complaint(workload, "memory", seen.memory, place)]),
    ]
    assert not wrong, "\n".join(
        (*wrong, "Rounds:", *map(str, seen.traffic.rounds), "Modules:", " ".join(sorted(seen.modules)))
    )


@pytest.mark.parametrize(
    "workload", [name for name, budget in budgets.WORKLOADS.items() if "instructions" in budget]
)
def test_instructions(lab: Laboratory, place: budgets.Place, workload: str) -> None:
    said = ""
    for _ in range(2):  # what else the machine does can only add to a count: the least one is meant
        count = costs.instructions(WORKLOADS[workload](lab), PYTHON) / 1e6
        said = budgets.complaint(workload, "instructions", count, place)
        if not said:
            return
    pytest.fail(said)
