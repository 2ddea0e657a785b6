"""Go notary and ours run the same lines: `scripts/notary.txt`, with memory and with a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness import databases, gopair, goscript, services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.forking import Forker
    from interop.harness.gosides import Started
    from interop.harness.programs import Run

SCRIPT = Path(__file__).parent / "scripts" / "notary.txt"
LINES = goscript.read(SCRIPT)


@pytest.fixture(params=["memory", "postgresql"])
def server(
    request: pytest.FixtureRequest, workshop: Path, authority: services.Authority
) -> Iterator[services.Endpoint]:
    if request.param == "memory":
        yield request.getfixturevalue("notary")
        return
    with databases.two_servers(request.param, workshop / "lines", authority) as (first, _):
        yield first


def forked(forker: Forker) -> Started:
    """Return what runs ours."""

    def ours(argv: list[str], env: dict[str, str], folder: Path, data: bytes | None) -> Run:
        return forker.run(["notary", *argv], env, folder=folder, data=data)

    return ours


def test_the_same_lines_do_the_same(
    server: services.Endpoint, forker: Forker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with gopair.pair(tmp_path, server, request.node.name, forked(forker)) as pair:
        wrong = [said for said in map(pair.run, LINES) if said]
    assert not wrong, f"{len(wrong)} lines:\n\n" + "\n\n".join(wrong)


def test_the_script_is_long() -> None:
    assert sum(line.is_command for line in LINES) >= 150
