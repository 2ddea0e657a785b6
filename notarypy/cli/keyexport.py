"""`notarypy key export` and `notarypy key passwd`: what keys are written as, and under which passphrase."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from notarypy import files
from notarypy.cli import userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.namedkeys import KEY, begin_on, label
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, UsageError
from notarypy.keys.passphrases import new_passphrase_chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.cli.run import Context
    from notarypy.client.api import Client
    from notarypy.keys.questions import PassphraseRequest

_PRIVATE_MODE, _PUBLIC_MODE = 0o600, 0o644


def export(
    context: Context,
    keys: Annotated[list[str], Argument(metavar="KEY...", help="Names, 7 digits of ids; others: as above.")],
    *,
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
    """Print keys as they are stored, encrypted, in the form that notary key import reads.

    A key that is on a token, in a KMS or in Vault stays there: of it there is the public half alone. With
    --cosign it is one key, under a passphrase from --new-passphrase-file, COSIGN_PASSWORD,
    NOTARYPY_NEW_PASSPHRASE, NOTARYPY_NEW_PASSPHRASE_FILE or a prompt; with --public KEY may be a file or a
    URI, too.

    Example:
      notarypy key export jeff -o jeff.pem
      notarypy key export --public jeff -o jeff.pub
      notarypy key export --cosign jeff -o cosign.key
      notarypy key export --cosign --public jeff -o cosign.pub
    """
    run = begin_on(context, *keys, hold=True)
    if cosign and len(keys) > 1:
        raise UsageError("a key file of cosign has one key", advice=Advice("keep-one"))
    if new_passphrase_file is not None and (public or not cosign):
        message = "--new-passphrase-file is for a key that is written for cosign"
        raise UsageError(message, advice=Advice("leave-out", option="--new-passphrase-file"))
    new = _new_passphrases(new_passphrase_file)
    if output is not None:
        userfiles.require_directory(Path(output))
        if Path(output).exists():
            run.confirm("Overwrite it?", f"{output} exists")
    exported = []
    with run.client() as client:
        for key in keys:
            with run.trying(key):
                if cosign and public:
                    known, one = dict[str, object](), client.keys.public_cosign(key)
                else:
                    info = client.keys.find(key)
                    known = render.fields(info, KEY)
                    one = _written(client, info.keyid, public=public, new=new if cosign else None)
                exported.append(one)
                data = {"pem": exported[-1].decode()} if output is None else {"file": output}
                run.report.done(key, {**known, **data})
    if run.report.exit_code == 0 and output is not None:
        files.write_atomic(Path(output), b"".join(exported), _PUBLIC_MODE if public else _PRIVATE_MODE)
    elif output is None:
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


def _written(
    client: Client, keyid: str, *, public: bool, new: Callable[[PassphraseRequest], str] | None
) -> bytes:
    """Return a key as its public half, for cosign with a new passphrase, or as it is stored."""
    if new is not None:
        return client.keys.export_cosign(keyid, new)
    return client.keys.public(keyid) if public else client.keys.export([keyid])


def _new_passphrases(file: str | None) -> Callable[[PassphraseRequest], str]:
    """Return what is asked for a new passphrase."""
    path, prompt = None if file is None else Path(file), terminal.secret if terminal.present() else None
    return new_passphrase_chain(os.environ, path, prompt).for_new
