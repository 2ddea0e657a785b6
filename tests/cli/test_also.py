"""`--also cosign:PUB` and policies that require cosign, at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_MANIFEST
from support.commands import written
from support.cosigner import Cosigner
from support.people import manifest
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

REPO = f"{REGISTRY_HOST}/app"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


@pytest.fixture
def release(fake: Fake, home: Path) -> Cosigner:
    """Somebody whose public key is in `cosign.pub`."""
    signer = Cosigner(fake, "app")
    (home / "cosign.pub").write_bytes(signer.pem)
    return signer


@pytest.fixture
def digest(run: Run, fake: Fake) -> str:
    """Return the digest of `app:1`, which jeff signed with Notary."""
    found = fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST)
    run("key", "generate", "jeff").expect(0)
    run("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
    run("sign", f"{REPO}:1").expect(0)
    return found


def test_both_must_vouch(run: Run, release: Cosigner, digest: str) -> None:
    outcome = run("verify", "--also", "cosign:cosign.pub", f"{REPO}:1").expect(10)
    assert outcome.out == ""
    assert outcome.err.splitlines() == [
        (
            f"notarypy: error: {REPO}:1 is not signed by cosign with key {release.keyid[:7]} "
            "[policy.cosign_missing]"
        ),
        "  why: the registry has no signature of cosign by which it could be",
        f"  fix: whoever has the key signs it: notarypy migrate cosign {REPO}:1 --key KEY",
    ]
    release.sign(digest, f"{REPO}:1")
    outcome = run("verify", "--also", "cosign:cosign.pub", f"{REPO}:1").expect(0)
    assert (outcome.out, outcome.err) == (f"{REPO}@{digest}\n", "")


def test_the_document_has_the_signatures(run: Run, release: Cosigner, digest: str) -> None:
    release.sign(digest, f"{REPO}:1")
    release.bundle(digest)
    found = run("verify", "--json", "--also", "cosign:cosign.pub", f"{REPO}:1").expect(0).document
    assert problems(found, SCHEMA) == []
    assert found["results"][0]["cosign"][0] == {
        "key": release.keyid,
        "form": "sig",
        "reference": f"{REPO}:1",
    }


def test_of_cosign_alone(run: Run, home: Path, fake: Fake, release: Cosigner) -> None:
    digest = fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST)
    release.bundle(digest)
    scope = f'[scope."{REPO}"]\nrequire = ["cosign"]\ncosign.all = ["cosign.pub"]\n'
    path = written(home / "p.toml", scope)
    outcome = run("verify", "--policy", path, f"{REPO}:1").expect(0)
    assert outcome.out == f"{REPO}@{digest}\n"
    assert f"{REPO}:1 is {digest} by the registry's word alone" in outcome.err
    assert run("--quiet", "verify", "--policy", path, f"{REPO}:1").expect(0).err == ""
    document = run("verify", "--json", "--policy", path, f"{REPO}@{digest}").expect(0).document
    assert problems(document, SCHEMA) == []
    (result,) = document["results"]
    assert (result["verified"], result["role"], result["expires"], result["tag"]) == (True, None, None, None)
    run("verify", "--all-tags", "--policy", path, REPO).expect(2)
    outcome = run("pin", "--policy", path, written(home / "Dockerfile", f"FROM {REPO}:1\n")).expect(0)
    assert outcome.out == f"FROM {REPO}:1@{digest}\n"
    document = run("pin", "--json", "--policy", path, "Dockerfile").expect(0).document
    assert problems(document, SCHEMA) == []


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize("command", ["verify", "pull", "copy"])
def test_commands_that_take_keys(run: Run, home: Path, release: Cosigner, command: str) -> None:
    assert release.pem
    target = {"verify": [], "pull": [f"oci:{home}/layout"], "copy": [f"{REGISTRY_HOST}/copy:1"]}[command]
    assert (
        "[policy.cosign_missing]"
        in run(command, "--also", "cosign:cosign.pub", f"{REPO}:1", *target).expect(10).err
    )
    assert not (home / "layout").exists()


@pytest.mark.usefixtures("digest", "release")
@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["--also", "cosign.pub"], 2, "write --also cosign:PUB"),
        (["--also", "cosign:"], 2, "write --also cosign:PUB"),
        (["--also", "notation:cert.pem"], 2, "write --also cosign:PUB"),
        (["--also", "cosign:keyless"], 2, "only public keys in files count"),
        (["--certificate-identity", "me@example.com"], 2, "only public keys in files count"),
        (["--certificate-oidc-issuer=https://issuer"], 2, "only public keys in files count"),
        (["--also", "cosign:awskms:///alias/x"], 2, "notarypy key export --public"),
        (["--also", "cosign:none.pub"], 2, "cannot read none.pub"),
        (["--also", "cosign:private.pem"], 6, "the file is private.pem"),
        (["--also", "cosign:certificate.pem"], 6, "a certificate is no key"),
        (["--also", "cosign:cut.pub"], 6, "has no end"),
        (["--also", "cosign:cosign.pub", "--no-registry"], 2, "leave --no-registry out"),
        (["--also", "cosign:cosign.pub", "--offline"], 2, "leave --offline out"),
        (["--also", "cosign:cosign.pub", "--gun"], 2, "leave --gun out"),
    ],
)
def test_what_proves_nothing_is_refused_with_a_sentence(
    run: Run, home: Path, words: list[str], code: int, part: str
) -> None:
    written(home / "private.pem", "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n")
    written(home / "certificate.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    whole = (home / "cosign.pub").read_bytes()
    written(home / "cut.pub", whole + whole.partition(b"-----END")[0])
    assert part in run("verify", *words, f"{REPO}:1").expect(code).err


def test_every_tag_is_looked_at(run: Run, fake: Fake, release: Cosigner, digest: str) -> None:
    release.sign(digest, f"{REPO}:1")
    other = fake.registry.push("app", "2", manifest("2"), OCI_MANIFEST)
    run("sign", f"{REPO}:2").expect(0)
    outcome = run("verify", "--all-tags", "--also", "cosign:cosign.pub", REPO).expect(10)
    assert f"{REPO}:2 is not signed by cosign" in outcome.err
    release.sign(other, f"{REPO}:2")
    outcome = run("verify", "--all-tags", "--also", "cosign:cosign.pub", REPO).expect(0)
    assert sorted(outcome.out.splitlines()) == [f"{REPO}:1@{digest}", f"{REPO}:2@{other}"]
