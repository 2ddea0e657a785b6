"""`renew` and `status`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.client.results import Renewed, RepositoryStatus
from notarypy.errors import KeyNotAuthorisedError
from support.results import BOB_STATUS, OTHER_PIN, PIN, RENEWED, REPO, ROOT_STATUS, STATUS

if TYPE_CHECKING:
    from support.commands import Run, StubClient

DAYS = timedelta(days=90)


def test_status_is_a_table_with_a_warning(run: Run, stub: StubClient) -> None:
    stub.answers["status"] = STATUS
    outcome = run("status", REPO).expect(0)
    assert [line.split() for line in outcome.out.splitlines()] == [
        [REPO],
        ["ROLE", "VERSION", "ENDS", "LEFT", "KEYS", "HERE"],
        ["root", "1", "2027-01-02T03:04:05Z", "60", "days", OTHER_PIN[:12], "yes"],
        ["targets/bob", "(not", "published)", PIN[:12], "no"],
    ]
    assert f"root of {REPO} ends within 90d or has ended; notarypy renew {REPO}" in outcome.err
    assert stub.calls == [("status", (REPO,), {"within": DAYS, "root": None})]


def test_status_warns_of_a_root_a_year_before_its_end_and_fails_as_before(run: Run, stub: StubClient) -> None:
    for days, warned in ((364, True), (365, False)):
        root = replace(ROOT_STATUS, due=False, days_left=days)
        stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (root,))
        outcome = run("status", "--check", REPO).expect(0)
        assert (
            f"root of {REPO} ends on 2027-01-02; whoever has its key renews it now" in outcome.err
        ) is warned
    assert stub.asking is False


@pytest.mark.parametrize(
    ("roles", "part"),
    [
        (["timestamp"], "the operator of the Notary server, which renews it by itself"),
        (["snapshot", "timestamp"], "which renews it by itself"),
        (["root"], f"fix: notarypy renew {REPO}"),
        (["root", "timestamp"], f"fix: notarypy renew {REPO}"),
        (["targets/bob", "timestamp"], "whoever has its key signs it again"),
    ],
)
def test_what_is_due_is_renewed_by_whom_it_is(
    run: Run, stub: StubClient, roles: list[str], part: str
) -> None:
    here = {"root": (OTHER_PIN,)}
    statuses = tuple(replace(ROOT_STATUS, role=role, here=here.get(role, ())) for role in roles)
    stub.answers["status"] = RepositoryStatus(REPO, "https://n", statuses)
    assert part in run("status", "--check", REPO).expect(5).err


def test_a_check_fails_when_something_is_due(run: Run, stub: StubClient) -> None:
    stub.answers["status"] = STATUS
    outcome = run("status", "--check", "--within", "30d", REPO).expect(5)
    assert f"root of {REPO} ends within 30d" in outcome.err
    assert outcome.err.rstrip().endswith(f"fix: notarypy renew --within 30d {REPO}")
    assert stub.calls[0][2] == {"within": timedelta(days=30), "root": None}
    (result,) = run("--json", "status", "--check", REPO).expect(5).document["results"]
    assert result["error"]["facts"] == {"roles": ["root"]}
    assert [role["due"] for role in result["roles"]] == [True, False]
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (BOB_STATUS,))
    assert run("status", "--check", REPO).expect(0).err == ""


def test_the_fix_renews_as_far_ahead_as_was_looked(run: Run, stub: StubClient) -> None:
    several = tuple(replace(ROOT_STATUS, role=role, here=()) for role in ("root", "targets"))
    stub.answers["status"] = RepositoryStatus(REPO, "https://n", several)
    outcome = run("status", "--within", "20y", REPO).expect(0)
    assert f"root, targets of {REPO} end within 20y or have ended;" in outcome.err
    assert f"signs it again: notarypy renew --within 20y {REPO}" in outcome.err


def test_what_several_sign_is_renewed_in_parts(run: Run, stub: StubClient) -> None:
    stub.answers["status"] = RepositoryStatus(REPO, "https://n", (replace(ROOT_STATUS, threshold=2),))
    assert f"notarypy renew --offline-part FILE {REPO}; have" in run("status", "--check", REPO).expect(5).err


def test_what_ends_in_an_archive_is_exported_anew(run: Run, stub: StubClient) -> None:
    ends = replace(ROOT_STATUS, role="timestamp", here=())
    stub.answers["status"] = RepositoryStatus(REPO, "t.tar", (ends,))
    shown = run("status", "--check", "--from", "t.tar", REPO).expect(5).err
    assert f"notarypy export {REPO} -o TAR" in shown


def test_a_known_name_is_taken_as_no_other_repository(run: Run, stub: StubClient) -> None:
    stub.answers["repositories"] = ["coll", REPO]
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (BOB_STATUS,))
    assert "notarypy status --gun coll shows it" in run("-q", "status").expect(0).err
    run("status", "--check").expect(12)
    assert {call[1] for call in stub.calls if call[0] == "status"} == {(REPO,)}
    run("--gun", "status", "--check").expect(0)
    assert ("coll",) in [call[1] for call in stub.calls]


def test_a_time_that_is_too_long_is_told_with_the_limit(run: Run) -> None:
    outcome = run("status", "--within", "10000000y", REPO).expect(2)
    assert "10000000y is too long" in outcome.err
    assert "2000y at the most" in outcome.err


def test_without_names_all_that_is_known_is_shown(run: Run, stub: StubClient) -> None:
    stub.answers["repositories"] = [REPO, "b.test/b"]
    stub.answers["status"] = lambda repo, **_: STATUS if repo == REPO else KeyNotAuthorisedError("no")
    outcome = run("status").expect(6)
    assert REPO in outcome.out
    assert "for: b.test/b" in outcome.err


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_nothing_known_is_no_all_clear(run: Run, stub: StubClient, check: list[str]) -> None:
    stub.answers["repositories"] = []
    outcome = run("status", *check).expect(12)
    assert "no repository is known here" in outcome.err
    assert run("--json", "status", *check).expect(12).document["error"]["code"] == "operation.nothing"
    stub.answers["repositories"] = ["A B"]
    assert "notarypy status --gun 'A B'" in run("-q", "status", *check).expect(12).err


def test_what_a_check_leaves_out_fails_it(run: Run, stub: StubClient) -> None:
    stub.answers["repositories"] = ["A/B", REPO]
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (BOB_STATUS,))
    assert "A/B was not looked at" in run("-q", "status").expect(0).err
    document = run("--json", "status", "--check").expect(12).document
    assert [(one["ref"], one["ok"]) for one in document["results"]] == [("A/B", False), (REPO, True)]


def test_a_check_fails_for_a_role_that_cannot_be_verified(run: Run, stub: StubClient) -> None:
    broken = replace(BOB_STATUS, problem="too few signatures")
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (broken,))
    outcome = run("status", REPO).expect(0)
    assert "(unusable)" in outcome.out
    assert "too few" not in outcome.out
    assert f"targets/bob of {REPO}: too few signatures" in outcome.err
    assert "targets/bob: too few signatures" in run("status", "--check", REPO).expect(4).err
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (replace(broken, usable=False),))
    shown = run("status", "--check", REPO).expect(4).err
    assert f"notarypy signer remove bob {REPO}" in shown
    assert "notarypy renew" not in shown
    stub.answers["status"] = replace(STATUS, roles=(*STATUS.roles, broken))
    (result,) = run("--json", "status", "--check", REPO).expect(4).document["results"]
    assert result["error"]["why"][1] == f"root of {REPO} ends within 90d or has ended"


def test_renewing_tells_each_role(run: Run, stub: StubClient) -> None:
    stub.answers["renew"] = RENEWED
    outcome = run("renew", REPO, "--role", "root", "--within", "30d").expect(0)
    assert outcome.out == (f"renewed root of {REPO}: it ends on 2027-01-02T03:04:05Z\nroot pin: {PIN}\n")
    assert stub.calls == [("renew", (REPO,), {"within": timedelta(days=30), "only": ["root"]})]


def test_nothing_due_is_said(run: Run, stub: StubClient) -> None:
    stub.answers["renew"] = Renewed(REPO, (), (PIN,), published=False)
    assert run("renew", REPO).expect(0).out == f"nothing of {REPO} is due; nothing was published\n"
    assert stub.calls[0][2] == {"within": None, "only": ()}


def test_every_repository_is_tried(run: Run, stub: StubClient) -> None:
    stub.answers["renew"] = lambda repo, **_: RENEWED if repo == REPO else KeyNotAuthorisedError("no")
    outcome = run("renew", "b.test/b", REPO).expect(6)
    assert "for: b.test/b" in outcome.err
    assert "renewed root" in outcome.out


@pytest.mark.parametrize(
    "argv",
    [
        ["renew"],
        ["renew", f"{REPO}:1"],
        ["renew", REPO, "--within", "soon"],
        ["renew", REPO, "--within", "30"],
        ["status", "--within", "3months"],
        ["status", "--within", "0d"],
        ["status", f"{REPO}:1"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run: Run, stub: StubClient, argv: list[str]) -> None:
    run(*argv).expect(2)
    assert stub.calls == []
