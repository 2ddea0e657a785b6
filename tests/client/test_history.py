from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.author import GUN, NOW
from support.people import owned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from notarypy import HistoryEvent
    from support.people import Person, World

LATER = NOW + timedelta(days=20)
_WHAT = tuple[str, int | None, str, str]


def what(events: Iterable[HistoryEvent]) -> list[_WHAT]:
    return [(event.role, event.version, event.kind, event.name) for event in events]


@pytest.fixture
def owner(world: World) -> Person:
    """An owner who signs as jeff: tag 1, 20 days later tag 2, and then another tag 1."""
    owner = owned(world, "jeff")
    world.push("1")
    world.push("2")
    owner.client().sign([f"{GUN}:1"])
    world.clock.advance(LATER - NOW)
    owner.client().sign([f"{GUN}:2"])
    world.push("1", "new")
    owner.client().sign([f"{GUN}:1"])
    return owner


SIGNED: list[_WHAT] = [
    ("root", 1, "created", ""),
    ("targets", 1, "published", ""),
    ("targets", 2, "delegation-added", "targets/jeff"),
    ("targets", 2, "delegation-added", "targets/releases"),
    ("targets/jeff", 1, "tag-added", "1"),
    ("targets/releases", 1, "tag-added", "1"),
    ("timestamp", 4, "renewed", ""),
    ("targets/jeff", 2, "tag-added", "2"),
    ("targets/releases", 2, "tag-added", "2"),
    ("targets/jeff", 3, "tag-moved", "1"),
    ("targets/releases", 3, "tag-moved", "1"),
]


def test_all_that_was_published_is_told_oldest_first(owner: Person) -> None:
    events = list(owner.client().history(GUN))
    assert what(events) == SIGNED
    assert all(event.verified for event in events)
    assert [event.time for event in events] == [NOW] * 6 + [LATER] * 5
    moved = events[-1]
    released = owner.client().inspect(f"{GUN}:1")
    assert (moved.before, moved.after) == (events[4].after, released.tags[0].digest)
    assert (moved.signers, moved.keys) == (("jeff",), released.signers[0][1])


def test_each_file_of_each_version_is_asked_for_once(world: World, owner: Person) -> None:
    world.requests()
    list(owner.client().history(GUN))
    asked = [line for line in world.fake.lines() if "changefeed" not in line and "fresh" not in line]
    assert max(Counter(asked).values()) == 1
    files = sum(len(numbers) for numbers in world.fake.notary.store._files[GUN].values())  # noqa: SLF001
    assert len(asked) <= files
