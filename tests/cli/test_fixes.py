"""Every command that an error, a warning or a document tells people to run exists, with its options."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.app import COMMANDS
from support.sources import FILES, PACKAGE, tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.commands import Run

WORDS = ("help", "version")  # in place of options
NOUNS = ("admission", "delegate", "signer", "key", "migrate")
# `notarypy` and the words after it, where a text says to run it.
ADVICE = re.compile(
    r"(?:^|[:;,(] ?|\b(?:or|run|with|by|see) )`?notarypy ((?:[a-z]+(?:-[a-z]+)*)(?: [^;:`]*)?)"
)


def texts(path: Path) -> Iterator[str]:
    """Yield every text of a module but docstrings; what is filled in later reads {}."""
    nodes = list(ast.walk(tree(path)))
    joined = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    elsewhere = joined | {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in elsewhere:
            yield str(node.value)


@cache
def advice() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(PACKAGE)), match.strip())
        for path in FILES
        for text in texts(path)
        for match in ADVICE.findall(text)
    ]


def named(words: str) -> list[str]:
    """Return the command at the beginning of a command line."""
    first, *rest = words.split()
    return [first, *rest[:1]] if first in NOUNS else [first]


def test_there_is_advice_to_check() -> None:
    assert len(advice()) > 100


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, ...], str]:
    """Return the help texts that were shown already, by command."""
    return {}


def lacking(run: Run, known: dict[tuple[str, ...], str], words: str) -> list[str]:
    """Return the options in a command line that neither the command nor the program has."""
    for command in (tuple(named(words)), ()):
        if command not in known:
            known[command] = run("help", *(command or ("options",))).expect(0).out
    text = known[tuple(named(words))] + known[()]
    return [option for option in re.findall(r"--[a-z][a-z0-9-]*", words) if f"{option} " not in text]


def test_every_command_that_is_named_exists(run: Run, known: dict[tuple[str, ...], str]) -> None:
    for module, words in advice():
        if named(words)[0] not in WORDS:
            assert named(words)[0] in COMMANDS, f"{module} tells to run: notarypy {words}"
            assert lacking(run, known, words) == [], f"{module} tells to run: notarypy {words}"


def test_examples_in_the_help_can_be_read(run: Run, known: dict[tuple[str, ...], str]) -> None:
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for line in re.findall(r"^ +notarypy ([a-z].*)$", path.read_text(), re.MULTILINE):
            assert lacking(run, known, line) == [], line
