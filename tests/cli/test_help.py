"""The help of the program, of its commands and of topics: on one screen each, and in the same words."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from docs import pages, programs
from notarypy.cli import app, declared
from notarypy.cli.text.helptopics import GROUPS, TOPICS

if TYPE_CHECKING:
    from support.commands import Run

LINES, COLUMNS = 40, 80
NOUNS = sorted(name for name in app.COMMANDS if isinstance(app.find(name), declared.Commands))
WORDS = {name: words for group in GROUPS.values() for name, words in group.items()}


def beginning(name: str) -> str:
    found = app.find(name)
    text = found.about if isinstance(found, declared.Commands) else inspect.getdoc(found)
    return str(text).partition("\n")[0]


def test_every_command_is_in_one_group_in_the_words_that_its_help_begins_with() -> None:
    assert sum(map(len, GROUPS.values())) == len(WORDS)
    assert {name: beginning(name) for name in app.COMMANDS} == WORDS


def test_the_page_of_the_program_fits_a_screen_and_names_all_commands_and_topics(run: Run) -> None:
    text = run("--help").expect(0).out
    assert len(text.splitlines()) <= LINES
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert {*app.COMMANDS, *TOPICS} <= {word.rstrip(",.") for word in text.split()}


@pytest.mark.parametrize("command", sorted(programs.commands() - set(app.RAW)))
def test_the_help_of_a_command_fits_a_screen(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    lines = run(*command.split(), "--help").expect(0).out.splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    noun, _, inner = command.partition(" ")
    found = app.find(noun)
    function = found.by_name[inner] if isinstance(found, declared.Commands) else found
    assert function is not None
    helps = [str(each.record.how["help"]) for each in declared.options(function)]
    words = " ".join([function.__doc__ or "", *helps]).split()
    assert [word for word in words if "-" in word and word not in " ".join(lines)] == []


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_is_no_command_and_fits_the_width_of_a_terminal(run: Run, name: str) -> None:
    text = run("help", name).expect(0).out
    assert name not in app.COMMANDS
    assert text.startswith(f"{TOPICS[name][0]}\n\n")
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert text == "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize("noun", NOUNS)
def test_no_line_about_a_command_is_cut_off(run: Run, noun: str) -> None:
    assert "..." not in run(noun, "--help").expect(0).out.partition("Commands:")[2].partition("Also ")[0]


def test_the_topic_of_options_has_all_that_every_command_takes(run: Run) -> None:
    text = run("help", "options").expect(0).out
    for word in ("-s, --server URL", "--insecure-registry HOST", "--version", "-h, --help"):
        assert f"  {word} " in text


def test_the_topic_of_names_has_the_words_of_the_documentation() -> None:
    documented = {cells[0] for cells in pages.table(pages.read("docs/cli.md"), "word")}
    assert {part[0] for part in TOPICS["names"][1] if isinstance(part, tuple)} == documented


@pytest.mark.parametrize(
    ("argv", "message", "fix"),
    [
        (
            ["help", "enviroment"],
            'there is no command "enviroment"',
            "did you mean: notarypy help environment",
        ),
        (["exit-code"], 'there is no command "exit-code"', "did you mean: notarypy help exit-codes"),
        (["help", "exit"], 'there is no command "exit"', "did you mean: notarypy help exit-codes"),
        (["verify", "--signer"], "option '--signer' requires an argument", "see notarypy verify --help"),
        (["key", "add", "--name"], "option '--name' requires an argument", "see notarypy key add --help"),
        (["verify", "--server"], "option '--server' requires an argument", "see notarypy help options"),
        (["hlp"], 'there is no command "hlp"', "did you mean: notarypy help"),
        (["help", "names", "sign"], '"sign" follows a topic', "leave sign out"),
    ],
)
def test_a_topic_that_is_meant_is_named(run: Run, argv: list[str], message: str, fix: str) -> None:
    outcome = run(*argv).expect(2)
    assert outcome.err == f"notarypy: error: {message} [usage]\n  fix: {fix}\n"
