"""`-p` of Go notary's commands, and `publish`: what is staged is published, and what is said of that.

What it is: shared by every command that stages something. What it is not: how it is published
(`client.publish.staged`).

Rules:

1. Everything that is staged is published, whoever staged it, as Go notary does.
2. What was dropped is named, each on a line of its own, and is no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.client.api import Client


def publish_if_asked(shell: NotaryShell, client: Client, line: CommandLine) -> None:
    """Publish what a command has staged, if its line says `-p`; its first argument is the repository."""
    if line.switch("publish"):
        gun = line.arguments[0]
        shell.out(f"Auto-publishing changes to {gun}")
        publish_staged(shell, client, gun)


def publish_staged(shell: NotaryShell, client: Client, gun: str) -> None:
    """Publish what is staged, and say so (rules 1 and 2)."""
    done = client.staging.publish(gun)
    for one in done.dropped:
        change = one.change
        role = change.role or '""'
        shell.warn(f"change {change.number} ({change.type} of {role}) is left out: {one.why}")
    shell.out(f"Successfully published changes for repository {gun}")
