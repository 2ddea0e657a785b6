"""`push`, `pull`, `copy` and `sign --push`: words in, one call, what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver import sample
from notarypy.errors import DigestMismatchError, UnreachableError
from support import layouts
from support.results import COPIED, D1, D2, OTHER_PIN, PULLED, PUSHED, REPO, signed

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

SOURCE = "oci:dir:1"
QUIET = {"progress": None}


@pytest.fixture(autouse=True)
def scripted(stub: StubClient) -> None:
    stub.answers |= {"images.push": PUSHED, "images.pull": PULLED, "images.copy": COPIED}
    stub.answers["images.push_and_sign"] = (PUSHED, signed())


# -- push


def test_push_says_what_was_sent(run: Run, stub: StubClient) -> None:
    outcome = run("push", SOURCE, f"{REPO}:1").expect(0)
    assert outcome.out == (
        f"pushed {REPO}:1 {D1} (index: linux/amd64); blobs: 2 sent, 1 mounted, 3 already there\n"
    )
    assert outcome.err == ""
    assert stub.calls == [("images.push", (SOURCE, f"{REPO}:1"), QUIET)]
    assert stub.asking is False


def test_push_of_an_image_without_blobs(run: Run, stub: StubClient) -> None:
    stub.answers["images.push"] = replace(PUSHED, tag=None, platforms=(), uploaded=0, mounted=0, present=0)
    assert run("push", SOURCE, REPO).expect(0).out == f"pushed {REPO}@{D1} {D1}; blobs: none\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("push",), ("push", SOURCE), ("push", "dir:x", REPO), ("push", SOURCE, "NOT A NAME"),
        ("push", SOURCE, REPO, REPO), ("pull", REPO), ("pull", REPO, "docker-archive:x"),
        ("pull", "A B", "oci:x"), ("pull", "--root", "1", REPO, "oci:x"),
        ("pull", "--root", OTHER_PIN, "--root", "abc", REPO, "oci:x"),
        ("pull", "--signer", "NO", REPO, "oci:x"), ("copy", REPO), ("copy", REPO, "A B"),
        ("copy", "--signer", "NO", REPO, REPO), ("copy", "--as-signer", "NO", REPO, REPO),
        ("copy", "--as-signer", "bob", REPO, REPO), ("copy", "--init", REPO, REPO),
        ("copy", REPO, "oci:x"), ("copy", REPO, "oci:/x/y:1"), ("copy", "docker-archive:/x", REPO),
        ("copy", "--root", "1", REPO, REPO), ("sign", "--push", "dir:x", REPO), ("sign", "--push", SOURCE),
        ("sign", "--push", SOURCE, f"{REPO}:1", f"{REPO}:2"), ("sign", "--push", SOURCE, "--dry-run", REPO),
        ("sign", "--push", SOURCE, "--local", REPO),
    ],
)  # fmt: skip
def test_words_are_read_before_anything_is_done(run: Run, stub: StubClient, argv: tuple[str, ...]) -> None:
    run(*argv).expect(2)
    assert stub.calls == []


@pytest.mark.parametrize(
    ("error", "code"), [(UnreachableError("gone"), 8), (DigestMismatchError("other bytes"), 4)]
)
@pytest.mark.parametrize(
    ("argv", "method"),
    [
        (("push", SOURCE, REPO), "images.push"),
        (("pull", REPO, "oci:x"), "images.pull"),
        (("copy", REPO, f"{REPO}:2"), "images.copy"),
        (("sign", "--push", SOURCE, REPO), "images.push_and_sign"),
    ],
)
def test_failures(
    run: Run, stub: StubClient, argv: tuple[str, ...], method: str, error: Exception, code: int
) -> None:
    stub.answers[method] = error
    outcome = run(*argv).expect(code)
    assert outcome.out == ""
    assert outcome.err.startswith("notarypy: error: ")


# -- pull


def test_pull_prints_what_verify_prints(run: Run, stub: StubClient) -> None:
    outcome = run("pull", REPO, "oci:x").expect(0)
    assert outcome.out == f"{REPO}@{D1}\n"
    assert outcome.err == "notarypy: warning: left out: linux/arm64\n"
    asked = {"platform": None, "signers": (), "all_signers": False, "root": None}
    assert stub.calls == [("images.pull", (REPO, "oci:x"), {**asked, **QUIET})]
    assert stub.asking is False


def test_options_of_pull(run: Run, stub: StubClient) -> None:
    stub.answers["images.pull"] = replace(PULLED, left_out=(), verified=False, policy=None)
    words = ["--platform", "linux/arm64", "--signer", "jeff", "--all-signers", "--root", OTHER_PIN]
    run("pull", *words, "--policy", "p.toml", REPO, "oci:x").expect(0)
    asked = {"platform": "linux/arm64", "signers": ["jeff"], "all_signers": True, "root": OTHER_PIN}
    assert stub.calls[0][2] == {**asked, **QUIET}
    assert stub.options["policy"] == "p.toml"


# -- copy


def test_copy_says_what_was_copied_and_signed(run: Run, stub: StubClient) -> None:
    outcome = run("copy", "--sign", REPO, f"{REPO}:2").expect(0)
    copied, pushed, told = outcome.out.splitlines()
    assert copied == f"copied {REPO}@{D1}"
    assert pushed.startswith(f"pushed {REPO}:1 {D1}")
    assert told == f"signed {REPO}:1 {D1}"
    assert stub.calls[0][2]["sign"] is True
    assert stub.asking is True


def test_options_of_copy(run: Run, stub: StubClient) -> None:
    stub.answers["images.copy"] = replace(COPIED, signed=None)
    words = [
        "--sign",
        "--as-signer",
        "bob",
        "--init",
        "--signer",
        "jeff",
        "--all-signers",
        "--root",
        OTHER_PIN,
    ]
    outcome = run("copy", *words, "--policy", "p.toml", REPO, f"{REPO}:2", "--json").expect(0)
    assert outcome.document["results"][0]["signed"] is None
    asked = {"sign": True, "signer": "bob", "init": True}
    asked |= {"signers": ["jeff"], "all_signers": True, "root": OTHER_PIN}
    assert stub.calls == [("images.copy", (REPO, f"{REPO}:2"), {**asked, **QUIET})]
    assert stub.asking is True
    run("copy", REPO, f"{REPO}:2").expect(0)
    assert stub.asking is False


def test_roles_with_an_old_digest_are_named(run: Run, stub: StubClient) -> None:
    stub.answers["images.copy"] = replace(COPIED, signed=signed(also_old=("targets/bob",)))
    assert "targets/bob still lists another digest" in run("copy", "--sign", REPO, f"{REPO}:2").expect(0).err


# -- sign --push


def test_sign_with_a_push_says_both(run: Run, stub: StubClient) -> None:
    outcome = run("sign", "--push", SOURCE, f"{REPO}:1").expect(0)
    pushed, told = outcome.out.splitlines()
    assert pushed.startswith(f"pushed {REPO}:1 {D1}")
    assert told == f"signed {REPO}:1 {D1}"
    options = {"signer": None, "custom": None, "init": False, "discard_unverified": False}
    assert stub.calls == [("images.push_and_sign", (SOURCE, f"{REPO}:1"), {**options, **QUIET})]
    assert stub.asking is True


def test_the_document_of_sign_with_a_push_is_that_of_sign(run: Run, stub: StubClient) -> None:
    stub.answers["images.push_and_sign"] = (PUSHED, signed(previous=D2))
    (result,) = run("sign", "--push", SOURCE, f"{REPO}:1", "--json").expect(0).document["results"]
    assert (result["digest"], result["previous"], result["dry_run"]) == (D1, D2, False)
    assert "uploaded" not in result


# -- the real client


def test_through_the_real_client(run: Run, fake: Fake, home: Path) -> None:
    made = sample.make("text")
    layouts.layout(home / "dir", made)
    run("sign", "--init", "--push", "oci:dir", f"{REPO}:1").expect(0)
    assert fake.registry.images.tags("app") == {"1": made.digest}
    assert run("pull", f"{REPO}:1", "oci:out").expect(0).out == f"{REPO}@{made.digest}\n"
    (entry,) = json.loads((home / "out" / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == made.digest
    run("copy", f"{REPO}:1", "registry.test/other:2").expect(0)
    run("push", "oci:out:1", "registry.test/third:3").expect(0)
    assert fake.registry.images.tags("other") == {"2": made.digest}
    assert fake.registry.images.tags("third") == {"3": made.digest}
