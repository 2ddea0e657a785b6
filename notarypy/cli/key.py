"""`notarypy key`: the private keys of the trust directory, and which of them a role has."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from notarypy.cli import userfiles
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.keyexport import export, passwd
from notarypy.cli.namedkeys import KEY, begin_on, label
from notarypy.cli.rotate import certify, rotate
from notarypy.cli.run import Context, begin
from notarypy.cli.text import render
from notarypy.errors import Advice, UsageError
from notarypy.keys.passphrases import PROMPT
from notarypy.keys.signers import is_uri
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.client.keys.migrating import MigratedKeys
    from notarypy.keys.keyinfo import KeyInfo, StoredKey

app = Commands("Private keys: make, load, list, export, remove and rotate.")

_STORED = f"{KEY} already passphrase_from"
_ROLES = ("root", "targets", "snapshot")


@app.command("generate")
def generate(
    context: Context,
    name: Annotated[str, Argument(metavar="NAME", help="The signer's name.")],
    *,
    directory: Annotated[str, Option("--dir", metavar="DIR", help="Where NAME.pub goes.")] = ".",
    alg: Annotated[Literal["ecdsa", "rsa"], Option(help="The kind of key.")] = "ecdsa",
    uri: Annotated[
        str | None,
        Option("--in", metavar="URI", help="Where it is made and stays: pkcs11:..., hashivault://..."),
    ] = None,
) -> None:
    """Make a signer's key.

    Its private half is stored, its public half is written to NAME.pub. With --in it is made on a token, in a
    KMS or in Vault and stays there; NAME may be root, targets or snapshot then.

    Example:
      notarypy key generate jeff --dir keys
      notarypy key generate jeff --in hashivault://jeff
    """
    run = begin(context)
    if uri is None or name not in _ROLES:
        roles.key_name(name)
    short = roles.signer_name(name)
    path = Path(directory) / f"{short.replace('/', '_')}.pub"
    with run.client() as client, run.trying(name), userfiles.new_file(path) as stream:
        info, public = client.keys.generate(name, algorithm=alg, uri=uri)
        made = f"the key is made, and is {info.keyid}" + (f" at {info.uri}" if info.uri else "")
        userfiles.write_new(stream, path, public, made)
        data = {**render.fields(info, _STORED), "public_key": str(path)}
        line = f"generated key {info.keyid} ({short}); public key: {path}"
        run.report.done(name, data, line, _encrypted(info) if info.uri is None else f"it is at {info.uri}")


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
    """Store private keys of openssl, Go notary or docker.

    They are EC or RSA, encrypted or not. An encrypted file is opened with the first passphrase that
    fits, of those that notarypy help passphrases lists. The stored key gets the first of them that has a
    value, and the output says which: with --passphrase-file it is that one.

    Example:
      notarypy key load delegation.key --name jeff
    """
    run = begin_on(context, file)
    data = _read(file, "loaded")
    with run.client() as client, run.trying(file), userfiles.named(file):
        for info in client.keys.load(data, name=name):
            lines = [f"loaded {label(info)}", _encrypted(info)]
            if info.already:
                lines = [f"{_left(info)}, and so was its passphrase" if info.uri is None else _left(info)]
            run.report.done(file, render.fields(info, _STORED), *lines)


@app.command("add")
def add(
    context: Context,
    uri: Annotated[str, Argument(metavar="URI", help="Where the key is, in a form as below.")],
    *,
    name: Annotated[
        str, Option(metavar="NAME", help="The signer's name, or root, targets or snapshot.")
    ] = "signer",
) -> None:
    """Note where a key is, on a token, in a KMS or in Vault.

    Its public half is read, and nothing is signed. From then on it is used as a key that is here.

    Example:
      notarypy key add hashivault://release --name jeff
      notarypy key add awskms:///alias/release --name root
      notarypy key add 'pkcs11:token=release;object=jeff' --name jeff
      notarypy key add azurekms://VAULT.vault.azure.net/KEY
      notarypy key add gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K
    """
    run = begin_on(context, uri)
    with run.client() as client, run.trying(uri):
        info = client.keys.add(uri, name=name)
        how = "was here already" if info.already else "stays where it is"
        how = how if info.moved_from is None else f"was at {info.moved_from}"
        line = f"{label(info)} {how}, and is at {info.uri or str(info.path)}"
        run.report.done(uri, render.fields(info, f"{KEY} already"), line)


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
    run = begin_on(context, key)
    with run.client() as client, run.trying(key):
        found = client.keys.test(key)
        data = {**render.fields(found.key, KEY), "properties": dict(found.properties)}
        lines = [f"{label(found.key)} signs, and its signature is valid"]
        lines += [f"  {name}: {value}" for name, value in found.properties.items()]
        run.report.done(key, data, *lines)


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
        run.report.done(info.keyid, partial(render.fields, info, KEY))
    rows = [(info.role, info.gun or "", info.keyid, info.uri or str(info.path)) for info in infos]
    if rows:
        run.report.table(("ROLE", "GUN", "KEY ID", "LOCATION"), rows)
    else:  # the directory may be one that is not meant
        run.report.warn(f"no keys in {client.settings.trust_dir}")


app.command("export")(export)


@app.command("import")
def import_keys(
    context: Context, file: Annotated[str, Argument(metavar="FILE", help="Exported keys; - is stdin.")]
) -> None:
    """Take over keys that key export or notary key export wrote.

    It takes all of them, or none. Role, repository and passphrase stay as they are; no passphrase is needed.

    Example:
      notarypy key import root.pem
    """
    run = begin_on(context, file)
    data = _read(file, "imported")
    with run.client(asking=False) as client, run.trying(file), userfiles.named(file):
        for imported in client.keys.import_(data):
            lines = [f"imported {label(imported.key)}", "its passphrase is the one that it had"]
            if imported.already:
                lines = [_left(imported.key)]
            run.report.done(file, {**render.fields(imported.key, KEY), "already": imported.already}, *lines)


app.command("passwd")(passwd)


@app.command("migrate")
def migrate(
    context: Context,
    *,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be moved.")] = False,
) -> None:
    """Move keys out of the folders of Notary before 0.4.

    Those are root_keys and tuf_keys; each key becomes a file that docker and Go notary read, encrypted as
    it is. The old files go to a folder beside, and nothing is deleted. Certificates of roots, in
    trusted_certificates, stay while they are all that says which root a repository has.

    Example:
      notarypy key migrate --dry-run
      notarypy key migrate
    """
    run = begin(context)
    with run.client(asking=False) as client:
        place = str(client.settings.trust_dir)
        with run.trying(place):
            found = client.keys.migrate(dry_run=dry_run)
            run.report.done(
                place, _migrated(found), *(_migration_lines(found) or [f"nothing old is in {place}"])
            )
            for error in found.left:
                run.report.failed([str(error.facts.get("path", place))], error)


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
    run = begin_on(context, key)
    with run.client(asking=False) as client, run.trying(key):
        info = client.keys.rename(key, name)
        run.report.done(key, render.fields(info, KEY), f"key {info.keyid} is called {name} now")


@app.command("remove")
def remove(
    context: Context,
    keys: Annotated[list[str], Argument(metavar="KEY...", help="Names, or at least 7 digits of ids.")],
    *,
    force: Annotated[
        bool, Option("--force", help="Even the last copy of a root key that is needed.")
    ] = False,
) -> None:
    """Delete private keys from the trust directory.

    The last copy of a root key that a repository known here needs is kept. If that is one of them, or if one
    is not here, none is deleted. What they signed stays signed. A key on a token, in a KMS or in Vault stays
    there, and is not used from here any more.

    Example:
      notarypy key remove --yes jeff
    """
    run = begin_on(context, *keys)
    with run.client(asking=False) as client:
        found: dict[str, KeyInfo] = {}
        for key in keys:
            with run.trying(key):
                info = client.keys.find(key, damaged=True)
                if all(info.keyid != other.keyid for other in found.values()):
                    found[key] = info
        ids = [info.keyid for info in found.values()]
        for key, keyid in zip(found, ids, strict=True) if run.report.exit_code == 0 else ():
            with run.trying(key):
                client.keys.remove(keyid, force=force, dry_run=True, others=ids)
        if run.report.exit_code != 0:
            return
        for elsewhere in (False, True):
            some = [info for info in found.values() if info.refers == elsewhere]
            listed = ", ".join(f"{roles.signer_name(info.role)} ({info.keyid[:7]})" for info in some)
            what = "forgotten here, and stay where they are" if elsewhere else "deleted for good"
            if some:
                run.confirm("Go on?", f"these keys are {what}: {listed}")
        for key, info in found.items():
            with run.trying(key):
                removed = client.keys.remove(info.keyid, force=force)
                stays = "" if removed.uri is None else f" from here; it stays at {removed.uri}"
                run.report.done(key, render.fields(removed, KEY), f"removed {label(removed)}{stays}")


app.command("rotate")(rotate)
app.command("certify")(certify)


def _read(file: str, done: str) -> bytes:
    """Return what a file of private keys holds; of a key at a URI there is none."""
    if is_uri(file):
        raise UsageError(f"what is {done} is a file", why=f"{file} is a URI", advice=Advice("note-uri"))
    return userfiles.read(file)


def _left(info: KeyInfo) -> str:
    """Say that a key was here."""
    where = "is here already" if info.uri is None else f"is at {info.uri}, and not stored"
    return f"{label(info)} {where}; it was left as it is"


def _encrypted(info: StoredKey) -> str:
    """Say which passphrase a new key has, by where it is from."""
    source = "that was typed" if info.passphrase_from == PROMPT else f"of {info.passphrase_from}"
    return f"encrypted with the passphrase {source}"


def _migrated(found: MigratedKeys) -> dict[str, object]:
    return {
        "keys": [{**vars(key), "source": str(key.source), "path": str(key.path)} for key in found.keys],
        "others": list(map(str, found.others)),
        "misnamed": list(map(str, found.misnamed)),
        "backup": None if found.backup is None else str(found.backup),
        "known_roots": [{**vars(known), "path": str(known.path)} for known in found.known_roots],
        "dry_run": found.dry_run,
    }


def _migration_lines(found: MigratedKeys) -> list[str]:
    would = "would be" if found.dry_run else "is now"
    lines = [f"{render.old_key(key)} {would} at {key.path}" for key in found.keys if not key.already]
    lines += render.unused_old_files(found)
    if found.backup is not None:
        lines.append(f"the old files are in {found.backup}: delete it once the keys have been used")
    for known in found.known_roots:
        pins = " ".join(f"--root {pin}" for pin in known.root_pins)
        lines.append(f"{known.path} stays: it says which root {known.repository} has: {pins}")
    return lines
