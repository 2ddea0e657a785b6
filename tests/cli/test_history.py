"""`history`: what people, programs and browsers are given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy import HistoryEvent
from notarypy.cli.text import eventtext
from notarypy.errors import RepositoryMissingError
from notarypy.values import replace
from support.pages import HOSTILE, Page, nothing_is_loaded
from support.results import D1, D2, EVENTS, REPO, WHEN, moved

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient


def scripted(stub: StubClient, *events: HistoryEvent, error: Exception | None = None) -> None:
    def history(*_: object, **__: object) -> Iterator[HistoryEvent]:
        yield from events
        if error is not None:
            raise error

    stub.answers["history"] = history


def test_a_table_has_a_line_for_each_event(run: Run, stub: StubClient) -> None:
    scripted(stub, *EVENTS)
    shown = run("history", REPO).expect(0)
    header, first, second, third = shown.out.splitlines()
    assert header.split() == ["TIME", "ROLE", "VERSION", "SIGNED", "BY", "WHAT", "DIGEST"]
    assert first.split()[:4] == ["2027-01-02T03:04:05Z", "root", "1", "aaaaaaaaaaaa"]
    assert re.search(rf" jeff +tag 1 moved +{D2}, was {D1}$", second)
    assert third.rstrip().endswith("NOT VERIFIED: it is not signed")
    assert shown.err == f"notarypy: warning: 1 of 3 events of {REPO} cannot be verified\n"
    assert "1 of 3 events" in run("history", "-q", REPO).expect(0).err


def test_of_a_shared_key_all_are_named(run: Run, stub: StubClient) -> None:
    scripted(stub, replace(moved(), signers=("ann", "jeff"), keys=("a" * 64,)))
    assert " 1 of ann, jeff " in run("history", REPO).expect(0).out
    (result,) = run("history", "--json", REPO).expect(0).document["results"]
    assert result["events"][0]["signers"] == ["ann", "jeff"]


def test_a_long_past_is_shown_block_by_block(run: Run, stub: StubClient) -> None:
    scripted(stub, *[moved()] * 1001)
    assert len(run("history", REPO).expect(0).out.splitlines()) == 1001 + 1


def test_nothing_at_all_is_said(run: Run, stub: StubClient) -> None:
    scripted(stub)
    assert run("history", REPO).expect(0).out == f"nothing happened to {REPO} that was asked for\n"
    assert "or it never had a role joe\n" in run("history", "--role", "joe", REPO).expect(0).out


def test_what_was_told_before_an_error_is_shown(run: Run, stub: StubClient, home: Path) -> None:
    scripted(stub, *EVENTS, error=RepositoryMissingError("it is gone"))
    shown = run("history", REPO, "--html", "page.html").expect(3)
    assert "tag 1 moved" in shown.out
    assert "it is gone" in shown.err
    assert "it is gone [trust.repo_missing]" in Page((home / "page.html").read_text()).text
    (result,) = run("history", "--json", REPO).expect(3).document["results"]
    assert [event["kind"] for event in result["events"]] == [event.kind for event in EVENTS]
    assert result["error"]["code"] == "trust.repo_missing"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], {}),
        (["--since", "2026-01-31"], {"since": datetime(2026, 1, 31, tzinfo=UTC)}),
        (["--since", "2026-01-31T12:00:00+01:00"], {"since": datetime(2026, 1, 31, 11, tzinfo=UTC)}),
        (["--since", "30d"], {"since": timedelta(days=30)}),
        (["--role", "jeff", "--tag", "1"], {"role": "jeff", "tag": "1"}),
        (["--root", "A" * 64], {"root": "a" * 64}),
    ],
)
def test_what_is_asked_for(run: Run, stub: StubClient, words: list[str], meant: dict[str, Any]) -> None:
    scripted(stub)
    run("history", REPO, *words).expect(0)
    ((_, args, options),) = stub.calls
    assert args == (REPO,)
    assert options == {"role": None, "tag": None, "since": None, "root": None, "progress": None, **meant}
    assert stub.asking is False


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "soon"],
        ["--since", "2026-13-01"],
        ["--since", "9999y"],
        ["--since", "2026-01-31T12:00:00"],
    ],
)
def test_what_is_no_point_in_time_is_refused(run: Run, stub: StubClient, words: list[str]) -> None:
    assert "write a day" in run("history", REPO, *words).expect(2).err
    assert stub.calls == []


def test_a_page_that_cannot_be_written_is_said_before_anything_is_read(
    run: Run, stub: StubClient, home: Path
) -> None:
    run("history", REPO, "--html", "nowhere/page.html").expect(1)
    run("history", REPO, "--yes", "--html", "-").expect(2)
    (home / "page.html").write_text("mine")
    run("history", REPO, "--html", "page.html").expect(2)
    assert stub.calls == []
    scripted(stub, *EVENTS)
    assert "wrote page.html" in run("history", REPO, "--yes", "--html", "page.html").expect(0).out
    assert (home / "page.html").read_text() != "mine"


def test_hostile_names_are_text(run: Run, stub: StubClient, home: Path) -> None:
    odd = moved(name=HOSTILE, role=HOSTILE, signers=(HOSTILE,), before=HOSTILE, after=HOSTILE, why=HOSTILE)
    scripted(stub, odd, replace(odd, kind="unverified", verified=False), replace(odd, kind=HOSTILE))
    shown = run("history", REPO, "--html", "page.html").expect(0)
    assert all(character.isprintable() or character == "\n" for character in shown.out)
    page = Page((home / "page.html").read_text())
    nothing_is_loaded(page)
    assert page.text.count("<script>") >= 8


def test_each_kind_has_its_words() -> None:
    for kind in eventtext._WORDS:  # noqa: SLF001 - there is no other list
        event = HistoryEvent(WHEN, "targets", 1, kind, "targets/jeff", "a, b", None, why="so")
        said = eventtext.sentence(event)
        assert said
        assert "None" not in said
        assert "{" not in said
    many = HistoryEvent(WHEN, "root", 1, "created", after=", ".join(str(n) * 64 for n in range(5)))
    assert eventtext.sentence(moved(name="targets/1")).startswith("tag targets/1 moved")
    assert eventtext.sentence(many).endswith(f"{'0' * 12}, {'1' * 12}, {'2' * 12} and 2 more")
