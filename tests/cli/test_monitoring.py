"""`status` for programs that watch: metrics, JUnit's XML, and files that are replaced as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from prometheus_client.parser import text_string_to_metric_families

from notarypy.cli.text import monitoring
from notarypy.client.results import RepositoryStatus
from notarypy.errors import RollbackError, UnreachableError
from support.results import BOB_STATUS, REPO, ROOT_STATUS, STATUS, WHEN

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

OTHER, GONE = "other.test/b", "gone.test/c"
BROKEN = replace(BOB_STATUS, problem="too few signatures")
WATCHED = ("prometheus", "junit")


@pytest.fixture
def several(stub: StubClient) -> StubClient:
    """A repository where something is due, one with a broken role, and one that cannot be read."""
    found = {
        REPO: STATUS,
        OTHER: RepositoryStatus(OTHER, "https://n.test", (replace(ROOT_STATUS, due=False), BROKEN)),
        GONE: UnreachableError("gone.test does not answer"),
    }
    stub.answers["repositories"] = list(found)
    stub.answers["status"] = lambda repo, **_: found[repo]
    return stub


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the metrics of a text by name and labels; each series is there once."""
    found = [
        ((sample.name, *sample.labels.values()), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.usefixtures("several")
def test_metrics_tell_of_every_repository(run: Run) -> None:
    outcome = run("status", "--format", "prometheus").expect(8)
    found = samples(outcome.out)
    assert found["notarypy_repository_up", REPO] == found["notarypy_repository_up", OTHER] == 1
    assert found["notarypy_repository_up", GONE] == 0
    assert found["notarypy_repository_failure", GONE, "net.unreachable"] == 1
    assert found["notarypy_role_expiry_timestamp_seconds", REPO, "root"] == int(WHEN.timestamp())
    assert found["notarypy_role_due", REPO, "root"] == 1
    assert found["notarypy_role_due", OTHER, "root"] == 0
    assert found["notarypy_role_valid", OTHER, "targets/bob"] == 0
    assert found["notarypy_role_valid", OTHER, "root"] == found["notarypy_role_valid", REPO, "root"] == 1
    assert found["notarypy_role_signable", REPO, "targets/bob"] == 0
    assert found["notarypy_role_threshold", REPO, "root"] == found["notarypy_role_keys", REPO, "root"] == 1
    assert found["notarypy_role_version", REPO, "root"] == 1
    assert ("notarypy_role_version", REPO, "targets/bob") not in found  # it is not published
    assert "gone.test does not answer" in outcome.err
    text = outcome.out
    assert all(f"# TYPE {name} gauge\n" in text and f"# HELP {name} " in text for name, *_ in found)


@pytest.mark.usefixtures("several")
def test_a_test_for_each_role_and_an_error_for_what_cannot_be_read(run: Run) -> None:
    suites = ET.fromstring(run("status", "--format", "junit").expect(8).out)
    counts = {
        suite.get("name"): [suite.get(name) for name in ("tests", "failures", "errors")] for suite in suites
    }
    assert counts == {REPO: ["2", "1", "0"], OTHER: ["2", "1", "0"], GONE: ["1", "0", "1"]}
    tests = {(test.get("classname"), test.get("name")): list(test) for test in suites.iter("testcase")}
    assert not tests[REPO, "targets/bob"]
    (due,), (broken,) = tests[REPO, "root"], tests[OTHER, "targets/bob"]
    assert (due.tag, due.get("type")) == ("failure", "trust.expired")
    assert "2027-01-02" in str(due.get("message"))
    assert due.text == f"notarypy renew {REPO}"
    assert (broken.tag, broken.get("message")) == ("failure", "too few signatures")
    (error,) = tests[GONE, "trust data"]
    assert (error.tag, error.get("type")) == ("error", "net.unreachable")


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("form", WATCHED)
def test_dates_alone_fail_a_check_alone(run: Run, form: str) -> None:
    run("status", "--format", form, REPO).expect(0)
    run("status", "--check", "--format", form, REPO).expect(5)
    run("status", "--check", "--format", form, OTHER).expect(4)
    run("status", "--check", "--format", form).expect(4)


@pytest.mark.parametrize("form", WATCHED)
def test_names_do_no_harm(run: Run, stub: StubClient, form: str) -> None:
    name = 'reg.test/"&<x>\u202e'
    stub.answers["status"] = RepositoryStatus(name, "https://n.test", (BOB_STATUS,))
    out = run("--gun", "status", "--format", form, name).expect(0).out
    assert out.isascii()
    shown = 'reg.test/"&<x>\\u202e'
    if form == "prometheus":
        assert samples(out)["notarypy_repository_up", shown] == 1
    else:
        assert ET.fromstring(out).find("testsuite").get("name") == shown  # type: ignore[union-attr]
    error = RollbackError("\x00<&\u202e", why='"\x1b]')
    assert monitoring.junit({name: error}, "90d", str, "status").isascii()
    ET.fromstring(monitoring.junit({name: error}, "90d", str, "status"))


@pytest.mark.usefixtures("several")
def test_a_repository_is_there_once(run: Run, stub: StubClient) -> None:
    stub.answers["status"] = RepositoryStatus("docker.io/library/app", "https://n.test", (BOB_STATUS,))
    assert samples(
        run("status", "--format", "prometheus", "app", "docker.io/library/app", "app").expect(0).out
    )
    stub.answers["status"] = UnreachableError("gone")
    assert samples(run("status", "--format", "prometheus", "app", "docker.io/library/app").expect(8).out)


def test_what_is_known_and_not_looked_at_is_not_up(run: Run, stub: StubClient) -> None:
    stub.answers["repositories"] = ["A/B", REPO]
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (BOB_STATUS,))
    found = samples(run("status", "--format", "prometheus").expect(12).out)
    assert (found["notarypy_repository_up", "A/B"], found["notarypy_repository_up", REPO]) == (0, 1)


@pytest.mark.usefixtures("several")
def test_a_file_is_replaced_as_a_whole(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "notarypy.prom"
    target.write_text("old")
    for form in WATCHED:
        printed = run("status", "--format", form)
        written = run("status", "--format", form, "-o", str(target)).expect(printed.code)
        assert (written.out, target.read_text()) == ("", printed.out)
    assert target.stat().st_mode & 0o777 == 0o644  # whoever collects is another user
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    for line in (["--json", "status"], ["status", "--format", "json"]):
        printed = run(*line)
        assert run(*line, "-o", str(target)).out == ""
        assert target.read_text() == printed.out
        assert printed.document["exit"] == 8


def test_what_goes_wrong_before_leaves_the_file(run: Run, stub: StubClient, tmp_path: Path) -> None:
    target = tmp_path / "notarypy.prom"
    target.write_text("old")
    stub.answers["repositories"] = []
    run("status", "--format", "prometheus", "-o", str(target)).expect(12)
    stub.answers["status"] = KeyboardInterrupt()
    run("status", "--format", "prometheus", "-o", str(target), REPO).expect(130)
    assert target.read_text() == "old"


def test_forms_that_do_not_go_together_are_refused(run: Run, tmp_path: Path) -> None:
    for form in WATCHED:
        assert (
            "two forms"
            in run("--json", "status", "--format", form, REPO).expect(2).document["error"]["message"]
        )
    assert "leave -o out" in run("status", "-o", str(tmp_path / "x"), REPO).expect(2).err
    run("status", "--format", "junit", "-o", str(tmp_path / "no" / "x"), REPO).expect(1)
    run("status", "--format", "xml", REPO).expect(2)


def test_format_json_is_json(run: Run, several: StubClient) -> None:
    documents = [
        run(*line).expect(8).document for line in (["--json", "status"], ["status", "--format", "json"])
    ]
    assert documents[0] == documents[1]
    root, bob = documents[0]["results"][0]["roles"]
    assert (root["days_left"], bob["days_left"]) == (60, None)
    assert several.calls


@pytest.mark.parametrize(("days", "shown"), [(-1, "ended"), (0, "0 days"), (1, "1 day"), (400, "400 days")])
def test_the_table_says_how_long_is_left(run: Run, stub: StubClient, days: int, shown: str) -> None:
    role = replace(ROOT_STATUS, days_left=days, due=False)
    stub.answers["status"] = RepositoryStatus(REPO, "https://n.test", (role,))
    assert f"Z   {shown}   " in run("status", REPO).expect(0).out.replace("  " * 2, "   ")


@pytest.mark.parametrize("command", ["status", "renew"])
def test_repositories_are_in_a_file(run: Run, stub: StubClient, tmp_path: Path, command: str) -> None:
    answers: dict[str, Any] = {"status": STATUS}
    stub.answers.update(answers)
    listed = tmp_path / "repositories"
    listed.write_text(f"# ours\n{OTHER}  # and theirs\n\n{GONE}\n")
    stub.answers[command] = UnreachableError("no")
    run(command, REPO, "--from-file", str(listed)).expect(8)
    assert [call[1] for call in stub.calls if call[0] == command] == [(REPO,), (OTHER,), (GONE,)]
    listed.write_text(f"{OTHER}:1\n")
    outcome = run(command, "--from-file", str(listed)).expect(2)
    assert f"line 1 of {listed}" in outcome.err
    assert "one REPO a line" in outcome.err
    listed.write_text("# none\n")
    run(command, "--from-file", str(listed)).expect(12)
