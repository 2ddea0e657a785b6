"""`migrate policy`: files, notes and exit codes, with repositories of the fake servers."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.devserver.core import REGISTRY_HOST
from support.commands import written

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run

REPO = f"{REGISTRY_HOST}/app"
REJECT = [{"type": "reject"}]


@pytest.fixture(autouse=True)
def keys(home: Path) -> None:
    for name in ("release", "ci", "alice", "bob"):
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (home / f"{name}.pub").write_bytes(pem)


def policy(home: Path, text: str) -> str:
    return written(home / "p.toml", text)


def test_a_trust_policy_becomes_that_of_podman(run: Run, home: Path) -> None:
    text = """
    [scope."registry.test:5000/team"]
    signers.all = ["ci"]
    signers.any = ["alice", "bob"]
    first_use = true
    [scope."localhost:5000"]
    mode = "skip"
    [scope."mirror.test/hub"]
    signed_as = "docker.io"
    """
    words = ["--policy", policy(home, text), "--key", "release.pub"]
    words += [word for name in ("ci", "alice", "bob") for word in ("--signer-key", f"{name}={name}.pub")]
    outcome = run("migrate", "policy", "--for", "containers", *words, "-o", "out").expect(0)
    assert outcome.out == "wrote out/policy.json\nwrote out/registries.d/notarypy.yaml\n"
    made = json.loads((home / "out" / "policy.json").read_text())
    scopes = made["transports"]["docker"]
    assert (made["default"], scopes[""]) == (REJECT, REJECT)
    assert scopes["localhost:5000"] == [{"type": "insecureAcceptAnything"}]
    encoded = {
        name: base64.b64encode((home / f"{name}.pub").read_bytes()).decode()
        for name in ("release", "ci", "alice", "bob")
    }
    assert scopes["registry.test:5000/team"] == [
        {"type": "sigstoreSigned", "keyData": encoded["release"]},
        {"type": "sigstoreSigned", "keyData": encoded["ci"]},
        {"type": "sigstoreSigned", "keyDatas": [encoded["alice"], encoded["bob"]]},
    ]
    identity = {"type": "remapIdentity", "prefix": "mirror.test/hub", "signedPrefix": "docker.io"}
    assert [one["signedIdentity"] for one in scopes["mirror.test/hub"]] == [identity]
    told = yaml.safe_load((home / "out" / "registries.d" / "notarypy.yaml").read_text())
    attached = {"use-sigstore-attachments": True}
    assert told == {"docker": {"mirror.test": attached, "registry.test:5000": attached}}
    assert "Debian 12" in outcome.err


@pytest.mark.usefixtures("fake")
def test_a_repository_is_read_for_its_signers(run: Run) -> None:
    run("key", "generate", "jeff").expect(0)
    run("delegate", "add", "--key", "jeff.pub", "--path", "v1", "jeff", REPO).expect(0)
    words = ("--for", "containers", "--all-signers", "-o", "out", REPO)
    outcome = run("migrate", "policy", "--signer-key", "ci=ci.pub", *words).expect(2)
    assert "no key is given for jeff" in outcome.err
    document = run("--json", "migrate", "policy", "--signer-key", "jeff=ci.pub", *words).expect(0).document
    (result,) = document["results"]
    assert any("jeff may sign only tags" in note for note in result["notes"])
    scopes = json.loads(result["files"][0]["text"])["transports"]["docker"]
    assert {name: len(required) for name, required in scopes.items()} == {"": 1, REPO: 1}
    assert scopes[REPO][0]["type"] == "sigstoreSigned"


def test_what_is_there_is_replaced_only_with_a_yes(run: Run, home: Path) -> None:
    words = ("--policy", policy(home, '[scope."*"]\n'), "--key", "release.pub", "-o", "out")
    run("migrate", "policy", "--for", "containers", *words).expect(0)
    run("migrate", "policy", "--for", "containers", *words).expect(2)
    run("migrate", "policy", "--yes", "--for", "containers", *words).expect(0)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--for", "nothing", "--key", "release.pub", REPO), 2, 'no kind "nothing"'),
        (("--for", "containers", REPO), 2, "no public key was given"),
        (("--for", "containers", "--key", "release.pub"), 12, "no scope of a trust policy"),
        (("--for", "containers", "--signer-key", "ci", REPO), 2, "gives no key"),
        (("--for", "containers", "--signer-key", "CI=ci.pub", REPO), 2, "is not a signer name"),
        (("--for", "containers", "--key", "p.toml", REPO), 6, "key"),
    ],
)
def test_what_cannot_be_said(run: Run, home: Path, words: tuple[str, ...], code: int, text: str) -> None:
    policy(home, "")
    outcome = run("migrate", "policy", *words).expect(code)
    assert text in outcome.err


def test_two_files_do_not_fit_on_standard_output(run: Run, home: Path) -> None:
    path = policy(home, '[scope."*"]\n')
    outcome = run("migrate", "policy", "--for", "containers", "--key", "release.pub", "--policy", path)
    assert "takes 2 files" in outcome.expect(2).err
