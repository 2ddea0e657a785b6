"""The private keys of a trust directory, as the use cases need them.

What it is: choosing, making, loading, listing and exporting keys by the words people use for them. What it is
not: key files (`keys.keystore`) or passphrase sources (`keys.passphrases`).

Rules:

1. KEY is a signer's name or at least 7 hex digits of a canonical id; what fits several keys is refused with
   the list. KEYREF is a KEY, the file of a key, or the URI of one that is elsewhere.
2. A key is stored encrypted, under a passphrase of at least 8 characters.
3. Nothing but new keys is ever removed, and only by whoever made them.
4. One at a time makes keys that may be removed again: nobody builds on a root key that is about to go.
5. A key is for the role that it was stored for, by `key load`, `key add`, or another command that says so.
   One whose file says no role may be a root key.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from notarypy.client import weight
from notarypy.client.keys import selectors
from notarypy.client.keys.availablekeys import SigningKeys, prepare
from notarypy.client.keys.selectors import KeyReader, begins, both, fits, is_path, of_other_role, other_name
from notarypy.errors import Advice, KeyMissingError, NotarypyError, UsageError
from notarypy.files import locked
from notarypy.keys.formats import keyuri, pem
from notarypy.keys.keyinfo import KeyInfo, PassphraseRequest, StoredKey
from notarypy.keys.keypaths import LOCK
from notarypy.keys.signers import is_uri, keyfile
from notarypy.keys.signers.keyfile import LocalSigner, open_block
from notarypy.tuf import roles
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.keystore import KeyStore
    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.keys.signers.base import Signer
    from notarypy.keys.signers.cosignsigner import CosignSigner

_LOG = logging.getLogger(__name__)
_DEFAULT_NAME = "signer"
_KEPT = frozenset({roles.ROOT, roles.TARGETS, roles.SNAPSHOT, roles.RELEASES})
Kind = TypeVar("Kind")


class KeyManager:
    """The keys of one trust directory and the passphrases for them."""

    def __init__(self, store: KeyStore, passphrases: PassphraseChain) -> None:
        """Use the keys of a store, and these places of passphrases."""
        self.store, self.passphrases, self.named_file = store, passphrases, KeyReader()
        # The keys that each thread made, in order.
        self._making = threading.Lock()
        self._made: defaultdict[int, list[str]] = defaultdict(list)

    def signing_keys(self) -> SigningKeys:
        """Return the keys for publishing: ids now, unlocking when needed."""
        store = self.store
        unlock = partial(store.unlock, passphrases=self.passphrases)
        return SigningKeys(store.available(), unlock, store.elsewhere)

    @contextmanager
    def new_keys(self, timeout: float) -> Iterator[Callable[[], None]]:
        """Note the keys made inside; the value removes them again (rules 3 and 4)."""
        made = self._made[threading.get_ident()]
        start = len(made)

        def undo() -> None:
            for keyid in made[start:]:
                _LOG.debug("removing key %s, which was made for nothing", keyid)
                with suppress(NotarypyError):  # what went wrong before is what matters
                    self.store.remove(keyid)
            del made[start:]

        # Threads of this process wait without an end: somebody may be asked for a passphrase meanwhile.
        weight.give_way()
        with self._making, locked(self.store.directory / LOCK, timeout):
            yield undo

    def new_key(self, role: str, gun: str | None) -> PublicKey:
        """Make and store a key for a role; returns its public half (rule 2)."""
        return public_key_of(self._generated(role, gun))

    def first_key(self, role: str, gun: str) -> PublicKey:
        """Return the key for a role of a new repository: the only one that is here for it, or a new one.

        One is here where nobody could say whether a first publish arrived, and nothing came of it.
        """
        here = [info.keyid for info in self.store.list() if (info.role, info.gun) == (role, gun)]
        if len(here) != 1:
            return self.new_key(role, gun)
        _LOG.debug("the %s key of %s is one that is here: %s", role, gun, here[0])
        return self.store.unlock(here[0], self.passphrases).public

    def root_key(self, gun: str, selector: str | None, certificate: bytes | None, now: datetime) -> PublicKey:
        """Return the root key, certified for `gun`: the selected one, the only one here, or a new one."""
        if selector is None:
            signer = self._own_root()
        elif is_path(selector):
            signer = LocalSigner(self._imported(selector, roles.ROOT, None))
        else:
            signer = self._selected(selector, roles.ROOT)
        _LOG.debug("the root key of %s is %s", gun, signer.public.keyid)
        prepare(signer)
        if certificate is None:
            return _in_certificate(signer, gun, now)
        from notarypy.keys.signers.rootcertificate import certified  # few roots come with one

        return certified(signer.public, certificate, gun, now)

    def next_root_key(self, gun: str, selector: str | None, now: datetime) -> PublicKey:
        """Return another root key, certified for `gun`: the selected one, or a new one."""
        if selector is not None:
            return self.root_key(gun, selector, None, now)
        return _in_certificate(LocalSigner(self._generated(roles.ROOT, None)), gun, now)

    def certified_anew(self, keyid: str, gun: str, now: datetime) -> PublicKey:
        """Return a root key that is here in a new certificate."""
        return _in_certificate(self.store.unlock(keyid, self.passphrases), gun, now)

    def role_key(self, role: str, gun: str, selector: str | None) -> PublicKey:
        """Return a key for a role of one repository: the selected one, which must be for it, or a new one."""
        if selector is None:
            return self.new_key(role, gun)
        if is_path(selector):
            return public_key_of(self._imported(selector, role, gun))
        signer = self._selected(selector, role, gun)
        prepare(signer)
        return signer.public

    def _selected(self, selector: str, role: str, gun: str | None = None) -> Signer:
        """Return the signer that a KEY or URI means, for a role; raise UsageError for a key of another."""
        if is_uri(selector):
            keyid = self.refer(selector, role, gun=gun).keyid
        elif given := self._given(selector):
            keyid = given
        else:
            info = self.find(selector)
            keyid = info.keyid
            if role == roles.ROOT and info.role not in {role, ""}:
                raise of_other_role(info, role)
            if role in pem.GUN_ROLES and (info.role, info.gun) != (role, info.gun if info.uri else gun):
                message = f"{info.request.label} is no {role} key of {gun}"
                raise UsageError(message, advice=Advice("give-own-key"))
        return self.store.unlock(keyid, self.passphrases)

    def _given(self, selector: str) -> str:
        """Return the id of the signer that was given to the client, if digits of its id mean it alone."""
        given = {keyid for keyid in self.store.given if begins(keyid, selector)}
        others = {info.keyid for info in self.store.list() if fits(info, selector)} if given else set()
        return next(iter(given)) if len(given | others) == 1 else ""

    def cosign_signer(self, selector: str) -> CosignSigner:
        """Return the key that a KEYREF means as one that signs as cosign does; nothing is stored or noted.

        Raises what opening the key raises, and UnsupportedKeyError for one that cannot sign so.
        """
        from notarypy.keys.signers.cosignsigner import CosignSigner

        return self.image_signer(selector, CosignSigner, cosign=True)

    def image_signer(self, selector: str, kind: Callable[[Signer, str], Kind], *, cosign: bool) -> Kind:
        """Return the key that a KEYREF means as one of a kind that signs images, as cosign does or not.

        The kind is made of a signer and its place, before the key has to be ready; raises what either raises.
        """
        if is_path(selector):
            signer, place = selectors.signer_in_file(selector, self.passphrases)
        elif is_uri(selector) and not any(fits(info, selector) for info in self.store.list()):
            signer, place = selectors.signer_at_uri(selector, self.store, self.passphrases, cosign=cosign)
        elif given := self._given(selector):
            signer, place = self.store.given[given], "the signer that was given"
        else:
            signer, place = selectors.signer_of_key(self.find(selector), self.store, self.passphrases)
        found = kind(signer, place)
        selectors.require_image_id(signer.public.canonical_id, self.store, place)
        prepare(signer)
        return found

    def refer(self, uri: str, role: str, algorithm: str | None = None, gun: str | None = None) -> StoredKey:
        """Note where the key of a role is, or make it there; AlreadyExistsError: it is for another role."""
        role = role if role in _KEPT else roles.key_name(role)
        noted = self.store.refer(uri, role, self.passphrases, algorithm, gun)
        if noted.role != role and noted.keyid in self._made[threading.get_ident()]:
            raise both(noted, role)
        if noted.role != role:
            raise other_name(noted, role)
        if not noted.already:
            self._made[threading.get_ident()].append(noted.keyid)
        return noted

    def select(self, selector: str, role: str) -> str:
        """Return the canonical id that a KEYREF for a role means (rule 1); nothing is stored or noted."""
        if is_uri(selector):
            return self.store.look(selector, role, self.passphrases).public.keyid
        if given := self._given(selector):
            return given
        if is_path(selector):
            return public_key_of(self._opened(self.named_file(selector), role, selector)[0][1]).keyid
        return self.find(selector).keyid

    def find(self, selector: str, *, damaged: bool = False) -> KeyInfo:
        """Return the one key here that KEY means (rule 1), or with `damaged` a file that nobody can read.

        Raises UsageError, KeyMissingError, or what is wrong with the file.
        """
        from notarypy.keys.formats.urisecrets import require_none

        require_none([selector])
        infos, given = self.store.list(), self.store.given
        found = [info for info in infos if fits(info, selector)]
        fitting = {info.keyid for info in found}.union(one for one in given if begins(one, selector))
        if len(fitting) == 1 and found:
            return found[0]
        if len(fitting) == 1:
            message = f'the key "{selector}" was given to this client, and nothing is noted of it here'
            unlisted = "it signs, and is not listed, tested, exported, renamed or removed"
            raise KeyMissingError(message, why=unlisted, keyid=fitting.pop())
        if fitting:
            names = dict.fromkeys(fitting, "given") | selectors.uses(found, self.store)
            why, advice = selectors.in_words(names), Advice("write-more-digits")
            raise UsageError(f'"{selector}" fits several keys', why=why, advice=advice)
        broken = [info for info in self.store.damaged() if begins(info.keyid, selector)]
        if len(broken) == 1 and damaged:
            return broken[0]
        for info in broken:
            self.store.find(info.keyid)
        short = any(info.keyid.startswith(selector) for info in infos)
        digits = [f"of an id it takes at least {SHORT_KEYID} digits"] if short else []
        names = dict.fromkeys(given, "given") | {info.keyid: info.role for info in infos}
        whys = (*digits, f"keys here: {selectors.in_words(names) or 'none'}")
        advice = Advice("note-uri" if is_uri(selector) else "list-keys")
        raise KeyMissingError(f'there is no key "{selector}" here', why=whys, advice=advice)

    def places(self, keyids: Collection[str]) -> tuple[str, ...]:
        """Return where those of some keys are that are here by reference."""
        return tuple(info.uri for info in self.store.list() if info.uri and info.keyid in keyids)

    def load(self, data: bytes, name: str | None) -> list[StoredKey]:
        """Store every private key in PEM data under a name; returns them as stored.

        Raises UnsupportedKeyError if there is none that Notary can use, AlreadyExistsError for another role.
        """
        loaded = []
        for block, key in self._opened(data, name or _DEFAULT_NAME):
            role = name or block.role or _DEFAULT_NAME
            if role in pem.GUN_ROLES and block.gun is None:
                message = f"a {role} key belongs to one repository, and this file does not say to which"
                raise UsageError(message, advice=Advice("load-exported"))
            if role not in roles.BASE_ROLES:
                role = roles.key_name(role)
            present = self.store.present(public_key_of(key).keyid)
            if present is not None and present.role != role:
                raise other_name(present, role)
            loaded.append(self.add(key, role, block.gun if role in roles.BASE_ROLES else None))
        return loaded

    def generate(self, name: str, algorithm: str, uri: str | None) -> tuple[StoredKey, bytes]:
        """Make a signer's key, or at a URI that of any role; returns it and its public half as PEM."""
        if uri is not None:
            made = self.refer(uri, name, algorithm)
            public = self.store.public(made.keyid, self.passphrases)
        else:
            name = roles.key_name(name)
            key = keyfile.generate(algorithm)
            made, public = self.add(key, name, None), public_key_of(key)
        return made, pem.public_pem(public, name)

    def public(self, selector: str, name: str) -> bytes:
        """Return the public half of the key that a KEY or URI means, as PEM with a name.

        What is at a URI is only looked at: it may be somebody else's. So is a signer that was given.
        """
        if is_uri(selector) and not any(info.uri == keyuri.usual(selector) for info in self.store.list()):
            return pem.public_pem(self.store.look(selector, name, self.passphrases).public, name)
        if given := self._given(selector):
            return pem.public_pem(self.store.given[given].public, name)
        info = self.find(selector)
        return pem.public_pem(self.store.public(info.keyid, self.passphrases), roles.signer_name(info.role))

    def export(self, selectors: Sequence[str]) -> bytes:
        """Return keys as PEM blocks that name their id, encrypted as they are here."""
        return b"".join(self.store.export(self.find(selector).keyid) for selector in selectors)

    def _generated(self, role: str, gun: str | None) -> PrivateKey:
        key = keyfile.generate()
        self.add(key, role, gun)
        return key

    def add(self, key: PrivateKey, role: str, gun: str | None) -> StoredKey:
        """Store a key under a new passphrase (rule 2), or leave it as it is here."""
        keyid = public_key_of(key).keyid
        present = self.store.present(keyid)
        if present is not None:
            return StoredKey(**vars(present), already=True, passphrase_from=None)
        source, passphrase = self.passphrases.chosen(PassphraseRequest(keyid, role, gun, new=True))
        info = self.store.add(key, role, gun, passphrase)
        _LOG.debug("a new key, %s, for %s%s", keyid, role, f" of {gun}" if gun else "")
        self._made[threading.get_ident()].append(keyid)
        return StoredKey(**vars(info), already=False, passphrase_from=source)

    def _own_root(self) -> Signer:
        here = [info for info in self.store.list() if info.role == roles.ROOT]
        if len(here) > 1:
            why = selectors.in_words(selectors.uses(here, self.store))
            raise UsageError("several root keys are here", why=why, advice=Advice("choose-root-key"))
        if here:
            return self.store.unlock(here[0].keyid, self.passphrases)
        return LocalSigner(self._generated(roles.ROOT, None))

    def _imported(self, path: str, role: str, gun: str | None) -> PrivateKey:
        opened = self._opened(self.named_file(path), role, path)
        if len(opened) != 1:
            raise UsageError(f"{path} holds several keys", advice=Advice("give-one-key", role=role))
        block, key = opened[0]
        if (block.role or role) != role:
            why = f"it says that it is {block.role}"
            advice = Advice("load-as", name=role) if role == roles.ROOT else Advice("give-own-key")
            raise UsageError(f"{path} holds no {role} key", why=why, advice=advice)
        present = self.add(key, role, gun)
        if present.role not in {role, ""}:
            raise of_other_role(present, role)
        return key

    def _opened(self, data: bytes, role: str, file: str = "") -> list[tuple[pem.KeyBlock, PrivateKey]]:
        opened = []
        for block in pem.split(data, cosign=True):
            request = PassphraseRequest("", block.role or role, cosign=block.of_cosign)
            opened.append((block, open_block(block, request, self.passphrases, file)))
        return opened


def _in_certificate(signer: Signer, gun: str, now: datetime) -> PublicKey:
    from notarypy.keys.signers.rootcertificate import root_certificate  # x509, for new roots alone

    return root_certificate(signer, gun, now)
