"""One run of the program: its options, its report, its client.

What it is: what every command gets. What it is not: parsing or printing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from notarypy.cli.options import GivenOptions
from notarypy.cli.report import Report
from notarypy.errors import Advice, ConfirmationNeededError, NotarypyError, OperationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from typer import Context

    from notarypy.client.api import Client

# The empty prefix means every tag.
_MAY_BE_EMPTY = frozenset({"--path", "--paths"})


class Run:
    """What the commands share."""

    def __init__(self) -> None:
        self.options = GivenOptions()
        self.report = Report(self.options)

    def begin(self, context: Context, *, hold: bool = False) -> None:
        """Note which command runs; `hold` keeps back results until all are good.

        Raises:
            UsageError: One of its options is empty: mostly a variable that should have had a value.
        """
        self.report.command = context.command_path.partition(" ")[2]
        self.report.hold = hold
        for parameter in context.command.params:
            value, name = context.params.get(parameter.name or ""), parameter.opts[0]
            empty = value == "" or (isinstance(value, list | tuple) and "" in value)
            if empty and name.startswith("-") and name not in _MAY_BE_EMPTY:
                raise UsageError(f"{name} is empty", advice=Advice("give-value"))

    @contextmanager
    def client(self, *, asking: bool = True) -> Iterator[Client]:
        """Open the client that the options ask for; `asking` is for commands that unlock keys."""
        with self.logging(), open_client(self, asking=asking) as client:
            yield client

    def logging(self) -> AbstractContextManager[None]:
        """Show this package's own log, as far as `-v` asks for it."""
        return _logging(self.options.verbosity)

    @contextmanager
    def trying(self, *refs: str, among: Sequence[str] = ()) -> Iterator[None]:
        """Note an error inside as the failure of those of `refs` that have no result by then.

        Where they are some of several, `among`, the error names them. Where it is about some of the tags that
        were to be published together, the others say that nothing was done because of those.
        """
        before = len(self.report.results)
        try:
            yield
        except NotarypyError as error:
            done = {result.ref for result in self.report.results[before:]}
            about = ", ".join(refs) if len(among) > 1 else ""
            left = [ref for ref in refs if ref not in done] or list(refs)
            guilty = _at_fault(left, error)
            for ref in left:
                self.report.failed(
                    [ref], error if ref in guilty else _held_back(ref, guilty, error), about=about
                )

    def confirm(self, question: str, why: str) -> None:
        """Go on only with a yes.

        Raises:
            ConfirmationNeededError: Nobody can be asked, or the answer was no.
        """
        if self.options.yes:
            return
        from notarypy.cli.text import terminal

        if not terminal.present():
            raise ConfirmationNeededError(
                f"{why}, and there is no terminal to confirm on", advice=Advice("add-yes")
            )
        if not terminal.agreed(f"{why}. {question}"):
            raise ConfirmationNeededError("nothing was changed", why="the answer was not yes")


def open_client(session: Run, *, asking: bool) -> Client:
    """Make the client; a prompt is part of it only where somebody can answer."""
    from notarypy.cli.text import terminal
    from notarypy.client.api import Client

    return Client.from_environment(
        warn=session.report.warn,
        prompt=terminal.secret if asking and terminal.present() else None,
        **session.options.for_client(),
    )


@contextmanager
def _logging(verbosity: int) -> Iterator[None]:
    """Show the package's own log on standard error; other packages' logs may hold anything."""
    if not verbosity:
        yield
        return
    import logging

    from notarypy.cli.text.render import safe

    class SafeFormatter(logging.Formatter):
        """Formats without control characters."""

        def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
            """Return the line."""
            return safe(super().formatMessage(record))

    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("notarypy: %(levelname)s: %(message)s"))
    logger = logging.getLogger("notarypy")
    logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def _at_fault(refs: Sequence[str], error: NotarypyError) -> list[str]:
    """Return those of some REFs that an error is about; all of them where it does not say."""
    tag = error.facts.get("tag") or error.facts.get("reference")
    return [ref for ref in refs if _tag(ref) == tag] or list(refs)


def _tag(ref: str) -> str:
    name, colon, tag = ref.partition("@")[0].rpartition(":")
    return tag if colon and name and "/" not in tag else "latest"


def _held_back(ref: str, guilty: Sequence[str], error: NotarypyError) -> OperationError:
    return OperationError(
        f"nothing was done for {ref}",
        why=(
            f"tags of one repository are published together, and {', '.join(guilty)} cannot be",
            error.message,
        ),
        advice=Advice("leave-refs-out", refs=", ".join(guilty)),
        because_of=list(guilty),
    )
