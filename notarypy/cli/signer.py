"""`notarypy signer`: delegations under docker's names and in its order of arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from notarypy.cli import delegate, render
from notarypy.cli.app import group
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.client.results import RoleEntry

app = group("Signers: delegations under docker's names.")


@app.command("add")
def add_signer(
    context: typer.Context,
    name: delegate.Name,
    repos: delegate.Repositories,
    *,
    key: delegate.PublicKeys,
) -> None:
    """Add a signer to repositories; one without trust data is initialised.

    Example:
      notarypy signer add --key delegation.crt jeff registry.example.com/admin/demo
    """
    delegate.add(context.obj, context, name, repos, key)


@app.command("remove")
def remove_signer(
    context: typer.Context,
    name: delegate.Name,
    repos: delegate.Repositories,
    *,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Even if tags cannot be verified until others sign again.")
    ] = False,
) -> None:
    """Remove a signer from repositories; its tags are signed again with another key that is here.

    Example:
      notarypy signer remove jeff registry.example.com/admin/demo
    """
    delegate.remove(context.obj, context, name, repos, force=force)


@app.command("list")
def list_signers(context: typer.Context, repo: delegate.Repository) -> None:
    """List the signers of a repository and their keys.

    Example:
      notarypy signer list registry.example.com/admin/demo
    """
    delegate.show(context.obj, context, repo, ("SIGNER", "TAGS", "KEYS"), _row)


def _row(entry: RoleEntry) -> tuple[str, ...] | None:
    if entry.role == roles.RELEASES:
        return None
    return (roles.signer_name(entry.role), delegate.paths(entry), render.short_ids(entry.keys))
