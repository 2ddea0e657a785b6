"""Verifiers over the fake: with a policy that pins the repository of `GUN`, and a clock of their own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from notarypy.limits import DEFAULT, Limits
from notarypy.service.verifier import MAX_AGE, Verifier
from notarypy.storage.settings.settings import load
from support.author import GUN
from support.people import SERVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.people import Person, World

SECONDS = 60.0
"""How long a test waits for what must come, however busy the machine is."""


class Ticks:
    """A monotonic clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    pause = threading.Event()
    for _ in range(int(SECONDS * 100)):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError


def pin_of(person: Person, gun: str = GUN) -> str:
    """Return the pin of a repository's root."""
    return person.client().refresh(gun).root.pins[0]


def write_policy(path: Path, *scopes: str) -> Path:
    """Write a trust policy; a scope is `PREFIX` and lines below it."""
    tables = []
    for scope in scopes:
        prefix, _, lines = scope.partition("\n")
        tables.append(f'[scope."{prefix}"]\n{lines}\n')
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def pinned(pin: str, prefix: str = GUN, *lines: str) -> str:
    """Return a scope that pins a root."""
    return "\n".join((prefix, f'roots.ids = ["{pin}"]', *lines))


def verifier(
    world: World,
    policy: Path,
    *,
    name: str = "service",
    max_age: float = MAX_AGE,
    ticks: Callable[[], float] | None = None,
    limits: Limits = DEFAULT,
    **flags: object,
) -> Verifier:
    """Return a verifier with a trust directory of its own."""
    given = {"server": SERVER, "trust_dir": str(world.base / name), "policy": str(policy), **flags}
    settings = load(given, {}, world.base)
    clock = ticks or Ticks()
    return Verifier(
        settings, max_age=max_age, transport=world.fake, clock=clock, now=world.clock, limits=limits
    )
