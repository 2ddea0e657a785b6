"""`notarypy key export` and `notarypy key passwd`: what keys are written as, and under which passphrase."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.namedkeys import KEY, begin_on, label
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, KeyMissingError, NothingThereError, UsageError
from notarypy.keys.passphrases import new_passphrase_chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.cli.run import Context, Run
    from notarypy.client.api import Client
    from notarypy.keys.keyinfo import PassphraseRequest

_PRIVATE_MODE = 0o600


def export(
    context: Context,
    keys: Annotated[
        list[str] | None, Argument(metavar="[KEY...]", help="Names, 7 digits of ids; others: as above.")
    ] = None,
    *,
    every: Annotated[bool, Option("--all", help="All keys that are here.")] = False,
    repo: Annotated[
        str | None, Option("--repo", metavar="REPO", help="All keys here that this repository has.")
    ] = None,
    output: Annotated[
        str | None,
        Option("--output", "-o", metavar="FILE", help="Write to this file, mode 0600; public halves: 0644."),
    ] = None,
    public: Annotated[
        bool, Option("--public", help="The public halves; also of keys that are elsewhere.")
    ] = False,
    cosign: Annotated[
        bool, Option("--cosign", help="As cosign reads it: cosign.key, or with --public cosign.pub.")
    ] = False,
    new_passphrase_file: Annotated[
        str | None, Option(metavar="FILE", help="The passphrase of cosign.key, in place of a variable.")
    ] = None,
) -> None:
    """Print keys as they are stored, encrypted.

    Go notary's key import reads that, too. A key that is on a token, in a KMS or in Vault stays there: of it
    there is the public half alone. With --cosign it is one key, under a passphrase from
    --new-passphrase-file, COSIGN_PASSWORD, NOTARYPY_NEW_PASSPHRASE, NOTARYPY_NEW_PASSPHRASE_FILE or a prompt;
    with --public KEY may be a file or a URI, too.

    Example:
      notarypy key export jeff -o jeff.pem
      notarypy key export --all -o keys.pem
      notarypy key export --repo registry.example.com/app -o app.pem
      notarypy key export --public jeff -o jeff.pub
      notarypy key export --cosign jeff -o cosign.key
      notarypy key export --cosign --public jeff -o cosign.pub
    """
    run = begin_on(context, *(keys or ()), hold=True)
    _require_one_way(run, keys or [], repo, every=every)
    _require_for_cosign(keys or [], new_passphrase_file, public=public, cosign=cosign)
    path = None if output is None else userfiles.destination(run, output)
    new, exported = _new_passphrases(new_passphrase_file), list[bytes]()
    with run.client() as client:
        if path is not None:
            userfiles.require_outside(path, client.settings.trust_dir)
        for key in keys or _several(run, client, repo, public=public):
            with run.trying(key):
                known, one = _written(client, key, new, public=public, cosign=cosign)
                exported.append(one)
                data = {"pem": one.decode()} if output is None else {"file": output}
                run.report.done(key, {**known, **data})
    if run.report.exit_code == 0 and path is not None:
        mode = userfiles.PUBLIC_MODE if public else _PRIVATE_MODE
        userfiles.write(path, b"".join(exported).decode(), mode)
    elif path is None:
        run.report.text(b"".join(exported).decode())


def passwd(
    context: Context,
    key: Annotated[str, Argument(metavar="KEY", help="A name, or at least 7 digits of an id.")],
    *,
    new_passphrase_file: Annotated[
        str | None, Option(metavar="FILE", help="The new passphrase, in place of a variable or a prompt.")
    ] = None,
) -> None:
    """Change the passphrase of a key.

    The present one comes from the usual places, the new one from --new-passphrase-file,
    NOTARYPY_NEW_PASSPHRASE, NOTARYPY_NEW_PASSPHRASE_FILE or a prompt.

    Example:
      notarypy key passwd jeff --new-passphrase-file new.txt
    """
    run = begin_on(context, key)
    with run.client() as client, run.trying(key):
        info = client.keys.change_passphrase(key, _new_passphrases(new_passphrase_file))
        run.report.done(key, render.fields(info, KEY), f"changed the passphrase of {label(info)}")


def _require_one_way(run: Run, keys: list[str], repo: str | None, *, every: bool) -> None:
    """Raise UsageError unless keys are named in one way."""
    if sum([bool(keys), every, repo is not None]) != 1:
        message = "name keys, or say --all, or name a repository with --repo"
        raise UsageError(message, advice=Advice("keep-one") if keys or every else Advice("list-keys"))
    if repo is not None:
        references.check_repositories(run, [repo])


def _require_for_cosign(keys: list[str], passphrase_file: str | None, *, public: bool, cosign: bool) -> None:
    """Raise UsageError for what is written for cosign, or is for that, and is not said so."""
    if cosign and len(keys) != 1:
        raise UsageError("a key file of cosign has one key", advice=Advice("keep-one"))
    if passphrase_file is not None and (public or not cosign):
        message = "--new-passphrase-file is for a key that is written for cosign"
        raise UsageError(message, advice=Advice("leave-out", option="--new-passphrase-file"))


def _several(run: Run, client: Client, repo: str | None, *, public: bool) -> list[str]:
    """Return the ids of all keys here, or of those of a repository; those elsewhere have public halves."""
    found = client.keys.list(damaged=True) if repo is None else client.keys.of_repository(repo)
    if not found:
        raise NothingThereError(
            f"no keys are in {client.settings.trust_dir}", advice=Advice("name-trust-dir")
        )
    left = [] if public else [info for info in found if info.uri is not None]
    for info in left:
        run.report.warn(f"{label(info)} stays at {info.uri}, and is not in it")
    if len(left) == len(found):
        what = repo or client.settings.trust_dir
        raise KeyMissingError(f"no key of {what} is in a file here", advice=Advice("list-keys"))
    run.asked_for = len(found)
    return [info.keyid for info in found if info not in left]


def _written(
    client: Client, key: str, new: Callable[[PassphraseRequest], str], *, public: bool, cosign: bool
) -> tuple[dict[str, object], bytes]:
    """Return what is known of a key, and its public half, or it for cosign or as it is stored."""
    if cosign and public:
        return {}, client.keys.public_cosign(key)
    info = client.keys.find(key)
    known = render.fields(info, KEY)
    if cosign:
        return known, client.keys.export_cosign(info.keyid, new)
    return known, client.keys.public(info.keyid) if public else client.keys.export([info.keyid])


def _new_passphrases(file: str | None) -> Callable[[PassphraseRequest], str]:
    """Return what is asked for a new passphrase."""
    path, prompt = None if file is None else Path(file), terminal.secret if terminal.present() else None
    return new_passphrase_chain(os.environ, path, prompt).for_new
