"""`migrate cosign` with repositories of the fake servers: what it prints, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.client.workers import Outcome, UnfinishedError
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST, digest_of
from support.people import index, manifest, prepared
from support.results import RESIGNED
from support.schema import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.migrate.inventory import ResignedTag
    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

REPO, OTHER = f"{REGISTRY_HOST}/app", f"{REGISTRY_HOST}/other"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
COSIGN = ("migrate", "cosign", "--key", "jeff")


@pytest.fixture(autouse=True)
def digests(run: Run, fake: Fake, home: Path) -> dict[str, str]:
    """Return the digests of the tags that jeff signed in two repositories."""
    found = {f"{REPO}:{tag}": digest_of(manifest(tag)) for tag in "12"}
    found[f"{OTHER}:multi"] = digest_of(index("linux/amd64"))

    def make() -> None:
        for tag in "12":
            fake.registry.push("app", tag, manifest(tag), OCI_MANIFEST)
        fake.registry.push("other", "multi", index("linux/amd64"), OCI_INDEX)
        run("key", "generate", "jeff").expect(0)
        for repo in (REPO, OTHER):
            run("signer", "add", "--key", "jeff.pub", "jeff", repo).expect(0)
        run("sign", *found).expect(0)

    prepared(fake, home, __name__, make)
    return found


def test_every_repository_that_is_known(run: Run, digests: dict[str, str]) -> None:
    outcome = run(*COSIGN, "--all").expect(0)
    assert outcome.out.splitlines() == [
        f"signed {REPO}:1 {digests[f'{REPO}:1']}",
        f"signed {REPO}:2 {digests[f'{REPO}:2']}",
        f"signed {OTHER}:multi {digests[f'{OTHER}:multi']} (index: linux/amd64)",
        "3 tags: 3 signed",
    ]
    again = run(*COSIGN, REPO).expect(0)
    assert again.out.splitlines() == [
        f"already signed {REPO}:1 {digests[f'{REPO}:1']}",
        f"already signed {REPO}:2 {digests[f'{REPO}:2']}",
        "2 tags: 2 already signed",
    ]


def test_the_worst_exit_code_counts_and_the_others_are_signed(
    run: Run, fake: Fake, digests: dict[str, str]
) -> None:
    fake.registry.push("app", "2", manifest("moved"), OCI_MANIFEST)
    outcome = run(*COSIGN, REPO, f"{REPO}:unsigned").expect(4)
    assert outcome.out.splitlines() == [
        f"signed {REPO}:1 {digests[f'{REPO}:1']}",
        "3 tags: 1 signed, 2 not signed",
    ]
    assert f"the registry serves {REPO}:2 with another content than the signed one" in outcome.err
    assert f"{REPO}:unsigned is not signed [trust.tag_unsigned]" in outcome.err


def test_a_dry_run_says_so(run: Run, digests: dict[str, str]) -> None:
    run(*COSIGN, f"{REPO}:1").expect(0)
    outcome = run(*COSIGN, REPO, "--dry-run").expect(0)
    assert outcome.out.splitlines() == [
        f"already signed {REPO}:1 {digests[f'{REPO}:1']}",
        f"would be signed {REPO}:2 {digests[f'{REPO}:2']}",
        "2 tags: 1 would be signed, 1 already signed",
    ]
    document = run("--json", *COSIGN, REPO, "--dry-run", "--format", "sig").expect(0).document
    assert problems(document, SCHEMA) == []
    assert [(one["ref"], one["manifests"], one["dry_run"]) for one in document["results"]] == [
        (name, [{"digest": digests[name], "platform": "", "sig": state, "bundle": None}], True)
        for name, state in ((f"{REPO}:1", "there"), (f"{REPO}:2", "missing"))
    ]


def test_references_come_from_a_file_too(run: Run, home: Path) -> None:
    (home / "list").write_text(f"{REPO}:2  # the second\n")
    assert run(*COSIGN, f"{REPO}:1", "--from-file", "list").expect(0).out.endswith("2 tags: 2 signed\n")


def test_one_tag_needs_no_summary(run: Run, digests: dict[str, str]) -> None:
    assert run(*COSIGN, f"{REPO}:1").expect(0).out == f"signed {REPO}:1 {digests[f'{REPO}:1']}\n"


def test_the_index_alone_comes_with_a_warning(run: Run) -> None:
    outcome = run(*COSIGN, OTHER, "--no-children").expect(0)
    assert "podman and skopeo" in outcome.err
    assert run(*COSIGN, OTHER).expect(0).err == ""


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "no REF was given"),
        (("--all", REPO), 2, "--all names them already"),
        ((f"{REPO}@sha256:{'0' * 64}",), 2, "names no tag"),
        ((REPO, "--signer", "bob"), 10, "not signed by bob"),
        ((REPO, "--offline"), 2, "asks a registry"),
        ((REPO, "--gun"), 2, "takes its content from a registry"),
        ((f"{REGISTRY_HOST}/nothing",), 3, "has no trust data"),
    ],
)
def test_what_cannot_be_meant_or_may_not_be_signed(
    run: Run, fake: Fake, words: tuple[str, ...], code: int, says: str
) -> None:
    fake.requests.clear()
    assert says in run(*COSIGN, *words).expect(code).err
    assert not [line for line in fake.lines() if line.startswith(("PUT", "POST"))]


def test_a_key_that_is_not_here_is_said_once(run: Run) -> None:
    outcome = run("migrate", "cosign", "--key", "nobody", REPO, OTHER).expect(6)
    assert outcome.err.count("notarypy: error:") == 1
    assert outcome.out == ""


def test_after_an_interruption_what_was_done_is_said(run: Run, stub: StubClient) -> None:
    def interrupted(*_: object, **__: object) -> Iterator[tuple[str, Outcome[ResignedTag]]]:
        yield f"{REPO}:1", Outcome(RESIGNED)
        yield f"{REPO}:2", Outcome(error=UnfinishedError())
        yield f"{REPO}:3", Outcome(RESIGNED)
        raise KeyboardInterrupt

    stub.answers["migration.cosign"] = interrupted
    outcome = run(*COSIGN, REPO).expect(130)
    assert outcome.out.count("signed registry.test/app:1 ") == 2
