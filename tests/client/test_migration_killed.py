"""Who is killed while old keys are moved has every key all the time, and the next one moves the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from notarypy.keys.formats import pem
from notarypy.keys.keystore import KeyStore
from support.dying import MIGRATE

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]
FIXTURES = TESTS.parent / "fixtures" / "go"
TRUST = ".docker/trust"
Tree = dict[str, str]


def steps(home: Path) -> list[dict[str, Tree]]:
    words = [sys.executable, "-m", "support.dying", MIGRATE, str(home)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        words, env=environment, cwd=TESTS, capture_output=True, text=True, check=True, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def bodies(found: Tree) -> list[bytes]:
    """Return what is in old key files, wherever they are: under a path of an old layout."""
    return sorted(
        pem.split(text.encode("latin-1"))[0].body for name, text in found.items() if "_keys/" in name
    )


def usable(found: Tree, folder: Path) -> set[tuple[str, str, str | None, bytes]]:
    """Return every key that a trust directory of these files has, with what is in it."""
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    return {
        (info.keyid, info.role, info.gun, pem.split(info.path.read_bytes())[0].body)
        for info in KeyStore(folder / TRUST / "private").list()
    }


@pytest.mark.parametrize("release", ["notary-0.1", "notary-0.3"])
def test_every_key_can_be_used_whenever_somebody_is_killed(tmp_path: Path, release: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(FIXTURES / release, home / TRUST)
    before = usable({}, home)
    found = steps(home)
    assert len(found) > 20
    old = bodies({str(path.relative_to(home)): path.read_text() for path in (home / TRUST).rglob("*.key")})
    for number, one in enumerate(found):
        for when in ("left", "then"):
            assert usable(one[when], tmp_path / f"{number}-{when}") == before
            assert bodies(one[when]) == old, "nothing is lost, and nothing is there twice"
        present = {
            name for name in one["then"] if name.startswith(f"{TRUST}/private/") and not name.endswith(".tmp")
        }
        assert present == {f"{TRUST}/private/{keyid}.key" for keyid, *_ in before}
