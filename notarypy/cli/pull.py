"""`notarypy pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references
from notarypy.cli.text import terminal
from notarypy.cli.verify import policy_json

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import PulledImage


def pull(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The image, or a digest of it.")],
    dest: Annotated[str, typer.Argument(metavar="DEST", help="oci:DIR[:TAG] or oci-archive:TAR[:TAG].")],
    *,
    platform: Annotated[
        str | None,
        typer.Option(metavar="OS/ARCH", help="Only this platform of an index, as linux/arm64."),
    ] = None,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Verify an image as verify does, and fetch it by its digest into an OCI layout.

    Prints REPO@sha256:DIGEST. The layout names the image only when all of it is there and was right.

    Example:
      notarypy pull registry.example.com/app:1 oci:layout
      notarypy pull --platform linux/arm64 registry.example.com/app:1 oci-archive:app.tar
    """
    from notarypy.storage.images import locations

    session: Run = context.obj
    session.begin(context)
    (name,) = references.read([ref], literal=session.options.gun)
    locations.destination(dest)
    asked = references.verify_options(session, signer, root, policy, all_signers=all_signers)
    with session.client(asking=False) as client, session.trying(name.text):
        shown = terminal.bar(session.options)
        done = client.images.pull(name.text, dest, **asked, platform=platform, progress=shown)
        if done.left_out:
            session.report.warn(f"left out: {', '.join(done.left_out)}")
        session.report.done(name.text, _result(done), done.reference)


def _result(done: PulledImage) -> dict[str, Any]:
    return {
        "image": done.reference,
        "repository": done.repository,
        "tag": done.tag,
        "digest": done.digest,
        "verified": done.verified,
        "destination": done.destination,
        "stored": done.stored,
        "platforms": list(done.platforms),
        "left_out": list(done.left_out),
        "fetched": done.fetched,
        "reused": done.reused,
        "foreign": list(done.foreign),
        "policy": done.policy and policy_json(done.policy),
    }
