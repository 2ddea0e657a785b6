"""`docker trust` and notarypy on the same repositories and the same trust directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person

TAGS = ("10", "9", "1", "latest", "v1.2")


def agree(person: Person, *references: str) -> None:
    """Compare what both tools print, byte for byte."""
    theirs = person.docker("trust", "inspect", *references)
    ours = person.notarypy("inspect", *references)
    assert ours.stdout == theirs.stdout, f"{theirs}\n{ours}"


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


def agree_prettily(person: Person, reference: str) -> None:
    """Compare what both print for people: the words, not the width of the columns."""
    theirs = person.docker("trust", "inspect", "--pretty", reference).expect(0)
    ours = person.notarypy("inspect", "--pretty", reference).expect(0)
    assert words(ours.stdout) == words(theirs.stdout)


@pytest.fixture
def by_notarypy(alice: Person, repository: Repository) -> Repository:
    """Return a repository that notarypy made: two signers, and a tag that only one of them signed."""
    alice.own(repository.name, "bob")
    for tag in TAGS:
        repository.push(tag)
    alice.notarypy("sign", repository.ref("9")).expect(0)
    alice.own(repository.name, "jeff")
    alice.notarypy("sign", *(repository.ref(tag) for tag in TAGS if tag != "9")).expect(0)
    return repository


@pytest.fixture
def by_docker(alice: Person, repository: Repository) -> Repository:
    """Return the same, made by docker and by Go notary in docker's layout."""
    for name in ("bob", "jeff"):
        public = alice.home / f"{name}.pub"
        alice.docker("trust", "key", "generate", name, "--dir", alice.home).expect(0)
        alice.docker("trust", "signer", "add", "--key", public, name, repository.name).expect(0)
    for tag in TAGS:
        roles = ["targets/releases", "targets/bob", *(["targets/jeff"] if tag != "9" else [])]
        alice.notary_add(repository.name, tag, repository.push(tag), *roles).expect(0)
    return repository


def test_inspect_prints_dockers_document_for_our_repository(alice: Person, by_notarypy: Repository) -> None:
    agree(alice, by_notarypy.name)
    signed = {
        tag["SignedTag"]: tag["Signers"]
        for tag in json.loads(alice.inspection(by_notarypy.name))[0]["SignedTags"]
    }
    assert signed == {tag: ["bob"] if tag == "9" else ["bob", "jeff"] for tag in TAGS}


def test_inspect_prints_dockers_document_for_its_own_repository(alice: Person, by_docker: Repository) -> None:
    agree(alice, by_docker.name)
    agree(alice, by_docker.ref("9"))
    agree_prettily(alice, by_docker.name)


def test_inspect_prints_dockers_text_for_people(alice: Person, by_notarypy: Repository) -> None:
    agree_prettily(alice, by_notarypy.name)
    agree_prettily(alice, by_notarypy.ref("10"))


def test_inspect_of_a_repository_without_signers(alice: Person, repository: Repository) -> None:
    alice.notarypy("init", repository.name).expect(0)
    agree(alice, repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    agree(alice, repository.name)
    agree_prettily(alice, repository.name)


def test_inspect_of_several_and_of_an_unsigned_tag(alice: Person, by_notarypy: Repository) -> None:
    agree(alice, by_notarypy.ref("1"), by_notarypy.ref("none"))
    assert alice.notarypy("inspect", by_notarypy.ref("none")).code == 0


def test_inspect_of_a_repository_without_trust_data(alice: Person, repository: Repository) -> None:
    agree(alice, repository.name)
    run = alice.notarypy("inspect", repository.name).expect(3)
    assert run.document == []


def test_notarypy_signs_with_the_keys_that_docker_made(
    alice: Person, bob: Person, by_docker: Repository
) -> None:
    image = by_docker.push("new")
    alice.notarypy("sign", by_docker.ref("new")).expect(0)
    assert bob.notarypy("verify", by_docker.ref("new")).expect(0).stdout == f"{by_docker.pinned(image)}\n"
    agree(bob, by_docker.name)


def test_docker_adds_a_signer_to_our_repository(alice: Person, bob: Person, by_notarypy: Repository) -> None:
    _, certificate = alice.new_key("carol")
    alice.docker("trust", "signer", "add", "--key", certificate, "carol", by_notarypy.name).expect(0)
    agree(bob, by_notarypy.name)
    assert "carol" in bob.notarypy("signer", "list", by_notarypy.name).expect(0).stdout
    bob.notarypy("verify", by_notarypy.ref("1")).expect(0)


def test_notarypy_adds_a_signer_to_dockers_repository(
    alice: Person, bob: Person, by_docker: Repository
) -> None:
    alice.own(by_docker.name, "carol")
    agree(bob, by_docker.name)
    bob.notarypy("verify", by_docker.ref("1")).expect(0)
