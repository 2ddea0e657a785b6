"""`notarypy devserver` and `notarypy demo`: a Notary server and a registry to try things on."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from notarypy.cli.declared import Option
from notarypy.cli.run import Context, Run, SignalFlag, TerminatedError, begin
from notarypy.errors import Advice, OperationError

if TYPE_CHECKING:
    from notarypy.devserver.start import ServerOptions


def devserver(
    context: Context,
    *,
    directory: Annotated[
        str | None, Option("--dir", metavar="DIR", help="Keep everything here; in memory if left out.")
    ] = None,
    port: Annotated[
        int | None,
        Option(metavar="PORT", min=1, max=65535, help="The Notary server's port; any free one if left out."),
    ] = None,
    registry_port: Annotated[
        int | None, Option(metavar="PORT", min=1, max=65535, help="The registry's port, if not any free one.")
    ] = None,
    host: Annotated[
        str, Option(metavar="HOST", help="Name or address to listen on; others can then reach it.")
    ] = "localhost",
    auth: Annotated[Literal["none", "basic", "token"], Option(help="How clients have to log in.")] = "none",
    lax: Annotated[
        bool, Option("--lax", help="Accept what the real Notary server accepts to everybody's harm.")
    ] = False,
    no_referrers: Annotated[
        bool, Option("--no-referrers", help="A registry that lists none, as those from before OCI 1.1.")
    ] = False,
) -> None:
    """Run a Notary server and a registry for development.

    They run until Ctrl-C. What a shell has to export to use them is printed, and in DIR/env. Keys are not
    protected.

    Example:
      notarypy devserver
      notarypy devserver --dir trial --port 4443 --registry-port 5000
    """
    from notarypy.client.api import utc_now
    from notarypy.devserver import folder, start

    run = begin(context)
    options = start.ServerOptions(
        host, port or 0, registry_port or 0, strict=not lax, authentication=auth, referrers=not no_referrers
    )
    kept = None if directory is None else Path(directory)
    with run.log_shown(), SignalFlag() as ending, start.running(kept, options, clock=utc_now) as started:
        _warn(run, options)
        lines = [
            f"# Notary server {started.notary}, registry {started.registry}, CA {started.authority}",
            f"# In other shells: . {shlex.quote(str(started.environment_file))}",
            *folder.exports(started.environment),
        ]
        data = {"server": started.notary, "registry": started.registry, "ca": str(started.authority)}
        run.report.done(started.notary, {**data, "environment": started.environment}, *lines)
        _flush()
        ending.wait()


def _warn(run: Run, options: ServerOptions) -> None:
    run.report.warn("these servers are for development: their keys are not protected")
    if options.public:
        run.report.warn(f"other machines can reach them at {options.host}")


def _flush() -> None:
    """Bring what was printed to whoever reads it now; a reader that went away is no reason to stop."""
    with suppress(OSError, AttributeError):
        sys.stdout.flush()


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
    context: Context,
    *,
    keep: Annotated[
        bool, Option("--keep", help="Leave the servers running at the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Show the whole flow, on servers of its own.

    Nothing is left behind, and nothing of yours is read or written.

    Example:
      notarypy demo
      notarypy demo --keep
    """
    from notarypy.client.api import utc_now
    from notarypy.devserver import demo as story
    from notarypy.devserver import folder, start

    run, options = begin(context), start.ServerOptions()
    with ExitStack() as stack:
        ending = stack.enter_context(SignalFlag())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notarypy-demo-")))
        started = stack.enter_context(start.running(None, options, clock=utc_now))
        _warn(run, options)
        shown = story.Demo(started, home, os.environ)
        for step in shown.story():
            run.report.done(step.command, {"told": step.about, "exit": step.code, "output": step.output})
            ended = f"[exit {step.code}]\n" if step.code else ""
            run.report.text(f"\n# {step.about}\n$ {step.command}\n{step.output}{ended}")
            _flush()
            if ending.asked:
                raise TerminatedError(ending.number)
            if step.code != step.expected:
                why = f"it ended with {step.code} instead of {step.expected}"
                message, advice = f"the demonstration went wrong: {step.command}", Advice("report-demo")
                raise OperationError(message, why=why, advice=advice)
        run.report.text(_NEXT)
        if keep:
            lines = [
                "",
                "The servers run until Ctrl-C. In another shell:",
                "",
                *folder.exports(shown.variables),
            ]
            lines.append(f"notarypy inspect --pretty {shown.repository}")
            run.report.text("".join(f"{line}\n" for line in lines))
            _flush()
            ending.wait()
