"""`docker trust signer`: who may sign; and `docker trust key`: make and load signing keys.

What it is: several repositories, one after the other, and docker's rules for names and files, in docker's
words. What it is not: how a delegation is made or removed (`client.publish.delegations`), key files
(`keys.formats.pem`), or where keys are kept.

Rules:

1. Every repository is tried; one that failed makes the exit code 1.
2. A signer whose removal would leave images that nobody can verify is removed only with a yes or `--force`.
   Any other removal really happens, and is not asked about.
3. A file that others can read or write is not loaded: its key is not secret.
4. What only a removed signer signed stays signed, as docker has it, and is named in warnings.
5. A key that is elsewhere may be added by its URI; it is not noted here for that.
6. Success is said when the key is stored, and never of a key that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import system
from notarypy.cli.dockertrust.shell import FailureError, Shell, error_text, image, signer_name
from notarypy.cli.userfiles import new_file, write_new
from notarypy.errors import (
    InvalidNameError,
    KeyNotAuthorisedError,
    NotarypyError,
    RepositoryMissingError,
    UnsupportedKeyError,
)
from notarypy.keys.signers import is_uri
from notarypy.limits import DEFAULT
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.cli.cobra import CommandLine
    from notarypy.client.api import Client
    from notarypy.tuf.vouching import RestingTag

_RELEASES = "releases"
_OTHERS = 0o077
_MODE = 0o600


def add(shell: Shell, line: CommandLine) -> None:
    """Add a signer to repositories; one without trust data is initialised."""
    name, *repositories = line.arguments
    signer_name(name, "signer")
    if name == _RELEASES:
        raise FailureError("releases is a reserved keyword, use a different signer name")
    files = line.texts("key")
    if not files:
        raise FailureError("path to a public key must be provided using the `--key` flag")
    read = {path: _read(path, private=False) for path in files if not is_uri(path)}
    with shell.client() as client:
        keys = [read[word] if word in read else client.keys.public(word, name=name) for word in files]
        _check_keys(client, files, keys)

        def one(text: str) -> None:
            shell.out(f'Adding signer "{name}" to {text}...')
            added = client.add_signer(name, image(text).repository, keys)
            if added.created is not None:
                shell.out(f"Initializing signed repository for {text}...")
                shell.out(f'Successfully initialized "{text}"')
            shell.out(f"Successfully added signer: {name} to {text}")
            shell.out()

        _each(shell, repositories, one, "failed to add signer to")


def remove(shell: Shell, line: CommandLine) -> None:
    """Remove a signer from repositories."""
    name, *repositories = line.arguments
    with shell.client() as client:

        def one(text: str) -> None:
            shell.out(f'Removing signer "{name}" from {text}...')
            _remove(shell, client, name, text, force=line.switch("force"))

        _each(shell, repositories, one, "error removing signer from")


def _remove(shell: Shell, client: Client, name: str, text: str, *, force: bool) -> None:
    repository = image(text).repository
    if name == _RELEASES:
        raise FailureError("releases is a reserved keyword and cannot be removed")
    try:
        roles.signer_role(name)
        removed = client.remove_signer(name, repository, force=force, tags="keep")
    except InvalidNameError:
        raise FailureError(f"no signer {name} for repository {text}") from None
    except RepositoryMissingError as error:
        raise FailureError(error_text(error, f"error retrieving signers for {text}: ")) from None
    except KeyNotAuthorisedError as error:
        if "needed" not in error.facts:
            raise
        _ask(shell, name, text, error)
        _remove(shell, client, name, text, force=True)
        return
    _warn_of_resting(shell, name, text, removed.resting)
    if removed.unreadable:
        who = ", ".join(removed.needed) or "a signer"
        shell.warn(f"{', '.join(removed.unreadable)} of {text} cannot be verified until {who} signs again")
    shell.out(f"Successfully removed {name} from {text}")
    shell.out()


def _warn_of_resting(shell: Shell, name: str, text: str, tags: Sequence[RestingTag]) -> None:
    """Name the tags that stay signed although only the removed signer signed them (rule 4)."""
    if tags:
        shell.warn(f"only {name} signed these tags of {text}, and they stay signed:")
        shown = dict.fromkeys((one.tag, one.digest or "no sha256") for one in tags)
        for tag, digest in shown:
            shell.warn(f"  {tag} {digest}")
        shell.warn(f"if the key was stolen, revoke them: {shell.name} revoke {text}:TAG")


def _ask(shell: Shell, name: str, text: str, error: NotarypyError) -> None:
    """Go on only with a yes (rule 2)."""
    for line in (error.message, *error.why):
        shell.err(line)
    question = (
        f'The signer "{name}" signed the last released version of {text}. '
        f"Removing this signer will make {text} unpullable. Are you sure you want to continue?"
    )
    if not shell.agreed(question, "add --force if this is what you want"):
        raise FailureError(f"{name} was not removed from {text}: the answer was not yes")


def _each(shell: Shell, texts: Sequence[str], one: Callable[[str], None], summary: str) -> None:
    """Do one thing for every repository (rule 1)."""
    failed = []
    for text in texts:
        try:
            one(text)
        except (FailureError, NotarypyError) as error:
            said = error_text(error) if isinstance(error, NotarypyError) else error
            shell.err(f"{said}\n")
            failed.append(text)
    if failed:
        raise FailureError(f"{summary}: {', '.join(failed)}")


def _check_keys(client: Client, files: Sequence[str], keys: Sequence[bytes]) -> None:
    for path, data in zip(files, keys, strict=True):
        try:
            client.keys.check_public(data)
        except UnsupportedKeyError as error:
            reason = f"could not parse public key from file: {path}: no valid public key found"
            raise FailureError(f"{reason}\n{error_text(error, '  why: ')}") from None


def generate(shell: Shell, line: CommandLine) -> None:
    """Make a key; its public half goes to a file of its own."""
    name = signer_name(line.arguments[0], "key")
    folder = line.text("dir") or None
    path = (Path.cwd() if folder is None else Path(folder)) / f"{name}.pub"
    if not path.parent.is_dir():
        raise FailureError(f'public key path does not exist: "{folder}"')
    if path.exists():
        raise FailureError(f'public key file already exists: "{path}"')
    shell.out(f"Generating key for {name}...")
    try:
        with shell.client() as client, new_file(path, _MODE) as stream:
            made, public = client.keys.generate(name)
            write_new(stream, path, public, f"the key is made, and is {made.keyid}")
    except NotarypyError as error:
        raise FailureError(error_text(error, f"failed to generate key for {name}: ")) from None
    shell.out(f"Successfully generated and loaded private key. Corresponding public key available: {path}")


def load(shell: Shell, line: CommandLine) -> None:
    """Store the private keys of a file."""
    from notarypy.keys.formats.urisecrets import require_none

    path, name = line.arguments[0], line.text("name") or None
    require_none([path])  # docker's words repeat whatever it is
    if name is not None:
        signer_name(name, "key")
    shell.out(f'Loading key from "{path}"...')
    data, before = _read(path, private=True), f"error importing key from {path}: "
    try:
        with shell.client() as client:
            client.keys.load(data, name=name)
    except UnsupportedKeyError as error:
        kind = (
            f"provided file {path} is not a supported private key - "
            "to add a signer's public key use docker trust signer add"
        )
        raise FailureError(f"{before}{kind}\n{error_text(error, '  why: ')}") from None
    except NotarypyError as error:
        raise FailureError(error_text(error, before)) from None
    shell.out(f"Successfully imported key from {path}")


def _read(path: str, *, private: bool) -> bytes:
    """Return what a key file holds; a private one is its owner's alone (rule 3)."""
    before, verb, it = "unable to read public key from file", "open", path
    if private:
        before, verb, it = f"refusing to load key from {path}", "stat", "it"
    most = DEFAULT.named_file_bytes
    try:
        if private and system.permissions(Path(path).stat()) & _OTHERS:
            why = f"private key file {path} must not be readable or writable by others"
            raise FailureError(f"{before}: {why}")
        with Path(path).open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "its name is not usable").lower()
        raise FailureError(f"{before}: {verb} {path}: {reason}") from None
    if len(data) > most:
        raise FailureError(f"{before}: {it} has more than {most} bytes")
    return data
