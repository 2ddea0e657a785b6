"""`notarypy renew` and `notarypy status`: the dates of repositories."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.cli.text.advice import text_of
from notarypy.client.parameters import Unverified
from notarypy.client.results import RepositoryStatus
from notarypy.errors import (
    Advice,
    ExpiredError,
    NotarypyError,
    NothingThereError,
    TrustError,
    UsageError,
    VerificationError,
)
from notarypy.tuf.roles import SNAPSHOT, TIMESTAMP, signer_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.client.results import Renewed
    from notarypy.client.verdicts import RoleStatus

    _Fix = Callable[[RepositoryStatus], Advice]

_ROLE = "role version expires days_left keys threshold here elsewhere signable due problem"
_USUAL, _STDOUT = "90d", "-"
_HEADER = ("ROLE", "VERSION", "ENDS", "LEFT", "KEYS", "HERE")
_WATCHED = frozenset({"prometheus", "junit"})
# Whoever collects metrics is mostly another user, and nothing in them is a secret.


_Form = Annotated[
    Literal["table", "json", "prometheus", "junit"],
    Option("--format", help="A table, JSON as --json, Prometheus' metrics, or JUnit's XML."),
]


def renew(
    context: Context,
    repos: Annotated[list[str] | None, Argument(metavar="[REPO...]", help="Repositories.")] = None,
    *,
    from_file: references.RepositoriesFile = None,
    within: references.WithinOrUsual = None,
    role: Annotated[
        list[str] | None,
        Option(metavar="ROLE", help="Only this role; without --within whatever its date. Repeatable."),
    ] = None,
    offline_part: references.OfflinePart = None,
    over_limits: references.OverLimits = False,
) -> None:
    """Sign again what ends soon or has ended: new dates, same content.

    The keys here sign; what is signed stays as it is. What they cannot sign is named, with the keys it takes.
    With --quiet nothing is said of a repository of which nothing is due.

    Example:
      notarypy renew registry.example.com/app
      notarypy renew --quiet --from-file repositories
    """
    run = begin(context, over_limits=over_limits)
    asked = references.repositories(run, repos, from_file)
    if not asked:
        raise UsageError("no repository was given", advice=Advice("name-image"))
    span = None if within is None else references.span(within)
    with run.client() as client:
        if offline_part is not None:
            from notarypy.cli import partfiles  # most renew alone

            publish = partial(client.renew, asked[0], within=span, only=role or ())
            partfiles.make(run, client, asked, offline_part, publish)
            return
        for repo, found in run.each(asked, lambda repo: client.renew(repo, within=span, only=role or ())):
            with run.trying(repo):
                done = found.get()
                data = render.fields(done, "repository renewed root_pins published")
                data["renewed"] = [render.fields(status, _ROLE) for status in done.renewed]
                said = () if run.options.quiet and not done.published else _renewed_lines(done)
                run.report.done(repo, data, *said)


def status(
    context: Context,
    repos: Annotated[
        list[str] | None,
        Argument(metavar="[REPO...]", help="Repositories; default: all that are known here."),
    ] = None,
    *,
    from_file: references.RepositoriesFile = None,
    within: references.Within = _USUAL,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
    form: _Form = "table",
    output: Annotated[
        str | None, Option("--output", "-o", metavar="FILE", help="Replace this file by it, as a whole.")
    ] = None,
    check: Annotated[
        bool, Option("--check", help="Exit 5 if something ends within that time, 12 if nothing is known.")
    ] = False,
) -> None:
    """Show when each role ends, and which keys this machine has.

    Example:
      notarypy status registry.example.com/app
      notarypy status --check --within 30d
      notarypy status --format prometheus -o /var/lib/node_exporter/notarypy.prom
    """
    run = begin(context)
    references.take_archive(run, archive)
    path = _destination(run, form, output)
    named = references.repositories(run, repos, from_file)
    span, pin = references.span(within), references.required_root(run, root, policy)
    watched, fix = form in _WATCHED, partial(_what_to_do, within=within, archived=archive is not None)
    with run.client(asking=False) as client:
        looked_at = named or _known(run, client.repositories(), all_of_them=check or watched)
        run.asked_for = len(named) or 2  # who named none is told which it is
        read: dict[str, RepositoryStatus] = {}
        for repo, found in run.each(looked_at, lambda repo: client.status(repo, within=span, root=pin)):
            with run.trying(repo):
                read[repo] = found.get()
                if form == "table":
                    run.report.table(_HEADER, map(_row, read[repo].roles), read[repo].repository)
                _judge(run, repo, read[repo], within, fix, check=check)
    if watched:
        _write(run, path, _watched(run, form, read, within, fix))
    elif path is not None:
        _write(run, path, run.report.document())
        run.report.answered = True


def _destination(run: Run, form: str, output: str | None) -> Path | None:
    """Return the file to write, if one is named; raise before anything is looked at if that cannot be."""
    if run.options.json and form in _WATCHED:
        raise UsageError(f"--json and --format {form} are two forms", advice=Advice("leave-out-one"))
    run.options.json = run.options.json or form == "json"
    if output is None:
        return None
    if form == "table" and not run.options.json:
        raise UsageError("a table is not written to a file", advice=Advice("leave-out", option="-o"))
    return None if output == _STDOUT else userfiles.destination(run, output, ask=False)


def _watched(run: Run, form: str, read: Mapping[str, RepositoryStatus], within: str, fix: _Fix) -> str:
    """Return the text for programs that watch, with each repository once, and what could not be read."""
    from notarypy.cli.text import monitoring  # for these forms alone

    looks: dict[str, RepositoryStatus | NotarypyError] = {}
    for result in run.report.results:
        found = read.get(result.ref, result.error)
        if found is not None:
            name = found.repository if isinstance(found, RepositoryStatus) else _name(run, result.ref)
            looks.setdefault(name, found)
    if form == "prometheus":
        return monitoring.prometheus(looks)
    return monitoring.junit(looks, within, lambda found: text_of(fix(found)), run.report.command)


def _name(run: Run, repo: str) -> str:
    return references.meant(run, repo) if references.means(run, repo) else repo


def _write(run: Run, path: Path | None, text: str) -> None:
    if path is None:
        run.report.text(text)
    else:
        userfiles.write(path, text)


def _known(run: Run, repos: list[str], *, all_of_them: bool) -> list[str]:
    """Return those of the repositories known here whose names mean them; raise if none is known.

    A GUN such as `coll` does not: as an image's name it is docker.io/library/coll, another repository. Of
    the others there is a warning; where `all_of_them` are to be looked at, that is a failure.
    """
    if not repos:
        message, advice = "no repository is known here, so none was looked at", Advice("name-repositories")
        raise NothingThereError(message, why="the trust directory has no trust data", advice=advice)
    found = []
    for repo in repos:
        if references.means(run, repo):
            found.append(repo)
        else:
            what, why = f"{repo} was not looked at", "it is no image's name"
            if all_of_them:
                advice = Advice("status-literally", gun=quote(repo))
                run.report.failed([repo], NothingThereError(what, why=why, advice=advice))
            else:
                run.report.warn(Unverified(f"{what}: {why}; notarypy status --gun {quote(repo)} shows it"))
    if not found and not all_of_them:
        message = "no repository that is known here is an image's"
        raise NothingThereError(message, advice=Advice("name-repositories"))
    return found


def _judge(run: Run, repo: str, found: RepositoryStatus, within: str, fix: _Fix, *, check: bool) -> None:
    data = render.fields(found, "repository server roles")
    data["roles"] = [render.fields(status, _ROLE) for status in found.roles]
    names = ", ".join(status.role for status in found.due)
    verb, past = ("end", "have") if len(found.due) > 1 else ("ends", "has")
    due = [f"{names} of {found.repository} {verb} within {within} or {past} ended"] if names else []
    if check and (error := _failure(found, due, fix)) is not None:
        run.report.failed([repo], error, data)
        return
    run.report.done(repo, data)
    for broken in found.roles:
        if broken.problem:
            run.report.warn(f"{broken.role} of {found.repository}: {broken.problem}")
    for message in due:
        run.report.warn(f"{message}; {text_of(fix(found))}")
    for early in (status for status in found.roles if status.ends_soon and not status.due):
        what = f"{early.role} of {found.repository} ends on {early.expires:%Y-%m-%d}"
        run.report.warn(f"{what}; {text_of(Advice('renew-root-early', gun=found.repository))}")


def _failure(found: RepositoryStatus, due: list[str], fix: _Fix) -> TrustError | None:
    """Return what a check fails with: a file whose date nobody knows is no better than one that ended."""
    broken = [status for status in found.roles if status.problem]
    advice = fix(found)
    if broken:
        one = next((status for status in broken if not status.usable), broken[0])
        advice = Advice("sign-anew-or-remove", role=one.role, gun=found.repository)
        if not one.usable:
            advice = Advice("replace-unusable", name=signer_name(one.role), gun=found.repository)
        names = ", ".join(status.role for status in broken)
        why = (*(f"{status.role}: {status.problem}" for status in broken), *due)
        return VerificationError(f"{names} of {found.repository} cannot be verified", why=why, advice=advice)
    if due:
        return ExpiredError(due[0], advice=advice, roles=[status.role for status in found.due])
    return None


def _what_to_do(found: RepositoryStatus, within: str, *, archived: bool) -> Advice:
    """Return who renews what is due: whoever has the keys, or for its own roles the server, or an archive."""
    ours = [status for status in found.due if status.role != TIMESTAMP]
    ours = [status for status in ours if status.signable or status.role != SNAPSHOT]
    served = [status for status in found.due if status.role in {SNAPSHOT, TIMESTAMP}]
    if served and archived:
        return Advice("export-anew", gun=found.repository)
    if found.due and not ours:
        return Advice("check-clock")
    # What `renew` finds due by itself may be less than what was found here.
    what = found.repository if within == _USUAL else f"--within {within} {found.repository}"
    if all(status.signable for status in ours):
        return Advice("renew", gun=what)
    if any(status.threshold > 1 for status in ours if not status.signable):
        return Advice("renew-in-parts", gun=what)
    return Advice("sign-role-again", gun=what)


def _row(status: RoleStatus) -> tuple[str, ...]:
    ends = render.ends(status.expires, status.problem)
    version = "" if status.version is None else str(status.version)
    here = ("noted" if status.elsewhere else "yes") if status.signable else "no"
    if status.threshold > 1:
        here = f"{len(status.here)} of {status.threshold}"
    return (status.role, version, ends, _left(status), render.short_ids(status.keys), here)


def _left(status: RoleStatus) -> str:
    if status.days_left is None or status.problem:
        return ""
    if status.days_left < 0:
        return "ended"
    return f"{status.days_left} day{'' if status.days_left == 1 else 's'}"


def _renewed_lines(done: Renewed) -> list[str]:
    if not done.published:
        return [f"nothing of {done.repository} is due; nothing was published"]
    dates = [(status.role, render.moment(status.expires)) for status in done.renewed]
    lines = [f"renewed {role} of {done.repository}: it ends on {date}" for role, date in dates]
    return lines + [f"root pin: {pin}" for pin in done.root_pins if "root" in dict(dates)]
