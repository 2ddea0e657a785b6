"""The command line of `docker trust`: what is understood, and what is printed instead."""

from __future__ import annotations

import pytest

from notarypy.cli.cobra import Answer, CommandLine
from notarypy.cli.dockertrust.grammar import COMMANDS, help_text, read

NAME = "docker trust"


def answer(*words: str) -> Answer:
    found = read(words, NAME)
    assert isinstance(found, Answer), found
    return found


def call(*words: str) -> CommandLine:
    found = read(words, NAME)
    assert isinstance(found, CommandLine), found
    return found


@pytest.mark.parametrize(
    ("words", "function", "arguments", "flags"),
    [
        ("sign a:1", "images:sign", ["a:1"], {}),
        ("sign --local a:1", "images:sign", ["a:1"], {"local": True}),
        ("sign a:1 --local=false", "images:sign", ["a:1"], {"local": False}),
        ("sign --local --local=0 a:1", "images:sign", ["a:1"], {"local": False}),
        ("revoke -y a", "images:revoke", ["a"], {"yes": True}),
        ("revoke a -yy", "images:revoke", ["a"], {"yes": True}),
        ("revoke -y=F a", "images:revoke", ["a"], {"yes": False}),
        ("revoke --yes -- -a", "images:revoke", ["-a"], {"yes": True}),
        ("revoke -", "images:revoke", ["-"], {}),
        ("key generate --dir d n", "signers:generate", ["n"], {"dir": "d"}),
        ("key generate n --dir=d --dir e", "signers:generate", ["n"], {"dir": "e"}),
        ("key load --name= f", "signers:load", ["f"], {"name": ""}),
        ("key load --name -x f", "signers:load", ["f"], {"name": "-x"}),
        ("signer add --key k n r --key=l s", "signers:add", ["n", "r", "s"], {"key": ["k", "l"]}),
        ("signer remove n r -f", "signers:remove", ["n", "r"], {"force": True}),
        ("inspect a b --pretty", "images:inspect", ["a", "b"], {"pretty": True}),
    ],
)
def test_lines_that_are_understood(
    words: str, function: str, arguments: list[str], flags: dict[str, object]
) -> None:
    assert call(*words.split()) == CommandLine(function, arguments, flags)  # type: ignore[arg-type]  # as given


def test_values_by_kind() -> None:
    found = CommandLine("f", [], {"yes": True, "dir": "d", "key": ["k"]})
    assert (found.switch("yes"), found.switch("no"), found.text("dir"), found.text("no")) == (
        True,
        False,
        "d",
        None,
    )
    assert (found.texts("key"), found.texts("no")) == (["k"], [])


@pytest.mark.parametrize(
    ("words", "text", "path"),
    [
        ("--nope", "unknown flag: --nope", ""),
        ("foo --nope", "unknown flag: --nope", ""),
        ("signer foo --bar", "unknown flag: --bar", "signer"),
        ("sign --nope a", "unknown flag: --nope", "sign IMAGE:TAG"),
        ("sign --loc a", "unknown flag: --loc", "sign IMAGE:TAG"),
        ("sign --help --nope", "unknown flag: --nope", "sign IMAGE:TAG"),
        ("sign ---x a", "bad flag syntax: ---x", "sign IMAGE:TAG"),
        ("sign --=x a", "bad flag syntax: --=x", "sign IMAGE:TAG"),
        ("sign -x a", "unknown shorthand flag: 'x' in -x", "sign IMAGE:TAG"),
        (
            "inspect -pretty a",
            "unknown shorthand flag: 'p' in -pretty",
            "inspect IMAGE[:TAG] [IMAGE[:TAG]...]",
        ),
        ("revoke -yz a", "unknown shorthand flag: 'z' in -z", "revoke [OPTIONS] IMAGE[:TAG]"),
        (
            "sign --local=maybe a",
            'invalid argument "maybe" for "--local" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
            "sign IMAGE:TAG",
        ),
        (
            "revoke -y=no a",
            'invalid argument "no" for "-y, --yes" flag: strconv.ParseBool: parsing "no": invalid syntax',
            "revoke [OPTIONS] IMAGE[:TAG]",
        ),
        ("revoke -y= a", "unknown shorthand flag: '=' in -=", "revoke [OPTIONS] IMAGE[:TAG]"),
        ("key generate --dir", "flag needs an argument: --dir", "key generate NAME"),
    ],
)
def test_flags_that_cannot_be_read(words: str, text: str, path: str) -> None:
    found = answer(*words.split())
    usage = f"{NAME} {path}".strip()
    assert (found.code, found.to_stdout) == (125, False)
    assert found.text.startswith(f"{text}\n\nUsage:  {usage}\n\nRun '{NAME}")


@pytest.mark.parametrize(
    ("words", "text", "verb"),
    [
        ("foo", "docker: unknown command: docker trust foo", "Run"),
        ("help", "docker: unknown command: docker trust help", "Run"),
        ("key foo", "docker: unknown command: docker trust key foo", "Run"),
        ("sign", "docker: 'docker trust sign' requires 1 argument", "Run"),
        ("sign a b", "docker: 'docker trust sign' requires 1 argument", "Run"),
        ("inspect", "docker: 'docker trust inspect' requires at least 1 argument", "See"),
        ("signer add x", "docker: 'docker trust signer add' requires at least 2 arguments", "See"),
    ],
)
def test_other_mistakes(words: str, text: str, verb: str) -> None:
    found = answer(*words.split())
    assert (found.code, found.to_stdout) == (1, False)
    assert found.text.startswith(f"{text}\n\nUsage:  docker trust")
    assert f"\n\n{verb} 'docker trust" in found.text
    assert found.text.endswith(" --help' for more information\n")


@pytest.mark.parametrize("words", ["", "key", "signer"])
def test_a_group_alone_prints_its_help_on_standard_error(words: str) -> None:
    found = answer(*words.split())
    assert (found.code, found.to_stdout) == (0, False)
    assert found.text.startswith(f"Usage:  {NAME} {words}".strip())
    assert found.text.endswith("COMMAND --help' for more information on a command.\n")


@pytest.mark.parametrize(
    "words", ["--help", "sign --help", "--help sign", "sign --help=1 a b c", "sign --local --help"]
)
def test_help_is_printed_whatever_else_is_said(words: str) -> None:
    found = answer(*words.split())
    assert (found.code, found.to_stdout) == (0, True)
    assert found.text.startswith(f"Usage:  {NAME}")
    assert ("--local" in found.text) == ("sign" in words)


def test_the_old_way_to_ask_for_help_says_so() -> None:
    for words in (["-h"], ["sign", "-h"]):
        assert answer(*words).text.startswith("Flag shorthand -h has been deprecated, use --help\nUsage:  ")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_every_command_has_help_that_fits_a_terminal(command: object) -> None:
    text = help_text(command, NAME)  # type: ignore[arg-type]  # as the table has it
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.startswith("Usage:  docker trust")
