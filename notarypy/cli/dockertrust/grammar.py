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

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Literal

from notarypy.values import dataclass, field

Value = bool | str | list[str]

FLAG_ERROR = 125
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_WIDTH = 80
_HELP = {"--help": "", "-h": "Flag shorthand -h has been deprecated, use --help\n"}


@dataclass(frozen=True)
class Flag:
    """A flag; `kind` is what its value is, and stands in the help unless it is a switch."""

    name: str
    help: str
    short: str = ""
    kind: Literal["bool", "string", "list"] = "bool"


@dataclass(frozen=True)
class Command:
    """A command with its words after `docker trust`, or a group of them."""

    words: tuple[str, ...]
    usage: str  # the rest of the usage line
    about: str
    function: str = ""  # `module:function` in this package; empty for a group
    flag: Flag | None = None  # no command has two
    arguments: int = 0

    @property
    def more(self) -> bool:
        """Whether it takes more than that many arguments."""
        return "...]" in self.usage


_SIGNERS = "NAME REPOSITORY [REPOSITORY...]"
_REMOVED = f"[OPTIONS] {_SIGNERS}"
_REVOKED = "[OPTIONS] IMAGE[:TAG]"
_IMAGES = "IMAGE[:TAG] [IMAGE[:TAG]...]"
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
    Command(("signer", "add"), f"OPTIONS {_SIGNERS} ", "Let somebody sign", "signers:add", _KEY, 2),
    Command(("signer", "remove"), _REMOVED, "Let somebody sign no more", "signers:remove", _FORCE, 2),
    Command(("inspect",), _IMAGES, "Show who signed what, and with which keys", "images:inspect", _PRETTY, 1),
    Command(("revoke",), _REVOKED, "Take the signatures of an image away", "images:revoke", _YES, 1),
    Command(("sign",), "IMAGE:TAG", "Sign an image", "images:sign", _LOCAL, 1),
)
BY_WORDS = {command.words: command for command in COMMANDS}


def help_text(command: Command, program: str) -> str:
    """Return the help of a command, in docker's form; `program` is what comes before its words."""
    path = " ".join((program, *command.words))
    parts = [f"Usage:  {path} {command.usage}\n\n{command.about}\n"]
    inner = [one for one in COMMANDS if one.words and one.words[:-1] == command.words]
    for title, runs in (("Management Commands", False), ("Commands", True)):
        listed = [f"  {one.words[-1]:<12}{one.about}\n" for one in inner if bool(one.function) == runs]
        if listed:
            parts.append(f"{title}:\n{''.join(listed)}")
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
        flags, arguments = _flags(command.flag, rest)
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
        _flags(command.flag, rest[:at])
    except _HelpWantedError:
        return None
    except _FlagError as error:
        words = iter(rest)
        names = [word for word in words if not (_is_flag(word) and ("=" in word or next(words, "")))]
        inside = bool(names) and (*command.words, names[0]) in BY_WORDS
        return Answer(str(error), 1) if inside else Answer(_mistake(str(error), path, path), FLAG_ERROR)
    return None


def _wrong_number(command: Command, arguments: list[str], usage: str, path: str) -> Answer | None:
    if len(arguments) == command.arguments or (command.more and len(arguments) > command.arguments):
        return None
    least = "at least " if command.more else ""
    plural = "" if command.arguments == 1 else "s"
    text = f"docker: '{path}' requires {least}{command.arguments} argument{plural}"
    return Answer(_mistake(text, usage, path, "See" if command.more else "Run"), 1)


def _mistake(text: str, usage: str, path: str, verb: str = "Run") -> str:
    return f"{text}\n\nUsage:  {usage}\n\n{verb} '{path} --help' for more information\n"


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _flags(flag: Flag | None, given: list[str]) -> tuple[dict[str, Value], list[str]]:
    """Return the flags and the arguments in some words (rules 1 and 2)."""
    words, arguments, found = iter(given), list[str](), dict[str, Value]()
    wanted = None
    for word in words:
        if word == "--":
            arguments += words
        elif not _is_flag(word):
            arguments.append(word)
        else:
            for shown, value in _long(flag, word) if word.startswith("--") else _short(flag, word):
                if flag is None or shown in _HELP:
                    wanted = _HELP[shown]
                else:
                    found[flag.name] = _value(flag, shown, value, words, found.get(flag.name))
    if wanted is not None:
        raise _HelpWantedError(wanted)
    return found, arguments


def _long(flag: Flag | None, word: str) -> Iterator[tuple[str, str | None]]:
    """Return what a `--word` asks for: one flag, and the value if it is in the word."""
    name, equals, value = word[2:].partition("=")
    if name != "help" and (flag is None or name != flag.name):
        bad = not name or name.startswith("-")
        raise _FlagError(f"bad flag syntax: {word}" if bad else f"unknown flag: --{name}")
    yield f"--{name}", value if equals else None


def _short(flag: Flag | None, word: str) -> Iterator[tuple[str, str | None]]:
    """Return what a `-word` asks for; of the flags only switches have a short form."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter == "h":
            yield "-h", None
        elif flag is None or letter != flag.short:
            raise _FlagError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
        else:
            value, letters = (letters[1:], "") if letters.startswith("=") else (None, letters)
            yield f"-{letter}, --{flag.name}", value


def _value(flag: Flag, shown: str, value: str | None, words: Iterator[str], known: Value | None) -> Value:
    """Return the value of a flag, whose text may be the next word, after what is `known`."""
    if flag.kind == "bool":
        return _truth(value, shown)
    if value is None:
        value = next(words, None)
    if value is None:
        raise _FlagError(f"flag needs an argument: --{flag.name}")
    return value if flag.kind == "string" else [*(known if isinstance(known, list) else ()), value]


def _truth(value: str | None, shown: str) -> bool:
    if value is not None and value not in (*_TRUE, *_FALSE):
        why = f'strconv.ParseBool: parsing "{value}": invalid syntax'
        raise _FlagError(f'invalid argument "{value}" for "{shown}" flag: {why}')
    return value is None or value in _TRUE
