"""`notarypy push`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references
from notarypy.cli.text import terminal

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import PushedImage


def push(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="oci:DIR[:TAG], oci-archive:TAR[:TAG] or docker-archive:TAR[:REF]."
        ),
    ],
    ref: Annotated[str, typer.Argument(metavar="REF", help="What it is to be called, REPO[:TAG].")],
) -> None:
    """Send an image from files to a registry, without signing it.

    Every digest is checked on the way, and the registry is read back. To sign what is sent:
    notarypy sign --push SOURCE REF.

    Example:
      notarypy push oci:layout:1 registry.example.com/app:1
      notarypy push docker-archive:saved.tar registry.example.com/app:1
    """
    from notarypy.storage.images import locations

    session: Run = context.obj
    session.begin(context)
    (name,) = references.read([ref], literal=session.options.gun)
    locations.source(source)
    with session.client(asking=False) as client, session.trying(name.text):
        done = client.images.push(source, name.text, progress=terminal.bar(session.options))
        session.report.done(name.text, result(done), line(done))


def line(done: PushedImage) -> str:
    """Return what is said of an image that was pushed."""
    platforms = f" (index: {', '.join(done.platforms)})" if done.platforms else ""
    blobs = [(done.uploaded, "sent"), (done.mounted, "mounted"), (done.present, "already there")]
    told = ", ".join(f"{count} {what}" for count, what in blobs if count) or "none"
    return f"pushed {done.reference} {done.digest}{platforms}; blobs: {told}"


def result(done: PushedImage) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "repository": done.repository,
        "tag": done.tag,
        "digest": done.digest,
        "size": done.size,
        "platforms": list(done.platforms),
        "uploaded": done.uploaded,
        "mounted": done.mounted,
        "present": done.present,
        "sent": done.sent,
        "foreign": list(done.foreign),
    }
