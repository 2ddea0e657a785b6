"""`notarypy init`, `trust`, `forget`, `republish` and `delete`: the trust data of a repository as a whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from notarypy.cli import namedkeys, references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, ConfirmationNeededError, UsageError, beginning
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.publish.deleting import DeletedRepository
    from notarypy.client.publish.republishing import Republished
    from notarypy.client.publish.republishplan import Agree
    from notarypy.client.results import InitResult

RootKeys = Annotated[
    list[str] | None,
    Option(metavar="KEYREF", help="The root key: KEY, a file (it has a / or a dot), or a URI. Repeatable."),
]
RootCerts = Annotated[
    list[str] | None,
    Option(
        metavar="FILE",
        help="A certificate for the root key; made if left out. Of several, those of others too.",
    ),
]
RootThreshold = Annotated[
    int | None, Option(metavar="N", min=1, help="How many root keys sign; of others: --root-cert.")
]


def init(
    context: Context,
    repos: Annotated[list[str], Argument(metavar="REPO...", help="Repositories without trust data.")],
    *,
    root_key: RootKeys = None,
    root_cert: RootCerts = None,
    root_threshold: RootThreshold = None,
    targets_key: Annotated[
        str | None,
        Option(metavar="KEYREF", help="The targets key, such as a URI; default: make one for each."),
    ] = None,
    signer: Annotated[
        str | None, Option(metavar="NAME", help="A first signer; --key has the public key.")
    ] = None,
    key: Annotated[
        list[str] | None,
        Option(metavar="PUB", help="Public key or certificate of that signer, or URI. Repeatable."),
    ] = None,
    snapshot: Annotated[
        Literal["server", "local"] | None,
        Option(help="Who keeps the snapshot key: the server, or this trust directory."),
    ] = None,
    offline_part: references.OfflinePart = None,
) -> None:
    """Make trust data for repositories, once, before the first tag.

    That is a root key, unless one is here, and a targets key; the server keeps the others. A repository
    that has trust data is left as it is. Keep a copy of the root key: nothing replaces it.

    Example:
      notarypy init registry.example.com/app
      notarypy init --signer jeff --key jeff.pub registry.example.com/app
      notarypy init --root-cert a.crt --root-cert b.crt --root-threshold 2 REPO
      notarypy init --root-key "pkcs11:token=root;object=root" REPO
    """
    run = begin(context)
    references.check_repositories(run, repos)
    if (signer is None) != (not key):
        raise UsageError("--signer and --key go together", advice=Advice("give-both"))
    if signer is not None:
        roles.signer_role(signer)
    options: dict[str, Any] = {
        "root_key": root_key,
        "root_cert": None if root_cert is None else [userfiles.read(path) for path in root_cert],
        "root_threshold": root_threshold,
        "targets_key": targets_key,
        "snapshot": snapshot,
        "signer": signer,
    }
    with run.client() as client:
        options["keys"] = namedkeys.given(client.keys, key or (), signer or "")
        if offline_part is not None:
            from notarypy.cli import partfiles  # most roots have one key

            partfiles.make(run, client, repos, offline_part, partial(client.init, repos[0], **options))
            return
        for repo, found in run.each(repos, lambda repo: client.init(repo, **options)):
            with run.trying(repo), namedkeys.named(client.keys, key or (), options["keys"]):
                _initialised(run, repo, found.get(), local=snapshot == "local")


def _initialised(run: Run, repo: str, result: InitResult, *, local: bool) -> None:
    run.report.done(repo, render.fields(result, render.INITIALISED), *render.initialised_lines(result))
    if result.created and local:
        what = f"the snapshot key of {result.repository} is only here"
        run.report.warn(f"{what}: signers elsewhere cannot publish without it")


def trust(
    context: Context,
    repo: references.Repository,
    *,
    root: Annotated[
        list[str] | None,
        Option(metavar="ROOT-PIN", help="The root to accept, in full; left out: only show both. Repeatable."),
    ] = None,
) -> None:
    """Whose root is trusted: show it and the server's; accept that one.

    Compare it with the repository's owner first: a changed root is what an attack looks like.

    Example:
      notarypy trust registry.example.com/app
      notarypy trust registry.example.com/app --root ROOT-PIN
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    pin = roles.check_pins(",".join(root)) if root else None
    with run.client(asking=False) as client, run.trying(repo):
        seen = client.offered_root(repo) if pin is None else client.trust(repo, pin)
        data = render.fields(seen, "repository trusted trusted_version offered offered_version accepted")
        trusted = ", ".join(seen.trusted) or "none: nothing of this repository is cached"
        version = "" if seen.trusted_version is None else f" (version {seen.trusted_version})"
        lines = [f"{seen.repository}", f"  trusted: {trusted}{version}"]
        lines.append(f"  offered: {', '.join(seen.offered)} (version {seen.offered_version})")
        if seen.accepted:
            line = "they are the same" if pin is None else f"accepted the offered root of {seen.repository}"
            run.report.done(repo, data, *lines, line)
            return
        run.report.text("".join(f"{render.safe(line)}\n" for line in lines))
        message = f"the root that {seen.repository} offers is not trusted here"
        advice = Advice("compare-offered-root", gun=seen.repository, root=" --root ".join(seen.offered))
        error = ConfirmationNeededError(message, why="only a root named in full is accepted", advice=advice)
        run.report.failed([repo], error, data)


def forget(context: Context, repo: references.Repository) -> None:
    """Drop the cached trust data of a repository; keys stay.

    That includes the trusted root. What reads the repository next is asked for a decision about the root
    that the server offers then, and what publishes to it trusts that; so this asks first, or wants --yes.

    Example:
      notarypy forget --yes registry.example.com/app
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    run.confirm("Go on?", f"this gives up the trusted root of {repo}: the next one may be another")
    with run.client(asking=False) as client, run.trying(repo):
        forgotten = client.forget(repo)
        line = f"forgot {repo}; keys stay" if forgotten else f"nothing of {repo} is cached"
        run.report.done(repo, {"forgotten": forgotten}, line)


_SHOWN = 100


def republish(
    context: Context,
    repos: Annotated[list[str], Argument(metavar="REPO...", help="Repositories that the server lost.")],
    *,
    over: Annotated[bool, Option("--over", help="Over what the server has and is not known here.")] = False,
) -> None:
    """Send a server what it lost, from what this machine has read.

    For a server that was wiped, or restored from an old backup. What was verified here is sent as it is, and
    what has ended is signed again where its keys are. If the server lost its keys too, the next root names
    its new ones: that takes the root key, and they are shown before it signs. Do it where the repository was
    read last: what others published since is not among it. What the server has by now is lost only with
    --over.

    Example:
      notarypy republish registry.example.com/app
      notarypy republish --yes registry.example.com/app
      notarypy republish --over registry.example.com/app
      notarypy republish --server https://notary.example.com REPO
    """
    run = begin(context)
    references.check_repositories(run, repos)
    with run.client() as client:
        for repo in repos:
            with run.trying(repo):
                done = client.upkeep.republish(repo, over=over, agree=_agree(run))
                data = render.fields(
                    done,
                    "repository server published roles renewed"
                    " root_version root_pins server_keys known_of lost behind",
                )
                run.report.done(repo, data, *_republished_lines(done))
                if done.behind:
                    what = (
                        f"{done.server} is {done.behind} updates behind what was known of {done.repository}"
                    )
                    run.report.warn(f"{what}: readers who know it refuse it, docker and Go notary once")


def _agree(run: Run) -> Agree | None:
    """Return how somebody agrees to a plan; None where nobody can be asked."""
    if run.options.yes:
        return lambda _: True
    return (lambda plan: terminal.agreed("Go on?", *plan.lines())) if terminal.present() else None


def _republished_lines(done: Republished) -> list[str]:
    if not done.published:
        return [f"{done.server} has all that is known here of {done.repository}; nothing was sent"]
    lines = [f"published {done.repository} again at {done.server}: {', '.join(done.roles) or 'dates alone'}"]
    if done.renewed:
        lines.append(f"signed again, for they had ended: {', '.join(done.renewed)}")
    if done.known_of is not None:
        lines.append(f"as this machine read it on {done.known_of:%Y-%m-%d %H:%M}Z")
    if "root" in done.roles:
        lines.append(f"the root is version {done.root_version} now, with the pin that it had:")
        lines += [f"root pin: {pin}" for pin in done.root_pins]
    lines += [f"its {role} key is now {keyid}" for role, keyid in sorted(done.server_keys.items())]
    return [*lines, *(f"no more at the server: {line}" for line in beginning(done.lost, _SHOWN))]


def delete(
    context: Context,
    repo: references.Repository,
    *,
    remote: Annotated[bool, Option("--remote", help="At the Notary server, for everybody.")] = False,
    confirm: Annotated[
        str | None, Option(metavar="GUN", help="The repository in full, once more; asked for if left out.")
    ] = None,
    forget: Annotated[bool, Option("--forget", help="Drop what is cached here, too.")] = False,
) -> None:
    """Delete the trust data of a repository at its Notary server.

    Nobody can verify its tags any more; keys and images stay. The right to administer the repository is
    needed, and its name, typed or given with --confirm: --yes is not enough.

    Example:
      notarypy delete --remote registry.example.com/app
      notarypy delete --remote --confirm REPO REPO
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    if not remote:
        why = "what is cached here is dropped by another command, and what the server has by --remote"
        raise UsageError(
            "delete is for the server's trust data", why=why, advice=Advice("forget-or-remote", gun=repo)
        )
    with run.client(asking=False) as client, run.trying(repo):
        done = _deleted(run, client, repo, confirm, forget=forget)
        data = render.fields(done, "repository server deleted others forgotten")
        run.report.done(repo, data, *_deleted_lines(done))


def _deleted(run: Run, client: Client, repo: str, confirm: str | None, *, forget: bool) -> DeletedRepository:
    """Delete; where it is to be confirmed and somebody is there, ask for the words."""
    try:
        return client.upkeep.delete(repo, confirm=confirm, forget=forget)
    except ConfirmationNeededError as error:
        lines = [f"{error.message}:", *(f"  {line}" for line in error.why)]
        typed = None if confirm else run.typed(lines, "Type it to delete it for everybody: ")
        if not typed:
            raise
    return client.upkeep.delete(repo, confirm=typed, forget=forget)


def _deleted_lines(done: DeletedRepository) -> list[str]:
    gun = done.repository
    if done.deleted:
        lines = [f"deleted the trust data of {gun} at {done.server}; keys and images stay"]
        lines += [f"  and that of {other}" for other in beginning(done.others, _SHOWN)]
    else:
        lines = [f"{done.server} has no trust data of {gun}; nothing was deleted"]
    return [*lines, f"forgot {gun} here"] if done.forgotten else lines
