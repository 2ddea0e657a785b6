"""The command line of `notary`: what is understood, and what is printed instead."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from notarypy import __version__
from notarypy.cli.cobra import Answer, Command, CommandLine, Flag, parse
from notarypy.cli.gonotary.commands import COMMANDS, help_text, read, unread
from notarypy.errors import UsageError

if TYPE_CHECKING:
    from support.commands import Run

GUN = "docker.io/alice/app"
LONG = "9" * 5000


def call(*words: str) -> CommandLine:
    found = read(words, "notary")
    assert isinstance(found, CommandLine), found
    return found


@pytest.mark.parametrize(
    ("words", "function", "arguments", "flags"),
    [
        ("list a", "targets:list_targets", ["a"], {}),
        ("-s https://n -v list a -r x,y -r z", "targets:list_targets", ["a"], {"roles": ["x", "y", "z"]}),
        ("list -s https://n a --roles=x", "targets:list_targets", ["a"], {"roles": ["x"]}),
        ("key -d t list", "signingkeys:list_keys", [], {"trustDir": "t"}),
        ("-vDdt key list", "signingkeys:list_keys", [], {"trustDir": "t", "debug": True, "verbose": True}),
        ("list a -r=", "targets:list_targets", ["a"], {"roles": ["="]}),
        ("list a -r==", "targets:list_targets", ["a"], {"roles": ["="]}),
        ("list a -d=", "targets:list_targets", ["a"], {"trustDir": "="}),
        ("-d=t key list", "signingkeys:list_keys", [], {"trustDir": "t"}),
        ("reset a -n 1,-2 --number 7", "trustedcollections:reset", ["a"], {"number": [1, -2, 7]}),
        ("reset a --all=false", "trustedcollections:reset", ["a"], {"all": False}),
        ("key rotate a root -l 2", "signingkeys:rotate", ["a", "root"], {"legacy": 2}),
        ("add a b c -p", "targets:add", ["a", "b", "c"], {"publish": True}),
        ("status -", "trustedcollections:status", ["-"], {}),
        ("status -- --help", "trustedcollections:status", ["--help"], {}),
        ("status a --help=false", "trustedcollections:status", ["a"], {}),
    ],
)
def test_lines_that_are_understood(
    words: str, function: str, arguments: list[str], flags: dict[str, object]
) -> None:
    found = call(*words.split())
    assert (found.function, found.arguments) == (function, arguments)
    assert {**found.flags, **flags} == found.flags


def test_strings_are_separated_as_in_csv() -> None:
    assert call("list", "a", "-r", 'x,"y,""z"""').texts("roles") == ["x", 'y,"z"']
    assert call("list", "a", "-r", "").texts("roles") == []
    assert call("list", "a", "-r", ",x,").texts("roles") == ["", "x", ""]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("list", "Must specify a GUN"),
        ("status --", "Must specify a GUN"),
        ("bogus", 'unknown command "bogus" for "notary"'),
        ("-x status a", 'unknown command "a" for "notary"'),
        ("key bogus", 'unknown command "bogus" for "notary key"'),
        ("help bogus", 'unknown command "bogus" for "notary"'),
        ("list a --bogus x", "unknown flag: --bogus"),
        ("--version status a", "unknown flag: --version"),
        ("status ---x", "bad flag syntax: ---x"),
        ("list a -z", "unknown shorthand flag: 'z' in -z"),
        ("list a -r", "flag needs an argument: 'r' in -r"),
        ("list a --roles", "flag needs an argument: --roles"),
        (
            "reset a --all=maybe",
            'invalid argument "maybe" for "--all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            "reset a -n 1,x",
            'invalid argument "1,x" for "-n, --number" flag: strconv.Atoi: parsing "x": invalid syntax',
        ),
        (
            "key rotate a root -l x",
            'invalid argument "x" for "-l, --legacy" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            'list a -r a"b',
            (
                'invalid argument "a\\"b" for "-r, --roles" flag: '
                'parse error on line 1, column 2: bare " in non-quoted-field'
            ),
        ),
        (
            "reset a -n 9223372036854775808",
            (
                'invalid argument "9223372036854775808" for "-n, --number" flag: '
                'strconv.Atoi: parsing "9223372036854775808": value out of range'
            ),
        ),
        (
            "reset a -n 0x1",
            'invalid argument "0x1" for "-n, --number" flag: strconv.Atoi: parsing "0x1": invalid syntax',
        ),
        (
            f"key rotate a root -l {LONG}",
            (
                f'invalid argument "{LONG}" for "-l, --legacy" flag: '
                f'strconv.ParseInt: parsing "{LONG}": value out of range'
            ),
        ),
        ("completion bash a", 'unknown command "a" for "notary completion bash"'),
        ("completion a", 'unknown command "a" for "notary completion"'),
        ("key list a", "notary key list takes no arguments"),
        ("delegation list a b", "Please provide a Global Unique Name as an argument to list"),
    ],
)
def test_lines_that_are_wrong_are_told_in_gos_words(words: str, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(words.split(), "notary")
    assert raised.value.message == text
    assert raised.value.exit_code == 2
    assert raised.value.advice is not None


@pytest.mark.parametrize(
    ("text", "number"),
    [("2", 2), ("-1", -1), ("0x1F", 31), ("0b11", 3), ("010", 8), ("0o10", 8), ("1_000", 1000), ("+0_7", 7)],
)
def test_a_number_is_one_as_gos_programs_read_it(text: str, number: int) -> None:
    assert read(["key", "rotate", "a", "root", "-l", text], "notary") == CommandLine(
        "signingkeys:rotate", ["a", "root"], {"legacy": number}
    )


def test_numbers_of_a_list_are_decimal() -> None:
    assert parse([Flag("number", "", "n", "ints")], ["-n", "010,+2", f"-n{'0' * 5000}3"])[0] == {
        "number": [10, 2, 3]
    }


@pytest.mark.parametrize("words", ["", "key", "--help", "list -h", "help list", "help key list", "-v --"])
def test_help(words: str) -> None:
    found = read(words.split(), "notary")
    assert isinstance(found, Answer)
    assert (found.code, found.to_stdout) == (0, True)
    assert "\nUsage:\n  notary" in found.text
    assert "--trustDir" in found.text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_help_fits_a_terminal(command: Command) -> None:
    text = help_text(command, "notary")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert len(text.splitlines()) <= 40


def test_words_that_mean_nothing_are_named(notary: Run) -> None:
    assert unread(["-s", "x", "list", "a", "b", "c"]) == ["b", "c"]
    assert unread(["witness", "a", "b", "c"]) == []
    done = notary("version", "more").expect(0)
    assert done.err == 'warning: "more" means nothing here\n'


def test_the_version_is_our_own(notary: Run) -> None:
    go = f"none (notarypy, Python {platform.python_version()})"
    done = notary("version").expect(0)
    assert done.out == f"notary\n Version:    {__version__}\n Git commit: \n Go version: {go}\n"
    done = notary("--version").expect(0)
    assert done.out == f"notary Version: {__version__}, Git commit: , Go version: {go}\n"


def test_a_wrong_line_goes_to_standard_error(notary: Run) -> None:
    done = notary("list").expect(2)
    assert (done.out, done.err) == ("", "* fatal: Must specify a GUN\n  fix: see notary list --help\n")
    done = notary("stauts", GUN).expect(2)
    assert done.err == '* fatal: unknown command "stauts" for "notary"\n  fix: write notary status\n'


def test_notarypy_runs_it_too(run: Run) -> None:
    assert run("notary", "version").expect(0).out.startswith("notary\n Version: ")
    assert run("notary", "list").expect(2).err.endswith("see notarypy notary list --help\n")
    assert run("--json", "notary", "version").expect(2).out.startswith("{")


def test_the_log_is_shown_to_whoever_asks_for_it(notary: Run, run: Run) -> None:
    assert notary("status", GUN).expect(0).err == ""
    everything = notary("-D", "status", GUN).expect(0)
    assert " DEBUG notarypy.storage.settings" in everything.err
    assert everything.out == notary("status", GUN).out
    assert " DEBUG " not in notary("-v", "status", GUN).expect(0).err
    assert " DEBUG " in run("-vv", "notary", "status", GUN).expect(0).err
