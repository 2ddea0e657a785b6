"""`notarypy key rotate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references, render

if TYPE_CHECKING:
    from notarypy.cli.session import Session
    from notarypy.client.keyresults import RotatedKey


def rotate(
    context: typer.Context,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="A repository.")],
    role: Annotated[str, typer.Argument(metavar="ROLE", help="root, targets, snapshot or timestamp.")],
    *,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEYREF", help="The new key: one that is here, or a file; default: make one."),
    ] = None,
    server_managed: Annotated[
        bool, typer.Option("--server-managed", help="The server makes and keeps it: snapshot, timestamp.")
    ] = False,
) -> None:
    """Replace the key of a role; the root key has to be here.

    The old key stays in the trust directory. Readers follow a new root key without doing anything.

    Example:
      notarypy key rotate registry.example.com/app targets
      notarypy key rotate registry.example.com/app snapshot --server-managed
    """
    session: Session = context.obj
    session.begin(context)
    references.check_repositories([repo], literal=session.options.gun)
    if role == "root":
        session.confirm("Go on?", f"the root key of {repo} is replaced")
    with session.client() as client, session.trying(repo):
        done = client.keys.rotate(repo, role, key=key, server_managed=server_managed)
        session.report.done(repo, to_json(done), *_lines(done))
        if done.role == "snapshot" and done.published and not done.server_managed:
            session.report.warn(
                f"the snapshot key of {done.repository} is only here: "
                "signers elsewhere cannot publish without it"
            )


def _lines(done: RotatedKey) -> list[str]:
    if not done.published:
        return [f"this is the {done.role} key of {done.repository} already; nothing was published"]
    told = [f"rotated {done.role} of {done.repository}: {_ids(done.old)} is replaced by {_ids(done.new)}"]
    if done.role == "root":
        told += [f"root pin: {pin}" for pin in done.root_pins]
    return told


def _ids(keyids: tuple[str, ...]) -> str:
    return ", ".join(keyid[: render.SHORT_ID] for keyid in keyids)


def to_json(done: RotatedKey) -> dict[str, Any]:
    """Return what became of a role's keys."""
    return {
        "repository": done.repository,
        "role": done.role,
        "old": list(done.old),
        "new": list(done.new),
        "root_pins": list(done.root_pins),
        "server_managed": done.server_managed,
        "published": done.published,
    }
