"""The manual says what the help says, and is made with nothing but Python."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from docs import pages, programs
from notarypy import __version__
from notarypy.cli import app, declared
from notarypy.cli.declared import Commands
from notarypy.cli.dockertrust import grammar
from notarypy.cli.gonotary import commands
from notarypy.cli.text import helptopics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from notarypy.cli.cobra import Command
    from notarypy.cli.declared import Function

_ESCAPES = {
    r"\-": "-",
    r"\(aq": "'",
    r"\(ga": "`",
    r"\(ha": "^",
    r"\(ti": "~",
    r"\(dq": '"',
    r"\&": "",
    r"\e": "\\",
}


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all pages, as Python without any package makes them."""
    folder = tmp_path_factory.mktemp("manual")
    script = str(pages.ROOT / "scripts" / "manpages")
    subprocess.run([sys.executable, "-I", "-S", "-B", script, str(folder)], check=True, timeout=60)
    return folder


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--nothing"], 2), ([], 2), (["a", "b"], 2)])
def test_an_option_is_no_folder(tmp_path: Path, words: list[str], code: int) -> None:
    script = str(pages.ROOT / "scripts" / "manpages")
    done = subprocess.run([sys.executable, script, *words], cwd=tmp_path, check=False, capture_output=True)
    assert (done.returncode, list(tmp_path.iterdir())) == (code, [])
    assert b"usage: manpages" in done.stdout + done.stderr


def shown(page: Path) -> str:
    """Return the words of a page, with single blanks between them."""
    text = page.read_text(encoding="ascii")
    text = re.sub(r"^\.(?:BR (\S+) \(1\)(,?)|[A-Za-z]+ ?)", r"\1\2", text, flags=re.MULTILINE)
    text = re.sub(r"\\f[BR]", "", text)
    for roff, plain in _ESCAPES.items():
        text = text.replace(roff, plain)
    return " ".join(text.split())


def functions() -> list[tuple[str, Function]]:
    found: list[tuple[str, Function]] = []
    for name in app.COMMANDS:
        known = app.find(name)
        if isinstance(known, Commands):
            found += [(f"{name} {inner}", function) for inner, function in known.by_name.items()]
        elif known is not None and name not in app.RAW:
            found.append((name, known))
    return found


def test_every_command_has_a_page_and_no_page_is_left_over(manual: Path) -> None:
    expected = {f"notarypy-{name.replace(' ', '-')}" for name in programs.commands() - set(app.RAW)}
    nouns = {f"notarypy-{name}" for name in app.COMMANDS if isinstance(app.find(name), Commands)}
    assert {path.stem for path in manual.iterdir()} == {
        *expected,
        *nouns,
        "notarypy",
        "docker-trust",
        "notary",
    }


def test_a_page_says_what_the_help_says(manual: Path) -> None:
    for name, function in functions():
        text = shown(manual / f"notarypy-{name.replace(' ', '-')}.1")
        assert f"notarypy {name} [OPTIONS]" in text
        for word in " ".join((function.__doc__ or "").replace("Example:", "").split("\n")).split():
            assert word in text
        for each in (*declared.arguments(function), *declared.options(function)):
            assert " ".join(str(each.record.how["help"]).split()) in text
            assert str(each.record.how.get("metavar") or "") in text
            assert each.is_argument or all(option in text for option in each.names)
        examples = (function.__doc__ or "").partition("Example:")[2].strip().splitlines()
        assert examples
        assert all(line.strip() in text for line in examples)


def test_the_page_of_the_program_has_all_topics(manual: Path) -> None:
    text = shown(manual / "notarypy.1")
    for about in (about for group in helptopics.GROUPS.values() for about in group.values()):
        assert about in text
    for _, parts in helptopics.TOPICS.values():
        for part in parts:
            words = part if isinstance(part, tuple) else (part,)
            assert all(
                " ".join(each.split()) in text for each in words if each.rstrip(":") not in helptopics.GROUPS
            )
    for each in declared.GLOBAL_OPTIONS:
        assert str(each.record.how["help"]) in text
        assert all(option in text for option in each.names)
    assert __version__ in text


@pytest.mark.parametrize(
    ("program", "table"), [("docker-trust", grammar.COMMANDS), ("notary", commands.COMMANDS)]
)
def test_the_page_of_a_program_has_all_of_its_table(
    manual: Path, program: str, table: Sequence[Command]
) -> None:
    text = shown(manual / f"{program}.1")
    for command in table:
        if command.function:
            assert " ".join(f"{program} {' '.join(command.words)} {command.usage}".split()) in text
            assert command.about in text
            assert all(flag.help in text for flag in command.flags)


def test_a_page_refers_to_pages_that_are_there(manual: Path) -> None:
    there = {path.stem for path in manual.iterdir()}
    for path in manual.iterdir():
        referred = re.findall(r"^\.BR (\S+) \(1\)", path.read_text(), re.MULTILINE)
        assert {name.replace("\\-", "-") for name in referred} <= there


def test_a_line_of_text_is_no_request(manual: Path) -> None:
    known = r"\.(TH|SH|SS|PP|TP|BR|RS|RE|nf|fi|nh|ad|br)\b|[^.']"
    for path in manual.iterdir():
        assert all(re.match(known, line) for line in path.read_text().splitlines())
