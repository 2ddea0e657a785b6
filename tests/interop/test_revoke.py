"""A tag that we revoke is unsigned to everybody, and one that others revoke is unsigned to us."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture
def owner(alice: Person, repository: Repository) -> Person:
    """Return the owner of a repository with the signed tags 1 and 2."""
    alice.own(repository.name)
    for tag in ("1", "2"):
        repository.push(tag)
    alice.notarypy("sign", repository.ref("1"), repository.ref("2")).expect(0)
    return alice


def tags(person: Person, repository: Repository) -> list[str]:
    """Return what docker calls signed."""
    return [row["SignedTag"] for row in json.loads(person.inspection(repository.name))[0]["SignedTags"]]


def go_lists(person: Person, repository: Repository, *roles: str) -> set[str]:
    """Return the tags that Go notary lists, of all roles or of some."""
    chosen = [argument for role in roles for argument in ("-r", role)]
    lines = person.notary("list", repository.name, *chosen).expect(0).stdout.splitlines()
    return {line.split()[0] for line in lines if line.split()[-1:] and line.split()[-1].startswith("targets")}


def test_what_we_revoke_nobody_takes_as_signed(owner: Person, bob: Person, repository: Repository) -> None:
    owner.notarypy("revoke", repository.ref("1")).expect(0)
    assert tags(bob, repository) == ["2"]
    assert go_lists(bob, repository) == go_lists(bob, repository, "targets/jeff") == {"2"}
    bob.notarypy("verify", repository.ref("1")).expect(3)
    bob.notarypy("verify", repository.ref("2")).expect(0)
    owner.notarypy("revoke", repository.ref("1")).expect(3)


def test_what_docker_revokes_is_unsigned_to_us(owner: Person, bob: Person, repository: Repository) -> None:
    owner.docker("trust", "revoke", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(3)
    bob.notarypy("verify", repository.ref("2")).expect(0)
    assert "no role lists it" in owner.notarypy("revoke", repository.ref("1")).expect(3).stderr


def test_all_tags_and_then_docker_signs_on(owner: Person, bob: Person, repository: Repository) -> None:
    owner.notarypy("revoke", "--all", repository.name).expect(2)
    owner.notarypy("revoke", "--all", "--yes", repository.name).expect(0)
    assert tags(bob, repository) == []
    image = repository.push("3")
    owner.notary_add(repository.name, "3", image, "targets/releases", "targets/jeff").expect(0)
    bob.notarypy("verify", repository.ref("3")).expect(0)


def test_a_tag_in_targets_stays_signed_and_everybody_agrees(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    jeff = person("jeff")
    image = repository.push("1")
    alice.notarypy("sign", "--init", repository.ref("1")).expect(0)
    key, certificate = jeff.new_key("jeff")
    jeff.notarypy("key", "load", key, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    jeff.notarypy("sign", repository.ref("1")).expect(0)
    outcome = jeff.notarypy("--json", "revoke", repository.ref("1")).expect(0)
    (result,) = json.loads(outcome.stdout)["results"]
    assert (result["still"], result["still_released"]) == (["targets"], True)
    assert bob.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.pinned(image)}\n"
    assert tags(bob, repository) == ["1"]
    alice.notarypy("revoke", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(3)
    assert tags(bob, repository) == []
