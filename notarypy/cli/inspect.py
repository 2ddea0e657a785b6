"""`notarypy inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references
from notarypy.cli.text import render

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import Inspection, RoleEntry


def inspect(
    context: typer.Context,
    refs: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Repositories, or single tags of them.")
    ],
    *,
    pretty: Annotated[bool, typer.Option("--pretty", help="Text for people instead of JSON.")] = False,
) -> None:
    """Show who signed what, as docker trust inspect does.

    The JSON, and with --pretty the text, is docker's. --json prints notarypy's own document
    instead, with roles, versions and expiry dates.

    Example:
      notarypy inspect registry.example.com/app
      notarypy inspect --pretty registry.example.com/app:1
    """
    session: Run = context.obj
    session.begin(context)
    names = references.read(refs, literal=session.options.gun)
    found: list[Inspection] = []
    with session.client(asking=False) as client:
        for name in names:
            with session.trying(name.text):
                found.append(client.inspect(name.text))
                session.report.done(name.text, to_json(found[-1]))
    if pretty:
        session.report.text("\n\n".join(render.docker_pretty(each) for each in found))
    else:
        session.report.text(render.docker_json(found) + "\n")


def to_json(found: Inspection) -> dict[str, Any]:
    """Return everything, for programs."""
    return {
        "name": found.name,
        "repository": found.repository,
        "server": found.server,
        "tags": [
            {
                "tag": row.tag,
                "digest": row.digest,
                "signers": [signer for signer in row.signers if signer != render.REPO_ADMIN],
            }
            for row in found.tags
        ],
        "signers": [{"name": name, "keys": list(keys)} for name, keys in found.signers],
        "root_keys": list(found.root_keys),
        "repository_keys": list(found.repository_keys),
        "roles": [role_to_json(entry) for entry in found.roles],
    }


def role_to_json(entry: RoleEntry) -> dict[str, Any]:
    """Return one role, for programs."""
    return {
        "role": entry.role,
        "version": entry.version,
        "expires": render.moment(entry.expires),
        "keys": list(entry.keys),
        "threshold": entry.threshold,
        "paths": list(entry.paths),
        "problem": entry.problem,
    }
