"""Colour: where a person looks, and nowhere that a program reads."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import colour, render
from notarypy.errors import TagUnsignedError

if TYPE_CHECKING:
    from support.commands import Run, StubClient

RED, BOLD, END = "\x1b[1;31m", "\x1b[1m", "\x1b[0m"
TERMINAL, PIPE = "a terminal", "a pipe"


class Stream(io.StringIO):
    """A stream that is a terminal, or is none."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def isatty(self) -> bool:
        """Say which."""
        return self.kind == TERMINAL


@pytest.mark.parametrize(
    ("choice", "kind", "environ", "coloured"),
    [
        ("auto", TERMINAL, {"TERM": "xterm"}, True),
        ("auto", TERMINAL, {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("auto", TERMINAL, {"TERM": "xterm", "NO_COLOR": "0"}, False),
        ("auto", TERMINAL, {"TERM": "dumb"}, False),
        ("auto", TERMINAL, {}, False),
        ("auto", PIPE, {"TERM": "xterm"}, False),
        ("auto", PIPE, {"TERM": "xterm", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
        ("never", TERMINAL, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
        ("always", PIPE, {"NO_COLOR": "1"}, True),
    ],
)
def test_who_gets_colour_on_standard_output(
    choice: str, kind: str, environ: dict[str, str], *, coloured: bool
) -> None:
    assert (colour.painter(Stream(kind), choice, environ) is not None) == coloured
    assert colour.painter(None, choice, environ) is None


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({"FORCE_COLOR": "1"}, True),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_a_pipeline_that_wants_colour_gets_it_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], *, coloured: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", Stream(PIPE))
    assert (colour.painter(sys.stderr, "auto", environ) is not None) == coloured


def test_an_error_has_its_labels_in_colour_and_says_the_same() -> None:
    error = TagUnsignedError("r.test/a:1 is not signed", why=("a why: within\nfix: nothing", "error: none"))
    text = render.error_text(error)
    shown = colour.Painter().message(text)
    assert shown.splitlines()[0].startswith(f"notarypy: {RED}error:{END} r.test/a:1 is not signed")
    assert shown.count(f"{BOLD}  why:{END}") == 2
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == text


def test_only_verdicts_of_this_program_are_coloured() -> None:
    header, rows = ("STATE", "ABOUT"), [("bad", "ok"), ("ok", "bad"), ("", "x")]
    text = render.table(header, rows, None, colour.Painter())
    assert text.splitlines() == [
        f"{BOLD}STATE{END}     {BOLD}ABOUT{END}",
        f"{RED}bad{END}       ok",
        f"\x1b[32mok{END}        bad",
        "          x",
    ]
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == render.table(header, rows)


def test_a_list_of_cells_is_coloured_too() -> None:
    text = render.table(("STATE", "ABOUT"), [("bad", "x" * 40)], 30, colour.Painter())
    assert text.splitlines()[0] == f"{BOLD}STATE{END} {RED}bad{END}"


def test_documents_and_references_are_never_coloured(run: Run, stub: StubClient) -> None:
    from support.results import JEFF

    stub.answers["delegations"] = (JEFF,)
    assert BOLD in run("--color", "always", "delegate", "list", "r.test/a").expect(0).out
    assert "\x1b" not in run("--color", "always", "--json", "delegate", "list", "r.test/a").expect(0).out
    assert "\x1b" not in run("delegate", "list", "--color", "never", "r.test/a").expect(0).out


def test_an_error_on_the_command_line_is_coloured_when_that_is_asked(run: Run) -> None:
    assert (
        run("--color", "always", "nothing").expect(2).err.startswith(f"notarypy: {RED}error:{END} there is")
    )
    assert run("nothing").expect(2).err.startswith("notarypy: error: there is")
