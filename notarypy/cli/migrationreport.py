"""`notarypy migrate report`: how far repositories are on their way out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal

from notarypy.cli import namedkeys, references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import reportpage
from notarypy.client.migrate.inventory import ReportedRepository
from notarypy.cosign.signatures import FORMS
from notarypy.errors import Advice, UsageError
from notarypy.keys.signers import is_uri

_FORMS = {"both": FORMS, "any": ()}
_SUFFIXES = (".json", ".html")
_Format = Annotated[
    Literal["both", "bundle", "sig", "any"],
    Option("--format", help="Which forms of signatures a tag must have; any: one that verify counts."),
]
_NoChildren = Annotated[bool, Option("--no-children", help="Of an index look at the index alone.")]


def report(
    context: Context,
    repos: Annotated[list[str] | None, Argument(metavar="[REPO...]", help="Repositories; or --all.")] = None,
    *,
    every: Annotated[bool, Option("--all", help="Every repository of the trust directory.")] = False,
    key: Annotated[
        list[str] | None,
        Option(metavar="PUB", help="The public key of new signatures, or its URI. Repeatable."),
    ] = None,
    form: _Format = "both",
    no_children: _NoChildren = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
    output: Annotated[
        str | None, Option("--output", "-o", metavar="FILE", help="Write it here: FILE.json or FILE.html.")
    ] = None,
) -> None:
    """Report what is released, what is served, and what would be lost.

    Exit 0 only if every released tag is served as signed, and migrate cosign has nothing left to sign, by
    one of the keys that are given with --key.
    Otherwise the worst counts: 4 a tag moved, 10 the trust policy is not met, 5 something has ended, 3 a tag
    is gone or not signed the new way, 8 a server could not be asked.

    Example:
      notarypy migrate report registry.example.com/app
      notarypy migrate report --all --key cosign.pub -o report.html
    """
    run = begin(context)
    references.take_archive(run, archive)
    references.check_repositories(run, repos or ())
    if every == bool(repos):
        raise UsageError("name repositories, or give --all" if not repos else "--all names them already")
    pin, path = references.required_root(run, root, policy), _destination(run, output)
    found: dict[str, ReportedRepository] = {}
    with run.client(asking=False) as client:
        asked = references.known(run, client) if every else list(repos or ())
        pems = namedkeys.of_images(client.keys, key or ())
        keys = dict(zip(_names(key or ()), pems, strict=True))
        how: dict[str, Any] = {
            "progress": run.progress(steps=True),
            "forms": _FORMS.get(form, (form,)),
            "children": not no_children,
        }
        with closing(client.migration.report(asked, keys=keys, root=pin, **how)) as reports:
            for repo, outcome in zip(asked, reports, strict=True):
                with run.trying(repo):
                    found[repo] = outcome.get()
                    _note(run, repo, found[repo], path)
    if len(asked) > 1 or path is not None:
        unread = sum(not one.tags for one in found.values()) + len(asked) - len(found)
        left = f"; no tags of {unread} of {len(asked)} repositories" if unread else ""
        run.report.lines([f"in all: {reportpage.summary(reportpage.together(found.values()))}{left}"])
    if path is not None:
        text = _page(run, found, list(keys)) if path.suffix == ".html" else run.report.document()
        userfiles.write(path, text)
        run.report.lines([f"wrote {path}"])


def _page(run: Run, found: dict[str, ReportedRepository], keys: list[str]) -> str:
    """Return the page, with what was not looked at."""
    others = [result for result in run.report.results if result.ref not in found]
    unread = [ReportedRepository(result.ref, error=result.error) for result in others]
    return "".join(reportpage.page([*unread, *found.values()], keys))


def _destination(run: Run, output: str | None) -> Path | None:
    """Return where the report goes; raise before anything is looked at if it cannot."""
    if output is None:
        return None
    if Path(output).suffix not in _SUFFIXES:
        message = f"{output} does not say in which form the report is to be"
        raise UsageError(message, advice=Advice("name-report-file"))
    return userfiles.destination(run, output)


def _names(words: list[str] | tuple[str, ...]) -> list[str]:
    """Return what keys are called in the report: their files' names, if these differ."""
    short = [word if is_uri(word) else Path(word).name for word in words]
    return list(words) if len(set(short)) < len(short) else short


def _note(run: Run, repo: str, found: ReportedRepository, path: Path | None) -> None:
    wanted = run.options.json or (path is not None and path.suffix == ".json")
    if path is None:
        run.report.lines([f"{found.repository}: {reportpage.state(found)}"])
        if found.tags:
            run.report.table(reportpage.HEADER, map(reportpage.row, found.tags))
        run.report.lines(reportpage.lines(found))
    data = reportpage.repository_json(found) if wanted else {}
    if found.error is not None:
        run.report.failed([repo], found.error, data, repo if run.asked_for > 1 else "")
    else:
        run.report.done(repo, data)
