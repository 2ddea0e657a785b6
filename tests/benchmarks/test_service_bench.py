"""What `scripts/bench service` makes of its turns: ratios, requests and tables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import service, servicetables, serving
from benchmarks.service import Contestant, Turn
from benchmarks.servicetables import Found, Rate, Waiting
from benchmarks.serving import Answers, Held

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.load import Request


def contestant(name: str, took: list[str], *rates: float) -> Contestant:
    """Return somebody who reaches these rates."""
    left = list(rates)

    def turn(_: float) -> Turn:
        took.append(name)
        return Turn(left.pop(0))

    return Contestant(name, turn)


def test_ratios_are_to_the_first_and_turns_begin_with_another() -> None:
    took: list[str] = []
    found = service.rates([contestant("go", took, 1, 9, 2), contestant("service", took, 50, 10, 40)], 3, 1)
    assert [(one.name, one.rate, one.ratio) for one in found] == [("go", 2, 1), ("service", 40, 20)]
    assert took == ["go", "service", "service", "go", "go", "service"]


def test_what_was_wanted_and_not_reached_is_marked() -> None:
    found = Found(
        {}, [Rate("go", 50, 0, 1, None), Rate("one", 950, 0.25, 19, 20.0), Rate("many", 1e4, 0.5, 200, 200.0)]
    )
    assert servicetables.rates(found).splitlines()[2:] == [
        "| go | 50 | 1.0 |  |",
        "| one | 950 | 19 (20 !) | 0.25 |",
        "| many | 10000 | 200 (200) | 0.50 |",
    ]


def test_late_answers_are_compared_with_the_median() -> None:
    answers = Answers(100, 0.1, [number / 1000 for number in range(1, 101)])
    assert (answers.quantile(0.5), answers.quantile(0.99)) == (0.051, 0.1)
    found = Found({}, waiting=[Waiting("one", 500, 1.0, 30.0, 55.0)])
    assert servicetables.waiting(found).splitlines()[2:] == [
        "| one | 500 | 1.00 | 30.00 | 30 (20 !) | 55.0 |"
    ]


def test_a_process_holds_memory_threads_and_files() -> None:
    before = Held.by(os.getpid())
    with Path(os.devnull).open("rb"):
        held = Held.by(os.getpid())
    assert held.files == before.files + 1
    assert held.threads >= 1
    assert held.memory > 5
    rows = servicetables.held(Found({}, held=[(100, Held(40.06, 5, 12))])).splitlines()
    assert rows[2:] == ["| 100 | 40.1 | 5 | 12 |"]


@pytest.mark.parametrize(
    ("made", "path", "member"),
    [
        (lambda: serving.verify(["r.test/a:1", "r.test/b:1"], "sha256:0"), b"/verify", "images"),
        (lambda: serving.admit(["r.test/a:1"]), b"/admit/mutate", "request"),
    ],
)
def test_requests_are_of_the_length_that_they_say(
    made: Callable[[], Request], path: bytes, member: str
) -> None:
    head, _, body = made().data.partition(b"\r\n\r\n")
    assert head.split()[1] == path
    assert f"Content-Length: {len(body)}".encode() in head
    assert member in json.loads(body)
