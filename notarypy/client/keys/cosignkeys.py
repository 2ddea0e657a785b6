"""Which key signs images, as cosign does or notation.

What it is: from a key that is noted here, a file or a URI to a signer and its place. What it is not: the
signatures (`keys.signers.cosignsigner`), or which word means which key (`manager`).

Rules:

1. Nothing is stored or noted: a file and a URI are opened for this run alone.
2. Root, snapshot and timestamp keys sign no images: whoever has a root key can give a repository to anybody,
   and it is not for daily work. Signers' and targets keys do, as they do in Notary. Of which role a key is
   that is here too, its id says, whatever word or file it was named by.
3. Ed25519 keys are taken from files: cosign knows them, and docker does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.client.keys.selectors import KeyReader
from notarypy.errors import Advice, UsageError
from notarypy.keys.formats import pem
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.signers.base import CheckedSigner
from notarypy.keys.signers.keyfile import LocalSigner, open_block
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.keys.keyinfo import KeyInfo
    from notarypy.keys.keystore import KeyStore
    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.keys.signers.base import Signer

_ROLE = "cosign"
_NOT_FOR_IMAGES = frozenset(roles.BASE_ROLES) - {roles.TARGETS}


def of_key(info: KeyInfo, store: KeyStore, passphrases: PassphraseChain) -> tuple[Signer, str]:
    """Return the signer of a key of the trust directory."""
    require_role(info.role, info.request.label)
    return store.unlock(info.keyid, passphrases), info.uri or str(info.path)


def at_uri(
    uri: str, store: KeyStore, passphrases: PassphraseChain, *, cosign: bool = True
) -> tuple[Signer, str]:
    """Return the signer of a key that is elsewhere, and not noted here (rule 1)."""
    found = store.look(uri, _ROLE if cosign else "notation", passphrases, cosign=cosign)
    return CheckedSigner(found, found.public, uri), uri


def of_file(path: str, passphrases: PassphraseChain) -> tuple[Signer, str]:
    """Return the signer of the one private key in a file; raise UsageError for several (rules 1 and 3)."""
    blocks = pem.split(KeyReader()(path), cosign=True)
    if len(blocks) != 1:
        raise UsageError(f"{path} holds several keys", advice=Advice("give-one-key", role=_ROLE))
    role = blocks[0].role or Path(path).stem
    require_role(blocks[0].role or "", path)
    request = PassphraseRequest("", role, cosign=blocks[0].of_cosign)
    return LocalSigner(open_block(blocks[0], request, passphrases, path, ed25519=True)), path


def require_role(role: str, name: str) -> None:
    """Raise UsageError for a key of a role that signs no images (rule 2)."""
    if role in _NOT_FOR_IMAGES:
        message = f"{name} is a {role} key, which signs no images"
        raise UsageError(message, why="signers' and targets keys do", advice=Advice("make-key"))


def require_id(keyid: str, store: KeyStore, name: str) -> None:
    """Raise UsageError for a key that is here too, for a role that signs no images (rule 2)."""
    if (info := store.find(keyid)) is not None:
        require_role(info.role, name)
