"""`notarypy renew` and `notarypy status`: the dates of repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from notarypy.cli import references
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.cli.text.advice import text_of
from notarypy.client.parameters import Unverified
from notarypy.errors import (
    Advice,
    ExpiredError,
    NothingThereError,
    TrustError,
    UsageError,
    VerificationError,
)
from notarypy.storage.settings import spans
from notarypy.tuf.roles import SNAPSHOT, TIMESTAMP, signer_name

if TYPE_CHECKING:
    from datetime import timedelta

    from notarypy.client.results import Renewed, RepositoryStatus
    from notarypy.client.verdicts import RoleStatus

_ROLE = "role version expires keys threshold here elsewhere signable due problem"
_USUAL = "90d"
_HEADER = ("ROLE", "VERSION", "ENDS", "KEYS", "HERE")

Within = Annotated[str, Option(metavar="TIME", help="How far ahead: 10d, 4w, 1y.")]


def renew(
    context: Context,
    repos: references.Repositories,
    *,
    within: Within = _USUAL,
    role: Annotated[
        list[str] | None, Option(metavar="ROLE", help="Only this role, whatever its date. May be repeated.")
    ] = None,
    over_limits: references.OverLimits = False,
) -> None:
    """Sign again, with the keys here, what ends soon or has ended already.

    What is signed stays as it is. What the keys here cannot sign is named, with the keys it takes.

    Example:
      notarypy renew registry.example.com/app
    """
    run = begin(context, over_limits=over_limits)
    references.check_repositories(run, repos)
    span = _span(within)
    with run.client() as client:
        for repo, found in run.each(repos, lambda repo: client.renew(repo, within=span, only=role or ())):
            with run.trying(repo):
                done = found.get()
                data = render.fields(done, "repository renewed root_pins published")
                data["renewed"] = [render.fields(status, _ROLE) for status in done.renewed]
                run.report.done(repo, data, *_renewed_lines(done))


def status(
    context: Context,
    repos: Annotated[
        list[str] | None,
        Argument(metavar="[REPO...]", help="Repositories; default: all that are known here."),
    ] = None,
    *,
    within: Within = _USUAL,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
    check: Annotated[
        bool, Option("--check", help="Exit 5 if something ends within that time, 12 if nothing is known.")
    ] = False,
) -> None:
    """Show when each role ends, and whose keys are here.

    Example:
      notarypy status registry.example.com/app
      notarypy status --check --within 30d
    """
    run = begin(context)
    references.take_archive(run, archive)
    references.check_repositories(run, repos or ())
    span, pin = _span(within), references.required_root(run, root, policy)
    with run.client(asking=False) as client:
        looked_at = repos or _known(run, client.repositories(), check=check)
        run.asked_for = len(repos) if repos else 2  # who named none is told which it is
        for repo, found in run.each(looked_at, lambda repo: client.status(repo, within=span, root=pin)):
            with run.trying(repo):
                _show(run, repo, found.get(), within, check=check)


def _known(run: Run, repos: list[str], *, check: bool) -> list[str]:
    """Return those of the repositories known here whose names mean them; raise if none is known.

    A GUN such as `coll` does not: as an image's name it is docker.io/library/coll, another repository. Of
    the others there is a warning; a check that leaves something out has failed.
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
            if check:
                advice = Advice("status-literally", gun=repo)
                run.report.failed([repo], NothingThereError(what, why=why, advice=advice))
            else:
                run.report.warn(Unverified(f"{what}: {why}; notarypy status --gun {repo} shows it"))
    if not found and not check:
        message = "no repository that is known here is an image's"
        raise NothingThereError(message, advice=Advice("name-repositories"))
    return found


def _span(text: str) -> timedelta:
    if spans.too_long(text):
        raise UsageError(f"{text} is too long", advice=Advice("write-shorter-span", most=spans.MOST))
    if not (found := spans.parse(text)):
        raise UsageError(f'"{text}" is no span of time', advice=Advice("write-span"))
    return found


def _show(run: Run, repo: str, found: RepositoryStatus, within: str, *, check: bool) -> None:
    data = render.fields(found, "repository server roles")
    data["roles"] = [render.fields(status, _ROLE) for status in found.roles]
    run.report.table(_HEADER, map(_row, found.roles), found.repository)
    names = ", ".join(status.role for status in found.due)
    verb, past = ("end", "have") if len(found.due) > 1 else ("ends", "has")
    due = [f"{names} of {found.repository} {verb} within {within} or {past} ended"] if names else []
    if check and (error := _failure(found, due, within)) is not None:
        run.report.failed([repo], error, data)
        return
    run.report.done(repo, data)
    for broken in found.roles:
        if broken.problem:
            run.report.warn(f"{broken.role}: {broken.problem}")
    for message in due:
        run.report.warn(f"{message}; {text_of(_what_to_do(found, within))}")


def _failure(found: RepositoryStatus, due: list[str], within: str) -> TrustError | None:
    """Return what a check fails with: a file whose date nobody knows is no better than one that ended."""
    broken = [status for status in found.roles if status.problem]
    advice = _what_to_do(found, within)
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


def _what_to_do(found: RepositoryStatus, within: str) -> Advice:
    """Return who renews what is due: whoever has the keys, or for its own roles the server."""
    ours = [status for status in found.due if status.role != TIMESTAMP]
    ours = [status for status in ours if status.signable or status.role != SNAPSHOT]
    if found.due and not ours:
        return Advice("check-clock")
    # What `renew` finds due by itself may be less than what was found here.
    what = found.repository if within == _USUAL else f"--within {within} {found.repository}"
    if all(status.signable for status in ours):
        return Advice("renew", gun=what)
    return Advice("sign-role-again", gun=what)


def _row(status: RoleStatus) -> tuple[str, ...]:
    ends = render.ends(status.expires, status.problem)
    version = "" if status.version is None else str(status.version)
    here = ("noted" if status.elsewhere else "yes") if status.signable else "no"
    if status.threshold > 1:
        here = f"{len(status.here)} of {status.threshold}"
    return (status.role, version, ends, render.short_ids(status.keys), here)


def _renewed_lines(done: Renewed) -> list[str]:
    if not done.published:
        return [f"nothing of {done.repository} is due; nothing was published"]
    dates = [(status.role, render.moment(status.expires)) for status in done.renewed]
    lines = [f"renewed {role} of {done.repository}: it ends on {date}" for role, date in dates]
    return lines + [f"root pin: {pin}" for pin in done.root_pins if "root" in dict(dates)]
