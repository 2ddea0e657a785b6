"""Questions are for terminals only."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import terminal

if TYPE_CHECKING:
    from pathlib import Path

FORGET = ["forget", "registry.test/app"]


def control_terminal() -> None:
    """Make standard input the controlling terminal of a new process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def at_a_terminal(
    argv: list[str], answers: list[tuple[str, bytes]], home: Path, environ: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run the program with a terminal for input and errors; return exit code, output, and the screen.

    Each answer is typed when its question has appeared: what is typed before is thrown away.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "notarypy", *argv],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environ or {"HOME": str(home)},
        start_new_session=True,
        preexec_fn=control_terminal,  # noqa: PLW1509 - this test has no threads
        text=True,
    ) as process:
        os.close(theirs)
        screen = ""
        for question, answer in answers:
            seen, before = screen, len(screen)
            while question not in seen[before:]:
                shown = read_screen(ours)
                assert shown, f"it ended without asking {question}: {seen}"
                seen += shown
            os.write(ours, answer)
            screen = seen
        out, _ = process.communicate(timeout=60)
    while text := read_screen(ours):
        screen += text
    os.close(ours)
    return process.returncode, out, screen


def read_screen(terminal: int) -> str:
    """Return what was written to a terminal since; empty, or an error on Linux, when nobody has it open."""
    ready, _, _ = select.select([terminal], [], [], 30)
    assert ready, "nothing appeared on the screen"
    try:
        return os.read(terminal, 4096).decode()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("typed", "code"), [(b"y\n", 0), (b"YES\n", 0), (b"\n", 2), (b"yes!\n", 2), (b"\x04", 2)]
)
def test_a_confirmation_at_a_terminal(home: Path, typed: bytes, code: int) -> None:
    done, out, screen = at_a_terminal(FORGET, [("[y/N] ", typed)], home)
    assert done == code, screen
    assert "Go on? [y/N]" in screen
    assert "Go on?" not in out


def test_a_passphrase_at_a_terminal_is_not_shown(home: Path) -> None:
    answers = [("characters or more: ", b"a long passphrase\n"), ("again: ", b"a long passphrase\n")]
    done, out, screen = at_a_terminal(["key", "generate", "jeff"], answers, home)
    assert done == 0, screen
    assert "a long passphrase" not in screen + out
    assert list((home / ".docker" / "trust" / "private").iterdir())


@pytest.mark.parametrize("typed", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize(
    ("argv", "question"),
    [
        (FORGET, "Go on? [y/N] "),
        (["key", "generate", "jeff"], "characters or more: "),
    ],
)
def test_what_is_said_after_a_question_without_an_answer_has_its_own_line(
    home: Path, argv: list[str], question: str, typed: bytes
) -> None:
    _, _, screen = at_a_terminal(argv, [(question, typed)], home)
    assert re.search(r"\nnotarypy: error: ", screen.partition(question)[2]), screen


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("keep", "keep"), ("K", "keep"), ("re", "revoke"), ("s", "stop"), ("", None), ("x", None)],
)
def test_the_first_letters_are_an_answer(
    monkeypatch: pytest.MonkeyPatch, typed: str, answer: str | None
) -> None:
    monkeypatch.setattr(terminal, "_asked", lambda _: typed)
    assert terminal.choice([], "What?", ("keep", "revoke", "stop")) == answer


def test_nobody_is_asked_without_a_terminal(home: Path) -> None:
    argv = [sys.executable, "-m", "notarypy"]
    for words, code in ((FORGET, 2), (["key", "generate", "jeff"], 6)):
        done = subprocess.run(
            [*argv, *words], env={"HOME": str(home)}, stdin=subprocess.DEVNULL, timeout=60, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "no terminal to" in done.stderr
