"""`notarypy sign` and `notarypy revoke`: the tags of repositories, published all at once or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import digestfiles, references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.errors import Advice, NothingThereError, UsageError

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import RevokedTag, SignedTag

_Group = tuple[list[str], dict[str, str]]
_How = dict[str, object]
_Root = Sequence[str] | None
_DigestFile = Annotated[
    str | None,
    Option(metavar="FILE", help="Sign the digest in what buildx --metadata-file wrote, or another builder."),
]
_Refs = Annotated[
    list[str] | None,
    Argument(metavar="[REF... | FILE...]", help="Images, REPO[:TAG][@DIGEST]; with --join the FILEs."),
]
_Signer = Annotated[
    str | None, Option(metavar="NAME", help="Sign only as this signer (and in targets/releases).")
]
_Local = Annotated[bool, Option("--local", help="Have the docker daemon push, and sign what it pushed.")]
_Discard = Annotated[
    bool, Option("--discard-unverified", help="Start over, with these tags, roles nobody can verify.")
]
_Join = Annotated[bool, Option("--join", help="Publish FILEs; refused while signatures are missing.")]
_Push = Annotated[
    str | None, Option(metavar="SOURCE", help="Push this first (see push), and sign exactly that.")
]


def sign(
    context: Context,
    refs: _Refs = None,
    *,
    signer: _Signer = None,
    from_file: references.FromFile = None,
    digest_file: _DigestFile = None,
    custom: Annotated[str | None, Option(metavar="FILE", help="JSON to attach to each tag.")] = None,
    local: _Local = False,
    push: _Push = None,
    init: Annotated[bool, Option("--init", help="The first time: make trust data; refused without.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be signed; publish nothing.")] = False,
    discard_unverified: _Discard = False,
    offline_part: references.OfflinePart = None,
    join: _Join = False,
    root: references.Roots = None,
) -> None:
    """Sign tags with the digests that their registry serves.

    A digest (REF@DIGEST, --digest-file) is signed as it is, if the registry has it, whatever the tag is
    there. All tags of a repository are published at once, or none, in every role whose key is here. What
    several people must sign goes from one to the next in a FILE: --offline-part asks the server and writes
    it, or without REF adds signatures to it; --join publishes it.

    Example:
      notarypy sign registry.example.com/app:1 registry.example.com/app:latest
      notarypy sign --digest-file meta.json registry.example.com/app:1
      notarypy sign --local registry.example.com/app:1
      notarypy sign --push oci:layout registry.example.com/app:1
      notarypy sign --offline-part app.part registry.example.com/app:1
      notarypy sign --offline-part app.part
      notarypy sign --join app.part
    """
    from notarypy.client.publish.signing import by_repository, custom_data

    run = begin(context)
    how: _How = {"signer": signer, "from-file": from_file, "digest-file": digest_file, "custom": custom}
    how |= {"push": push, "local": local, "init": init, "discard-unverified": discard_unverified}
    if _handed_over(run, refs or (), offline_part, root, how, join=join, dry_run=dry_run):
        return
    names = _names(run, list(refs or ()), from_file, digest_file)
    if not run.options.gun:
        by_repository([name.text for name in names])
    _check_source(push, names, digest_file, local=local, dry_run=dry_run)
    _check_part(offline_part, push=push is not None, local=local, dry_run=dry_run, init=init)
    attached = None if custom is None else userfiles.read_text(custom).encode()
    if attached is not None:
        custom_data(attached)  # before anything is asked
    options: dict[str, Any] = {"signer": signer, "custom": attached, "init": init}
    options["discard_unverified"] = discard_unverified
    with run.client() as client:
        options |= _required(run, client, names, root, init=init)
        if push is not None:
            _push(run, client, push, names[0].text, options)
        elif offline_part is not None:
            signed = partial(client.sign, _by_repository(names)[0][0], **options)
            _as_part(run, client, _repositories(names), offline_part, signed)
        else:
            _sign(run, client, names, {**options, "dry_run": dry_run, "local": local})


def _required(
    run: Run, client: Client, names: Iterable[references.Name], root: _Root, *, init: bool
) -> dict[str, str]:
    """Refuse repositories with another root before anything is pushed or signed; `init` makes this one."""
    pin = references.required_root(run, root, None)
    if pin is not None and init:
        return {"root": pin}
    for repository in {name.repository: None for name in names if pin is not None}:
        client.refresh(repository, root=pin)
    return {}


def _push(run: Run, client: Client, source: str, ref: str, options: dict[str, Any]) -> None:
    with run.trying(ref):
        pushed, done = client.images.push_and_sign(source, ref, **options, progress=run.progress())
        run.report.text(f"{render.pushed_line(pushed)}\n")
        _signed(run, ref, done)


def _sign(run: Run, client: Client, names: Sequence[references.Name], options: dict[str, Any]) -> None:
    def signed(group: _Group) -> list[SignedTag]:
        return client.sign(group[0], **options)

    # One daemon pushes for all.
    for (written, by_tag), found in run.each(_by_repository(names), signed, most=int(options["local"])):
        with run.trying(*written):
            for done in found.get():
                _signed(run, by_tag.get(done.reference, done.reference), done, dry_run=options["dry_run"])


def _handed_over(
    run: Run, paths: Sequence[str], part: str | None, root: _Root, how: _How, *, join: bool, dry_run: bool
) -> bool:
    """Sign a part that is there, or publish what several people have signed; tell if that is asked."""
    if join and part is not None:
        raise UsageError("--join publishes, and --offline-part does not", advice=Advice("leave-out-one"))
    if not join and (part is None or paths or how["from-file"]):
        return False
    for option in (f"--{name}" for name, value in how.items() if value not in {None, False}):
        message = f"{option} goes with images, and what is in a part is signed as it is"
        raise UsageError(message, advice=Advice("leave-out", option=option))
    from notarypy.cli import partfiles  # most who sign do it alone

    if part is None:
        partfiles.join(run, paths, root, dry_run=dry_run)
    else:
        partfiles.add(run, part, root, dry_run=dry_run)
    return True


def _check_part(part: str | None, **others: bool) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if part is not None and given:
        message = "--offline-part is for images that are pushed, in a repository that has trust data"
        raise UsageError(message, why=f"{given[0]} was given too", advice=Advice("leave-out-one"))


def _as_part(
    run: Run, client: Client, repos: Sequence[str], part: str, publish: Callable[[], object]
) -> None:
    from notarypy.cli import partfiles  # as above

    partfiles.make(run, client, repos, part, publish)


def _repositories(names: Sequence[references.Name]) -> list[str]:
    return list(dict.fromkeys(name.repository for name in names))


def _names(
    run: Run, refs: list[str], from_file: str | None, digest_file: str | None
) -> list[references.Name]:
    names = references.read(run, references.with_file(run, refs, from_file))
    if digest_file is not None:
        if len(names) != 1:
            raise UsageError("--digest-file goes with exactly one REF", why=f"{len(names)} were given")
        text = references.with_digest(names[0], digestfiles.digest(digest_file, names[0]))
        names = references.read(run, [text])
    return names


def _check_source(
    push: str | None, names: list[references.Name], digest_file: str | None, *, local: bool, dry_run: bool
) -> None:
    """Refuse what does not go with `--local` or `--push`, before anything is pushed."""
    if local and (digest_file is not None or any(name.digest is not None for name in names)):
        advice = Advice("leave-option-or-digest")
        raise UsageError("--local signs what it pushes, not a given digest", advice=advice)
    if local and dry_run:
        raise UsageError("--local pushes, and --dry-run changes nothing", advice=Advice("leave-out-one"))
    if push is None:
        return
    from notarypy.storage.images import locations

    locations.source(push)
    if len(names) != 1:
        raise UsageError("--push goes with exactly one REF", why=f"{len(names)} were given")
    if local:
        raise UsageError("--push and --local are two sources", advice=Advice("leave-out-one"))
    if dry_run:
        raise UsageError("--push pushes, and --dry-run changes nothing", advice=Advice("leave-out-one"))


def _by_repository(names: Iterable[references.Name]) -> list[_Group]:
    """Return for each repository its REFs as they were written, and which of them means what tag."""
    groups: dict[str, _Group] = {}
    for name in names:
        written, by_tag = groups.setdefault(name.repository, ([], {}))
        written.append(name.text)
        by_tag[name.tagged] = name.text
    return list(groups.values())


def _signed(run: Run, ref: str, done: SignedTag, *, dry_run: bool = False) -> None:
    data, lines = render.signed_json(done, dry_run=dry_run), render.signed_lines(done, dry_run=dry_run)
    run.report.done(ref, data, *lines)
    for role in done.also_old:
        run.report.warn(f"{role} still lists another digest for {done.reference}")


def revoke(
    context: Context,
    refs: Annotated[list[str], Argument(metavar="REF...", help="Tags to revoke; with --all, repositories.")],
    *,
    every: Annotated[bool, Option("--all", help="Every tag of these repositories.")] = False,
    signer: Annotated[
        str | None, Option(metavar="NAME", help="Only what this signer signed (and its release).")
    ] = None,
    over_limits: references.OverLimits = False,
    offline_part: references.OfflinePart = None,
) -> None:
    """Make tags unsigned, in every role whose key this machine has.

    Nothing is removed from the registry. All tags of a repository are published at once, or none.

    Example:
      notarypy revoke registry.example.com/app:1
      notarypy revoke --all --yes registry.example.com/app
    """
    run = begin(context, over_limits=over_limits)
    if every:
        _revoke_all(run, refs, signer, offline_part)
        return
    names = references.read(run, refs)
    groups = _by_repository(names)
    with run.client() as client:
        if offline_part is not None:
            revoked = partial(client.revoke, groups[0][0], signer=signer)
            _as_part(run, client, _repositories(names), offline_part, revoked)
            return
        for (written, by_tag), found in run.each(
            groups, lambda group: client.revoke(group[0], signer=signer)
        ):
            with run.trying(*written):
                for done in found.get():
                    _revoked(run, by_tag.get(done.reference, done.reference), done)


def _revoke_all(run: Run, repos: list[str], signer: str | None, part: str | None) -> None:
    references.check_repositories(run, repos)
    whose = "" if signer is None else f" that {signer} signed"
    if part is not None:
        with run.client() as client:
            _as_part(run, client, repos, part, lambda: client.revoke_all(repos[0], signer=signer))
        return
    run.confirm("Go on?", f"every tag of {', '.join(repos)}{whose} becomes unsigned")
    with run.client() as client:
        for repo, found in run.each(repos, lambda repo: client.revoke_all(repo, signer=signer)):
            with run.trying(repo):
                revoked = found.get()
                for done in revoked:
                    _revoked(run, repo, done)
                if not revoked:
                    raise NothingThereError(
                        f"no tag of {repo} is signed{whose and f' by {signer}'}",
                        why="nothing was published",
                        advice=Advice("inspect-tags", gun=repo),
                    )


def _revoked(run: Run, ref: str, done: RevokedTag) -> None:
    data = render.fields(done, "repository tag digest roles still still_released published")
    line = f"revoked {done.reference} in {', '.join(done.roles)}"
    run.report.done(ref, data, line if done.roles else f"left {done.reference} as it is")
