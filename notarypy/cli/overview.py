"""`notarypy report`: what whoever answers for repositories has to know of them, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import overviewpage, overviewtext
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.client.overview.overviews import Overview

_STDOUT, _AT_A_TIME = "-", 4


def report(
    context: Context,
    repos: Annotated[list[str] | None, Argument(metavar="[REPO...]", help="Repositories; or --all.")] = None,
    *,
    from_file: references.RepositoriesFile = None,
    every: Annotated[bool, Option("--all", help="Every repository of the trust directory.")] = False,
    within: references.Within = "90d",
    registry: Annotated[
        bool, Option("--registry", help="Compare each released tag with what the registry serves.")
    ] = False,
    no_history: Annotated[
        bool, Option("--no-history", help="Do not read old versions: quick, without what happened.")
    ] = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
    output: Annotated[
        str | None, Option("--output", "-o", metavar="FILE", help="Write a page of HTML here; - is stdout.")
    ] = None,
) -> None:
    """Report who may sign what, what is signed, and what is wrong.

    What ends, and when, is in it too. Exit 0 if every repository could be read, whatever is found; otherwise
    the worst reason counts.

    Example:
      notarypy report registry.example.com/app
      notarypy report --all -o report.html
    """
    run = begin(context)
    references.take_archive(run, archive)
    named = references.repositories(run, repos, from_file)
    if every == bool(named):
        raise UsageError("name repositories, or give --all" if not named else "--all names them already")
    span, pin = references.span(within), references.required_root(run, root, policy)
    path, to_stdout = _destination(run, output), output == _STDOUT
    with run.client(asking=False) as client:
        asked = references.known(run, client) if every else named
        overviews: dict[str, Overview] = {}

        def look(repo: str) -> Overview:
            return client.overview(repo, within=span, root=pin, history=not no_history, registry=registry)

        for repo, outcome in run.each(asked, look, _AT_A_TIME):
            with run.trying(repo):
                overviews[repo] = outcome.get()
                data = overviewtext.repository_json(overviews[repo]) if run.options.json else {}
                run.report.done(repo, data)
                if not to_stdout:
                    _show(run, overviewtext.Looked(repo, overviews[repo]), brief=path is not None)
    if output is None:
        return
    results = run.report.results
    looked = [overviewtext.Looked(one.ref, overviews.get(one.ref), one.error) for one in results]
    text = "".join(overviewpage.page(looked, within))
    if path is None:
        run.report.text(text)
    else:
        userfiles.write(path, text)
        run.report.lines([f"wrote {path}"])


def _show(run: Run, one: overviewtext.Looked, *, brief: bool) -> None:
    state = overviewtext.state(one)
    run.report.verdict(f"{one.name}: {state}", f": {state}", one.level)
    if one.found is not None and not brief:
        run.report.table(overviewtext.FINDINGS, map(overviewtext.finding_row, one.found.findings))
        run.report.lines([""])


def _destination(run: Run, output: str | None) -> Path | None:
    """Return the file that the page goes to, if it goes to one; raise before anything is looked at."""
    if output == _STDOUT and run.options.json:
        raise UsageError("JSON and a page cannot both go to standard output", advice=Advice("leave-out-one"))
    return None if output in {None, _STDOUT} else userfiles.destination(run, str(output))
