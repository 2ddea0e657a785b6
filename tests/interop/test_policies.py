"""The policies of `migrate policy`, obeyed by the programs that they are written for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import images
from interop.harness.verifiers import KeyPair, Verifiers

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint


@pytest.fixture
def others(tmp_path: Path, registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path / "verifiers", registry)


@pytest.fixture
def keys(others: Verifiers) -> dict[str, KeyPair]:
    return {name: others.generate_key_pair(name) for name in ("release", "ci", "alice", "bob", "carol")}


def rules(person: Person, keys: dict[str, KeyPair], trust_policy: str, *words: str) -> tuple[Path, Path]:
    """Return what skopeo is to obey, from a trust policy."""
    path, target = person.home / "policy.toml", person.home / "containers"
    path.write_text(trust_policy)
    given = [f"--signer-key={name}={pair.public}" for name, pair in keys.items() if name != "release"]
    head = ("--yes", "migrate", "policy", "--for", "containers", "--policy", path, "-o", target)
    person.notarypy(*head, "--key", keys["release"].public, *given, *words).expect(0)
    return target / "policy.json", target / "registries.d"


def sign(others: Verifiers, image: Repository, made: Manifest, tag: str, pair: KeyPair) -> None:
    others.sign(image.pinned(made), pair.private, "--sign-container-identity", image.ref(tag)).expect(0)


def test_skopeo_wants_what_the_trust_policy_wanted(
    alice: Person, others: Verifiers, keys: dict[str, KeyPair], repository: Repository
) -> None:
    signers = 'signers.all = ["ci"]\nsigners.any = ["alice", "bob", "carol"]\nsigners.threshold = 2\n'
    obeyed = rules(alice, keys, f'[scope."{repository.name}"]\nfirst_use = true\n{signers}')
    made = repository.push("1", media_type=images.OCI_MANIFEST)
    for name in ("release", "ci", "alice"):
        others.pull(repository.ref("1"), obeyed).expect(1)
        sign(others, repository, made, "1", keys[name])
    assert "signature" in others.pull(repository.ref("1"), obeyed).expect(1).text
    sign(others, repository, made, "1", keys["carol"])
    others.pull(repository.ref("1"), obeyed).expect(0)
    others.pull(repository.pinned(made), obeyed).expect(0)
    repository.push("2", media_type=images.OCI_MANIFEST)
    others.pull(repository.ref("2"), obeyed).expect(1)


def test_skopeo_wants_the_name_and_takes_what_is_skipped(
    alice: Person, others: Verifiers, keys: dict[str, KeyPair], repository: Repository, registry: Endpoint
) -> None:
    only = {"release": keys["release"]}
    scope = f'[scope."{repository.name}"]\nfirst_use = true\n'
    made = repository.push("1", media_type=images.OCI_MANIFEST)
    repository.put("2", images.OCI_MANIFEST, json.loads(repository.manifest(made.digest)))
    sign(others, repository, made, "1", keys["release"])
    obeyed = rules(alice, only, scope)
    others.pull(repository.ref("1"), obeyed).expect(0)
    others.pull(repository.ref("2"), obeyed).expect(1)  # the same image under a tag that nobody signed
    elsewhere = images.repository(registry, f"{repository.path}-other")
    elsewhere.push("1", media_type=images.OCI_MANIFEST)
    assert "Source image rejected" in others.pull(elsewhere.ref("1"), obeyed).expect(1).text
    obeyed = rules(alice, only, f'{scope}[scope."{registry.host}"]\nmode = "skip"\n')
    others.pull(elsewhere.ref("1"), obeyed).expect(0)
    others.pull(repository.ref("2"), obeyed).expect(1)


def test_skopeo_takes_a_mirror_by_the_name_that_was_signed(
    alice: Person, others: Verifiers, keys: dict[str, KeyPair], repository: Repository, registry: Endpoint
) -> None:
    only = {"release": keys["release"]}
    scope = f'[scope."{repository.name}"]\nfirst_use = true\nsigned_as = "upstream.test/{repository.path}"\n'
    obeyed = rules(alice, only, scope)
    made = repository.push("1", media_type=images.OCI_MANIFEST)
    sign(others, repository, made, "1", keys["release"])
    others.pull(repository.ref("1"), obeyed).expect(1)
    identity = f"upstream.test/{repository.path}:1"
    others.sign(
        repository.pinned(made), keys["release"].private, "--sign-container-identity", identity
    ).expect(0)
    others.pull(repository.ref("1"), obeyed).expect(0)
    assert registry.host in repository.name


def test_a_repository_without_trust_policy(
    alice: Person, others: Verifiers, keys: dict[str, KeyPair], repository: Repository
) -> None:
    made = repository.push("1", media_type=images.OCI_MANIFEST)
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    target = alice.home / "out"
    head = ("migrate", "policy", "--for", "containers", "-o", target, "--all-signers", repository.name)
    assert "no key is given for jeff" in alice.notarypy(*head, f"--signer-key=ci={keys['ci'].public}").text
    alice.notarypy(*head, f"--signer-key=jeff={keys['ci'].public}").expect(0)
    obeyed = (target / "policy.json", target / "registries.d")
    others.pull(repository.ref("1"), obeyed).expect(1)
    sign(others, repository, made, "1", keys["ci"])
    others.pull(repository.ref("1"), obeyed).expect(0)


def test_rego_has_the_digests_of_what_is_released(alice: Person, repository: Repository) -> None:
    made, other = repository.push("1"), repository.push("2")
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    text = alice.notarypy("migrate", "policy", "--for", "rego", repository.name).expect(0).stdout
    assert json.dumps({"1": made.digest}, indent="\t")[4:-2] in text
    assert other.digest not in text
