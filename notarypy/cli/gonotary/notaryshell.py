"""What the commands of `notary` share: output, questions, the client.

What it is: the surroundings of one run, and `-p`, with which a command publishes what it has staged. What it
is not: a command, errors (`goerrors`), or how settings are found (`storage.settings.gosettings`).

Rules:

1. Standard output has Go notary's words and tables, byte for byte. Errors, warnings and questions for
   passphrases never go there.
2. Questions that are answered yes or no are asked on standard output, and answered on standard input, as
   there. Whatever is not `y` or `yes`, in any case, is no: nothing is done, and that is an error.
3. Where the server cannot be reached a command that only reads goes on with what is cached, as Go notary
   does, and says so (`client.metadata.lenientrefresh`).
4. Names of repositories are taken as they stand.
5. Keys in the folders of Notary before 0.4 are moved when a command begins that works with the trust
   directory, as Go notary does then. No command fails for it, and where nothing is moved nothing is said,
   but at `-v`. Each file that no key in use comes from is named once.
6. Where a server wants a login, and no place has one, it is asked for on standard output, and read from
   standard input, as there, be it a terminal, a pipe or a file; not from content that is to be verified, and
   on standard error where content is what standard output gets.
7. A column of a table is as wide as its longest cell, counted in characters, and four blanks more; the last
   one is not padded. Below each name in the heading stand as many hyphens as it is long.
8. Everything that is staged is published, whoever staged it, as Go notary does. What was dropped is named,
   each on a line of its own, and is no error.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING, Any

from notarypy.cli.gonotary import goerrors
from notarypy.cli.goshell import GoShell, GoWording
from notarypy.cli.report import log_shown, origin
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, ConfirmationNeededError, NotarypyError, StorageError
from notarypy.keys.passphrases import standard_chain
from notarypy.storage.settings.gosettings import load_as_go

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.cli.cobra import CommandLine
    from notarypy.client.api import Client
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.storage.settings.settings import Settings

_LOG = logging.getLogger(__name__)
# Go notary's options, and what `GlobalOptions` calls them.
_OPTIONS = {
    "configFile": "config",
    "server": "server",
    "tlscacert": "tlscacert",
    "tlscert": "tlscert",
    "tlskey": "tlskey",
    "trustDir": "trust_dir",
}
_GAP = 4  # between the columns of a table
_YES = frozenset({"y", "yes"})
_UNSAID = 2000
_ROOT = (
    "This is the passphrase of a root key, the most valuable key there is: nothing replaces it.\n"
    "Make it long, let a password manager keep it, and keep a copy of the key's file in a safe place.\n"
)


class NotaryShell(GoShell):
    """One run of the program."""

    def __init__(
        self, environ: Mapping[str, str], options: Mapping[str, Any] | None = None, name: str = "notary"
    ) -> None:
        self.environ = dict(environ)
        self.options = dict(options or {})  # `GlobalOptions`, which those of the line add to
        self.name = name  # in help and errors
        self.verbose = 0
        self.unsaid = ""  # the end of what may not have reached standard output yet
        self._warned, self._logins = set[str](), list[tuple[str, str] | None]()
        self.reads_content = self.writes_content = False  # on standard input, and output (rule 6)

    def take(self, line: CommandLine) -> None:
        """Take the global options of a line."""
        given = {ours: line.text(gos) for gos, ours in _OPTIONS.items()}
        self.options.update({name: value for name, value in given.items() if value})
        self.verbose = max(self.verbose, 2 if line.switch("debug") else int(line.switch("verbose")))

    def write(self, text: str, *, flush: bool = False) -> None:
        """Print text that is safe as it stands on standard output."""
        self.unsaid = (self.unsaid + text)[-_UNSAID:]
        super().write(text, flush=flush)
        if flush:
            self.unsaid = ""

    def warn(self, text: str) -> None:
        """Print a warning, once."""
        if text not in self._warned:
            self._warned.add(text)
            super().warn(goerrors.of_warning(text, self.again()))

    def settings(self) -> Settings:
        """Return the settings of this run; raise ConfigurationError."""
        return load_as_go(self.options, self.environ)

    def native_options(self) -> str:
        """Return the options with which notarypy's own commands work on the same files and server."""
        try:
            settings = self.settings()
        except NotarypyError:
            return ""
        given = {"-s": self.options.get("server"), "--tlscacert": self.options.get("tlscacert")}
        if settings.config is not None and settings.config.exists():
            given["-c"] = settings.config
        elif not given["-s"]:
            given["-s"] = settings.server
        given["-d"] = settings.trust_dir
        return " ".join([*(f"{name} {quote(str(value))}" for name, value in given.items() if value), "--gun"])

    def again(self) -> str:
        """Return this program as it was called, with its options: what begins another line."""
        given = ((gos, self.options.get(ours)) for gos, ours in _OPTIONS.items())
        return " ".join([self.name, *(f"--{gos} {quote(str(value))}" for gos, value in given if value)])

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a client, for which old keys are moved (rule 5)."""
        with open_client(self) as client:
            _require_directory(client.settings.trust_dir)
            _move_old_keys(client, self)
            yield client

    def ended_by(self, error: Exception) -> int:
        """Print the error that ends the program; return its exit code."""
        if isinstance(error, NotarypyError):
            self.failed(goerrors.text_of(error, self.again(), self.native_options()))
            return error.exit_code
        if isinstance(error, OSError):
            said = ": ".join(filter(None, (str(error.filename or ""), error.strerror or str(error))))
            unsaid = f"\n  not printed: {self.unsaid.strip()}" if self.unsaid.strip() else ""
            self.failed(f"* fatal: {said}{unsaid}")
        else:
            said = f"unexpected {type(error).__name__}{origin(error)}"
            self.failed(f"* fatal: {said}\n  why: this is a defect of notarypy")
        return 1

    def table(self, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table as Go notary does (rule 7)."""
        self.write(table(heading, rows))

    def publish_if_asked(self, client: Client, line: CommandLine) -> None:
        """Publish what a command has staged, if its line says `-p`; its first argument is the repository."""
        if line.switch("publish"):
            gun = line.arguments[0]
            self.out(f"Auto-publishing changes to {gun}")
            self.publish(client, gun)

    def publish(self, client: Client, gun: str) -> None:
        """Publish what is staged, and say so (rule 8)."""
        done = client.staging.publish(gun)
        for one in done.dropped:
            change = one.change
            role = change.role or '""'
            self.warn(f"change {change.number} ({change.type} of {role}) is left out: {one.why}")
        self.out(f"Successfully published changes for repository {gun}")

    def agreed(self, question: str, without: Advice | None = None) -> None:
        """Ask a question, which is safe as it stands; raise ConfirmationNeededError if no yes (rule 2).

        `without` is for whoever cannot answer.
        """
        self.write(question, flush=True)
        answer = self.line()
        if answer.strip().lower() in _YES:
            return
        if not question.endswith("\n"):
            self.out()
        why = "the answer was not yes" if answer else "there was no answer"
        advice = without or Advice("answer-yes")
        raise ConfirmationNeededError("Aborting action.", why=f"{why}; nothing was changed", advice=advice)

    def login(self) -> tuple[str, str] | None:
        """Ask for the server's login, once in a run; None where nobody answers (rule 6)."""
        if not self._logins:
            person = sys.stdin is not None and sys.stdin.isatty()
            somebody = not self.reads_content and (person or self.is_given())
            self._logins.append(self._answered_login(person=person) if somebody else None)
        return self._logins[0]

    def _answered_login(self, *, person: bool) -> tuple[str, str] | None:
        stream = sys.stderr if self.writes_content else sys.stdout
        with terminal.aside():
            terminal.shown(stream, "Enter username: ")
            user, password = self.line(), ""
            if user:
                terminal.shown(stream, "Enter password: ")
                password = terminal.unseen(stream) if person else self.line()
            if not (user and person):
                terminal.shown(stream, "\n")
        return (user.strip(), password.strip()) if user.strip() and password else None

    def prompt(self) -> Callable[[str], str] | None:
        """Return what asks for a passphrase; None where nobody can answer."""
        return self._typed if terminal.present() else None

    def _typed(self, question: str) -> str:
        before, _, asked = question.rpartition("\n")
        if before:
            self.err(before)
        return terminal.secret(asked)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Show the package's own log as far as the line asks for it."""
        with log_shown(self.verbose):
            yield


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with its heading, each line with its end (rule 7)."""
    lines = [[*heading], ["-" * len(name) for name in heading], *([*map(render.safe, row)] for row in rows)]
    widths = [max(map(len, column)) + _GAP for column in zip(*lines, strict=True)][:-1]
    return "".join(
        "".join(f"{cell:<{wide}}" for cell, wide in zip(line, [*widths, 0], strict=True)) + "\n"
        for line in lines
    )


def open_client(shell: NotaryShell) -> Client:
    """Make the client of a run (rules 3 and 4)."""
    from notarypy.client.api import Client

    settings = load_as_go(shell.options, shell.environ)
    chain = passphrases(settings, shell)
    return Client(
        settings,
        passphrases=chain,
        warn=shell.warn,
        literal_gun=True,
        ask_login=shell.login,
        cached_if_unreachable=True,
    )


def _require_directory(path: Path) -> None:
    """Raise StorageError for a trust directory that is something else: keys in it would not be listed."""
    if os.path.lexists(path) and not path.is_dir():
        message, advice = f"the trust directory {path} cannot be used", Advice("choose-trust-dir")
        raise StorageError(message, why="it is not a directory", advice=advice, path=str(path))


def _move_old_keys(client: Client, shell: NotaryShell) -> None:
    """Move what is there, and say where it was moved, and what was not."""
    try:
        if not client.keys.any_old():  # what moves them takes time to load
            return
    except NotarypyError as error:  # nobody knows whether there are any; who needs keys will say it
        _LOG.info("whether there are keys of Notary before 0.4 is not known: %s", _reasons(error))
        return
    try:
        found = client.keys.migrate()
    except NotarypyError as error:
        moved = error.facts.get("backup")
        some = f"some files of the folders of Notary before 0.4 are in {moved} now, all keys can be used"
        where = some if moved else "keys stay in the folders of Notary before 0.4, and are used there"
        shell.warn(f"{where}: {_reasons(error)}")
        return
    if found.backup is None:
        for left in found.left:  # which was said when the others were moved
            _LOG.info("files stay in the folders of Notary before 0.4: %s", _reasons(left))
        return
    shell.warn(f"keys were moved out of the folders of Notary before 0.4, which are in {found.backup} now")
    for line in render.unused_old_files(found, client.settings.trust_dir):
        shell.warn(line)
    for left in found.left:
        shell.warn(f"left where it is: {_reasons(left)}")


def _reasons(error: NotarypyError) -> str:
    return "; ".join((error.message, *error.why))


def passphrases(settings: Settings, shell: NotaryShell) -> PassphraseChain:
    """Return where passphrases are looked for: Go notary's variables first, then all that notarypy knows."""
    environ, file = settings.environ, settings.passphrase_file
    return standard_chain(environ, file, shell.prompt(), NotarysWording(), notarys_first=True)


class NotarysWording(GoWording):
    """See `Wording`."""

    remembers = True
    of_file = "{} key"

    def __init__(self) -> None:
        self._warned = set[str]()

    def new(self, request: PassphraseRequest) -> str:
        """Return the question for a new passphrase; the first for a root key's has a word of warning."""
        warning = _ROOT if request.role == "root" and request.keyid not in self._warned else ""
        self._warned.add(request.keyid)
        return f"{warning}{super().new(request)}"
