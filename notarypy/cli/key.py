"""`notarypy key`: the private keys of the trust directory, and which of them a role has."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from notarypy import files
from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.run import Context, begin
from notarypy.cli.text import render, terminal
from notarypy.keys.passphrases import PROMPT, new_passphrase_chain
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.client.results import RotatedKey
    from notarypy.keys.keyinfo import KeyInfo, StoredKey

app = Commands("Private keys: make, load, list, export, import, change, remove, rotate.")

_KEY = "keyid role gun path encrypted uri"
_STORED = f"{_KEY} already passphrase_from"
_Keys = Annotated[list[str], Argument(metavar="KEY...", help="Names, or at least 7 digits of ids.")]


@app.command("generate")
def generate(
    context: Context,
    name: Annotated[str, Argument(metavar="NAME", help="The signer's name.")],
    *,
    directory: Annotated[str, Option("--dir", metavar="DIR", help="Where NAME.pub goes.")] = ".",
    alg: Annotated[Literal["ecdsa", "rsa"], Option(help="The kind of key.")] = "ecdsa",
) -> None:
    """Make a signer's key: the private half is stored, the public half is NAME.pub.

    Example:
      notarypy key generate jeff --dir keys
    """
    run = begin(context)
    short = roles.signer_name(roles.signer_role(name))
    path = Path(directory) / f"{short.replace('/', '_')}.pub"
    with run.client() as client, run.trying(name), userfiles.new_file(path) as stream:
        info, public = client.keys.generate(name, algorithm=alg)
        stream.write(public)
        data = {**render.fields(info, _STORED), "public_key": str(path)}
        lines = f"generated key {info.keyid} ({short}); public key: {path}", _encrypted(info)
        run.report.done(name, data, *lines)


@app.command("add")
def add(
    context: Context,
    uri: Annotated[str, Argument(metavar="URI", help="Where the key is: pkcs11:..., hashivault://...")],
    *,
    name: Annotated[
        str, Option(metavar="NAME", help="The signer's name, or root, targets or snapshot.")
    ] = "signer",
) -> None:
    """Note where a key is that stays on its token, in its KMS or in Vault.

    Its public half is read, and nothing is signed. From then on it is used as a key that is here.

    Example:
      notarypy key add hashivault://release --name jeff
      notarypy key add awskms:///alias/release --name root
    """
    run = begin(context)
    with run.client() as client, run.trying(uri):
        info = client.keys.add(uri, name=name)
        how = "was here already, and" if info.already else "stays where it is, and"
        line = f"{_named(info)} {how} is at {_place(info)}"
        run.report.done(uri, render.fields(info, f"{_KEY} already"), line)


@app.command("test")
def test(
    context: Context,
    key: Annotated[str, Argument(metavar="KEY", help="A name, or at least 7 digits of an id.")],
) -> None:
    """Let a key sign a random challenge, and verify that signature.

    Of a key on a token, in a KMS or in Vault it says what that allows.

    Example:
      notarypy key test jeff
    """
    run = begin(context)
    with run.client() as client, run.trying(key):
        found = client.keys.test(key)
        data = {**render.fields(found.key, _KEY), "properties": dict(found.properties)}
        lines = [f"{_named(found.key)} signs, and its signature is valid"]
        lines += [f"  {name}: {value}" for name, value in found.properties.items()]
        run.report.done(key, data, *lines)


@app.command("load")
def load(
    context: Context,
    file: Annotated[str, Argument(metavar="FILE", help="Private keys in PEM; - is stdin.")],
    *,
    name: Annotated[
        str | None,
        Option(metavar="NAME", help="The signer's name, if the file does not say; default: signer."),
    ] = None,
) -> None:
    """Store private keys: of openssl, Go notary or docker, EC or RSA, encrypted or not.

    An encrypted file is opened with the first of the usual passphrases that fits. The stored key gets the
    first of them that has a value, and the output says which: with --passphrase-file it is that one.

    Example:
      notarypy key load delegation.key --name jeff
    """
    run = begin(context)
    data = userfiles.read(file)
    with run.client() as client, run.trying(file), userfiles.named(file):
        for info in client.keys.load(data, name=name):
            already = f"{_named(info)} is here already; it was left as it is, and so was its passphrase"
            lines = [already] if info.already else [f"loaded {_named(info)}", _encrypted(info)]
            run.report.done(file, render.fields(info, _STORED), *lines)


@app.command("list")
def list_keys(context: Context) -> None:
    """List the private keys of the trust directory.

    Example:
      notarypy key list
    """
    run = begin(context)
    with run.client(asking=False) as client:
        infos = client.keys.list()
    for info in infos:
        run.report.done(info.keyid, partial(render.fields, info, _KEY))
    rows = [(info.role, info.gun or "", info.keyid, _place(info)) for info in infos]
    if rows:
        run.report.table(("ROLE", "GUN", "KEY ID", "LOCATION"), rows)
    else:  # the directory may be one that is not meant
        run.report.warn(f"no keys in {client.settings.trust_dir}")


@app.command("export")
def export(
    context: Context,
    keys: _Keys,
    *,
    output: Annotated[
        str | None, Option("--output", "-o", metavar="FILE", help="Write to this file, mode 0600.")
    ] = None,
) -> None:
    """Print keys as they are stored, encrypted, in the form that notary key import reads.

    Example:
      notarypy key export jeff -o jeff.pem
    """
    run = begin(context, hold=True)
    if output is not None:
        userfiles.require_directory(Path(output))
        if Path(output).exists():
            run.confirm("Overwrite it?", f"{output} exists")
    exported = []
    with run.client() as client:
        for key in keys:
            with run.trying(key):
                info = client.keys.find(key)
                exported.append(client.keys.export([info.keyid]))
                data = {"pem": exported[-1].decode()} if output is None else {"file": output}
                run.report.done(key, {**render.fields(info, _KEY), **data})
    if run.report.exit_code == 0 and output is not None:
        files.write_atomic(Path(output), b"".join(exported))
    elif output is None:
        run.report.text(b"".join(exported).decode())


@app.command("import")
def import_keys(
    context: Context, file: Annotated[str, Argument(metavar="FILE", help="Exported keys; - is stdin.")]
) -> None:
    """Take over keys that key export or notary key export wrote, all of them or none.

    Role, repository and passphrase stay as they are; no passphrase is needed.

    Example:
      notarypy key import root.pem
    """
    run = begin(context)
    data = userfiles.read(file)
    with run.client(asking=False) as client, run.trying(file), userfiles.named(file):
        for imported in client.keys.import_(data):
            key = _named(imported.key)
            lines = [f"imported {key}", "its passphrase is the one that it had"]
            if imported.already:
                lines = [f"{key} is here already; it was left as it is"]
            run.report.done(file, {**render.fields(imported.key, _KEY), "already": imported.already}, *lines)


@app.command("passwd")
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
    run = begin(context)
    path = None if new_passphrase_file is None else Path(new_passphrase_file)
    new = new_passphrase_chain(os.environ, path, terminal.secret if terminal.present() else None)
    with run.client() as client, run.trying(key):
        info = client.keys.change_passphrase(key, new.for_new)
        run.report.done(key, render.fields(info, _KEY), f"changed the passphrase of {_named(info)}")


@app.command("rename")
def rename(
    context: Context,
    key: Annotated[str, Argument(metavar="KEY", help="A name, or at least 7 digits of an id.")],
    name: Annotated[str, Argument(metavar="NAME", help="The name from now on.")],
) -> None:
    """Give a signer's key another name in this trust directory.

    Names of signers in repositories stay as they are, and so does the passphrase.

    Example:
      notarypy key rename signer jeff
    """
    run = begin(context)
    with run.client(asking=False) as client, run.trying(key):
        info = client.keys.rename(key, name)
        run.report.done(key, render.fields(info, _KEY), f"key {info.keyid} is called {name} now")


@app.command("remove")
def remove(
    context: Context,
    keys: _Keys,
    *,
    force: Annotated[
        bool, Option("--force", help="Even the last copy of a root key that is needed.")
    ] = False,
) -> None:
    """Delete private keys from the trust directory.

    If one of them is not here, none is deleted. What they signed stays signed. The last copy of a root key
    that a repository known here needs is kept.

    Example:
      notarypy key remove --yes jeff
    """
    run = begin(context)
    with run.client(asking=False) as client:
        found: dict[str, KeyInfo] = {}
        for key in keys:
            with run.trying(key):
                info = client.keys.find(key)
                if all(info.keyid != other.keyid for other in found.values()):
                    found[key] = info
        if run.report.exit_code != 0:
            return
        listed = ", ".join(f"{roles.signer_name(info.role)} ({info.keyid[:7]})" for info in found.values())
        run.confirm("Go on?", f"these keys are deleted for good: {listed}")
        for key, info in found.items():
            with run.trying(key):
                removed = client.keys.remove(info.keyid, force=force)
                run.report.done(key, render.fields(removed, _KEY), f"removed {_named(removed)}")


@app.command("rotate")
def rotate(
    context: Context,
    repo: references.Repository,
    role: Annotated[str, Argument(metavar="ROLE", help="root, targets, snapshot or timestamp.")],
    *,
    key: Annotated[
        str | None,
        Option(metavar="KEYREF", help="The new key: one that is here, or a file; default: make one."),
    ] = None,
    server_managed: Annotated[
        bool, Option("--server-managed", help="The server makes and keeps it: snapshot, timestamp.")
    ] = False,
) -> None:
    """Replace the key of a role; the root key has to be here.

    The old key stays in the trust directory. Readers follow a new root key without doing anything.

    Example:
      notarypy key rotate registry.example.com/app targets
      notarypy key rotate registry.example.com/app snapshot --server-managed
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    if role == "root":
        run.confirm("Go on?", f"the root key of {repo} is replaced")
    with run.client() as client, run.trying(repo):
        done = client.keys.rotate(repo, role, key=key, server_managed=server_managed)
        data = render.fields(done, "repository role old new root_pins server_managed published")
        run.report.done(repo, data, *_rotated_lines(done))
        if done.role == "snapshot" and done.published and not done.server_managed:
            what = f"the snapshot key of {done.repository} is only here"
            run.report.warn(f"{what}: signers elsewhere cannot publish without it")


def _rotated_lines(done: RotatedKey) -> list[str]:
    if not done.published:
        return [f"this is the {done.role} key of {done.repository} already; nothing was published"]
    old, new = (", ".join(keyid[: render.SHORT_ID] for keyid in keyids) for keyids in (done.old, done.new))
    lines = [f"rotated {done.role} of {done.repository}: {old} is replaced by {new}"]
    return lines + ([f"root pin: {pin}" for pin in done.root_pins] if done.role == "root" else [])


def _place(info: KeyInfo) -> str:
    return info.uri or str(info.path)


def _named(info: KeyInfo) -> str:
    return f"key {info.keyid} ({roles.signer_name(info.role)})"


def _encrypted(info: StoredKey) -> str:
    """Say which passphrase a new key has, by where it is from."""
    typed = info.passphrase_from == PROMPT
    return f"encrypted with the passphrase {'that was typed' if typed else f'of {info.passphrase_from}'}"
