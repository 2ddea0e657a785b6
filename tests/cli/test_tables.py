"""Tables fit the terminal, and are left as they are where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from cli.test_terminal import read_screen
from notarypy.cli import run as running
from notarypy.cli.text import render, tables

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

HEADER = ("ROLE", "VERSION", "ENDS", "KEY IDS")
ROWS = [
    ("targets/jeff", "3", "2027-01-02T03:04:05Z", ", ".join((("f5a2a64" * 10)[:64], "c" * 64))),
    ("targets/with-a-long-name-that-nobody-needs", "12", "the signature is not good at all", ""),
]
PLAIN = render.table(HEADER, ROWS)
WIDE = len(max(PLAIN.splitlines(), key=len))


@pytest.mark.parametrize("columns", [40, 80, 100, 240])
def test_a_table_fits_and_breaks_no_word_and_no_date(columns: int) -> None:
    shown = render.table(HEADER, ROWS, columns)
    assert max(map(len, shown.splitlines())) <= columns
    for part in ("targets/", "jeff", "2027-01-02T03:04:05Z", "signature", *HEADER):
        assert part in shown
    assert ("c" * 13 in shown) == (columns == 240), "ids are whole where there is room"
    assert "c" * 12 in shown


def test_paths_are_broken_between_their_parts() -> None:
    rows = [
        (
            "root",
            "registry.example.com/a/team/demo",
            "c" * 64,
            f"/home/someone/.docker/private/{'c' * 64}.key",
        )
    ]
    lines = render.table(("ROLE", "GUN", "KEY ID", "LOCATION"), rows, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[-1] for line in lines] == [
        "LOCATION",
        "/home/someone/.docker/",
        f"private/{'c' * 12}*.key",
    ]


def test_a_long_role_leaves_the_others_whole() -> None:
    header = ("ROLE", "VERSION", "ENDS", "LEFT", "KEYS", "HERE")
    names = ("targets/releases", "targets/bob-with-a-long-name-of-a-person-or-a-robot-somewhere")
    rows = [(name, "12", "2029-11-28T19:00:00Z", "1094 days", "bb10b54c9e42", "yes") for name in names]
    lines = render.table(header, rows, 80).splitlines()
    assert lines[1].split()[0] == names[0]
    assert max(map(len, lines)) <= 80


def test_at_a_terminal_tables_with_titles_stand_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for columns, apart in ((60, "\n"), (None, "")):
        monkeypatch.setattr("notarypy.cli.text.terminal.columns", lambda columns=columns: columns)
        report = running.Run().report
        for title in ("a", "b"):
            report.table(("ROLE",), [("root",)], title)
        assert [line.strip() for line in capsys.readouterr().out.splitlines()] == (
            ["a", "ROLE", "root", *([""] if apart else []), "b", "ROLE", "root"]
        )


def test_a_name_that_looks_like_an_id_stays_whole() -> None:
    assert "c" * 64 in render.table(("SIGNED TAG", "DIGEST"), [("c" * 64, "d" * 64)], 100)


def test_where_no_column_fits_a_row_is_a_list() -> None:
    assert render.table(HEADER, ROWS[:1], 40).splitlines() == [
        "ROLE    targets/jeff",
        "VERSION 3",
        "ENDS    2027-01-02T03:04:05Z",
        "KEY IDS f5a2a64f5a2a, cccccccccccc",
    ]


def test_where_room_lacks_a_column_without_a_cell_is_left_out() -> None:
    header, rows = ("TIME", "WHAT", "DIGEST"), [("2027-01-02T03:04:05Z", "it was signed", "")]
    assert render.table(header, rows, 42).splitlines()[0] == "TIME                   WHAT"
    assert "DIGEST" in render.table(header, rows, 80)
    assert "DIGEST" in render.table(header, rows)
    for nothing in ([], [("", "", "")]):
        render.table(header, nothing, 5)


def test_where_there_is_room_a_table_is_not_broken() -> None:
    assert len(render.table(HEADER, ROWS, WIDE).splitlines()) == 3
    assert "c" * 64 not in render.table(HEADER, ROWS, WIDE - 1)


@pytest.mark.parametrize("columns", [1, 5, 20])
def test_a_terminal_that_is_far_too_small_gets_everything(columns: int) -> None:
    shown = render.table(HEADER, ROWS, columns)
    assert "".join(ROWS[1][0].split()) in "".join(part[len("VERSION ") :] for part in shown.splitlines())


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("日本語", 6), ("e\u0301te\u0301", 3), ("🚀", 2), ("ﬀ", 1), ("한글", 4), ("", 0)],
)
def test_a_text_is_as_wide_as_a_terminal_shows_it(text: str, columns: int) -> None:
    assert tables.width(text) == columns


@pytest.mark.parametrize("columns", [24, 40, 80])
def test_wide_and_combining_characters_keep_the_columns_in_place(columns: int) -> None:
    rows = [("targets/日本語の長い名前" * 2, "7"), ("targets/e\u0301te\u0301", "12"), ("targets/plain", "3")]
    lines = render.table(("ROLE", "VERSION"), rows, columns).splitlines()
    assert max(map(tables.width, lines)) <= columns
    if columns > 24:
        before = {tables.width(line.rpartition("  ")[0]) for line in lines if not line.startswith("  ")}
        assert len(before) <= 2, "the second column begins in one place"


def test_what_nobody_reads_at_a_terminal_is_cut_and_a_pipe_has_it() -> None:
    rows = [("targets", "x" * 5000)]
    at_a_terminal = render.table(("ROLE", "PATHS"), rows, 80)
    assert at_a_terminal.rstrip().endswith("x...")
    assert len(at_a_terminal.splitlines()) < 12
    assert "x" * 5000 in render.table(("ROLE", "PATHS"), rows)


@pytest.mark.parametrize("columns", ["40", "200"])
def test_in_a_pipe_the_terminals_width_does_not_count(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    from support.results import JEFF

    stub.answers["delegations"] = (JEFF,)
    monkeypatch.setenv("COLUMNS", columns)
    assert len(run("delegate", "list", "registry.test/app").expect(0).out.splitlines()) == 2


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_at_a_terminal_its_width_counts(home: Path, columns: int) -> None:
    program = [sys.executable, "-m", "notarypy", "key"]
    environ = {"HOME": str(home), "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "a passphrase of tests"}
    subprocess.run([*program, "generate", "jeff", "--dir", str(home)], env=environ, check=True, timeout=60)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([*program, "list"], stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        screen = ""
        while shown := read_screen(ours):
            screen += shown
        assert process.wait() == 0, screen
    os.close(ours)
    lines = screen.replace("\r\n", "\n").splitlines()
    assert lines[0].split()[0] == "ROLE"
    assert max(map(len, lines)) <= columns
