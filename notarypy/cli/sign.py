"""`notarypy sign`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references, userfiles
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.cli.references import Name
    from notarypy.cli.run import Run
    from notarypy.client.api import Client
    from notarypy.client.results import SignedTag


_FromFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="More REFs, one a line; # begins a comment; - is stdin."),
]
_DigestFile = Annotated[
    str | None,
    typer.Option(metavar="META.json", help="The digest to sign, from buildx's --metadata-file."),
]
_Discard = Annotated[
    bool,
    typer.Option("--discard-unverified", help="Start over a role whose file does not verify any more."),
]
_Push = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Push this first, and sign exactly that; see notarypy push --help."),
]


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
    from_file: _FromFile = None,
    digest_file: _DigestFile = None,
    custom: Annotated[str | None, typer.Option(metavar="FILE", help="JSON to attach to each tag.")] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Push each image from the docker daemon, and sign what it pushed.")
    ] = False,
    push: _Push = None,
    init: Annotated[
        bool, typer.Option("--init", help="Make trust data for a repository that has none.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be signed; publish nothing.")
    ] = False,
    discard_unverified: _Discard = False,
) -> None:
    """Sign tags with the digests that their registry serves.

    All tags of a repository are published at once, or none. A tag is signed in every role whose key is here.

    Example:
      notarypy sign registry.example.com/app:1 registry.example.com/app:latest
      notarypy sign --digest-file meta.json registry.example.com/app:1
      notarypy sign --from-file release.txt
      notarypy sign --local registry.example.com/app:1
      notarypy sign --push oci:layout registry.example.com/app:1
    """
    session: Run = context.obj
    session.begin(context)
    names = _names(session, list(refs or ()), from_file, digest_file)
    if local:
        _check_local(names, digest_file, dry_run=dry_run)
    if push is not None:
        _check_push(push, names, local=local, dry_run=dry_run)
    wanted: dict[str, Any] = {
        "signer": signer,
        "custom": _custom(custom),
        "init": init,
        "dry_run": dry_run,
        "discard_unverified": discard_unverified,
        "local": local,
    }
    with session.client() as client:
        if push is not None:
            _push(session, client, push, names[0], wanted)
        else:
            _sign(session, client, names, wanted)


def _names(session: Run, refs: list[str], from_file: str | None, digest_file: str | None) -> list[Name]:
    """Return all REFs of the command line and the files, checked for what signing needs."""
    from notarypy.client.publish.signing import by_repository

    literal = session.options.gun
    if from_file is not None:
        source = userfiles.name(from_file)
        refs += references.from_lines(userfiles.read_text(from_file), source, literal=literal)
    names = references.read(refs, literal=literal)
    if digest_file is not None:
        if len(names) != 1:
            raise UsageError("--digest-file goes with exactly one REF", why=f"{len(names)} were given")
        text = references.with_digest(names[0], userfiles.buildx_digest(digest_file))
        names = references.read([text], literal=literal)
    if not literal:
        by_repository([name.text for name in names])
    return names


def _check_local(names: list[Name], digest_file: str | None, *, dry_run: bool) -> None:
    """Refuse what does not go with a push, before anything is pushed."""
    if digest_file is not None or any(name.digest is not None for name in names):
        raise UsageError(
            "--local signs what it pushes, not a given digest", advice=Advice("leave-option-or-digest")
        )
    if dry_run:
        raise UsageError("--local pushes, and --dry-run changes nothing", advice=Advice("leave-out-one"))


def _check_push(source: str, names: list[Name], *, local: bool, dry_run: bool) -> None:
    """Refuse what does not go with `--push`, before anything is pushed."""
    from notarypy.storage.images import locations

    locations.source(source)
    if len(names) != 1:
        raise UsageError("--push goes with exactly one REF", why=f"{len(names)} were given")
    if local:
        raise UsageError("--push and --local are two sources", advice=Advice("leave-out-one"))
    if dry_run:
        raise UsageError("--push pushes, and --dry-run changes nothing", advice=Advice("leave-out-one"))


def _sign(session: Run, client: Client, names: list[Name], wanted: dict[str, Any]) -> None:
    """Sign what the registries have, one repository after the other."""
    groups: dict[str, list[Name]] = {}
    for name in names:
        groups.setdefault(name.repository, []).append(name)
    for group in groups.values():
        with session.trying(*(name.text for name in group)):
            written = {name.tagged: name.text for name in group}
            for done in client.sign([name.text for name in group], **wanted):
                ref = written.get(done.reference, done.reference)
                _tell(session, ref, done, dry_run=wanted["dry_run"])


def _push(session: Run, client: Client, source: str, name: Name, wanted: dict[str, Any]) -> None:
    from notarypy.cli import push as pushing
    from notarypy.cli.text import terminal

    options = {option: value for option, value in wanted.items() if option not in {"local", "dry_run"}}
    with session.trying(name.text):
        shown = terminal.bar(session.options)
        pushed, done = client.images.push_and_sign(source, name.text, **options, progress=shown)
        session.report.text(f"{pushing.line(pushed)}\n")
        _tell(session, name.text, done, dry_run=False)


def _custom(path: str | None) -> bytes | None:
    """Read the file of `--custom`, and refuse what cannot be attached before anything is asked."""
    if path is None:
        return None
    from notarypy.client.publish.signing import custom_data

    data = userfiles.read(path)
    custom_data(data)
    return data


def _tell(session: Run, ref: str, done: SignedTag, *, dry_run: bool) -> None:
    session.report.done(ref, result(done, dry_run=dry_run), *lines(done, dry_run=dry_run))
    for role in done.also_old:
        session.report.warn(f"{role} still lists another digest for {done.reference}")


def lines(done: SignedTag, *, dry_run: bool) -> list[str]:
    """Return what is said of a signed tag."""
    platforms = f" (index: {', '.join(done.platforms)})" if done.platforms else ""
    what = f"{done.reference} {done.digest}{platforms}"
    if dry_run and not done.already:
        moved = [f"{done.reference} is {done.previous}, would be {done.digest}"] if done.previous else []
        return [f"would be signed {what} in {', '.join(done.roles)}", *moved]
    if done.already:
        return [f"already signed {what}"]
    moved = [f"{done.reference} was {done.previous} now {done.digest}"] if done.previous else []
    return [f"signed {what}", *moved]


def result(done: SignedTag, *, dry_run: bool) -> dict[str, Any]:
    """Return the same for programs."""
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
