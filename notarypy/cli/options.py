"""The global options, which stand before or after the command.

What it is: their one declaration, and what was given. What it is not: their meaning
(`storage.settings.settings`) or the options of single commands.

Rules:

1. An option after the command beats the same one before it; `-v` adds up and `--insecure-registry` collects.
2. After `--` nothing is an option.
3. Values are taken as they are: whoever knows what they mean checks them.
"""

from __future__ import annotations

from typing import Any, Literal

from notarypy.cli.declared import Option, Parameter


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
        """Note one option (rule 1)."""
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


DECLARED = (
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
