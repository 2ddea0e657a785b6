"""How many requests a long past takes, and that it is told as it is where every version is looked at."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.client.history import past as reading
from notarypy.tuf import roles
from support.author import GUN
from support.pasts import JEFF, Past

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy import HistoryEvent
    from support.people import World

RELEASES = roles.RELEASES
SIGNERS = (JEFF, "targets/ann", "targets/bob")
FEW = 15  # today's files, the first ones, and those at the ends of windows


@pytest.fixture
def past(world: World) -> Past:
    past = Past(world)
    for role in (*SIGNERS[1:], RELEASES):
        past.author.delegate(role, [past.author.key(role)])
        past.author.add("0", b"0", role)
    past.publish()
    return past


def sign(past: Past, number: int, *changed: str) -> None:
    """Move a tag in all of these roles' files, in one publish."""
    for role in changed:
        past.author.add(str(number % 7), str(number).encode(), role)
    past.publish(*changed)


def requests(world: World, past: Past) -> Counter[str]:
    """Return what a newcomer asks for beyond the feed, by the roles of files."""
    world.fake.requests.clear()
    events = past.read()
    found = [line for line in world.fake.lines() if "changefeed" not in line]
    assert max(Counter(line for line in found if "fresh=" not in line).values()) == 1
    assert all(event.verified for event in events)
    files = [line.partition("/_trust/tuf/")[2].partition(".json")[0] for line in found]
    return Counter(max(each.split("."), key=lambda part: part.startswith(roles.BASE_ROLES)) for each in files)


def targets_alone(past: Past, versions: int) -> int:
    for number in range(1, versions):
        sign(past, number, roles.TARGETS)
    return versions


def two_roles(past: Past, versions: int) -> int:
    for number in range(1, versions):
        sign(past, number, JEFF, RELEASES)
    return 2 * versions


def a_rotation(past: Past, versions: int) -> int:
    targets_alone(past, versions // 2)
    past.rotate("another")
    for number in range(1, versions // 2):
        sign(past, number, roles.TARGETS)
    return versions + 12  # halves until one is left


LONG: list[Callable[[Past, int], int]] = [targets_alone, two_roles, a_rotation]


@pytest.mark.parametrize("lived", LONG)
def test_a_publish_costs_one_request_for_each_file_that_it_changed(
    world: World, past: Past, lived: Callable[[Past, int], int]
) -> None:
    most = lived(past, 100)
    assert requests(world, past).total() <= most + FEW


@pytest.mark.slow
@pytest.mark.parametrize("lived", [targets_alone, a_rotation])
def test_a_thousand_versions_cost_a_thousand_requests(
    world: World, past: Past, lived: Callable[[Past, int], int]
) -> None:
    most = lived(past, 1000)
    assert requests(world, past).total() <= most + FEW + 10


def test_several_signers_cost_a_snapshot_for_each_publish_and_no_timestamp(world: World, past: Past) -> None:
    by_chance = random.Random(7)
    for number in range(1, 60):
        sign(past, number, by_chance.choice(SIGNERS))
    found = requests(world, past)
    assert found[roles.TIMESTAMP] <= FEW
    assert found.total() <= 2 * 60 + FEW


# -- that it is told as it was


def odd(past: Past, chance: random.Random, number: int) -> None:
    """Publish something else than tags."""
    author, role = past.author, chance.choice(SIGNERS)
    match chance.randrange(8):
        case 0:
            past.publish(roles.TIMESTAMP)
        case 1:
            past.publish()  # the snapshot is signed again
        case 2:
            past.rotate(f"root {number}")
        case 3:
            past.publish(role)  # it says the same
        case 4:  # one signature is not enough, or is again
            key = author.key("jeff" if role == JEFF else role)
            author.delegate(role, [key], threshold=chance.choice((1, 2)))
            past.publish(roles.TARGETS, role)
        case 5:
            author.delegate(new := f"targets/new{number}", [author.key("new")])
            sign(past, number, roles.TARGETS, new)
        case 6:
            author.bump(role)  # a number is passed over
            past.publish(role)
        case _:
            above = author.targets[roles.TARGETS]
            left, others = chance.choice((*SIGNERS, RELEASES)), [each.name for each in above.roles]
            kept = tuple(each for each in above.roles if each.name != left)
            author.targets[roles.TARGETS] = replace(above, roles=kept)
            for new in {*others} - {*SIGNERS, RELEASES}:
                author.targets.pop(new, None)  # they go from the snapshot, too
            past.publish(roles.TARGETS)


def live(past: Past, chance: random.Random) -> None:
    """Publish whatever may happen, and mostly what does."""
    changed: tuple[str, ...] = (JEFF,)
    for number in range(1, chance.randrange(10, 30)):
        if chance.random() < 0.2:
            changed = tuple(chance.sample((*SIGNERS, RELEASES, roles.TARGETS), chance.randrange(1, 3)))
        if chance.random() < 0.1:
            odd(past, chance, number)
        else:
            sign(past, number, *changed)


def lose(past: Past, chance: random.Random) -> None:
    """Take an old file from the server that no state can do without: a delegation's."""
    role = chance.choice(SIGNERS)
    files = past.store._files[GUN][role]  # noqa: SLF001
    if (number := chance.choice(sorted(files))) != max(files):
        del files[number]


def read(past: Past, monkeypatch: pytest.MonkeyPatch, most: int, role: str | None) -> list[HistoryEvent]:
    for name in ("_FEW", "_BEGIN", "_MANY"):
        monkeypatch.setattr(reading, name, most)
    return past.read(role=role)


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(number, marks=pytest.mark.slow) for number in range(3, 12))]
)
def test_a_past_is_told_as_where_every_version_is_looked_at(
    past: Past, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    live(past, chance)
    if seed % 3 == 0:
        lose(past, chance)
    for role, most in ((None, 7), (None, 64), (chance.choice((*SIGNERS, *roles.BASE_ROLES)), 64)):
        every = read(past, monkeypatch, 1, role)
        assert read(past, monkeypatch, most, role) == every
