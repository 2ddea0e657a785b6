"""`notarypy docker-trust`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from notarypy.cli.dockertrust.program import run
from notarypy.cli.dockertrust.shell import Shell
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.cli.session import Session

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    "docker-trust",
    context_settings={
        "allow_extra_args": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
        "ignore_unknown_options": True,
    },
    add_help_option=False,
)
def docker_trust(context: typer.Context) -> None:
    """Do what docker trust does, in its words."""
    session: Session = context.obj
    session.report.command = "docker-trust"
    if session.options.json:
        raise UsageError(
            "docker-trust prints what docker prints, and no document",
            advice=Advice("leave-out", option="--json"),
        )
    shell = Shell(os.environ, session.options.for_client(), "notarypy docker-trust")
    session.report.own_code = run(context.args, shell)
