"""A verification service and what can go wrong around it, each thing once; `scripts/endure` goes on with it.

The ordeals are in `harness/ordeals.py` and `harness/assaults.py`, each with what must hold.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

import pytest

from interop.harness import assaults, endurance, ordeal, ordeals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.ordeal import World
    from interop.harness.ordeals import Ordeal
    from interop.harness.serving import Serving


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ordeal.world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def service(world: World) -> Iterator[Serving]:
    with world.service("first") as running:
        world.recover(running)
        yield running


@pytest.fixture
def load(world: World, service: Serving) -> Iterator[None]:
    """Ask all the time, and see that all is well again at the end, and nothing left."""
    before, pid = service.usage(), service.pid
    with world.load(service, 2, Random(1)):
        yield
    world.recover(service)
    if service.pid == pid:
        endurance.settles(service, before)


@pytest.mark.usefixtures("load")
def test_hostile_input_is_refused_beside_connections_that_stall(world: World, service: Serving) -> None:
    with ThreadPoolExecutor(1) as beside:
        stalled = beside.submit(assaults.stalled, world, service, Random(2))
        for what in (assaults.bodies, assaults.crowds, assaults.large_bodies, assaults.throng):
            what(world, service, Random(2))
        stalled.result()


@pytest.mark.usefixtures("load")
@pytest.mark.parametrize(
    "what",
    [
        ordeals.misbehaviour,
        ordeals.absence,
        ordeals.full_disk,
        ordeals.certificates,
        ordeals.policies,
        ordeals.ended,
    ],
    ids=lambda what: what.__name__,
)
def test_misfortunes_allow_nothing_wrong_and_leave_nothing(
    world: World, service: Serving, what: Ordeal
) -> None:
    what(world, service, Random(3))


def test_two_replicas_never_contradict_each_other_for_long(world: World) -> None:
    with world.service("one") as one, world.service("two") as two:
        ordeals.replicas(world, (one, two), Random(4))
