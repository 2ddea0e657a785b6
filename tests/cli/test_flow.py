"""The whole flow through the command line, with the real client and the fake servers."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from notarypy.cli.text.helptopics import START
from notarypy.devserver.core import REGISTRY_HOST
from support.author import private_key
from support.commands import written
from support.people import manifest

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Run

pytestmark = pytest.mark.slow

REPO = f"{REGISTRY_HOST}/admin/demo"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


def push(fake: Fake, tag: str, size: int = 1) -> str:
    """Push an image of its own; return its digest."""
    part = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0' * 64}", "size": size}
    manifest = {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "config": part, "layers": [part]}
    return fake.registry.push("admin/demo", tag, json.dumps(manifest).encode(), MEDIA_TYPE)


@pytest.fixture
def signer(run: Run, home: Path, fake: Fake) -> Fake:
    """Load jeff's key and make him a signer, which initialises the repository; return the servers."""
    key = private_key("jeff")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    run("key", "load", written(home / "delegation.key", private), "--name", "jeff").expect(0)
    run("signer", "add", "--key", written(home / "jeff.pub", public), "jeff", REPO).expect(0)
    return fake


@pytest.mark.usefixtures("signer")
def test_from_a_key_to_a_verified_tag(run: Run, fake: Fake) -> None:
    old = push(fake, "1")
    assert run("sign", f"{REPO}:1").expect(0).out == f"signed {REPO}:1 {old}\n"
    assert run("verify", f"{REPO}:1").expect(0).out == f"{REPO}@{old}\n"
    assert run("sign", f"{REPO}:1").expect(0).out == f"already signed {REPO}:1 {old}\n"
    new = push(fake, "1", size=2)
    assert old in run("verify", f"{REPO}:1").expect(4).err
    assert f"{REPO}:1 was {old} now {new}\n" in run("sign", f"{REPO}:1").expect(0).out
    assert run("verify", f"{REPO}:1", f"{REPO}@{new}").expect(0).out == f"{REPO}@{new}\n" * 2
    (row,) = run("inspect", REPO).expect(0).document[0]["SignedTags"]
    assert row == {"SignedTag": "1", "Digest": new.removeprefix("sha256:"), "Signers": ["jeff"]}


@pytest.mark.usefixtures("signer")
def test_what_was_signed_is_proposed_where_a_line_is_completed(run: Run, fake: Fake) -> None:
    push(fake, "1")
    run("sign", f"{REPO}:1").expect(0)
    for typed, word in (("verify", f"{REPO}:1"), ("signer remove", "jeff"), ("key passwd", "jeff")):
        answer = run("completion", "fish", "--", "notarypy", *typed.split(), word[:-1]).expect(0)
        assert word in [line.partition("\t")[0] for line in answer.out.splitlines()[1:]]
    targets = run("completion", "fish", "--", "notarypy", "key", "passwd", "").expect(0).out
    assert f"\ttargets of {REPO}\n" in targets


def test_the_first_commands_work_as_help_prints_them(
    run: Run, fake: Fake, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In CI with a trust directory of its own, where the root pin alone says what to trust."""
    monkeypatch.delenv("NOTARYPY_FIRST_USE")
    for tag in ("1", "2", "3"):
        digest = fake.registry.push("app", tag, manifest("app"), MEDIA_TYPE)
        (home / "meta.json").write_text(json.dumps({"containerimage.digest": digest}))
    lines = "\n".join(part for part in START if isinstance(part, str) and part.startswith("  "))
    place, pin = "mine", ""
    for line in lines.replace("\\\n", "").replace("registry.example.com", REGISTRY_HOST).splitlines():
        words = shlex.split(line.replace("ROOT-PIN", pin))
        if words[0] != "notarypy" or words[1] == "login":
            continue
        place = "ci" if words[1:3] == ["key", "load"] else place
        done = run("-d", place, *words[1:]).expect(0)
        pin = pin or done.out.partition("root pin: ")[2][:64]
        assert "first use" not in done.err
    assert '"ci"' in run("-d", "ci", "inspect", f"{REGISTRY_HOST}/app:3").expect(0).out


@pytest.mark.usefixtures("signer")
def test_what_is_not_signed(run: Run) -> None:
    run("verify", f"{REPO}:1").expect(3)
    run("sign", f"{REPO}:1").expect(3)
    run("verify", f"{REGISTRY_HOST}/other:1").expect(3)
    assert run("init", REPO).expect(0).out.startswith(f"{REPO} has trust data on ")


@pytest.mark.usefixtures("signer")
def test_one_who_may_sign_and_cannot_unlock(run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    push(fake, "1")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "another one")
    wrong = run("sign", f"{REPO}:1").expect(6)
    assert "[key.passphrase_wrong]" in wrong.err
    assert "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" in wrong.err
    assert "another one" not in wrong.err + wrong.out
    monkeypatch.delenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE")
    assert "[key.passphrase_needed]" in run("sign", f"{REPO}:1").expect(6).err


@pytest.mark.usefixtures("signer")
def test_losing_trust_data_is_an_alarm_until_it_is_forgotten(run: Run, fake: Fake) -> None:
    push(fake, "1")
    before = len(fake.requests)
    fake.services.clear()
    run("verify", f"{REPO}:1").expect(8)
    assert len(fake.requests) > before
    run("forget", REPO).expect(2)
    assert run("forget", REPO, "-y").expect(0).out == f"forgot {REPO}; keys stay\n"
    assert run("forget", REPO, "-y").expect(0).out == f"nothing of {REPO} is cached\n"
    assert len(run("key", "list", "--json").expect(0).document["results"]) == 3


@pytest.mark.usefixtures("signer")
def test_keys_leave_and_come_back(run: Run, home: Path) -> None:
    run("key", "export", "jeff", "-o", "jeff.pem").expect(0)
    loaded = run("key", "load", "jeff.pem", "--json").expect(0).document["results"]
    listed = run("key", "list", "--json").expect(0).document["results"]
    assert loaded[0]["keyid"] in {result["ref"] for result in listed}
    run("--passphrase-file", written(home / "p", "short\n"), "key", "generate", "bob").expect(2)
    run("key", "generate", "bob").expect(0)
    assert (
        run("delegate", "add", "bob", REPO, "--key", "bob.pub").expect(0).out.startswith("added signer bob")
    )
    assert [line.split()[0] for line in run("signer", "list", REPO).expect(0).out.splitlines()] == [
        "SIGNER",
        "jeff",
        "bob",
    ]
    assert run("delegate", "remove", "bob", REPO).expect(0).out == f"removed signer bob from {REPO}\n"
