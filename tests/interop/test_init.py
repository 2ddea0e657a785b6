"""Making trust data, making it twice, and changing one's mind about whom to trust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.gateway import Gateway
    from interop.harness.images import Repository
    from interop.harness.people import Person


def root_keyid(person: Person, repository: Repository) -> str:
    """Return the id that a repository's root has for its own key."""
    root = json.loads((person.metadata(repository.name) / "root.json").read_bytes())["signed"]
    (keyid,) = root["roles"]["root"]["keyids"]
    assert isinstance(keyid, str)
    return keyid


def root_pin(person: Person) -> str:
    """Return the canonical id of the one root key that a person has: its file is called so."""
    files = (person.trust_dir / "private").glob("*.key")
    (pin,) = (path.stem for path in files if b"\nrole: root\n" in path.read_bytes())
    return pin


def test_init_prints_the_pin_that_verify_takes(alice: Person, bob: Person, repository: Repository) -> None:
    said = alice.notarypy("init", repository.name).expect(0).text
    pin = root_pin(alice)
    assert pin in said
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    assert bob.notarypy("verify", "--root", "0" * 64, repository.ref("1")).code == 4
    bob.notarypy("verify", "--root", pin, repository.ref("1")).expect(0)


def test_a_second_init_changes_nothing(alice: Person, front: Gateway, repository: Repository) -> None:
    alice.notarypy("init", repository.name).expect(0)
    before = alice.files()
    alice.use(front.endpoint)
    alice.notarypy("init", repository.name).expect(0)
    assert alice.files() == before
    assert front.requests("POST") == []


def test_an_init_by_somebody_else_makes_no_keys(alice: Person, bob: Person, repository: Repository) -> None:
    alice.notarypy("init", repository.name).expect(0)
    bob.notarypy("init", repository.name).expect(0)
    assert not list(bob.trust_dir.glob("private/*"))
    bob.notarypy("inspect", repository.name).expect(0)
    assert root_keyid(bob, repository) == root_keyid(alice, repository)


def test_init_with_a_signer_is_one_publish(alice: Person, front: Gateway, repository: Repository) -> None:
    key, certificate = alice.new_key("jeff")
    alice.notarypy("key", "load", key, "--name", "jeff").expect(0)
    alice.use(front.endpoint)
    alice.notarypy("init", repository.name, "--signer", "jeff", "--key", certificate).expect(0)
    assert front.requests("POST") == [""]
    assert [signer["Name"] for signer in json.loads(alice.inspection(repository.name))[0]["Signers"]] == [
        "jeff"
    ]
    differs = alice.notarypy("init", repository.name, "--signer", "bob", "--key", certificate)
    assert differs.code == 1
    assert front.requests("POST") == [""]


def test_several_repositories_share_a_root_key(
    alice: Person, new_repository: Callable[[], Repository]
) -> None:
    first, second = new_repository(), new_repository()
    alice.notarypy("init", first.name, second.name).expect(0)
    listing = alice.notary("key", "list").expect(0).stdout
    assert sum(line.startswith("root") for line in listing.splitlines()) == 1
    assert sum(line.startswith("targets") for line in listing.splitlines()) == 2


def test_two_who_init_at_once_agree_on_one_root(alice: Person, bob: Person, repository: Repository) -> None:
    running = [person.start_notarypy("init", repository.name) for person in (alice, bob)]
    for process in running:
        programs.collect(process).expect(0)
    for person in (alice, bob):
        person.notarypy("inspect", repository.name).expect(0)
    assert root_keyid(alice, repository) == root_keyid(bob, repository)
    holders = [person for person in (alice, bob) if list(person.trust_dir.glob("private/*.key"))]
    assert len(holders) == 1


@pytest.mark.parametrize("snapshot", ["server", "local"])
def test_go_notary_goes_on_after_init(
    alice: Person, bob: Person, repository: Repository, snapshot: str
) -> None:
    image = repository.push("1")
    alice.notarypy("init", repository.name, "--snapshot", snapshot).expect(0)
    alice.notary_add(repository.name, "1", image).expect(0)
    assert image.sha256 in bob.notary("lookup", repository.name, "1").expect(0).stdout
    bob.notarypy("verify", repository.ref("1")).expect(0)


def test_a_changed_root_is_refused_until_trusted_by_its_full_pin(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)

    alice.notary("delete", repository.name, "--remote").expect(0)
    for key in alice.trust_dir.glob("private/*.key"):
        key.unlink()
    alice.own(repository.name, "carol")
    alice.notarypy("sign", repository.ref("1")).expect(0)

    before = bob.files()
    assert bob.notarypy("verify", repository.ref("1")).code == 4
    pin = root_pin(alice)
    assert bob.notarypy("trust", repository.name, "--root", pin[:12]).code == 2
    assert bob.notarypy("trust", repository.name, "--root", "0" * 64).code != 0
    assert bob.files() == before
    bob.notarypy("trust", repository.name, "--root", pin).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)


def test_forget_drops_one_repository_and_keeps_the_keys(
    alice: Person, new_repository: Callable[[], Repository]
) -> None:
    first, second = new_repository(), new_repository()
    alice.notarypy("init", first.name, second.name).expect(0)
    keys = sorted(alice.trust_dir.glob("private/*"))
    alice.notarypy("forget", first.name, "--yes").expect(0)
    assert not (alice.metadata(first.name) / "root.json").exists()
    assert (alice.metadata(second.name) / "root.json").exists()
    assert sorted(alice.trust_dir.glob("private/*")) == keys
