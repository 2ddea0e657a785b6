"""`notarypy trust` and `notarypy forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references
from notarypy.cli.text import render
from notarypy.errors import Advice, ConfirmationNeededError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import TrustedRoot


def trust(
    context: typer.Context,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="A repository.")],
    *,
    root: Annotated[
        str | None,
        typer.Option(metavar="PIN", help="The root to accept, in full; left out: only show both."),
    ] = None,
) -> None:
    """Show the trusted and the offered root; accept the one named.

    Compare it with the repository's owner first: a changed root is what an attack looks like.

    Example:
      notarypy trust registry.example.com/app
      notarypy trust registry.example.com/app --root 7d58...64 digits
    """
    session: Run = context.obj
    session.begin(context)
    references.check_repositories([repo], literal=session.options.gun)
    pin = None if root is None else roles.check_pin(root)
    with session.client(asking=False) as client, session.trying(repo):
        seen = client.offered_root(repo) if pin is None else client.trust(repo, pin)
        if seen.accepted:
            session.report.done(repo, _result(seen), *_side_by_side(seen), _accepted(seen, pin))
            return
        session.report.text("".join(f"{render.safe(line)}\n" for line in _side_by_side(seen)))
        error = ConfirmationNeededError(
            f"the root that {seen.repository} offers is not trusted here",
            why="only a root named in full is accepted",
            advice=Advice("compare-offered-root", gun=seen.repository, root=seen.offered[0]),
        )
        session.report.failed([repo], error, _result(seen))


def _side_by_side(seen: TrustedRoot) -> list[str]:
    trusted = ", ".join(seen.trusted) or "none: nothing of this repository is cached"
    version = "" if seen.trusted_version is None else f" (version {seen.trusted_version})"
    return [
        f"{seen.repository}",
        f"  trusted: {trusted}{version}",
        f"  offered: {', '.join(seen.offered)} (version {seen.offered_version})",
    ]


def _accepted(seen: TrustedRoot, pin: str | None) -> str:
    return "they are the same" if pin is None else f"accepted the offered root of {seen.repository}"


def _result(seen: TrustedRoot) -> dict[str, Any]:
    return {
        "repository": seen.repository,
        "trusted": list(seen.trusted),
        "trusted_version": seen.trusted_version,
        "offered": list(seen.offered),
        "offered_version": seen.offered_version,
        "accepted": seen.accepted,
    }


def forget(
    context: typer.Context,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="A repository.")],
) -> None:
    """Drop the cached trust data of a repository; keys stay.

    That includes the trusted root. The next command trusts whatever root the server offers then,
    unless a PIN is configured; so this asks first, or wants --yes.

    Example:
      notarypy forget --yes registry.example.com/app
    """
    session: Run = context.obj
    session.begin(context)
    references.check_repositories([repo], literal=session.options.gun)
    session.confirm(
        "Go on?", f"this gives up the trusted root of {repo}: the next one that the server offers is taken"
    )
    with session.client(asking=False) as client, session.trying(repo):
        forgotten = client.forget(repo)
        line = f"forgot {repo}; keys stay" if forgotten else f"nothing of {repo} is cached"
        session.report.done(repo, {"forgotten": forgotten}, line)
