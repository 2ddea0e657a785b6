"""`notarypy doctor`: what is wrong here, and what mends it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import references
from notarypy.cli import run as running
from notarypy.cli.declared import Argument
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.cli.text.advice import advice, text_of
from notarypy.errors import Advice, NotarypyError, OperationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.api import Client
    from notarypy.client.findings import Examined, Finding

_WIDE = 13


def doctor(
    context: Context,
    repos: Annotated[
        list[str] | None,
        Argument(metavar="[REPO...]", help="Repositories; default: all that are known here."),
    ] = None,
) -> None:
    """Look for what is wrong with settings, servers, keys, dates.

    And with logins, clocks and files. Every line is ok, a warning or bad, with what mends it. Nothing is
    changed, here or on a server. -q shows only what is not ok. Settings that make other commands fail are
    named, and left out.

    Example:
      notarypy doctor
      notarypy doctor registry.example.com/app --json
    """
    run = begin(context)
    references.check_repositories(run, repos or ())
    client, problems = _opened(run)
    with run.log_shown(), client, run.trying(*(repos or ["machine"])):
        with run.working():
            found = client.upkeep.doctor(repos or (), problems=problems)
        for examined in found:
            _show(run, examined)


def _opened(run: Run) -> tuple[Client, Sequence[NotarypyError]]:
    """Make a client, in spite of settings that no other command could go on with; return what they are."""
    try:
        return running.open_client(run, asking=False), ()
    except (NotarypyError, OSError, RuntimeError):
        from notarypy.client.api import Client
        from notarypy.client.doctor.origins import load_in_spite  # for settings that are wrong alone

        options = {name: value for name, value in run.options.for_client.items() if name != "gun"}
        settings, problems = load_in_spite(options, os.environ)
        return Client(settings, literal_gun=run.options.gun, limits=run.limits), problems


def _show(run: Run, examined: Examined) -> None:
    shown = [finding for finding in examined.findings if finding.level != "ok" or not run.options.quiet]
    run.report.lines([examined.subject] if shown else [])
    for finding in shown:
        first, *others = _lines(finding)
        run.report.verdict(first, finding.level, finding.level)
        run.report.lines(others)
    count = sum(finding.level == "bad" for finding in examined.findings)
    data = {"level": examined.level, "findings": [_json(finding) for finding in examined.findings]}
    if not count:
        run.report.done(examined.subject, data)
        return
    many = f"{count} lines about {examined.subject} are bad"
    text = many if count > 1 else f"one line about {examined.subject} is bad"
    run.report.failed([examined.subject], OperationError(text, advice=Advice("mend-findings")), data)


def _lines(finding: Finding) -> list[str]:
    lines = [f"  {finding.level:<9}{finding.area:<{_WIDE}} {finding.text}"]
    if finding.level != "ok":
        lines += [f"{'':<11}why: {why}" for why in finding.why]
        lines += [f"{'':<11}fix: {fix}"] if (fix := _fix(finding)) else []
    return lines


def _fix(finding: Finding) -> str:
    if finding.error is not None:
        return advice(finding.error)
    return "" if finding.fix is None else text_of(finding.fix)


def _json(finding: Finding) -> dict[str, Any]:
    fix = _fix(finding) if finding.level != "ok" else ""
    known = render.fields(finding, "level area text")
    return {**known, "why": list(finding.why), "fix": fix or None, "facts": dict(finding.facts)}
