"""`verify`: one line per image, and only if all are good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    DigestMismatchError,
    NotarypyError,
    SignerMissingError,
    TagUnsignedError,
    UnreachableError,
)
from support.commands import written
from support.results import D1, D2, OTHER_PIN, PIN, REPO, image

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient


def test_it_prints_what_to_pull(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = image()
    outcome = run("verify", f"{REPO}:1").expect(0)
    assert (outcome.out, outcome.err) == (f"{REPO}@{D1}\n", "")
    assert stub.asking is False


def test_options_reach_the_client(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = image()
    argv = ["--signer", "jeff", "--signer", "targets/bob", "--all-signers", "--no-registry"]
    run("verify", *argv, "--root", PIN.upper(), f"{REPO}:1").expect(0)
    (call,) = stub.calls
    assert call[2] == {
        "signers": ["jeff", "targets/bob"],
        "all_signers": True,
        "registry": False,
        "root": PIN,
    }
    assert "policy" not in stub.options


def test_the_policy_file_is_an_option_of_the_client(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = image()
    run("verify", "--policy", "p.toml", f"{REPO}:1").expect(0)
    assert stub.options == {"policy": "p.toml"}


def test_nothing_is_printed_unless_all_passed(run: Run, stub: StubClient) -> None:
    stub.answers["refresh"] = "metadata"
    stub.answers["verify_unless_skipped"] = lambda text, **_: (
        image() if text.endswith(":1") else TagUnsignedError("no")
    )
    outcome = run("verify", f"{REPO}:1", f"{REPO}:2").expect(3)
    assert outcome.out == ""
    assert outcome.err.startswith(f"notarypy: error: no [trust.tag_unsigned]\n  for: {REPO}:2\n  fix: ")


def test_results_come_in_the_order_of_the_command_line(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = lambda text, **_: (
        image(digest=D2) if text.endswith("2") else image()
    )
    refs = [f"{REPO}:2", "b.test/other", f"{REPO}:1"]
    outcome = run("verify", "--root", PIN, *refs).expect(0)
    assert [line[-1] for line in outcome.out.splitlines()] == ["2", "1", "1"]
    assert [call[1] for call in stub.calls] == [(ref,) for ref in refs]


def test_refs_come_from_a_file_too(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["verify_unless_skipped"] = image()
    path = written(home / "images.txt", f"# ours\n{REPO}:2\n\n{REPO}:3 # the last\n")
    run("verify", f"{REPO}:1", "--from-file", path).expect(0)
    assert [call[1] for call in stub.calls] == [(f"{REPO}:{tag}",) for tag in "123"]
    run("verify", "--from-file", written(home / "bad.txt", "UPPER\n")).expect(2)
    run("verify").expect(2)


@pytest.mark.parametrize("refs", [[], [f"{REPO}:1"]])
def test_a_file_that_names_no_image_is_no_success(
    run: Run, stub: StubClient, home: Path, refs: list[str]
) -> None:
    empty = written(home / "images.txt", "# nothing\n")
    assert "names no image [operation.nothing]" in run("verify", "--from-file", empty, *refs).expect(12).err
    assert stub.calls == []


def test_every_signed_tag_of_a_repository(run: Run, stub: StubClient) -> None:
    stub.answers["images.signed_tags"] = ["1", "2"]
    stub.answers["verify_unless_skipped"] = image()
    outcome = run("verify", "--all-tags", "--root", PIN, "--signer", "jeff", REPO).expect(0)
    assert outcome.out == f"{REPO}:1@{D1}\n{REPO}:2@{D1}\n"
    listing, *checks = stub.calls
    assert (listing[:2], listing[2]["root"]) == (("images.signed_tags", (REPO,)), PIN)
    assert [call[1] for call in checks] == [(f"{REPO}:1",), (f"{REPO}:2",)]
    assert all(call[2]["cache"] is listing[2]["cache"] for call in checks)
    assert {(call[2]["root"], *call[2]["signers"]) for call in checks} == {(PIN, "jeff")}
    run("verify", "--all-tags", f"{REPO}:1").expect(2)


def test_one_bad_tag_is_a_failure_that_lists_them_all(run: Run, stub: StubClient) -> None:
    stub.answers["images.signed_tags"] = ["1", "2", "3"]
    stub.answers["verify_unless_skipped"] = lambda text, **_: (
        DigestMismatchError("moved") if text.endswith("2") else image()
    )
    outcome = run("verify", "--all-tags", REPO).expect(4)
    assert outcome.out == ""
    assert f"error: moved [trust.digest_mismatch]\n  for: {REPO}:2\n" in outcome.err
    assert outcome.err.endswith(f"notarypy: 2 of 3 are good:\n  {REPO}:1@{D1}\n  {REPO}:3@{D1}\n")
    document = run("--json", "verify", "--all-tags", REPO).expect(4).document
    assert [(result["ref"], result["ok"]) for result in document["results"]] == [
        (f"{REPO}:1", True),
        (f"{REPO}:2", False),
        (f"{REPO}:3", True),
    ]


def test_a_repository_without_signed_tags_is_no_success(run: Run, stub: StubClient) -> None:
    stub.answers["images.signed_tags"] = lambda repo, **_: ["1"] if repo == REPO else []
    stub.answers["verify_unless_skipped"] = image()
    outcome = run("verify", "--all-tags", "b.test/b", REPO).expect(12)
    assert "no tag of b.test/b is signed, so none was verified [operation.nothing]" in outcome.err
    assert (outcome.out, f"  {REPO}:1@{D1}\n" in outcome.err) == ("", True)
    results = run("--json", "verify", "--all-tags", "b.test/b", REPO).expect(12).document["results"]
    assert [(result["ref"], result["ok"]) for result in results] == [("b.test/b", False), (f"{REPO}:1", True)]


def test_an_error_of_several_tags_is_told_once(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = UnreachableError("gone")
    outcome = run("verify", f"{REPO}:1", f"{REPO}:2").expect(8)
    assert outcome.err.count("gone") == 1
    results = run("verify", "--json", f"{REPO}:1", f"{REPO}:2").expect(8).document["results"]
    assert [(result["ref"], result["error"]["retryable"]) for result in results] == [
        (f"{REPO}:1", True),
        (f"{REPO}:2", True),
    ]


def test_none_is_counted_as_none(run: Run, stub: StubClient) -> None:
    stub.answers["images.signed_tags"] = []
    outcome = run("verify", "--all-tags", REPO).expect(12)
    assert f"ask its publisher\n  fix: only if that is you: notarypy sign {REPO}:TAG" in outcome.err
    assert outcome.err.endswith("notarypy: none of 1 is good\n")


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([TagUnsignedError("a"), DigestMismatchError("b")], 4),
        ([TagUnsignedError("a"), None], 3),
        ([UnreachableError("a"), SignerMissingError("b")], 10),
    ],
)
def test_every_ref_is_tried_and_the_worst_code_wins(
    run: Run, stub: StubClient, errors: list[NotarypyError | None], code: int
) -> None:
    waiting = list(errors)
    stub.answers["verify_unless_skipped"] = lambda *_, **__: waiting.pop(0) or image()
    document = run("verify", "--json", "a.test/a", "b.test/b").expect(code).document
    assert document["exit"] == code
    assert [result["ok"] for result in document["results"]] == [error is None for error in errors]


@pytest.mark.parametrize("bad", ["UPPER", "a.test/b@sha256:12", "a.test/..", "a.test/b:"])
def test_all_refs_are_read_before_anything_is_asked(run: Run, stub: StubClient, bad: str) -> None:
    run("verify", f"{REPO}:1", bad).expect(2)
    assert stub.calls == []


@pytest.mark.parametrize(
    "argv",
    [["--signer", "No"], ["--root", "abc"], ["--signer", "targets/../x"], ["--root", PIN, "--root", "abc"]],
)
def test_bad_names_and_pins_are_usage_errors(run: Run, stub: StubClient, argv: list[str]) -> None:
    run("verify", *argv, f"{REPO}:1").expect(2)
    assert stub.calls == []


def test_a_literal_gun_need_not_be_an_image(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = image()
    run("verify", "--gun", "Any Thing/x:1").expect(0)
    assert stub.options == {"gun": True}
    run("verify", "--gun", "../x:1").expect(2)


def test_the_document(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = image()
    assert run("verify", "--json", f"{REPO}:1").expect(0).document == {
        "schema": 1,
        "command": "verify",
        "exit": 0,
        "results": [
            {
                "ref": f"{REPO}:1",
                "ok": True,
                "image": f"{REPO}@{D1}",
                "repository": REPO,
                "tag": "1",
                "digest": D1,
                "size": 528,
                "verified": True,
                "role": "targets/releases",
                "signers": ["jeff"],
                "expires": "2027-01-02T03:04:05Z",
                "signed_as": None,
                "cosign": [],
                "policy": None,
                "evidence": {
                    "time": "2027-01-02T03:04:05Z",
                    "server": "https://n.test",
                    "offline": False,
                    "exported": None,
                    "compared": True,
                    "root_pins": [PIN],
                    "root_keys": [OTHER_PIN],
                    "roles": [{"role": "root", "version": 3, "expires": "2027-01-02T03:04:05Z"}],
                },
            }
        ],
        "warnings": [],
        "first_use": [],
    }
