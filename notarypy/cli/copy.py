"""`notarypy copy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from notarypy.cli import push, references, sign
from notarypy.cli.text import terminal
from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.cli.references import Name
    from notarypy.cli.run import Run
    from notarypy.client.results import CopiedImage


def copy(
    context: typer.Context,
    src: Annotated[str, typer.Argument(metavar="SRC", help="The image, or a digest of it.")],
    dst: Annotated[str, typer.Argument(metavar="DST", help="What the copy is to be called, REPO[:TAG].")],
    *,
    sign_it: Annotated[bool, typer.Option("--sign", help="Sign the copy under its new name.")] = False,
    as_signer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --sign: only as this signer (and in targets/releases)."),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="With --sign: make trust data for a repository that has none.")
    ] = False,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Verify an image as verify does, and copy it with all platforms to another name.

    The digest stays the same. With --sign that digest is signed under the new name.

    Example:
      notarypy copy registry.example.com/app:1 mirror.example.com/app:1
      notarypy copy --sign registry.example.com/app:1 mirror.example.com/app:1
    """
    session: Run = context.obj
    session.begin(context)
    source, target = references.read([src, dst], literal=session.options.gun)
    if (as_signer or init) and not sign_it:
        alone = "--as-signer" if as_signer else "--init"
        raise UsageError(f"{alone} does nothing without --sign", advice=Advice("add-sign", option=alone))
    if as_signer:
        roles.signer_role(as_signer)
    asked = references.verify_options(session, signer, root, policy, all_signers=all_signers)
    asked |= {"sign": sign_it, "signer": as_signer, "init": init}
    with session.client(asking=sign_it) as client, session.trying(target.text):
        shown = terminal.bar(session.options)
        done = client.images.copy(source.text, target.text, **asked, progress=shown)
        _tell(session, target, done)


def _tell(session: Run, target: Name, done: CopiedImage) -> None:
    data = {**push.result(done.pushed), "source": done.source, "verified": done.verified, "signed": None}
    told = [f"copied {done.source}", push.line(done.pushed)]
    if done.signed is not None:
        data["signed"] = sign.result(done.signed, dry_run=False)
        told += sign.lines(done.signed, dry_run=False)
    session.report.done(target.text, data, *told)
    for role in done.signed.also_old if done.signed else ():
        session.report.warn(f"{role} still lists another digest for {target.tagged}")
