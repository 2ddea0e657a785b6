"""What the words mean that people use for keys, and refusals of what they mean.

What it is: whether a word means a key, the file that one names, and errors that say how to go on where a key
is for another role; for images, as cosign or notation sign them, the signer that a word means. What it is
not: which keys there are, which one is taken (`manager`), or signatures (`keys.signers.cosignsigner`).

Rules:

1. A KEY is a signer's name, or at least 7 hex digits of a canonical id. What has a slash or a dot is a file,
   unless it is a URI.
2. A signer's daily key becomes no root by being named where a root key is wanted: to store it as one is a
   deed of its own.
3. For images nothing is stored or noted: a file and a URI are opened for this run alone. Ed25519 keys are
   taken from files: cosign knows them, and docker does not.
4. Root, snapshot and timestamp keys sign no images: whoever has a root key can give a repository to anybody,
   and it is not for daily work. Signers' and targets keys do, as they do in Notary. Of which role a key is
   that is here too, its id says, whatever word or file it was named by.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from notarypy.errors import Advice, AlreadyExistsError, NotarypyError, UsageError
from notarypy.files import read_regular
from notarypy.keys.formats import keyuri, pem
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.signers import is_uri
from notarypy.keys.signers.base import CheckedSigner
from notarypy.keys.signers.keyfile import LocalSigner, open_block
from notarypy.limits import DEFAULT
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import SHORT_KEYID
from notarypy.tuf.metadata import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from notarypy.keys.keyinfo import KeyInfo
    from notarypy.keys.keystore import KeyStore
    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.keys.signers.base import Signer

_ROLE = "cosign"
_NOT_FOR_IMAGES = frozenset(roles.BASE_ROLES) - {roles.TARGETS}
_ID = re.compile(r"[0-9a-f]{7,64}", re.ASCII)


def is_path(selector: str) -> bool:
    """Tell whether a KEYREF is the name of a file (rule 1)."""
    return not is_uri(selector) and ("/" in selector or "." in selector)


class KeyReader:
    """Reads files that a person names. A pipe, such as a shell's `<(...)`, can be read once: it is kept."""

    def __init__(self) -> None:
        self._piped: dict[Path, bytes] = {}

    def __call__(self, path: str) -> bytes:
        """Return what is in a file; raise UsageError if there is none."""
        whole = Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser() raises where there is no home
        try:
            if whole in self._piped or whole.is_fifo():
                return self._of_pipe(whole)
            return read_regular(whole, DEFAULT.named_file_bytes, follow=True)
        except FileNotFoundError:
            raise UsageError(f"there is no file {path}") from None

    def _of_pipe(self, path: Path) -> bytes:
        if path not in self._piped:
            with path.open("rb") as stream:
                self._piped[path] = stream.read(DEFAULT.named_file_bytes + 1)
        if len(self._piped[path]) > DEFAULT.named_file_bytes:
            raise UsageError(f"{path} is too big", why=f"more than {DEFAULT.named_file_bytes} bytes")
        return self._piped[path]


def fits(info: KeyInfo, selector: str) -> bool:
    """Tell whether a KEY, or the URI of a key that is noted, means a key (rule 1)."""
    named = roles.signer_name(info.role) == roles.signer_name(selector)
    return named or keyuri.usual(selector) == info.uri or begins(info.keyid, selector)


def begins(keyid: str, selector: str) -> bool:
    """Tell whether a KEY is the first digits of an id (rule 1)."""
    return _ID.fullmatch(selector) is not None and keyid.startswith(selector)


def in_words(names: Mapping[str, str]) -> str:
    """Return a list of keys, by what is known of each id."""
    return ", ".join(f"{keyid[:12]} ({words})" for keyid, words in names.items())


def uses(infos: Iterable[KeyInfo], store: KeyStore) -> dict[str, str]:
    """Return by the ids of keys whose they are, and which repositories have them by the roots cached here."""
    users, directory = defaultdict[str, list[str]](list), TrustDirectory(store.directory.parent)
    for gun in directory.guns():
        with suppress(NotarypyError):  # nobody can read it
            root = cached_root(directory, gun)
            for keyid in {key.canonical_id for role in root.roles for key in root.signers(role)}:
                users[keyid].append(gun)
    found = {}
    for info in infos:
        found[info.keyid] = f"{info.role} of {info.gun}" if info.gun else info.role
        if info.role in roles.BASE_ROLES:
            by = "" if info.gun else f" by {', '.join(users[info.keyid])}"
            found[info.keyid] += f", in use{by}" if users[info.keyid] else ", in no root that is cached here"
    return found


def cached_root(directory: TrustDirectory, gun: str) -> Root:
    """Return the root of a repository that is cached; raise NotarypyError if there is none to read."""
    data, limits = directory.repository(gun).load_root() or b"", directory.limits
    return Root.from_signed(Envelope.parse(data, roles.ROOT, limits).signed, limits)


def both(info: KeyInfo, role: str) -> UsageError:
    """Return the refusal of one key for two roles of a repository that is being made."""
    message, advice = f"one key cannot be both {info.role} and {role}", Advice("give-other-key", role=role)
    why = f"{info.uri or info.path} is given for both"
    return UsageError(message, why=why, advice=advice, keyid=info.keyid)


def of_other_role(info: KeyInfo, role: str) -> UsageError:
    """Return the refusal to take a key for a role that it was not stored for (rule 2)."""
    message, why = f"{info.request.label} is no {role} key", f"it is here as {info.role}"
    return UsageError(message, why=why, advice=_as_other(info, role), keyid=info.keyid)


def require_one_role(named: Iterable[tuple[str, str, str | None]]) -> None:
    """Raise UsageError where a file has a key for two roles, or for two repositories."""
    known: dict[str, tuple[str, str | None]] = {}
    for keyid, role, gun in named:
        before, its_gun = known.setdefault(keyid, (role, gun))
        if (roles.signer_name(before), its_gun) != (roles.signer_name(role), gun):
            message = f"key {keyid[:SHORT_KEYID]} is there twice, and not for the same"
            both = (f"{one} of {where}" if where else one for one, where in ((before, its_gun), (role, gun)))
            raise UsageError(message, why=" and ".join(both), advice=Advice("keep-one"), keyid=keyid)


def other_name(present: KeyInfo, role: str, *more: str) -> AlreadyExistsError:
    """Return the refusal to store a key that is here under another role; a signer's key can be renamed."""
    what = f"key {present.keyid[:SHORT_KEYID]} is here already, as {present.role or 'a key without a role'}"
    renamed = not {role, present.role} & {*roles.BASE_ROLES, ""}
    rename = Advice("rename-stored-key", key=present.keyid[:12], name=role)
    return AlreadyExistsError(
        what,
        why=(f"it is at {present.uri}" if present.uri else f"the file is {present.path}", *more),
        advice=rename if renamed else _as_other(present, role) if role else None,
        keyid=present.keyid,
    )


def _as_other(info: KeyInfo, role: str) -> Advice:
    """Return how to store a key for another role; a file of a base role is not removed for it."""
    if info.uri:
        return Advice("note-as", key=info.keyid[:12], uri=quote(info.uri), name=roles.signer_name(role))
    if role == roles.ROOT and info.role not in roles.BASE_ROLES:
        return Advice("store-as", key=info.keyid[:12], name=role)
    return Advice("give-other-key", role=role)


# -- keys that sign images


def signer_of_key(info: KeyInfo, store: KeyStore, passphrases: PassphraseChain) -> tuple[Signer, str]:
    """Return the signer of a key of the trust directory."""
    require_image_role(info.role, info.request.label)
    return store.unlock(info.keyid, passphrases), info.uri or str(info.path)


def signer_at_uri(
    uri: str, store: KeyStore, passphrases: PassphraseChain, *, cosign: bool = True
) -> tuple[Signer, str]:
    """Return the signer of a key that is elsewhere, and not noted here (rule 3)."""
    found = store.look(uri, _ROLE if cosign else "notation", passphrases, cosign=cosign)
    return CheckedSigner(found, found.public, uri), uri


def signer_in_file(path: str, passphrases: PassphraseChain) -> tuple[Signer, str]:
    """Return the signer of the one private key in a file; raise UsageError for several (rule 3)."""
    blocks = pem.split(KeyReader()(path), cosign=True)
    if len(blocks) != 1:
        raise UsageError(f"{path} holds several keys", advice=Advice("give-one-key", role=_ROLE))
    role = blocks[0].role or Path(path).stem
    require_image_role(blocks[0].role or "", path)
    request = PassphraseRequest("", role, cosign=blocks[0].of_cosign)
    return LocalSigner(open_block(blocks[0], request, passphrases, path, ed25519=True)), path


def require_image_role(role: str, name: str) -> None:
    """Raise UsageError for a key of a role that signs no images (rule 4)."""
    if role in _NOT_FOR_IMAGES:
        message = f"{name} is a {role} key, which signs no images"
        raise UsageError(message, why="signers' and targets keys do", advice=Advice("make-key"))


def require_image_id(keyid: str, store: KeyStore, name: str) -> None:
    """Raise UsageError for a key that is here too, for a role that signs no images (rule 4)."""
    if (info := store.find(keyid)) is not None:
        require_image_role(info.role, name)
