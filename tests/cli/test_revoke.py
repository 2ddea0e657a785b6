"""`revoke`: single tags, all tags, and what is said about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import terminal
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import KeyNotAuthorisedError, TagUnsignedError
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.limits import DEFAULT, EXTENDED
from support.people import manifest
from support.results import REPO, revoked

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient


@pytest.fixture(autouse=True)
def revoking(stub: StubClient) -> None:
    stub.answers["revoke"] = lambda texts, **_: [revoked(text.rpartition(":")[2]) for text in texts]
    stub.answers["revoke_all"] = [revoked("1"), revoked("2")]


def test_it_says_what_was_revoked_and_where(run: Run, stub: StubClient) -> None:
    outcome = run("revoke", f"{REPO}:1", f"{REPO}:2").expect(0)
    assert outcome.out == (
        f"revoked {REPO}:1 in targets/jeff, targets/releases\n"
        f"revoked {REPO}:2 in targets/jeff, targets/releases\n"
    )
    assert stub.calls == [("revoke", ([f"{REPO}:1", f"{REPO}:2"],), {"signer": None})]
    assert stub.asking is True


def test_a_signer_narrows_it(run: Run, stub: StubClient) -> None:
    run("revoke", "--signer", "jeff", f"{REPO}:1").expect(0)
    assert stub.calls[0][2] == {"signer": "jeff"}


def test_every_repository_is_tried(run: Run, stub: StubClient) -> None:
    def revoke(texts: list[str], **_: object) -> object:
        return (
            TagUnsignedError("not signed") if texts[0].startswith(REPO) else [revoked(repository="b.test/b")]
        )

    stub.answers["revoke"] = revoke
    outcome = run("revoke", f"{REPO}:1", "b.test/b:1", "--json").expect(3)
    assert [result["ok"] for result in outcome.document["results"]] == [False, True]


def test_names_are_read_before_anything_is_asked(run: Run, stub: StubClient) -> None:
    run("revoke", f"{REPO}:1", "NOT ONE").expect(2)
    run("revoke", "--all", "--yes", f"{REPO}:1").expect(2)
    run("revoke").expect(2)
    assert stub.calls == []


def test_all_tags_want_a_yes(run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run("revoke", "--all", REPO).expect(2)
    assert f"every tag of {REPO} becomes unsigned" in outcome.err
    assert stub.calls == []
    monkeypatch.setattr(terminal, "present", lambda: True)
    asked: list[str] = []
    for answer, code in ((False, 2), (True, 0)):

        def agreed(question: str, answer: bool = answer) -> bool:
            asked.append(question)
            return answer

        monkeypatch.setattr(terminal, "agreed", agreed)
        run("revoke", "--all", "--signer", "jeff", REPO).expect(code)
    assert asked == [f"every tag of {REPO} that jeff signed becomes unsigned. Go on?"] * 2
    assert stub.calls == [("revoke_all", (REPO,), {"signer": "jeff"})]


def test_all_tags_are_told_one_by_one(run: Run, stub: StubClient) -> None:
    stub.answers["revoke_all"] = [
        revoked("1"),
        revoked("2", roles=(), still=("targets/bob",), published=False),
    ]
    outcome = run("revoke", "--all", "--yes", REPO).expect(0)
    assert outcome.out == f"revoked {REPO}:1 in targets/jeff, targets/releases\nleft {REPO}:2 as it is\n"
    document = run("--json", "revoke", "--all", "-y", REPO).expect(0).document
    assert [(result["ref"], result["tag"]) for result in document["results"]] == [(REPO, "1"), (REPO, "2")]


def test_nothing_signed_is_said_with_a_code_of_its_own(run: Run, stub: StubClient) -> None:
    stub.answers["revoke_all"] = []
    outcome = run("revoke", "--all", "-y", REPO).expect(12)
    assert f"no tag of {REPO} is signed [operation.nothing]\n  why: nothing was published" in outcome.err
    assert "is signed by jeff" in run("revoke", "--all", "-y", "--signer", "jeff", REPO).expect(12).err
    stub.answers["revoke_all"] = KeyNotAuthorisedError("none of yours")
    run("revoke", "--all", "-y", REPO).expect(6)


def test_a_revoked_tag_does_not_verify(run: Run, fake: Fake) -> None:
    image = f"{REGISTRY_HOST}/app:1"
    fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST)
    run("sign", "--init", image).expect(0)
    run("verify", image).expect(0)
    assert run("revoke", image).expect(0).out == f"revoked {image} in targets\n"
    run("verify", image).expect(3)
    assert "no role lists it" in run("revoke", image).expect(3).err


@pytest.mark.parametrize("command", ["revoke", "sign"])
def test_a_tag_says_that_another_one_held_it_back(run: Run, fake: Fake, command: str) -> None:
    repository = f"{REGISTRY_HOST}/app"
    fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST)
    run("sign", "--init", f"{repository}:1").expect(0)
    refs = (f"{repository}:1", f"{repository}:none")
    told = run(command, *refs).expect(3).err
    assert f"nothing was done for {refs[0]} [operation]" in told
    assert f"  why: tags of one repository are published together, and {refs[1]} cannot be\n" in told
    assert f"nothing was done for {refs[1]}" not in told
    first, second = run("--json", command, *refs).expect(3).document["results"]
    assert (first["ref"], first["error"]["code"]) == (refs[0], "operation")
    assert first["error"]["facts"] == {"because_of": [refs[1]]}
    assert (second["ref"], second["error"]["exit"]) == (refs[1], 3)
    run("verify", refs[0]).expect(0)


@pytest.mark.parametrize(
    "words",
    [
        ("revoke", f"{REPO}:1"),
        ("revoke", "--all", "--yes", REPO),
        ("renew", REPO),
        ("delegate", "remove", "jeff", REPO),
        ("delegate", "purge", "--key", "0123456", REPO),
        ("signer", "remove", "jeff", REPO),
    ],
    ids=" ".join,
)
def test_what_makes_a_repository_smaller_may_read_beyond_the_limits(
    run: Run, stub: StubClient, words: tuple[str, ...]
) -> None:
    for method in ("renew", "remove_signer", "keys.purge"):
        stub.answers[method] = TagUnsignedError("asked")
    run(*words)
    assert (stub.limits, len(stub.calls)) == (DEFAULT, 1)
    run(*words, "--over-limits")
    assert (stub.limits, len(stub.calls)) == (EXTENDED, 2)


@pytest.mark.parametrize("command", ["verify", "inspect", "status", "sign", "pull", "copy", "pin", "build"])
def test_what_only_reads_or_adds_may_not(run: Run, stub: StubClient, command: str) -> None:
    run(command, "--over-limits", f"{REPO}:1").expect(2)
    assert stub.calls == []
