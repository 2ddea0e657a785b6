"""`verify --policy` against the fake servers: what is printed, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import text_of
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import Advice
from notarypy.images.manifests import OCI_MANIFEST
from support.commands import written
from support.people import manifest
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

REPO = f"{REGISTRY_HOST}/app"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
HEAD = f'[scope."{REPO}"]\nfirst_use = true\n'


@pytest.fixture
def digest(run: Run, fake: Fake) -> str:
    """Return the digest of `app:1`, which jeff signed and bob did not."""
    found = fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST)
    run("key", "generate", "jeff").expect(0)
    run("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
    run("sign", f"{REPO}:1").expect(0)
    return found


def policy(home: Path, *lines: str, head: str = HEAD) -> str:
    return written(home / "p.toml", head + "\n".join(lines))


def test_what_meets_the_policy_is_printed(run: Run, home: Path, digest: str) -> None:
    outcome = run("verify", "--policy", policy(home, "signers.all = ['jeff']"), f"{REPO}:1").expect(0)
    assert (outcome.out, outcome.err) == (f"{REPO}@{digest}\n", "")


@pytest.mark.usefixtures("digest")
def test_what_does_not_is_told_with_the_requirement_and_what_was_found(run: Run, home: Path) -> None:
    path = policy(home, "signers.any = ['jeff', 'bob', 'eve']", "signers.threshold = 2")
    outcome = run("verify", "--policy", path, f"{REPO}:1").expect(10)
    assert outcome.out == ""
    assert outcome.err.splitlines() == [
        f"notarypy: error: {REPO}:1 is signed by 1 of jeff, bob, eve; 2 must have [policy.signer_missing]",
        "  why: targets/bob does not exist",
        "  why: targets/eve does not exist",
        f'  why: required by scope "{REPO}" in {path}',
        f"  fix: {text_of(Advice('see-signers', gun=REPO))}",
    ]


@pytest.mark.usefixtures("digest")
def test_no_scope_is_exit_10(run: Run, home: Path) -> None:
    path = policy(home, head="")
    outcome = run("verify", f"{REPO}:1", "--policy", path).expect(10)
    assert "[policy.no_scope]" in outcome.err
    assert path in outcome.err


@pytest.mark.usefixtures("digest")
def test_the_usual_policy_is_obeyed_by_verify_alone(run: Run, home: Path) -> None:
    path = home / ".config" / "notarypy" / "policy.toml"
    path.parent.mkdir(parents=True)
    path.write_text("")
    run("verify", f"{REPO}:1").expect(10)
    run("inspect", f"{REPO}:1").expect(0)
    run("sign", f"{REPO}:1").expect(0)
    run("verify", "--policy", policy(home), f"{REPO}:1").expect(0)


@pytest.mark.usefixtures("digest")
def test_a_wrong_root_is_exit_4_and_an_unpinned_one_too(run: Run, home: Path) -> None:
    head = f'[scope."{REPO}"]\n'
    for line, part in ((f"roots.ids = ['{'0' * 64}']", "pinned ids"), ("", "no trust on first use")):
        outcome = run("verify", "--policy", policy(home, line, head=head), f"{REPO}:1").expect(4)
        assert part in outcome.err
        assert "[trust.root_not_pinned]" in outcome.err


def test_audit_warns_and_passes(run: Run, home: Path, digest: str) -> None:
    path = policy(home, "mode = 'audit'", "signers.all = ['bob']")
    outcome = run("verify", "--policy", path, f"{REPO}:1").expect(0)
    assert outcome.out == f"{REPO}@{digest}\n"
    assert outcome.err.startswith(f"notarypy: warning: audit: {REPO}:1 is not signed by bob")
    assert "audit: " in run("-q", "verify", "--policy", path, f"{REPO}:1").expect(0).err
    document = run("--json", "verify", "--policy", path, f"{REPO}:1").expect(0).document
    assert problems(document, SCHEMA) == []
    (result,) = document["results"]
    assert (result["verified"], result["policy"]["mode"]) == (True, "audit")
    assert [error["code"] for error in result["policy"]["unmet"]] == ["policy.signer_missing"]
    run("verify", "--policy", path, "--signer", "bob", f"{REPO}:1").expect(10)


def test_skip_is_said_aloud(run: Run, fake: Fake, home: Path) -> None:
    digest = fake.registry.push("app", "raw", manifest("raw"), OCI_MANIFEST)
    path = policy(home, "mode = 'skip'", head=f'[scope."{REPO}"]\n')
    outcome = run("verify", "--policy", path, f"{REPO}:raw").expect(0)
    assert outcome.out == f"{REPO}@{digest}\n"
    assert f"{REPO}@{digest} is NOT VERIFIED" in outcome.err
    assert "is NOT VERIFIED" in run("verify", "-q", "--policy", path, f"{REPO}:raw").expect(0).err
    for ref in (f"{REPO}:raw", f"{REPO}@{digest}"):
        document = run("--json", "verify", "--policy", path, ref).expect(0).document
        assert problems(document, SCHEMA) == []
        (result,) = document["results"]
        assert (result["verified"], result["role"], result["signers"]) == (False, None, [])
        assert len(document["warnings"]) == 1
    run("verify", "--policy", path, "--no-registry", f"{REPO}:raw").expect(2)
    run("verify", "--policy", path, "--signer", "jeff", f"{REPO}:raw").expect(3)


@pytest.mark.usefixtures("digest")
def test_a_mirror_is_printed_as_it_was_asked_for(run: Run, fake: Fake, home: Path) -> None:
    digest = fake.registry.push("mirror/app", "1", manifest("1"), OCI_MANIFEST)
    mirror = f"{REGISTRY_HOST}/mirror/app"
    head = f'[scope."{REGISTRY_HOST}/mirror"]\nfirst_use = true\nsigned_as = "{REGISTRY_HOST}"\n'
    path = policy(home, head=head)
    assert run("verify", "--policy", path, f"{mirror}:1").expect(0).out == f"{mirror}@{digest}\n"
    (result,) = run("--json", "verify", "--policy", path, f"{mirror}:1").expect(0).document["results"]
    assert (result["repository"], result["signed_as"]) == (mirror, REPO)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "content", ["scope = 1", "[scope.'r.test']\nsigner = []", "[scope.'r.test'", "mode = 'skip'", None]
)
def test_a_policy_that_cannot_be_used_is_exit_2_and_told_once(
    run: Run, home: Path, content: str | None
) -> None:
    path = str(home / "none.toml") if content is None else written(home / "p.toml", content)
    outcome = run("verify", "--policy", path, f"{REPO}:1", f"{REPO}:2").expect(2)
    assert outcome.out == ""
    assert outcome.err.count("notarypy: error:") == 1
    assert path in outcome.err
    assert "[usage.config]" in outcome.err


@pytest.mark.usefixtures("fake")
def test_an_empty_option_is_a_mistake(run: Run) -> None:
    assert "--policy is empty" in run("verify", "--policy", "", f"{REPO}:1").expect(2).err
