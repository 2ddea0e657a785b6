"""What Notary does not vouch for is never signed as cosign does; cosign itself looks afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from interop.harness.verifiers import NO_SIGNATURES, Verifiers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path_factory.mktemp("others"), registry)


@pytest.fixture
def key(alice: Person) -> Path:
    return alice.new_key("release")[0]


@pytest.fixture
def owner(alice: Person, repository: Repository) -> Person:
    """Return the owner of a repository with one signed tag."""
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    return alice


@pytest.fixture
def nothing_is_signed(others: Verifiers, repository: Repository, key: Path) -> Iterator[None]:
    """Look, after the test, at all that the repository has."""
    yield
    public = others.home / "release.pub"
    programs.openssl("ec", "-in", key, "-pubout", "-out", public)
    for tag in repository.tags():
        assert not tag.startswith("sha256-")
        others.verify(repository.ref(tag), public).expect(NO_SIGNATURES)


pytestmark = pytest.mark.usefixtures("nothing_is_signed")


def test_a_tag_that_moved(owner: Person, repository: Repository, key: Path) -> None:
    repository.push("1", "moved")
    owner.notarypy("migrate", "cosign", repository.ref("1"), "--key", key).expect(4)
    owner.notarypy("migrate", "cosign", repository.name, "--key", key).expect(4)


def test_a_tag_that_nobody_signed(owner: Person, repository: Repository, key: Path) -> None:
    repository.push("2")
    owner.notarypy("migrate", "cosign", repository.ref("2"), "--key", key).expect(3)


def test_a_tag_that_has_expired(owner: Person, repository: Repository, key: Path) -> None:
    owner.notarypy_later(1500, "migrate", "cosign", repository.ref("1"), "--key", str(key)).expect(5)


def test_a_tag_that_a_required_signer_has_not_signed(
    owner: Person, repository: Repository, key: Path
) -> None:
    migrate = ("migrate", "cosign", repository.ref("1"), "--key", key)
    owner.notarypy(*migrate, "--signer", "jo").expect(10)


def test_a_tag_of_a_repository_that_is_pinned_to_another_root(
    owner: Person, bob: Person, repository: Repository, key: Path
) -> None:
    migrate = ("migrate", "cosign", repository.ref("1"), "--key", key, "--root", "ab" * 32)
    for person in (owner, bob):
        person.notarypy(*migrate).expect(4)


def test_a_dry_run(owner: Person, repository: Repository, key: Path) -> None:
    owner.notarypy("migrate", "cosign", repository.ref("1"), "--key", key, "--dry-run").expect(0)
