"""The main job: keys, delegation, signing and verifying without docker, agreed to by docker and Go notary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint


@pytest.fixture(params=["notary", "notary_with_signer"])
def server(request: pytest.FixtureRequest) -> Endpoint:
    """Return a server with keys of its own, and one whose keys notary-signer holds."""
    endpoint: Endpoint = request.getfixturevalue(request.param)
    return endpoint


def test_from_an_openssl_key_to_a_verified_tag(
    alice: Person, bob: Person, server: Endpoint, repository: Repository
) -> None:
    for person in (alice, bob):
        person.use(server)
    image = repository.push("1")
    key, certificate = alice.new_key("delegation")
    assert b"EC PARAMETERS" in key.read_bytes()

    alice.notarypy("key", "load", key, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    verified = bob.notarypy("verify", repository.ref("1")).expect(0)

    assert verified.stdout == f"{repository.pinned(image)}\n"
    assert image.sha256 in alice.notary("list", repository.name).expect(0).stdout
    (document,) = json.loads(alice.inspection(repository.name))
    assert document["SignedTags"] == [{"SignedTag": "1", "Digest": image.sha256, "Signers": ["jeff"]}]


def test_verifying_needs_no_passphrase_and_no_key(alice: Person, bob: Person, repository: Repository) -> None:
    repository.push("1")
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    for name in ("ROOT", "REPOSITORY"):
        del bob.environment[f"DOCKER_CONTENT_TRUST_{name}_PASSPHRASE"]
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert not list(bob.trust_dir.glob("private/*"))


def test_a_delegate_signs_without_the_keys_of_the_repository(
    alice: Person,
    bob: Person,
    person: Callable[[str], Person],
    repository: Repository,
) -> None:
    image = repository.push("1")
    key, certificate = bob.new_key("bob")
    bob.notarypy("key", "load", key, "--name", "bob").expect(0)
    alice.notarypy("signer", "add", "--key", certificate, "bob", repository.name).expect(0)
    bob.notarypy("sign", repository.ref("1")).expect(0)
    carol = person("carol")
    assert carol.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.pinned(image)}\n"
    assert carol.notarypy("verify", "--signer", "bob", repository.ref("1")).code == 0
    assert carol.notarypy("verify", "--signer", "alice", repository.ref("1")).code == 10


def test_a_generated_key_serves_like_a_loaded_one(alice: Person, bob: Person, repository: Repository) -> None:
    repository.push("1")
    alice.notarypy("key", "generate", "jeff", "--dir", alice.home).expect(0)
    alice.notarypy("signer", "add", "--key", alice.home / "jeff.pub", "jeff", repository.name).expect(0)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    assert json.loads(alice.inspection(repository.name))[0]["SignedTags"][0]["Signers"] == ["jeff"]
    bob.notarypy("verify", repository.ref("1")).expect(0)


def test_json_documents_name_command_and_result(alice: Person, bob: Person, repository: Repository) -> None:
    repository.push("1")
    alice.own(repository.name)
    signed = alice.notarypy("--json", "sign", repository.ref("1")).expect(0).document
    verified = bob.notarypy("verify", "--json", repository.ref("1")).expect(0).document
    for command, document in (("sign", signed), ("verify", verified)):
        assert (document["schema"], document["command"], document["exit"]) == (1, command, 0)
        assert [(result["ref"], result["ok"]) for result in document["results"]] == [
            (repository.ref("1"), True)
        ]


def test_a_literal_gun_that_is_no_image_needs_no_registry(alice: Person, unique: Callable[[], str]) -> None:
    gun = unique()
    alice.notarypy("init", "--gun", gun).expect(0)
    assert "No targets present" in alice.notary("list", gun).expect(0).stdout
