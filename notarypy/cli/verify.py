"""`notarypy verify`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references, render
from notarypy.client.results import SkippedImage
from notarypy.errors import UsageError
from notarypy.tuf import roles
from notarypy.tuf.pinning import check_pin

if TYPE_CHECKING:
    from notarypy.cli.session import Session
    from notarypy.client.results import AppliedPolicy, VerifiedImage


def verify(
    context: typer.Context,
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Images, or digests of them.")],
    *,
    signer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This signer must have signed it. May be repeated."),
    ] = None,
    all_signers: Annotated[
        bool, typer.Option("--all-signers", help="Every signer of the repository must have signed it.")
    ] = False,
    root: Annotated[
        list[str] | None,
        typer.Option(metavar="PIN", help="The repository's root must be this one, or descend from it."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Trust policy, in place of the usual notarypy/policy.toml."),
    ] = None,
    no_registry: Annotated[
        bool, typer.Option("--no-registry", help="Do not compare with what the registry serves.")
    ] = False,
) -> None:
    """Verify that images are signed and served as signed.

    Prints REPO@sha256:DIGEST for each REF, and only if all are good. A trust policy, where there
    is one, is obeyed; --signer, --all-signers and --root add to it.

    Example:
      notarypy verify registry.example.com/app:1
      skopeo copy docker://$(notarypy verify registry.example.com/app:1) dir:app
    """
    from notarypy.client.admit import Shelf

    session: Session = context.obj
    session.begin(context, hold=True)
    names = references.read(refs, literal=session.options.gun)
    for required in signer or ():
        roles.signer_role(required)
    asked: dict[str, Any] = {"signers": signer or (), "all_signers": all_signers, "registry": not no_registry}
    pin = _only(root)
    if policy is not None:
        session.options.take("policy", policy)
    uses, shelf = Counter(name.repository for name in names), Shelf()
    with session.client(asking=False) as client:
        for name in names:
            with session.trying(name.text):
                shared = shelf if uses[name.repository] > 1 else None
                image = client.admit(name.text, **asked, root=pin, shelf=shared)
                session.report.done(name.text, _result(image), image.reference)


def _only(pins: list[str] | None) -> str | None:
    """Return the one PIN; of two, one would be left out without a word."""
    if len(pins or ()) > 1:
        raise UsageError("--root was given more than once", why="one root is meant", fix="keep one of them")
    return check_pin(pins[0]) if pins else None


def _result(image: VerifiedImage | SkippedImage) -> dict[str, Any]:
    verified = None if isinstance(image, SkippedImage) else image
    return {
        "image": image.reference,
        "repository": image.repository,
        "tag": image.tag,
        "digest": image.digest,
        "size": image.size,
        "verified": verified is not None,
        "role": verified and verified.role,
        "signers": list(verified.signers) if verified else [],
        "expires": verified and render.moment(verified.expires),
        "signed_as": verified and verified.signed_as,
        "policy": image.policy and policy_json(image.policy),
    }


def policy_json(applied: AppliedPolicy) -> dict[str, Any]:
    """Return what the trust policy said."""
    return {
        "scope": applied.scope,
        "mode": applied.mode,
        "unmet": [render.error_json(error, "verify") for error in applied.unmet],
    }
