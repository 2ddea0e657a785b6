"""What `migrate policy` prints, and what the real program makes of it: cosign signs, and skopeo pulls."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness.verifiers import KeyPair, Verifiers

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path_factory.mktemp("others"), registry)


@pytest.fixture(scope="module")
def jeff(others: Verifiers) -> KeyPair:
    return others.generate_key_pair("jeff")


@pytest.fixture(scope="module")
def jo(others: Verifiers) -> KeyPair:
    return others.generate_key_pair("jo")


class Printed:
    """A policy for podman and its like, and images that are pulled under it."""

    def __init__(self, person: Person, others: Verifiers, *arguments: str) -> None:
        self._others = others
        self._folder = person.home / "containers"
        command = ("--yes", "migrate", "policy", "--for", "containers", "-o", self._folder)
        person.notarypy(*command, *arguments).expect(0)

    def sign(self, repository: Repository, tag: str, *keys: KeyPair, name: str = "") -> None:
        """Push an image and let cosign sign it with keys, under its own name or another."""
        made = repository.push(tag)
        for key in keys:
            identity = name or repository.ref(tag)
            signed = self._others.sign(
                repository.pinned(made), key.private, "--sign-container-identity", identity
            )
            signed.expect(0)

    def takes(self, repository: Repository, tag: str, architecture: str = "amd64") -> bool:
        """Return whether skopeo pulls an image; whatever else goes wrong is a failure."""
        rules = (self._folder / "policy.json", self._folder / "registries.d")
        run = self._others.pull(repository.ref(tag), rules, architecture)
        assert run.code == 0 or "rejected" in run.stderr, run
        return run.code == 0


def test_a_release_key_vouches_for_a_repository(
    alice: Person, others: Verifiers, jeff: KeyPair, jo: KeyPair, new_repository: Callable[[], Repository]
) -> None:
    repository, another = new_repository(), new_repository()
    alice.own(repository.name)
    printed = Printed(alice, others, "--key", str(jeff.public), repository.name)
    printed.sign(repository, "good", jeff)
    printed.sign(repository, "unsigned")
    printed.sign(repository, "stranger", jo)
    printed.sign(repository, "renamed", jeff, name=repository.ref("good"))
    printed.sign(another, "good", jeff)
    taken = {tag: printed.takes(repository, tag) for tag in ("good", "unsigned", "stranger", "renamed")}
    assert taken == {"good": True, "unsigned": False, "stranger": False, "renamed": False}
    assert not printed.takes(another, "good")


def test_what_cosign_signs_as_the_documentation_says_is_taken(
    alice: Person, others: Verifiers, jeff: KeyPair, repository: Repository
) -> None:
    policy = alice.home / "policy.toml"
    policy.write_text(f'[scope."{repository.name}"]\nrequire = ["cosign"]\ncosign.all = ["{jeff.public}"]\n')
    printed = Printed(alice, others, "--policy", str(policy))
    lines = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("cosign sign "))
    for tag, made in (("one", repository.push("one")), ("many", repository.push_index("many"))):
        given = line.replace("release.key", str(jeff.private)).replace(
            "registry.example.com/app:2", repository.ref(tag)
        )
        given = given.replace("registry.example.com/app@sha256:...", repository.pinned(made))
        assert "example" not in given
        others.cosign(*shlex.split(given)[1:], "--allow-http-registry").expect(0)
        verified = alice.notarypy("verify", "--policy", policy, repository.ref(tag)).expect(0)
        assert "warning" not in verified.stderr
    assert all(printed.takes(repository, *image) for image in (("one",), ("many",), ("many", "arm64")))


def test_one_of_several_release_keys_suffices(
    alice: Person, others: Verifiers, jeff: KeyPair, jo: KeyPair, repository: Repository
) -> None:
    alice.own(repository.name)
    printed = Printed(alice, others, "--key", str(jeff.public), "--key", str(jo.public), repository.name)
    printed.sign(repository, "new", jo)
    printed.sign(repository, "old", jeff)
    printed.sign(repository, "unsigned")
    assert [printed.takes(repository, tag) for tag in ("new", "old", "unsigned")] == [True, True, False]


def test_every_signer_has_to_sign(
    alice: Person, others: Verifiers, jeff: KeyPair, jo: KeyPair, repository: Repository
) -> None:
    alice.own(repository.name, "jeff")
    _, certificate = alice.new_key("jo")
    alice.notarypy("signer", "add", "--key", certificate, "jo", repository.name).expect(0)
    keys = ("--signer-key", f"jeff={jeff.public}", "--signer-key", f"jo={jo.public}")
    printed = Printed(alice, others, *keys, "--all-signers", repository.name)
    printed.sign(repository, "both", jeff, jo)
    printed.sign(repository, "one", jeff)
    assert [printed.takes(repository, tag) for tag in ("both", "one")] == [True, False]


def test_scopes_of_a_trust_policy_stay_scopes(
    alice: Person,
    others: Verifiers,
    jeff: KeyPair,
    new_repository: Callable[[], Repository],
) -> None:
    mirror, skipped, nobody = new_repository(), new_repository(), new_repository()
    policy = alice.home / "policy.toml"
    policy.write_text(scopes(mirror.name, skipped.name))
    printed = Printed(alice, others, "--policy", str(policy), "--key", str(jeff.public))
    printed.sign(mirror, "as-mirrored", jeff, name="registry.example.com/team/app:as-mirrored")
    printed.sign(mirror, "as-itself", jeff)
    printed.sign(skipped, "unsigned")
    printed.sign(nobody, "good", jeff)
    assert printed.takes(mirror, "as-mirrored")
    assert not printed.takes(mirror, "as-itself")
    assert printed.takes(skipped, "unsigned")
    assert not printed.takes(nobody, "good")


def test_signers_are_counted(
    alice: Person, others: Verifiers, jeff: KeyPair, jo: KeyPair, repository: Repository
) -> None:
    pairs = {"jeff": jeff, "jo": jo, "third": others.generate_key_pair("third")}
    policy, release = alice.home / "policy.toml", others.generate_key_pair("release")
    wanted = 'signers.any = ["jeff", "jo", "third"]\nsigners.threshold = 2'
    policy.write_text(f'[scope."{repository.name}"]\n{wanted}\n')
    given = [f"--signer-key={name}={pair.public}" for name, pair in pairs.items()]
    printed = Printed(alice, others, "--policy", str(policy), "--key", str(release.public), *given)
    printed.sign(repository, "two", release, jeff, pairs["third"])
    printed.sign(repository, "one", release, jo)
    printed.sign(repository, "without-release", jeff, jo, pairs["third"])
    taken = {tag: printed.takes(repository, tag) for tag in ("two", "one", "without-release")}
    assert taken == {"two": True, "one": False, "without-release": False}


def test_what_is_required_of_cosign_is_required_of_images_that_are_pulled(
    alice: Person, others: Verifiers, jeff: KeyPair, jo: KeyPair, new_repository: Callable[[], Repository]
) -> None:
    counted, either = new_repository(), new_repository()
    pair, policy = alice.home / "pair.pub", alice.home / "policy.toml"
    pair.write_bytes(others.generate_key_pair("old").public.read_bytes() + jo.public.read_bytes())
    policy.write_text(f"""
[scope."{counted.name}"]
require = ["cosign"]
cosign.any = ["{jeff.public}", "{pair}"]
cosign.threshold = 2
[scope."{either.name}"]
require_any = ["notary", "cosign"]
cosign.all = ["{jo.public}"]
""")
    printed = Printed(alice, others, "--policy", str(policy), "--key", str(jeff.public))
    for repository in (counted, either):
        printed.sign(repository, "jeff", jeff)
        printed.sign(repository, "jo", jo)
        printed.sign(repository, "both", jeff, jo)
        printed.sign(repository, "unsigned")
    tags = ("jeff", "jo", "both", "unsigned")
    assert [printed.takes(counted, tag) for tag in tags] == [False, False, True, False]
    assert [printed.takes(either, tag) for tag in tags] == [True, True, True, False]


def test_a_signer_goes_on_with_the_key_that_notary_knows(
    alice: Person, others: Verifiers, repository: Repository
) -> None:
    alice.own(repository.name)
    repository.push("1")
    repository.push_index("many")
    alice.notarypy("sign", repository.ref("1"), repository.ref("many")).expect(0)
    printed = Printed(alice, others, "--signer-key", "jeff", "--all-signers", repository.name)
    assert [printed.takes(repository, tag) for tag in ("1", "many")] == [False, False]
    alice.notarypy("migrate", "cosign", "--key", "jeff", repository.name).expect(0)
    assert [printed.takes(repository, tag) for tag in ("1", "many")] == [True, True]
    repository.push("1", "moved")
    assert not printed.takes(repository, "1")


def test_rego_has_the_digests_of_what_is_released(alice: Person, repository: Repository) -> None:
    made, other = repository.push("1"), repository.push("2")
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    text = alice.notarypy("migrate", "policy", "--for", "rego", repository.name).expect(0).stdout
    assert f'"1": "{made.digest}"' in text
    assert other.digest not in text


def scopes(mirror: str, skipped: str) -> str:
    """Return a trust policy: one repository mirrors another, and nothing is verified in a third."""
    return f"""
[scope."{mirror}"]
signed_as = "registry.example.com/team/app"
first_use = true
[scope."{skipped}"]
mode = "skip"
"""
