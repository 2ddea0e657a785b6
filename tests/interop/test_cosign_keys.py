"""Keys that sign as cosign does, of every kind and from every place, and who takes what they signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from interop.harness.verifiers import Verifiers

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint

KINDS = {
    "P-384": ("ecparam", "-name", "secp384r1", "-genkey", "-noout"),
    "RSA": ("genrsa", "3072"),
    "Ed25519": ("genpkey", "-algorithm", "ed25519"),
}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path_factory.mktemp("others"), registry)


@pytest.fixture
def signed(alice: Person, repository: Repository) -> Manifest:
    """Return an image that is signed with Notary."""
    alice.own(repository.name)
    made = repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    return made


def everybody_takes(others: Verifiers, repository: Repository, signed: Manifest, public: Path) -> None:
    others.verify(repository.ref("1"), public).expect(0)
    others.verify_bundle(repository.ref("1"), public).expect(0)
    others.pull(repository.ref("1"), others.require(repository.name, public)).expect(0)
    (bundle,) = others.bundles(repository, signed)
    others.npm(bundle, public, signed.digest).expect(0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_is_one_for_everybody(
    alice: Person, others: Verifiers, repository: Repository, signed: Manifest, kind: str
) -> None:
    key, public = alice.home / "kind.key", alice.home / "kind.pub"
    command, *arguments = KINDS[kind]
    programs.openssl(command, "-out", key, *arguments)
    key.chmod(0o600)
    programs.openssl("pkey", "-in", key, "-pubout", "-out", public)
    alice.notarypy("migrate", "cosign", repository.ref("1"), "--key", key).expect(0)
    everybody_takes(others, repository, signed, public)


def test_a_key_of_the_trust_directory_signs(
    alice: Person, others: Verifiers, repository: Repository, signed: Manifest
) -> None:
    public = alice.home / "exported.pub"
    alice.notarypy("migrate", "cosign", repository.ref("1"), "--key", "jeff").expect(0)
    alice.notarypy("key", "export", "--public", "jeff", "-o", public).expect(0)
    programs.openssl(
        "x509", "-in", alice.home / "jeff.crt", "-pubkey", "-noout", "-out", alice.home / "jeff.pub"
    )
    others.verify(repository.ref("1"), public).expect(0)
    everybody_takes(others, repository, signed, alice.home / "jeff.pub")
