"""Keys as Go notary takes and makes them: from any file, for any role.

What it is: `key import` and `key generate` of the program `notary`. What it is not: our own `key load`, which
opens everything, and `key import`, which opens nothing (`manager`, `keyfiles`).

Rules:

1. A block that is encrypted as Go reads it, and names its key, is stored as it is: no passphrase is asked,
   and its name is believed, as there: what is another key stands in the place of the named one until it is
   removed. Every other one is opened, and stored under the passphrase of its role.
2. The file says which role a key is for, and of which repository; where it does not, whoever calls, and
   where nobody does it is a delegation's. A key of targets, snapshot or timestamp is that of a repository.
3. All of a file or nothing: each block is looked at, and opened, before the first is stored; what was stored
   before something failed is removed.
4. A key that is here already is left as it is, and refused for another role: also if it came meanwhile, or if
   the file itself has it for both.
5. A key may be made for every role. It is no repository's: a rotation takes those of files.
6. A key that is elsewhere is noted for the role that is given, as it is written, and for a repository if that
   is given.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from notarypy.client.keys.selectors import other_name, require_one_role
from notarypy.errors import Advice, NotarypyError, UnsupportedKeyError, UsageError
from notarypy.keys.formats import pem, pkcs8
from notarypy.keys.keyinfo import PassphraseRequest, StoredKey
from notarypy.keys.keypaths import KEYID
from notarypy.keys.signers import keyfile
from notarypy.limits import DEFAULT
from notarypy.tuf import roles
from notarypy.tuf.keys import SHORT_KEYID, public_key_of
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.keys.manager import KeyManager
    from notarypy.keys.keyinfo import KeyInfo

_DEFAULT_ROLE = "delegation"


class _Looked(NamedTuple):
    """A block that was looked at: what it is to be, and what stores it."""

    keyid: str
    role: str
    gun: str | None
    store: Callable[[], StoredKey]


def take_over(
    manager: KeyManager, data: bytes, role: str | None, gun: str | None, patience: float
) -> list[StoredKey]:
    """Store every private key of a PEM file (rules 1 to 4).

    Raises UnsupportedKeyError, UsageError, AlreadyExistsError, or what opening a key raises.
    """
    looked = [_looked_at(manager, block, role, gun) for block in pem.split(data, cosign=True)]
    require_one_role((one.keyid, one.role, one.gun) for one in looked)
    done: list[StoredKey] = []
    with manager.new_keys(patience) as undo:
        try:
            for one in looked:
                stored = one.store()
                _require_role(stored, one.role, one.gun)  # of another that came meanwhile: not ours to remove
                done.append(stored)
        except BaseException:
            undo()
            for key in done:
                if not key.already:
                    with suppress(NotarypyError):  # what went wrong before is what matters
                        manager.store.remove(key.keyid)
            raise
    return done


def note(manager: KeyManager, uri: str, role: str | None, gun: str | None) -> StoredKey:
    """Note where the key of a role is (rules 4 and 6)."""
    wanted = checked_role(role or _DEFAULT_ROLE)
    of_repository = gun if wanted in pem.GUN_ROLES else None
    if of_repository is not None:
        roles.check_gun(of_repository)
    noted = manager.store.refer(uri, wanted, manager.passphrases, None, of_repository)
    same = roles.signer_name(noted.role) == roles.signer_name(wanted)
    if not same or of_repository not in {None, noted.gun}:
        raise other_name(noted, wanted, "nothing was noted")
    return noted


def make(manager: KeyManager, role: str) -> StoredKey:
    """Make and store a key for a role (rule 5)."""
    return manager.add(keyfile.generate(), checked_role(role), None)


def make_files(manager: KeyManager, role: str) -> tuple[bytes, bytes]:
    """Make a key that is stored nowhere; return it, encrypted, and its public half, both as PEM."""
    role, key = checked_role(role), keyfile.generate()
    public = public_key_of(key)
    passphrase = manager.passphrases.for_new(PassphraseRequest(public.keyid, role, new=True))
    return keyfile.seal(key, role, None, passphrase), pem.public_pem(public, role)


def checked_role(role: str) -> str:
    """Return what a key may be stored for: a base role, a signer's name, or a role; InvalidNameError."""
    if role not in roles.BASE_ROLES:
        roles.key_name(role)
    return role


def _looked_at(manager: KeyManager, block: pem.KeyBlock, role: str | None, gun: str | None) -> _Looked:
    """Return what stores a block, after all that can be said of it beforehand (rule 3)."""
    wanted = checked_role(block.role or role or _DEFAULT_ROLE)
    of_repository = (block.gun or gun) if wanted in pem.GUN_ROLES else None
    if wanted in pem.GUN_ROLES:
        if of_repository is None:
            message = f"a {wanted} key belongs to one repository, and nothing says to which"
            why = f"it is {block.path[:SHORT_KEYID]}" if block.path else "it does not say its id"
            raise UsageError(message, why=why, advice=Advice("name-gun"))
        roles.check_gun(of_repository)
    if _stands_as_it_is(block):
        keyid, headers = block.path or "", {**block.headers, "role": wanted, "gun": of_repository or ""}
        store = partial(_stored, manager, replace(block, headers=headers))
        _require_role(manager.store.present(keyid), wanted, of_repository)
        return _Looked(keyid, wanted, of_repository, store)
    request = PassphraseRequest("", wanted, cosign=block.of_cosign)
    key = keyfile.open_block(block, request, manager.passphrases, "")
    keyid = public_key_of(key).keyid
    _require_role(manager.store.present(keyid), wanted, of_repository)
    return _Looked(keyid, wanted, of_repository, partial(manager.add, key, wanted, of_repository))


def _stands_as_it_is(block: pem.KeyBlock) -> bool:
    """Tell whether a block is one of an export, that Go reads (rule 1)."""
    if block.of_cosign or not block.encrypted or KEYID.fullmatch(block.path or "") is None:
        return False
    with suppress(UnsupportedKeyError):
        pkcs8.require_portable(block)
        return len(block.block) <= DEFAULT.key_file_bytes
    return False


def _stored(manager: KeyManager, block: pem.KeyBlock) -> StoredKey:
    already = manager.store.present(block.path or "") is not None
    return StoredKey(**vars(manager.store.store(block)), already=already)


def _require_role(present: KeyInfo | None, role: str, gun: str | None) -> None:
    if present is None:
        return
    same_role = roles.signer_name(present.role) == roles.signer_name(role)
    if not same_role or (present.uri is None and present.gun != gun):
        raise other_name(present, role, "nothing was imported")
