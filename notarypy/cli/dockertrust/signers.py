"""`docker trust signer`: who may sign.

What it is: several repositories, one after the other, in docker's words. What it is not: how a
delegation is made or removed (`client.publish.delegations`).

Rules:

1. Every repository is tried; one that failed makes the exit code 1.
2. A signer whose removal would leave images that nobody can verify is removed only with a yes
   or `--force`. Any other removal really happens, and is not asked about.

`docker trust key`: make signing keys, load signing keys.

What it is: docker's rules for names and files around the client's key calls. What it is not:
key files (`keys.formats.pem`) or where keys are kept.

Rules:

3. A file that others can read or write is not loaded: its key is not secret.
4. Success is said when the key is stored, and never of a key that is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.cli.dockertrust.shell import FailureError, image, signer_name, told
from notarypy.errors import (
    InvalidNameError,
    KeyNotAuthorisedError,
    NotarypyError,
    RepositoryMissingError,
    UnsupportedKeyError,
)
from notarypy.limits import DEFAULT
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.cli.dockertrust.grammar import Call
    from notarypy.cli.dockertrust.shell import Shell
    from notarypy.client.api import Client

_RELEASES = "releases"


def add(shell: Shell, call: Call) -> None:
    """Add a signer to repositories; one without trust data is initialised."""
    name, *repositories = call.arguments
    signer_name(name, "signer")
    if name == _RELEASES:
        raise FailureError("releases is a reserved keyword, use a different signer name")
    files = call.texts("key")
    if not files:
        raise FailureError("path to a public key must be provided using the `--key` flag")
    keys = [_public_file(path) for path in files]
    with shell.client() as client:
        _check_keys(client, files, keys)

        def one(text: str) -> None:
            shell.out(f'Adding signer "{name}" to {text}...')
            _add(shell, client, name, text, keys)

        _each(shell, repositories, one, "failed to add signer to")


def _add(shell: Shell, client: Client, name: str, text: str, keys: Sequence[bytes]) -> None:
    repository = image(text).repository
    try:
        added = client.add_signer(name, repository, keys)
    except NotarypyError as error:
        raise FailureError(told(error)) from None
    if added.created is not None:
        shell.out(f"Initializing signed repository for {text}...")
        shell.out(f'Successfully initialized "{text}"')
    shell.out(f"Successfully added signer: {name} to {text}")
    shell.out()


def remove(shell: Shell, call: Call) -> None:
    """Remove a signer from repositories."""
    name, *repositories = call.arguments
    with shell.client() as client:

        def one(text: str) -> None:
            shell.out(f'Removing signer "{name}" from {text}...')
            _remove(shell, client, name, text, force=call.switch("force"))

        _each(shell, repositories, one, "error removing signer from")


def _remove(shell: Shell, client: Client, name: str, text: str, *, force: bool) -> None:
    repository = image(text).repository
    if name == _RELEASES:
        raise FailureError("releases is a reserved keyword and cannot be removed")
    try:
        roles.signer_role(name)
        removed = client.remove_signer(name, repository, force=force)
    except InvalidNameError:
        raise FailureError(f"no signer {name} for repository {text}") from None
    except RepositoryMissingError as error:
        raise FailureError(told(error, f"error retrieving signers for {text}: ")) from None
    except KeyNotAuthorisedError as error:
        if "needed" not in error.facts:
            raise FailureError(told(error)) from None
        _ask(shell, name, text, error)
        _remove(shell, client, name, text, force=True)
        return
    except NotarypyError as error:
        raise FailureError(told(error)) from None
    if removed.unreadable:
        who = ", ".join(removed.needed) or "a signer"
        shell.warn(f"{', '.join(removed.unreadable)} of {text} cannot be verified until {who} signs again")
    shell.out(f"Successfully removed {name} from {text}")
    shell.out()


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
        except FailureError as failure:
            shell.err(f"{failure}\n")
            failed.append(text)
    if failed:
        raise FailureError(f"{summary}: {', '.join(failed)}")


def _public_file(path: str) -> bytes:
    most = DEFAULT.named_file_bytes
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "its name is not usable").lower()
        raise FailureError(f"unable to read public key from file: open {path}: {reason}") from None
    if len(data) > most:
        raise FailureError(f"unable to read public key from file: {path} has more than {most} bytes")
    return data


def _check_keys(client: Client, files: Sequence[str], keys: Sequence[bytes]) -> None:
    """Raise FailureError for the first file that holds no public key, before anything is asked."""
    for path, data in zip(files, keys, strict=True):
        try:
            client.keys.check_public(data)
        except UnsupportedKeyError as error:
            reason = f"could not parse public key from file: {path}: no valid public key found"
            raise FailureError(f"{reason}\n{told(error, '  why: ')}") from None


_OTHERS = 0o077
_MODE = 0o600


def generate(shell: Shell, call: Call) -> None:
    """Make a key; its public half goes to a file of its own."""
    from notarypy.cli.userfiles import new_file

    name = signer_name(call.arguments[0], "key")
    folder = call.text("dir") or None
    path = (Path.cwd() if folder is None else Path(folder)) / f"{name}.pub"
    if not path.parent.is_dir():
        raise FailureError(f'public key path does not exist: "{folder}"')
    if path.exists():
        raise FailureError(f'public key file already exists: "{path}"')
    shell.out(f"Generating key for {name}...")
    try:
        with shell.client() as client, new_file(path, _MODE) as stream:
            _, public = client.keys.generate(name)
            stream.write(public)
    except NotarypyError as error:
        raise FailureError(told(error, f"failed to generate key for {name}: ")) from None
    shell.out(f"Successfully generated and loaded private key. Corresponding public key available: {path}")


def load(shell: Shell, call: Call) -> None:
    """Store the private keys of a file."""
    path, name = call.arguments[0], call.text("name") or None
    if name is not None:
        signer_name(name, "key")
    shell.out(f'Loading key from "{path}"...')
    data = _private_file(path)
    try:
        with shell.client() as client:
            client.keys.load(data, name=name)
    except UnsupportedKeyError as error:
        kind = (
            f"provided file {path} is not a supported private key - "
            "to add a signer's public key use docker trust signer add"
        )
        raise FailureError(f"error importing key from {path}: {kind}\n{told(error, '  why: ')}") from None
    except NotarypyError as error:
        raise FailureError(told(error, f"error importing key from {path}: ")) from None
    shell.out(f"Successfully imported key from {path}")


def _private_file(path: str) -> bytes:
    """Return what a file holds that is its owner's alone (rule 3)."""
    most = DEFAULT.named_file_bytes
    try:
        if Path(path).stat().st_mode & _OTHERS:
            raise FailureError(
                f"refusing to load key from {path}: "
                f"private key file {path} must not be readable or writable by others"
            )
        with Path(path).open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "its name is not usable").lower()
        raise FailureError(f"refusing to load key from {path}: stat {path}: {reason}") from None
    if len(data) > most:
        raise FailureError(f"refusing to load key from {path}: it has more than {most} bytes")
    return data
