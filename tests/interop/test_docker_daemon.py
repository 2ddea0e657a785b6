"""docker with a real daemon pulls what notarypy signed and nothing else; what it signed, notarypy takes."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from interop.harness.images import DOCKER_MANIFEST, OCI_MANIFEST

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(autouse=True)
def _with_daemon(alice: Person, bob: Person, dockerd: str) -> None:
    for someone in (alice, bob):
        someone.environment["DOCKER_HOST"] = dockerd


@pytest.fixture
def signed(alice: Person, repository: Repository) -> Repository:
    """Return a repository whose owner is Alice, with a signer whose key she has."""
    alice.own(repository.name)
    return repository


def has(person: Person, reference: str) -> bool:
    return person.docker("image", "inspect", reference).code == 0


def digests(person: Person, reference: str) -> str:
    run = person.docker("image", "inspect", "--format", "{{.RepoDigests}} {{.Architecture}}", reference)
    return run.expect(0).stdout.strip()


# -- pulling what notarypy signed ------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, OCI_MANIFEST], ids=["docker", "oci"])
def test_docker_pulls_what_notarypy_signed(
    alice: Person, bob: Person, signed: Repository, media_type: str
) -> None:
    image = signed.push("1", media_type=media_type)
    alice.notarypy("sign", signed.ref("1")).expect(0)
    run = bob.docker_trusting("pull", signed.ref("1")).expect(0)
    assert image.digest in run.text
    assert signed.pinned(image) in digests(bob, signed.ref("1"))
    assert image.sha256 in bob.inspection(signed.ref("1"))


def test_docker_pulls_its_platform_of_a_signed_index(alice: Person, bob: Person, signed: Repository) -> None:
    index = signed.push_index("multi")
    alice.notarypy("sign", signed.ref("multi")).expect(0)
    bob.docker_trusting("pull", signed.ref("multi")).expect(0)
    architecture = MACHINES[platform.machine()]
    assert digests(bob, signed.ref("multi")) == f"[{signed.pinned(index)}] {architecture}"


def test_docker_pulls_the_signed_digest_after_the_tag_moved(
    alice: Person, bob: Person, signed: Repository
) -> None:
    image = signed.push("1")
    alice.notarypy("sign", signed.ref("1")).expect(0)
    signed.push("1", "not signed")
    bob.docker_trusting("pull", signed.ref("1")).expect(0)
    assert signed.pinned(image) in digests(bob, signed.ref("1"))


def test_docker_pulls_all_signed_tags_and_no_other(alice: Person, bob: Person, signed: Repository) -> None:
    for tag in ("1", "2", "3"):
        signed.push(tag)
    alice.notarypy("sign", signed.ref("1"), signed.ref("3")).expect(0)
    bob.docker_trusting("pull", "--all-tags", signed.name).expect(0)
    assert [has(bob, signed.ref(tag)) for tag in ("1", "2", "3")] == [True, False, True]


def test_docker_refuses_an_unsigned_tag(alice: Person, bob: Person, signed: Repository) -> None:
    signed.push("1")
    signed.push("2")
    alice.notarypy("sign", signed.ref("1")).expect(0)
    run = bob.docker_trusting("pull", signed.ref("2"))
    assert run.code == 1
    assert "No valid trust data for 2" in run.stderr
    assert not has(bob, signed.ref("2"))


def test_docker_refuses_a_repository_without_trust_data(bob: Person, repository: Repository) -> None:
    repository.push("1")
    run = bob.docker_trusting("pull", repository.ref("1"))
    assert run.code == 1
    assert "does not have trust data" in run.stderr


def test_docker_refuses_what_notarypy_revoked(alice: Person, bob: Person, signed: Repository) -> None:
    signed.push("1")
    signed.push("2")
    alice.notarypy("sign", signed.ref("1"), signed.ref("2")).expect(0)
    alice.notarypy("revoke", signed.ref("1")).expect(0)
    run = bob.docker_trusting("pull", signed.ref("1"))
    assert run.code == 1
    assert "No valid trust data for 1" in run.stderr
    bob.docker_trusting("pull", signed.ref("2")).expect(0)


# -- accepting what docker signed ------------------------------------------------------------------


def test_notarypy_verifies_what_docker_trust_sign_pushed(
    alice: Person, bob: Person, signed: Repository
) -> None:
    alice.build(signed.ref("1"))
    alice.docker("trust", "sign", signed.ref("1")).expect(0)
    run = bob.notarypy("verify", "--signer", "jeff", signed.ref("1")).expect(0)
    assert run.stdout.strip() in digests(alice, signed.ref("1"))
    bob.docker_trusting("pull", signed.ref("1")).expect(0)


def test_notarypy_verifies_what_docker_signed_in_its_own_repository(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.docker("trust", "key", "generate", "bob", "--dir", alice.home).expect(0)
    alice.docker("trust", "signer", "add", "--key", alice.home / "bob.pub", "bob", repository.name).expect(0)
    alice.build(repository.ref("1"))
    alice.docker("trust", "sign", "--local", repository.ref("1")).expect(0)
    bob.notarypy("verify", "--signer", "bob", repository.ref("1")).expect(0)


def test_notarypy_verifies_what_docker_push_signed(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.build(repository.ref("1"))
    alice.docker_trusting("push", repository.ref("1")).expect(0)
    run = bob.notarypy("verify", repository.ref("1")).expect(0)
    assert run.stdout.strip() in digests(alice, repository.ref("1"))


def test_docker_push_signs_a_repository_that_notarypy_made(
    alice: Person, bob: Person, signed: Repository
) -> None:
    alice.build(signed.ref("1"))
    alice.docker_trusting("push", signed.ref("1")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", signed.ref("1")).expect(0)
    alice.build(signed.ref("1"), "again")
    alice.docker_trusting("push", signed.ref("1")).expect(0)
    run = bob.notarypy("verify", signed.ref("1")).expect(0)
    assert run.stdout.strip() in digests(alice, signed.ref("1"))
