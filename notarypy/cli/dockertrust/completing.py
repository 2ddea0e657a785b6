"""What may end a line of `docker trust`: for shells, and for docker, which asks its plugins.

What it is: the table of `grammar` by places, and docker's protocol. What it is not: the names that are known
here (`cli.proposals`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from notarypy.cli.cobra import inner_commands
from notarypy.cli.declared import Argument, Parameter
from notarypy.cli.dockertrust import grammar
from notarypy.cli.proposals import Known, Proposal, Proposals, values

if TYPE_CHECKING:
    from notarypy.cli.cobra import Command

# Numbers of docker's protocol: an error; no space follows; no files, or folders alone.
_DIRECTIVES = {"words": 4, "open": 4 + 2, "files": 0, "folders": 16}
_PLACES = {"NAME": "NAME", "REPOSITORY": "REPO", "IMAGE": "REF", "KEYFILE": "FILE"}
_FLAGS = {"dir": "DIR", "key": "FILE"}


def proposals(words: Sequence[str], known: Known, typed: str) -> Proposals:
    """Return what may follow these words, where this much is typed."""
    command, rest = grammar.BY_WORDS[()], list(words)
    while rest and not command.function and (found := grammar.BY_WORDS.get((*command.words, rest[0]))):
        command, rest = found, rest[1:]
    flag = next(iter(command.flags), None)
    if flag is not None and flag.kind != "bool" and rest and rest[-1] == f"--{flag.name}":
        return _of(_FLAGS.get(flag.name, ""), known, typed)
    if typed.startswith("-"):
        own = [] if flag is None else [Proposal(f"--{flag.name}", flag.help)]
        return Proposals([*own, Proposal("--help", "Say more about it")])
    if not command.function:
        inner = inner_commands(grammar.COMMANDS, command)
        return Proposals([] if rest else [Proposal(one.words[-1], one.about) for one in inner])
    return _argument(command, rest, known, typed)


def _argument(command: Command, rest: Sequence[str], known: Known, typed: str) -> Proposals:
    given, flag = list[str](), next(iter(command.flags), None)
    before = ""
    for word in rest:
        follows = flag is not None and flag.kind != "bool" and before == f"--{flag.name}"
        before = word
        if not (word.startswith("-") or follows):
            given.append(word)
    places = [place for place in _places(command) if place]
    if len(given) >= command.arguments and not grammar.more(command):
        return Proposals()
    return _of(places[min(len(given), len(places) - 1)], known, typed)


def _places(command: Command) -> list[str]:
    """Return what the arguments of a command are, in the words of `proposals`."""
    words = command.usage.replace("[OPTIONS]", "").replace("OPTIONS", "").split()
    return [_PLACES.get(word.partition("[")[0].partition(":")[0], "") for word in words]


def _of(metavar: str, known: Known, typed: str) -> Proposals:
    return values(Parameter("", str, Argument(metavar=metavar)), typed, known) if metavar else Proposals()


def answer(words: Sequence[str]) -> str:
    """Return what docker is to propose for the last of these words, in its own protocol."""
    found = proposals(words[:-1], Known({}, os.environ), words[-1] if words else "")
    fitting = found.fitting(words[-1] if words else "")
    lines = [f"{each.text}\t{each.about}".rstrip("\t") for each in fitting]
    return "\n".join([*lines, f":{_DIRECTIVES[found.kind]}", ""])
