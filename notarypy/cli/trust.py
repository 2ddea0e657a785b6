"""`notarypy init`, `notarypy trust` and `notarypy forget`: the root of a repository, and trust in it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from notarypy.cli import namedkeys, references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.errors import Advice, ConfirmationNeededError, UsageError
from notarypy.tuf import roles

if TYPE_CHECKING:
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
    why = f"this gives up the trusted root of {repo}: the next one may be another"
    run.confirm("Go on?", why)
    with run.client(asking=False) as client, run.trying(repo):
        forgotten = client.forget(repo)
        line = f"forgot {repo}; keys stay" if forgotten else f"nothing of {repo} is cached"
        run.report.done(repo, {"forgotten": forgotten}, line)
