"""`notarypy history`: who signed what, and when."""

from __future__ import annotations

import re
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import eventtext
from notarypy.client.parameters import Unverified
from notarypy.errors import MetadataError, NotarypyError, UsageError
from notarypy.storage.settings import spans
from notarypy.tuf.fields import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from notarypy.client.history.events import HistoryEvent

_BLOCK = 500
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FORMS = "write a day, 2026-01-31, a moment, 2026-01-31T12:00:00Z, or a span back from now, 30d"


def history(
    context: Context,
    repo: references.Repository,
    *,
    since: Annotated[
        str | None,
        Option(metavar="DATE", help="Nothing before that: 2026-01-31, or 30d for the last 30 days."),
    ] = None,
    role: Annotated[
        str | None, Option(metavar="ROLE", help="Only this role, and what others say of it.")
    ] = None,
    tag: Annotated[str | None, Option(metavar="TAG", help="Only what became of this tag.")] = None,
    html: Annotated[str | None, Option(metavar="FILE", help="Write a page with all of it, too.")] = None,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Show who signed what and when, oldest first.

    That is tags, signers, keys and renewals, read from the server's feed of changes and from all old
    versions of the files, each verified with the keys of its time. What is gone or cannot be verified is
    shown as that. Times are the server's word, and so is what --since leaves out.

    Example:
      notarypy history registry.example.com/app
      notarypy history --since 30d --tag 1 registry.example.com/app
      notarypy history --html history.html registry.example.com/app
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    pin = references.required_root(run, root, policy)
    path = None if html is None else userfiles.destination(run, html)
    asked: dict[str, Any] = {"role": role, "tag": tag, "since": _since(since), "root": pin}
    shown = _Shown(run, role, kept=run.options.json or path is not None)
    with run.client(asking=False) as client, run.trying(repo):
        progress = run.progress(steps=True)
        with closing(client.history(repo, **asked, progress=progress)) as events:
            shown.take(events)
        shown.finish(repo)
        if path is not None:
            userfiles.write(path, "".join(eventtext.page(repo, shown.events, shown.error)))
            run.report.lines([f"wrote {path}"])


class _Shown:
    """Events as they come: shown block by block, and only kept where something needs them all."""

    def __init__(self, run: Run, role: str | None, *, kept: bool) -> None:
        self._run, self._role, self._kept = run, role, kept
        self.events: list[HistoryEvent] = []
        self.error: NotarypyError | None = None
        self._count, self._odd = 0, 0

    def take(self, events: Iterator[HistoryEvent]) -> None:
        """Show all events, and note what ended them before their time."""
        while self.error is None and (block := list(self._block(events))):
            self._run.report.table(eventtext.HEADER, map(eventtext.row, block), goes_on=self._count > 0)
            self._count += len(block)
            self._odd += sum(not event.verified for event in block)
            if self._kept:
                self.events += block

    def _block(self, events: Iterator[HistoryEvent]) -> Iterator[HistoryEvent]:
        try:
            yield from islice(events, _BLOCK)
        except NotarypyError as error:
            self.error = error

    def finish(self, repo: str) -> None:
        """Note the result."""
        report = self._run.report
        data = {"events": [eventtext.event_json(event) for event in self.events if report.options.json]}
        if self._odd:
            report.warn(Unverified(f"{self._odd} of {self._count} events of {repo} cannot be verified"))
        if self.error is not None:
            report.failed([repo], self.error, data)
        else:
            unknown = f", or it never had a role {self._role}" if self._role else ""
            nothing = f"nothing happened to {repo} that was asked for{unknown}"
            report.done(repo, data, *([] if self._count else [nothing]))


def _since(text: str | None) -> datetime | timedelta | None:
    """Return the moment or the span that a text means; UsageError for none."""
    if text is None or (span := spans.parse(text)) is not None:
        return None if text is None else span
    try:
        return parse_time(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text, "--since")
    except MetadataError:
        raise UsageError(f'"{text}" is no point in time', why=_FORMS) from None
