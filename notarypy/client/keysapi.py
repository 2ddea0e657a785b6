"""Keys: what `Client.keys` offers.

What it is: a door for each use case, as in `client.api`. What it is not: logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from notarypy.client.parameters import RemovalOptions, require_lists
from notarypy.keys.keystore import KeyStore
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.keys.migrating import MigratedKeys
    from notarypy.client.results import CheckedKey, ImportedKey, PurgedKey, RotatedKey
    from notarypy.client.session import Session
    from notarypy.keys.keyinfo import KeyInfo, PassphraseRequest, StoredKey

    KeyInfos = list[KeyInfo]  # the method `list` hides the type inside the class
    ImportedKeys = list[ImportedKey]
    StoredKeys = list[StoredKey]


class Keys:
    """The private keys of the trust directory. KEY is a name or at least 7 digits of an id."""

    def __init__(self, session: Session) -> None:
        """Use the keys of a client's session."""
        self._session = session

    def list(self, *, damaged: bool = False) -> KeyInfos:
        """Return all keys; `warn` is given what cannot be read, of which `damaged` returns the ids too."""
        store = KeyStore(self._session.directory().private)
        found = store.list()
        for warning in store.warnings:
            self._session.warn(warning)
        return [*found, *store.damaged()] if damaged else found

    def find(self, key: str, *, damaged: bool = False) -> KeyInfo:
        """Return the one key that KEY means; KeyMissingError if it fits none, UsageError if several.

        KeyMissingError too for one of the client's `signers`: nothing is written down of it. With `damaged`
        it may be one whose file or reference nobody can read; of it the id is known.
        """
        return self._session.keys().find(key, damaged=damaged)

    def generate(
        self, name: str, *, algorithm: Literal["ecdsa", "rsa"] = "ecdsa", uri: str | None = None
    ) -> tuple[StoredKey, bytes]:
        """Make a signer's key; returns it and its public half as PEM.

        With `uri` it is made there, and stays there; `name` may be `root`, `targets` or `snapshot` then.
        """
        info, public = self._session.keys().generate(name, algorithm, uri)
        self._warn_of_namesakes([info])
        return info, public

    def add(self, uri: str, *, name: str = "signer") -> StoredKey:
        """Note where a key is: a token, KMS or Vault that `uri` names. Only its public half is read.

        `name` is a signer's, or a base role. AlreadyExistsError: it is here under another name.
        """
        noted = self._session.keys().refer(uri, name)
        self._warn_of_namesakes([noted])
        return noted

    def test(self, key: str) -> CheckedKey:
        """Let a key sign a random challenge, and verify that; raise what goes wrong with it."""
        from notarypy.client.keys.keyfiles import test_key

        return test_key(self._session.keys(), key)

    def load(self, data: bytes, *, name: str | None = None) -> StoredKeys:
        """Store every private key in PEM data, as `name`, as its header says, or as `signer`.

        Each says what its passphrase is from. AlreadyExistsError: it is here under another name.
        """
        loaded = self._session.keys().load(data, name)
        self._warn_of_namesakes(loaded)
        return loaded

    def _warn_of_namesakes(self, infos: Sequence[KeyInfo]) -> None:
        """Say that other keys have the name of a new one: it means none of them alone then."""
        present = self._session.keys().store.list()
        for info in infos:
            others = [one.keyid[:12] for one in present if one.role == info.role and one.keyid != info.keyid]
            if others and info.role not in roles.BASE_ROLES:
                name = roles.signer_name(info.role)
                what = f"other keys here are called {name} too: {', '.join(others)}"
                self._session.warn(f"{what}; where one is meant, write digits of its id")

    def export(self, keys: Sequence[str] | None = None, *, guns: Sequence[str] | None = None) -> bytes:
        """Return keys as PEM, encrypted as they are here, in the form `notary key import` reads.

        These keys, or those made for repositories, or without either all. Of the latter two keys that are
        elsewhere are left out, with a warning; KeyMissingError: of one of them none is here.
        """
        from notarypy.client.keys.keyfiles import export

        require_lists(keys=keys or (), guns=guns or ())
        session = self._session
        return export(session.keys(), session.directory(), keys, guns, session.warn)

    def of_repository(self, repository: str) -> KeyInfos:
        """Return the keys here, damaged ones too, that a repository known here has (KeyMissingError)."""
        from notarypy.client.keys.keyfiles import keys_of

        gun = self._session.gun(repository, whole=True)[0]
        return keys_of(self._session.keys(), self._session.directory(), gun)

    def export_cosign(self, key: str, passphrase: str | Callable[[PassphraseRequest], str]) -> bytes:
        """Return a key as a key file of cosign, encrypted with another passphrase; it stays as it is here.

        `passphrase` is that of the file, or what returns it, asked when the key is unlocked.
        """
        from notarypy.client.keys.keyfiles import private_file

        new = passphrase if callable(passphrase) else lambda _: passphrase
        return private_file(self._session.keys(), key, new)

    def public_cosign(self, key: str) -> bytes:
        """Return the public half of a KEY, a key file or a URI as cosign has it: PEM without headers."""
        from notarypy.client.keys.keyfiles import public_file

        return public_file(self._session.keys(), key)

    def import_(self, data: bytes) -> ImportedKeys:
        """Store exported keys as they are, all or none (UnsupportedKeyError); no passphrase is asked."""
        from notarypy.client.keys.keyfiles import import_keys

        return import_keys(self._session.keys(), data)

    def take_over(self, data: bytes, *, role: str | None = None, gun: str | None = None) -> StoredKeys:
        """Store every private key in PEM data, whatever it is, all or none, as Go notary's `key import`.

        Exported ones stay as they are, others are opened and encrypted. `role` and `gun` are of those that do
        not say them; without `role` they are delegations'. AlreadyExistsError: one is here for another role.
        """
        from notarypy.client.keys.takeover import take_over

        return take_over(self._session.keys(), data, role, gun, self._session.settings.retry_for)

    def note(self, uri: str, *, role: str | None = None, gun: str | None = None) -> StoredKey:
        """Note where a key is, as `add`, for any role as `take_over`, and of one repository with `gun`."""
        from notarypy.client.keys.takeover import note

        noted = note(self._session.keys(), uri, role, gun)
        self._warn_of_namesakes([noted])
        return noted

    def make(self, role: str) -> StoredKey:
        """Make a key for any role, as Go notary's `key generate` does; it is no repository's."""
        from notarypy.client.keys.takeover import make

        return make(self._session.keys(), role)

    def make_files(self, role: str) -> tuple[bytes, bytes]:
        """Make a key for any role, and store it nowhere; returns it, encrypted, and its public half."""
        from notarypy.client.keys.takeover import make_files

        return make_files(self._session.keys(), role)

    def change_passphrase(self, key: str, new: str | Callable[[PassphraseRequest], str]) -> KeyInfo:
        """Encrypt a key anew, after unlocking it with the passphrase it has.

        `new` is the new passphrase, or what returns it, asked when the key is unlocked. ConfigurationError:
        the key has this passphrase already, or it is too short.
        """
        from notarypy.client.keys.keyfiles import change_passphrase

        return change_passphrase(self._session.keys(), key, new if callable(new) else lambda _: new)

    def any_old(self) -> bool:
        """Tell whether `migrate` has anything to move; StorageError if nobody can."""
        from notarypy.client.keys.oldfolders import any_old

        return any_old(self._session.directory())

    def migrate(self, *, dry_run: bool = False) -> MigratedKeys:
        """Move keys out of the folders of Notary before 0.4, which stay in a backup; no passphrase is asked.

        What cannot be read stays, and is `left` in what is returned. StorageError: every key can be used
        where it is, and another call goes on.
        """
        from notarypy.client.keys.migrating import migrate

        session = self._session
        return migrate(session.directory(), session.now, session.settings.timeout, dry_run=dry_run)

    def rename(self, key: str, name: str) -> KeyInfo:
        """Give a signer's key another name here; what it signs and may sign stays as it is."""
        from notarypy.client.keys.keyfiles import rename_key

        info = rename_key(self._session.keys(), key, name)
        self._warn_of_namesakes([info])
        return info

    def remove(
        self, key: str, *, force: bool = False, dry_run: bool = False, others: Sequence[str] = ()
    ) -> KeyInfo:
        """Delete a key's file; returns what it was.

        Only `force` deletes the last copy of a root key that a repository cached here needs (KeyAccessError).
        With `dry_run` nothing is deleted; `others` are ids of keys that go too, and count no more.
        """
        from notarypy.client.keys.keyfiles import removable

        require_lists(others=others)
        manager = self._session.keys()
        info = removable(manager, self._session.directory(), key, others, force=force)
        if not dry_run:
            manager.store.remove(info.keyid)
        return info

    def public(self, key: str, *, name: str = "signer") -> bytes:
        """Return the public half of a key, as PEM; KeyAccessError if it is missing or cannot be unlocked.

        Of a URI it is read there and nothing is noted; `name` says whose it is, and which PIN is asked for.
        One of the client's `signers` has the one that it was given with.
        """
        return self._session.keys().public(key, name)

    def check_public(self, data: bytes) -> str:
        """Return the canonical id of a signer's public key or certificate, PEM; raise UnsupportedKeyError."""
        return self._session.public_keys([data])[0].canonical_id

    def rotate(
        self,
        repository: str,
        role: str,
        *,
        key: str | Sequence[str] | None = None,
        server_managed: bool = False,
        threshold: int | None = None,
        replaces: Sequence[str] = (),
        legacy: int = 0,
        begun: bool = False,
    ) -> RotatedKey:
        """Give `root`, `targets`, `snapshot` or `timestamp` another key.

        This takes the root keys (KeyNotAuthorisedError). `key` is a KEY, file or URI; None to make one, or to
        let the server make the key of snapshot or timestamp and keep it, with `server_managed`. Root and
        targets may have several, of which `threshold` sign, None for as many as now: also digits of ids of
        keys they have, and files of what others hold, for root their certificates for the repository. They
        are in the place of all keys of the role, or of those it `replaces`, digits of ids. Root keys of as
        many earlier versions as `legacy` says sign the new root too, where they are here: readers that trust
        only such a root need no version in between then. With `begun` a repository that `Staging.init` began
        is published first, without what is staged.
        """
        from notarypy.client.publish.rotating import Rotation, rotate

        require_lists(replaces=replaces)
        keys = () if key is None else (key,) if isinstance(key, str) else tuple(key)
        wanted = Rotation(role, keys, threshold, tuple(replaces), server_managed, legacy)
        return rotate(self._session, repository, wanted, begun=begun)

    def remove_replaced(self, rotated: RotatedKey) -> KeyInfos:
        """Delete the files of the targets or snapshot keys that `rotate` has replaced, as Go notary does.

        One that anything cached here names stays, and so does a root key. Raises what makes that unknown.
        """
        from notarypy.client.keys.keyfiles import remove_replaced

        session, old = self._session, {*rotated.old} - {*rotated.new}
        return remove_replaced(session.keys(), session.directory(), rotated.repository, old)

    def certify(self, repository: str, *, key: str | None = None) -> tuple[str, bytes]:
        """Return the id of a root key, and a new certificate of it for a repository, PEM.

        `key` is a KEY, file or URI; None for the only root key here, or one that is made. Others name the
        certificate where they make or change a root that takes several keys.
        """
        from notarypy.client.publish.rotating import certify

        return certify(self._session, repository, key)

    def purge(
        self,
        key: str,
        repository: str,
        *,
        force: bool = False,
        tags: Literal["keep", "revoke"] | None = None,
        dry_run: bool = False,
    ) -> PurgedKey:
        """Take one key, by at least 7 digits of its id, out of all delegations of a repository.

        Raises KeyNotAuthorisedError: the keys here may not remove it, or tags would become unreadable until
        others sign them again; with `force` they do. UndecidedTagsError: tags rest on this key alone, and
        `tags` does not say whether to keep or to revoke them.
        """
        from notarypy.client.publish.removing import purge

        return purge(self._session, key, repository, RemovalOptions(force, tags, dry_run))
