"""One run of the program: its options, its report, its client, its log, and signals that terminate it.

What it is: what every command gets from `begin`; and for commands that clean up, whatever terminates them
(Ctrl-C, a closed terminal, `kill`) and however often: `SignalFlag` where they wait for it, `SignalInterrupts`
where they are interrupted at their work. What it is not: parsing or printing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from notarypy.cli.declared import GivenOptions
from notarypy.cli.report import Report, log_shown
from notarypy.cli.text import terminal
from notarypy.errors import Advice, ConfirmationNeededError, NotarypyError, OperationError, UsageError
from notarypy.limits import DEFAULT, EXTENDED

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import FrameType

    from notarypy.cli.text.progressline import CountedWork
    from notarypy.client.api import Client
    from notarypy.client.verdicts import FirstRoot
    from notarypy.client.workers import Outcome

A = TypeVar("A")
T = TypeVar("T")

# The empty prefix means every tag.
_MAY_BE_EMPTY = frozenset({"--path", "--paths"})
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def begin(context: Context, *, hold: bool = False, over_limits: bool = False) -> Run:
    """Return the run of a command, which is noted; `hold` keeps back results until all are good.

    `over_limits` is for commands that make what exceeds the usual limits smaller.

    An option that is empty is a UsageError: mostly it is a variable that should have had a value.
    """
    run = context.run
    run.report.command = context.path
    run.report.hold = hold
    run.limits = EXTENDED if over_limits else DEFAULT
    for name, value in context.options.items():
        empty = value == "" or (isinstance(value, list | tuple) and "" in value)
        if empty and name not in _MAY_BE_EMPTY:
            raise UsageError(f"{name} is empty", advice=Advice("give-value"))
    return run


class Context:
    """How a command is called: in which run, by which words, and with which options of its own."""

    def __init__(self, run: Run, path: str, options: Mapping[str, Any], words: Sequence[str] = ()) -> None:
        self.run, self.path, self.options = run, path, options
        self.words = words  # of a command that reads them itself


class Run:
    """What the commands share."""

    def __init__(self) -> None:
        self.options = GivenOptions()
        self.report = Report(self.options)
        self.asked_for = 1  # how many images, repositories, keys or files
        self.limits = DEFAULT

    def refuse_options(self, *names: str) -> None:
        """Refuse global options that say nothing of a service, which would go unheard there."""
        for name in names:
            if self.options.for_client.get(name):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} is not for a service", advice=Advice("leave-out", option=option))

    @contextmanager
    def client(self, *, asking: bool = True, own_log: bool = False) -> Iterator[Client]:
        """Open the client that the options ask for.

        `asking` is for commands that unlock keys, `own_log` for those that show the log by themselves.
        """
        log = nullcontext() if own_log else self.log_shown()
        with log, self.working(), open_client(self, asking=asking) as client:
            try:
                yield client
            finally:
                self.report.first_uses += client.first_uses

    def log_shown(self) -> AbstractContextManager[None]:
        """Show the package's own log, as far as `-v` asks for it."""
        return log_shown(self.options.verbose)

    @contextmanager
    def trying(self, *refs: str, data: dict[str, Any] | None = None) -> Iterator[None]:
        """Note an error inside as the failure of those of `refs` that have no result by then.

        `data` is filled inside with what is known all the same.

        Where they are not all that was `asked_for`, the error names them. Where it is about some of the tags
        that were to be published together, the others say that nothing was done because of those.
        """
        before = len(self.report.results)
        try:
            yield
        except NotarypyError as error:
            done = {result.ref for result in self.report.results[before:]}
            left = [ref for ref in refs if ref not in done] or list(refs)
            tag = error.facts.get("tag") or error.facts.get("reference")
            guilty = [ref for ref in left if _tag(ref) == tag] or left
            about = ", ".join(guilty) if self.asked_for > len(refs) else ""
            for ref in left:
                own = error if ref in guilty else _held_back(ref, guilty, error)
                self.report.failed([ref], own, data, about=about)

    def each(
        self, items: Sequence[A], call: Callable[[A], T], most: int = 0
    ) -> Iterator[tuple[A, Outcome[T]]]:
        """Yield items, in their order, with what became of their calls, which are made side by side.

        At most `most` at a time, or as many as usual. After Ctrl-C those come that were done by then.
        """
        from notarypy.client.workers import UnfinishedError, outcomes

        found = outcomes([partial(call, item) for item in items], most)
        with closing(found), self.working(len(items)) as done:
            for item, outcome in zip(items, found, strict=True):
                done()
                if not isinstance(outcome.error, UnfinishedError):
                    yield item, outcome

    def progress(self, *, steps: bool = False) -> CountedWork | None:
        """Return something that is counted, in bytes or in steps, where somebody looks at it."""
        if self.options.json or self.options.quiet or self.options.verbose:
            return None
        line = terminal.progress_line()
        return None if line is None else line.work(steps=steps)

    @contextmanager
    def working(self, steps: int = 1) -> Iterator[Callable[[], None]]:
        """Show that the command works: for how long, or how many of several steps are done."""
        part = self.progress(steps=True)
        if part is None:
            yield lambda: None
            return
        part.begin(f"notarypy {self.report.command}", steps if steps > 1 else 0)
        try:
            yield lambda: part.moved(1)
        finally:
            part.end()

    def choice(self, lines: Sequence[str], question: str, answers: Sequence[str]) -> str | None:
        """Return which of the answers was given to a question; None where nobody can be asked."""
        return terminal.choice(lines, question, answers) if terminal.present() else None

    def typed(self, lines: Sequence[str], question: str) -> str | None:
        """Return what was typed after lines that say why; None where nobody can be asked."""
        return terminal.answer(question, *lines) if terminal.present() else None

    def confirm(self, question: str, why: str, *lines: str) -> None:
        """Go on only with a yes, asked after these lines; raise ConfirmationNeededError without one."""
        asking = not self.options.yes and terminal.present()
        if not asking:
            self.report.lines(lines)
        if self.options.yes:
            return
        if not asking:
            message = f"{why}, and there is no terminal to confirm on"
            raise ConfirmationNeededError(message, advice=Advice("add-yes"))
        if not terminal.agreed(f"{why}. {question}", *lines):
            raise ConfirmationNeededError("nothing was changed", why="the answer was not yes")


def open_client(run: Run, *, asking: bool) -> Client:
    """Make the client; a prompt is part of it only where somebody can answer."""
    from notarypy.client.api import Client

    present = terminal.present()
    return Client.from_environment(
        warn=run.report.warn,
        confirm_root=confirm_root if present else None,
        prompt=terminal.secret if asking and present else None,
        limits=run.limits,
        **run.options.for_client,
    )


def confirm_root(root: FirstRoot) -> bool:
    """Ask whether to trust a root that nothing is known of; `--yes` is no answer to that."""
    lines = [f"{root.repository} is not known here, and no pin says which root it must have."]
    lines += [f"  {root.source}:"]
    for pin, keyid, certificate in root.keys:
        lines += [f"  root pin     {pin}", f"  its id here  {keyid}", f"  certificate  {certificate}"]
    lines += [
        "The owner of the repository can say the root pin: compare it. The id here is",
        "that of the same key in this repository alone, as docker shows it; the last is",
        "the SHA-256 of its certificate.",
    ]
    return terminal.agreed(f"Trust this root{' from now on' if root.lasting else ''}?", *lines)


def _tag(ref: str) -> str:
    name, colon, tag = ref.partition("@")[0].rpartition(":")
    return tag if colon and name and "/" not in tag else "latest"


def _held_back(ref: str, guilty: Sequence[str], error: NotarypyError) -> OperationError:
    refs = ", ".join(guilty)
    why = (f"tags of one repository are published together, and {refs} cannot be", error.message)
    advice = Advice("leave-refs-out", refs=refs)
    return OperationError(f"nothing was done for {ref}", why=why, advice=advice, because_of=list(guilty))


class SignalFlag:
    """Notes, while it is entered, which signal asked the process to end; nothing is interrupted."""

    def __init__(self) -> None:
        self.number: int = signal.SIGINT
        self._asked = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals, except those that are ignored."""
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Whether the process is to end."""
        return self._asked.is_set()

    def wait(self) -> None:
        """Return when the process is to end."""
        while not self._asked.wait(3600):  # without a limit no signal gets through on Windows
            continue

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        self._asked.set()


class SecondSignalInterrupts(SignalFlag):
    """Notes the first such signal, and interrupts at a second; what cleans up then is left in peace."""

    _again = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            super()._note(number, frame)
        elif not self._again:
            self._again = True
            raise TerminatedError(number)


class TerminatedError(KeyboardInterrupt):
    """Ctrl-C, or another signal that terminates; `exit_code` is what shells show of it."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        super().__init__()
        self.exit_code = 128 + number


class SignalInterrupts(SignalFlag):
    """Takes every such signal for Ctrl-C, once: what cleans up then is left in peace."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            super()._note(number, frame)
            raise TerminatedError(number)
