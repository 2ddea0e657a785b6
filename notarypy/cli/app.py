"""The commands by name, each imported only when it is called, and the help of the program.

What it is: the table, and the bridge to typer. What it is not: what a command does.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer.main
from typer import BadParameter, Exit, Typer, echo
from typer.core import TyperGroup

from notarypy.cli import options
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.cli.run import Run

_HOME = "notarypy.cli"
COMMANDS = {
    "init": "trust:init",
    "sign": "sign:sign",
    "verify": "verify:verify",
    "pin": "pin:pin",
    "build": "pin:build",
    "revoke": "sign:revoke",
    "push": "transfer:push",
    "pull": "transfer:pull",
    "copy": "transfer:copy",
    "inspect": "verify:inspect",
    "delegate": "delegate:app",
    "signer": "delegate:signer_app",
    "key": "key:app",
    "status": "renew:status",
    "renew": "renew:renew",
    "login": "login:login",
    "logout": "login:logout",
    "trust": "trust:trust",
    "forget": "trust:forget",
    "docker-trust": "dockertrust.plugin:app",
    "install-plugin": "dockertrust.plugin:install_plugin",
    "demo": "devserver:demo",
    "devserver": "devserver:devserver",
}
# These read all the words after them themselves.
RAW = frozenset({"docker-trust"})
_PROGRAM = "notarypy"
# These words are no commands, and what is said of them.
_WORDS = {
    "help": "notarypy help [COMMAND...] prints the help of a command, or of the program, as --help does.",
    "version": "notarypy version prints the version, as --version does.",
}
# What typer raises for a command line it cannot read; the base is not among its public names.
_UNREADABLE: type[Exception] = BadParameter.__bases__[0]

_HELP = """Sign and verify container images with Notary v1 (Docker Content Trust).

No docker, no daemon. Trust data and keys are those of docker trust and Go notary.
notarypy help COMMAND says more about a command, and notarypy version which one this is.

\b
REPO   registry/name; alpine means docker.io/library/alpine
REF    REPO[:TAG][@sha256:DIGEST]; the tag is latest if neither is given
NAME   a signer: jeff, which stands for the role targets/jeff
KEY    a signer's name, or at least 7 digits of a key id
PIN    a root key id in full, 64 hex digits

\b
Example:
  notarypy key load delegation.key --name jeff
  notarypy signer add --key delegation.crt jeff registry.example.com/admin/demo
  notarypy sign registry.example.com/admin/demo:1
  notarypy verify registry.example.com/admin/demo:1
"""
_EPILOG = """\b
Environment:
  DOCKER_CONTENT_TRUST_SERVER    the Notary server, unless --server is given;
                                 default: https://REGISTRY
  DOCKER_CONFIG                  docker's directory, default ~/.docker: trust/ has keys and
                                 trust data, tls/HOST:PORT/*.crt CAs, config.json logins
  XDG_CONFIG_HOME                has notarypy/config.toml and notarypy/policy.toml,
                                 default ~/.config
  NOTARYPY_FIRST_USE             1: as --first-use
  NOTARY_AUTH                    base64 of USER:PASSWORD for the Notary server
  HTTPS_PROXY, NO_PROXY          proxies, also in lower case
  SSL_CERT_FILE, SSL_CERT_DIR    the CAs of the system

\b
Passphrases, the first that unlocks the key; also with _FILE, naming a file:
  NOTARYPY_PASSPHRASE_NAME       for the key of signer NAME (or its id's first 7 digits)
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE    for all keys but root keys
  NOTARY_ROOT_PASSPHRASE, NOTARY_TARGETS_PASSPHRASE,
  NOTARY_SNAPSHOT_PASSPHRASE, NOTARY_DELEGATION_PASSPHRASE

\b
Exit codes; of several the worst, in the order 4 10 11 5 3 6 7 9 8 2 12 1:
    0  done; verified
    1  another failure
    2  the command line, or a confirmation that nobody can give
    3  not signed, no trust data, or the tag is not in the registry
    4  verification failed
    5  expired
    6  a key is missing, locked or unsupported
    7  a login or a permission is missing
    8  network, TLS or server
    9  other publishers were quicker until the end
   10  a required signer or policy is not met
   11  nothing says which root a repository must have
   12  there was nothing to look at, or something was not looked at
  130  interrupted
"""


class CommandTable(TyperGroup):
    """The program: commands are imported when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as typer declares it
        """Return all names, in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as typer declares it
        """Import a command; its table entry names a function, or an app with commands in it."""
        if cmd_name not in COMMANDS:
            close = get_close_matches(cmd_name, COMMANDS, n=1)
            advice = Advice("did-you-mean" if close else "see-help", command=close[0] if close else _PROGRAM)
            raise UsageError(f'there is no command "{cmd_name}"', advice=advice)
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        target = getattr(import_module(f"{_HOME}.{module}"), attribute)
        if not isinstance(target, Typer):
            function, target = target, options.group()
            target.command(cmd_name)(function)
        command = typer.main.get_command(target)
        if cmd_name not in RAW:
            options.attach(command, hidden=True)  # type: ignore[arg-type]  # typer makes nothing else
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as typer declares it
        """Take `help COMMAND` for `COMMAND --help`, and `version` for `--version`."""
        word, *words = args
        if word == "version" and not words:
            options.show_version()
        if word not in _WORDS:
            return super().resolve_command(ctx, args)
        asked = [each for each in words if not each.startswith("-")]
        if word == "version" and (asked or words[-1] not in {"-h", "--help"}):
            raise UsageError(f'"{words[0]}" follows version', advice=Advice("leave-out", option=words[0]))
        if word == "version" or (asked and asked[0] in _WORDS):
            echo("\n".join(_WORDS.values()))
            raise Exit
        if not asked:
            echo(ctx.get_help())
            raise Exit
        self._require_command(ctx, asked)
        return super().resolve_command(ctx, [*asked, "--help"])

    def _require_command(self, ctx: Any, words: Sequence[str]) -> None:  # noqa: ANN401 - typer's own type
        """Raise UsageError for words behind the name of a command that has no commands in it."""
        command, *rest = words
        found = self.get_command(ctx, command)
        if command in RAW:  # it reads them itself
            return
        if isinstance(found, TyperGroup) and rest:
            found = found.get_command(ctx, rest.pop(0))
        if found is not None and rest:
            raise UsageError(f'"{rest[0]}" is no command', advice=Advice("leave-out", option=rest[0]))


def dispatch(argv: Sequence[str], run: Run) -> None:
    """Read a command line and run its command, whose errors pass; UsageError if it cannot be read.

    One without a word is a question for help. One that has options alone lacks its command: mostly that is a
    variable that should have had a value, and no success.
    """
    program = _program()
    try:
        with program.make_context(_PROGRAM, list(argv) or ["--help"], obj=run) as context:
            program.invoke(context)
    except Exit:
        run.report.answered = True
    except (UsageError, _UNREADABLE) as error:
        if "--json" in (argv[: argv.index("--")] if "--" in argv else argv):  # it may not have been reached
            run.options.take("json", value=True)
        if isinstance(error, UsageError):
            raise
        raise _usage_error(error, run) from None


def _program() -> Any:  # noqa: ANN401 - typer's own type
    app = Typer(
        cls=CommandTable,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP, epilog=_EPILOG)(lambda: None)
    program = typer.main.get_command(app)
    options.attach(program, hidden=False)  # type: ignore[arg-type]  # typer makes nothing else
    return program


def _usage_error(error: Any, run: Run) -> UsageError:  # noqa: ANN401 - typer's own type
    context = error.ctx
    path = context.command_path if context is not None else _PROGRAM
    run.report.command = path.removeprefix(_PROGRAM).strip() or None
    message, advice = error.format_message().rstrip("."), Advice("see-help", command=path)
    if message == "Missing command" and path != _PROGRAM:
        names = ", ".join(context.command.list_commands(context))
        message, advice = f"{path} lacks a command", Advice("name-command", names=names, command=path)
    return UsageError(message[:1].lower() + message[1:], advice=advice)
