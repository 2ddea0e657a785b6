"""`docker trust key`: make signing keys, load signing keys.

What it is: docker's rules for names and files around the client's key calls. What it is not:
key files (`keys.pem`) or where keys are kept.

Rules:

1. A file that others can read or write is not loaded: its key is not secret.
2. Success is said when the key is stored, and never of a key that is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.cli.dockertrust.shell import FailureError, signer_name, told
from notarypy.errors import NotarypyError, UnsupportedKeyError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from notarypy.cli.dockertrust.grammar import Call
    from notarypy.cli.dockertrust.shell import Shell

_OTHERS = 0o077
_MODE = 0o600


def generate(shell: Shell, call: Call) -> None:
    """Make a key; its public half goes to a file of its own."""
    from notarypy.cli.newfile import new_file

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
    """Return what a file holds that is its owner's alone (rule 1)."""
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
