"""A key that docker publishes and nobody can use: all but its role is read, and it can be taken out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness.programs import openssl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person

EMPTY = {"keytype": "", "keyval": {"private": None, "public": None}}


def ed25519_certificate(home: Path, name: str) -> Path:
    """Let openssl make an Ed25519 key, and a certificate for it."""
    key, certificate = home / f"{name}.key", home / f"{name}.crt"
    openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    openssl("req", "-new", "-x509", "-days", "365", "-subj", f"/CN={name}", "-key", key, "-out", certificate)
    return certificate


@pytest.fixture
def spoilt(alice: Person, repository: Repository) -> Repository:
    """Return a repository with a good signer and a tag, to which docker added an Ed25519 signer."""
    alice.own(repository.name, "jeff")
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    certificate = ed25519_certificate(alice.home, "ed")
    alice.docker("trust", "signer", "add", "--key", certificate, "ed", repository.name).expect(0)
    return repository


def listed(person: Person, repository: Repository) -> dict[str, object]:
    """Return the key table of the cached targets file."""
    (path,) = person.trust_dir.glob(f"tuf/{repository.name}/metadata/targets.json")
    keys: dict[str, object] = json.loads(path.read_bytes())["signed"]["delegations"]["keys"]
    return keys


def test_everybody_goes_on_reading_and_the_role_is_named(
    alice: Person, person: Callable[[str], Person], spoilt: Repository
) -> None:
    reader = person("reader")
    reader.notarypy("verify", spoilt.ref("1")).expect(0)
    assert EMPTY in listed(reader, spoilt).values()
    inspected = reader.notarypy("inspect", spoilt.name).expect(0)
    assert "targets/ed" in inspected.stderr
    assert "cannot be used" in inspected.stderr
    assert inspected.stdout == reader.docker("trust", "inspect", spoilt.name).expect(0).stdout
    status = reader.notarypy("status", spoilt.name)
    assert "0 keys that can be used, 1 needed" in status.stderr
    assert "cannot be used" in alice.notarypy("delegate", "list", spoilt.name).expect(0).stderr


def test_the_others_go_on_signing_and_the_entry_stays_as_it_is(
    alice: Person, person: Callable[[str], Person], spoilt: Repository
) -> None:
    spoilt.push("2")
    alice.notarypy("sign", spoilt.ref("2")).expect(0)
    _, certificate = alice.new_key("kim")
    alice.notarypy("signer", "add", "--key", certificate, "kim", spoilt.name).expect(0)
    assert EMPTY in listed(alice, spoilt).values()
    other = person("other")
    names = other.docker("trust", "inspect", spoilt.name).expect(0).stdout
    assert all(f'"Name": "{name}"' in names.replace('":"', '": "') for name in ("ed", "jeff", "kim"))
    assert "targets/ed" in other.notary("delegation", "list", spoilt.name).expect(0).stdout


@pytest.mark.parametrize("words", [("signer", "remove"), ("delegate", "remove")], ids=" ".join)
def test_it_is_taken_out_again_and_all_clients_read_what_is_left(
    alice: Person, person: Callable[[str], Person], spoilt: Repository, words: tuple[str, str]
) -> None:
    alice.notarypy(*words, "ed", spoilt.name).expect(0)
    assert EMPTY not in listed(alice, spoilt).values()
    other = person("other")
    other.notarypy("verify", spoilt.ref("1"), "--signer", "jeff").expect(0)
    assert not other.notarypy("inspect", spoilt.name).expect(0).stderr.count("targets/ed")
    theirs = other.docker("trust", "inspect", spoilt.name).expect(0).stdout
    assert '"ed"' not in theirs
    assert '"jeff"' in theirs
    assert "targets/ed" not in other.notary("delegation", "list", spoilt.name).expect(0).stdout
