"""Go notary and ours in turn, on one repository and in one trust directory."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest

from interop.harness import alternation, gosides
from interop.harness.people import APART

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.forking import Forker
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

SEEDS, STEPS = 20, 30


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_list_the_same_after_every_step(
    tmp_path: Path, notary: Endpoint, forker: Forker, unique: Callable[[], str], seed: int
) -> None:
    home = tmp_path / "home"
    (home / ".notary").mkdir(parents=True)
    remote = {"url": notary.url, "root_ca": str(notary.ca)}
    (home / ".notary" / "config.json").write_text(json.dumps({"remote_server": remote}))
    environment = {"HOME": str(home), **APART}

    def go(words: tuple[str, ...], data: bytes | None) -> Run:
        return gosides.go_notary(list(words), environment, home, data)

    def ours(words: tuple[str, ...], data: bytes | None) -> Run:
        return forker.run(["notary", *words], environment, folder=home, data=data)

    tools = {"go": go, "ours": ours}
    player = alternation.Player(Random(seed), f"localhost/{unique()}", home, tools)
    player.begin()
    player.check()
    for _ in range(STEPS):
        player.step()
        player.check()
