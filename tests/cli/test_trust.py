"""`trust` and `forget`: the two ways to give up a trusted root."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import terminal
from notarypy.errors import RootNotPinnedError
from support.results import OFFERED, OTHER_PIN, PIN, REPO

if TYPE_CHECKING:
    from support.commands import Run, StubClient

BOTH = f"{REPO}\n  trusted: {PIN} (version 1)\n  offered: {OTHER_PIN} (version 2)\n"


def test_a_root_named_in_full_is_accepted(run: Run, stub: StubClient) -> None:
    stub.answers["trust"] = replace(OFFERED, accepted=True)
    outcome = run("trust", REPO, "--root", OTHER_PIN).expect(0)
    assert outcome.out == f"{BOTH}accepted the offered root of {REPO}\n"
    assert stub.calls == [("trust", (REPO, OTHER_PIN), {})]


def test_without_a_pin_both_are_shown_and_nothing_changes(run: Run, stub: StubClient) -> None:
    stub.answers["offered_root"] = OFFERED
    outcome = run("trust", REPO).expect(2)
    assert outcome.out == BOTH
    assert "[usage.confirmation]" in outcome.err
    assert f"notarypy trust {REPO} --root {OTHER_PIN}\n" in outcome.err
    result = run("trust", "--json", REPO).expect(2).document["results"][0]
    assert (result["trusted"], result["offered"], result["accepted"]) == ([PIN], [OTHER_PIN], False)


def test_the_same_root_is_fine(run: Run, stub: StubClient) -> None:
    stub.answers["offered_root"] = replace(OFFERED, offered=(PIN,), offered_version=1, accepted=True)
    assert run("trust", REPO).expect(0).out.endswith("\nthey are the same\n")


def test_first_use_has_nothing_to_compare(run: Run, stub: StubClient) -> None:
    stub.answers["offered_root"] = replace(OFFERED, trusted=(), trusted_version=None)
    assert "  trusted: none: nothing of this repository is cached\n" in run("trust", REPO).expect(2).out


def test_another_root_is_refused_by_the_client(run: Run, stub: StubClient) -> None:
    stub.answers["trust"] = RootNotPinnedError("another one")
    assert run("trust", REPO, "--root", PIN).expect(4).out == ""


@pytest.mark.parametrize("argv", [[REPO, "--root", PIN[:12]], [f"{REPO}:1"], [REPO, "--root", "g" * 64]])
def test_abbreviations_are_refused(run: Run, stub: StubClient, argv: list[str]) -> None:
    run("trust", *argv).expect(2)
    assert stub.calls == []


@pytest.mark.parametrize(
    ("had", "said"), [(True, f"forgot {REPO}; keys stay"), (False, f"nothing of {REPO} is cached")]
)
def test_forgetting(run: Run, stub: StubClient, had: bool, said: str) -> None:
    stub.answers["forget"] = had
    assert run("forget", "-y", REPO).expect(0).out == f"{said}\n"
    assert run("--json", "--yes", "forget", REPO).document["results"][0]["forgotten"] is had


def test_forgetting_needs_a_yes(run: Run, stub: StubClient) -> None:
    outcome = run("forget", REPO).expect(2)
    assert "no terminal to confirm on [usage.confirmation]\n  fix: add --yes" in outcome.err
    assert stub.calls == []


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 2)])
def test_forgetting_asks_at_a_terminal(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch, answer: bool, code: int
) -> None:
    asked = []

    def agreed(question: str) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(terminal, "present", lambda: True)
    monkeypatch.setattr(terminal, "agreed", agreed)
    stub.answers["forget"] = True
    run("forget", REPO).expect(code)
    assert len(asked) == 1
    assert REPO in asked[0]
    assert len(stub.calls) == (1 if answer else 0)
