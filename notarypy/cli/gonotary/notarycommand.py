"""notarypy's own command for this program: `notarypy notary ...`.

What it is: the way from one program to the other. What it is not: the other program (`entry`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from notarypy.cli.gonotary import entry
from notarypy.cli.gonotary.notaryshell import NotaryShell
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.cli.run import Context


def notary(context: Context) -> None:
    """Do what Go's notary does, in its words."""
    session = context.run
    session.report.command = "notary"
    if session.options.json:
        advice = Advice("leave-out", option="--json")
        raise UsageError("notary prints what Go's notary prints, and no document", advice=advice)
    shell = NotaryShell(os.environ, session.options.for_client, "notarypy notary")
    shell.verbose = session.options.verbose
    session.report.own_code = entry.run(context.words, shell)
