"""`notarypy copy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import progress, push, references, sign
from notarypy.errors import UsageError
from notarypy.tuf import roles
from notarypy.tuf.pinning import check_pin

if TYPE_CHECKING:
    from notarypy.cli.references import Name
    from notarypy.cli.session import Session
    from notarypy.client.transfers import CopiedImage


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
    signer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This signer must have signed SRC. May be repeated."),
    ] = None,
    all_signers: Annotated[
        bool, typer.Option("--all-signers", help="Every signer of SRC's repository must have signed it.")
    ] = False,
    root: Annotated[
        str | None,
        typer.Option(
            metavar="PIN", help="The root of SRC's repository must be this one, or descend from it."
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Trust policy, in place of the usual notarypy/policy.toml."),
    ] = None,
) -> None:
    """Verify an image as verify does, and copy it with all platforms to another name.

    The digest stays the same. With --sign that digest is signed under the new name.

    Example:
      notarypy copy registry.example.com/app:1 mirror.example.com/app:1
      notarypy copy --sign registry.example.com/app:1 mirror.example.com/app:1
    """
    session: Session = context.obj
    session.begin(context)
    source, target = references.read([src, dst], literal=session.options.gun)
    if (as_signer or init) and not sign_it:
        alone = "--as-signer" if as_signer else "--init"
        raise UsageError(f"{alone} does nothing without --sign", fix=f"add --sign, or leave {alone} out")
    for required in filter(None, (*(signer or ()), as_signer)):
        roles.signer_role(required)
    asked: dict[str, Any] = {"signers": signer or (), "all_signers": all_signers}
    asked |= {"sign": sign_it, "signer": as_signer, "init": init}
    pin = None if root is None else check_pin(root)
    if policy is not None:
        session.options.take("policy", policy)
    with session.client(asking=sign_it) as client, session.trying(target.text):
        shown = progress.bar(session.options)
        done = client.copy(source.text, target.text, **asked, root=pin, progress=shown)
        _tell(session, target, done)


def _tell(session: Session, target: Name, done: CopiedImage) -> None:
    data = {**push.result(done.pushed), "source": done.source, "verified": done.verified, "signed": None}
    told = [f"copied {done.source}", push.line(done.pushed)]
    if done.signed is not None:
        data["signed"] = sign.result(done.signed, dry_run=False)
        told += sign.lines(done.signed, dry_run=False)
    session.report.done(target.text, data, *told)
    for role in done.signed.also_old if done.signed else ():
        session.report.warn(f"{role} still lists another digest for {target.tagged}")
