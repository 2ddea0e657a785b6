"""`notarypy export` and `notarypy import`: trust data in one file, for where there is no server to ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.errors import Advice, NotarypyError, NothingThereError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notarypy.client.api import Client

_STDOUT = "-"


def export(
    context: Context,
    repos: Annotated[
        list[str] | None,
        Argument(metavar="[REPO[:TAG]...]", help="Repositories; a tag narrows what --images fetches."),
    ] = None,
    *,
    output: Annotated[str, Option("--output", "-o", metavar="TAR", help="The archive to write, a new file.")],
    every: Annotated[bool, Option("--all", help="Every repository that is known here.")] = False,
    images: Annotated[
        bool, Option("--images", help="The signed images too, all platforms, as an OCI layout.")
    ] = False,
    from_file: references.FromFile = None,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Write trust data, and no key, to verify where no server is.

    Elsewhere, without a network, import takes it, and verify --offline --from reads it. It ends when
    the trust data ends. What fails is left out, and named.

    Example:
      notarypy export registry.example.com/app -o trust.tar
      notarypy export --all --images -o trust.tar
    """
    run = begin(context)
    if output == _STDOUT:
        message, why = "an archive is not written to standard output", "it is there as a whole or not at all"
        raise UsageError(message, why=why, advice=Advice("name-archive"))
    pin = references.required_root(run, root, policy)
    userfiles.require_directory(Path(output).absolute())
    texts = references.with_file(run, list(repos or ()), from_file)
    if every and texts:
        raise UsageError("--all is every repository", advice=Advice("leave-out-one"))
    if not every:
        references.read(run, texts, "REPO")
    with run.client(asking=False) as client:
        names = references.known(run, client) if every else texts
        run.asked_for = 2  # whatever fails is one of several things in the archive
        with run.trying(*names):
            bars = {"progress": run.progress(), "steps": run.progress(steps=True)}
            _export(run, client, names, output, {"images": images, "root": pin, **bars})


def _export(run: Run, client: Client, names: Sequence[str], output: str, options: dict[str, Any]) -> None:
    failures = len(run.report.results)

    def failed(ref: str, error: NotarypyError) -> None:
        run.report.failed([ref], error, about=ref)

    try:
        done = client.archives.export(names, output, failed=failed, **options)
    except NothingThereError:
        if len(run.report.results) > failures:  # it is said of each
            return
        raise
    for one in done.repositories:
        data = render.fields(one, "repository server ends root_pins images")
        data |= {"archive": done.path, "exported": render.moment(done.exported)}
        images = [f"  {image}" for image in one.images]
        run.report.done(one.repository, data, f"exported {one.repository}: {_until(one.ends)}", *images)
    count = sum(len(one.images) for one in done.repositories)
    amounts = [_amount(len(done.repositories), "repository", "repositories")]
    amounts += [_amount(count, "image", "images")] if options["images"] else []
    run.report.text(f"wrote {render.safe(output)}: {', '.join(amounts)}\n")


def _amount(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def import_archive(
    context: Context,
    archive: Annotated[str, Argument(metavar="TAR", help="What export has written.")],
    repos: Annotated[
        list[str] | None, Argument(metavar="[REPO...]", help="Repositories; default: all that are in it.")
    ] = None,
    *,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Verify the trust data that export wrote, and keep it.

    An archive is trusted as little as a server: pins, the trust policy and what is known here count,
    and a root that nothing is known of takes a decision. Afterwards verify --offline works.

    Example:
      notarypy import trust.tar
      notarypy import trust.tar registry.example.com/app --root ROOT-PIN
    """
    run = begin(context)
    if not archive:
        raise UsageError("TAR is empty", advice=Advice("give-value"))
    pin = references.required_root(run, root, policy)
    references.check_repositories(run, repos or ())
    with run.client(asking=False) as client:
        held = _names(run, client, archive, repos)
        run.asked_for = len(held) if repos else 2
        for repo, found in run.each(
            held, lambda name: client.archives.import_repository(archive, name, root=pin)
        ):
            with run.trying(repo):
                done = found.get()
                data: dict[str, Any] = render.fields(
                    done, "repository server exported ends root_pins changed"
                )
                said = "imported" if done.changed else "the same is here already:"
                run.report.done(repo, data, f"{said} {done.repository}: {_until(done.ends)}")


def _names(run: Run, client: Client, archive: str, repos: list[str] | None) -> list[str]:
    """Return the repositories that are meant, in full; those that are no image's only literally."""
    if repos:
        return [name.repository for name in references.read(run, repos, "REPO")]
    held = sorted(client.archives.open(archive).repositories)
    if not held:
        raise NothingThereError(f"{archive} has no repository")
    return held


def _until(ends: datetime) -> str:
    return f"it ends on {render.moment(ends)}"
