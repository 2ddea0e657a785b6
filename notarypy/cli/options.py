"""The global options, which stand before or after the command.

What it is: their one declaration, and what was given. What it is not: their meaning
(`storage.settings.settings`) or the options of single commands.

Rules:

1. An option after the command beats the same one before it; `-v` adds up and `--insecure-registry` collects.
2. After `--` nothing is an option.
3. Values are taken as they are: whoever knows what they mean checks them.
"""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import typer.main
from typer import Exit, Option, Typer, echo
from typer.core import TyperCommand, TyperGroup

from notarypy import __version__
from notarypy.values import dataclass, field

HINT = "Global options (-s, -d, -c, --json, -q, -v, -y, --offline, ...) work here too: notarypy --help"


@dataclass
class GivenOptions:
    """The global options that were given: those of the command line, and what the client takes, by name."""

    json: bool = False
    quiet: bool = False
    yes: bool = False
    verbose: int = 0
    for_client: dict[str, Any] = field(default_factory=dict)

    @property
    def gun(self) -> bool:
        """Whether REPO is taken literally."""
        return bool(self.for_client.get("gun"))

    def take(self, name: str, value: Any) -> None:  # noqa: ANN401 - of every type that options have
        """Note one option (rule 1)."""
        if name == "verbose":
            self.verbose += value
        elif name in {"json", "quiet", "yes"}:
            setattr(self, name, value)
        elif name == "insecure_registry":
            self.for_client[name] = (*self.for_client.get(name, ()), *value)
        else:
            self.for_client[name] = value


def _declare(
    *,
    server: Annotated[str | None, Option("--server", "-s", metavar="URL", help="The Notary server.")] = None,
    trust_dir: Annotated[
        str | None,
        Option("--trust-dir", "-d", metavar="DIR", help="Keys and cached trust data, shared with docker."),
    ] = None,
    config: Annotated[
        str | None, Option("--config", "-c", metavar="FILE", help="Configuration: TOML, or Go notary's JSON.")
    ] = None,
    tlscacert: Annotated[
        str | None, Option(metavar="FILE", help="Trust only the CAs in this PEM file for the Notary server.")
    ] = None,
    tlscert: Annotated[
        str | None, Option(metavar="FILE", help="Client certificate for the Notary server.")
    ] = None,
    tlskey: Annotated[
        str | None, Option(metavar="FILE", help="The client certificate's private key.")
    ] = None,
    insecure_registry: Annotated[
        list[str] | None,
        Option(metavar="HOST", help="This registry may be asked over http. May be repeated."),
    ] = None,
    timeout: Annotated[
        str | None, Option(metavar="TIME", help="The most that one request may take: 5s, 2m; 60 is 60s.")
    ] = None,
    retry_for: Annotated[
        str | None, Option(metavar="TIME", help="How long a publish goes on if others are quicker.")
    ] = None,
    passphrase_file: Annotated[
        str | None, Option(metavar="FILE", help="First line, or lines root=, targets=, snapshot=, NAME=.")
    ] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON document on stdout.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No warnings but of what was NOT VERIFIED.")] = False,
    verbose: Annotated[
        int, Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv: all.")
    ] = 0,
    yes: Annotated[bool, Option("--yes", "-y", help="Answer every confirmation with yes.")] = False,
    offline: Annotated[bool, Option("--offline", help="Use cached trust data only.")] = False,
    first_use: Annotated[
        bool, Option("--first-use", help="Trust a root that nothing is known of, whoever shows it.")
    ] = False,
    gun: Annotated[
        bool, Option("--gun", help="Take REPO literally: a collection that is not an image.")
    ] = False,
    show_version: Annotated[bool, Option("--version", help="Print the version.")] = False,
) -> None:
    """Declare the options; nothing ever calls this."""


def attach(command: TyperCommand | TyperGroup, *, hidden: bool) -> None:
    """Let a command, and the commands in it, take the global options."""
    app = group()
    app.command()(_declare)
    declared: Any = typer.main.get_command(app).params
    for option in declared:
        option.expose_value, option.callback, option.hidden = False, _record, hidden
        command.params.append(option)
    if hidden:
        command.epilog = HINT
        command.help = (command.help or "").replace("Example:\n", "\b\nExample:\n")  # \b keeps the lines
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            attach(inner, hidden=True)  # type: ignore[arg-type]  # typer makes nothing else


def group(help_text: str | None = None) -> Typer:
    """Return an app for commands, such as those of one noun."""
    return Typer(rich_markup_mode=None, add_completion=False, help=help_text)


def show_version() -> NoReturn:
    """Print the version, and do nothing else."""
    echo(f"notarypy {__version__}")
    raise Exit


def _record(context: Any, option: Any, value: Any) -> None:  # noqa: ANN401 - typer's own types
    """Note an option that was given; what was not given is None, False, 0 or ()."""
    if value is None or value is False or value in ((), []) or (option.name == "verbose" and not value):
        return
    if option.name == "show_version":
        show_version()
    context.obj.options.take(option.name, tuple(value) if isinstance(value, list) else value)
