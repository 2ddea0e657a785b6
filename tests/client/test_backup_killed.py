"""Who is killed while a backup is put back leaves nothing half, and the next one goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client
from support.author import GUN
from support.people import PASSPHRASE, owned

if TYPE_CHECKING:
    from support.people import World

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]
TRUST = ".docker/trust"


@pytest.fixture
def backup(world: World, tmp_path: Path) -> Path:
    """Return a backup of keys, a repository and settings."""
    home, person = tmp_path / "first", owned(world, "jeff")
    shutil.copytree(person.trust_dir, home / TRUST)
    (home / ".config/notarypy").mkdir(parents=True)
    (home / ".config/notarypy/policy.toml").write_text('[scope."*"]\nfirst_use = true\n')
    client = Client.from_environment({"HOME": str(home)}, clock=world.clock)
    client.upkeep.backup(tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def steps(backup: Path, home: Path, *more: str) -> list[dict[str, dict[str, str]]]:
    """Return what processes left that died one step later each, and what the next one made of it."""
    words = [sys.executable, "-m", "support.dying", str(backup), str(home), *more]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        words, env=environment, cwd=TESTS, capture_output=True, text=True, check=True, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def whole(found: dict[str, str]) -> dict[str, str]:
    """Leave out what has no name of its own yet: what is being written, and a trust directory that is."""
    return {
        name: text
        for name, text in found.items()
        if not name.endswith(".tmp") and ".notarypy-restore-" not in name
    }


def test_a_new_trust_directory_is_there_as_a_whole_or_not_at_all(backup: Path, tmp_path: Path) -> None:
    found = steps(backup, tmp_path / "new", "fresh")
    complete = found[-1]["then"]
    assert len(found) > 30
    assert any(name.startswith(f"{TRUST}/private/") for name in complete)
    for one in found:
        assert whole(one["then"]) == complete
        trust = {name: text for name, text in whole(one["left"]).items() if name.startswith(TRUST)}
        assert trust in ({}, {name: text for name, text in complete.items() if name.startswith(TRUST)})
        assert whole(one["left"]).items() <= complete.items()


def test_beside_what_is_there_each_file_is_whole_and_the_next_restore_goes_on(
    world: World, backup: Path, tmp_path: Path
) -> None:
    home = tmp_path / "there"
    client = Client.from_environment({"HOME": str(home)}, passphrases=lambda _: PASSPHRASE, clock=world.clock)
    (home / ".docker").mkdir(parents=True)
    ann = client.keys.generate("ann")[0].path
    found = steps(backup, home)
    complete = whole(found[-1]["then"])
    assert len(found) > 30
    for one in found:
        assert whole(one["then"]) == complete
        assert whole(one["left"]).items() <= complete.items()
        assert str(ann.relative_to(home)) in one["left"]
    assert f"{TRUST}/tuf/{GUN}/metadata/root.json" in complete
