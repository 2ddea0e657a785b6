"""How commands declare what stands on their line, in typer's style and without typer; and the global options.

What it is: `Option` and `Argument`, which stand beside the type of a parameter, the commands of a noun, and
the parameters of a function; the options that may stand before or after any command, and which were given.
What it is not: reading a line (`wellformed`), help (`bridge`, which makes typer's records of these), or what
global options mean (`storage.settings.settings`).

Rules:

1. The signature of a command is its one declaration: the first parameter is its context, others by position
   are arguments, those by keyword alone are options. What has no default has to be given.
2. An annotation is evaluated when somebody asks for it; most lines have few of the options of their command.
3. A global option after the command beats the same one before it; `-v` adds up and `--insecure-registry`
   collects. After `--` nothing is an option.
4. Values are taken as they are: whoever knows what they mean checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

REQUIRED: Any = object()
Function = Callable[..., None]


class _Record:
    """What is said of a parameter, as typer takes it: names, and how it is read and shown."""

    __slots__ = ("how", "names")

    def __init__(self, *names: str, **how: Any) -> None:  # noqa: ANN401 - typer's own keywords
        self.names, self.how = names, how


class Option(_Record):
    """An option; without names it is called as its parameter."""

    __slots__ = ()


class Argument(_Record):
    """An argument."""

    __slots__ = ()


class Parameter:
    """A parameter of a command, or a global option."""

    __slots__ = ("default", "hint", "name", "record")

    def __init__(self, name: str, hint: Any, record: _Record, default: Any = None) -> None:  # noqa: ANN401 - any type
        self.name, self.hint, self.record, self.default = name, hint, record, default

    @property
    def names(self) -> tuple[str, ...]:
        """What an option is called on the command line."""
        return self.record.names or (f"--{self.name.replace('_', '-')}",)

    @property
    def is_argument(self) -> bool:
        """Whether it is no option."""
        return isinstance(self.record, Argument)

    @property
    def kind(self) -> Any:  # noqa: ANN401 - a type, or the choices
        """The type of one value: `str`, `int`, `bool`, or a tuple of the choices."""
        hint = self.hint
        inner = [each for each in getattr(hint, "__args__", ()) if each is not type(None)]
        if len(inner) < len(getattr(hint, "__args__", ())):
            (hint,) = inner  # `| None`
        origin = getattr(hint, "__origin__", None)
        return hint.__args__ if origin is Literal else hint.__args__[0] if origin is list else hint

    @property
    def takes_value(self) -> bool:
        """Whether a value follows an option."""
        return self.kind is not bool and not self.record.how.get("count")

    def allows(self, number: int) -> bool:
        """Whether a number is between the least and the most."""
        least, most = (self.record.how.get(name) for name in ("min", "max"))
        return (least is None or number >= least) and (most is None or number <= most)

    @property
    def several(self) -> bool:
        """Whether its values are a list."""
        return list in {
            getattr(each, "__origin__", None) for each in (self.hint, *getattr(self.hint, "__args__", ()))
        }


class Commands:
    """The commands of a noun, by name."""

    def __init__(self, about: str) -> None:
        self.about = about
        self.by_name: dict[str, Function] = {}

    def command(self, name: str) -> Callable[[Function], Function]:
        """Take a function in as a command."""

        def taken(function: Function) -> Function:
            self.by_name[name] = function
            return function

        return taken


def arguments(function: Function) -> Iterator[Parameter]:
    """Yield the arguments of a command, in their order."""
    code, defaults = function.__code__, function.__defaults__ or ()
    first = code.co_argcount - len(defaults)
    for index, name in enumerate(code.co_varnames[1 : code.co_argcount], start=1):
        yield _parameter(function, name, defaults[index - first] if index >= first else REQUIRED)


def options(function: Function) -> Iterator[Parameter]:
    """Yield the options of a command."""
    for name, default in option_defaults(function).items():
        yield _parameter(function, name, default)


def option_defaults(function: Function) -> dict[str, Any]:
    """Return the names of the parameters that are options, and their defaults; they are not evaluated."""
    code, defaults = function.__code__, function.__kwdefaults__ or {}
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return {name: defaults.get(name, REQUIRED) for name in names}


def _parameter(function: Function, name: str, default: Any) -> Parameter:  # noqa: ANN401 - of any type
    # The text of an annotation in this package, as `typing.get_type_hints` evaluates it, and nothing else.
    annotated = eval(function.__annotations__[name], function.__globals__)  # noqa: S307
    return Parameter(name, annotated.__origin__, annotated.__metadata__[0], default)


class GivenOptions:
    """The global options that were given: those of the command line, and what the client takes, by name."""

    def __init__(
        self, *, json: bool = False, quiet: bool = False, yes: bool = False, verbose: int = 0
    ) -> None:
        self.json, self.quiet, self.yes, self.verbose = json, quiet, yes, verbose
        self.color = "auto"
        self.for_client: dict[str, Any] = {}

    @property
    def gun(self) -> bool:
        """Whether REPO is taken literally."""
        return bool(self.for_client.get("gun"))

    def take(self, name: str, value: Any) -> None:  # noqa: ANN401 - of every type that options have
        """Note one option (rule 3)."""
        if name == "verbose":
            self.verbose += value
        elif name in {"json", "quiet", "yes", "color"}:
            setattr(self, name, value)
        elif name == "insecure_registry":
            self.for_client[name] = (*self.for_client.get(name, ()), *value)
        else:
            self.for_client[name] = value


def _text(name: str, *names: str, metavar: str, about: str) -> Parameter:
    return Parameter(name, str | None, Option(*names, metavar=metavar, help=about))


def _switch(name: str, *names: str, about: str) -> Parameter:
    return Parameter(name, bool, Option(*names, help=about), default=False)


GLOBAL_OPTIONS = (
    _text("server", "--server", "-s", metavar="URL", about="The Notary server."),
    _text(
        "trust_dir",
        "--trust-dir",
        "-d",
        metavar="DIR",
        about="Keys and cached trust data, shared with docker.",
    ),
    _text("config", "--config", "-c", metavar="FILE", about="Configuration: TOML, or Go notary's JSON."),
    _text("tlscacert", metavar="FILE", about="Trust only the CAs in this PEM file for the Notary server."),
    _text("tlscert", metavar="FILE", about="Client certificate for the Notary server."),
    _text("tlskey", metavar="FILE", about="The client certificate's private key."),
    Parameter(
        "insecure_registry",
        list[str] | None,
        Option(metavar="HOST", help="This registry may be asked over http. Repeatable."),
    ),
    _text("timeout", metavar="TIME", about="The most that one request may take: 5s, 2m; 60 is 60s."),
    _text("retry_for", metavar="TIME", about="How long a publish goes on if others are quicker."),
    _text("passphrase_file", metavar="FILE", about="First line, or lines root=, targets=, snapshot=, NAME=."),
    _switch("json", "--json", about="Print one JSON document on stdout."),
    _switch("quiet", "--quiet", "-q", about="No warnings but of what was NOT VERIFIED."),
    Parameter(
        "verbose",
        int,
        Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv: all."),
        default=0,
    ),
    Parameter(
        "color",
        Literal["auto", "always", "never"] | None,
        Option(help="Colour; auto: at a terminal, without NO_COLOR."),
    ),
    _switch("yes", "--yes", "-y", about="Answer every confirmation with yes."),
    _switch("offline", "--offline", about="Ask no server: use cached trust data only."),
    _switch("first_use", "--first-use", about="Trust a root that nothing is known of, whoever shows it."),
    _switch("gun", "--gun", about="Take REPO literally: a collection that is not an image."),
)
