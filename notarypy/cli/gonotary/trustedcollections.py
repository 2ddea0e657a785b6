"""`notary init`, `publish`, `status`, `reset`, `delete`, `witness`: a repository's trust data as a whole.

What it is: these commands in Go notary's words. What it is not: how things are staged and published
(`client.publish.staged`), or deleted (`client.publish.deleting`).

Rules:

1. `delete` takes what is staged and what is known here, never keys, and with `--remote` what the server has.
2. What was not there to be deleted is said. Where a server would delete other repositories as well, these are
   named, and nothing is deleted without a yes.
3. `reset` knows every number that it is given, or drops nothing.
4. `status` prints Go's table; with `-v` also what each change contains, on standard error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.cli.gonotary import givenfiles
from notarypy.cli.text.render import safe
from notarypy.errors import Advice, ConfirmationNeededError, UsageError

if TYPE_CHECKING:
    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.client.api import Client
    from notarypy.client.publish.deleting import DeletedRepository
    from notarypy.tuf.stagedchanges import StagedDetails

_CERTIFICATE = "error reading certificate file: "


def init(shell: NotaryShell, line: CommandLine) -> None:
    """Make keys and first files of a repository here."""
    key, certificate = line.text("rootkey"), line.text("rootcert")
    key = givenfiles.key(key) if key else None
    carried = givenfiles.content(certificate, _CERTIFICATE) if certificate else None
    with shell.client() as client:
        made = client.staging.init(line.arguments[0], root_key=key, root_cert=carried)
        if key or "root" not in made.made:
            shell.out(f"Root key found, using: {made.root_keys[0]}")
        shell.publish_if_asked(client, line)


def publish(shell: NotaryShell, line: CommandLine) -> None:
    """Publish what is staged."""
    gun = line.arguments[0]
    shell.out(f"Pushing changes to {gun}")
    with shell.client() as client:
        shell.publish(client, gun)


def status(shell: NotaryShell, line: CommandLine) -> None:
    """Show what is staged (rule 4)."""
    gun = line.arguments[0]
    with shell.client() as client:
        staged = client.staging.list(gun)
    if not staged:
        shell.out(f"No unpublished changes for {gun}")
        return
    shell.out(f"Unpublished changes for {gun}:")
    shell.out()
    rows = [(str(one.number), one.action, one.role, one.type, one.path) for one in staged]
    shell.table(("#", "ACTION", "SCOPE", "TYPE", "PATH"), rows)
    if shell.verbose:
        for one in staged:
            shell.err(f"{one.number}: {safe(_contents(one.details))}")


def _contents(details: StagedDetails) -> str:
    """Return what a change contains, as JSON: any text in it may be hostile."""
    found = {name: getattr(details, name) for name in details.__dataclass_fields__}
    kept = {"length", "custom"}  # which may be 0
    shown = {name: one for name, one in found.items() if one or (name in kept and one is not None)}
    return json.dumps(shown)


def reset(shell: NotaryShell, line: CommandLine) -> None:
    """Drop staged changes (rule 3)."""
    gun, every = line.arguments[0], line.switch("all")
    if not every and "number" not in line.flags:
        advice = Advice("see-help", command=f"{shell.name} reset")
        raise UsageError("Must specify changes to reset with -n or the --all flag", advice=advice)
    with shell.client() as client:
        client.staging.reset(gun, None if every else line.numbers("number"))
    shell.out(f"Successfully reset specified changes for repository {gun}")


def witness(shell: NotaryShell, line: CommandLine) -> None:
    """Stage a new signature for roles as they are."""
    gun, *roles = line.arguments
    with shell.client() as client:
        client.staging.witness(gun, roles)
        shell.out("The following roles were successfully marked for witnessing on the next publish:")
        for role in roles:
            shell.write(f"\t- {safe(role)}\n")
        shell.publish_if_asked(client, line)


def delete(shell: NotaryShell, line: CommandLine) -> None:
    """Delete a repository's trust data here, and maybe at its server (rules 1 and 2)."""
    gun, remote = line.arguments[0], line.switch("remote")
    shell.out(f"Deleting trust data for repository {gun}")
    with shell.client() as client:
        done = _delete_remote(shell, client, gun) if remote else None
        known = client.upkeep.forget(gun) if done is None else done.forgotten
    if done is not None:
        _say_what_went(shell, done)
    if not known:
        shell.warn(f"there was nothing of {gun} here")
    where = "local and remote" if remote else "local"
    shell.out(f"Successfully deleted {where} trust data for repository {gun}")


def _delete_remote(shell: NotaryShell, client: Client, gun: str) -> DeletedRepository:
    try:
        return client.upkeep.delete(gun, confirm=gun, staged=True)
    except ConfirmationNeededError as error:
        for text in (error.message, *error.why):
            shell.err(text)
        shell.agreed("\nAre you sure you want to delete all of these? (yes/no)\n")
        return client.upkeep.delete(gun, confirm=f"{gun}*", staged=True)


def _say_what_went(shell: NotaryShell, done: DeletedRepository) -> None:
    if not done.deleted:
        shell.warn(f"{done.server} had no trust data of {done.repository}")
    for other in done.others:
        shell.warn(f"{done.server} has deleted {other}, too")
