"""`notarypy build`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import ending, pin, sign, verifyoptions

if TYPE_CHECKING:
    from notarypy.cli.session import Session
    from notarypy.client.builders import Built, Plan


def build(
    context: typer.Context,
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="-- ARGS...", help="What the builder is told; the context is the last."),
    ],
    *,
    builder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="buildx, buildah, podman, kaniko or docker."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="The Dockerfile, unless it is the usual one.")
    ] = None,
    sign_ref: Annotated[
        str | None, typer.Option("--sign", metavar="REF", help="Tag the result, push it and sign its digest.")
    ] = None,
    skip: pin.Skip = None,
    strict: pin.Strict = False,
    policy: verifyoptions.Policy = None,
) -> None:
    """Build with signed base images only.

    Verifies every image that the Dockerfile names, gives the builder a copy in which each is named by its
    signed digest, and stops before the builder starts if one is not signed.

    Example:
      notarypy build -- -t registry.example.com/app:1 .
      notarypy build --builder buildah --sign registry.example.com/app:1 -- --layers .
    """
    session: Session = context.obj
    session.begin(context)
    verifyoptions.take_policy(session, policy)
    with session.client() as client:
        wanted: dict[str, Any] = {"builder": builder, "file": file, "sign": sign_ref}
        plan = client.images.plan_build(arguments, **wanted, skip=skip or (), strict=strict)
        for source, images in ((plan.pinned.source, plan.pinned.images), ("arguments", plan.contexts)):
            for image in images:
                pin.tell(session, source, image)
        if session.report.exit_code == 0:
            with ending.Interrupting():
                built = client.images.build(plan)
            _tell(session, plan, built)


def _tell(session: Session, plan: Plan, built: Built) -> None:
    lines = [pin.line_of(plan.pinned.source, image) for image in plan.pinned.images]
    lines += [pin.line_of("arguments", image) for image in plan.contexts]
    data = {
        "builder": built.builder,
        "file": plan.pinned.source,
        "digest": built.digest,
        "signed": built.signed and sign.result(built.signed, dry_run=False),
    }
    lines += sign.lines(built.signed, dry_run=False) if built.signed else []
    session.report.done(plan.sign or plan.pinned.source, data, *lines)
