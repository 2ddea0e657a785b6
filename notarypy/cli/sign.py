"""`notarypy sign`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import inputs, references
from notarypy.errors import UsageError

if TYPE_CHECKING:
    from notarypy.cli.references import Name
    from notarypy.cli.session import Session
    from notarypy.client.results import SignedTag


def sign(
    context: typer.Context,
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="[REF...]", help="Images to sign, REPO[:TAG][@DIGEST].")
    ] = None,
    *,
    signer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Sign only as this signer (and in targets/releases)."),
    ] = None,
    from_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="More REFs, one a line; # begins a comment; - is stdin."),
    ] = None,
    digest_file: Annotated[
        str | None,
        typer.Option(metavar="META.json", help="The digest to sign, from buildx's --metadata-file."),
    ] = None,
    custom: Annotated[str | None, typer.Option(metavar="FILE", help="JSON to attach to each tag.")] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Make trust data for a repository that has none.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be signed; publish nothing.")
    ] = False,
    discard_unverified: Annotated[
        bool,
        typer.Option("--discard-unverified", help="Start over a role whose file does not verify any more."),
    ] = False,
) -> None:
    """Sign tags with the digests that their registry serves.

    All tags of a repository are published at once, or none. A tag is signed in every role whose key is here.

    Example:
      notarypy sign registry.example.com/app:1 registry.example.com/app:latest
      notarypy sign --digest-file meta.json registry.example.com/app:1
      notarypy sign --from-file release.txt
    """
    session: Session = context.obj
    session.begin(context)
    names = _names(session, list(refs or ()), from_file, digest_file)
    groups: dict[str, list[Name]] = {}
    for name in names:
        groups.setdefault(name.repository, []).append(name)
    wanted: dict[str, Any] = {
        "signer": signer,
        "custom": _custom(custom),
        "init": init,
        "dry_run": dry_run,
        "discard_unverified": discard_unverified,
    }
    with session.client() as client:
        for group in groups.values():
            with session.trying(*(name.text for name in group)):
                written = {name.tagged: name.text for name in group}
                for done in client.sign([name.text for name in group], **wanted):
                    _tell(session, written.get(done.reference, done.reference), done, dry_run=dry_run)


def _names(session: Session, refs: list[str], from_file: str | None, digest_file: str | None) -> list[Name]:
    """Return all REFs of the command line and the files, checked for what signing needs."""
    from notarypy.client.sign import by_repository

    literal = session.options.gun
    if from_file is not None:
        source = inputs.name(from_file)
        refs += references.from_lines(inputs.read_text(from_file), source, literal=literal)
    names = references.read(refs, literal=literal)
    if digest_file is not None:
        if len(names) != 1:
            raise UsageError("--digest-file goes with exactly one REF", why=f"{len(names)} were given")
        text = references.with_digest(names[0], inputs.buildx_digest(digest_file))
        names = references.read([text], literal=literal)
    if not literal:
        by_repository([name.text for name in names])
    return names


def _custom(path: str | None) -> bytes | None:
    """Read the file of `--custom`, and refuse what cannot be attached before anything is asked."""
    if path is None:
        return None
    from notarypy.client.sign import custom_data

    data = inputs.read(path)
    custom_data(data)
    return data


def _tell(session: Session, ref: str, done: SignedTag, *, dry_run: bool) -> None:
    session.report.done(ref, _result(done, dry_run=dry_run), *_lines(done, dry_run=dry_run))
    for role in done.also_old:
        session.report.warn(f"{role} still lists another digest for {done.reference}")


def _lines(done: SignedTag, *, dry_run: bool) -> list[str]:
    platforms = f" (index: {', '.join(done.platforms)})" if done.platforms else ""
    what = f"{done.reference} {done.digest}{platforms}"
    if dry_run and not done.already:
        moved = [f"{done.reference} is {done.previous}, would be {done.digest}"] if done.previous else []
        return [f"would be signed {what} in {', '.join(done.roles)}", *moved]
    if done.already:
        return [f"already signed {what}"]
    moved = [f"{done.reference} was {done.previous} now {done.digest}"] if done.previous else []
    return [f"signed {what}", *moved]


def _result(done: SignedTag, *, dry_run: bool) -> dict[str, Any]:
    return {
        "repository": done.repository,
        "tag": done.tag,
        "digest": done.digest,
        "size": done.size,
        "platforms": list(done.platforms),
        "roles": list(done.roles),
        "previous": done.previous,
        "published": done.published,
        "already": done.already,
        "dry_run": dry_run,
        "also_old": list(done.also_old),
    }
