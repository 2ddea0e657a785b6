"""A machine is lost; another one goes on with nothing but a backup and the passphrases, Go's clients too."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from interop.harness import openbao
from interop.harness.people import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.openbao import OpenBao
    from interop.harness.services import Endpoint

# Nothing of the old machine: no server in the environment, no CA of docker's, no first use.
NOTHING = {"DOCKER_CONTENT_TRUST_SERVER": "", "NOTARYPY_FIRST_USE": ""}


def settings(person: Person, repository: Repository) -> None:
    """Write the server and its CA into the configuration, and go without docker's way to say that."""
    folder = person.home / ".config" / "notarypy"
    folder.mkdir(parents=True)
    host = repository.name.partition("/")[0]
    (folder / "config.toml").write_text(
        f'[registry."{host}"]\nserver = "{person.server.url}"\nca = "ca.pem"\n'
    )
    assert person.server.ca is not None
    shutil.copy(person.server.ca, folder / "ca.pem")


@pytest.fixture
def new(tmp_path: Path, notary: Endpoint) -> Person:
    """Return an empty machine."""
    person = Person(tmp_path / "new", notary)
    shutil.rmtree(person.docker_config)
    return person


def test_an_empty_machine_goes_on_and_docker_and_go_notary_with_it(
    alice: Person,
    bob: Person,
    new: Person,
    new_repository: Callable[[], Repository],
    dockerd: str,
    tmp_path: Path,
) -> None:
    repository, by_go, file = new_repository(), new_repository(), tmp_path / "backup.tar"
    settings(alice, repository)
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    alice.notary("init", by_go.name, "-p").expect(0)
    alice.notary_add(by_go.name, "1", by_go.push("1")).expect(0)
    alice.notarypy("status", by_go.name).expect(0)
    alice.notarypy("backup", file).expect(0)
    alice.notarypy("backup", "--check", file).expect(0)
    assert alice.notary("key", "list").expect(0).stderr == ""
    shutil.rmtree(alice.home)

    new.notarypy("restore", file, **NOTHING).expect(0)
    second = repository.push("2")
    new.notarypy("sign", repository.ref("2"), **NOTHING).expect(0)
    verified = new.notarypy("verify", "--signer", "jeff", repository.ref("2"), **NOTHING).expect(0)
    assert verified.stdout.strip() == repository.pinned(second)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("2")).expect(0)

    new.use(new.server)
    new.environment["DOCKER_HOST"] = dockerd
    new.notary_add(by_go.name, "2", by_go.push("2")).expect(0)
    bob.notarypy("verify", by_go.ref("2")).expect(0)
    new.build(repository.ref("3"))
    new.docker("trust", "sign", repository.ref("3")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("3")).expect(0)
    new.notarypy("--yes", "key", "rotate", repository.name, "root").expect(0)
    assert "3" in bob.notary("list", repository.name).expect(0).stdout


def test_two_machines_are_one_and_each_root_stays(
    alice: Person, bob: Person, new_repository: Callable[[], Repository], tmp_path: Path
) -> None:
    of_alice, of_bob, file = new_repository(), new_repository(), tmp_path / "backup.tar"
    alice.own(of_alice.name, "ann")
    bob.own(of_bob.name, "ben")
    before = bob.files()
    alice.notarypy("backup", file).expect(0)
    shutil.rmtree(alice.home)
    run = bob.notarypy("restore", file).expect(0)
    assert f"export DOCKER_CONTENT_TRUST_SERVER={bob.server.url}" in run.stdout
    assert before.items() <= bob.files().items()
    for repository in (of_alice, of_bob):
        repository.push("1")
        bob.notarypy("sign", repository.ref("1")).expect(0)
        bob.notarypy("status", repository.name).expect(0)
    assert bob.notary("key", "list").expect(0).stderr == ""


def test_what_is_in_vault_stays_there_and_signs_from_the_new_machine(
    alice: Person, new: Person, repository: Repository, uri: str, vault: OpenBao, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar"
    settings(alice, repository)
    alice.environment |= vault.environment()
    alice.notarypy("key", "add", uri, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", uri, "jeff", repository.name).expect(0)
    assert "the backup only says so" in alice.notarypy("backup", file).expect(0).stdout
    assert "was not asked" in alice.notarypy("backup", "--check", file).expect(0).stdout
    new.notarypy("restore", file, **NOTHING).expect(0)
    new.environment |= vault.environment()
    repository.push("1")
    new.notarypy("sign", repository.ref("1"), **NOTHING).expect(0)
    new.notarypy("verify", "--signer", "jeff", repository.ref("1"), **NOTHING).expect(0)


@pytest.fixture(scope="module")
def vault(workshop: Path) -> Iterator[OpenBao]:
    with openbao.running(workshop / "openbao-backups") as server:
        yield server


@pytest.fixture
def uri(vault: OpenBao, unique: Callable[[], str]) -> str:
    return vault.make_key(unique().rpartition("/")[2])
