"""`notarypy init`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from notarypy.cli import references, userfiles
from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import InitResult


def init(
    context: typer.Context,
    repos: Annotated[list[str], typer.Argument(metavar="REPO...", help="Repositories without trust data.")],
    *,
    root_key: Annotated[
        str | None,
        typer.Option(metavar="KEYREF", help="The root key: KEY, or a file (it has a / or a dot)."),
    ] = None,
    root_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="A certificate for the root key; made if left out.")
    ] = None,
    signer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A first signer; --key has the public key.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="PUB", help="Public key or certificate of that signer. May be repeated."),
    ] = None,
    snapshot: Annotated[
        Literal["server", "local"] | None,
        typer.Option(help="Who keeps the snapshot key: the server, or this trust directory."),
    ] = None,
) -> None:
    """Make trust data for repositories.

    That is a root key, unless one is here, and a targets key; the server keeps the others. A repository
    that has trust data is left as it is. Keep a copy of the root key: nothing replaces it.

    Example:
      notarypy init registry.example.com/app
      notarypy init --signer jeff --key jeff.pub registry.example.com/app
    """
    session: Run = context.obj
    session.begin(context)
    references.check_repositories(repos, literal=session.options.gun)
    if (signer is None) != (not key):
        raise UsageError("--signer and --key go together", advice=Advice("give-both"))
    if signer is not None:
        roles.signer_role(signer)
    wanted: dict[str, Any] = {
        "root_key": root_key,
        "root_cert": None if root_cert is None else userfiles.read(root_cert),
        "snapshot": snapshot,
        "signer": signer,
        "keys": userfiles.read_all(key),
    }
    with session.client() as client:
        for repo in repos:
            with session.trying(repo):
                result = client.init(repo, **wanted)
                session.report.done(repo, to_json(result), *lines(result))
                if result.created and snapshot == "local":
                    session.report.warn(
                        f"the snapshot key of {result.repository} is only here: "
                        "signers elsewhere cannot publish without it"
                    )


def lines(result: InitResult) -> list[str]:
    """Return what people read after a repository got its trust data, or was found to have some."""
    pins = result.root_pins
    head = (
        f"initialised {result.repository} on {result.server}"
        if result.created
        else f"{result.repository} has trust data on {result.server}; nothing was changed"
    )
    told = [head, *(f"root pin: {pin}" for pin in pins)]
    told.append(f"keys here: {', '.join(result.keys_here) or 'none'}")
    told += [f"signers: {', '.join(result.signers)}"] if result.signers else []
    return [*told, *_for_a_runner(result)] if result.created else told


def _for_a_runner(result: InitResult) -> list[str]:
    """Return the lines that make another machine trust this root and no other."""
    options = " ".join(f"--root {pin}" for pin in result.root_pins[:1])
    return [
        "a CI runner verifies with:",
        f"  export DOCKER_CONTENT_TRUST_SERVER={result.server}",
        f"  notarypy verify {options} {result.repository}:TAG",
    ]


def to_json(result: InitResult) -> dict[str, Any]:
    """Return the result for programs."""
    return {
        "repository": result.repository,
        "created": result.created,
        "root_pins": list(result.root_pins),
        "root_keys": list(result.root_keys),
        "keys_here": list(result.keys_here),
        "signers": list(result.signers),
        "server": result.server,
    }
