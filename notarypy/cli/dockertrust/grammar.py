"""The command line of `docker trust`: the table of its commands, their help, and how docker reads them.

What it is: words in; out comes the command to run with its flags and arguments, or what to print instead.
What it is not: running it: the table names the functions. Names, words and flags are docker's; the sentences
are our own.

Rules:

1. Flags are read as `cobra` reads them. Before their command only a request for help may stand.
2. Help is asked for with `--help`, whatever else the line says, as long as its flags are known. A group of
   commands alone prints its help on standard error, exit code 0.
3. A flag that cannot be read is exit code 125, any other mistake 1; both say how to get help.
"""

from __future__ import annotations

from collections.abc import Sequence

from notarypy.cli.cobra import (
    Answer,
    Command,
    CommandLine,
    Flag,
    FlagError,
    HelpWantedError,
    flag_lines,
    inner_commands,
    is_flag,
    parse,
)

FLAG_ERROR = 125
_HELP = {"--help": "", "-h": "Flag shorthand -h has been deprecated, use --help\n"}
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
    Command(("key", "generate"), "NAME", "Make a signing key and load it", "signers:generate", (_DIR,), 1),
    Command(
        ("key", "load"), "[OPTIONS] KEYFILE", "Load a private key from a file", "signers:load", (_NAME,), 1
    ),
    Command(("signer", "add"), f"OPTIONS {_SIGNERS} ", "Let somebody sign", "signers:add", (_KEY,), 2),
    Command(("signer", "remove"), _REMOVED, "Let somebody sign no more", "signers:remove", (_FORCE,), 2),
    Command(
        ("inspect",), _IMAGES, "Show who signed what, and with which keys", "images:inspect", (_PRETTY,), 1
    ),
    Command(("revoke",), _REVOKED, "Take the signatures of an image away", "images:revoke", (_YES,), 1),
    Command(("sign",), "IMAGE:TAG", "Sign an image", "images:sign", (_LOCAL,), 1),
)
BY_WORDS = {command.words: command for command in COMMANDS}


def help_text(command: Command, program: str) -> str:
    """Return the help of a command, in docker's form; `program` is what comes before its words."""
    path = " ".join((program, *command.words))
    parts = [f"Usage:  {path} {command.usage}\n\n{command.about}\n"]
    inner = inner_commands(COMMANDS, command)
    for title, runs in (("Management Commands", False), ("Commands", True)):
        listed = [f"  {one.words[-1]:<12}{one.about}\n" for one in inner if bool(one.function) == runs]
        if listed:
            parts.append(f"{title}:\n{''.join(listed)}")
    if command.flags:
        parts.append(f"Options:\n{flag_lines(command.flags)}")
    if inner:
        parts.append(f"Run '{path} COMMAND --help' for more information on a command.\n")
    return "\n".join(parts)


def read(words: Sequence[str], program: str) -> CommandLine | Answer:
    """Read a command line: what follows the program's name, which help and errors give as `program`."""
    command, rest = BY_WORDS[()], list(words)
    while not command.function:
        at = next((index for index, word in enumerate(rest) if not is_flag(word)), None)
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
        flags, arguments = parse(command.flags, rest)
    except HelpWantedError as wanted:
        return Answer(f"{_HELP[str(wanted)]}{help_text(command, program)}", to_stdout=True)
    except FlagError as error:
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
        parse(command.flags, rest[:at])
    except HelpWantedError:
        return None
    except FlagError as error:
        words = iter(rest)
        names = [word for word in words if not (is_flag(word) and ("=" in word or next(words, "")))]
        inside = bool(names) and (*command.words, names[0]) in BY_WORDS
        return Answer(str(error), 1) if inside else Answer(_mistake(str(error), path, path), FLAG_ERROR)
    return None


def _wrong_number(command: Command, arguments: list[str], usage: str, path: str) -> Answer | None:
    if len(arguments) == command.arguments or (more(command) and len(arguments) > command.arguments):
        return None
    least = "at least " if more(command) else ""
    plural = "" if command.arguments == 1 else "s"
    text = f"docker: '{path}' requires {least}{command.arguments} argument{plural}"
    return Answer(_mistake(text, usage, path, "See" if more(command) else "Run"), 1)


def more(command: Command) -> bool:
    """Tell whether a command takes more arguments than it needs."""
    return "...]" in command.usage


def _mistake(text: str, usage: str, path: str, verb: str = "Run") -> str:
    return f"{text}\n\nUsage:  {usage}\n\n{verb} '{path} --help' for more information\n"
