"""`notarypy key`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from notarypy import files
from notarypy.cli import inputs, render
from notarypy.cli.app import group
from notarypy.errors import AlreadyExistsError, StorageError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.cli.session import Session
    from notarypy.keys.keystore import KeyInfo

app = group("Private keys: make, load, list, export.")

_PUBLIC_MODE = 0o644


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
    session: Session = context.obj
    session.begin(context)
    short = roles.signer_name(roles.signer_role(name))
    path = Path(directory) / f"{short.replace('/', '_')}.pub"
    with session.client() as client, session.trying(name), _new_file(path) as stream:
        info, public = client.generate_key(name, algorithm=alg)
        stream.write(public)
        data = {**to_json(info), "public_key": str(path)}
        session.report.done(name, data, f"generated key {info.keyid} ({short}); public key: {path}")


def _exists(path: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{path} exists", why="it may be the public half of another key", fix="move it away, or use --dir"
    )


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file that must not exist, before anything else is made; what fails takes it away again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PUBLIC_MODE)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise StorageError(
            f"cannot write the public key to {path}",
            why=error.strerror or "",
            fix="make the directory, or use --dir",
        ) from None
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, no path
            yield stream
    except BaseException:
        path.unlink(missing_ok=True)
        raise


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
    session: Session = context.obj
    session.begin(context)
    data = inputs.read(file)
    with session.client() as client, session.trying(file):
        for info in client.load_key(data, name=name):
            session.report.done(
                file, to_json(info), f"loaded key {info.keyid} ({roles.signer_name(info.role)})"
            )


@app.command("list")
def list_keys(context: typer.Context) -> None:
    """List the private keys of the trust directory.

    Example:
      notarypy key list
    """
    session: Session = context.obj
    session.begin(context)
    with session.client(asking=False) as client:
        infos = client.keys()
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
    session: Session = context.obj
    session.begin(context, hold=True)
    if output is not None and Path(output).exists():
        session.confirm("Overwrite it?", f"{output} exists")
    exported = []
    with session.client() as client:
        for key in keys:
            with session.trying(key):
                info = client.find_key(key)
                exported.append(client.export_keys([info.keyid]))
                told = {"pem": exported[-1].decode()} if output is None else {"file": output}
                session.report.done(key, {**to_json(info), **told})
    if session.report.exit_code == 0 and output is not None:
        files.write_atomic(Path(output), b"".join(exported))
    elif output is None:
        session.report.text(b"".join(exported).decode())


def to_json(info: KeyInfo) -> dict[str, Any]:
    """Return what is known of a key."""
    return {
        "keyid": info.keyid,
        "role": info.role,
        "gun": info.gun,
        "path": str(info.path),
        "encrypted": info.encrypted,
    }
