"""What the commands of `docker trust` share: output, questions, the client, docker's words.

What it is: the surroundings of one run. What it is not: a command, or the asking for passphrases
(`keys.passphrases`).

Rules:

1. Questions and their answers use standard output and standard input, as docker's do, be they a terminal or a
   pipe. Only at a terminal is a passphrase typed without echo.
2. No answer is no: nothing is done then, and that is an error.
3. Where docker has a text for an error, that text comes first; what is known beyond it follows in lines
   `why:` and `fix:`. Everything from outside is made safe to show.
"""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any

from notarypy.cli.goshell import GoShell, GoWording
from notarypy.cli.text import terminal
from notarypy.cli.text.advice import own_advice
from notarypy.cli.text.render import safe
from notarypy.errors import (
    ConfigurationError,
    InvalidNameError,
    NotarypyError,
    RepositoryMissingError,
    TagUnsignedError,
)
from notarypy.images import reference

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.images.reference import Reference
    from notarypy.keys.keyinfo import PassphraseRequest

_SERVER = "DOCKER_CONTENT_TRUST_SERVER"
# What errors advise besides a variable or a folder, and docker trust does not have.
_OPTIONS = (
    " or use --passphrase-file FILE",
    ", or name it: --tlscacert",
    ", or name them: --tlscert, --tlskey",
)
_NAMES = {"snapshot": "repository", "targets": "repository"}


class FailureError(Exception):
    """A command failed; the text is what to print."""


class Shell(GoShell):
    """One run of the program."""

    def __init__(
        self, environ: Mapping[str, str], options: Mapping[str, Any] | None = None, name: str = "docker trust"
    ) -> None:
        self.environ = dict(environ)  # as docker's own options change it
        # What `Client.from_environment` gets besides; docker trusts on first use.
        self.options = {"first_use": True, **(options or {})}
        self.name = name  # in help and errors

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a client; raise FailureError in docker's words where the Notary server's address is none."""
        try:
            client = open_client(self)
        except ConfigurationError as error:
            if _SERVER not in error.message:
                raise
            known = f"valid https URL required for trust server, got {safe(self.environ.get(_SERVER, ''))}"
            raise FailureError(f"{known}\n{error_text(error, '  why: ')}") from None
        with client:
            yield client

    def agreed(self, question: str, without: str) -> bool:
        """Ask a question to which docker takes only `y` for a yes (rules 1 and 2).

        Where nobody answers FailureError says `without`, what to do then.
        """
        self.write(f"{safe(question)} [y/N] ", flush=True)
        answer = self.line()
        if not answer:
            self.out()
            raise FailureError(f"there is no answer; nothing was changed\n  fix: {without}")
        return answer.strip().lower() == "y"

    def prompt(self) -> Callable[[str], str] | None:
        """Return what asks for a passphrase; None where nobody can answer (rule 1)."""
        if sys.stdin is None:
            return None
        if sys.stdin.isatty():
            return self._typed if terminal.present() else None
        return self._piped if self.is_given() else None

    def _typed(self, question: str) -> str:
        self._show(question)
        try:
            return getpass.getpass("", sys.stdout)
        except (EOFError, KeyboardInterrupt):
            self.out()  # what is said next has a line of its own
            raise

    def _piped(self, question: str) -> str:
        self._show(question)
        answer = self.line()
        self.out()
        if not answer:
            raise EOFError
        return answer.rstrip("\r\n")

    def _show(self, question: str) -> None:
        """Write a question, which may follow lines that say why it is asked again."""
        self.write("\n".join(map(safe, question.split("\n"))), flush=True)


def open_client(shell: Shell) -> Client:
    """Make the client of a run."""
    from notarypy.client.api import Client

    return Client.from_environment(
        shell.environ, warn=shell.warn, prompt=shell.prompt(), wording=DockersWording(), **shell.options
    )


def image(text: str) -> Reference:
    """Read an image's name; raise FailureError in docker's words if it is none."""
    try:
        return reference.parse(text)
    except InvalidNameError as error:
        raise FailureError(f"invalid reference format: {'; '.join(error.why)}") from None


def signer_name(name: str, what: str) -> str:
    """Return a name that docker takes; raise FailureError in docker's words otherwise."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) is None:
        rule = 'lowercase alphanumeric characters and can include "-" or "_" after the first character'
        raise FailureError(f'{what} name "{name}" must start with {rule}')
    return name


def error_text(error: NotarypyError, before: str = "") -> str:
    """Return an error's text (rule 3); `before` is put in front of its first line."""
    known = _dockers_words(error)
    if known is not None:
        return f"{before}{known}"  # there is nothing else to say about it
    lines = [f"{before}{safe(error.message)}", *(f"  why: {safe(line)}" for line in error.why)]
    fix = safe(reduce(str.removesuffix, _OPTIONS, own_advice(error)))
    return "\n".join([*lines, f"  fix: {fix}"] if fix else lines)


def _dockers_words(error: NotarypyError) -> str | None:
    if isinstance(error, RepositoryMissingError):
        server = str(error.facts.get("server", "")).partition("://")[2]
        return f"{server} does not have trust data for {error.facts.get('gun')}"
    if isinstance(error, TagUnsignedError):
        return f"No valid trust data for {error.facts.get('tag')}"
    return None


class DockersWording(GoWording):
    """See `Wording`."""

    def role(self, request: PassphraseRequest) -> str:
        """Return what docker calls the role of a key."""
        return _NAMES.get(request.role, request.name)
