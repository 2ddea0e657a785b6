"""Client: everything notarypy does, as typed calls.

What it is: the face of the library; the command line calls nothing else. What it is not: logic; each method
is a door to one use case, which it names.

Rules:

1. A call returns when it has succeeded, and raises a NotarypyError otherwise.
2. Nothing is printed and nobody is asked, but through what was handed in.
3. This is the only module that reads the wall clock, as the default of `clock`.
4. One Client may be used from several threads. What was handed in is called in the thread that made the call
   or takes its outcomes; only `progress` and `signers` in those that work for it, the latter several at once.
5. One text where several are expected is a TypeError.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, Unpack

from notarypy.client.groups import Groups
from notarypy.client.imagesapi import Images
from notarypy.client.parameters import (
    WITHIN,
    Progress,
    RemovalOptions,
    SignOptions,
    VerifyOptions,
    require_lists,
)
from notarypy.client.session import Session, chosen
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.settings.settings import GlobalOptions, Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from notarypy.client import results
    from notarypy.client.history.events import HistoryEvent
    from notarypy.client.overview.overviews import Overview, OverviewOptions
    from notarypy.client.parameters import Required
    from notarypy.client.results import Renewed, RepositoryStatus
    from notarypy.client.session import Passphrases
    from notarypy.client.verdicts import FirstRoot, RoleEntry, SkippedImage, VerifiedImage
    from notarypy.client.verify.sharing import MetadataCache
    from notarypy.client.workers import Outcome
    from notarypy.keys.keyinfo import Wording
    from notarypy.keys.signers.base import Signer
    from notarypy.remote.http.transport import Transport
    from notarypy.tuf.trusted import TrustedMetadata


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Client(Groups):
    """A client for the Notary servers and registries that its settings name.

    `keys` are the private keys here, `images` whole images, `archives` trust data in files, `parts` what
    several people sign, and `first_uses` roots trusted on first use.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        server: str | None = None,
        trust_dir: Path | str | None = None,
        first_use: bool = False,
        confirm_root: Callable[[FirstRoot], bool] | None = None,
        passphrases: Passphrases | None = None,
        signers: Sequence[Signer] = (),
        transport: Transport | None = None,
        clock: Callable[[], datetime] = utc_now,
        progress: Progress | None = None,
        warn: Callable[[str], None] = lambda _: None,
        literal_gun: bool = False,
        ask_login: Callable[[], tuple[str, str] | None] | None = None,
        cached_if_unreachable: bool = False,
        limits: Limits = DEFAULT,
    ) -> None:
        """Make a client; nothing is read or sent yet.

        `settings` are by default those of an empty environment; `server`, a Notary server's URL, and
        `trust_dir` count in place of theirs. A repository that nothing is known of takes a pin, `first_use`,
        or `confirm_root`, which is shown its root, to say yes. `passphrases` are a chain of sources, or a
        function from requests to passphrases or None, which is asked for PINs if a `CallbackSource` says so;
        `signers` count as private keys here, and digits of their ids mean them. Requests go by `transport`;
        None for real HTTPS. `clock` gives the aware moment. `progress` is given how far images are, `warn`, a
        line each, what a person should know. `literal_gun` takes names of repositories as they stand, and
        asks no registry. `ask_login` gives the user and password of a Notary server that wants them, where no
        place has any, or refuses them. With `cached_if_unreachable` `targets` and `delegations` go on with
        what is cached and has not ended where no server can be reached, and warn. `limits` bound all input.
        """
        require_lists(signers=signers)
        self.settings = settings = chosen(settings, server, trust_dir, first_use=first_use)
        self._session = session = Session(
            settings, transport, passphrases, clock, warn, limits=limits, literal=literal_gun
        )
        session.ask_login, session.cached_if_unreachable = ask_login, cached_if_unreachable
        session.progress, session.first_uses.confirm = progress, confirm_root
        for place in settings.unread:
            session.warn(f"{place} is not known, and is left out")
        if signers:
            from notarypy.keys.signers.base import given  # keys, which a client that only reads does without

            session.signers = given(signers)
        self.images, self.first_uses = Images(session), session.first_uses.taken

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        passphrases: Passphrases | None = None,
        signers: Sequence[Signer] = (),
        transport: Transport | None = None,
        clock: Callable[[], datetime] = utc_now,
        progress: Progress | None = None,
        warn: Callable[[str], None] = lambda _: None,
        confirm_root: Callable[[FirstRoot], bool] | None = None,
        prompt: Callable[[str], str] | None = None,
        wording: Wording | None = None,
        gun: bool = False,
        limits: Limits = DEFAULT,
        **options: Unpack[GlobalOptions],
    ) -> Self:
        """Make a client from environment variables and configuration files, as the command line does.

        Without `passphrases`, at last `prompt` asks for them without echo, in the words of `wording`. `gun`
        takes repository names as they stand. For the others see `Client` and `GlobalOptions`.
        """
        environ = dict(os.environ if environ is None else environ)
        settings = load(options, environ)
        if passphrases is None and prompt is not None:
            from notarypy.keys.passphrases import standard_chain

            passphrases = standard_chain(settings.environ, settings.passphrase_file, prompt, wording)
        return cls(
            settings,
            confirm_root=confirm_root,
            passphrases=passphrases,
            signers=signers,
            transport=transport,
            clock=clock,
            progress=progress,
            warn=warn,
            literal_gun=gun,
            limits=limits,
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections and forget unlocked keys; the client can be used again."""
        self._session.close()

    def verify(
        self, reference: str, *, metadata: TrustedMetadata | None = None, **required: Unpack[Required]
    ) -> VerifiedImage:
        """Verify that an image is signed, and that the registry serves it as signed.

        What is required, beside the trust policy, is that of `VerifyOptions`. With `metadata` from `refresh`,
        which takes the `root` then, nothing but the registry is asked while none of it has ended.

        Raises:
            TagUnsignedError, VerificationError: It is not signed, or something does not match.
            PolicyError: A required signer has not signed it, or the trust policy is not met.
            NotVerifiedError: The trust policy says to skip it: `verify_unless_skipped` would.
        """
        from notarypy.client.verify.image import verify

        return verify(self._session, reference, VerifyOptions(**required), metadata)

    def verify_unless_skipped(
        self, reference: str, *, cache: MetadataCache | None = None, **required: Unpack[Required]
    ) -> VerifiedImage | SkippedImage:
        """Verify an image unless the trust policy says to skip it; see `verify`.

        `cache` is for the next images of the same repository, with the same `root`.
        """
        from notarypy.client.verify.image import verify_unless_skipped

        return verify_unless_skipped(self._session, reference, VerifyOptions(**required), cache=cache)

    def verify_each(
        self, references: Sequence[str], *, cache: MetadataCache | None = None, **required: Unpack[Required]
    ) -> Generator[Outcome[VerifiedImage | SkippedImage], None, None]:
        """Yield for each image what `verify_unless_skipped` returns or raises, in the order given.

        Repositories and their tags are looked at side by side, and each repository is refreshed once.
        """
        from notarypy.client.verify.many import verify_each

        require_lists(references=references)
        return verify_each(self._session, references, VerifyOptions(**required), cache)

    def refresh(self, repository: str, *, root: str | None = None) -> TrustedMetadata:
        """Return a repository's current metadata, as `verify` reads it; `root` is a pin that it must meet."""
        from notarypy.client.verify.sharing import current_metadata

        return current_metadata(self._session, repository, root)

    def inspect(self, reference: str, *, root: str | None = None) -> results.Inspection:
        """Return who signed what in a repository; a tag narrows the tags, and `root` is a pin to be met."""
        from notarypy.client.verify.inspection import inspect_reference

        return inspect_reference(self._session, reference, root)

    def delegations(self, repository: str, *, root: str | None = None) -> tuple[RoleEntry, ...]:
        """Return every delegation of a repository; `root` is a pin that it must meet."""
        from notarypy.client.verify.inspection import delegations

        return delegations(self._session, repository, root)

    def status(
        self, repository: str, *, within: timedelta = WITHIN, root: str | None = None
    ) -> RepositoryStatus:
        """Return when each role ends, and whose keys are here; expired ones are shown, not refused."""
        from notarypy.client.verify.inspection import status

        return status(self._session, repository, within, root)

    def overview(self, repository: str, **how: Unpack[OverviewOptions]) -> Overview:
        """Return who may sign what, what is signed, what happened, and what is wrong or ends soon."""
        from notarypy.client.overview.looking import overview

        return overview(self._session, repository, **how)

    def repositories(self) -> list[str]:
        """Return the repositories whose root is trusted in this trust directory; with an archive, its own."""
        return self._session.guns()

    def login(self, reference: str) -> str | None:
        """Return the name of the user that is logged in to an image's registry, None if nobody is."""
        return self._session.connections.login(self._session.parse(reference))

    def init(
        self,
        repository: str,
        *,
        root_key: str | Sequence[str] | None = None,
        root_cert: bytes | Sequence[bytes] | None = None,
        root_threshold: int | None = None,
        targets_key: str | None = None,
        snapshot: Literal["server", "local"] | None = None,
        signer: str | None = None,
        keys: Sequence[bytes] = (),
    ) -> results.InitResult:
        """Give a repository trust data; one that has some is left as it is.

        `root_key` is a KEY, file or URI, by default the root key that is here, or a new one; `root_cert` a
        PEM certificate that carries it. With several of either, or a `root_threshold`, certificates are those
        of others too (`Keys.certify`), and no key is taken that is not named. `targets_key` is a KEY, file or
        URI, by default a new one. `signer` is a first signer, `keys` its public keys or certificates, PEM.
        `snapshot` says who keeps the snapshot key; None for the server, or whoever has it already.
        """
        from notarypy.client.publish.initialise import Wanted, init

        require_lists(keys=keys)
        own = (root_key,) if isinstance(root_key, str) else tuple(root_key or ())
        given = (root_cert,) if isinstance(root_cert, bytes) else tuple(root_cert or ())
        wanted = Wanted(own, given, root_threshold, targets_key, snapshot)
        return init(self._session, repository, wanted, signer=signer, keys=keys)

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
        root: str | None = None,
    ) -> list[results.SignedTag]:
        """Sign tags that are in the registry: one publish per repository, all of its tags or none.

        How is said by `SignOptions`. `init` initialises a repository without trust data; `root` is a pin that
        its root must meet. `local` has the docker daemon push each tag first, and signs exactly that;
        nothing, if no key here may sign it (KeyAccessError). ImageMissingError: it is not there. All
        repositories are tried before one is raised.
        """
        from notarypy.client.publish.signing import sign_all

        require_lists(references=references)
        options = SignOptions(signer, custom, discard_unverified, dry_run, root)
        if local:
            from notarypy.client.transfer.copying import sign_local

            return sign_local(self._session, references, options, init=init)
        return sign_all(self._session, references, options, init=init)

    def revoke(self, references: Sequence[str], *, signer: str | None = None) -> list[results.RevokedTag]:
        """Make tags unsigned again: one publish per repository, all of its tags or none.

        With a digest only while the tag has it; with `signer` only what this signer signed, and its release.
        """
        from notarypy.client.publish.revoking import revoke_references

        require_lists(references=references)
        return revoke_references(self._session, references, signer)

    def revoke_all(self, repository: str, *, signer: str | None = None) -> list[results.RevokedTag]:
        """Make every tag of a repository unsigned again, or every tag of one signer."""
        from notarypy.client.publish.revoking import revoke_all

        return revoke_all(self._session, repository, signer)

    def add_signer(
        self,
        name: str,
        repository: str,
        keys: Sequence[bytes],
        *,
        paths: Sequence[str] = ("",),
        releases: bool = True,
        threshold: int | None = None,
    ) -> results.SignerAdded:
        """Let holders of keys (PEM), or a `threshold` of them together, sign and release tags of `paths`."""
        from notarypy.client.publish.delegations import add

        return add(self._session, name, repository, keys, paths=paths, releases=releases, threshold=threshold)

    def remove_signer(
        self,
        name: str,
        repository: str,
        *,
        key: str | None = None,
        paths: Sequence[str] = (),
        force: bool = False,
        tags: Literal["keep", "revoke"] | None = None,
        dry_run: bool = False,
    ) -> results.SignerRemoved:
        """Take a signer, or only a key or `paths` of it, out of a repository; see `RemovalOptions`."""
        from notarypy.client.publish.removing import remove_signer

        options = RemovalOptions(force, tags, dry_run)
        return remove_signer(self._session, name, repository, options, key=key, paths=paths)

    def renew(self, repository: str, *, within: timedelta | None = None, only: Sequence[str] = ()) -> Renewed:
        """Sign again, with the keys here, what has ended or ends `within` a time, 90 days if none is given.

        `only` these roles: whatever their dates, if no time is given.
        """
        from notarypy.client.publish.maintenance import renew

        require_lists(only=only)
        return renew(
            self._session, repository, WITHIN if within is None else within, only, named=within is None
        )

    def history(
        self,
        repository: str,
        *,
        since: datetime | timedelta | None = None,
        role: str | None = None,
        tag: str | None = None,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> Generator[HistoryEvent, None, None]:
        """Return what happened to a repository, oldest first; it is read while the events are taken.

        `since` is an aware moment or a span before now; of a `role` or `tag` all else is left out. `root` is
        a pin. What cannot be verified is an event too; RepositoryMissingError comes after what is known.
        """
        from notarypy.client.history.events import PastFilter, history

        return history(self._session, repository, PastFilter(since, role, tag), root, progress)

    def offered_root(self, repository: str) -> results.TrustedRoot:
        """Return the root trusted here and the one the server offers; changes nothing."""
        from notarypy.client.metadata.trustchange import offered

        return offered(self._session.repository(repository).past_caches())

    def trust(self, repository: str, root: str) -> results.TrustedRoot:
        """Trust the offered root with this full pin from now on, whatever was trusted before."""
        from notarypy.client.metadata.trustchange import accept

        return accept(self._session.repository(repository, root).past_caches(), root)

    def forget(self, repository: str) -> bool:
        """Drop what is cached of a repository, whatever its pins; tells whether there was anything."""
        from notarypy.client.metadata.trustchange import forget

        return forget(self._session.directory().repository(self._session.gun(repository, whole=True)[0]))
