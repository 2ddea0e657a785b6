"""Key files go back and forth between us, Go notary and docker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from interop.harness.programs import openssl

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person


def keys(person: Person) -> dict[str, bytes]:
    """Return the key files of a person."""
    return {path.name: path.read_bytes() for path in (person.trust_dir / "private").glob("*.key")}


def test_what_go_exports_we_import_to_the_byte(
    alice: Person, bob: Person, repository: Repository, tmp_path: Path
) -> None:
    alice.own(repository.name)
    alice.notary("key", "export", "-o", tmp_path / "go.pem").expect(0)
    bob.notarypy("key", "import", tmp_path / "go.pem", DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE="").expect(0)
    assert keys(bob) == keys(alice)
    repository.push("1")
    bob.notarypy("sign", repository.ref("1")).expect(0)


def test_what_we_export_go_imports_to_the_byte(
    alice: Person, bob: Person, repository: Repository, tmp_path: Path
) -> None:
    alice.own(repository.name)
    ids = [name.removesuffix(".key") for name in keys(alice)]
    alice.notarypy("key", "export", *ids, "-o", tmp_path / "ours.pem").expect(0)
    bob.notary("key", "import", tmp_path / "ours.pem").expect(0)
    assert keys(bob) == keys(alice)
    image = repository.push("1")
    bob.notary_add(repository.name, "1", image, "targets/releases").expect(0)
    alice.notarypy("verify", repository.ref("1")).expect(0)


def test_go_and_docker_use_a_key_whose_passphrase_we_changed(
    alice: Person, bob: Person, repository: Repository, tmp_path: Path
) -> None:
    alice.own(repository.name)
    old = {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "first one"}
    key, certificate = bob.new_key("bob")
    bob.notarypy("key", "load", key, "--name", "bob", **old).expect(0)
    (path,) = (bob.trust_dir / "private").glob("*.key")
    alice.notarypy("signer", "add", "--key", certificate, "bob", repository.name).expect(0)
    image = repository.push("1")
    assert bob.notary_add(repository.name, "1", image, "targets/bob").code != 0
    new = tmp_path / "new"
    new.write_text(bob.environment["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"] + "\n")
    bob.notarypy("key", "passwd", "bob", "--new-passphrase-file", new, **old).expect(0)
    bob.notary("reset", repository.name, "--all").expect(0)
    bob.notary_add(repository.name, "1", image, "targets/bob", "targets/releases").expect(0)
    assert alice.notarypy("verify", "--signer", "bob", repository.ref("1")).expect(0).stdout
    bob.docker("trust", "revoke", repository.ref("1")).expect(0)
    alice.notarypy("verify", repository.ref("1")).expect(3)
    assert b"role: bob" in path.read_bytes()


def test_a_removed_key_is_gone_for_go_too(alice: Person, repository: Repository) -> None:
    alice.own(repository.name)
    listing = alice.notary("key", "list").expect(0).stdout
    (root_id,) = re.findall(r"^\s*root\s+([0-9a-f]{64})", listing, re.MULTILINE)
    alice.notarypy("key", "remove", "--yes", "jeff").expect(0)
    assert "jeff" not in alice.notary("key", "list").expect(0).stdout
    refused = alice.notarypy("key", "remove", "--yes", root_id[:7]).expect(6)
    assert repository.name in refused.stderr
    assert root_id in alice.notary("key", "list").expect(0).stdout


@pytest.mark.parametrize("curve", ["secp224r1", "secp384r1", "secp521r1"])
def test_go_and_docker_verify_what_every_curve_signed(
    alice: Person, bob: Person, repository: Repository, tmp_path: Path, curve: str
) -> None:
    alice.own(repository.name, "bob")
    key, public = tmp_path / "key.pem", tmp_path / "key.pub"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", public)
    alice.notarypy("key", "load", key, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", public, "jeff", repository.name).expect(0)
    image = repository.push("1")
    alice.notarypy("sign", "--signer", "jeff", repository.ref("1")).expect(0)
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/jeff").expect(0).stdout
    assert image.sha256 in bob.inspection(repository.name)
    again = repository.push("2")
    alice.notary_add(repository.name, "2", again, "targets/jeff").expect(0)


def test_a_purged_key_is_gone_for_go_and_tags_stay(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.own(repository.name)
    key, certificate = bob.new_key("bob")
    bob.notarypy("key", "load", key, "--name", "bob").expect(0)
    alice.notarypy("signer", "add", "--key", certificate, "bob", repository.name).expect(0)
    image = repository.push("1")
    bob.notarypy("sign", repository.ref("1")).expect(0)
    (path,) = (bob.trust_dir / "private").glob("*.key")
    alice.notarypy("delegate", "purge", "--keep-tags", "--key", path.stem, repository.name).expect(0)
    listing = alice.notary("delegation", "list", repository.name).expect(0).stdout
    assert path.stem not in listing
    assert "targets/bob" not in listing
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    alice.notarypy("verify", repository.ref("1")).expect(0)
