"""Keys that are elsewhere beside key files: Go notary and docker use the same trust directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import openbao

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.openbao import OpenBao
    from interop.harness.people import Person


@pytest.fixture(scope="module")
def vault(workshop: Path) -> Iterator[OpenBao]:
    with openbao.running(workshop / "openbao-beside") as server:
        yield server


@pytest.fixture
def uri(vault: OpenBao, unique: Callable[[], str]) -> str:
    return vault.make_key(unique().rpartition("/")[2])


def references(person: Person) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (person.trust_dir / "private").glob("*.ref")}


def listed(person: Person) -> str:
    """Return what Go notary lists, and insist on success and no complaint."""
    run = person.notary("key", "list").expect(0)
    assert run.stderr == ""
    return run.stdout


def test_go_and_docker_do_their_work_beside_them(
    alice: Person, bob: Person, vault: OpenBao, repository: Repository, uri: str
) -> None:
    alice.environment |= vault.environment()
    alice.notarypy("key", "add", uri, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", uri, "jeff", repository.name).expect(0)
    before = references(alice)
    (name,) = before
    assert name.removesuffix(".ref")[:12] not in listed(alice)
    image = repository.push("1")
    # What takes the key of targets, which is a file, they do; what takes jeff's they cannot.
    alice.notary_add(repository.name, "0", image, "targets").expect(0)
    assert alice.docker("trust", "sign", repository.ref("1")).code != 0
    alice.notarypy("sign", repository.ref("1")).expect(0)
    assert '"jeff"' in alice.inspection(repository.ref("1"))
    assert image.sha256 in bob.notary("list", repository.name).expect(0).stdout
    alice.notary("key", "rotate", repository.name, "snapshot", "-r").expect(0)
    alice.notary("key", "rotate", repository.name, "targets").expect(0)
    repository.push("2")
    alice.notarypy("sign", repository.ref("2")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("2")).expect(0)
    targets = max((alice.trust_dir / "private").glob("*.key"), key=lambda path: path.stat().st_mtime)
    alice.notary("key", "remove", targets.stem, text="yes\n").expect(0)
    assert not targets.exists()
    assert references(alice) == before


def test_a_root_and_one_targets_key_of_several_repositories(
    alice: Person, bob: Person, vault: OpenBao, repository: Repository, uri: str
) -> None:
    alice.environment |= vault.environment()
    root, targets = (vault.make_key(f"{uri.partition('//')[2]}-{role}") for role in ("root", "targets"))
    names = [repository.name, f"{repository.name}-b", f"{repository.name}-c"]
    alice.notarypy("init", "--root-key", root, "--targets-key", targets, *names).expect(0)
    assert len(references(alice)) == 2
    assert not list((alice.trust_dir / "private").glob("*.key"))
    listed(alice)
    adding = "signer", "add", "--key", bob.new_key("bob")[1], "bob", repository.name
    assert alice.docker("trust", *adding).code != 0
    alice.notarypy("docker-trust", *adding).expect(0)
    for name in names:
        bob.notary("list", name).expect(0)
    new = f"{root}-next"
    alice.notarypy("key", "generate", "root", "--in", new, "--dir", alice.home).expect(0)
    alice.notarypy("key", "rotate", "--yes", repository.name, "root", "--key", new).expect(0)
    bob.notary("list", repository.name).expect(0)
