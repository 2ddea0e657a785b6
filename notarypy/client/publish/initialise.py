"""Give a repository trust data: keys, a root, a first targets file.

What it is: the first publish. What it is not: a way to replace trust data; a repository that has some is left
as it is.

Rules:

1. The server is asked first. Only where it knows nothing, and the trust directory neither, is a root made.
2. The timestamp key is the server's; the snapshot key too, unless asked otherwise.
3. New private keys are on the disk before anything is sent. They are removed after a definite refusal, and
   kept when the outcome is unknown; the next try takes them in place of other ones.
4. Who loses a race for the first publish removes its new keys and goes on as if the repository had been
   there.
5. When an answer is lost and there is nothing, the same files are sent again, by rule 4 of the `pipeline`: a
   server takes them once, and whoever finds them there finds its own.
6. The root keys, and a targets key that was named, are ready to sign before any other key is made, here or by
   the server: they may be in a drawer.
7. A root may have several keys, and a threshold: keys here that are named, and keys of others who gave their
   certificates. Where several are asked for no key is taken or made that was not named.
8. What is handed over (`joining`) is the first root and targets, for others to sign; the snapshot is the
   server's then. Keys that were made for it stay: who signs the part last publishes it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from notarypy.client import workers
from notarypy.client.keys.rolekeys import first_root_keys
from notarypy.client.metadata.refresh import refresh
from notarypy.client.publish.drafts import require_readable, sign_draft
from notarypy.client.publish.pipeline import NOT_SENT, Publisher, Waits, is_answer, publisher_for
from notarypy.client.publish.serverside import confirm, server_key
from notarypy.client.results import InitResult
from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    AuthenticationError,
    NetworkError,
    NotarypyError,
    NotFoundError,
    RefusedUpdateError,
    RepositoryMissingError,
    RootNotPinnedError,
    UnknownOutcomeError,
    UsageError,
    VerificationError,
)
from notarypy.tuf import certificates, roles
from notarypy.tuf.changes import AddDelegation, Change, State, apply_all
from notarypy.tuf.keys import require_reachable
from notarypy.tuf.metadata import Targets
from notarypy.tuf.plan import TARGETS_LIFETIME, first_root, plan, snapshot_draft
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.metadata.repository import Repository
    from notarypy.client.session import Session
    from notarypy.tuf.keys import PublicKey

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What `init` is asked for: root keys, who keeps the snapshot key, and the first delegations.

    Without `root_keys`, a KEY, file or URI each, the only one here is taken, or one is made; `root_certs`,
    PEM, carries it. Of several, or with a `root_threshold`, they are what rule 7 says. Without `targets_key`,
    the same, one is made. `snapshot` is None when it does not matter.
    """

    root_keys: Sequence[str] = ()
    root_certs: Sequence[bytes] = ()
    root_threshold: int | None = None
    targets_key: str | None = None
    snapshot: Literal["server", "local"] | None = None
    changes: Sequence[Change] = ()

    @property
    def several(self) -> bool:
        """Whether the root is to have several keys (rule 7)."""
        return max(len(self.root_keys), len(self.root_certs)) > 1 or self.root_threshold is not None


def additions(
    role: str,
    keys: Sequence[PublicKey],
    paths: Sequence[str],
    threshold: int | None = None,
    *,
    releases: bool,
) -> list[AddDelegation]:
    """Return the changes that make keys a signer, one who releases tags unless asked otherwise."""
    changes = [AddDelegation(role, keys, paths, threshold)]
    if releases and role != roles.RELEASES and roles.parent(role) == roles.TARGETS:
        changes.append(AddDelegation(roles.RELEASES, keys, threshold=threshold))
    return changes


def init(
    session: Session,
    text: str,
    wanted: Wanted | None = None,
    *,
    signer: str | None = None,
    keys: Sequence[bytes] = (),
    root: str | None = None,
) -> InitResult:
    """Make trust data for the repository that a reference is in, with a first signer if one is named.

    `root` is a pin that its root must meet, as configured ones are.
    """
    publisher = publisher_for(session, text, root)
    public = session.public_keys(keys) if signer else []
    changes = additions(roles.signer_role(signer), public, ("",), releases=True) if signer else []
    return initialise(publisher, session.keys(), replace(wanted or Wanted(), changes=changes))


def initialise(publisher: Publisher, manager: KeyManager, wanted: Wanted) -> InitResult:
    """Make trust data where there is none (rules 1 to 4); AlreadyExistsError: there is some, but not so."""
    repository = publisher.repository
    try:
        trusted, created = refresh(repository), False
    except RepositoryMissingError:
        if publisher.handing_over is not None:
            return _hand_over(publisher, manager, wanted)
        trusted, created = _create(publisher, manager, wanted)
    _LOG.debug("%s: %s", repository.gun, "initialised" if created else "it had trust data already")
    if not created:
        _require_wanted(trusted, manager, wanted)
    return _result(repository, State.of(trusted), manager, created=created)


def publish_first(publisher: Publisher, files: dict[str, bytes]) -> bool:
    """Publish first files that several people signed; tell whether they were not there before (rule 8)."""
    check_root(publisher.repository, files[roles.ROOT])
    with suppress(RepositoryMissingError):
        if refresh(publisher.repository).files[roles.ROOT] == files[roles.ROOT]:
            return False
    require_readable(publisher.repository, files)
    return send_first(publisher, files, lambda: None)[1]


def _hand_over(publisher: Publisher, manager: KeyManager, wanted: Wanted) -> InitResult:
    """Hand over the first files, to be signed by others too (rule 8)."""
    repository = publisher.repository
    if wanted.snapshot == "local":
        advice = Advice("leave-out", option="--snapshot local")
        raise UsageError("what several people sign has its snapshot made by the server", advice=advice)
    with manager.new_keys(publisher.patience.seconds) as undo:
        try:
            state = _first_state(repository, role_keys(repository, manager, wanted), wanted)
            publisher = replace(publisher, keys=manager.signing_keys())
            publisher.hand_over(lambda _: (), state)
        except BaseException:  # what a signer of somebody else's raises, too
            undo()
            raise
    return _result(repository, state, manager, created=False)


def _create(publisher: Publisher, manager: KeyManager, wanted: Wanted) -> tuple[TrustedMetadata, bool]:
    """Publish the first files; return what the server serves then, and whether it is ours (rules 3, 4)."""
    repository = publisher.repository
    with manager.new_keys(publisher.patience.seconds) as undo:
        try:
            files = first_files(repository, manager, role_keys(repository, manager, wanted), wanted)
            check_root(repository, files[roles.ROOT])
            require_readable(repository, files)
        except RootNotPinnedError as error:
            undo()
            raise _not_pinned(repository, manager, wanted, error) from None
        except BaseException:  # what a signer of somebody else's raises, too
            undo()
            raise
        return send_first(publisher, files, undo)


def send_first(
    publisher: Publisher, files: dict[str, bytes], undo: Callable[[], None]
) -> tuple[TrustedMetadata, bool]:
    """Send the first files until it is known what became of them (rules 3 to 5)."""
    repository, waits, lost = publisher.repository, Waits(publisher.patience), False
    while True:
        try:
            repository.notary().update(repository.gun, files)
        except (AuthenticationError, RefusedUpdateError, NetworkError) as error:
            unsent = isinstance(error, (AuthenticationError, *NOT_SENT))
            data = None if unsent else _served_root(repository, error)
            if data is None:
                if not lost and (unsent or isinstance(error, RefusedUpdateError) or is_answer(error)):
                    undo()
                    raise
                lost = True
                try:
                    waits.after(error)
                except NotarypyError:
                    raise _unknown(repository, error) from error
                continue
            if data != files[roles.ROOT]:
                undo()
                return refresh(repository), False
        return confirm(repository, files), True


def check_root(repository: Repository, data: bytes) -> None:
    """Raise VerificationError for a new root that nobody could trust, or that meets no pin."""
    blank = TrustedMetadata(repository.gun, repository.now, limits=repository.limits)
    root = blank.first_root(data, repository.roots)
    for key in root.signers(roles.ROOT):
        problem = certificates.problem(key, repository.gun, repository.now)
        if problem:
            raise VerificationError("the root certificate cannot be used", why=problem)


def _not_pinned(
    repository: Repository, manager: KeyManager, wanted: Wanted, error: RootNotPinnedError
) -> RootNotPinnedError:
    """Say that the root that would be made is none that is pinned; the id of a key just made tells nobody."""
    named, stored = wanted.root_keys or wanted.root_certs, {key.keyid for key in manager.store.list()}
    offered = error.facts["offered"]
    here = [one for one in offered if named or one in stored] if isinstance(offered, list) else []
    what = f"the root key here: {', '.join(here)}" if here else "a new root key would be made: none is here"
    return RootNotPinnedError(
        f"the pin of {repository.gun} does not allow the root that would be made",
        why=(what, *error.why[1:]),
        advice=Advice("load-pinned-root"),
        role=roles.ROOT,
        offered=here,
    )


def _root_keys(repository: Repository, manager: KeyManager, wanted: Wanted) -> Sequence[PublicKey]:
    """Return the keys of the root, and see that they can be enough (rule 7)."""
    gun, now = repository.gun, repository.now
    if not wanted.several:
        key, certificate = next(iter(wanted.root_keys), None), next(iter(wanted.root_certs), None)
        return [manager.root_key(gun, key, certificate, now)]
    keys = first_root_keys(manager, gun, wanted.root_keys, wanted.root_certs, now)
    require_reachable(roles.ROOT, keys, wanted.root_threshold or 1)
    return keys


def role_keys(repository: Repository, manager: KeyManager, wanted: Wanted) -> dict[str, Sequence[PublicKey]]:
    """Return the keys of the four roles; the server is asked for its own while others are made (rule 6)."""
    gun, local = repository.gun, wanted.snapshot == "local"
    of_server = [roles.TIMESTAMP] if local else [roles.SNAPSHOT, roles.TIMESTAMP]

    def asked() -> dict[str, Sequence[PublicKey]]:
        # One after the other: a server with keys in memory may not survive two questions at once.
        ask = repository.notary().get_key
        return {role: [server_key(repository, role, ask(gun, role))] for role in of_server}

    keys = {roles.ROOT: _root_keys(repository, manager, wanted)}
    if wanted.targets_key is not None:
        keys[roles.TARGETS] = [manager.role_key(roles.TARGETS, gun, wanted.targets_key)]
    with workers.begun([asked]) as offered:
        for role in [roles.TARGETS, *([roles.SNAPSHOT] if local else [])]:
            keys[role] = keys.get(role) or [manager.first_key(role, gun)]
        return keys | offered(0).get()


def _first_state(repository: Repository, keys: dict[str, Sequence[PublicKey]], wanted: Wanted) -> State:
    root = first_root(keys, repository.now, wanted.root_threshold or 1)
    empty = Targets(version=0, expires=repository.now + TARGETS_LIFETIME)
    dirty = frozenset({roles.ROOT, roles.TARGETS})
    start = State(repository.gun, root, {roles.TARGETS: empty}, dirty=dirty, limits=repository.limits)
    return apply_all(start, wanted.changes)


def first_files(
    repository: Repository, manager: KeyManager, keys: dict[str, Sequence[PublicKey]], wanted: Wanted
) -> dict[str, bytes]:
    """Return root and targets, and the snapshot where its key is here, signed."""
    signing, state = manager.signing_keys(), _first_state(repository, keys, wanted)
    drafts = plan(state, repository.now, signing.available)
    files = {draft.role: sign_draft(draft, signing) for draft in drafts}
    if wanted.snapshot == "local":
        draft = snapshot_draft(state.root, None, files, state, repository.now)
        files[roles.SNAPSHOT] = sign_draft(draft, signing)
    return files


def _served_root(repository: Repository, error: NotarypyError) -> bytes | None:
    """Look what became of files that were refused or got no answer: return the server's root, if any."""
    try:
        return repository.fetch(roles.ROOT)
    except NotFoundError:
        return None
    except NotarypyError as trouble:
        raise _unknown(repository, error) from trouble


def _unknown(repository: Repository, error: NotarypyError) -> UnknownOutcomeError:
    return UnknownOutcomeError(
        f"nobody can say whether {repository.gun} was initialised",
        why=(error.message, "the new keys are kept, and the next try takes them"),
        advice=Advice("run-again-later"),
    )


def _require_wanted(trusted: TrustedMetadata, manager: KeyManager, wanted: Wanted) -> None:
    problem = ""
    named = [(roles.ROOT, key) for key in wanted.root_keys]
    named += [] if wanted.targets_key is None else [(roles.TARGETS, wanted.targets_key)]
    for role, selector in named:
        ids = {key.canonical_id for key in trusted.root.signers(role)}
        if manager.select(selector, role) not in ids:
            problem = problem or f"its {role} key is {', '.join(sorted(ids))}, not the given one"
    threshold = trusted.root.roles[roles.ROOT].threshold
    if wanted.root_threshold not in {None, threshold}:
        problem = problem or f"its root takes {threshold} signatures, not {wanted.root_threshold}"
    snapshot = {key.canonical_id for key in trusted.root.signers(roles.SNAPSHOT)}
    if wanted.snapshot == "local" and not snapshot.intersection(manager.signing_keys().available):
        problem = "its snapshot key is not here"
    if apply_all(State.of(trusted), wanted.changes).dirty:
        problem = "the signer that was asked for is not one of its signers"
    if problem:
        raise AlreadyExistsError(
            f"{trusted.gun} has trust data, of another kind", why=problem, gun=trusted.gun
        )


def _result(repository: Repository, state: State, manager: KeyManager, *, created: bool) -> InitResult:
    available, root = set(manager.signing_keys().available), state.root
    ids = {role: [key.canonical_id for key in root.signers(role)] for role in roles.BASE_ROLES}
    delegated = [entry.name for entry in state.targets[roles.TARGETS].roles if entry.name != roles.RELEASES]
    return InitResult(
        repository=repository.gun,
        created=created,
        root_pins=root.pins,
        root_keys=root.roles[roles.ROOT].keyids,
        keys_here=tuple(role for role in ids if available.intersection(ids[role])),
        signers=tuple(roles.signer_name(role) for role in delegated),
        server=repository.server_url,
        root_uris=manager.places(ids[roles.ROOT]),
        root_threshold=root.roles[roles.ROOT].threshold,
    )
