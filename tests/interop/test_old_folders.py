"""Key folders of Notary before 0.4: what `key migrate` makes of them is what Go notary makes, and uses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person

FIXTURES = Path(__file__).parents[2] / "fixtures"


def key_files(person: Person) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (person.trust_dir / "private").glob("*.key")}


def _listed(table: str) -> list[list[str]]:
    """Return the rows of Go's table without where the keys are, which it cuts off."""
    return [line.split()[:-1] for line in table.splitlines() if line]


@pytest.mark.parametrize("release", ["notary-0.1", "notary-0.3"])
def test_our_files_are_those_that_go_makes_of_a_copy(alice: Person, bob: Person, release: str) -> None:
    for person in (alice, bob):
        shutil.copytree(FIXTURES / "go" / release, person.trust_dir, dirs_exist_ok=True)
    ours = alice.notarypy("key", "migrate").expect(0).stdout
    listed = bob.notary("key", "list").expect(0).stdout
    assert key_files(alice) == key_files(bob)
    assert _listed(alice.notary("key", "list").expect(0).stdout) == _listed(listed)
    (backup,) = alice.trust_dir.glob("old-key-folders-*")
    assert str(backup) in ours
    assert list(alice.trust_dir.rglob("root_keys")) == [backup / "private" / "root_keys"]


def test_a_repository_goes_on_with_migrated_keys(alice: Person, bob: Person, repository: Repository) -> None:
    """Who has the keys of a repository in the old layout migrates them, and Go notary publishes with them."""
    name = repository.name
    alice.notary("init", "-p", name).expect(0)
    private = alice.trust_dir / "private"
    for path in private.glob("*.key"):
        text = path.read_text()
        role = text.partition("role: ")[2].partition("\n")[0]
        folder = private / ("root_keys" if role == "root" else f"tuf_keys/{name}")
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / f"{path.stem}_{role}.key")
    alice.notarypy("key", "migrate").expect(0)
    assert alice.notary("addhash", "-p", name, "one", "3", "--sha256", "a" * 64).expect(0)
    assert alice.notary("key", "rotate", name, "snapshot", "-r").expect(0)
    assert "one" in bob.notary("list", name).expect(0).stdout


def test_go_writes_an_old_copy_over_a_newer_one_and_we_do_not(alice: Person, bob: Person) -> None:
    keyid = "a" * 64
    for person in (alice, bob):
        folder = person.trust_dir / "private" / "root_keys"
        folder.mkdir(parents=True)
        shutil.copy(FIXTURES / "keys" / "ec-root.key", folder / f"{keyid}_root.key")
        shutil.copy(FIXTURES / "keys" / "ec-delegation-role-dee.key", folder.parent / f"{keyid}.key")
        (folder / f"{'b' * 64}_root.key").symlink_to(FIXTURES / "keys" / "ec-root.key")
    before = key_files(alice)
    alice.notarypy("key", "migrate").expect(1)
    assert key_files(alice) == before
    bob.notary("key", "list").expect(0)
    assert key_files(bob) != before
    assert not (bob.trust_dir / "private" / "root_keys").exists()
    assert (alice.trust_dir / "private" / "root_keys" / f"{'b' * 64}_root.key").is_symlink()
