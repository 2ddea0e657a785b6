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
from notarypy.cli.text import render

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

HEADER = ("ROLE", "VERSION", "ENDS", "KEY IDS")
ROWS = [
    ("targets/jeff", "3", "2027-01-02T03:04:05Z", ", ".join(("f5a2a64" * 10, "c" * 64))),
    ("targets/with-a-long-name-that-nobody-needs", "12", "the signature is not good at all", ""),
]
PLAIN = render.table(HEADER, ROWS)
WIDE = len(max(PLAIN.splitlines(), key=len))


def cells(table: str, header: tuple[str, ...]) -> list[list[str]]:
    """Return the cells of a table that may have been broken, without blanks; a row begins with its number."""
    first, *lines = table.splitlines()
    starts = [first.index(name.split()[0]) for name in header]
    found: list[list[str]] = []
    for line in lines:
        parts = [line[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
        if parts[1].strip().isdigit():
            found.append([""] * len(header))
        if found:
            found[-1] = [old + new.replace(" ", "") for old, new in zip(found[-1], parts, strict=True)]
    return found


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_and_nothing_of_it_is_lost(columns: int) -> None:
    shown = render.table(HEADER, ROWS, columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert cells(shown, HEADER) == [[cell.replace(" ", "") for cell in row] for row in ROWS]


def test_columns_that_are_narrow_stay_whole() -> None:
    first, *_ = render.table(HEADER, ROWS, 80).splitlines()
    assert first.split() == ["ROLE", "VERSION", "ENDS", "KEY", "IDS"]
    assert "2027-01-02T03:04:05Z" in render.table(HEADER, ROWS, 200)


def test_where_there_is_room_a_table_is_not_broken() -> None:
    assert len(render.table(HEADER, ROWS, WIDE).splitlines()) == 3
    assert len(render.table(HEADER, ROWS, WIDE - 1).splitlines()) > 3


@pytest.mark.parametrize("columns", [1, 5, 20])
def test_a_terminal_that_is_far_too_small_gets_everything(columns: int) -> None:
    shown = render.table(HEADER, ROWS, columns)
    assert sorted("".join(shown.split())) == sorted("".join(PLAIN.split()))


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
