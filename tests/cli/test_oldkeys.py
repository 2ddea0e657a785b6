"""`key migrate`, and what `doctor` says of old key folders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

OLD = Path(__file__).parents[2] / "fixtures" / "go" / "notary-0.1"
ROOT = "d0c623c8e70c70d42a8a8125c44a8598588b3f6e31d5c21a83cbc338dfde8a68"
GUN = "docker.com/notary0.1/samplerepo"


@pytest.fixture
def trust(home: Path, fake: Fake) -> Path:  # noqa: ARG001 - makes the client the real one
    return Path(shutil.copytree(OLD, home / ".docker" / "trust"))


def test_what_would_be_moved_is_said_and_then_moved(run: Run, trust: Path) -> None:
    would = run("key", "migrate", "--dry-run").expect(0).out
    assert f"key {ROOT} (root) would be at {trust / 'private' / ROOT}.key\n" in would
    assert f"(targets of {GUN}) would be at " in would
    assert (trust / "private" / "root_keys").exists()
    done = run("key", "migrate").expect(0).out
    (backup,) = trust.glob("old-key-folders-*")
    assert f"key {ROOT} (root) is now at {trust / 'private' / ROOT}.key\n" in done
    assert f"the old files are in {backup}: delete it once the keys have been used\n" in done
    assert run("key", "migrate").expect(0).out == f"nothing old is in {trust}\n"


def test_programs_get_all_of_it(run: Run, trust: Path) -> None:
    (trust / "tuf" / GUN / "metadata" / "root.json").unlink()
    (result,) = run("--json", "key", "migrate", "--dry-run").expect(0).document["results"]
    assert result["ref"] == str(trust)
    assert {(key["role"], key["gun"], key["already"]) for key in result["keys"]} == {
        ("root", None, False), ("targets", GUN, False), ("snapshot", GUN, False)
    }  # fmt: skip
    (known,) = result["known_roots"]
    assert known["root_pins"] == [ROOT]
    assert (result["backup"], result["dry_run"]) == (None, True)
    assert f"says which root {GUN} has: --root {ROOT}" in run("key", "migrate").expect(0).out


def test_what_stays_is_a_failure_with_its_reason(run: Run, trust: Path, tmp_path: Path) -> None:
    link = trust / "private" / "root_keys" / f"{'a' * 64}_root.key"
    link.symlink_to(tmp_path / "stick.key")
    outcome = run("key", "migrate").expect(1)
    assert f"cannot read {link}" in outcome.err
    assert (trust / "private" / f"{ROOT}.key").exists()
    document = run("--json", "key", "migrate").expect(1).document
    assert [result["ok"] for result in document["results"]] == [True, False]


def test_the_doctor_says_that_there_are_some(run: Run, trust: Path) -> None:
    said = run("--offline", "doctor").out
    assert "keys and other files are in folders of Notary before 0.4: 4" in said
    assert "notarypy key migrate" in said
    run("key", "migrate").expect(0)
    assert "folders of Notary" not in run("--offline", "doctor").out
    shutil.copytree(OLD / "trusted_certificates", trust / "trusted_certificates")
    shutil.rmtree(trust / "tuf")
    assert f"says which root {GUN} has, of which none is cached" in run("--offline", "doctor").out
