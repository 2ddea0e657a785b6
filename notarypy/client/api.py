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
from typing import TYPE_CHECKING, Self

from notarypy.client.authoring import Authoring
from notarypy.client.bases import Bases
from notarypy.client.gate import Gate
from notarypy.client.keyring import Keyring
from notarypy.client.session import Session, overridden
from notarypy.client.transfer import Transfer
from notarypy.client.upkeep import Upkeep
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.settings import Settings, load
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.client.results import (
        Inspection,
        RoleEntry,
        TrustedRoot,
    )
    from notarypy.keys.passphrase import PassphraseChain, PassphraseRequest
    from notarypy.keys.prompts import Wording
    from notarypy.remote.transport import Transport

    Passphrases = PassphraseChain | Callable[[PassphraseRequest], str | None]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def _ignore(_: str) -> None:
    """Drop a warning."""


class Client(Bases, Transfer, Gate, Authoring, Upkeep, Keyring):
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
        limits: Limits = DEFAULT,
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
            limits: What to take at most of what servers and archives send.
        """
        if settings is None:
            settings = load({"server": server, "trust_dir": trust_dir}, {}, Path.home())
        elif server or trust_dir:
            settings = overridden(settings, server, trust_dir)
        self.settings = settings
        self._session = Session(
            settings, transport, passphrases, clock, warn, literal_gun=literal_gun, limits=limits
        )

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        warn: Callable[[str], None] = _ignore,
        prompt: Callable[[str], str] | None = None,
        wording: Wording | None = None,
        gun: bool = False,
        limits: Limits = DEFAULT,
        **flags: object,
    ) -> Self:
        """Make a client from environment variables and configuration files, as the command line does.

        Args:
            environ: The environment; None for this process's.
            warn: See `Client`.
            prompt: Asks a person for a passphrase without echo; None where nobody can be asked.
            wording: What is asked then; None for notarypy's words.
            gun: Take repository names as they stand.
            limits: See `Client`.
            flags: What command line options would say: `server`, `trust_dir`, `config`, ...
        """
        import os

        environ = dict(os.environ if environ is None else environ)
        settings = load(flags, environ, Path(environ.get("HOME") or Path.home()))

        chain = None
        if prompt is not None:
            from notarypy.keys.passphrase import standard_chain

            chain = standard_chain(settings.environ, settings.passphrase_file, prompt, wording)
        return cls(settings, passphrases=chain, warn=warn, literal_gun=gun, limits=limits)

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

    def login(self, reference: str) -> str | None:
        """Return the name of the user that is logged in to an image's registry, None if nobody is."""
        return self._session.connections.login(self._session.parse(reference))

    def has_local(self, reference: str) -> bool:
        """Tell whether the docker daemon of this machine has an image; False where there is no daemon."""
        from notarypy.errors import NetworkError

        try:
            return self._session.connections.daemon().has(self._session.parse(reference))
        except NetworkError:
            return False

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
