"""Ours dies by SIGKILL while it publishes or rotates a key: nothing is lost, and either tool goes on."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from interop.harness.killing import Hunt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.forking import Forker
    from interop.harness.gateway import Gateway
    from interop.harness.services import Endpoint

MOMENTS = 6
OPERATIONS = {
    "publish": ("publish", "{R}"),
    "add": ("add", "{R}", "{N}", "hello", "-p"),
    "delegate": ("delegation", "add", "{R}", "targets/jo", "jo.crt", "jeff.pub", "--all-paths", "-p"),
    "targets": ("key", "rotate", "{R}", "targets"),
    "snapshot": ("key", "rotate", "{R}", "snapshot"),
    "snapshot-to-server": ("key", "rotate", "{R}", "snapshot", "-r"),
    "timestamp": ("key", "rotate", "{R}", "timestamp", "-r"),
    "root": ("key", "rotate", "{R}", "root"),
}


@pytest.fixture
def hunt(
    tmp_path: Path, notary: Endpoint, front: Gateway, forker: Forker, request: pytest.FixtureRequest
) -> Iterator[Hunt]:
    hunt = Hunt(tmp_path / "home", notary, front, forker, Random(request.node.name))
    yield hunt
    hunt.close()


def ends(hunt: Hunt, operation: str, repository: str, way: str, when: float) -> bool:
    """Stage something, let an operation be killed, and look; return whether it lived."""
    hunt.ours("add", repository, hunt.name(), "hello")
    words = tuple(word.format(R=repository, N=hunt.name()) for word in OPERATIONS[operation])
    died = hunt.killed(words, "yes\n" if operation == "root" else "", way, when)
    hunt.check(repository)
    return not died


@pytest.mark.parametrize("way", ["step", "before", "after"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_every_step(hunt: Hunt, unique: Callable[[], str], operation: str, way: str) -> None:
    repository = f"localhost/{unique()}"
    hunt.ours("init", repository, "-p")
    for when in hunt.loop(way):
        if ends(hunt, operation, repository, way, when):
            break
    assert hunt.kills >= 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_random(hunt: Hunt, unique: Callable[[], str], operation: str) -> None:
    repository = f"localhost/{unique()}"
    hunt.ours("init", repository, "-p")
    for when, _ in zip(hunt.loop("moment"), range(MOMENTS), strict=False):
        ends(hunt, operation, repository, "moment", when)


@pytest.mark.parametrize("way", ["step", "before", "after"])
def test_killed_while_a_repository_is_made(hunt: Hunt, unique: Callable[[], str], way: str) -> None:
    for when in hunt.loop(way):
        repository = f"localhost/{unique()}"
        died = hunt.killed(("init", repository, "-p"), "", way, when)
        hunt.published = set()
        hunt.ours("publish", repository)
        hunt.check(repository)
        if not died:
            break
    assert hunt.kills >= 2
