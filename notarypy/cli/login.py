"""`notarypy login` and `notarypy logout`: the logins of registries, where docker and podman have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from notarypy.cli import userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, begin
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import LoggedIn

Registry = Annotated[str, Argument(metavar="REGISTRY", help="HOST or HOST:PORT; docker.io is Docker Hub.")]


def login(
    context: Context,
    registry: Registry,
    *,
    username: Annotated[str | None, Option("--username", "-u", metavar="USER", help="The user.")] = None,
    password_stdin: Annotated[
        bool, Option("--password-stdin", help="Read the password, or a token, from standard input.")
    ] = False,
    azure: Annotated[
        bool, Option("--azure", help="As who Azure knows us by; for its registries, without a password.")
    ] = False,
) -> None:
    """Log in to a registry, and to its Notary server.

    The login is tried first, and then stored as docker stores it: by the credential helper that docker's
    config.json names, else in that file; or in the file that REGISTRY_AUTH_FILE names.

    Example:
      notarypy login registry.example.com
      pass registry | notarypy login registry.example.com -u jeff --password-stdin
      notarypy login contoso.azurecr.io --azure
    """
    run = begin(context)
    with run.client(asking=False) as client, run.trying(registry):
        if azure:
            done = _by_azure(client, registry, named=username is not None or password_stdin)
        else:
            user, password = _asked(registry, username, from_stdin=password_stdin)
            done = client.images.login(registry, user, password)
        data = render.fields(done, "registry user stored_in encrypted tried notary notary_refusal")
        lines = [f"logged in to {done.registry} as {done.user}; stored in {done.stored_in}"]
        if done.notary and done.notary_refusal is None:
            lines.append(f"the Notary server {done.notary} takes the login too")
        run.report.done(registry, data, *lines)


def logout(context: Context, registry: Registry) -> None:
    """Erase the stored login for a registry.

    Example:
      notarypy logout registry.example.com
    """
    run = begin(context)
    with run.client(asking=False) as client, run.trying(registry):
        done = client.images.logout(registry)
        line = f"erased the login for {done.registry} from {done.place}"
        if not done.erased:
            line = f"{done.place} has no login for {done.registry}"
        run.report.done(registry, render.fields(done, "registry place erased"), line)


def _by_azure(client: Client, registry: str, *, named: bool) -> LoggedIn:
    if named:
        why, advice = "who logs in is found out by Azure's library", Advice("leave-other-options")
        raise UsageError("--azure goes with neither --username nor --password-stdin", why=why, advice=advice)
    return client.images.azure_login(registry)


def _asked(registry: str, username: str | None, *, from_stdin: bool) -> tuple[str, str]:
    """Return user and password: from standard input, or from whoever is at the terminal."""
    if from_stdin:
        if username is None:
            raise UsageError("--password-stdin goes with --username", advice=Advice("give-both"))
        password = userfiles.read_text("-").removesuffix("\n").removesuffix("\r")
        if not password:
            why = "it was empty, as it is where a secret is not set"
            raise UsageError("standard input had no password", why=why)
        return username, password
    if not terminal.present():
        why = f"there is no terminal to ask for {'the password' if username else 'user and password'}"
        raise UsageError("no password was given", why=why, advice=Advice("give-password-stdin"))
    user = username if username is not None else terminal.answer(f"User of {registry}: ")
    return user, terminal.secret(f"Password of {user} at {registry}: ")
