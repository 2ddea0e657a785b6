"""A well-formed command line, read without typer.

What it is: words in; out comes the command to call, with its values, exactly as typer would call it. What it
is not: errors or help. Whatever it does not understand to the last word, it leaves to typer, which is slower
and knows everything: help, unknown words, what is missing or too much, wrong values.

Rules:

1. What is read here typer reads as the same: the tests compare them on generated lines.
2. Options stand as `--name value`, `--name=value`, `-n value`, `-nvalue`, and switches together, as `-qy`.
   After a command's name they stand anywhere; after `--` there are none. Global ones may stand before it too.
3. The last of several values of an option counts, unless it collects or counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from notarypy.cli import declared
from notarypy.cli.declared import REQUIRED, Commands, Function, GivenOptions, Parameter

_Taken = tuple[Parameter, Any]
Find = Callable[[str], Function | Commands | None]
_DIGITS = 9


class _UnusualError(Exception):
    """Something on the line is for typer."""


class Invocation:
    """A command, and what its line says."""

    def __init__(self, function: Function, path: Sequence[str]) -> None:
        self.function, self.path = function, " ".join(path)
        self.values: dict[str, Any] = {}  # of all its parameters but the context
        self.given: dict[str, Any] = {}  # of its own options, at least those on the line, by their first name
        self.shared: list[tuple[str, Any]] = []  # the global options on the line, in their order
        self.raw: Sequence[str] = ()  # the words of a command that reads them itself

    def share(self, options: GivenOptions) -> None:
        """Note the global options that are on the line."""
        for name, value in self.shared:
            options.take(name, value)

    def take(self, parameter: Parameter, value: Any) -> None:  # noqa: ANN401 - of any type
        """Note the value of one of its own options (rule 3)."""
        first = parameter.names[0]
        if parameter.several:
            value = [*self.given.get(first, ()), value]
        self.values[parameter.name] = self.given[first] = value


class _Options:
    """The options that may stand at a place: the global ones, and behind a command its own."""

    def __init__(self, shared: Sequence[Parameter]) -> None:
        self.shared = {name: parameter for parameter in shared for name in parameter.names}
        self.function: Function | None = None
        self._own: dict[str, Parameter] | None = None

    def named(self, name: str) -> Parameter:
        """Return an option; its declaration is not evaluated before."""
        if (found := self.shared.get(name)) is not None:
            return found
        if self.function is None:
            raise _UnusualError
        if self._own is None:
            own = declared.options(self.function)
            self._own = {name: parameter for parameter in own for name in parameter.names}
        if (found := self._own.get(name)) is None:
            raise _UnusualError
        return found


def read(
    words: Sequence[str], find: Find, shared: Sequence[Parameter], raw: Collection[str] = ()
) -> Invocation | None:
    """Read a command line; None if that is typer's to do.

    `find` knows the commands, of which those that are `raw` read their words themselves; `shared` are the
    global options.
    """
    rest, path, taken, options = list(reversed(words)), list[str](), list[_Taken](), _Options(shared)
    try:
        call = Invocation(_command(rest, path, taken, options, find), path)
        if call.path in raw:
            _take_raw(call, rest)
        else:
            _take_all(call, rest, taken, options)
    except _UnusualError:
        return None
    call.shared = [
        (parameter.name, [value] if parameter.several else value)
        for parameter, value in taken
        if parameter in shared
    ]
    return call


def _command(
    rest: list[str], path: list[str], taken: list[_Taken], options: _Options, find: Find
) -> Function:
    """Find the command whose name is next, and the options before it."""
    found: Function | Commands | None = None
    while found is None or isinstance(found, Commands):
        while rest and _is_option(rest[-1]):
            taken += _option(rest.pop(), rest, options)
        if not rest:
            raise _UnusualError
        path.append(rest.pop())
        found = find(path[-1]) if found is None else found.by_name.get(path[-1])
        if found is None:
            raise _UnusualError
    return found


def _take_raw(call: Invocation, rest: Sequence[str]) -> None:
    """Leave the words as they are, if there is no doubt whose they are."""
    if rest and rest[-1].startswith("-"):
        raise _UnusualError
    call.raw = rest[::-1]


def _take_all(call: Invocation, rest: list[str], taken: list[_Taken], options: _Options) -> None:
    """Take the rest of the words as options and arguments of the command."""
    call.values = declared.option_defaults(call.function)
    options.function, before = call.function, len(taken)
    words = _anywhere(rest, options, taken)
    for parameter, value in taken[before:]:
        if parameter not in options.shared.values():
            call.take(parameter, value)
    for parameter in declared.arguments(call.function):
        call.values[parameter.name] = _argument(parameter, words)
    if words or REQUIRED in call.values.values():
        raise _UnusualError


def _anywhere(rest: list[str], options: _Options, taken: list[_Taken]) -> list[str]:
    """Take the options off the words, which come last first; return the others in their order."""
    others = list[str]()
    while rest:
        word = rest.pop()
        if word == "--":
            return [*others, *reversed(rest)]
        if _is_option(word):
            taken += _option(word, rest, options)
        else:
            others.append(word)
    return others


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _option(word: str, rest: list[str], options: _Options) -> Iterator[_Taken]:
    """Yield the options in a word, whose value may be the next one (rule 2)."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        parameter = options.named(name)
        yield parameter, _value(parameter, value if equals else None, rest)
        return
    letters = word[1:]
    while letters:
        parameter, letters = options.named(f"-{letters[0]}"), letters[1:]
        if parameter.takes_value:
            yield parameter, _value(parameter, letters or None, rest)
            return
        yield parameter, _value(parameter, None, rest)


def _value(parameter: Parameter, text: str | None, rest: list[str]) -> Any:  # noqa: ANN401 - of any type
    if not parameter.takes_value:
        if text is not None:
            raise _UnusualError
        return 1 if parameter.kind is int else True
    if text is None:
        if not rest:
            raise _UnusualError
        text = rest.pop()
    return _converted(parameter, text)


def _converted(parameter: Parameter, text: str) -> str | int:
    """Return the value that a text has."""
    kind = parameter.kind
    if kind is str or (isinstance(kind, tuple) and text in kind):
        return text
    if (
        kind is int
        and text.isascii()
        and text.isdigit()
        and len(text) <= _DIGITS
        and parameter.allows(int(text))
    ):
        return int(text)
    raise _UnusualError


def _argument(parameter: Parameter, words: list[str]) -> Any:  # noqa: ANN401 - of any type
    """Take the words of an argument off those that are left."""
    if not words:
        return parameter.default
    if not parameter.several:
        return _converted(parameter, words.pop(0))
    values, words[:] = [_converted(parameter, word) for word in words], []
    return values
