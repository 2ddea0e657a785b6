"""Files that are large, wide or crowded in sum: the real program stays within its memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.main import run
from notarypy.tuf import roles
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.metadata import Targets
from support.people import manifest
from support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.slow

JEFF = "targets/jeff"
MIB = 1 << 20
HASHES = {"sha256": bytes(32)}


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A repository that the reader has seen; jeff signs and releases in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NOTARYPY_FIRST_USE", "1")
    made = Wire(tmp_path)
    for role in (JEFF, roles.RELEASES):
        made.author.delegate(role, [made.author.key("jeff")])
        made.author.add("1", manifest("1"), role)
    made.serve(made.author.repository())
    assert run(made.argv) == 0
    yield made
    made.server.close()


def publish(wire: Wire, *changed: str) -> None:
    """Serve the next version of these roles, with whatever they list now."""
    for role in changed:
        wire.author.bump(role)
    wire.author.snapshot_version += 1
    wire.author.timestamp_version += 1
    wire.serve(wire.author.repository())


def listing(wire: Wire, role: str, more: Mapping[str, TargetFile]) -> None:
    """Let a role list more names."""
    old = wire.author.targets.get(role) or Targets(1, wire.author.expiry(roles.TARGETS))
    wire.author.targets[role] = replace(old, targets={**old.targets, **more})


def verifies(wire: Wire) -> None:
    code, told, _ = wire.spent(*wire.argv)
    assert (code, told.partition("@")[0]) == (0, wire.author.gun)


@pytest.mark.parametrize("content", ["long texts", "wide texts", "many tags"])
def test_the_roles_below_one_signer_have_a_limit_in_sum(wire: Wire, content: str) -> None:
    texts = {"long texts": "y" * (30 * MIB), "wide texts": "\U0001f600" + "y" * (30 * MIB)}
    for number in range(5 if content in texts else 2):
        role = f"{JEFF}/{number}"
        wire.author.delegate(role, [wire.author.key("jeff")])
        listing(
            wire,
            role,
            {"t": TargetFile(1, HASHES, texts[content])}
            if content in texts
            else {f"{number}-{tag}": TargetFile(1, HASHES) for tag in range(90_000)},
        )
    publish(wire, JEFF)
    verifies(wire)
    assert sum(map(len, wire.cached().values())) < 160 * MIB


@pytest.mark.parametrize(("size", "kept"), [(33 * MIB, False), (15 * MIB, True)])
def test_one_wide_character_does_not_make_a_file_four_times_as_large(
    wire: Wire, size: int, *, kept: bool
) -> None:
    listing(wire, JEFF, {"wide": TargetFile(1, HASHES, "\U0001f600" + "y" * size)})
    publish(wire, JEFF)
    verifies(wire)
    code, told, _ = wire.spent(*wire.argv, "--signer", "jeff")
    assert code == (0 if kept else 10), told


def test_base_files_have_a_limit(wire: Wire) -> None:
    before = wire.cached()
    listing(wire, roles.TARGETS, {"big": TargetFile(1, HASHES, "y" * (65 * MIB))})
    publish(wire, roles.TARGETS)
    code, _, told = wire.spent(*wire.argv)
    assert (code, "[trust.limit]" in told) == (4, True)
    assert wire.cached() == before


def test_a_long_name_is_not_shown_at_length(wire: Wire) -> None:
    listing(wire, roles.RELEASES, {"\x9f" * (3 * MIB): TargetFile(1, HASHES)})
    publish(wire, roles.RELEASES)
    asked = [*wire.argv[:-1], f"{wire.author.gun}:nope"]
    code, _, told = wire.spent(*asked)
    assert code == 3
    assert len(told) < 8_000
    code, told, _ = wire.spent(*wire.argv[:-2], "inspect", "--pretty", wire.author.gun)
    assert code == 0
    assert len(told) < 200_000
