"""`delegate` and `signer`: two names for the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import Advice, KeyNotAuthorisedError, UndecidedTagsError, UnreachableError
from notarypy.tuf.vouching import RestingTag
from support.commands import written
from support.results import ADDED, D1, INITIALISED, JEFF, KEY, PIN, PURGED, RELEASES, REMOVED, REPO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.commands import Run, StubClient

DECISION = {"force": False, "tags": None, "dry_run": False}
RESTING = (RestingTag("targets/jeff", "1", D1), RestingTag("targets/releases", "1", D1))
UNDECIDED = UndecidedTagsError("tag 1 rests on them", why=tuple(map(str, RESTING)))


@pytest.mark.parametrize("noun", ["delegate", "signer"])
def test_adding(run: Run, stub: StubClient, home: Path, noun: str) -> None:
    stub.answers["add_signer"] = ADDED
    key = written(home / "jeff.pub", "a key")
    outcome = run(noun, "add", "--key", key, "jeff", REPO, "b.test/b").expect(0)
    assert outcome.out == f"added signer jeff to {REPO} (f5a2a6400000)\n" * 2
    how = {"paths": ("",), "releases": True, "threshold": None}
    assert stub.calls == [("add_signer", ("jeff", repo, [b"a key"]), how) for repo in (REPO, "b.test/b")]


def test_adding_with_limits(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["add_signer"] = ADDED
    key = written(home / "k", "k")
    argv = ["--key", key, "--key", key, "--path", "v", "--path", "w", "--no-releases"]
    run("delegate", "add", "targets/ci", REPO, *argv).expect(0)
    assert stub.calls == [
        (
            "add_signer",
            ("targets/ci", REPO, [b"k", b"k"]),
            {"paths": ["v", "w"], "releases": False, "threshold": None},
        )
    ]


def test_adding_may_initialise(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["add_signer"] = replace(ADDED, created=INITIALISED)
    outcome = run("signer", "add", "--key", written(home / "k", "k"), "jeff", REPO).expect(0)
    assert f"root pin: {PIN}\n" in outcome.out
    assert outcome.out.endswith(f"added signer jeff to {REPO} (f5a2a6400000)\n")


def test_adding_again_says_so(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["add_signer"] = replace(ADDED, published=False)
    outcome = run("signer", "add", "--key", written(home / "k", "k"), "jeff", REPO).expect(0)
    assert outcome.out == f"jeff is a signer of {REPO} already; nothing was published\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["jeff", REPO],
        ["--key", "missing", "jeff", REPO],
        ["--key", "k", "Jeff", REPO],
        ["--key", "k", "releases", REPO],
        ["--key", "k", "jeff", f"{REPO}:1"],
        ["--key", "k", "jeff"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    run: Run, stub: StubClient, home: Path, argv: list[str]
) -> None:
    written(home / "k", "k")
    for noun in ("delegate", "signer"):
        run(noun, "add", *argv).expect(2)
    assert stub.calls == []


@pytest.mark.parametrize("noun", ["delegate", "signer"])
def test_removing_says_what_was_signed_again(run: Run, stub: StubClient, noun: str) -> None:
    stub.answers["remove_signer"] = REMOVED
    outcome = run(noun, "remove", "jeff", REPO).expect(0)
    assert outcome.out == (
        f"removed signer jeff from {REPO}\nsigned again: targets/releases\ntags kept: 1, 2\n"
    )
    assert stub.calls == [("remove_signer", ("jeff", REPO), {"key": None, "paths": (), **DECISION})]


@pytest.mark.parametrize("noun", ["delegate", "signer"])
@pytest.mark.parametrize(
    ("option", "tags", "became"), [("--keep-tags", "keep", "kept"), ("--revoke-tags", "revoke", "revoked")]
)
def test_what_becomes_of_tags_is_said(
    run: Run, stub: StubClient, noun: str, option: str, tags: str, became: str
) -> None:
    stub.answers["remove_signer"] = replace(REMOVED, resting=RESTING, revoked=tags == "revoke")
    outcome = run(noun, "remove", "jeff", REPO, option).expect(0)
    assert outcome.out.endswith(
        f"only the removed keys signed these, and they are {became}:\n"
        f"  1 in targets/jeff: {D1}\n  1 in targets/releases: {D1}\n"
    )
    assert stub.calls == [
        ("remove_signer", ("jeff", REPO), {"key": None, "paths": (), **DECISION, "tags": tags})
    ]
    stub.answers["keys.purge"] = replace(PURGED, resting=RESTING, revoked=tags == "revoke")
    assert became in run("delegate", "purge", "--key", "f5a2a64", REPO, option).expect(0).out
    [result] = run("--json", noun, "remove", "jeff", REPO, option).expect(0).document["results"]
    assert result["resting"][0] == {"role": "targets/jeff", "tag": "1", "digest": D1}
    assert result["revoked"] is (tags == "revoke")


def test_both_decisions_are_none(run: Run, stub: StubClient) -> None:
    for argv in (["signer", "remove", "jeff"], ["delegate", "purge", "--key", "f5a2a64"]):
        run(*argv, REPO, "--keep-tags", "--revoke-tags").expect(2)
    assert stub.calls == []


@pytest.mark.parametrize(
    ("option", "became"),
    [(None, "nobody decided"), ("--keep-tags", "would be kept"), ("--revoke-tags", "would be revoked")],
)
def test_a_dry_run_names_all_of_them(run: Run, stub: StubClient, option: str | None, became: str) -> None:
    many = tuple(RestingTag("targets/releases", f"{number}", D1) for number in range(150))
    revoked = None if option is None else option == "--revoke-tags"
    done = replace(REMOVED, resting=many, revoked=revoked, published=False)
    stub.answers["remove_signer"] = done
    outcome = run("signer", "remove", "--dry-run", "jeff", REPO, *([option] if option else [])).expect(0)
    assert outcome.out.startswith(
        f"would remove signer jeff from {REPO}\nwould sign again: targets/releases\n"
    )
    assert became in outcome.out
    assert outcome.out.count(" in targets/releases: ") == 150
    assert stub.calls[0][2]["dry_run"] is True
    [result] = run("--json", "signer", "remove", "--dry-run", "jeff", REPO).expect(0).document["results"]
    assert result["revoked"] is revoked
    stub.answers["remove_signer"] = replace(done, revoked=False, published=True)
    shown = run("signer", "remove", "jeff", REPO, "--keep-tags").expect(0).out
    assert (shown.count(" in targets/releases: "), shown.endswith("  and 50 more\n")) == (100, True)


@pytest.mark.parametrize("argv", [[], ["--yes"]])
def test_without_a_terminal_both_ways_on_are_named(run: Run, stub: StubClient, argv: list[str]) -> None:
    stub.answers["remove_signer"] = UNDECIDED
    error = UndecidedTagsError("tag 1 rests on them", advice=Advice("keep-or-revoke"))
    stub.answers["remove_signer"] = error
    outcome = run(*argv, "signer", "remove", "jeff", REPO).expect(2)
    assert "[usage.undecided_tags]" in outcome.err
    assert "--keep-tags" in outcome.err
    assert "--revoke-tags" in outcome.err


@pytest.mark.parametrize(("answer", "calls"), [("keep", 2), ("revoke", 2), ("stop", 1), (None, 1)])
def test_at_a_terminal_somebody_decides(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch, answer: str | None, calls: int
) -> None:
    asked: list[str] = []

    def choice(lines: list[str], _question: str, answers: tuple[str, ...]) -> str | None:
        asked.extend(lines)
        assert answers == ("keep", "revoke", "stop")
        return answer

    def removed(*_: object, tags: str | None, **__: object) -> object:
        return REMOVED if tags else UNDECIDED

    monkeypatch.setattr("notarypy.cli.text.terminal.present", lambda: True)
    monkeypatch.setattr("notarypy.cli.text.terminal.choice", choice)
    stub.answers["remove_signer"] = removed
    run("signer", "remove", "jeff", REPO).expect(0 if calls == 2 else 2)
    assert asked == ["tag 1 rests on them:", *(f"  {one}" for one in RESTING)]
    assert [call[2]["tags"] for call in stub.calls] == [None, answer][:calls]


def test_removing_one_key(run: Run, stub: StubClient) -> None:
    stub.answers["remove_signer"] = replace(REMOVED, resigned=(), kept=(), key=KEY.keyid)
    argv = ("delegate", "remove", "jeff", REPO, "--key", "f5a2a64")
    assert run(*argv).expect(0).out == f"removed key {KEY.keyid} of targets/jeff from {REPO}\n"
    assert run("--json", *argv).expect(0).document["results"][0]["key"] == KEY.keyid


def test_removing_paths(run: Run, stub: StubClient) -> None:
    done = replace(REMOVED, resigned=(), kept=(), resting=RESTING[1:], outside=RESTING[:1], paths=("v",))
    stub.answers["remove_signer"] = done
    argv = ("delegate", "remove", "jeff", REPO, "--path", "dev-", "--path", "", "--keep-tags")
    assert run(*argv).expect(0).out == (
        f"removed path dev-, the path of all tags of targets/jeff from {REPO}\n"
        "targets/jeff keeps: v\n"
        f"it lists these, where they count no more:\n  1 in targets/jeff: {D1}\n"
        "nobody else vouches for these that are released, and they are kept:\n"
        f"  1 in targets/releases: {D1}\n"
    )
    assert stub.calls[0][2]["paths"] == ["dev-", ""]
    [result] = run("--json", *argv).expect(0).document["results"]
    assert result["paths"] == ["v"]
    assert result["outside"] == [{"role": "targets/jeff", "tag": "1", "digest": D1}]


def test_removing_by_force_says_who_must_sign_again(run: Run, stub: StubClient) -> None:
    stub.answers["remove_signer"] = replace(REMOVED, resigned=(), kept=(), unreadable=("targets/releases",))
    outcome = run("signer", "remove", "-f", "jeff", REPO).expect(0)
    assert outcome.err == (
        f"notarypy: warning: targets/releases of {REPO} cannot be verified until bob signs again\n"
    )
    assert stub.calls[0][2]["force"] is True
    stub.answers["remove_signer"] = replace(REMOVED, unreadable=("targets/releases",), needed=())
    outcome = run("signer", "remove", "-f", "jeff", REPO).expect(0)
    assert f"notarypy delegate remove targets/releases {REPO}" in outcome.err


def test_every_repository_has_a_result_and_the_worst_code_counts(
    run: Run, stub: StubClient, home: Path
) -> None:
    key = written(home / "k", "k")
    repos = [REPO, "b.test/b", "c.test/c", "d.test/d"]
    errors = {"b.test/b": UnreachableError("gone"), "c.test/c": KeyNotAuthorisedError("not for c.test/c")}

    def answer(good: object) -> Callable[..., object]:
        return lambda _name, repo, *_, **__: errors.get(repo) or replace(good, repository=repo)  # type: ignore[type-var]

    stub.answers["add_signer"], stub.answers["remove_signer"] = answer(ADDED), answer(REMOVED)
    for argv in (["signer", "add", "--key", key], ["delegate", "add", "--key", key], ["signer", "remove"]):
        outcome = run(*argv, "jeff", *repos).expect(6)
        assert [line for line in outcome.out.splitlines() if "signer" in line and REPO in line]
        assert [line for line in outcome.out.splitlines() if "signer" in line and "d.test/d" in line]
        assert "error: gone [net.unreachable]\n  for: b.test/b\n" in outcome.err
        assert "error: not for c.test/c [key.not_authorised]\nnotarypy" not in outcome.err
        assert "for: c.test/c\n" not in outcome.err.partition("not for c.test/c")[2]
        document = run("--json", *argv, "jeff", *repos).expect(6).document
        assert [(result["ref"], result["ok"]) for result in document["results"]] == list(
            zip(repos, (True, False, False, True), strict=True)
        )


def test_purging_says_where_the_key_was(run: Run, stub: StubClient) -> None:
    stub.answers["keys.purge"] = PURGED
    outcome = run("delegate", "purge", "--key", "f5a2a64", REPO).expect(0)
    assert outcome.out == (
        f"removed key {KEY.keyid} from targets/jeff, targets/releases of {REPO}\n"
        "removed signer jeff: it has no other key\n"
        "signed again: targets/releases\ntags kept: 1, 2\n"
    )
    assert "targets/bob/ci" in outcome.err
    assert stub.calls == [("keys.purge", ("f5a2a64", REPO), DECISION)]
    stub.answers["keys.purge"] = replace(PURGED, left=(), resigned=(), unreadable=("targets/releases",))
    assert (
        "cannot be verified until bob signs again"
        in run("delegate", "purge", "--key", "f5a2a64", "--force", REPO, "b.test/b").expect(0).err
    )
    run("delegate", "purge", REPO).expect(2)
    run("delegate", "purge", "--key", "f5a2a64", f"{REPO}:1").expect(2)


def test_a_refusal_is_the_clients(run: Run, stub: StubClient, saying: Callable[[str], Advice]) -> None:
    stub.answers["remove_signer"] = KeyNotAuthorisedError("would break", advice=saying("add --force"))
    assert (
        "would break [key.not_authorised]\n  fix: add --force\n"
        in run("signer", "remove", "jeff", REPO).expect(6).err
    )


def test_listing_delegations(run: Run, stub: StubClient) -> None:
    broken = replace(JEFF, role="targets/x", version=None, expires=None, paths=(), problem="bad\nsignature")
    stub.answers["delegations"] = (JEFF, RELEASES, broken)
    outcome = run("delegate", "list", REPO).expect(0)
    rows = [line.split("   ") for line in outcome.out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    keyid = JEFF.keys[0]
    assert cells == [
        ["ROLE", "PATHS", "THRESHOLD", "EXPIRES", "KEY IDS"],
        ["targets/jeff", "all tags", "1", "2027-01-02T03:04:05Z", keyid],
        ["targets/releases", "v, w", "1", "(not published)", keyid],
        ["targets/x", "none", "1", "(unusable)", keyid],
    ]
    assert "targets/x: bad\\nsignature" in outcome.err


def test_listing_signers(run: Run, stub: StubClient) -> None:
    stub.answers["delegations"] = (JEFF, RELEASES)
    assert run("signer", "list", REPO).expect(0).out == (
        "SIGNER    TAGS       KEYS\njeff      all tags   f5a2a6400000\n"
    )
    stub.answers["delegations"] = ()
    assert run("signer", "list", REPO).expect(0).out == ""
