"""`notarypy revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references

if TYPE_CHECKING:
    from notarypy.cli.references import Name
    from notarypy.cli.run import Run
    from notarypy.client.results import RevokedTag


def revoke(
    context: typer.Context,
    refs: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Tags to revoke; with --all, repositories.")
    ],
    *,
    every: Annotated[bool, typer.Option("--all", help="Every tag of these repositories.")] = False,
    signer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only what this signer signed (and its release)."),
    ] = None,
) -> None:
    """Make tags unsigned: take them out of every role whose key is here.

    Nothing is removed from the registry. All tags of a repository are published at once, or none.

    Example:
      notarypy revoke registry.example.com/app:1
      notarypy revoke --all --yes registry.example.com/app
    """
    session: Run = context.obj
    session.begin(context)
    if every:
        _revoke_all(session, refs, signer)
    else:
        _revoke(session, references.read(refs, literal=session.options.gun), signer)


def _revoke(session: Run, names: list[Name], signer: str | None) -> None:
    groups: dict[str, list[Name]] = {}
    for name in names:
        groups.setdefault(name.repository, []).append(name)
    with session.client() as client:
        for group in groups.values():
            with session.trying(*(name.text for name in group)):
                written = {name.tagged: name.text for name in group}
                for done in client.revoke([name.text for name in group], signer=signer):
                    _tell(session, written.get(done.reference, done.reference), done)


def _revoke_all(session: Run, repos: list[str], signer: str | None) -> None:
    references.check_repositories(repos, literal=session.options.gun)
    whose = "" if signer is None else f" that {signer} signed"
    session.confirm("Go on?", f"every tag of {', '.join(repos)}{whose} becomes unsigned")
    with session.client() as client:
        for repo in repos:
            with session.trying(repo, among=repos):
                revoked = client.revoke_all(repo, signer=signer)
                for done in revoked:
                    _tell(session, repo, done)
                if not revoked:
                    session.report.text(f"no tag of {repo} is signed; nothing was published\n")


def _tell(session: Run, ref: str, done: RevokedTag) -> None:
    told = f"revoked {done.reference} in {', '.join(done.roles)}"
    session.report.done(ref, to_json(done), told if done.roles else f"left {done.reference} as it is")


def to_json(done: RevokedTag) -> dict[str, Any]:
    """Return what became of a tag."""
    return {
        "repository": done.repository,
        "tag": done.tag,
        "digest": done.digest,
        "roles": list(done.roles),
        "still": list(done.still),
        "still_released": done.still_released,
        "published": done.published,
    }
