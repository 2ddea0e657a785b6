"""`notarypy demo`."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notarypy.cli import devserver
from notarypy.errors import Advice, OperationError

if TYPE_CHECKING:
    from notarypy.cli.session import Session
    from notarypy.devserver.demo import Demo, Step

_NEXT = """
That was all of it. With your own Notary server and registry:

  export DOCKER_CONTENT_TRUST_SERVER=https://notary.example.com
  notarypy key generate alice
  notarypy init registry.example.com/app --signer alice --key alice.pub
  notarypy sign registry.example.com/app:1
  notarypy verify registry.example.com/app:1

Without one: notarypy devserver --dir trial
"""


def demo(
    context: typer.Context,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the servers running at the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Show the whole flow on a Notary server and a registry of its own.

    Nothing is left behind, and nothing of yours is read or written.

    Example:
      notarypy demo
      notarypy demo --keep
    """
    from notarypy.cli.ending import Ending
    from notarypy.client.api import utc_now
    from notarypy.devserver.demo import Demo
    from notarypy.devserver.start import Options, running

    session: Session = context.obj
    session.begin(context)
    with ExitStack() as stack:
        ending = stack.enter_context(Ending())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notarypy-demo-")))
        started = stack.enter_context(running(None, Options(), clock=utc_now))
        devserver.warn(session, Options())
        shown = Demo(started, home, os.environ)
        for step in shown.story():
            _show(session, step)
            if ending.told:
                raise KeyboardInterrupt
            _check(step)
        session.report.text(_NEXT)
        if keep:
            _tell(session, shown)
            ending.wait()


def _show(session: Session, step: Step) -> None:
    """Show a command with its output, and its exit code where that says something."""
    session.report.done(step.command, {"told": step.told, "exit": step.code, "output": step.output})
    ended = f"[exit {step.code}]\n" if step.code else ""
    session.report.text(f"\n# {step.told}\n$ {step.command}\n{step.output}{ended}")
    devserver.flush()


def _check(step: Step) -> None:
    if step.code != step.expected:
        raise OperationError(
            f"the demonstration went wrong: {step.command}",
            why=f"it ended with {step.code} instead of {step.expected}",
            advice=Advice("report-demo"),
        )


def _tell(session: Session, shown: Demo) -> None:
    """Say how to go on with the servers that are left running."""
    from notarypy.devserver.folder import exports

    lines = ["The servers run until Ctrl-C. In another shell:", "", *exports(shown.variables)]
    lines.append(f"notarypy inspect --pretty {shown.repository}")
    session.report.text("".join(f"{line}\n" for line in ["", *lines]))
    devserver.flush()
