from __future__ import annotations

import re

import pytest

from docs import pages, programs

CLI = pages.sections(pages.read("docs/cli.md"))
COMMANDS = sorted(programs.commands())


def documented(section: str) -> dict[str, tuple[str, str]]:
    """Return the options of a section's table as `programs.options` does."""
    found: dict[str, tuple[str, str]] = {}
    for cells in [row for found in pages.tables(section) for row in found]:
        shorts = re.findall(r"`(-\w)`", cells[0])
        for long, value in re.findall(r"`(--[\w-]+)(?: ([^`]+))?`", cells[0]):
            found[long] = (shorts[0] if shorts else "", value)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_a_command_are_those_of_its_help(command: str) -> None:
    assert documented(CLI[command]) == programs.options(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_words_of_a_command_are_those_of_its_help(command: str) -> None:
    shown = pages.spans(CLI[command])[0]
    assert shown.replace(" [OPTIONS]", "") == programs.usage(command)
    assert ("[OPTIONS]" in shown) == bool(programs.options(command))


def test_every_command_has_a_section_and_no_section_is_left_over() -> None:
    assert set(CLI) - {"Words", "Global options", "Output"} == set(COMMANDS)


def test_global_options_are_those_of_the_help() -> None:
    assert documented(CLI["Global options"]) == programs.options()


def test_the_readme_lists_every_command_with_its_words() -> None:
    listed = [pages.code(cells[0]) for cells in pages.table(pages.read("README.md"), "command")]
    # What the scripts of shells write behind a command is nothing for people.
    usages = (programs.usage(command).removesuffix(" [WORD...]") for command in COMMANDS)
    required = {re.sub(r"\[(.*)\]", r"\1", usage) for usage in usages}
    assert sorted(listed) == sorted(required)


def test_the_readme_names_only_variables_that_the_help_or_the_configuration_page_names() -> None:
    known = programs.help_of("environment") + programs.help_of("passphrases")
    known += pages.read("docs/configuration.md")
    for cells in pages.table(pages.read("README.md"), "variable"):
        for variable in re.findall(r"`(\w+)", cells[0]):
            assert variable in known


def test_exit_codes_are_those_of_the_help() -> None:
    listed = re.findall(r"^ +(\d+)  +\S", programs.help_of("exit-codes"), re.MULTILINE)
    for page in ("README.md", "docs/errors.md"):
        assert [cells[0] for cells in pages.table(pages.read(page), "exit")] == listed
