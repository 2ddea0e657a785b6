"""`republish` and `delete` as typed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import terminal
from notarypy.client.publish.republishplan import RepublishPlan
from notarypy.errors import ConfirmationNeededError
from support.results import DELETED, PIN, REPO, REPUBLISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.commands import Run, StubClient


def test_what_was_published_again_is_said(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.republish"] = REPUBLISHED
    done = run("republish", REPO).expect(0)
    assert done.out.splitlines() == [
        f"published {REPO} again at https://n.test: root, targets",
        "signed again, for they had ended: targets",
        f"as this machine read it on {REPUBLISHED.known_of:%Y-%m-%d %H:%M}Z",
        "the root is version 2 now, with the pin that it had:",
        f"root pin: {PIN}",
        f"its timestamp key is now {PIN}",
        "no more at the server: targets/jeff: tag 4: sha256:44, and nothing here",
    ]
    assert "3 updates behind what was known" in done.err


def test_where_nothing_was_lost_that_is_said(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.republish"] = replace(REPUBLISHED, published=False, roles=(), behind=0)
    done = run("republish", REPO).expect(0)
    assert done.out == f"https://n.test has all that is known here of {REPO}; nothing was sent\n"
    assert done.err == ""


def test_several_repositories_are_published_again(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.republish"] = REPUBLISHED
    assert len(run("--json", "republish", REPO, f"{REPO}/two").expect(0).document["results"]) == 2


@pytest.mark.parametrize(("yes", "present"), [(False, True), (True, True), (False, False)])
def test_what_comes_and_goes_is_asked(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch, *, yes: bool, present: bool
) -> None:
    asked: list[str] = []

    def agreed(*lines: str) -> bool:
        asked.extend(lines)
        return True

    monkeypatch.setattr(terminal, "present", lambda: present)
    monkeypatch.setattr(terminal, "agreed", agreed)
    plan = RepublishPlan(REPO, "https://n.test", ("targets/jeff: tag 4",), {"timestamp": PIN})

    def republish(_: str, *, over: bool, agree: Callable[[RepublishPlan], bool] | None) -> object:
        assert over
        assert (agree is None) == (not present)
        assert agree is None or agree(plan)
        return REPUBLISHED

    stub.answers["upkeep.republish"] = republish
    run("--json", "republish", "--over", *["-y"] * yes, REPO).expect(0)
    assert asked == (["Go on?", *plan.lines()] if present and not yes else [])
    assert f"  timestamp: {PIN}" in plan.lines()


def test_what_was_deleted_is_said(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.delete"] = DELETED
    assert run("delete", "--remote", "--confirm", REPO, REPO).expect(0).out.splitlines() == [
        f"deleted the trust data of {REPO} at https://n.test; keys and images stay",
        f"  and that of {REPO}-two",
        f"forgot {REPO} here",
    ]


def test_where_there_was_nothing_that_is_said(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.delete"] = replace(DELETED, deleted=False, others=(), forgotten=False)
    said = run("delete", "--remote", "--confirm", REPO, REPO).expect(0).out
    assert said == f"https://n.test has no trust data of {REPO}; nothing was deleted\n"


@pytest.mark.parametrize("options", [[], ["-y"], ["--confirm", REPO], ["--forget"]])
def test_without_remote_it_says_what_would_be_deleted(run: Run, stub: StubClient, options: list[str]) -> None:
    outcome = run("delete", *options, REPO).expect(2)
    assert f"notarypy forget {REPO}; what everybody reads: notarypy delete --remote {REPO}" in outcome.err
    assert stub.calls == []


def test_a_yes_is_not_enough(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.delete"] = ConfirmationNeededError("once more")
    run("delete", "--remote", "-y", REPO).expect(2)
    assert [call[2] for call in stub.calls] == [{"confirm": None, "forget": False}]


@pytest.mark.parametrize(("typed", "calls"), [(REPO, 2), ("y", 2), ("", 1)])
def test_at_a_terminal_its_name_is_typed(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch, typed: str, calls: int
) -> None:
    shown: list[str] = []

    def answer(question: str, *before: str) -> str:
        shown.extend((*before, question))
        return typed

    monkeypatch.setattr(terminal, "present", lambda: True)
    monkeypatch.setattr(terminal, "answer", answer)

    def delete(_: str, *, confirm: str | None, forget: bool) -> object:
        if confirm != REPO:
            raise ConfirmationNeededError("once more", why="released tags: 1")
        return replace(DELETED, forgotten=forget)

    stub.answers["upkeep.delete"] = delete
    run("delete", "--remote", REPO).expect(0 if typed == REPO else 2)
    assert shown == ["once more:", "  released tags: 1", "Type it to delete it for everybody: "]
    assert len(stub.calls) == calls
