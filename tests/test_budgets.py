"""What is too much and what is too little, where the budgets were measured and elsewhere."""

from __future__ import annotations

import pytest

from support import budgets

USUAL, ELSEWHERE = budgets.Place(usual=True, scale=1.0), budgets.Place(usual=False, scale=2.0)
ROWS = {"verify": {"instructions": 1000, "memory": 40, "rounds": 2, "notary": "1/1", "registry": "1/2"}}
TOLERANCE = {
    "instructions": {"more": 0.03, "less": 0.1, "more-elsewhere": 0.2},
    "memory": {"more": 0.1, "less": 0.1, "more-elsewhere": 0.5},
    "modules": {"more": 0.1, "less": 0.1, "more-elsewhere": 0.5},
}


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "WORKLOADS", ROWS)
    monkeypatch.setattr(budgets, "_TOLERANCE", TOLERANCE)


@pytest.mark.parametrize(
    ("measure", "found", "place", "wrong"),
    [
        ("instructions", 1029, USUAL, ""),
        ("instructions", 1031, USUAL, "instructions 1031, where the budget is 1000, here at most 1030"),
        ("instructions", 901, USUAL, ""),
        ("instructions", 899, USUAL, "lower it, so that what was won stays"),
        ("instructions", 2399, ELSEWHERE, ""),
        ("instructions", 2401, ELSEWHERE, "here at most 2400"),
        ("instructions", 10, ELSEWHERE, ""),
        ("memory", 59, ELSEWHERE, ""),
        ("memory", 61, ELSEWHERE, "here at most 60"),
    ],
)
def test_a_little_more_is_allowed(measure: str, found: float, place: budgets.Place, wrong: str) -> None:
    said = budgets.complaint("verify", measure, found, place)
    assert wrong in said
    assert bool(said) == bool(wrong)


@pytest.mark.parametrize(
    ("rounds", "notary", "registry", "wrong"),
    [
        (2, (1, 1), (1, 2), []),
        (2, (1, 1), (0, 2), []),
        (3, (1, 1), (1, 2), ["3 rounds, more than 2"]),
        (1, (1, 1), (1, 2), ["1 rounds, so lower the number that stands there: 2"]),
        (2, (2, 1), (1, 2), ["2 connections to the notary, more than 1"]),
        (
            2,
            (1, 2),
            (1, 1),
            ["2 requests to the notary, more than 1", "1 requests to the registry, so lower"],
        ),
    ],
)
def test_requests_and_rounds_are_exact(
    rounds: int, notary: tuple[int, int], registry: tuple[int, int], wrong: list[str]
) -> None:
    said = budgets.traffic_complaints("verify", rounds, {"notary": notary, "registry": registry})
    assert len(said) == len(wrong)
    assert all(part in text for part, text in zip(wrong, said, strict=True))


def test_rounds_may_be_a_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "WORKLOADS", {"pin": {"rounds": "2-4"}})
    passed = {"notary": (0, 0), "registry": (0, 0)}
    assert [bool(budgets.traffic_complaints("pin", rounds, passed)) for rounds in (1, 2, 4, 5)] == [
        *(True, False, False, True)
    ]


def test_modules_that_are_not_wanted_are_named_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "NOT_LOADED", {"x": {"heavy"}, "y": {"slow.part"}})
    monkeypatch.setattr(budgets, "WORKLOADS", {"verify": {"modules": 3, "not-loaded": ["x", "y"]}})
    loaded = {"os", "slow", "heavier"}
    assert budgets.module_complaints("verify", loaded, USUAL) == []
    named, counted = budgets.module_complaints("verify", {*loaded, "heavy.inner", "slow.part"}, USUAL)
    assert "loaded, and not to be: heavy.inner, slow.part" in named
    assert "modules 5, where the budget is 3" in counted


def test_nothing_that_is_measured_may_load_what_only_a_proxy_needs() -> None:
    assert "requests" in budgets.NOT_LOADED["anywhere"]


def test_another_python_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    place = budgets.Place.of(508_800_000)
    assert not place.usual
    assert place.scale > 1.5
