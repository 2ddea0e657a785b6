"""The commands of `docker trust`, with their flags, and their help.

What it is: the table. What it is not: reading a command line (`grammar`) or running it: the table
names the functions. Names, words and flags are docker's; the sentences are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
        flags: Its flags.
        arguments: How many it takes.
        more: Whether it takes more than that.
    """

    words: tuple[str, ...]
    usage: str
    about: str
    function: str = ""
    flags: tuple[Flag, ...] = ()
    arguments: int = 0
    more: bool = False


_SIGNERS = "NAME REPOSITORY [REPOSITORY...]"
COMMANDS = (
    Command((), "COMMAND", "Sign images, and say who may"),
    Command(("key",), "COMMAND", "Make and load signing keys"),
    Command(("signer",), "COMMAND", "Say who may sign the images of a repository"),
    Command(
        ("key", "generate"),
        "NAME",
        "Make a signing key and load it",
        "signers:generate",
        (Flag("dir", "Where NAME.pub goes; by default the current directory", kind="string"),),
        arguments=1,
    ),
    Command(
        ("key", "load"),
        "[OPTIONS] KEYFILE",
        "Load a private key from a file",
        "signers:load",
        (Flag("name", 'The name of the key (default "signer")', kind="string"),),
        arguments=1,
    ),
    Command(
        ("signer", "add"),
        f"OPTIONS {_SIGNERS} ",
        "Let somebody sign",
        "signers:add",
        (Flag("key", "A file with the signer's public key", kind="list"),),
        arguments=2,
        more=True,
    ),
    Command(
        ("signer", "remove"),
        f"[OPTIONS] {_SIGNERS}",
        "Let somebody sign no more",
        "signers:remove",
        (Flag("force", "Even if images cannot be pulled until somebody else signs; do not ask", "f"),),
        arguments=2,
        more=True,
    ),
    Command(
        ("inspect",),
        "IMAGE[:TAG] [IMAGE[:TAG]...]",
        "Show who signed what, and with which keys",
        "images:inspect",
        (Flag("pretty", "Print text for people"),),
        arguments=1,
        more=True,
    ),
    Command(
        ("revoke",),
        "[OPTIONS] IMAGE[:TAG]",
        "Take the signatures of an image away",
        "images:revoke",
        (Flag("yes", "Do not ask", "y"),),
        arguments=1,
    ),
    Command(
        ("sign",),
        "IMAGE:TAG",
        "Sign an image",
        "images:sign",
        (Flag("local", "Push the image of the local daemon, and sign that"),),
        arguments=1,
    ),
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
    if command.flags:
        parts.append(f"Options:\n{''.join(map(_flag_help, command.flags))}")
    if inner:
        parts.append(f"Run '{path} COMMAND --help' for more information on a command.\n")
    return "\n".join(parts)


def _flag_help(flag: Flag) -> str:
    from textwrap import wrap

    short = f"-{flag.short}, " if flag.short else "    "
    kind = "" if flag.kind == "bool" else f" {flag.kind}"
    head = f"  {short}--{flag.name}{kind}   "
    lines = wrap(flag.help, _WIDTH - len(head))
    return head + f"\n{' ' * len(head)}".join(lines) + "\n"
