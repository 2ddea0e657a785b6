"""`verify --also` and policies that require cosign, of what the real cosign signed, in three registries."""

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

NOBODY = "https://127.0.0.1:1"


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
    """Return the owner of a repository."""
    alice.trust("certs.d", each_registry)
    alice.own(repository.name)
    return alice


@pytest.fixture
def signed(owner: Person, repository: Repository) -> Manifest:
    """Return an index that is signed with Notary."""
    made = repository.push_index("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    return made


def verify(person: Person, reference: str, public: Path, *more: str | Path) -> programs.Run:
    return person.notarypy("verify", "--json", *more, "--also", f"cosign:{public}", reference)


def alone(person: Person, repository: Repository, public: Path, *lines: str) -> Path:
    """Write the policy of somebody who asks no Notary server any more."""
    rest = "\n".join(lines or ('require = ["cosign"]',))
    path = person.home / "policy.toml"
    path.write_text(f'[scope."{repository.name}"]\n{rest}\ncosign.all = ["{public}"]\n')
    return path


def test_what_cosign_signed_is_taken_beside_notarys_word(
    owner: Person, others: Verifiers, theirs: KeyPair, repository: Repository, signed: Manifest
) -> None:
    stranger = others.generate_key_pair(f"stranger-{owner.home.parent.name}")
    refused = verify(owner, repository.ref("1"), theirs.public).expect(10)
    assert refused.document["results"][0]["error"]["code"] == "policy.cosign_missing"
    others.sign(repository.pinned(signed), theirs.private, "-a", "build=7").expect(0)
    (result,) = verify(owner, repository.ref("1"), theirs.public).expect(0).document["results"]
    assert (result["digest"], result["role"]) == (signed.digest, "targets/releases")
    ((form, reference),) = {(each["form"], each["reference"]) for each in result["cosign"]}
    assert (form, reference) == ("sig", repository.name)
    verify(owner, repository.ref("1"), stranger.public).expect(10)


def test_what_cosign_signed_in_a_bundle_is_taken_and_an_attestation_is_not(
    owner: Person, others: Verifiers, theirs: KeyPair, repository: Repository, signed: Manifest
) -> None:
    others.attest(repository.pinned(signed), theirs.private, "https://example.com/attested").expect(0)
    verify(owner, repository.ref("1"), theirs.public).expect(10)
    others.attest(repository.pinned(signed), theirs.private).expect(0)
    (result,) = verify(owner, repository.ref("1"), theirs.public).expect(0).document["results"]
    assert [(each["form"], each["reference"]) for each in result["cosign"]] == [("bundle", None)]


def test_without_a_notary_server_the_registrys_word_for_the_tag_is_named(
    bob: Person, each_registry: Endpoint, others: Verifiers, theirs: KeyPair, repository: Repository
) -> None:
    bob.trust("certs.d", each_registry)
    made = repository.push("1")
    policy = alone(bob, repository, theirs.public)
    asked = ("-s", NOBODY, "verify", "--policy", policy, repository.ref("1"))
    bob.notarypy(*asked).expect(10)
    others.sign(repository.pinned(made), theirs.private).expect(0)
    done = bob.notarypy(*asked).expect(0)
    assert done.stdout == f"{repository.pinned(made)}\n"
    assert "by the registry's word alone" in done.stderr
    layout = bob.home / "layout"
    bob.notarypy("-s", NOBODY, "pull", "--policy", policy, repository.ref("1"), f"oci:{layout}").expect(0)
    assert json.loads((layout / "index.json").read_text())["manifests"][0]["digest"] == made.digest


def test_a_tag_that_moved_is_noticed_where_our_signature_names_it(
    owner: Person, bob: Person, each_registry: Endpoint, repository: Repository, signed: Manifest
) -> None:
    bob.trust("certs.d", each_registry)
    key, _ = owner.new_key("release")
    public = owner.home / "release.pub"
    programs.openssl("ec", "-in", key, "-pubout", "-out", public)
    owner.notarypy("migrate", "cosign", repository.ref("1"), "--key", key).expect(0)
    asked = ("-s", NOBODY, "verify", "--policy", alone(bob, repository, public))
    done = bob.notarypy(*asked, repository.ref("1")).expect(0)
    assert (done.stdout, done.stderr) == (f"{repository.pinned(signed)}\n", "")
    repository.tag(signed, "2")
    refused = bob.notarypy(*asked, repository.ref("2")).expect(10)
    assert f"has signed it as {repository.ref('1')}" in refused.stderr
    children = json.loads(signed.body)["manifests"]
    for child in children:  # each platform has its own signature
        bob.notarypy(*asked, f"{repository.name}@{child['digest']}").expect(0)


def test_cosign_without_r_signs_the_index_and_none_of_its_platforms(
    bob: Person, each_registry: Endpoint, others: Verifiers, theirs: KeyPair, repository: Repository
) -> None:
    bob.trust("certs.d", each_registry)
    index = repository.push_index("1")
    child = json.loads(index.body)["manifests"][0]["digest"]
    asked = ("-s", NOBODY, "verify", "--policy", alone(bob, repository, theirs.public))
    others.sign(repository.pinned(index), theirs.private).expect(0)
    bob.notarypy(*asked, repository.ref("1")).expect(0)
    bob.notarypy(*asked, f"{repository.name}@{child}").expect(10)
    others.sign(repository.pinned(index), theirs.private, "-r").expect(0)
    bob.notarypy(*asked, f"{repository.name}@{child}").expect(0)


def test_either_will_do_and_what_notary_denies_stays_refused(
    owner: Person, others: Verifiers, theirs: KeyPair, repository: Repository, signed: Manifest
) -> None:
    lines = ("first_use = true", 'require_any = ["notary", "cosign"]')
    asked = ("verify", "--policy", alone(owner, repository, theirs.public, *lines))
    assert owner.notarypy(*asked, repository.ref("1")).expect(0).stdout == f"{repository.pinned(signed)}\n"
    fresh = repository.push("2")
    owner.notarypy(*asked, repository.ref("2")).expect(10)
    others.sign(repository.pinned(fresh), theirs.private).expect(0)
    owner.notarypy(*asked, repository.ref("2")).expect(0)
    repository.tag(fresh, "1")
    owner.notarypy(*asked, repository.ref("1")).expect(4)


def test_one_byte_of_a_text_or_of_its_signature_and_it_counts_no_more(
    owner: Person, others: Verifiers, theirs: KeyPair, repository: Repository, signed: Manifest
) -> None:
    others.sign(repository.pinned(signed), theirs.private).expect(0)
    tag = classic.tag_of(signed.digest)
    document = json.loads(repository.manifest(tag))
    mark = "dev.cosignproject.cosign/signature"
    written = document["layers"][0]["annotations"][mark]
    document["layers"][0]["annotations"][mark] = (
        written[:20] + ("A" if written[20] != "A" else "B") + written[21:]
    )
    repository.put(tag, images.OCI_MANIFEST, document)
    assert "by none of the keys" in verify(owner, repository.ref("1"), theirs.public).expect(10).stdout
