"""Signers come and go, and no tag becomes unreadable without a word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person


@pytest.fixture
def jeff(alice: Person, person: Callable[[str], Person], repository: Repository) -> Person:
    """Return a signer whose key is on his machine alone."""
    jeff = person("jeff")
    key, certificate = jeff.new_key("jeff")
    jeff.notarypy("key", "load", key, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    return jeff


@pytest.fixture
def image(repository: Repository) -> Manifest:
    return repository.push("1")


def signers(person: Person, repository: Repository) -> list[str]:
    return [signer["Name"] for signer in json.loads(person.inspection(repository.name))[0]["Signers"]]


def test_signers_are_listed_by_both(alice: Person, jeff: Person, repository: Repository) -> None:
    alice.own(repository.name, "carol")
    listing = jeff.notarypy("signer", "list", repository.name).expect(0).stdout
    assert "jeff" in listing
    assert "carol" in listing
    assert signers(jeff, repository) == ["jeff", "carol"]


def test_adding_a_signer_again_changes_nothing(alice: Person, bob: Person, repository: Repository) -> None:
    certificate = alice.own(repository.name)
    before = bob.inspection(repository.name)
    alice.notarypy("signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    assert bob.inspection(repository.name) == before


def test_removing_the_only_one_who_signed_is_refused(
    alice: Person, bob: Person, jeff: Person, repository: Repository, image: Manifest
) -> None:
    jeff.notarypy("sign", repository.ref("1")).expect(0)
    alice.notarypy("verify", repository.ref("1")).expect(0)
    before = alice.files()
    run = alice.notarypy("signer", "remove", "jeff", repository.name).expect(6)
    assert "targets/releases" in run.stderr
    assert alice.files() == before
    assert bob.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.pinned(image)}\n"


def test_removing_a_signer_with_another_key_here_keeps_the_tags(
    alice: Person, bob: Person, jeff: Person, repository: Repository, image: Manifest
) -> None:
    alice.own(repository.name, "carol")
    jeff.notarypy("sign", repository.ref("1")).expect(0)
    alice.notarypy("verify", repository.ref("1")).expect(0)
    before = alice.files()
    refused = alice.notarypy("signer", "remove", "jeff", repository.name).expect(2)
    assert f"1 in targets/releases: sha256:{image.sha256}" in refused.stderr
    assert alice.files() == before
    alice.notarypy("signer", "remove", "--keep-tags", "jeff", repository.name).expect(0)
    assert signers(bob, repository) == ["carol"]
    assert bob.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.pinned(image)}\n"
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    repository.push("2")
    assert jeff.notarypy("sign", repository.ref("2")).code == 6


@pytest.mark.usefixtures("image")
def test_what_only_the_removed_signer_signed_is_revoked_for_everybody(
    alice: Person, bob: Person, jeff: Person, repository: Repository
) -> None:
    alice.own(repository.name, "carol")
    repository.push("2")
    alice.notarypy("sign", repository.ref("2")).expect(0)
    jeff.notarypy("sign", repository.ref("1")).expect(0)
    run = alice.notarypy("--json", "signer", "remove", "--revoke-tags", "jeff", repository.name).expect(0)
    [result] = run.document["results"]
    assert [(one["role"], one["tag"]) for one in result["resting"]] == [("targets/releases", "1")]
    assert (result["revoked"], result["kept"]) == (True, ["2"])
    bob.notarypy("verify", repository.ref("1")).expect(3)
    bob.notarypy("verify", "--signer", "carol", repository.ref("2")).expect(0)
    listed = bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    assert [line.split()[0] for line in listed.splitlines() if "targets/releases" in line] == ["2"]
    assert [row["SignedTag"] for row in json.loads(bob.inspection(repository.name))[0]["SignedTags"]] == ["2"]


@pytest.mark.usefixtures("image")
def test_docker_trust_keeps_such_tags_and_names_them(
    alice: Person, bob: Person, jeff: Person, repository: Repository, image: Manifest
) -> None:
    alice.own(repository.name, "carol")
    jeff.notarypy("sign", repository.ref("1")).expect(0)
    run = alice.notarypy("docker-trust", "signer", "remove", "jeff", repository.name).expect(0)
    assert f"Successfully removed jeff from {repository.name}" in run.stdout
    assert f"warning:   1 sha256:{image.sha256}" in run.stderr
    bob.notarypy("verify", repository.ref("1")).expect(0)


@pytest.mark.usefixtures("image")
def test_removing_by_force_says_who_must_sign_again(
    alice: Person, bob: Person, jeff: Person, repository: Repository
) -> None:
    jeff.notarypy("sign", repository.ref("1")).expect(0)
    run = alice.notarypy("signer", "remove", "--force", "jeff", repository.name).expect(0)
    assert "targets/releases" in run.text
    assert signers(bob, repository) == []
    bob.notarypy("verify", repository.ref("1")).expect(3)


def test_removing_a_signer_who_never_signed(alice: Person, jeff: Person, repository: Repository) -> None:
    alice.notarypy("signer", "remove", "jeff", repository.name).expect(0)
    assert signers(jeff, repository) == []


def test_removing_a_name_that_signs_nothing_here(alice: Person, repository: Repository) -> None:
    alice.own(repository.name)
    before = alice.inspection(repository.name)
    assert alice.notarypy("signer", "remove", "nobody", repository.name).code != 0
    assert alice.inspection(repository.name) == before


def test_a_delegation_without_releases_is_signed_alone(
    alice: Person, bob: Person, repository: Repository, image: Manifest
) -> None:
    key, certificate = alice.new_key("audit")
    alice.own(repository.name)
    alice.notarypy("key", "load", key, "--name", "audit").expect(0)
    alice.notarypy("delegate", "add", "audit", repository.name, "--key", certificate, "--no-releases").expect(
        0
    )
    alice.notarypy("sign", "--signer", "audit", repository.ref("1")).expect(0)
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/audit").expect(0).stdout


def test_a_signer_without_the_snapshot_key_hears_so_before_anything_is_sent(
    alice: Person, person: Callable[[str], Person], repository: Repository, image: Manifest
) -> None:
    ci = person("ci")
    key, certificate = ci.new_key("ci")
    ci.notarypy("key", "load", key, "--name", "ci").expect(0)
    init = ("init", "--snapshot", "local", "--signer", "ci", "--key", certificate, repository.name)
    alice.notarypy(*init).expect(0)
    for option in ((), ("--dry-run",)):
        run = ci.notarypy("sign", *option, repository.ref("1")).expect(6)
        assert f"notarypy key rotate {repository.name} snapshot --server-managed" in run.stderr
    alice.notarypy("key", "rotate", repository.name, "snapshot", "--server-managed").expect(0)
    ci.notarypy("sign", "--dry-run", repository.ref("1")).expect(0)
    ci.notarypy("sign", repository.ref("1")).expect(0)
    assert alice.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.pinned(image)}\n"
