"""The report: one exit code out of many, and one place that prints."""

from __future__ import annotations

import itertools
import json
import sys
from typing import TYPE_CHECKING

import pytest

from notarypy import errors
from notarypy.cli.declared import GivenOptions
from notarypy.cli.report import Report
from notarypy.errors import NotarypyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.commands import Run, StubClient

WORST_FIRST = (4, 10, 11, 5, 3, 6, 7, 9, 8, 2, 12, 1)


def error_classes() -> Iterator[type[NotarypyError]]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, NotarypyError):
            yield value


def an_error(code: int) -> NotarypyError:
    return next(kind for kind in error_classes() if kind.exit_code == code)("it failed")


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(WORST_FIRST, 2)))
def test_the_worst_exit_code_wins(worse: int, better: int) -> None:
    for first, second in ((worse, better), (better, worse)):
        report = Report(GivenOptions())
        report.failed(["a"], an_error(first))
        report.done("b", {})
        report.failed(["c"], an_error(second))
        assert report.finish() == worse


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (["init"], "init"),
        (["sign"], "sign"),
        (["revoke"], "revoke"),
        (["revoke", "--all", "--yes"], "revoke_all"),
        (["renew"], "renew"),
        (["status"], "status"),
        (["inspect"], "inspect"),
        (["verify"], "verify_unless_skipped"),
        (["verify", "--all-tags"], "images.signed_tags"),
        (["signer", "remove", "--force", "jeff"], "remove_signer"),
        (["delegate", "purge", "--key", "49ed06e"], "keys.purge"),
        (["key", "export"], "keys.find"),
        (["key", "remove", "--yes"], "keys.find"),
    ],
)
def test_every_verb_says_which_of_several_an_error_is_about(
    run: Run, stub: StubClient, words: list[str], method: str
) -> None:
    refs = ["a.test/a", "b.test/b"]
    stub.answers[method] = lambda *_, **__: errors.UnreachableError("gone")
    outcome = run(*words, *refs).expect(8)
    assert [line for line in outcome.err.splitlines() if "for: " in line] == [f"  for: {ref}" for ref in refs]
    assert "for: " not in run(*words, refs[0]).expect(8).err


def test_tags_that_are_published_together_are_named_together(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = lambda *_, **__: errors.UnreachableError("gone")
    outcome = run("sign", "a.test/a:1", "b.test/b:1", "a.test/a:2").expect(8)
    assert outcome.err.count("gone") == 2
    assert "  for: a.test/a:1, a.test/a:2\n" in outcome.err
    assert "  for: b.test/b:1\n" in outcome.err


def test_every_exit_code_of_the_library_has_its_rank() -> None:
    assert {kind.exit_code for kind in error_classes()} == set(WORST_FIRST)


@pytest.mark.parametrize("code", [129, 130, 143])
def test_an_interruption_beats_all(code: int) -> None:
    report = Report(GivenOptions())
    report.failed(["a"], an_error(4))
    report.interrupt(code)
    assert report.finish() == code


def test_every_error_tells_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in error_classes():
        report = Report(GivenOptions(), command="verify")
        report.fail(kind("it failed"))
        assert capsys.readouterr().err.startswith(f"notarypy: error: it failed [{kind.code}]\n  fix: ")


def test_a_held_report_is_all_or_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(GivenOptions(), hold=True)
    report.done("a", {}, "first")
    report.text("second\n")
    assert capsys.readouterr().out == ""
    assert report.finish() == 0
    assert capsys.readouterr().out == "first\nsecond\n"
    report.failed(["b"], an_error(8))
    assert report.finish() == 8
    assert capsys.readouterr().out == ""


def test_lines_are_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    Report(GivenOptions()).done("a", {}, "one\ntwo\x1b", "three")
    assert capsys.readouterr().out == "one\\ntwo\\x1b\nthree\n"


def test_what_nobody_sees_is_not_made(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(GivenOptions())
    report.done("a", lambda: pytest.fail("nobody asked for it"), "shown")
    assert (report.finish(), capsys.readouterr().out) == (0, "shown\n")
    report = Report(GivenOptions(json=True))
    report.done("a", lambda: {"made": True}, "not shown")
    report.table(("A",), (pytest.fail("nobody sees it") for _ in "a"))
    assert report.finish() == 0
    assert json.loads(capsys.readouterr().out)["results"] == [{"ref": "a", "ok": True, "made": True}]


def test_facts_of_any_kind_become_json(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(GivenOptions(json=True))
    report.fail(errors.StorageError("it failed", set={2, 1}, bytes=b"x", name="\udcff\u2028"))
    assert report.finish() == 1
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["error"]["facts"] == {"set": ["1", "2"], "bytes": "b'x'", "name": "\udcff\u2028"}


class Broken:
    """A standard output that fails when something is written, or when it is flushed."""

    def __init__(self, error: OSError, *, late: bool) -> None:
        self.error, self.late = error, late

    def write(self, _: str) -> int:
        if not self.late:
            raise self.error
        return 0

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize(("error", "told"), [(BrokenPipeError(), 0), (OSError(28, "No space left"), 1)])
def test_an_output_that_breaks_does_not_stop_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, told: int, late: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(error, late=late))
    report = Report(GivenOptions())
    report.done("a", {}, "first")
    report.done("b", {}, "second")
    assert report.finish() == 1
    assert capsys.readouterr().err.count("cannot write to standard output") == told


def test_an_output_that_is_closed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    report = Report(GivenOptions())
    report.done("a", {}, "first")
    assert report.finish() == 1
    assert "it is closed" in capsys.readouterr().err


def test_an_error_output_that_is_gone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    report = Report(GivenOptions())
    report.warn("beware")
    report.failed(["a"], an_error(5))
    assert report.finish() == 5
