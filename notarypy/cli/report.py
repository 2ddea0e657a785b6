"""What a command did, shown once: as text while it goes on, or as one JSON document.

What it is: the only code that prints results, warnings, errors and the package's log, and that decides the
exit code. What it is not: their wording (`render`).

Rules:

1. Standard output has results only; warnings and errors go to standard error.
2. Several results: the worst exit code counts, in the order of `errors.WORST_FIRST`, after Ctrl-C.
3. A held report shows its results only if all of them are good.
4. When standard output cannot be written, the work goes on and the exit code is 1.
5. No option hides that something was not verified (`client.parameters.Unverified`).
6. The log is this package's alone: others' may hold anything, and are not shown.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from notarypy.cli.text import render, terminal
from notarypy.cli.text.render import safe
from notarypy.client.parameters import Unverified
from notarypy.errors import Advice, NotarypyError, StorageError, worst
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.cli.declared import GivenOptions
    from notarypy.cli.text.colour import Painter
    from notarypy.client.verdicts import FirstRoot


class InternalError(NotarypyError):
    """Something that should not happen: a defect of this program."""

    code = "internal"


class InterruptedWorkError(NotarypyError):
    """Ctrl-C, or another signal that ends the program, which has another exit code."""

    code = "interrupted"
    exit_code = 130


@dataclass(frozen=True)
class Result:
    """What became of one REF, repository or key."""

    ref: str
    data: dict[str, Any]
    error: NotarypyError | None = None

    def to_json(self, command: str | None) -> dict[str, Any]:
        """Return the item of `results`."""
        return {"ref": self.ref, "ok": self.error is None, **self.data, **_failure(self.error, command)}


@dataclass
class Report:
    """The results, warnings and errors of one command."""

    options: GivenOptions  # read when something is shown
    command: str | None = None  # None while it is not known
    hold: bool = False  # show results at the end, and only if all are good (rule 3)
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    first_uses: list[FirstRoot] = field(default_factory=list)  # roots that were trusted on first use
    error: NotarypyError | None = None
    _held: list[str] = field(default_factory=list)
    _shown: list[NotarypyError] = field(default_factory=list)
    _titled: bool = False  # a table with a title was shown
    answered: bool = False  # help or the version was printed instead of a result
    _ended: int = 0  # the exit code of what interrupted the program
    unwritable: OSError | None = None  # why nothing can be written to standard output (rule 4)
    own_code: int | None = None  # of a command that prints everything itself

    def done(self, ref: str, data: dict[str, Any] | Callable[[], dict[str, Any]], *lines: str) -> None:
        """Note a good result, and show its lines made safe; a function makes its data if they are shown."""
        if callable(data):
            data = data() if self.options.json else {}
        self.results.append(Result(ref, data))
        self.lines(lines)

    def failed(
        self, refs: Sequence[str], error: NotarypyError, data: dict[str, Any] | None = None, about: str = ""
    ) -> None:
        """Note the failure of some REFs, and show it once however many they are; `about` names them."""
        self.results += [Result(ref, data or {}, error) for ref in refs]
        self._show(error, about)

    def fail(self, error: NotarypyError) -> None:
        """Note a failure that belongs to no REF."""
        self.error = error
        self._show(error)

    def interrupt(self, code: int) -> None:
        """Note Ctrl-C, or another such signal, with its exit code, which beats all others."""
        self._ended = code
        self.fail(InterruptedWorkError("interrupted"))

    def crash(self, error: Exception) -> None:
        """Note a defect: one line, and the traceback without local variables for `-vv`."""
        if self.options.verbose > 1:
            lines = "".join(traceback.format_exception(error)).splitlines()
            self._complain("\n".join(map(render.safe, lines)))
        message, advice = f"unexpected {type(error).__name__}{origin(error)}", Advice("report-defect")
        self.fail(InternalError(message, why="this is a defect of notarypy", advice=advice))

    def warn(self, text: str) -> None:
        """Note a warning, and show it; one of what was not verified in a quiet run too (rule 5)."""
        self.warnings.append(text)
        hidden = self.options.quiet and not isinstance(text, Unverified)
        if not hidden and not self.options.json:
            self._complain(f"notarypy: warning: {render.safe(text)}")

    def lines(self, lines: Iterable[str]) -> None:
        """Show lines, made safe, that belong to no result."""
        self.text("".join(f"{render.safe(line)}\n" for line in lines))

    def text(self, text: str) -> None:
        """Show text that is safe as it stands on standard output, unless it is for JSON."""
        if self.hold:
            self._held.append(text)
        elif not self.options.json:
            self._write(text)

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", *, goes_on: bool = False
    ) -> None:
        """Show a table, which fits the terminal if it is shown on one, below a title if there is one.

        There an empty line stands before each title but the first.

        One that `goes_on` has its header once where programs may read it.
        """
        if self.options.json:
            return
        columns = terminal.columns()
        shown = render.table(header, rows, columns, self.painter())
        if goes_on and columns is None:
            shown = shown.partition("\n")[2]
        apart = "\n" if title and self._titled and columns is not None else ""
        self._titled = self._titled or bool(title)
        self.text(f"{apart}{render.safe(title)}\n{shown}\n" if title else f"{shown}\n")

    def verdict(self, line: str, word: str, kind: str) -> None:
        """Show a line, made safe, whose first such word is a verdict of that kind: ok, a warning or bad."""
        shown, painter = render.safe(line), self.painter()
        self.text(f"{shown.replace(word, painter.put(kind, word), 1) if painter else shown}\n")

    def painter(self, stream: TextIO | None = None) -> Painter | None:
        """Return what colours standard output, or another stream, if somebody wants colours there."""
        from notarypy.cli.text import colour  # a command that shows references alone has none

        return colour.painter(stream or sys.stdout, self.options.color)

    def show_held(self) -> None:
        """Show on standard error what failures of others hold back (rule 3), for a list of all was asked."""
        if self.hold and self.exit_code and not self.options.json:
            good = sum(result.error is None for result in self.results)
            shown = "".join(f"\n  {line}" for text in self._held for line in text.splitlines())
            verb = "is" if good <= 1 else "are"
            counted = f"{good or 'none'} of {len(self.results)} {verb} good"
            self._complain(f"notarypy: {counted}{':' if shown else ''}{shown}")

    def content(self, data: bytes) -> None:
        """Write a file's bytes to standard output as they are, unless it is for JSON."""
        if not self.options.json:
            self._write(data)

    def finish(self) -> int:
        """Show what is left, and return the exit code."""
        code = self.exit_code if self.own_code is None else self.own_code
        if self.options.json and not self.answered:
            self._write(self.document())
        elif code == 0:
            self._write("".join(self._held))
        self._flush()
        return code or (1 if self.unwritable else 0)

    @property
    def exit_code(self) -> int:
        """The worst exit code so far (rule 2)."""
        if self._ended:
            return self._ended
        errors = [self.error, *(result.error for result in self.results)]
        return worst({error.exit_code for error in errors if error is not None})

    def document(self) -> str:
        """Return the document of `--json`, without secrets."""
        value = {
            "schema": 1,
            "command": self.command,
            "exit": self.exit_code if self.own_code is None else self.own_code,
            "results": [result.to_json(self.command) for result in self.results],
            "warnings": self.warnings,
            "first_use": [render.fields(root, render.FIRST_ROOT) for root in self.first_uses],
            **_failure(self.error, self.command),
        }
        text = render.document(value)
        if render.may_have_uri(text):
            text = render.document(render.without_secrets(json.loads(text)))
        return f"{text}\n"

    def _show(self, error: NotarypyError, about: str = "") -> None:
        if self.options.json or any(error is shown for shown in self._shown):
            return
        self._shown.append(error)
        self._complain(render.error_text(error, self.command, about))

    def _complain(self, text: str) -> None:
        """Write to standard error; when even that fails there is nobody left to tell."""
        with suppress(OSError, AttributeError):
            painter = self.painter(sys.stderr)
            with terminal.aside():
                sys.stderr.write(f"{painter.message(text) if painter else text}\n")

    def _write(self, data: str | bytes) -> None:
        if self.unwritable is not None or not data:
            return
        try:
            with terminal.aside():
                _write(_standard_output(), data)
        except OSError as error:
            self.unwritable = error

    def _flush(self) -> None:
        """Flush standard output and say what failed, unless its reader just went away (rule 4)."""
        try:
            if self.unwritable is None:
                _standard_output().flush()
        except OSError as error:
            self.unwritable = error
        if self.unwritable is not None and not isinstance(self.unwritable, BrokenPipeError):
            reason = self.unwritable.strerror or str(self.unwritable)
            self._complain(render.error_text(StorageError("cannot write to standard output", why=reason)))


def _failure(error: NotarypyError | None, command: str | None) -> dict[str, Any]:
    return {} if error is None else {"error": render.error_json(error, command)}


def _write(stream: TextIO, data: str | bytes) -> None:
    if isinstance(data, str):
        stream.write(data)
    elif hasattr(stream, "buffer"):
        stream.flush()
        stream.buffer.write(data)
    else:
        stream.write(data.decode(errors="backslashreplace"))


def _standard_output() -> TextIO:
    if sys.stdout is None:
        raise OSError("it is closed")
    return sys.stdout


def origin(error: Exception) -> str:
    """Return ` at module:line` of the innermost frame of this package."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.startswith("notarypy."):
            found = f" at {module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


_STEPS = "notarypy: %(levelname)s: %(message)s"
_EVERYTHING = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"


@contextmanager
def log_shown(verbose: int) -> Iterator[None]:
    """Show the log (rule 6): for 0 nothing, for 1 what is done, for 2 every decision, when and where."""
    if not verbose:
        yield
        return
    everything = verbose > 1
    handler = logging.StreamHandler()
    handler.setFormatter(_SafeFormatter(_EVERYTHING if everything else _STEPS, "%H:%M:%S"))
    logger = logging.getLogger("notarypy")
    logger.setLevel(logging.DEBUG if everything else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


class _SafeFormatter(logging.Formatter):
    """Formats lines without control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        return safe(super().formatMessage(record))
