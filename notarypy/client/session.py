"""A session: the settings, servers, keys and moment that all use cases share.

What it is: where a text becomes a Repository or a Manifest. What it is not: a use case.
"""

from __future__ import annotations

import logging
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy.client import workers
from notarypy.client.metadata.firstuse import FirstUses
from notarypy.client.metadata.repository import Repository
from notarypy.errors import Advice, ConfigurationError, OutOfScopeError, UsageError
from notarypy.images import reference as references
from notarypy.images.reference import Reference
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.settings.servers import server_url
from notarypy.storage.settings.settings import DOCKER_HUB_ENDS, DOCKER_HUB_SERVER, Settings, load
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import roles
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from notarypy.client.connections import Connections
    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.parameters import Progress
    from notarypy.images.manifests import Manifest
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.passphrases import CallbackSource, PassphraseChain
    from notarypy.keys.signers.base import Signer
    from notarypy.remote.http.transport import Transport
    from notarypy.remote.registry.registry import RegistryClient
    from notarypy.storage.images.trustarchive import TrustArchive
    from notarypy.storage.settings.policyfile import Scope, TrustPolicy
    from notarypy.tuf.keys import PublicKey

    Passphrases = PassphraseChain | CallbackSource | Callable[[PassphraseRequest], str | None]

_LOG = logging.getLogger(__name__)
# A refresh may take as long as this many requests may take.
_REQUESTS_AT_LEAST = 5


class Session:
    """What one Client holds; safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport | None,
        passphrases: Passphrases | None,
        clock: Callable[[], datetime],
        warn: Callable[[str], None],
        *,
        limits: Limits = DEFAULT,
        literal: bool = False,
    ) -> None:
        self.settings, self.literal, self.limits, self._heard = settings, literal, limits, warn
        self.progress: Progress | None = None
        self.handing_over: ContextVar[Callable[..., Any] | None] = ContextVar("a part is made", default=None)
        self.transport, self._passphrases, self._clock = transport, passphrases, clock
        self._connections: Connections | None = None
        self.ask_login: Callable[[], tuple[str, str] | None] | None = None
        self.first_uses, self.trust_dir = FirstUses(self.warn), TrustDirectory(settings.trust_dir, limits)
        self._manager: KeyManager | None = None
        self.signers: Mapping[str, Signer] = {}
        self._archives, self._given, self.begun = dict[Path, "TrustArchive"](), set[str](), set[str]()
        self._policy: list[TrustPolicy | ConfigurationError | None] = []
        self._lock, self.cached_if_unreachable = threading.RLock(), False

    def close(self) -> None:
        """Close all connections, and lock all keys again."""
        with self._lock:
            if self._connections is not None:
                self._connections.close()
            self._manager = None

    @property
    def connections(self) -> Connections:
        """The servers, known when first wanted."""
        with self._lock:
            if self._connections is None:
                # What speaks to servers would cost a command that asks none a fifth of its instructions.
                from notarypy.client.connections import Connections

                given = self.settings, self.transport, self.limits, self.ask_login, self.warn_once
                self._connections = Connections(*given)
            return self._connections

    def now(self) -> datetime:
        """Return the present moment."""
        if (moment := self._clock()).tzinfo is None:
            raise TypeError("the clock of a Client gives moments with a time zone, as datetime.now(UTC)")
        return moment

    def warn(self, warning: str) -> None:
        """Warn whoever uses the client, in the thread that it used."""
        workers.say(self._heard, warning)

    def warn_once(self, warning: str) -> None:
        """Warn, but say nothing twice."""
        workers.say(self._hear_once, warning)

    def _hear_once(self, warning: str) -> None:
        with self._lock:
            known = warning in self._given
            self._given.add(warning)
        if not known:
            self._heard(warning)

    def directory(self) -> TrustDirectory:
        """Return the trust directory, after a look at who else can write to it."""
        for warning in self.trust_dir.check():
            self.warn_once(warning)
        return self.trust_dir

    def keys(self) -> KeyManager:
        """Return the keys of the trust directory, made when first wanted."""
        with self._lock:
            if self._manager is None:
                # Keys would cost a command that needs none, such as verify, an eighth of its instructions.
                from notarypy.client.keys.availablekeys import AskedChain
                from notarypy.client.keys.manager import KeyManager
                from notarypy.keys.keystore import KeyStore
                from notarypy.keys.passphrases import CallbackSource, PassphraseChain, standard_chain

                chain = self._passphrases
                if chain is None:
                    chain = standard_chain(self.settings.environ, self.settings.passphrase_file, None)
                elif isinstance(chain, CallbackSource):
                    chain = PassphraseChain([chain])
                elif not isinstance(chain, PassphraseChain):
                    chain = PassphraseChain([CallbackSource(chain)])
                settings, private = self.settings, self.directory().private
                store = KeyStore(
                    private, self.signers, settings.environ, settings.timeout, offline=settings.offline
                )
                self._manager = KeyManager(store, AskedChain(chain))
            return self._manager

    def parse(self, text: str) -> Reference:
        """Read a reference; with literal GUNs only the last colon counts."""
        if not self.literal:
            return references.parse(text)
        gun, tag = roles.split_collection(text)
        registry, _, path = gun.partition("/")
        return Reference(registry, path, tag, None)

    def gun(self, text: str, *, whole: bool = False) -> tuple[str, str]:
        """Return GUN and registry host of a reference; with `whole`, a literal text is all GUN."""
        if whole and self.literal:
            gun = roles.check_gun(text)
            return gun, gun.partition("/")[0]
        parsed = self.parse(text)
        gun = f"{parsed.registry}/{parsed.path}" if parsed.path else parsed.registry
        return gun, parsed.registry

    def whole_repository(self, text: str) -> None:
        """Raise InvalidNameError unless a text names a repository, and no single image of it."""
        if self.literal:
            roles.check_gun(text)
        else:
            references.parse_repository(text)

    def trust_policy(self) -> TrustPolicy | None:
        """Return the trust policy, None where there is none; raise ConfigurationError."""
        with self._lock:
            if not self._policy and self.settings.policy is not None:
                try:
                    self._policy = [self.settings.policy.read()]
                except ConfigurationError as error:  # said once, however many images wait for the policy
                    self._policy = [error]
            policy = self._policy[0] if self._policy else None
        if isinstance(policy, ConfigurationError):
            raise policy
        return policy

    def scope(self, repository: str) -> Scope | None:
        """Return what the trust policy says of a repository, maybe OutOfScopeError; None without a policy."""
        policy = self.trust_policy()
        return None if policy is None else policy.scope_for(repository)

    def scope_of_roots(self, repository: str) -> Scope | None:
        """Return what the trust policy says of a repository's root, and nothing else; None if nothing.

        For whoever looks at a repository, and takes no image on its word: there is no scope that it must be
        in, a mirror has its own name, and the usual place's policy counts only where nothing is known yet.
        """
        named = self.settings.policy is not None and self.settings.policy.named
        if not named and roles.ROOT in self.directory().repository(repository).cached():
            return None
        try:
            found = self.scope(repository)
        except OutOfScopeError:
            return None
        if found is None or found.signed_as is not None or not (found.roots or found.first_use):
            return None
        return replace(found, server=None)

    def repository(
        self,
        text: str,
        root: str | None = None,
        scope: Scope | None = None,
        *,
        whole: bool = True,
        publishing: bool = False,
        archive: Path | None = None,
    ) -> Repository:
        """Return the repository that a reference is in, with its server and cache.

        `root` is a pin that counts in place of the configured ones, `scope` what the trust policy says;
        None to read it without the policy. `whole` tells that a literal text names nothing in a repository,
        `publishing` that whoever publishes there may trust its root on first use. `archive` is read in place
        of the server, and then stored; the one of the settings is not stored.
        """
        # Certificates, which pins may name, would cost a command that lists keys a fifth of its instructions.
        from notarypy.client.metadata.roots import root_policy

        written, _ = self.gun(text, whole=whole)
        gun = written if scope is None else scope.gun(written)
        registry_host, now = gun.partition("/")[0], self.now()
        url, source = self._server_for(registry_host, scope)
        server, archived = None, archive or self.settings.archive
        if not self.settings.offline and archived is None:
            if notice := _hub_notice(url, now):
                self.warn_once(
                    f"{notice}: pin or copy what you need of it, and name a Notary server of your own with "
                    "--server or DOCKER_CONTENT_TRUST_SERVER"
                )
            server = self.connections.notary(url, registry_host, source, notice)
        offline = server is None and archived is None
        _LOG.debug("%s: server %s, scope %s, offline: %s", gun, url, scope and scope.prefix, offline)
        found = Repository(
            gun=gun,
            server=server,
            server_url=str(archived or url),
            cache=self.directory().repository(gun),
            roots=root_policy(self.settings, gun, now, root, scope, publishing=publishing),
            decide=self.first_uses.publish if publishing else self.first_uses.read,
            now=now,
            warn=self.warn,
            patience=self.settings.timeout * _REQUESTS_AT_LEAST,
            limits=self.limits,
        )
        return found if archived is None else self._archived(found, archived, publishing=publishing)

    def _archived(self, found: Repository, path: Path, *, publishing: bool) -> Repository:
        """Return a repository as an archive has it (`archived`), which is current past any cache."""
        from notarypy.client.archived import ArchivedNotary  # what most commands have none of

        if publishing:
            raise UsageError(f"nothing can be published to {path}", why="it is an archive, and no server")
        archive = ArchivedNotary(self.archive(path))
        archive.require(found.gun)
        if warning := archive.ahead_of(found.now):
            self.warn_once(warning)
        cache = found.cache if self.settings.archive is None else found.cache.unwritten()
        return replace(found, archive=archive, cache=cache, fresh=True)

    def archive(self, path: Path) -> TrustArchive:
        """Return an archive, whose headers are read once."""
        from notarypy.storage.images.trustarchive import TrustArchive  # what most commands have none of

        with self._lock:
            self._archives[path] = found = self._archives.get(path) or TrustArchive(path, self.limits)
        return found

    def guns(self) -> list[str]:
        """Return the repositories that are known here, or that the archive of the settings says it has."""
        archive = self.settings.archive
        return self.directory().guns() if archive is None else sorted(self.archive(archive).repositories)

    def server_url(self, gun: str, scope: Scope | None = None) -> str:
        """Return the address of a repository's Notary server."""
        return self._server_for(gun.partition("/")[0], scope)[0]

    def _server_for(self, registry_host: str, scope: Scope | None) -> tuple[str, str]:
        """Return the address of the Notary server, and the setting that names it."""
        if self.settings.archive is not None:
            return str(self.settings.archive), "archive"
        if scope is None or scope.server is None:
            return self.settings.server_for(registry_host), self.settings.server_source_for(registry_host)
        if self.settings.server not in {None, scope.server}:
            self.warn_once(
                f"{scope.source} names the server {scope.server}, so {self.settings.server} is not asked"
            )
        return scope.server, scope.source

    def manifest(self, reference: Reference, wanted: str) -> Manifest:
        """Return what the registry serves for a tag or digest of an image."""
        return self.registry(reference).manifest(reference.path, wanted)

    def registry(self, reference: Reference) -> RegistryClient:
        """Return the registry of an image, and say so if it may be asked over plain http."""
        if reference.registry.lower() in self.settings.insecure_registries:
            self.warn_once(f"{reference.registry} is named insecure: it may be asked over plain http")
        return self.connections.registry(reference)

    def public_keys(self, pems: Sequence[bytes]) -> list[PublicKey]:
        """Read public keys and certificates; raise UsageError if there are none."""
        from notarypy.tuf.signerkeys import load_public_pem

        if not pems:
            raise UsageError("no public key was given", advice=Advice("give-key-option"))
        return [load_public_pem(data, self._clock()) for data in pems]

    def refuse_literal(self, what: str) -> None:
        """Raise UsageError for what needs a registry when GUNs are literal."""
        if self.literal:
            advice = Advice("leave-out", option="--gun")
            raise UsageError(f"{what} takes its content from a registry", advice=advice)

    def require_registry(self, what: str) -> None:
        """Raise UsageError where no registry may be asked."""
        self.refuse_literal(what)
        if self.settings.offline:
            raise UsageError(f"{what} asks a registry", advice=Advice("leave-out", option="--offline"))


def _hub_notice(url: str, now: datetime) -> str:
    """Say of Docker Hub's Notary service until when it is there; nothing of any other."""
    if url != DOCKER_HUB_SERVER:
        return ""
    ends = "ended" if now.date() >= DOCKER_HUB_ENDS else "ends"
    return f"{url} is Docker Hub's Notary service, which {ends} on {DOCKER_HUB_ENDS}"


def chosen(
    settings: Settings | None, server: str | None, trust_dir: Path | str | None, *, first_use: bool
) -> Settings:
    """Return settings, or those of an empty environment, with another server, directory and first use."""
    if settings is None:
        return load({"server": server, "trust_dir": trust_dir, "first_use": first_use}, {})
    if not (server or trust_dir or first_use):
        return settings
    return replace(
        settings,
        server=server_url(server, "server") if server else settings.server,
        server_source="server" if server else settings.server_source,
        trust_dir=Path(trust_dir) if trust_dir else settings.trust_dir,
        first_use=True if first_use and settings.first_use is None else settings.first_use,  # False stays
    )
