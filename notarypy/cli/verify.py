"""`notarypy verify`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references
from notarypy.cli.text import render
from notarypy.client.results import SkippedImage

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import AppliedPolicy, VerifiedImage


def verify(
    context: typer.Context,
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Images, or digests of them.")],
    *,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
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
    from notarypy.client.verify.image import MetadataCache

    session: Run = context.obj
    session.begin(context, hold=True)
    names = references.read(refs, literal=session.options.gun)
    asked = references.verify_options(session, signer, root, policy, all_signers=all_signers)
    uses, cache = Counter(name.repository for name in names), MetadataCache()
    with session.client(asking=False) as client:
        for name in names:
            with session.trying(name.text):
                shared = cache if uses[name.repository] > 1 else None
                image = client.verify_unless_skipped(
                    name.text, **asked, registry=not no_registry, cache=shared
                )
                session.report.done(name.text, _result(image), image.reference)


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
