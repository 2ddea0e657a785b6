"""The part of Client that publishes: who may sign, and what is signed.

What it is: the calls behind `init`, `sign`, `revoke` and the signer commands. What it is not:
usable alone; `api.Client` is the class to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from notarypy.client.results import (
        InitResult,
        RevokedTag,
        SignedTag,
        SignerAdded,
        SignerRemoved,
    )
    from notarypy.client.session import Session
    from notarypy.client.sign import Options
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference


class Authoring:
    """What a Client can do to a repository's trust data."""

    _session: Session

    def init(
        self,
        repository: str,
        *,
        root_key: str | None = None,
        root_cert: bytes | None = None,
        snapshot: Literal["server", "local"] | None = None,
        signer: str | None = None,
        keys: Sequence[bytes] = (),
    ) -> InitResult:
        """Give a repository trust data; one that has some is left as it is.

        Args:
            repository: The repository.
            root_key: KEY or key file of the root key; None to reuse the one here or to make one.
            root_cert: PEM certificate that carries the root key; None to make one.
            snapshot: Who keeps the snapshot key; None for the server, or whoever has it already.
            signer: Name of a first signer.
            keys: Public keys or certificates of that signer, PEM.

        Raises:
            AlreadyExistsError: It has trust data of another kind.
        """
        from notarypy.client.delegate import additions
        from notarypy.client.initialise import Wanted, initialise

        publisher = self._session.publisher(repository)
        public = self._session.public_keys(keys) if signer else []
        changes = additions(roles.signer_role(signer), public, ("",), releases=True) if signer else []
        wanted = Wanted(root_key, root_cert, snapshot, changes)
        return initialise(publisher, self._session.keys(), wanted)

    def sign(
        self,
        references: Sequence[str],
        *,
        signer: str | None = None,
        custom: bytes | None = None,
        init: bool = False,
        dry_run: bool = False,
        discard_unverified: bool = False,
        local: bool = False,
    ) -> list[SignedTag]:
        """Sign tags that are in the registry: one publish per repository, all of its tags or none.

        Args:
            references: `REPO[:TAG][@DIGEST]` each.
            signer: Sign only as this signer (and release).
            custom: JSON to attach to each tag.
            init: Initialise a repository that has no trust data.
            dry_run: Check everything and publish nothing.
            discard_unverified: Start over files that cannot be verified.
            local: Push each tag from the docker daemon of this machine, and sign exactly that.

        Raises:
            ImageMissingError: The registry, or with `local` the daemon, does not have it.
            KeyAccessError: No key here may sign it, or it cannot be unlocked; nothing was pushed.
        """
        from notarypy.client.sign import Options, by_repository, custom_data, hushed, one_each, sign, tagged

        self._session.refuse_literal("sign")
        groups = by_repository(references)
        if local:
            self._ready_to_push(references, dry_run=dry_run)
        attached = None if custom is None else custom_data(custom)
        options = Options(signer, attached, discard_unverified, dry_run)
        results: list[SignedTag] = []
        for texts in groups.values():
            wanted = one_each([tagged(text) for text in texts])
            if local:
                self._check_signable(texts[0], wanted, options, init=init)
            contents = {
                tag: self.push_local(str(one))
                if local
                else self._session.manifest(one, one.digest or one.tag or "latest")
                for tag, one in wanted.items()
            }
            if init and not dry_run and not local:
                self.init(texts[0])
            results += sign(hushed(self._session.publisher(texts[0])), contents, options)
        return results

    def push_local(self, reference: str) -> Manifest:
        """Push a tag from the docker daemon of this machine, and return what the registry has then.

        Raises:
            ImageMissingError: The daemon does not have it.
            NetworkError: There is no daemon, or it could not push.
            DigestMismatchError: The registry has something else than the daemon says it pushed.
        """
        from notarypy.client.local import push

        return push(self._session, self._session.parse(reference))

    def _ready_to_push(self, references: Sequence[str], *, dry_run: bool) -> None:
        """Raise UsageError, before anything is pushed, for what cannot be pushed."""
        from notarypy.client.local import check

        if dry_run:
            raise UsageError(
                "what would be signed is not known before it is pushed", advice=Advice("leave-out-dry-run")
            )
        for text in references:
            check(self._session, self._session.parse(text))

    def _check_signable(self, text: str, tags: Collection[str], options: Options, *, init: bool) -> None:
        """Raise before a push what signing these tags of a repository would raise after it."""
        from notarypy.client.local import check_signable

        if init:
            self.init(text)
        check_signable(self._session.publisher(text), tags, options)

    def revoke(self, references: Sequence[str], *, signer: str | None = None) -> list[RevokedTag]:
        """Make tags unsigned again: one publish per repository, all of its tags or none.

        Args:
            references: `REPO[:TAG][@DIGEST]` each; with a digest only while the tag has it.
            signer: Remove only what this signer signed, and its release.

        Raises:
            TagUnsignedError: No role lists one of them.
            KeyNotAuthorisedError: Only roles list it whose keys are not here.
        """
        from notarypy.client.revoke import revoke, tags_of

        groups: dict[str, list[Reference]] = {}
        for text in references:
            groups.setdefault(self._session.gun(text)[0], []).append(self._session.parse(text))
        wanted = {gun: tags_of(group) for gun, group in groups.items()}
        return [
            done
            for gun, tags in wanted.items()
            for done in revoke(self._session.publisher(gun), tags, signer)
        ]

    def revoke_all(self, repository: str, *, signer: str | None = None) -> list[RevokedTag]:
        """Make every tag of a repository unsigned again, or every tag of one signer.

        Raises:
            KeyNotAuthorisedError: A released tag can be removed nowhere with the keys here.
        """
        from notarypy.client.revoke import revoke_all

        self._session.whole_repository(repository)
        return revoke_all(self._session.publisher(repository), signer)

    def add_signer(
        self,
        name: str,
        repository: str,
        keys: Sequence[bytes],
        *,
        paths: Sequence[str] = ("",),
        releases: bool = True,
    ) -> SignerAdded:
        """Let the holders of keys sign a repository's tags; initialises it if it has no trust data.

        Args:
            name: The signer's NAME, or a ROLE.
            repository: The repository.
            keys: Public keys or certificates, PEM.
            paths: Beginnings of the tags the signer may sign.
            releases: Let the signer release tags too.
        """
        from notarypy.client.delegate import add_signer, additions

        role = roles.signer_role(name)
        public = self._session.public_keys(keys)
        changes = additions(role, public, paths, releases=releases)
        if releases and "" not in paths:
            self._session.warn(
                f"{name} is limited by those who look at signers only: its key is in targets/releases too, "
                "whose paths cover every tag; --no-releases keeps it out"
            )
        return add_signer(self._session.publisher(repository), self._session.keys(), role, public, changes)

    def remove_signer(
        self, name: str, repository: str, *, key: str | None = None, force: bool = False
    ) -> SignerRemoved:
        """Take a signer, or one of its keys, out of a repository, keeping every tag readable.

        Raises:
            KeyNotAuthorisedError: Tags would become unreadable; `force` does it all the same.
        """
        from notarypy.client.delegate import remove_signer

        return remove_signer(self._session.publisher(repository), name, key=key, force=force)
