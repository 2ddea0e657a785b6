"""Ours beside theirs: what cosign signed, too, in the same place and for the same image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import images, programs
from interop.harness.verifiers import KeyPair, Verifiers
from notarypy.cosign import simplesigning as classic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, each_registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path_factory.mktemp("others"), each_registry)


@pytest.fixture(scope="module")
def theirs(others: Verifiers) -> KeyPair:
    return others.generate_key_pair("theirs")


@pytest.fixture
def repository(each_registry: Endpoint, unique: Callable[[], str]) -> Repository:
    return images.repository(each_registry, unique())


@pytest.fixture
def owner(alice: Person, each_registry: Endpoint, repository: Repository) -> Person:
    """Return the owner of the repository, who has a key for cosign's signatures."""
    alice.trust("certs.d", each_registry)
    alice.own(repository.name)
    alice.new_key("release")
    return alice


@pytest.fixture
def signed(owner: Person, repository: Repository) -> Manifest:
    """Return an image that is signed with Notary."""
    made = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    return made


def migrate(owner: Person, repository: Repository, *more: str) -> programs.Run:
    key = owner.home / "release.key"
    return owner.notarypy("migrate", "cosign", repository.ref("1"), "--key", key, *more)


def public(owner: Person) -> Path:
    path = owner.home / "release.pub"
    if not path.exists():
        programs.openssl("ec", "-in", owner.home / "release.key", "-pubout", "-out", path)
    return path


def written(others: Verifiers, repository: Repository, manifest: Manifest) -> tuple[bytes, list[str]]:
    """Return what is at the tag of signatures, and what refers to the image."""
    referring = [entry["digest"] for entry in others.referrers(repository, manifest)]
    return repository.manifest(classic.tag_of(manifest.digest)), sorted(referring)


def test_signatures_of_both_stay_whoever_signs_last(
    owner: Person, others: Verifiers, theirs: KeyPair, repository: Repository, signed: Manifest
) -> None:
    def everybody_is_taken(*keys: Path) -> None:
        for key in keys:
            others.verify(repository.ref("1"), key).expect(0)
            others.verify_bundle(repository.ref("1"), key).expect(0)

    others.sign(repository.pinned(signed), theirs.private, "-a", "build=7").expect(0)
    others.attest(repository.pinned(signed), theirs.private).expect(0)
    old = json.loads(repository.manifest(classic.tag_of(signed.digest)))["layers"]
    migrate(owner, repository).expect(0)
    assert json.loads(repository.manifest(classic.tag_of(signed.digest)))["layers"][:-1] == old
    everybody_is_taken(theirs.public, public(owner))
    last = others.generate_key_pair(f"last-{owner.home.parent.name}")
    others.sign(repository.pinned(signed), last.private).expect(0)
    others.attest(repository.pinned(signed), last.private).expect(0)
    everybody_is_taken(theirs.public, public(owner), last.public)
    before = written(others, repository, signed)
    assert "already signed" in migrate(owner, repository).expect(0).text
    assert written(others, repository, signed) == before


def test_a_form_that_is_missing_is_added(
    owner: Person, others: Verifiers, repository: Repository, signed: Manifest
) -> None:
    migrate(owner, repository, "--format", "sig").expect(0)
    others.verify(repository.ref("1"), public(owner)).expect(0)
    assert not others.referrers(repository, signed)
    classics, _ = written(others, repository, signed)
    migrate(owner, repository).expect(0)
    others.verify_bundle(repository.ref("1"), public(owner)).expect(0)
    assert written(others, repository, signed)[0] == classics


def test_copies_have_one_form_each(
    owner: Person, others: Verifiers, repository: Repository, unique: Callable[[], str]
) -> None:
    index = repository.push_index("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    migrate(owner, repository).expect(0)
    by_skopeo, by_oras = (images.repository(repository.registry, unique()) for _ in "12")
    others.copy(repository.ref("1"), by_skopeo.ref("1")).expect(0)
    others.verify(by_skopeo.ref("1"), public(owner)).expect(0)
    assert not others.referrers(by_skopeo, index)
    others.copy_referrers(repository.ref("1"), by_oras.ref("1")).expect(0)
    others.verify_bundle(by_oras.ref("1"), public(owner)).expect(0)
    assert not by_oras.has(classic.tag_of(index.digest))
