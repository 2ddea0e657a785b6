"""The command line of `docker trust`: the table of its commands, their help, and how docker reads them.

What it is: words in; out comes the command to run with its flags and arguments, or what to print instead.
What it is not: running it: the table names the functions. Names, words and flags are docker's; the sentences
are our own.

Rules:

1. Flags stand anywhere after their command, as `--flag value`, `--flag=value`, `-f` or several short ones in
   one word; after `--` nothing is a flag. The last value counts, but for lists, which collect. Before their
   command only a request for help may stand.
2. Help is asked for with `--help`, whatever else the line says, as long as its flags are known. A group of
   commands alone prints its help on standard error, exit code 0.
3. A flag that cannot be read is exit code 125, any other mistake 1; both say how to get help.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    Value = bool | str | list[str]

FLAG_ERROR = 125
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_WIDTH = 80


@dataclass(frozen=True)
class Flag:
    """A flag; `kind` is what its value is, and stands in the help unless it is a switch."""

    name: str
    help: str
    short: str = ""
    kind: Literal["bool", "string", "list"] = "bool"


@dataclass(frozen=True)
class Command:
    """A command with its words, or a group of them.

    Attributes:
        words: What follows `docker trust`.
        usage: The rest of the usage line.
        about: One line that says what it does.
        function: `module:function` in this package; empty for a group.
        flag: Its flag; no command has two.
        arguments: How many it takes.
        more: Whether it takes more than that.
    """

    words: tuple[str, ...]
    usage: str
    about: str
    function: str = ""
    flag: Flag | None = None
    arguments: int = 0
    more: bool = False


_SIGNERS = "NAME REPOSITORY [REPOSITORY...]"
_REVOKED = "[OPTIONS] IMAGE[:TAG]"
_DIR = Flag("dir", "Where NAME.pub goes; by default the current directory", kind="string")
_NAME = Flag("name", 'The name of the key (default "signer")', kind="string")
_KEY = Flag("key", "A file with the signer's public key", kind="list")
_FORCE = Flag("force", "Even if images cannot be pulled until somebody else signs; do not ask", "f")
_PRETTY = Flag("pretty", "Print text for people")
_YES = Flag("yes", "Do not ask", "y")
_LOCAL = Flag("local", "Push the image of the local daemon, and sign that")
COMMANDS = (
    Command((), "COMMAND", "Sign images, and say who may"),
    Command(("key",), "COMMAND", "Make and load signing keys"),
    Command(("signer",), "COMMAND", "Say who may sign the images of a repository"),
    Command(("key", "generate"), "NAME", "Make a signing key and load it", "signers:generate", _DIR, 1),
    Command(("key", "load"), "[OPTIONS] KEYFILE", "Load a private key from a file", "signers:load", _NAME, 1),
    Command(
        ("signer", "add"), f"OPTIONS {_SIGNERS} ", "Let somebody sign", "signers:add", _KEY, 2, more=True
    ),
    Command(
        ("signer", "remove"),
        f"[OPTIONS] {_SIGNERS}",
        "Let somebody sign no more",
        "signers:remove",
        _FORCE,
        arguments=2,
        more=True,
    ),
    Command(
        ("inspect",),
        "IMAGE[:TAG] [IMAGE[:TAG]...]",
        "Show who signed what, and with which keys",
        "images:inspect",
        _PRETTY,
        arguments=1,
        more=True,
    ),
    Command(("revoke",), _REVOKED, "Take the signatures of an image away", "images:revoke", _YES, 1),
    Command(("sign",), "IMAGE:TAG", "Sign an image", "images:sign", _LOCAL, 1),
)
BY_WORDS = {command.words: command for command in COMMANDS}


def help_text(command: Command, program: str) -> str:
    """Return the help of a command, in docker's form; `program` is what comes before its words."""
    path = " ".join((program, *command.words))
    parts = [f"Usage:  {path} {command.usage}\n\n{command.about}\n"]
    inner = [
        one for one in COMMANDS if one.words[:-1] == command.words and len(one.words) > len(command.words)
    ]
    for title, listed in (
        ("Management Commands", [one for one in inner if not one.function]),
        ("Commands", [one for one in inner if one.function]),
    ):
        if listed:
            lines = "".join(f"  {one.words[-1]:<12}{one.about}\n" for one in listed)
            parts.append(f"{title}:\n{lines}")
    if command.flag:
        parts.append(f"Options:\n{_flag_help(command.flag)}")
    if inner:
        parts.append(f"Run '{path} COMMAND --help' for more information on a command.\n")
    return "\n".join(parts)


def _flag_help(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    kind = "" if flag.kind == "bool" else f" {flag.kind}"
    head = f"  {short}--{flag.name}{kind}   "
    lines = wrap(flag.help, _WIDTH - len(head))
    return head + f"\n{' ' * len(head)}".join(lines) + "\n"


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

    def texts(self, name: str) -> list[str]:
        """Return all values of a flag."""
        value = self.flags.get(name)
        return value if isinstance(value, list) else []


@dataclass(frozen=True)
class Answer:
    """What to print, and the exit code, instead of running a command."""

    text: str
    code: int = 0
    to_stdout: bool = False


class _FlagError(Exception):
    """A flag that cannot be read (rule 3)."""


class _HelpWantedError(Exception):
    """Somebody asked for help; the text says how if that way is an old one."""


def read(words: Sequence[str], program: str) -> CommandLine | Answer:
    """Read a command line: what follows the program's name, which help and errors give as `program`."""
    command, rest = BY_WORDS[()], list(words)
    while not command.function:
        at = next((index for index, word in enumerate(rest) if not _is_flag(word)), None)
        early = None if at is None else _early(command, rest, at, program)
        if early is not None:
            return early
        found = None if at is None else BY_WORDS.get((*command.words, rest[at]))
        if at is None or found is None:
            break
        command, rest = found, rest[:at] + rest[at + 1 :]
    path = " ".join((program, *command.words))
    usage = f"{path} {command.usage}" if command.function else path
    try:
        flags, arguments = _flags(command, rest)
    except _HelpWantedError as wanted:
        return Answer(f"{wanted}{help_text(command, program)}", to_stdout=True)
    except _FlagError as error:
        return Answer(_mistake(str(error), usage, path), FLAG_ERROR)
    if command.function:
        wrong = _wrong_number(command, arguments, usage, path)
        return CommandLine(command.function, arguments, flags) if wrong is None else wrong
    if not arguments:
        return Answer(help_text(command, program))
    return Answer(_mistake(f"docker: unknown command: {path} {arguments[0]}", path, path), 1)


def _early(command: Command, rest: list[str], at: int, program: str) -> Answer | None:
    """Answer a line with a flag before its command; docker takes the next word for the value of that flag."""
    path = " ".join((program, *command.words))
    try:
        _flags(command, rest[:at])
    except _HelpWantedError:
        return None
    except _FlagError as error:
        words = iter(rest)
        names = [word for word in words if not (_is_flag(word) and ("=" in word or next(words, "")))]
        inside = bool(names) and (*command.words, names[0]) in BY_WORDS
        return Answer(str(error), 1) if inside else Answer(_mistake(str(error), path, path), FLAG_ERROR)
    return None


def _wrong_number(command: Command, arguments: list[str], usage: str, path: str) -> Answer | None:
    enough = len(arguments) >= command.arguments if command.more else len(arguments) == command.arguments
    if enough:
        return None
    least = "at least " if command.more else ""
    plural = "" if command.arguments == 1 else "s"
    text = f"docker: '{path}' requires {least}{command.arguments} argument{plural}"
    return Answer(_mistake(text, usage, path, "See" if command.more else "Run"), 1)


def _mistake(text: str, usage: str, path: str, verb: str = "Run") -> str:
    return f"{text}\n\nUsage:  {usage}\n\n{verb} '{path} --help' for more information\n"


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _flags(command: Command, words: list[str]) -> tuple[dict[str, Value], list[str]]:
    """Return flags and arguments of a command (rules 1 and 2)."""
    reader = _FlagReader(command, words)
    while reader.words:
        reader.next()
    if reader.help is not None:
        raise _HelpWantedError(reader.help)
    return reader.found, reader.arguments


class _FlagReader:
    """Reads the words after a command, one after the other."""

    def __init__(self, command: Command, words: list[str]) -> None:
        flags = [command.flag] if command.flag else []
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}
        self.words = list(words)
        self.found: dict[str, Value] = {}
        self.arguments: list[str] = []
        self.help: str | None = None

    def next(self) -> None:
        """Read one word, and its value if that is the next one."""
        word = self.words.pop(0)
        if word == "--":
            self.arguments += self.words
            self.words = []
        elif word.startswith("--"):
            self._read_long(word)
        elif _is_flag(word):
            self._read_short(word)
        else:
            self.arguments.append(word)

    def _read_long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if name == "help":
            self.help = ""
        elif name in self._long:
            self._take(self._long[name], f"--{name}", value if equals else None)
        elif not name or name.startswith("-"):
            raise _FlagError(f"bad flag syntax: {word}")
        else:
            raise _FlagError(f"unknown flag: --{name}")

    def _read_short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "h":
                self.help = "Flag shorthand -h has been deprecated, use --help\n"
                continue
            if letter not in self._short:
                raise _FlagError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
            flag, value = self._short[letter], None
            if letters.startswith("="):
                value, letters = letters[1:], ""
            elif letters and flag.kind != "bool":
                value, letters = letters, ""
            self._take(flag, f"-{letter}, --{flag.name}", value)

    def _take(self, flag: Flag, shown: str, value: str | None) -> None:
        if flag.kind == "bool":
            self.found[flag.name] = _truth(value, shown)
            return
        if value is None:
            if not self.words:
                raise _FlagError(f"flag needs an argument: --{flag.name}")
            value = self.words.pop(0)
        if flag.kind == "string":
            self.found[flag.name] = value
        else:
            known = self.found.get(flag.name)
            self.found[flag.name] = [*(known if isinstance(known, list) else ()), value]


def _truth(value: str | None, shown: str) -> bool:
    if value is not None and value not in (*_TRUE, *_FALSE):
        raise _FlagError(
            f'invalid argument "{value}" for "{shown}" flag: '
            f'strconv.ParseBool: parsing "{value}": invalid syntax'
        )
    return value is None or value in _TRUE
