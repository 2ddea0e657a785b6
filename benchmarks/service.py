"""How many verifications a second the service answers, beside the clients: `scripts/bench service`.

What it is: `notarypy serve` on a unix socket and over TLS, Go's `notary lookup` in a loop, and a process of
`notarypy verify` for each image, with the same servers, images and cores, in turns of one run. Everything is
warm, no distance lies between, and `--max-age` is the usual one, so that refreshes happen in the run. What it
is not: a network; the load runs on the same cores as the service, and its share is part of what came out.

Rules:

1. Who competes takes turns of some seconds, each time beginning with another one; the median counts.
2. One request under way on each connection tells how much the service can. How long a request waits is told
   at half of that, at a fixed rate: one that must wait for its turn counts from when it arrived.
3. Memory, threads and open files are looked at between equal numbers of requests, after as many to warm up.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import builds, lab, servicetables, serving, tables
from benchmarks.lab import go_notary, ours
from benchmarks.machine import facts
from benchmarks.measuring import order
from benchmarks.processes import Launcher, ProgramFailedError
from benchmarks.servicetables import Found, Rate, Waiting
from support import scripts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.lab import Lab
    from benchmarks.load import Request
    from benchmarks.processes import Command
    from benchmarks.serving import Fleet, Held, Served

PAGE = builds.ROOT / "docs" / "performance.md"
MARKS = ("<!-- scripts/bench service writes from here -->", "<!-- to here, of the service -->")
LOOP = "`notary lookup` in a loop"
REPOSITORIES, TAGS, BATCH, CONTAINERS = 10, 10, 100, 3
WANTED = {1: 20.0, BATCH: 200.0}
STEPS = 10


@dataclass(frozen=True)
class Turn:
    """One turn: verifications a second, and how much of a processor the load took to ask for them."""

    rate: float
    load: float = 0.0


@dataclass(frozen=True)
class Contestant:
    """One of those who verify.

    Attributes:
        wanted: How many times the loop of Go is to be reached.
        turn: Verifies for so many seconds.
        service: Who is asked for what, if it is a service: one request has `each` verifications.
    """

    name: str
    turn: Callable[[float], Turn]
    wanted: float | None = None
    service: tuple[Served, tuple[Request, ...]] | None = None
    each: int = 1


# -- who competes ----------------------------------------------------------------------------------


def looping(launchers: Sequence[Launcher], commands: Sequence[Command], seconds: float) -> Turn:
    """Run one program after the other, as many loops side by side as there are launchers."""

    def loop(launcher: Launcher, mine: Iterator[Command]) -> float:
        took, done = 0.0, 0
        while took < seconds:
            took += launcher.run(next(mine)).wall
            done += 1
        return done / took

    loops = [itertools.cycle(commands[start :: len(launchers)]) for start in range(len(launchers))]
    with ThreadPoolExecutor(len(launchers)) as pool:
        return Turn(sum(pool.map(loop, launchers, loops)))


def asking(service: Served, requests: tuple[Request, ...], each: int, seconds: float) -> Turn:
    """Ask a service as fast as it answers."""
    answers = serving.asked(service.plan(requests, seconds=seconds))
    return Turn(answers.rate * each, answers.load)


def programs(place: Lab, fleet: Fleet, launchers: Sequence[Launcher]) -> list[Contestant]:
    """Return the clients, warm; the loop of Go first."""
    go, python = place.person("go", direct=True), place.person("ours", direct=True)
    lookups = [go_notary(go, "lookup", gun, tag) for gun, tag in fleet.images]
    words = ("verify", "--no-registry", "--policy", str(fleet.policy))
    verifies = [ours(python, place.builds[0], *words, reference) for reference in fleet.references]
    place.run(*lookups[: len(fleet.repositories)], *verifies[: len(fleet.repositories)])
    return [
        Contestant(LOOP, partial(looping, launchers[:1], lookups)),
        Contestant(f"{len(launchers)} such loops side by side", partial(looping, launchers, lookups)),
        Contestant("`notarypy verify`, a process for each image", partial(looping, launchers[:1], verifies)),
    ]


def requests(fleet: Fleet) -> dict[str, tuple[tuple[Request, ...], int, float | None]]:
    """Return by name what a service is asked, with the number of verifications and the ratio wanted."""
    references, digest = fleet.references, fleet.digest
    batch = list(itertools.islice(itertools.cycle(references), BATCH))
    singles = tuple(serving.verify([one], digest) for one in references)
    compared = tuple(serving.verify([one], digest, registry=True) for one in references)
    starts = range(len(references) - CONTAINERS)
    pods = tuple(serving.admit(references[start : start + CONTAINERS]) for start in starts)
    return {
        "one image a request": (singles, 1, WANTED[1]),
        f"{BATCH} images a request": ((serving.verify(batch, digest),), BATCH, WANTED[BATCH]),
        "one image, registry compared": (compared, 1, None),
        f"a pod of {CONTAINERS} containers": (pods, CONTAINERS, None),
    }


def services(fleet: Fleet, served: Sequence[Served]) -> list[Contestant]:
    """Return what the services are asked for: an API server asks over TLS alone."""
    return [
        Contestant(
            f"{name}, {service.name}", partial(asking, service, given, each), wanted, (service, given), each
        )
        for name, (given, each, wanted) in requests(fleet).items()
        for service in served
        if service.authority or not name.startswith("a pod")
    ]


# -- measuring -------------------------------------------------------------------------------------


def rates(contestants: Sequence[Contestant], turns: int, seconds: float) -> list[Rate]:
    """Let everybody take turns (rule 1)."""
    done: list[list[Turn]] = [[] for _ in contestants]
    for turn in range(turns):
        for number in order(len(contestants), turn):
            done[number].append(contestants[number].turn(seconds))
    medians = [statistics.median(turn.rate for turn in each) for each in done]
    return [
        Rate(one.name, median, statistics.median(turn.load for turn in each), median / medians[0], one.wanted)
        for one, each, median in zip(contestants, done, medians, strict=True)
    ]


def waiting(contestant: Contestant, rate: Rate, seconds: float) -> Waiting:
    """Ask at half of what was reached (rule 2), warm: each request was answered once before."""
    assert contestant.service
    half = rate.rate / contestant.each / 2
    service, given = contestant.service
    serving.asked(service.plan(given, count=len(given)))
    answers = serving.asked(service.plan(given, rate=half, seconds=seconds))
    return Waiting(
        contestant.name,
        half,
        answers.quantile(0.5) * 1000,
        answers.quantile(0.99) * 1000,
        answers.times[-1] * 1000,
    )


def holding(service: Served, given: tuple[Request, ...], count: int) -> Iterator[tuple[int, Held]]:
    """Look at what a service holds between parts of so many requests (rule 3)."""
    part = max(1, count // STEPS)
    for number in range(STEPS + 1):
        serving.asked(service.plan(given, count=part))
        yield number * part, service.held()


def measured(place: Lab, folder: Path, chosen: argparse.Namespace) -> Found:
    """Start the services, and measure everything."""
    found = Found(facts(place.builds, chosen.turns))
    fleet = serving.fleet(place, folder, REPOSITORIES, TAGS)
    with contextlib.ExitStack() as stack:
        launchers = [stack.enter_context(Launcher(folder / f"output{number}")) for number in range(2)]
        person = place.person("service", direct=True)
        served = stack.enter_context(
            serving.served(folder / "service", place.builds[0], person, fleet.policy)
        )
        contestants = [*programs(place, fleet, launchers), *services(fleet, served)]
        found.rates = rates(contestants, chosen.turns, chosen.seconds)
        print(servicetables.rates(found), flush=True)
        for contestant, rate in zip(contestants, found.rates, strict=True):
            if contestant.service:
                found.waiting.append(waiting(contestant, rate, chosen.waiting))
        print(f"\n{servicetables.waiting(found)}", flush=True)
        singles = next(one.service for one in contestants if one.service)
        place.notary.forget()
        found.held = list(holding(*singles, chosen.requests))
        time.sleep(lab.PAUSE)
        found.refreshes = place.notary.requests.new()
        print(f"\n{servicetables.held(found)}", flush=True)
    return found


def command_line() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = scripts.Parser("scripts/bench service", "How much the service verifies, beside the clients.")
    parser.add_argument("--turns", type=scripts.whole(1), default=5, help="of each contestant (default 5)")
    parser.add_argument(
        "--seconds", type=scripts.seconds, default=5, metavar="S", help="of each turn (default 5)"
    )
    parser.add_argument(
        "--waiting",
        type=scripts.seconds,
        default=30,
        metavar="S",
        help="of each at half of its rate (default 30, as long as what is known counts)",
    )
    parser.add_argument(
        "--requests", type=scripts.whole(STEPS), default=100_000, help="to watch memory over (default 100000)"
    )
    parser.add_argument("--json", type=scripts.destination, metavar="FILE", help="write everything there")
    parser.add_argument("--write-docs", action="store_true", help="put it into docs/performance.md")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Measure, and print tables."""
    chosen = command_line().parse_args(arguments)
    with scripts.folder("notarypy-bench-") as folder:
        build = builds.current(folder / "build")
        try:
            with lab.opened(folder / "lab", [build]) as place:
                found = measured(place, folder, chosen)
        except ProgramFailedError as error:
            print(f"failed: {error}", flush=True)
            return 1
    if chosen.json:
        scripts.write(chosen.json, json.dumps(asdict(found), indent=1) + "\n")
    if chosen.write_docs:
        tables.write_between(PAGE, servicetables.page(found), MARKS)
    return 0


if __name__ == "__main__":
    sys.exit(scripts.run("scripts/bench service", lambda: main(sys.argv[1:])))
