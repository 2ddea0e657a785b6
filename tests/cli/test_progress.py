"""How far a command is: for a person who waits at a terminal, and erased at the end."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from cli.test_terminal import read_screen
from notarypy.cli import run as running
from notarypy.cli.text import progressline, tables, terminal
from support.loopback import Server

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from support.commands import Run, StubClient

CLEAR = "\r\x1b[K"


class Screen(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        """Say so."""
        return True

    @property
    def now(self) -> str:
        """What is on it."""
        return self.getvalue().rpartition(CLEAR)[2]


class Watch:
    """A line on a screen, and the time that it goes by."""

    def __init__(self, columns: int = 80) -> None:
        self.screen, self.seconds = Screen(), 0.0
        self.line = progressline.ProgressLine(self.screen, lambda: self.seconds, lambda: columns)

    def after(self, seconds: float) -> str:
        """Return what is on the screen so much later."""
        self.seconds += seconds
        self.line.draw()
        return self.screen.now


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests draw, and no thread."""
    monkeypatch.setattr(progressline, "_EVERY_SECONDS", 3600)
    monkeypatch.setattr(terminal, "_shown", [])
    monkeypatch.setenv("TERM", "xterm")


def test_only_somebody_who_looks_gets_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr("sys.stderr", stream)
        assert running.Run().progress() is None
    monkeypatch.setattr("sys.stderr", Screen())
    assert running.Run().progress() is not None
    for unwanted in ("json", "quiet", "verbose"):
        begun = running.Run()
        begun.options.take(unwanted, value=1)
        assert begun.progress() is None
    for nothing in ("dumb", None):
        monkeypatch.setenv("TERM", nothing) if nothing else monkeypatch.delenv("TERM")
        assert running.Run().progress() is None


def test_what_takes_a_second_is_shown_and_erased() -> None:
    watch = Watch()
    work = watch.line.work()
    work.begin("pushing \x1b[31mapp", 3_000_000)
    work.moved(1_000)
    assert watch.after(0.9) == watch.screen.getvalue() == ""
    assert watch.after(0.2) == f"pushing \\x1b[31mapp [{' ' * 24}]   0% 1.0 kB/3.0 MB 1 s"
    work.moved(1_499_000)
    assert watch.after(0.1) == f"pushing \\x1b[31mapp [{'#' * 12}{' ' * 12}]  50% 1.5 MB/3.0 MB 1 s"
    assert watch.after(5).endswith(" 1.5 MB/3.0 MB 6 s")  # it is alive, though nothing moves
    work.end()
    assert watch.after(9) == ""
    assert watch.screen.getvalue().endswith(CLEAR)


def test_what_is_quick_leaves_the_terminal_as_it_was() -> None:
    watch = Watch()
    work = watch.line.work(steps=True)
    work.begin("notarypy status", 3)
    watch.after(0.9)
    work.end()
    assert watch.screen.getvalue() == ""


def test_what_is_not_counted_says_for_how_long() -> None:
    watch = Watch()
    work = watch.line.work(steps=True)
    work.begin("notarypy sign", 0)
    assert watch.after(12) == "notarypy sign 12 s"


def test_the_last_of_several_is_shown_once_it_is_late() -> None:
    watch = Watch()
    outer, inner = watch.line.work(steps=True), watch.line.work(steps=True)
    outer.begin("notarypy export", 0)
    watch.after(5)
    inner.begin("reading", 4)
    assert watch.after(0.5) == "notarypy export 6 s"
    inner.begin("reading", 8)  # more is expected
    inner.moved(4)
    assert watch.after(0.5).startswith("reading [############ ")
    inner.end()
    assert watch.screen.now == ""
    assert watch.after(0).startswith("notarypy export")


def test_the_line_is_away_while_something_else_is_said() -> None:
    watch = Watch()
    watch.line.work().begin("pulling", 5)
    watch.after(2)
    with watch.line.hidden(), watch.line.hidden():
        assert watch.after(2) == ""
    assert watch.after(0).startswith("pulling")


@pytest.mark.parametrize(
    "what", ["registry.example.com/a-name-of-many-letters/app", "pulling oci:/日本語" * 9, ""]
)
@pytest.mark.parametrize("columns", [1, 10, 14, 15, 16, 17, 20, 40, 59, 60, 61, 200])
def test_it_is_one_line_however_narrow_the_terminal_is(columns: int, what: str) -> None:
    watch = Watch(columns)
    watch.line.work().begin(what, 5_000_000)
    shown = watch.after(2)
    assert tables.width(shown) < columns
    assert columns < 40 or "0 B/5.0 MB" in shown
    assert ("[" in shown) == (columns > 60)


def test_a_screen_may_go_away() -> None:
    watch = Watch()
    work = watch.line.work()
    work.begin("pulling", 5)
    watch.after(2)
    watch.screen.close()
    watch.line.draw()
    work.end()


def test_many_are_counted_and_results_are_not_written_into_the_line(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each result erases what the line said, and the next look draws it anew."""
    from support.results import JEFF

    seen, screen, clock = [], Screen(), iter(range(0, 1000, 2))
    line = progressline.ProgressLine(screen, lambda: next(clock), lambda: 80)
    monkeypatch.setattr(terminal, "progress_line", lambda: line)
    monkeypatch.setattr(terminal, "_shown", [line])

    def delegations(*_: object, **__: object) -> object:
        line.draw()
        seen.append(screen.now)
        return (JEFF,)

    stub.answers["delegations"] = delegations
    run("delegate", "list", "registry.test/app").expect(0)
    assert seen[0].startswith("notarypy delegate list ")
    assert screen.now == ""


def test_whoever_waits_for_doctor_sees_that_it_works(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    monkeypatch.setattr(terminal, "progress_line", lambda: watch.line)
    examining = "notarypy.client.doctor.examination.examine"
    seen: list[str] = []

    def examine(*_: object) -> tuple[()]:
        seen.append(watch.after(9))
        return ()

    monkeypatch.setattr(examining, examine)
    run("doctor").expect(0)
    assert seen == ["notarypy doctor 9 s"]
    assert watch.screen.now == ""


def test_steps_are_those_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, begun = Watch(), running.Run()
    begun.report.command = "status"
    monkeypatch.setattr(terminal, "progress_line", lambda: watch.line)
    shown = [watch.after(1) for _ in begun.each(["a", "b", "c", "d"], str)]
    assert [text.split()[-3] for text in shown] == ["1/4", "2/4", "3/4", "4/4"]
    assert watch.after(1) == ""


class Held:
    """A server that answers when it is told to."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def __call__(self, _: bytes, sock: socket.socket) -> bool:
        """Answer that there is nothing."""
        self.told.wait(60)
        sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return False


@pytest.mark.slow
def test_a_silent_server_does_not_look_like_a_program_that_stands_still(home: Path) -> None:
    held = Held()
    server = Server(held, None)
    argv = ["-s", server.url("", "localhost").rstrip("/"), "verify", "--first-use", "registry.test/app:1"]
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "notarypy", *argv]
    environ = {"HOME": str(home), "TERM": "xterm"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, env=environ) as process:
        os.close(theirs)
        screen = ""
        while not re.search(r"notarypy verify \d+ s", screen):
            shown = read_screen(ours)
            assert shown, screen
            screen += shown
        held.told.set()
        while shown := read_screen(ours):
            screen += shown
        assert process.wait(60) == 8
    server.close()
    os.close(ours)
    assert screen.rpartition(CLEAR)[2].startswith("notarypy: \x1b[1;31merror:\x1b[0m")
