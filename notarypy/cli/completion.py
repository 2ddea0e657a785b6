"""`notarypy completion`: the script that makes a shell complete command lines, and what that script asks for.

What it is: which place of a line is to be filled. What it is not: what may stand there (`proposals`), or the
scripts (`text.shellscripts`), which ask this command each time: so they are of no version, and know every
command, option and name.

Rules:

1. A line is read as far as it can be understood: an unknown option is one without a value.
2. Whatever goes wrong while a line is completed, nothing is proposed, and nobody complains.
3. What stands on the line is never run, looked up or expanded; `~/` of the folder of keys is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from notarypy.cli import app, declared
from notarypy.cli.declared import Argument, Commands, Parameter
from notarypy.cli.proposals import Known, Proposal, Proposals, values
from notarypy.cli.run import Context, begin
from notarypy.cli.text import helptopics, shellscripts
from notarypy.errors import NotarypyError

if TYPE_CHECKING:
    from notarypy.cli.declared import Function

_PLACES = ("trust_dir", "config")  # the global options that say where names are
_HELP = "help"


def completion(
    context: Context,
    shell: Annotated[Literal["bash", "zsh", "fish"], Argument(metavar="SHELL", help="bash, zsh or fish.")],
    words: Annotated[
        list[str] | None, Argument(metavar="[WORD...]", help="Of scripts: a line, to say what may end it.")
    ] = None,
) -> None:
    """Print what makes a shell complete command lines.

    Those of notarypy, docker-trust and notary, with the repositories, tags, signers and keys of the trust
    directory. No server is asked.

    Example:
      notarypy completion fish | source
      eval "$(notarypy completion bash)"
      mkdir -p ~/.zfunc && notarypy completion zsh > ~/.zfunc/_notarypy
    """
    run = begin(context)
    if not words:
        script = shellscripts.SCRIPTS[shell]
        run.report.done(shell, {"script": script})
        run.report.text(script)
        return
    known = [*map(unquoted, words)] if shell != "zsh" else words
    found = _complete(known)
    fitting = found.fitting(known[-1])
    data = [{"text": each.text, "about": each.about} for each in fitting]
    run.report.done(shell, {"kind": found.kind, "kept": found.kept, "proposals": data})
    lines = [f"{found.kind} {found.kept}", *(f"{each.text}\t{_in_short(each.about)}" for each in fitting)]
    run.report.text("".join(f"{line}\n" for line in lines))


def unquoted(word: str) -> str:
    """Return a word that stands on a line as it is meant, as far as that is known before it is complete."""
    try:
        return "".join(shlex.split(word))
    except ValueError:  # a quote that is not closed yet
        return word.lstrip("'\"")


def _in_short(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _complete(words: Sequence[str]) -> Proposals:
    """Return what may be the last word of a line (rule 2)."""
    program, *before = words[:-1] or ("",)
    try:
        name = os.path.basename(program)  # noqa: PTH119 - a word, not a path
        if name == "notary" or name.startswith("docker-"):
            before = ["notary" if name == "notary" else "docker-trust", *before]
        line = _Line()
        line.take(before)
        return line.proposals(words[-1])
    except (NotarypyError, OSError, ValueError, RecursionError):
        return Proposals()


class _Line:
    """What is known of a line before its last word (rule 1)."""

    def __init__(self) -> None:
        self.found: Function | Commands | None = None
        self.raw: list[str] | None = None  # the words of a command that reads them itself
        self.helping = self.ended = False
        self.arguments: list[str] = []
        self.given: set[str] = set()  # options, by the name of their parameter
        self.places: dict[str, Any] = {}
        self.pending: Parameter | None = None  # an option whose value is next
        self._name = ""

    def take(self, words: Sequence[str]) -> None:
        """Read words that are complete."""
        for word in words:
            if self.raw is not None:
                self.raw.append(word)
            elif self.pending is not None:
                self._note(self.pending, word)
            elif self.ended or not word.startswith("-") or word == "-":
                self._take_word(word)
            elif word == "--":
                self.ended = True
            else:
                self._take_option(word)

    def proposals(self, typed: str) -> Proposals:
        """Return what may come next."""
        if self.raw is not None:
            return app.raw_proposals(self._name)(self.raw, self._known, typed)
        if self.pending is not None:
            return values(self.pending, typed, self._known)
        if typed.startswith("-") and not self.ended:
            name, equals, value = typed.partition("=")
            return self._value_of(name, value) if equals else Proposals(self._options(typed))
        return self._word(typed)

    def _word(self, typed: str) -> Proposals:
        """Return what may be the next word that is no option."""
        if self.found is None and self._name:  # there is no such command
            return Proposals()
        if self.found is None:
            return Proposals(_commands(helping=self.helping))
        if isinstance(self.found, Commands):
            return Proposals(Proposal(name, _about(each)) for name, each in self.found.by_name.items())
        return Proposals() if self.helping else self._argument(self.found, typed)

    @property
    def _known(self) -> Known:
        return Known(self.places, os.environ, self.arguments)

    def _take_word(self, word: str) -> None:
        if self.found is None and not self._name and word == _HELP and not self.helping:
            self.helping = True
        elif self.found is None and not self._name:
            self._name, self.found = word, app.find(word)
            self.raw = [] if word in app.RAW else None
        elif isinstance(self.found, Commands):
            self.found = self.found.by_name.get(word)
            self._name += f" {word}"
        else:
            self.arguments.append(word)

    def _take_option(self, word: str) -> None:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            parameter = self._named(name)
            if parameter is not None:
                self._begin(parameter, value if equals else None)
            return
        letters = word[1:]
        while letters and self.pending is None:
            parameter, letters = self._named(f"-{letters[0]}"), letters[1:]
            if parameter is not None:
                self._begin(parameter, letters or None)
                letters = "" if parameter.takes_value else letters

    def _begin(self, parameter: Parameter, value: str | None) -> None:
        """Note an option, whose value may be in the same word."""
        if not parameter.takes_value or value is not None:
            self._note(parameter, value)
        else:
            self.pending = parameter

    def _note(self, parameter: Parameter, value: str | None) -> None:
        self.pending = None
        self.given.add(parameter.name)
        if parameter.name in _PLACES and parameter in declared.GLOBAL_OPTIONS and value:
            self.places[parameter.name] = os.path.expanduser(value)  # noqa: PTH111 - raises for no user

    def _all_options(self) -> Iterator[Parameter]:
        """Yield the options that may stand here: the command's own, then the global ones."""
        if self.found is not None and not isinstance(self.found, Commands):
            yield from declared.options(self.found)
        yield from declared.GLOBAL_OPTIONS

    def _named(self, name: str) -> Parameter | None:
        return next((each for each in self._all_options() if name in each.names), None)

    def _options(self, typed: str) -> Iterator[Proposal]:
        """Yield options that are not on the line, by their long names where they have one."""
        for each in self._all_options():
            if each.name not in self.given or each.several or each.record.how.get("count"):
                long = [name for name in each.names if name.startswith("--")] or each.names
                names = each.names if len(typed) > 1 and not typed.startswith("--") else long
                yield from (Proposal(name, each.record.how.get("help", "")) for name in names)
        yield Proposal("--help", "Say more about it.")
        if not self._name:
            yield Proposal("--version", "Print the version.")

    def _value_of(self, name: str, typed: str) -> Proposals:
        """Return what may follow the equals sign of an option."""
        parameter = self._named(name)
        if parameter is None or not parameter.takes_value:
            return Proposals()
        found = values(parameter, typed, self._known)
        words = [Proposal(f"{name}={each.text}", each.about) for each in found.words]
        return Proposals(words, found.kind, f"{name}={found.kept}")

    def _argument(self, function: Function, typed: str) -> Proposals:
        """Return what may be the next argument; what is on the line already is not proposed again."""
        declaration = list(declared.arguments(function))
        place = len(self.arguments)
        if place >= len(declaration) and not (declaration and declaration[-1].several):
            return Proposals()
        found = values(declaration[min(place, len(declaration) - 1)], typed, self._known)
        found.words = [each for each in found.words if each.text not in self.arguments]
        return found


def _commands(*, helping: bool) -> Iterator[Proposal]:
    """Yield the commands, or what help is there for."""
    for words in helptopics.GROUPS.values():
        yield from (Proposal(*each) for each in words.items())
    if helping:
        yield from (Proposal(name, about) for name, (about, _) in helptopics.TOPICS.items())
    else:
        yield Proposal(_HELP, "Say more about a command or a topic.")


def _about(found: Function | Commands) -> str:
    """Return what a command does, in one sentence."""
    text = found.about if isinstance(found, Commands) else found.__doc__ or ""
    return text.partition("\n")[0].rstrip(":.")
