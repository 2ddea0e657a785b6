"""`notarypy republish` and `notarypy delete`: what a Notary server lost, and what it is to lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from notarypy.cli import references
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, ConfirmationNeededError, UsageError, beginning

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.publish.deleting import DeletedRepository
    from notarypy.client.publish.republishing import Republished
    from notarypy.client.publish.republishplan import Agree

_SHOWN = 100


def republish(
    context: Context,
    repos: Annotated[list[str], Argument(metavar="REPO...", help="Repositories that the server lost.")],
    *,
    over: Annotated[bool, Option("--over", help="Over what the server has and is not known here.")] = False,
) -> None:
    """Send a server what it lost, from what this machine has read.

    For a server that was wiped, or restored from an old backup. What was verified here is sent as it is, and
    what has ended is signed again where its keys are. If the server lost its keys too, the next root names
    its new ones: that takes the root key, and they are shown before it signs. Do it where the repository was
    read last: what others published since is not among it. What the server has by now is lost only with
    --over.

    Example:
      notarypy republish registry.example.com/app
      notarypy republish --yes registry.example.com/app
      notarypy republish --over registry.example.com/app
      notarypy republish --server https://notary.example.com REPO
    """
    run = begin(context)
    references.check_repositories(run, repos)
    with run.client() as client:
        for repo in repos:
            with run.trying(repo):
                done = client.upkeep.republish(repo, over=over, agree=_agree(run))
                data = render.fields(
                    done,
                    "repository server published roles renewed"
                    " root_version root_pins server_keys known_of lost behind",
                )
                run.report.done(repo, data, *_republished_lines(done))
                if done.behind:
                    what = (
                        f"{done.server} is {done.behind} updates behind what was known of {done.repository}"
                    )
                    run.report.warn(f"{what}: readers who know it refuse it, docker and Go notary once")


def _agree(run: Run) -> Agree | None:
    """Return how somebody agrees to a plan; None where nobody can be asked."""
    if run.options.yes:
        return lambda _: True
    return (lambda plan: terminal.agreed("Go on?", *plan.lines())) if terminal.present() else None


def _republished_lines(done: Republished) -> list[str]:
    if not done.published:
        return [f"{done.server} has all that is known here of {done.repository}; nothing was sent"]
    lines = [f"published {done.repository} again at {done.server}: {', '.join(done.roles) or 'dates alone'}"]
    if done.renewed:
        lines.append(f"signed again, for they had ended: {', '.join(done.renewed)}")
    if done.known_of is not None:
        lines.append(f"as this machine read it on {done.known_of:%Y-%m-%d %H:%M}Z")
    if "root" in done.roles:
        lines.append(f"the root is version {done.root_version} now, with the pin that it had:")
        lines += [f"root pin: {pin}" for pin in done.root_pins]
    lines += [f"its {role} key is now {keyid}" for role, keyid in sorted(done.server_keys.items())]
    return [*lines, *(f"no more at the server: {line}" for line in beginning(done.lost, _SHOWN))]


def delete(
    context: Context,
    repo: references.Repository,
    *,
    remote: Annotated[bool, Option("--remote", help="At the Notary server, for everybody.")] = False,
    confirm: Annotated[
        str | None, Option(metavar="GUN", help="The repository in full, once more; asked for if left out.")
    ] = None,
    forget: Annotated[bool, Option("--forget", help="Drop what is cached here, too.")] = False,
) -> None:
    """Delete the trust data of a repository at its Notary server.

    Nobody can verify its tags any more; keys and images stay. The right to administer the repository is
    needed, and its name, typed or given with --confirm: --yes is not enough.

    Example:
      notarypy delete --remote registry.example.com/app
      notarypy delete --remote --confirm REPO REPO
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    if not remote:
        why = "what is cached here is dropped by another command, and what the server has by --remote"
        raise UsageError(
            "delete is for the server's trust data", why=why, advice=Advice("forget-or-remote", gun=repo)
        )
    with run.client(asking=False) as client, run.trying(repo):
        done = _deleted(run, client, repo, confirm, forget=forget)
        data = render.fields(done, "repository server deleted others forgotten")
        run.report.done(repo, data, *_deleted_lines(done))


def _deleted(run: Run, client: Client, repo: str, confirm: str | None, *, forget: bool) -> DeletedRepository:
    """Delete; where it is to be confirmed and somebody is there, ask for the words."""
    try:
        return client.upkeep.delete(repo, confirm=confirm, forget=forget)
    except ConfirmationNeededError as error:
        lines = [f"{error.message}:", *(f"  {line}" for line in error.why)]
        typed = None if confirm else run.typed(lines, "Type it to delete it for everybody: ")
        if not typed:
            raise
    return client.upkeep.delete(repo, confirm=typed, forget=forget)


def _deleted_lines(done: DeletedRepository) -> list[str]:
    gun = done.repository
    if done.deleted:
        lines = [f"deleted the trust data of {gun} at {done.server}; keys and images stay"]
        lines += [f"  and that of {other}" for other in beginning(done.others, _SHOWN)]
    else:
        lines = [f"{done.server} has no trust data of {gun}; nothing was deleted"]
    return [*lines, f"forgot {gun} here"] if done.forgotten else lines
