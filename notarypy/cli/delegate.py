"""`notarypy delegate`, and what `notarypy signer` shares with it.

`notarypy signer`: delegations under docker's names and in its order of arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import init as initialised
from notarypy.cli import references, userfiles
from notarypy.cli.app import group
from notarypy.cli.inspect import role_to_json
from notarypy.cli.text import render
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.cli.run import Run
    from notarypy.client.results import PurgedKey, RoleEntry, SignerAdded, SignerRemoved

app = group("Delegations: who may sign the tags of a repository.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The signer's name, or a role targets/...")]
Repositories = Annotated[list[str], typer.Argument(metavar="REPO...", help="Repositories.")]
Repository = Annotated[str, typer.Argument(metavar="REPO", help="A repository.")]
PublicKeys = Annotated[
    list[str],
    typer.Option("--key", metavar="PUB", help="Public key or certificate, PEM. May be repeated."),
]


@app.command("add")
def add_delegation(
    context: typer.Context,
    name: Name,
    repos: Repositories,
    *,
    key: PublicKeys,
    path: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="Only tags that begin with this. May be repeated."),
    ] = None,
    no_releases: Annotated[
        bool, typer.Option("--no-releases", help="The signer may vouch for tags, but not release them.")
    ] = False,
) -> None:
    """Let the holders of keys sign the tags of repositories.

    A repository without trust data is initialised.

    Example:
      notarypy delegate add jeff registry.example.com/app --key jeff.crt
      notarypy delegate add ci registry.example.com/app --key ci.pub --path nightly-
    """
    add(context.obj, context, name, repos, key, paths=path or ("",), releases=not no_releases)


@app.command("remove")
def remove_delegation(
    context: typer.Context,
    name: Name,
    repos: Repositories,
    *,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Remove only the key with this id.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if tags cannot be verified until others sign again.")
    ] = False,
) -> None:
    """Take a signer, or one of its keys, out of repositories.

    Tags that rest on its signature are signed again with another key that is here; without one
    nothing is changed.

    Example:
      notarypy delegate remove jeff registry.example.com/app
    """
    remove(context.obj, context, name, repos, key=key, force=force)


@app.command("purge")
def purge_key(
    context: typer.Context,
    repos: Repositories,
    *,
    key: Annotated[str, typer.Option(metavar="ID", help="The key: at least 7 digits of its id.")],
    force: Annotated[
        bool, typer.Option("--force", help="Even if tags cannot be verified until others sign again.")
    ] = False,
) -> None:
    """Take one key out of all delegations of repositories: it was stolen, or its owner left.

    A signer that has no other key is removed. Tags that rest on its signature are signed again with
    another key that is here; without one nothing is changed.

    Example:
      notarypy delegate purge --key 49ed06e registry.example.com/app
    """
    session: Run = context.obj
    session.begin(context)
    references.check_repositories(repos, literal=session.options.gun)
    with session.client() as client:
        for repo in repos:
            with session.trying(repo, among=repos):
                purged = client.keys.purge(key, repo, force=force)
                session.report.done(repo, _purged_json(purged), *_purged_lines(purged))
                if purged.left:
                    session.report.warn(
                        f"{', '.join(purged.left)} of {purged.repository} still have this key: "
                        "the keys here cannot change them"
                    )
                _warn_of_unreadable(session, purged)


def _purged_lines(purged: PurgedKey) -> list[str]:
    key = purged.key[: render.SHORT_ID]
    told = [f"removed key {key} from {', '.join(purged.roles)} of {purged.repository}"]
    told += [f"removed signer {roles.signer_name(role)}: it has no other key" for role in purged.removed]
    return [*told, *_resigned_lines(purged)]


def _purged_json(purged: PurgedKey) -> dict[str, Any]:
    return {
        "repository": purged.repository,
        "key": purged.key,
        "roles": list(purged.roles),
        "left": list(purged.left),
        "removed": list(purged.removed),
        "resigned": list(purged.resigned),
        "kept": list(purged.kept),
        "unreadable": list(purged.unreadable),
        "needed": list(purged.needed),
    }


@app.command("list")
def list_delegations(context: typer.Context, repo: Repository) -> None:
    """List the delegations of a repository: roles, keys, tags.

    Example:
      notarypy delegate list registry.example.com/app
    """
    session: Run = context.obj
    header = ("ROLE", "PATHS", "THRESHOLD", "EXPIRES", "KEY IDS")
    show(session, context, repo, header, _delegation_row)


def _delegation_row(entry: RoleEntry) -> tuple[str, ...] | None:
    expires = entry.problem or render.moment(entry.expires) or "(not published)"
    return (entry.role, paths(entry), str(entry.threshold), expires, ", ".join(entry.keys))


def paths(entry: RoleEntry) -> str:
    """Return the tags that a role covers, for people."""
    return ", ".join(path or "all tags" for path in entry.paths) or "none"


def add(
    session: Run,
    context: typer.Context,
    name: str,
    repos: Sequence[str],
    keys: Sequence[str],
    *,
    paths: Sequence[str] = ("",),
    releases: bool = True,
) -> None:
    """Add one signer to repositories."""
    session.begin(context)
    references.check_repositories(repos, literal=session.options.gun)
    roles.signer_role(name)
    pems = userfiles.read_all(keys)
    with session.client() as client:
        for repo in repos:
            with session.trying(repo, among=repos):
                added = client.add_signer(name, repo, pems, paths=paths, releases=releases)
                session.report.done(repo, _added_json(added), *_added_lines(added))


def _added_lines(added: SignerAdded) -> list[str]:
    who = roles.signer_name(added.role)
    made = initialised.lines(added.created) if added.created is not None else []
    if not added.published:
        return [*made, f"{who} is a signer of {added.repository} already; nothing was published"]
    keys = ", ".join(key[: render.SHORT_ID] for key in added.keys)
    return [*made, f"added signer {who} to {added.repository} ({keys})"]


def _added_json(added: SignerAdded) -> dict[str, Any]:
    return {
        "repository": added.repository,
        "role": added.role,
        "keys": list(added.keys),
        "published": added.published,
        "created": None if added.created is None else initialised.to_json(added.created),
    }


def remove(
    session: Run,
    context: typer.Context,
    name: str,
    repos: Sequence[str],
    *,
    key: str | None = None,
    force: bool,
) -> None:
    """Remove one signer, or one of its keys, from repositories."""
    session.begin(context)
    references.check_repositories(repos, literal=session.options.gun)
    roles.signer_role(name)
    with session.client() as client:
        for repo in repos:
            with session.trying(repo, among=repos):
                removed = client.remove_signer(name, repo, key=key, force=force)
                session.report.done(repo, _removed_json(removed), *_removed_lines(removed, key))
                _warn_of_unreadable(session, removed)


def _warn_of_unreadable(session: Run, done: SignerRemoved | PurgedKey) -> None:
    if done.unreadable:
        who = ", ".join(done.needed) or "a signer"
        session.report.warn(
            f"{', '.join(done.unreadable)} of {done.repository} cannot be verified until {who} signs again"
        )


def _removed_lines(removed: SignerRemoved, key: str | None) -> list[str]:
    what = f"signer {roles.signer_name(removed.role)}" if key is None else f"key {key} of {removed.role}"
    return [f"removed {what} from {removed.repository}", *_resigned_lines(removed)]


def _resigned_lines(done: SignerRemoved | PurgedKey) -> list[str]:
    if not done.resigned:
        return []
    return [f"signed again: {', '.join(done.resigned)}", f"tags kept: {', '.join(done.kept) or 'none'}"]


def _removed_json(removed: SignerRemoved) -> dict[str, Any]:
    return {
        "repository": removed.repository,
        "role": removed.role,
        "resigned": list(removed.resigned),
        "kept": list(removed.kept),
        "unreadable": list(removed.unreadable),
        "needed": list(removed.needed),
    }


def show(
    session: Run,
    context: typer.Context,
    repo: str,
    header: tuple[str, ...],
    row: Callable[[RoleEntry], tuple[str, ...] | None],
) -> None:
    """List the delegations of a repository; `row` leaves one out by returning None."""
    session.begin(context)
    references.check_repositories([repo], literal=session.options.gun)
    with session.client(asking=False) as client, session.trying(repo):
        entries = client.delegations(repo)
        session.report.done(repo, {"roles": [role_to_json(entry) for entry in entries]})
        rows = [cells for cells in map(row, entries) if cells is not None]
        if rows:
            session.report.text(render.table(header, rows) + "\n")


signer_app = group("Signers: delegations under docker's names.")


@signer_app.command("add")
def add_signer(
    context: typer.Context,
    name: Name,
    repos: Repositories,
    *,
    key: PublicKeys,
) -> None:
    """Add a signer to repositories; one without trust data is initialised.

    Example:
      notarypy signer add --key delegation.crt jeff registry.example.com/admin/demo
    """
    add(context.obj, context, name, repos, key)


@signer_app.command("remove")
def remove_signer(
    context: typer.Context,
    name: Name,
    repos: Repositories,
    *,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Even if tags cannot be verified until others sign again.")
    ] = False,
) -> None:
    """Remove a signer from repositories; its tags are signed again with another key that is here.

    Example:
      notarypy signer remove jeff registry.example.com/admin/demo
    """
    remove(context.obj, context, name, repos, force=force)


@signer_app.command("list")
def list_signers(context: typer.Context, repo: Repository) -> None:
    """List the signers of a repository and their keys.

    Example:
      notarypy signer list registry.example.com/admin/demo
    """
    show(context.obj, context, repo, ("SIGNER", "TAGS", "KEYS"), _row)


def _row(entry: RoleEntry) -> tuple[str, ...] | None:
    if entry.role == roles.RELEASES:
        return None
    return (roles.signer_name(entry.role), paths(entry), render.short_ids(entry.keys))
