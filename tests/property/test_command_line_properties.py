"""A well-formed command line is read as typer reads it, and every option is understood."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from notarypy.cli import app, bridge, declared, wellformed
from notarypy.cli.declared import Commands
from notarypy.cli.run import Run
from notarypy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn

    from notarypy.cli.declared import Function, Parameter

ODD = [
    "",
    "-",
    "--",
    "-x",
    "--nope",
    "--help",
    "-h",
    "--version",
    "-vq",
    "-vqs",
    "--json=1",
    "-q=1",
    "--=",
    "ä\udce4",
]


def commands() -> Iterator[tuple[list[str], Function]]:
    """Yield every command and its words."""
    for name in app.COMMANDS:
        found = app.find(name)
        if isinstance(found, Commands):
            yield from (([name, inner], function) for inner, function in found.by_name.items())
        elif found is not None:
            yield [name], found


COMMANDS = list(commands())
USUAL = [(words, function) for words, function in COMMANDS if words[0] not in app.RAW]


@pytest.fixture(autouse=True, scope="module")
def built_once() -> Iterator[None]:
    """Let typer's commands be built once; they remember nothing."""
    program, command = functools.cache(bridge._program), functools.cache(bridge.CommandTable.get_command)  # noqa: SLF001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bridge, "_program", program)
        patch.setattr(bridge.CommandTable, "get_command", lambda self, _, name: command(self, None, name))
        yield


def read(words: list[str]) -> wellformed.Invocation | None:
    return wellformed.read(words, app.find, declared.GLOBAL_OPTIONS, app.RAW)


def facts(call: wellformed.Invocation, run: Run) -> tuple[Any, ...]:
    """Return what a line means; the program's defaults and lists are the same whoever read it."""
    call.share(run.options)
    return call.function, call.path, call.values, list(call.raw), vars(run.options)


def check(words: list[str]) -> wellformed.Invocation | None:
    """Compare both readers on a line; return what the quick one made of it."""
    quick = read(words)
    if quick is None:
        return None
    run = Run()
    slow = bridge.read(words, run)
    assert slow is not None
    assert facts(quick, Run()) == facts(slow, run)
    assert {name for name, value in quick.given.items() if "" in (value, *_list(value))} == {
        name for name, value in slow.given.items() if "" in (value, *_list(value))
    }
    return quick


def _list(value: object) -> list[object]:
    return [*value] if isinstance(value, list | tuple) else []


def values(parameter: Parameter) -> list[str]:
    """Return texts that are values of a parameter."""
    if isinstance(parameter.kind, tuple):
        return [*parameter.kind]
    if parameter.kind is int:
        return [text for text in ("5", "007", "65535") if parameter.allows(int(text))]
    return ["a", "", "-", "--json", "a=b", "ä"]


def spellings(parameter: Parameter) -> Iterator[list[str]]:
    """Yield the ways to write an option."""
    for name in parameter.names:
        if not parameter.takes_value:
            yield [name]
            continue
        for value in values(parameter):
            yield [name, value]
            if name.startswith("--"):
                yield [f"{name}={value}"]
            elif value:
                yield [f"{name}{value}"]


def least(function: Function) -> list[str]:
    """Return the words that a command cannot do without."""
    needed = [each for each in declared.options(function) if each.default is declared.REQUIRED]
    words = [word for each in needed for word in next(spellings(each))]
    return words + [
        values(each)[0] for each in declared.arguments(function) if each.default is declared.REQUIRED
    ]


@pytest.mark.parametrize(("words", "function"), USUAL)
def test_every_option_is_understood(words: list[str], function: Function) -> None:
    own, shared = [*declared.options(function)], [*declared.GLOBAL_OPTIONS]
    for parameter in own + (shared if words == ["verify"] else []):
        for spelling in spellings(parameter):
            assert check([*words, *least(function), *spelling]) is not None, spelling
    names = [name for parameter in own + shared for name in parameter.names]
    assert len(names) == len(set(names))
    assert check([*words, *least(function)]) is not None


@pytest.mark.parametrize(("words", "function"), USUAL)
def test_a_signature_says_what_is_an_argument(words: list[str], function: Function) -> None:
    several = [parameter.several for parameter in declared.arguments(function)]
    assert all(isinstance(each.record, declared.Argument) for each in declared.arguments(function)), words
    assert all(isinstance(each.record, declared.Option) for each in declared.options(function)), words
    assert not any(several[:-1])


@st.composite
def lines(draw: DrawFn) -> list[str]:
    """Draw a command line that may be wrong."""
    words, function = draw(st.sampled_from(COMMANDS))
    own = [*declared.options(function)] if words[0] not in app.RAW else []
    known = [spelling for parameter in (*own, *declared.GLOBAL_OPTIONS) for spelling in spellings(parameter)]
    shared = [spelling for parameter in declared.GLOBAL_OPTIONS for spelling in spellings(parameter)]
    arguments = ["registry.test/app:1", "jeff", "a b", "ä"]
    piece = st.one_of(
        st.sampled_from(known), st.sampled_from(arguments).map(lambda word: [word]),
        st.sampled_from(known), st.sampled_from([*ODD, "-fq", "-yv", "-ya"]).map(lambda word: [word]),
    )  # fmt: skip
    before = st.lists(st.sampled_from([*shared, ["-qv"], ["--"], ["-h"]]), max_size=2)
    line = [word for each in draw(before) for word in each] + [words[0]]
    for inner in words[1:]:
        line += [word for each in draw(before) for word in each] + [inner]
    line += draw(st.sampled_from([[], least(function) if words[0] not in app.RAW else ["sign", "--", "-x"]]))
    return line + [word for each in draw(st.lists(piece, max_size=5)) for word in each]


@settings(max_examples=3 * settings().max_examples, suppress_health_check=[HealthCheck.filter_too_much])
@given(lines())
def test_what_is_read_quickly_is_what_typer_reads(words: list[str]) -> None:
    assume(check(words) is not None)


@settings(max_examples=2 * settings().max_examples)
@given(lines())
def test_what_typer_refuses_is_not_read_quickly(words: list[str]) -> None:
    run = Run()
    try:
        answer = bridge.read(words, run)
    except UsageError:
        answer = None
    if answer is None:
        assert read(words) is None
