"""The bridge to typer, which prints all help and says what is wrong with a line.

What it is: the commands of the program as typer knows them, made of their declarations, once a process. What
it is not: needed for a well-formed line (`wellformed`): typer, and the texts of topics, are loaded for the
others alone.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer.main
from typer import BadParameter, Exit, Typer, echo
from typer.core import TyperCommand, TyperGroup

from notarypy import __version__
from notarypy.cli import app, declared
from notarypy.cli.references import KEYLESS
from notarypy.cli.text import helptopics
from notarypy.cli.wellformed import Invocation
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.cli.declared import Commands, Function, Parameter
    from notarypy.cli.run import Run

_PROGRAM = "notarypy"
# These words are no commands, and what is said of them.
_WORDS = {
    "help": "notarypy help [COMMAND... | TOPIC] prints the help of a command, a topic, or the program.",
    "version": "notarypy version prints the version, as --version does.",
}
# Typer's help has no setting for this: no line ends behind a hyphen, in the middle of an option's name.
textwrap.TextWrapper.wordsep_re = textwrap.TextWrapper.wordsep_simple_re
# What typer raises for a command line it cannot read; the base is not among its public names.
_UNREADABLE: type[Exception] = BadParameter.__bases__[0]

_BEGINNING = 3  # letters of a name, which say which is meant
_GLOBAL = frozenset(name for each in declared.GLOBAL_OPTIONS for name in each.names)
_HINT = "Also --server: notarypy help options. ROOT-PIN, role: notarypy help names"
_VERSION = declared.Parameter(
    "show_version", bool, declared.Option("--version", help="Print the version."), default=False
)
_RAW: dict[str, Any] = {
    "context_settings": {
        "allow_extra_args": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
        "ignore_unknown_options": True,
    },
    "add_help_option": False,
}


class CommandTable(TyperGroup):
    """The program: commands are imported when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as typer declares it
        """Return all names, in the order of a first use."""
        return list(app.COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as typer declares it
        """Import a command, or the commands of a noun."""
        found = app.find(cmd_name)
        if found is None:
            names = (*app.COMMANDS, "help", *helptopics.TOPICS)
            begun = [name for name in names if len(cmd_name) >= _BEGINNING and name.startswith(cmd_name)]
            close = begun[:1] or get_close_matches(cmd_name, names, n=1)
            meant = "".join(f"help {each}" if each in helptopics.TOPICS else each for each in close)
            advice = Advice("did-you-mean" if close else "see-help", command=meant or _PROGRAM)
            raise UsageError(f'there is no command "{cmd_name}"', advice=advice)
        return _command(cmd_name, found)

    def get_help(self, ctx: Any) -> str:  # noqa: ANN401, ARG002 - as typer declares it
        """Return the page of the program."""
        return helptopics.program().rstrip()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as typer declares it
        """Take `help COMMAND` for `COMMAND --help`, `help TOPIC`, and `version` for `--version`."""
        word, *words = args
        if word == "version" and not words:
            _show_version()
        if word not in _WORDS:
            return super().resolve_command(ctx, args)
        asked = [each for each in words if not each.startswith("-")]
        if word == "version" and (asked or words[-1] not in {"-h", "--help"}):
            raise UsageError(f'"{words[0]}" follows version', advice=Advice("leave-out", option=words[0]))
        if word == "version" or (asked and asked[0] in _WORDS):
            echo("\n".join(_WORDS.values()))
            raise Exit
        if not asked or asked[0] in helptopics.TOPICS:
            echo(self._topic(ctx, *asked) if asked else self.get_help(ctx))
            raise Exit
        self._require_command(ctx, asked)
        return super().resolve_command(ctx, [*asked, "--help"])

    def _topic(self, ctx: Any, name: str, *more: str) -> str:  # noqa: ANN401 - typer's own type
        """Return the page of a topic; that of the options has them as they are declared."""
        if more:
            raise UsageError(f'"{more[0]}" follows a topic', advice=Advice("leave-out", option=more[0]))
        text = helptopics.topic(name).rstrip()
        if name != "options":
            return text
        formatter = ctx.make_formatter()
        with formatter.section("Options"):
            formatter.write_dl([each.get_help_record(ctx) for each in self.get_params(ctx)])
        return f"{text}\n\n{formatter.getvalue().rstrip()}"

    def _require_command(self, ctx: Any, words: Sequence[str]) -> None:  # noqa: ANN401 - typer's own type
        """Raise UsageError for words behind the name of a command that has no commands in it."""
        command, *rest = words
        found = self.get_command(ctx, command)
        if command in app.RAW:  # it reads them itself
            return
        if isinstance(found, TyperGroup) and rest:
            found = found.get_command(ctx, rest.pop(0))
        if found is not None and rest:
            raise UsageError(f'"{rest[0]}" is no command', advice=Advice("leave-out", option=rest[0]))


class SingleCommand(TyperCommand):
    """A command, whose errors say that they are its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as typer declares it
        """Read its words; an option without its value is an error without a context."""
        try:
            return super().parse_args(ctx, args)
        except _UNREADABLE as error:
            if getattr(error, "option_name", None) not in _GLOBAL:  # the page of the others has them
                error.ctx = ctx  # type: ignore[attr-defined]  # typer's own
            raise


def read(argv: Sequence[str], run: Run) -> Invocation | None:
    """Read any command line, and note its global options; UsageError if it cannot be read.

    None if the answer was printed. A line without a word is a question for help. One that has options alone
    lacks its command: mostly that is a variable that should have had a value, and no success.
    """
    program, found = _program(), list[Invocation]()
    try:
        with program.make_context(_PROGRAM, list(argv) or ["--help"], obj=(run, found)) as context:
            program.invoke(context)
    except Exit:
        run.report.answered = True
    except _UNREADABLE as error:
        raise _usage_error(error, run) from None
    return found[0] if found else None


@cache
def _program() -> Any:  # noqa: ANN401 - typer's own type
    made = Typer(
        cls=CommandTable,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(lambda: None)
    program = typer.main.get_command(made)
    _attach(program, hidden=False)
    return program


@cache
def _command(name: str, found: Function | Commands) -> Any:  # noqa: ANN401 - typer's own type
    command = _of_noun(found) if isinstance(found, declared.Commands) else _single(name, found)
    if name not in app.RAW:
        _attach(command, hidden=True)
    return command


def _group(about: str | None = None) -> Typer:
    return Typer(rich_markup_mode=None, add_completion=False, help=about)


def _of_noun(commands: Commands) -> Any:  # noqa: ANN401 - typer's own type
    group = _group(commands.about)
    for name, function in commands.by_name.items():
        group.command(name, cls=SingleCommand)(_callback(function))
    return typer.main.get_group(group)  # with one command too


def _single(name: str, function: Function) -> Any:  # noqa: ANN401 - typer's own type
    group = _group()
    group.command(name, cls=SingleCommand, **(_RAW if name in app.RAW else {}))(_callback(function))
    return typer.main.get_command(group)


def _callback(function: Function) -> Callable[..., None]:
    """Return what typer is to call for a command, with the signature that it understands."""

    def called(context: Any, **values: Any) -> None:  # noqa: ANN401 - typer's own types
        made = Invocation(function, context.command_path.split(" ")[1:])
        made.values, made.raw = values, context.args
        given = {each.opts[0]: context.params.get(each.name) for each in context.command.params}
        made.given = {name: value for name, value in given.items() if name.startswith("-")}
        context.obj[1].append(made)

    called.__doc__ = function.__doc__
    parameters = [*declared.arguments(function), *declared.options(function)]
    return _signed(called, parameters, inspect.Parameter("context", _NAMED, annotation=typer.Context))


_NAMED = inspect.Parameter.KEYWORD_ONLY


def _signed(
    function: Callable[..., None], parameters: Sequence[Parameter], *first: inspect.Parameter
) -> Callable[..., None]:
    """Give a function a signature of parameters as typer declares them."""
    shown = [*first]
    for each in parameters:
        made = typer.Option if isinstance(each.record, declared.Option) else typer.Argument
        record = made(*each.record.names, **each.record.how)
        default = inspect.Parameter.empty if each.default is declared.REQUIRED else each.default
        hint: Any = Annotated[each.hint, record]
        shown.append(inspect.Parameter(each.name, _NAMED, default=default, annotation=hint))
    function.__annotations__ = {}
    function.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]  # inspect reads it
    return function


def _attach(command: Any, *, hidden: bool) -> None:  # noqa: ANN401 - typer's own type
    """Let a command, and the commands in it, take the global options."""
    group = _group()
    group.command()(_signed(lambda: None, (*declared.GLOBAL_OPTIONS, _VERSION)))
    made: Any = typer.main.get_command(group)
    for option in made.params:
        option.expose_value, option.callback, option.hidden = False, _record, hidden
        command.params.append(option)
    if hidden:
        command.epilog = _HINT
        command.help = (command.help or "").replace("Example:\n", "\b\nExample:\n")  # \b keeps the lines
    for inner in getattr(command, "commands", {}).values():
        _attach(inner, hidden=True)


def _show_version() -> NoReturn:
    """Print the version, and do nothing else."""
    echo(f"notarypy {__version__}")
    raise Exit


def _record(context: Any, option: Any, value: Any) -> None:  # noqa: ANN401 - typer's own types
    """Note an option that was given; what was not given is None, False, 0 or ()."""
    if value is None or value is False or value in ((), []) or (option.name == "verbose" and not value):
        return
    if option.name == "show_version":
        _show_version()
    context.obj[0].options.take(option.name, tuple(value) if isinstance(value, list) else value)


def _usage_error(error: Any, run: Run) -> UsageError:  # noqa: ANN401 - typer's own type
    context = error.ctx
    path = context.command_path if context is not None else _PROGRAM
    run.report.command = path.removeprefix(_PROGRAM).strip() or None
    message = (
        error.format_message().rstrip(".").replace("Choose from:\n\t", "Choose from: ").replace(",\n\t", ", ")
    )
    advice = Advice("see-help", command=path)
    if path == _PROGRAM and message != "Missing command":
        advice = Advice("see-options")
    elif path != _PROGRAM and message == "Missing command":
        names = ", ".join(context.command.list_commands(context))
        message, advice = f"{path} lacks a command", Advice("name-command", names=names, command=path)
    why = ""
    if message.startswith("No such option: --certificate-"):
        why, advice = KEYLESS, Advice("write-also")
    return UsageError(message[:1].lower() + message[1:], why=why, advice=advice)
