"""`notarypy delegate`, and `notarypy signer`: delegations under docker's names, in its order of arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import namedkeys, partfiles, references
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.removal import DryRun, Keep, Removal, Revoke, as_json
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.client.results import SignerAdded
    from notarypy.client.verdicts import RoleEntry

app = Commands("Delegations: signers in detail: for some tags, without releasing.")

_Name = Annotated[str, Argument(metavar="NAME", help="The signer's name, or a role targets/...")]
_PUBLIC_KEYS = Option("--key", metavar="PUB", help="Public key or certificate, PEM, or URI. Repeatable.")
_PublicKeys = Annotated[list[str], _PUBLIC_KEYS]
_AnyKeys = Annotated[list[str] | None, _PUBLIC_KEYS]
_Threshold = Annotated[
    int | None, Option("--threshold", metavar="N", min=1, help="So many of its keys have to sign; default 1.")
]
_Force = Annotated[bool, Option("--force", help="Even if tags cannot be verified until others sign again.")]


@app.command("add")
def add_delegation(
    context: Context,
    name: _Name,
    repos: references.Repositories,
    *,
    key: _AnyKeys = None,
    path: Annotated[
        list[str] | None, Option(metavar="PREFIX", help="Only tags that begin with this. Repeatable.")
    ] = None,
    no_releases: Annotated[
        bool, Option("--no-releases", help="The signer may vouch for tags, but not release them.")
    ] = False,
    threshold: _Threshold = None,
    offline_part: references.OfflinePart = None,
) -> None:
    """Let the holders of keys sign the tags of repositories.

    A repository without trust data is initialised. With --threshold several of the keys have to sign, and
    to release, each tag; without --key it changes that of a signer who is there.

    Example:
      notarypy delegate add jeff registry.example.com/app --key jeff.crt
      notarypy delegate add ci REPO --key ci.pub --path nightly-
      notarypy delegate add team REPO --key a.pub --key b.pub --threshold 2
    """
    how = {"paths": path or ("",), "releases": not no_releases, "threshold": threshold}
    _add(context, name, repos, key or (), how, part=offline_part)


@app.command("remove")
def remove_delegation(
    context: Context,
    name: _Name,
    repos: references.Repositories,
    *,
    key: Annotated[
        str | None, Option(metavar="ID", help="Remove only this key: at least 7 digits of its id.")
    ] = None,
    path: Annotated[
        list[str] | None,
        Option(metavar="PREFIX", help="Remove only this path; '' is that of all tags. Repeatable."),
    ] = None,
    keep_tags: Keep = False,
    revoke_tags: Revoke = False,
    dry_run: DryRun = False,
    force: _Force = False,
    over_limits: references.OverLimits = False,
    offline_part: references.OfflinePart = None,
) -> None:
    """Take a signer, or one of its keys or paths, out of repositories.

    Files that rest on its signature are signed again with another key that is here; without one
    nothing is changed. Tags that nobody else signed are named, and kept or revoked as you say.

    Example:
      notarypy delegate remove jeff registry.example.com/app
      notarypy delegate remove jeff registry.example.com/app --revoke-tags
      notarypy delegate remove ci registry.example.com/app --path nightly-
    """
    run = begin(context, over_limits=over_limits)
    removal = Removal.of(force, keep_tags, revoke_tags, dry_run)
    _remove(run, name, repos, removal, key=key, paths=path or (), part=offline_part)


@app.command("purge")
def purge_key(
    context: Context,
    repos: references.Repositories,
    *,
    key: Annotated[str, Option(metavar="ID", help="The key: at least 7 digits of its id.")],
    keep_tags: Keep = False,
    revoke_tags: Revoke = False,
    dry_run: DryRun = False,
    force: _Force = False,
    over_limits: references.OverLimits = False,
    offline_part: references.OfflinePart = None,
) -> None:
    """Take one key out of all delegations of repositories.

    It was stolen, or its owner left. A signer that has no other key is removed. Files that rest on its
    signature are signed again with another key that is here; without one nothing is changed. Tags that
    nobody else signed are named, and kept or revoked as you say.

    Example:
      notarypy delegate purge --key 49ed06e registry.example.com/app --dry-run
      notarypy delegate purge --key 49ed06e registry.example.com/app --revoke-tags
    """
    run = begin(context, over_limits=over_limits)
    references.check_repositories(run, repos)
    removal = Removal.of(force, keep_tags, revoke_tags, dry_run)
    with run.client() as client:
        purge = partial(removal.tried, partial(client.keys.purge, key))
        if offline_part is not None:
            partfiles.make(run, client, repos, offline_part, lambda: purge(repos[0]), dry_run=dry_run)
            return
        for repo, found in run.each(repos, purge):
            with run.trying(repo):
                done = removal.decided(run, found, partial(client.keys.purge, key, repo))
                where = f"{', '.join(done.roles)} of {done.repository}"
                lines = [f"{removal.removed} key {done.key} from {where}"]
                gone = map(roles.signer_name, done.removed)
                lines += [f"{removal.removed} signer {name}: it has no other key" for name in gone]
                removal.report(run, repo, done, render.fields(done, "key roles left removed"), lines)
                if done.left:
                    left = f"{', '.join(done.left)} of {done.repository} still have this key"
                    run.report.warn(f"{left}: the keys here cannot change them")


@app.command("list")
def list_delegations(
    context: Context,
    repo: references.Repository,
    *,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """List the delegations of a repository: roles, keys, tags.

    Example:
      notarypy delegate list registry.example.com/app
    """
    run = begin(context)
    pin = references.required_root(run, root, policy)
    _show(run, repo, pin, ("ROLE", "PATHS", "THRESHOLD", "EXPIRES", "KEY IDS"), _delegation_row)


def _delegation_row(entry: RoleEntry) -> tuple[str, ...]:
    expires = render.ends(entry.expires, entry.problem)
    return (entry.role, _paths(entry.paths), str(entry.threshold), expires, ", ".join(entry.keys))


def _paths(paths: Sequence[str]) -> str:
    return ", ".join(path or "all tags" for path in paths) or "none"


def _add(
    context: Context,
    name: str,
    repos: Sequence[str],
    keys: Sequence[str],
    how: dict[str, Any],
    *,
    part: str | None,
) -> None:
    run = begin(context)
    references.check_repositories(run, repos)
    roles.signer_role(name)
    if not keys and how["threshold"] is None:
        raise UsageError("no public key was given", advice=Advice("give-key-option"))
    with run.client() as client:
        pems = namedkeys.given(client.keys, keys, name)

        def add(repo: str) -> SignerAdded:
            return client.add_signer(name, repo, pems, **how)

        if part is not None:
            partfiles.make(run, client, repos, part, lambda: add(repos[0]))
            return

        hints: list[str] = []
        for repo, found in run.each(repos, add):
            with run.trying(repo), namedkeys.named(client.keys, keys, pems):
                added = found.get()
                data: dict[str, Any] = render.fields(added, "repository role keys threshold published")
                data["created"] = added.created and render.fields(added.created, render.INITIALISED)
                run.report.done(repo, data, *_added_lines(added))
                hints = namedkeys.unnoted(client.keys, keys, name, added.keys)
        for line in hints:
            run.report.text(f"{render.safe(line)}\n")


def _added_lines(added: SignerAdded) -> list[str]:
    who = roles.signer_name(added.role)
    made = render.initialised_lines(added.created) if added.created is not None else []
    if not added.published:
        return [*made, f"{who} is a signer of {added.repository} already; nothing was published"]
    keys = ", ".join(key[: render.SHORT_ID] for key in added.keys)
    if not keys:
        word = "signature" if added.threshold == 1 else "signatures"
        return [*made, f"{who} of {added.repository} takes {added.threshold} {word}"]
    takes = f"; it takes {added.threshold} signatures" if added.threshold > 1 else ""
    return [*made, f"added signer {who} to {added.repository} ({keys}){takes}"]


def _remove(
    run: Run,
    name: str,
    repos: Sequence[str],
    removal: Removal,
    *,
    key: str | None = None,
    paths: Sequence[str] = (),
    part: str | None = None,
) -> None:
    references.check_repositories(run, repos)
    roles.signer_role(name)
    resting = {"resting": "nobody else vouches for these that are released"} if paths else {}
    with run.client() as client:
        remove = partial(client.remove_signer, name, key=key, paths=paths)
        if part is not None:
            tried = partial(removal.tried, remove, repos[0])
            partfiles.make(run, client, repos, part, tried, dry_run=removal.dry_run)
            return
        for repo, found in run.each(repos, partial(removal.tried, remove)):
            with run.trying(repo):
                done = removal.decided(run, found, partial(remove, repo))
                lines = [f"{removal.removed} {_removed(done.role, done.key, paths)} from {done.repository}"]
                lines += [f"{done.role} keeps: {_paths(done.paths)}"] if paths else []
                if done.outside:
                    lines += ["it lists these, where they count no more:", *removal.listed(done.outside)]
                also = {**render.fields(done, "role key paths"), "outside": as_json(done.outside)}
                removal.report(run, repo, done, also, lines, **resting)


def _removed(role: str, key: str | None, paths: Sequence[str]) -> str:
    """Return what was removed, in words."""
    parts = [f"key {key}"] if key is not None else []
    parts += [f"path {path}" if path else "the path of all tags" for path in paths]
    return f"{', '.join(parts)} of {role}" if parts else f"signer {roles.signer_name(role)}"


def _show(
    run: Run, repo: str, pin: str | None, header: Sequence[str], row: Callable[[RoleEntry], tuple[str, ...]]
) -> None:
    """List the delegations of a repository; `row` leaves one out by returning no cells."""
    references.check_repositories(run, [repo])
    with run.client(asking=False) as client, run.trying(repo):
        entries = client.delegations(repo, root=pin)
        run.report.done(repo, {"roles": [render.fields(entry, render.ROLE) for entry in entries]})
        if rows := [cells for cells in map(row, entries) if cells]:
            run.report.table(header, rows)
        else:
            run.report.warn(f"{repo} has no {'signers' if header[0] == 'SIGNER' else 'delegations'}")
        for entry in entries:
            if entry.problem:
                run.report.warn(f"{entry.role}: {entry.problem}")


signer_app = Commands("Signers: who may sign a repository, as docker trust has them.")


@signer_app.command("add")
def add_signer(
    context: Context,
    name: _Name,
    repos: references.Repositories,
    *,
    key: _PublicKeys,
    threshold: _Threshold = None,
    offline_part: references.OfflinePart = None,
) -> None:
    """Add a signer to repositories, with trust data if they have none.

    It takes the targets key. The signer may sign and release every tag; delegate add has ways for less.

    Example:
      notarypy signer add --key delegation.crt jeff registry.example.com/demo
    """
    how = {"paths": ("",), "releases": True, "threshold": threshold}
    _add(context, name, repos, key, how, part=offline_part)


@signer_app.command("remove")
def remove_signer(
    context: Context,
    name: _Name,
    repos: references.Repositories,
    *,
    keep_tags: Keep = False,
    revoke_tags: Revoke = False,
    dry_run: DryRun = False,
    force: Annotated[
        bool, Option("--force", "-f", help="Even if tags cannot be verified until others sign again.")
    ] = False,
    over_limits: references.OverLimits = False,
    offline_part: references.OfflinePart = None,
) -> None:
    """Remove a signer from repositories, without making tags unreadable.

    Tags that nobody else signed are named, and kept or revoked as you say.

    Example:
      notarypy signer remove jeff registry.example.com/admin/demo
      notarypy signer remove jeff registry.example.com/admin/demo --keep-tags
    """
    run = begin(context, over_limits=over_limits)
    _remove(run, name, repos, Removal.of(force, keep_tags, revoke_tags, dry_run), part=offline_part)


@signer_app.command("list")
def list_signers(
    context: Context,
    repo: references.Repository,
    *,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """List the signers of a repository and their keys.

    Example:
      notarypy signer list registry.example.com/admin/demo
    """
    run = begin(context)
    pin = references.required_root(run, root, policy)
    _show(run, repo, pin, ("SIGNER", "TAGS", "KEYS"), _signer_row)


def _signer_row(entry: RoleEntry) -> tuple[str, ...]:
    if entry.role == roles.RELEASES:
        return ()
    unusable = "" if entry.usable else " (cannot be used: status says why)"
    return (roles.signer_name(entry.role), _paths(entry.paths), f"{render.short_ids(entry.keys)}{unusable}")
