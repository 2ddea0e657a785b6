"""`notarypy key rotate`: another key for a role of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from notarypy.cli import references
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, begin
from notarypy.cli.text import render
from notarypy.keys.signers import is_uri

if TYPE_CHECKING:
    from notarypy.client.results import RotatedKey


def rotate(
    context: Context,
    repo: references.Repository,
    role: Annotated[str, Argument(metavar="ROLE", help="root, targets, snapshot or timestamp.")],
    *,
    key: Annotated[
        str | None,
        Option(metavar="KEYREF", help="The new key: KEY, a file, or a URI; default: make one."),
    ] = None,
    server_managed: Annotated[
        bool, Option("--server-managed", help="The server makes and keeps it: snapshot, timestamp.")
    ] = False,
) -> None:
    """Replace the key of a role; the root key has to be here.

    The old key stays in the trust directory. Readers follow a new root key without doing anything.

    Example:
      notarypy key rotate registry.example.com/app targets
      notarypy key rotate registry.example.com/app targets --key awskms:///alias/release
      notarypy key rotate registry.example.com/app snapshot --server-managed
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    if role == "root":
        run.confirm("Go on?", f"the root key of {repo} is replaced")
    with run.client() as client, run.trying(repo):
        done = client.keys.rotate(repo, role, key=key, server_managed=server_managed)
        data = render.fields(done, "repository role old new root_pins server_managed published")
        run.report.done(repo, data, *_rotated_lines(done))
        if done.role == "snapshot" and done.published and not done.server_managed:
            where = f"at {key}" if key and is_uri(key) else "only here"
            what = f"the snapshot key of {done.repository} is {where}"
            run.report.warn(f"{what}: signers elsewhere cannot publish without it")


def _rotated_lines(done: RotatedKey) -> list[str]:
    if not done.published:
        return [f"this is the {done.role} key of {done.repository} already; nothing was published"]
    old, new = (", ".join(keyid[: render.SHORT_ID] for keyid in keyids) for keyids in (done.old, done.new))
    lines = [f"rotated {done.role} of {done.repository}: {old} is replaced by {new}"]
    return lines + ([f"root pin: {pin}" for pin in done.root_pins] if done.role == "root" else [])
