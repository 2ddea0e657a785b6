"""Client: everything notarypy does, as typed calls.

What it is: the face of the library; the command line calls nothing else. What it is
not: logic; each method joins settings, servers and keys for one use case.

Rules:

1. A call returns when it has succeeded, and raises a NotarypyError otherwise.
2. Nothing is printed and nobody is asked, but through `warn` and the passphrases
   that were handed in.
3. This is the only module that reads the wall clock, as the default of `clock`.
4. One Client may be used from several threads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from notarypy.client.gate import Gate
from notarypy.client.keyring import Keyring
from notarypy.client.session import Session, overridden
from notarypy.storage.settings import Settings, load
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from notarypy.client.results import (
        InitResult,
        Inspection,
        RoleEntry,
        SignedTag,
        SignerAdded,
        SignerRemoved,
        TrustedRoot,
    )
    from notarypy.keys.passphrase import PassphraseChain, PassphraseRequest
    from notarypy.remote.transport import Transport

    Passphrases = PassphraseChain | Callable[[PassphraseRequest], str | None]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def _ignore(_: str) -> None:
    """Drop a warning."""


class Client(Gate, Keyring):
    """A client for the Notary servers and registries that its settings name.

    Example:
        >>> from notarypy import Client
        >>> with Client.from_environment() as client:
        ...     image = client.verify("registry.example.com/admin/demo:1")
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        server: str | None = None,
        trust_dir: Path | str | None = None,
        passphrases: Passphrases | None = None,
        transport: Transport | None = None,
        clock: Callable[[], datetime] = utc_now,
        warn: Callable[[str], None] = _ignore,
        literal_gun: bool = False,
    ) -> None:
        """Make a client; nothing is read or sent yet.

        Args:
            settings: All settings; None for the defaults with an empty environment.
            server: The Notary server's URL, over that of `settings`.
            trust_dir: The trust directory, over that of `settings`.
            passphrases: A chain of sources, or a function from a request to a passphrase or None.
            transport: Sends requests; None for real HTTPS.
            clock: Tells the present moment, aware.
            warn: Told, in one line each, what a person should know.
            literal_gun: Take repository names as they stand; no registry is asked then.
        """
        if settings is None:
            settings = load({"server": server, "trust_dir": trust_dir}, {}, Path.home())
        elif server or trust_dir:
            settings = overridden(settings, server, trust_dir)
        self.settings = settings
        self._session = Session(settings, transport, passphrases, clock, warn, literal_gun=literal_gun)

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        warn: Callable[[str], None] = _ignore,
        prompt: Callable[[str], str] | None = None,
        gun: bool = False,
        **flags: object,
    ) -> Self:
        """Make a client from environment variables and configuration files, as the command line does.

        Args:
            environ: The environment; None for this process's.
            warn: See `Client`.
            prompt: Asks a person for a passphrase without echo; None where nobody can be asked.
            gun: Take repository names as they stand.
            flags: What command line options would say: `server`, `trust_dir`, `config`, ...
        """
        import os

        environ = dict(os.environ if environ is None else environ)
        settings = load(flags, environ, Path(environ.get("HOME") or Path.home()))

        chain = None
        if prompt is not None:
            from notarypy.keys.passphrase import standard_chain

            chain = standard_chain(settings.environ, settings.passphrase_file, prompt)
        return cls(settings, passphrases=chain, warn=warn, literal_gun=gun)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections and forget unlocked keys; the client can be used again."""
        self._session.close()

    # Reading

    def inspect(self, reference: str) -> Inspection:
        """Return who signed what in a repository; a tag in `reference` narrows the tags."""
        from notarypy.client.inspect import inspect
        from notarypy.client.refresh import refresh

        repository = self._session.repository(reference)
        trusted = refresh(repository)
        tag = None if self._session.literal else self._session.parse(reference).tag
        return inspect(trusted, reference, tag, repository.server_url)

    def delegations(self, repository: str) -> tuple[RoleEntry, ...]:
        """Return every delegation of a repository."""
        from notarypy.client.inspect import role_entries
        from notarypy.client.refresh import refresh

        entries = role_entries(refresh(self._session.repository(repository)))
        return tuple(entry for entry in entries if entry.role not in roles.BASE_ROLES)

    # Publishing

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
    ) -> list[SignedTag]:
        """Sign tags that are in the registry: one publish per repository, all of its tags or none.

        Args:
            references: `REPO[:TAG][@DIGEST]` each.
            signer: Sign only as this signer (and release).
            custom: JSON to attach to each tag.
            init: Initialise a repository that has no trust data.
            dry_run: Check everything and publish nothing.
            discard_unverified: Start over files that cannot be verified.

        Raises:
            ImageMissingError: The registry does not have it.
            KeyNotAuthorisedError: No key here may sign it.
        """
        from notarypy.client.sign import Options, by_repository, custom_data, one_each, sign, tagged

        self._session.refuse_literal("sign")
        groups = by_repository(references)
        attached = None if custom is None else custom_data(custom)
        options = Options(signer, attached, discard_unverified, dry_run)
        results: list[SignedTag] = []
        for texts in groups.values():
            wanted = one_each([tagged(text) for text in texts])
            contents = {
                tag: self._session.manifest(one, one.digest or one.tag or "latest")
                for tag, one in wanted.items()
            }
            if init and not dry_run:
                self.init(texts[0])
            results += sign(self._session.publisher(texts[0]), contents, options)
        return results

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

    # Anchors of trust

    def offered_root(self, repository: str) -> TrustedRoot:
        """Return the root trusted here and the one the server offers; changes nothing."""
        from notarypy.client.anchors import offered

        return offered(self._session.repository(repository))

    def trust(self, repository: str, root: str) -> TrustedRoot:
        """Trust the offered root with this full PIN from now on, whatever was trusted before."""
        from notarypy.client.anchors import accept

        return accept(self._session.repository(repository, root), root)

    def forget(self, repository: str) -> bool:
        """Drop what is cached of a repository; tells whether there was anything. Keys stay."""
        from notarypy.client.anchors import forget

        # What is pinned, and whether that can be read, does not matter here.
        gun, _ = self._session.gun(repository, whole=True)
        return forget(self._session.directory().repository(gun))
