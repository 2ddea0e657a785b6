"""Command lines as cobra, a library of Go, reads them: docker's and Go notary's programs are built on it.

What it is: tables of commands, the reading of their flags, and the lines that help has of flags. What it is
not: a program's own commands, help and complaints, which its package has.

Rules:

1. Flags stand anywhere after their command, as `--flag value`, `--flag=value`, `-f`, `-fvalue`, `-f=value` or
   several short ones in one word; after `--` nothing is a flag. The last value counts, but for lists, which
   collect. A `=` that ends a word of short ones is a value, or no flag.
2. `--help` and `-h` are flags of every command. They count whatever else the line says, as long as its flags
   can be read.
3. Before its command a flag may stand, too. The word after one that takes a value, or that nothing is known
   of, is that value and no command, unless the flag has an equals sign.
4. `strings` and `ints` take several values in one, between commas; the strings may be quoted as in CSV.
   `list` takes one value each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Literal, TypeVar

from notarypy.values import dataclass, field

T = TypeVar("T")
Value = bool | int | str | list[str] | list[int]

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_WIDTH, _LEAST = 80, 24
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|(?P<octal>0[oO]?(?:_?[0-7])+)|0|[1-9](?:_?[0-9])*)",
    re.ASCII,
)
_DECIMAL = re.compile(r"([+-]?)0*([0-9]+)", re.ASCII)
_BEYOND = 2**63  # what Go's programs take at all
_DIGITS = 20  # of the longest such number, with a sign: Python itself reads none of thousands of digits
_QUOTED, _BARE = re.compile(r'"((?:[^"]|"")*)"(?=,|$)'), re.compile(r"[^,]*")


@dataclass(frozen=True)
class Flag:
    """A flag; `kind` is what its value is, and stands in the help unless it is a switch."""

    name: str
    help: str
    short: str = ""
    kind: Literal["bool", "string", "int", "list", "strings", "ints"] = "bool"

    @property
    def takes_value(self) -> bool:
        """Whether the next word may be its value."""
        return self.kind != "bool"


HELP = Flag("help", "Say more about it", "h")


@dataclass(frozen=True)
class Command:
    """A command with its words after the program's name, or a group of them.

    Attributes:
        words: Its words.
        usage: The rest of its line of usage.
        about: What it does, in one sentence.
        function: `module:function` in the program's package; empty for a group.
        flags: Its own flags.
        arguments: How many arguments it takes at the least.
        most: How many at the most; None for as many as there are.
        missing: What is said where there are too few, if the program says that of each command.
    """

    words: tuple[str, ...]
    usage: str
    about: str
    function: str = ""
    flags: tuple[Flag, ...] = ()
    arguments: int = 0
    most: int | None = None
    missing: str = ""


@dataclass(frozen=True)
class CommandLine:
    """A command line that was understood."""

    function: str
    arguments: list[str]
    flags: dict[str, Value] = field(default_factory=dict)

    def switch(self, name: str) -> bool:
        """Return whether a switch is on."""
        return bool(self.flags.get(name))

    def text(self, name: str) -> str | None:
        """Return the value of a flag; None if it was not given."""
        value = self.flags.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """Return the number that a flag was given; None if it was not."""
        value = self.flags.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def texts(self, name: str) -> list[str]:
        """Return all values of a flag."""
        value = self.flags.get(name)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

    def numbers(self, name: str) -> list[int]:
        """Return all numbers that a flag was given."""
        value = self.flags.get(name)
        return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []


@dataclass(frozen=True)
class Answer:
    """What to print, and the exit code, instead of running a command."""

    text: str
    code: int = 0
    to_stdout: bool = False


class FlagError(Exception):
    """A flag that cannot be read; the text is what programs built on cobra say."""


class HelpWantedError(Exception):
    """Somebody asked for help; the text is the word that did."""


def find(
    table: Mapping[tuple[str, ...], Command], words: Sequence[str], shared: Sequence[Flag] = ()
) -> tuple[Command, list[str]]:
    """Return the command that a line names, or the group where that ends, and the line without its words.

    `shared` are the flags of every command; see rule 3.
    """
    command, rest = table[()], list(words)
    while (at := first_argument([*shared, *command.flags], rest)) is not None:
        inner = table.get((*command.words, rest[at]))
        if inner is None:
            break
        command, rest = inner, rest[:at] + rest[at + 1 :]
    return command, rest


def inner_commands(table: Sequence[Command], group: Command) -> list[Command]:
    """Return the commands of a group."""
    return [one for one in table if one.words and one.words[:-1] == group.words]


def first_argument(flags: Sequence[Flag], words: Sequence[str]) -> int | None:
    """Return where the first word stands that is no flag, and no flag's value (rule 3); None if nowhere."""
    switches = {name for flag in (*flags, HELP) if not flag.takes_value for name in _names(flag)}
    skipped = False
    for index, word in enumerate(words):
        if skipped:
            skipped = False
        elif word == "--":
            return None
        elif not is_flag(word):
            return index
        else:
            alone = word.startswith("--") or len(word) == len("-f")
            skipped = alone and "=" not in word and word not in switches
    return None


def _names(flag: Flag) -> list[str]:
    return [f"--{flag.name}", *([f"-{flag.short}"] if flag.short else [])]


def is_flag(word: str) -> bool:
    """Tell whether a word is written as a flag."""
    return word.startswith("-") and word != "-"


def parse(flags: Sequence[Flag], given: Sequence[str]) -> tuple[dict[str, Value], list[str]]:
    """Return the values of flags, and the arguments, in some words; raise FlagError, HelpWantedError."""
    known, wanted = [*flags, HELP], ""
    words, arguments, found = iter(given), list[str](), dict[str, Value]()
    for word in words:
        if word == "--":
            arguments += words
        elif not is_flag(word):
            arguments.append(word)
        else:
            for flag, short, text in _long(known, word) if word.startswith("--") else _short(known, word):
                value = _value(flag, text, words, found.get(flag.name), short=short)
                if flag is HELP:
                    wanted = f"-{HELP.short}" if value and short else f"--{HELP.name}" if value else ""
                else:
                    found[flag.name] = value
    if wanted:
        raise HelpWantedError(wanted)
    return found, arguments


_Found = tuple[Flag, bool, str | None]


def _long(flags: Sequence[Flag], word: str) -> Iterator[_Found]:
    """Return what a `--word` asks for: one flag, and the value if it is in the word."""
    name, equals, value = word[2:].partition("=")
    flag = next((each for each in flags if each.name == name), None)
    if flag is None:
        bad = not name or name.startswith("-")
        raise FlagError(f"bad flag syntax: {word}" if bad else f"unknown flag: --{name}")
    yield flag, False, value if equals else None


def _short(flags: Sequence[Flag], word: str) -> Iterator[_Found]:
    """Return what a `-word` asks for: switches, of which the last may be a flag with a value."""
    letters = word[1:]
    while letters:
        letter, rest = letters[0], letters[1:]
        flag = next((each for each in flags if each.short == letter), None)
        if flag is None:
            raise FlagError(f"unknown shorthand flag: '{letter}' in -{letters}")
        within = rest.startswith("=") and rest != "="  # rule 1
        if within or (flag.takes_value and rest):
            yield flag, True, rest.removeprefix("=") if within else rest
            return
        yield flag, True, None
        letters = rest


def _value(flag: Flag, text: str | None, words: Iterator[str], known: Value | None, *, short: bool) -> Value:
    """Return the value of a flag, whose text may be the next word, after what is `known`."""
    if flag.kind == "bool":
        return text is None or _read(flag, text, _truth)
    if text is None:
        text = next(words, None)
    if text is None:
        word = f"'{flag.short}' in -{flag.short}" if short else f"--{flag.name}"
        raise FlagError(f"flag needs an argument: {word}")
    if flag.kind == "string":
        return text
    if flag.kind == "int":
        return _read(flag, text, parse_int)
    if flag.kind == "ints":
        more = _read(flag, text, lambda word: [_decimal(each) for each in word.split(",")])
        return [*(each for each in _listed(known) if isinstance(each, int)), *more]
    texts = [text] if flag.kind == "list" else _read(flag, text, _separated)
    return [*(each for each in _listed(known) if isinstance(each, str)), *texts]


def _listed(known: Value | None) -> Sequence[str | int]:
    return known if isinstance(known, list) else ()


def _read(flag: Flag, text: str, reader: Callable[[str], T]) -> T:
    """Read a value; raise FlagError with the reader's reason."""
    try:
        return reader(text)
    except ValueError as error:
        names, quoted = ", ".join(reversed(_names(flag))), json.dumps(text, ensure_ascii=False)
        raise FlagError(f'invalid argument {quoted} for "{names}" flag: {error}') from None


def _truth(text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def parse_int(text: str) -> int:
    """Return a number as Go's programs read most: `0x10`, `1_000`, octal after a zero; raise ValueError."""
    if (match := _INTEGER.fullmatch(text)) is None:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    digits = text.replace("_", "").lower().replace("o", "")
    if digits.lstrip("+-")[0] != "0" and len(digits) > _DIGITS:
        return _in_range(_BEYOND, text, "ParseInt")
    return _in_range(int(digits, 8 if match["octal"] else 0), text, "ParseInt")


def _decimal(text: str) -> int:
    """Return a number as Go's programs read those in a list, which are decimal; raise ValueError."""
    if (match := _DECIMAL.fullmatch(text)) is None:
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    number = int("".join(match.groups())) if len(match[2]) < _DIGITS else _BEYOND
    return _in_range(number, text, "Atoi")


def _in_range(number: int, text: str, reader: str) -> int:
    if not -_BEYOND <= number < _BEYOND:
        raise ValueError(f'strconv.{reader}: parsing "{text}": value out of range')
    return number


def _separated(text: str) -> list[str]:
    """Return the parts of a line of CSV (rule 4); an empty one has none."""
    parts, at = list[str](), 0
    while text and at <= len(text):
        quoted = _QUOTED.match(text, at)
        bare = quoted or _BARE.match(text, at)
        if bare is None or (quoted is None and '"' in bare[0]):
            place = at + (bare[0].find('"') if bare else 0) + 1
            raise ValueError(f'parse error on line 1, column {place}: bare " in non-quoted-field')
        parts.append(quoted[1].replace('""', '"') if quoted else bare[0])
        at = bare.end() + 1
    return parts


def flag_lines(flags: Sequence[Flag]) -> str:
    """Return the lines that say what flags are, below each other."""
    heads = [_head(flag) for flag in flags]
    wide = max(map(len, heads), default=0)
    room = max(_WIDTH - wide, _LEAST)
    return "".join(
        f"{head:<{wide}}" + f"\n{' ' * wide}".join(wrap(flag.help, room)) + "\n"
        for head, flag in zip(heads, flags, strict=True)
    )


def _head(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    kind = "" if flag.kind == "bool" else f" {flag.kind}"
    return f"  {short}--{flag.name}{kind}   "
