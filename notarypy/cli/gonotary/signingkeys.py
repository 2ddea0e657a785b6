"""Private keys in Go notary's words: `notary key ...`.

What it is: listing, making, importing, exporting, removing and rotating them, and new passphrases, over
`Client.keys`. What it is not: how any of that is done.

Rules:

1. A key is named by its id, or by at least 7 digits that it begins with, where those mean one key.
2. Where a key is elsewhere its URI stands in the place of a file, and of the folder it would be in.
3. What is asked is answered no unless it says yes: nothing is changed then, and that is an error.
4. What cannot be done is said before anything is asked or made.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.cli import userfiles
from notarypy.cli.gonotary import givenfiles
from notarypy.cli.gonotary.notaryshell import NotarysWording
from notarypy.cli.text.render import safe
from notarypy.errors import Advice, KeyMissingError, NotarypyError, UnsupportedKeyError, UsageError
from notarypy.keys.passphrases import new_passphrase_chain
from notarypy.keys.signers import is_uri
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.client.api import Client
    from notarypy.keys.keyinfo import KeyInfo

_HEADING = ("ROLE", "GUN", "KEY ID", "LOCATION")
_GUN_WIDTH, _LOCATION_WIDTH = 25, 40
_ID = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_ALGORITHM = "ecdsa"
_PRIVATE_MODE = 0o600
_ROOT_QUESTION = (
    "Warning: you are about to rotate your root key.\n\n"
    "You must use your old key to sign this root rotation.\n"
    "Are you sure you want to proceed?  (yes/no)  "
)


def list_keys(shell: NotaryShell, line: CommandLine) -> None:  # noqa: ARG001 - it has no flags
    """List the keys of the trust directory."""
    with shell.client() as client:
        infos = sorted(client.keys.list(), key=_place_in_table)
    shell.out()
    if infos:
        shell.table(_HEADING, map(_row, infos))
    else:
        shell.out("No signing keys found.")
    shell.out()


def generate(shell: NotaryShell, line: CommandLine) -> None:
    """Make a key, here or in two files that nothing is known of here."""
    algorithm = line.arguments[0] if line.arguments else _ALGORITHM
    if algorithm.lower() != _ALGORITHM:
        raise UsageError("Algorithm not allowed, possible values are: ECDSA")
    given, output = line.text("role"), line.text("output")
    role = roles.ROOT if given is None else given
    with shell.client() as client:
        if output:
            _write_pair(client, role, output)
            return
        made = client.keys.make(role)
    shell.out(f"Generated new {_ALGORITHM} {role} key with keyID: {made.keyid}")


def import_keys(shell: NotaryShell, line: CommandLine) -> None:
    """Store keys of files, and note where keys are whose URIs are given (rule 2)."""
    role, gun = line.text("role") or None, line.text("gun") or None
    with shell.client() as client:
        for word in line.arguments:
            if is_uri(word) or (word.endswith(":") and is_uri(f"{word}x")):
                client.keys.note(word, role=role, gun=gun)
                continue
            with _importing(word):
                client.keys.take_over(givenfiles.content(word), role=role, gun=gun)


def export_keys(shell: NotaryShell, line: CommandLine) -> None:
    """Write keys as they are here, encrypted."""
    selectors, guns, output = line.texts("key"), line.texts("gun"), line.text("output")
    if selectors and guns:
        raise UsageError("Only the --gun or --key flag may be provided, not a mix of the two flags")
    with shell.client() as client:
        if output and not userfiles.is_stream(Path(output)):
            givenfiles.require_place(output)
            userfiles.require_directory(Path(output))
            userfiles.require_outside(Path(output), client.settings.trust_dir)
        named = [_find(client, word, "No key with ID {} found").keyid for word in selectors]
        data = client.keys.export(sorted(set(named)) or None, guns=guns or None).decode()
    if output and userfiles.is_stream(Path(output)):
        shell.write("", flush=True)
        userfiles.write_stream(Path(output), data.encode())
    elif output:
        userfiles.write(Path(output), data, _PRIVATE_MODE)
    else:
        shell.write(data)


def passwd(shell: NotaryShell, line: CommandLine) -> None:
    """Change the passphrase of a key; the new one is never that of a variable that has the old one."""
    new = new_passphrase_chain(shell.environ, None, shell.prompt(), NotarysWording())
    with shell.client() as client:
        info = _find(client, line.arguments[0], "could not retrieve local key for key ID provided: {}")
        changed = client.keys.change_passphrase(info.keyid, new.for_new)
    shell.write(f"\nSuccessfully updated passphrase for key ID: {changed.keyid}\n")


def remove(shell: NotaryShell, line: CommandLine) -> None:
    """Delete a key's file, or forget where a key is."""
    with shell.client() as client:
        info = _find(client, line.arguments[0], "No key with ID {} found", damaged=True)
        it = safe(f"{info.keyid} (role {info.role}) from {_removed_from(info)}")
        shell.agreed(f"\nAre you sure you want to remove {it}?  (yes/no)  ")
        shell.out()
        client.keys.remove(info.keyid)
        if info.uri:
            shell.warn(f"the key itself stays at {info.uri}")
    shell.write(f"Deleted {it}.\n\n")


def rotate(shell: NotaryShell, line: CommandLine) -> None:
    """Give a role of a repository other keys, and publish that at once; what is staged stays so."""
    gun, role = line.arguments[:2]
    server, legacy = line.switch("server-managed"), line.number("legacy") or 0
    _require_rotatable(role, server=server)
    keys = [givenfiles.key(word) for word in line.texts("key")]
    if role == roles.ROOT:
        with shell.client() as client:
            _require_root_key(client, gun)
        shell.agreed(_ROOT_QUESTION)
    legacy = sys.maxsize if legacy < 0 else legacy
    with shell.client() as client:
        done = client.keys.rotate(
            gun, role, key=keys or None, server_managed=server, legacy=legacy, begun=True
        )
        try:
            client.keys.remove_replaced(done)
        except NotarypyError as error:
            why = "; ".join((error.message, *error.why))
            shell.warn(f"the {role} key that was replaced stays here: {why}")
    if not done.published:
        shell.warn(f"these are the {role} keys of {gun} already; nothing was published")
    shell.out(f"Successfully rotated {role} key for repository {gun}")


def _place_in_table(info: KeyInfo) -> tuple[bool, str, str, str]:
    """Return what keys are sorted by: root keys come first, then those of no repository."""
    return info.role != roles.ROOT, info.gun or "", info.role, info.keyid


def _row(info: KeyInfo) -> tuple[str, str, str, str]:
    where = info.uri or _end(str(info.path.parent), _LOCATION_WIDTH)  # rule 2
    return info.role, _end(info.gun or "", _GUN_WIDTH), info.keyid, where


def _removed_from(info: KeyInfo) -> str:
    """Return where a key, or what is noted of one, is removed from."""
    folder = info.path.parent
    return f"{folder}, which notes that it is at {info.uri}" if info.uri else str(folder)


def _end(text: str, width: int) -> str:
    """Return as much of the end of a text as has room, counted in bytes, as Go notary shows it."""
    data = text.encode(errors="surrogateescape")
    return text if len(data) <= width else f"...{data[3 - width :].decode(errors='replace')}"


def _find(client: Client, word: str, words: str, *, damaged: bool = False) -> KeyInfo:
    """Return the key that an id means (rule 1); Go notary's `words` are for one that is not here."""
    if _ID.fullmatch(word) is None:
        why = "an id has 64 digits, of which the first 7 or more may stand for it"
        raise UsageError(f"invalid key ID provided: {word}", why=why, advice=Advice("list-keys"))
    try:
        return client.keys.find(word, damaged=damaged)
    except KeyMissingError as error:
        raise KeyMissingError(words.format(word), why=error.why, advice=error.advice, **error.facts) from None


def _write_pair(client: Client, role: str, base: str) -> None:
    """Make a key, and write it to two new files: what is in files that are there is not lost."""
    names = (Path(f"{base}-key.pem"), Path(f"{base}.pem"))
    halves = zip(names, ("private", "public"), strict=True)
    new = [userfiles.new_file(path, _PRIVATE_MODE, "another name", half) for path, half in halves]
    with new[0] as private, new[1] as public:
        for stream, path, data in zip((private, public), names, client.keys.make_files(role), strict=True):
            userfiles.write_new(stream, path, data)


@contextmanager
def _importing(path: str) -> Iterator[None]:
    """Say in Go notary's words that a file is of no use, and in ours why."""
    with userfiles.named(path):
        try:
            yield
        except UsageError as error:  # not everything that is needed was said
            raise error.saying(f"the file is {userfiles.name(path)}", "nothing of it was imported") from None
        except UnsupportedKeyError as error:
            error.why = (error.message, *error.why, "nothing of it was imported")
            error.message = "failed to import all keys: invalid key pem block"
            raise


def _require_root_key(client: Client, gun: str) -> None:
    """Raise KeyMissingError where what is cached here says that no root key of a repository is (rule 4)."""
    try:
        here = client.keys.of_repository(gun)
    except KeyMissingError as error:
        if error.why:  # nothing is known of the repository
            return
        here = []
    if all(info.role not in {roles.ROOT, ""} for info in here):
        message = f"rotating a key of {gun} takes its root key, which is not here"
        raise KeyMissingError(message, advice=Advice("import-root-key"))


def _require_rotatable(role: str, *, server: bool) -> None:
    """Raise UsageError in Go notary's words for what nobody can have (rule 4)."""
    advice = Advice("rotate-signer") if role not in roles.BASE_ROLES else None
    if advice is not None:
        raise UsageError(f"notary does not currently permit rotating the {role} key", advice=advice)
    if role == roles.TIMESTAMP and not server:
        raise UsageError(
            "notary does not permit the client managing the timestamp key",
            advice=Advice("add-server-managed"),
        )
    if server and role in {roles.ROOT, roles.TARGETS}:
        raise UsageError(
            f"notary does not permit the server managing the {role} key",
            advice=Advice("leave-out", option="--server-managed"),
        )
