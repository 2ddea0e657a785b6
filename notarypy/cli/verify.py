"""`notarypy verify` and `notarypy inspect`: whether images are signed, and who signed what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option

from notarypy.cli import references
from notarypy.cli.run import begin
from notarypy.cli.text import render
from notarypy.client.verdicts import SkippedImage, VerifiedImage

if TYPE_CHECKING:
    from notarypy.client.results import Inspection


def verify(
    context: Context,
    refs: Annotated[list[str], Argument(metavar="REF...", help="Images, or digests of them.")],
    *,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    no_registry: Annotated[
        bool, Option("--no-registry", help="Do not compare with what the registry serves.")
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

    run = begin(context, hold=True)
    names = references.read(run, refs)
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers)
    uses, cache = Counter(name.repository for name in names), MetadataCache()
    with run.client(asking=False) as client:
        for name in names:
            with run.trying(name.text):
                shared = cache if uses[name.repository] > 1 else None
                image = client.verify_unless_skipped(
                    name.text, **required, registry=not no_registry, cache=shared
                )
                run.report.done(name.text, _verified_json(image), image.reference)


def _verified_json(image: VerifiedImage | SkippedImage) -> dict[str, Any]:
    verified = None if isinstance(image, SkippedImage) else image
    return {
        "image": image.reference,
        **render.fields(image, "repository tag digest size"),
        "verified": verified is not None,
        "role": verified and verified.role,
        "signers": verified.signers if verified else (),
        "expires": verified and render.moment(verified.expires),
        "signed_as": verified and verified.signed_as,
        "policy": render.policy_json(image.policy),
    }


def inspect(
    context: Context,
    refs: Annotated[list[str], Argument(metavar="REF...", help="Repositories, or single tags of them.")],
    *,
    pretty: Annotated[bool, Option("--pretty", help="Text for people instead of JSON.")] = False,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Show who signed what, as docker trust inspect does.

    The JSON, and with --pretty the text, is docker's. --json prints notarypy's own document
    instead, with roles, versions and expiry dates.

    Example:
      notarypy inspect registry.example.com/app
      notarypy inspect --pretty registry.example.com/app:1
    """
    run = begin(context)
    names, pin = references.read(run, refs), references.required_root(run, root, policy)
    found: list[Inspection] = []
    with run.client(asking=False) as client:
        for name in names:
            with run.trying(name.text):
                found.append(client.inspect(name.text, root=pin))
                run.report.done(name.text, _inspected_json(found[-1]))
    if pretty:
        run.report.text("\n\n".join(map(render.docker_pretty, found)))
    else:
        run.report.text(render.docker_json(found) + "\n")


def _inspected_json(found: Inspection) -> dict[str, Any]:
    return {
        **render.fields(found, "name repository server"),
        "tags": [
            {
                **render.fields(row, "tag digest"),
                "signers": [s for s in row.signers if s != render.REPO_ADMIN],
            }
            for row in found.tags
        ],
        "signers": [{"name": name, "keys": keys} for name, keys in found.signers],
        **render.fields(found, "root_keys repository_keys"),
        "roles": [render.fields(entry, render.ROLE) for entry in found.roles],
    }
