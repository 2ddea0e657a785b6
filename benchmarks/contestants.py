"""Who competes in a row: the builds of notarypy, each with the same command, and the others with theirs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from benchmarks.lab import ours
from benchmarks.measuring import Contestant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.builds import Build
    from benchmarks.lab import Lab
    from benchmarks.processes import Command
    from interop.harness.people import Person

    Commands = Callable[[Person], Sequence[Command]]

_T = TypeVar("_T")


def ways(
    lab: Lab,
    mine: Callable[[_T], tuple[Person, Sequence[str]]],
    theirs: Mapping[str, Callable[[_T], Sequence[Command]]],
) -> dict[str, Callable[[_T], Sequence[Command]]]:
    """Return by contestant how what is given is done: by notarypy as `mine` says who and what."""

    def by(build: Build, given: _T) -> list[Command]:
        person, words = mine(given)
        return [ours(person, build, *words)]

    return {**{build.name: partial(by, build) for build in lab.builds}, **theirs}


def warm(lab: Lab, name: str, commands: Commands) -> Contestant:
    """Return a contestant who has done the same before."""
    person = lab.person(name)
    lab.run(*commands(person))
    return Contestant(name, lambda: commands(person))


def cold(lab: Lab, name: str, commands: Commands) -> Contestant:
    """Return a contestant who begins each turn with an empty home."""
    return Contestant(name, lambda: commands(lab.person(name)))


def readers(
    lab: Lab,
    make: Callable[[Lab, str, Commands], Contestant],
    words: Sequence[str] | Callable[[], Sequence[str]],
    theirs: Mapping[str, Commands],
) -> list[Contestant]:
    """Return contestants of whom each is made by `make`; words may be anew for each turn."""

    def mine(person: Person) -> tuple[Person, Sequence[str]]:
        return person, words() if callable(words) else words

    return [make(lab, name, commands) for name, commands in ways(lab, mine, theirs).items()]
