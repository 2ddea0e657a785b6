"""`notarypy key`.

`notarypy key rotate`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from notarypy import files
from notarypy.cli import references, userfiles
from notarypy.cli.app import group
from notarypy.cli.text import render
from notarypy.cli.userfiles import new_file, require_directory
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import RotatedKey
    from notarypy.keys.keystore import KeyInfo


def rotate(
    context: typer.Context,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="A repository.")],
    role: Annotated[str, typer.Argument(metavar="ROLE", help="root, targets, snapshot or timestamp.")],
    *,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEYREF", help="The new key: one that is here, or a file; default: make one."),
    ] = None,
    server_managed: Annotated[
        bool, typer.Option("--server-managed", help="The server makes and keeps it: snapshot, timestamp.")
    ] = False,
) -> None:
    """Replace the key of a role; the root key has to be here.

    The old key stays in the trust directory. Readers follow a new root key without doing anything.

    Example:
      notarypy key rotate registry.example.com/app targets
      notarypy key rotate registry.example.com/app snapshot --server-managed
    """
    session: Run = context.obj
    session.begin(context)
    references.check_repositories([repo], literal=session.options.gun)
    if role == "root":
        session.confirm("Go on?", f"the root key of {repo} is replaced")
    with session.client() as client, session.trying(repo):
        done = client.keys.rotate(repo, role, key=key, server_managed=server_managed)
        session.report.done(repo, rotated_json(done), *_lines(done))
        if done.role == "snapshot" and done.published and not done.server_managed:
            session.report.warn(
                f"the snapshot key of {done.repository} is only here: "
                "signers elsewhere cannot publish without it"
            )


def _lines(done: RotatedKey) -> list[str]:
    if not done.published:
        return [f"this is the {done.role} key of {done.repository} already; nothing was published"]
    told = [f"rotated {done.role} of {done.repository}: {_ids(done.old)} is replaced by {_ids(done.new)}"]
    if done.role == "root":
        told += [f"root pin: {pin}" for pin in done.root_pins]
    return told


def _ids(keyids: tuple[str, ...]) -> str:
    return ", ".join(keyid[: render.SHORT_ID] for keyid in keyids)


def rotated_json(done: RotatedKey) -> dict[str, Any]:
    """Return what became of a role's keys."""
    return {
        "repository": done.repository,
        "role": done.role,
        "old": list(done.old),
        "new": list(done.new),
        "root_pins": list(done.root_pins),
        "server_managed": done.server_managed,
        "published": done.published,
    }


app = group("Private keys: make, load, list, export, import, change, remove, rotate.")


@app.command("generate")
def generate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signer's name.")],
    *,
    directory: Annotated[str, typer.Option("--dir", metavar="DIR", help="Where NAME.pub goes.")] = ".",
    alg: Annotated[Literal["ecdsa", "rsa"], typer.Option(help="The kind of key.")] = "ecdsa",
) -> None:
    """Make a signer's key: the private half is stored, the public half is NAME.pub.

    Example:
      notarypy key generate jeff --dir keys
    """
    session: Run = context.obj
    session.begin(context)
    short = roles.signer_name(roles.signer_role(name))
    path = Path(directory) / f"{short.replace('/', '_')}.pub"
    with session.client() as client, session.trying(name), new_file(path) as stream:
        info, public = client.keys.generate(name, algorithm=alg)
        stream.write(public)
        data = {**to_json(info), "public_key": str(path)}
        session.report.done(name, data, f"generated key {info.keyid} ({short}); public key: {path}")


@app.command("load")
def load(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Private keys in PEM; - is stdin.")],
    *,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The signer's name, if the file does not say; default: signer."),
    ] = None,
) -> None:
    """Store private keys: of openssl, Go notary or docker, EC or RSA, encrypted or not.

    An encrypted file takes its passphrase from --passphrase-file or a prompt; the stored key takes its
    own from the usual places.

    Example:
      notarypy key load delegation.key --name jeff
    """
    session: Run = context.obj
    session.begin(context)
    data = userfiles.read(file)
    with session.client() as client, session.trying(file):
        for info in client.keys.load(data, name=name):
            session.report.done(
                file, to_json(info), f"loaded key {info.keyid} ({roles.signer_name(info.role)})"
            )


@app.command("list")
def list_keys(context: typer.Context) -> None:
    """List the private keys of the trust directory.

    Example:
      notarypy key list
    """
    session: Run = context.obj
    session.begin(context)
    with session.client(asking=False) as client:
        infos = client.keys.list()
    for info in infos:
        session.report.done(info.keyid, to_json(info))
    rows = [(info.role, info.gun or "", info.keyid, str(info.path)) for info in infos]
    if rows:
        session.report.text(render.table(("ROLE", "GUN", "KEY ID", "LOCATION"), rows) + "\n")


@app.command("export")
def export(
    context: typer.Context,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Names, or at least 7 digits of ids.")],
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, mode 0600.")
    ] = None,
) -> None:
    """Print keys as they are stored, encrypted, in the form that notary key import reads.

    Example:
      notarypy key export jeff -o jeff.pem
    """
    session: Run = context.obj
    session.begin(context, hold=True)
    if output is not None:
        require_directory(Path(output))
        if Path(output).exists():
            session.confirm("Overwrite it?", f"{output} exists")
    exported = []
    with session.client() as client:
        for key in keys:
            with session.trying(key):
                info = client.keys.find(key)
                exported.append(client.keys.export([info.keyid]))
                told = {"pem": exported[-1].decode()} if output is None else {"file": output}
                session.report.done(key, {**to_json(info), **told})
    if session.report.exit_code == 0 and output is not None:
        files.write_atomic(Path(output), b"".join(exported))
    elif output is None:
        session.report.text(b"".join(exported).decode())


@app.command("import")
def import_keys(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Exported keys; - is stdin.")],
) -> None:
    """Take over keys that key export or notary key export wrote, all of them or none.

    Role, repository and passphrase stay as they are; no passphrase is needed.

    Example:
      notarypy key import root.pem
    """
    session: Run = context.obj
    session.begin(context)
    data = userfiles.read(file)
    with session.client(asking=False) as client, session.trying(file):
        for imported in client.keys.import_(data):
            key = f"key {imported.key.keyid} ({roles.signer_name(imported.key.role)})"
            line = f"{key} is here already; it was left as it is" if imported.already else f"imported {key}"
            session.report.done(file, {**to_json(imported.key), "already": imported.already}, line)


@app.command("passwd")
def passwd(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A name, or at least 7 digits of an id.")],
    *,
    new_passphrase_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The new passphrase, in place of a variable or a prompt."),
    ] = None,
) -> None:
    """Change the passphrase of a key.

    The present one comes from the usual places, the new one from --new-passphrase-file,
    NOTARYPY_NEW_PASSPHRASE, NOTARYPY_NEW_PASSPHRASE_FILE or a prompt.

    Example:
      notarypy key passwd jeff --new-passphrase-file new.txt
    """
    from notarypy.cli.text import terminal
    from notarypy.keys.passphrases import new_passphrase_chain

    session: Run = context.obj
    session.begin(context)
    path = None if new_passphrase_file is None else Path(new_passphrase_file)
    new = new_passphrase_chain(os.environ, path, terminal.secret if terminal.present() else None)
    with session.client() as client, session.trying(key):
        info = client.keys.change_passphrase(key, new.for_new)
        named = f"key {info.keyid} ({roles.signer_name(info.role)})"
        session.report.done(key, to_json(info), f"changed the passphrase of {named}")


@app.command("remove")
def remove(
    context: typer.Context,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Names, or at least 7 digits of ids.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even the last copy of a root key that is needed.")
    ] = False,
) -> None:
    """Delete private keys from the trust directory.

    If one of them is not here, none is deleted. What they signed stays signed. The last copy of a root key
    that a repository known here needs is kept.

    Example:
      notarypy key remove --yes jeff
    """
    session: Run = context.obj
    session.begin(context)
    with session.client(asking=False) as client:
        found: dict[str, KeyInfo] = {}
        for key in keys:
            with session.trying(key):
                info = client.keys.find(key)
                if all(info.keyid != other.keyid for other in found.values()):
                    found[key] = info
        if session.report.exit_code != 0:
            return
        listed = ", ".join(f"{roles.signer_name(info.role)} ({info.keyid[:7]})" for info in found.values())
        session.confirm("Go on?", f"these keys are deleted for good: {listed}")
        for key, info in found.items():
            with session.trying(key):
                removed = client.keys.remove(info.keyid, force=force)
                named = f"key {removed.keyid} ({roles.signer_name(removed.role)})"
                session.report.done(key, to_json(removed), f"removed {named}")


app.command("rotate")(rotate)


def to_json(info: KeyInfo) -> dict[str, Any]:
    """Return what is known of a key."""
    return {
        "keyid": info.keyid,
        "role": info.role,
        "gun": info.gun,
        "path": str(info.path),
        "encrypted": info.encrypted,
    }
