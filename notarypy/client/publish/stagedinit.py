"""A repository that begins here: keys and first files in the trust directory, published later.

What it is: Go notary's `init` without publishing, and the first publish of what it, or this, left here. What
it is not: `initialise`, which publishes at once; what is published with it (`staged` has the edit).

Rules:

1. The server is asked first. Trust data that is there, or known here, is left as it is: a second root would
   take the place of the one that counts.
2. The server keeps the timestamp key, and says which it is; it is told nothing. The snapshot key is kept here
   unless asked otherwise.
3. Keys are on the disk before files, and the root is the last of the files: whoever is killed begins again,
   with the keys that are there. Where it goes wrong keys that were made go after files that name them, the
   root first, and stay where such a file does.
4. The first publish sends the root as it is, and targets and snapshot in the version after, as Go does: root
   keys need not be here then. What is here is verified before anything is built on it.
5. Root, targets and snapshot stay here whatever becomes of the publish: it can be done again.
6. Begun is what looks like it: a root, targets and a snapshot of version 1, as far as they are there, and
   nothing else. Anything else was published, and a server that has nothing of it has lost it. Go notary
   leaves the same where it published and read nothing since: nobody can tell, and the warning says so. Who
   began it in this session knows.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from notarypy.client.metadata.missing import is_begun
from notarypy.client.metadata.repository import LOCK_SECONDS
from notarypy.client.publish.drafts import require_readable, sign_draft
from notarypy.client.publish.initialise import Wanted, check_root, first_files, role_keys, send_first
from notarypy.client.publish.pipeline import Published, publisher_for
from notarypy.client.publish.serverside import keeps_snapshot
from notarypy.errors import Advice, AlreadyExistsError, NotarypyError, NotFoundError, UsageError
from notarypy.tuf import roles
from notarypy.tuf.changes import State, apply_all
from notarypy.tuf.envelope import Envelope, require_threshold
from notarypy.tuf.metadata import Root, Snapshot, Targets
from notarypy.tuf.plan import TARGETS_LIFETIME, plan, snapshot_draft
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.publish.pipeline import Edit, Publisher
    from notarypy.client.session import Session
    from notarypy.tuf.changes import Change

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class StagedInit:
    """A repository that was begun here; nothing of it is published.

    `root_keys` are canonical ids, as pins are. Keys of the roles in `made` were made for it; those of other
    roles were here, or are the server's.
    """

    repository: str
    root_keys: tuple[str, ...]
    made: tuple[str, ...]
    server: str


def init(session: Session, text: str, wanted: Wanted) -> StagedInit:
    """Make keys and first files here; AlreadyExistsError where there are some (rules 1 to 3)."""
    session.whole_repository(text)
    publisher = publisher_for(session, text, staged=True)
    if publisher.handing_over is not None:
        raise UsageError("nothing is published by this, so there is nothing for others to sign")
    repository = publisher.repository
    if roles.ROOT in repository.cache.cached() or not is_unpublished(repository):
        raise _exists(repository)
    begun = begin(session, publisher, wanted)
    session.begun.add(repository.gun)
    return begun


def is_unpublished(repository: Repository) -> bool:
    """Tell whether a repository is unknown or was begun here, and the server has nothing of it."""
    if roles.TIMESTAMP in repository.cache.cached():
        return False
    try:
        repository.fetch(roles.ROOT)
    except NotFoundError:
        return roles.ROOT not in repository.cache.cached() or is_begun(repository, whole=False)
    return False


def begin(session: Session, publisher: Publisher, wanted: Wanted) -> StagedInit:
    """Make keys and first files of a repository that has none (rules 2 and 3)."""
    repository, manager = publisher.repository, session.keys()
    files: dict[str, bytes] = {}
    with manager.new_keys(publisher.patience.seconds) as undo:
        try:
            before = set(manager.signing_keys().available)
            keys = role_keys(repository, manager, wanted)
            files = first_files(repository, manager, keys, wanted)
            check_root(repository, files[roles.ROOT])
            require_readable(repository, files)
            _store(repository, files)
        except BaseException:  # what a signer of somebody else's raises, too
            if _taken_back(repository, files):
                undo()
            raise
    here = manager.signing_keys().available
    made = [role for role in keys if {key.canonical_id for key in keys[role]} & (set(here) - before)]
    _LOG.debug("%s: begun here; keys were made for %s", repository.gun, made)
    ids = tuple(key.canonical_id for key in keys[roles.ROOT])
    return StagedInit(repository.gun, ids, tuple(made), repository.server_url)


def _store(repository: Repository, files: dict[str, bytes]) -> None:
    """Store first files where there are none (rule 3)."""
    with repository.cache.lock(LOCK_SECONDS):
        if roles.ROOT in repository.cache.cached():
            raise _exists(repository)
        repository.cache.store({role: data for role, data in files.items() if role != roles.ROOT})
        repository.cache.store({roles.ROOT: files[roles.ROOT]})


def _taken_back(repository: Repository, files: dict[str, bytes]) -> bool:
    """Remove first files as far as they are stored; tell whether none is left (rule 3)."""
    if not files:
        return True
    with suppress(NotarypyError), repository.cache.lock(LOCK_SECONDS):
        for role in sorted(files, key=lambda role: role != roles.ROOT):
            if repository.cache.load(role) == files[role]:
                repository.cache.drop([role])
        return True
    return False


@contextmanager
def published_first(publisher: Publisher, check: Callable[[State], None]) -> Iterator[None]:
    """Publish a repository that was only begun here, and nothing that is staged, for what is to follow.

    `check` raises where that cannot follow, before anything is published. Meanwhile nobody publishes what is
    staged. In a part for others to sign nothing is published.
    """

    def nothing(state: State) -> Sequence[Change]:
        check(state)
        return ()

    repository = publisher.repository
    here = publisher.handing_over is None and roles.ROOT in repository.cache.cached()
    if not (here and is_unpublished(repository)):
        yield
        return
    with repository.cache.lock(publisher.patience.seconds, "staged"):
        warn_of_first(repository)
        if publish_first(publisher, nothing) is not None:
            repository.warn(f"{repository.gun} had not been published, and has been now")
        yield


def warn_of_first(repository: Repository) -> None:
    """Say that a server has nothing of what is here, which may have been published all the same (rule 6)."""
    known = "for the first time, as far as is known here"
    repository.warn(
        f"{repository.gun} is published {known}, to {repository.server_url}, which has nothing of it"
    )


def publish_first(publisher: Publisher, edit: Edit) -> Published | None:
    """Publish what is only here, with an edit (rule 4); None if it was published by now."""
    repository = publisher.repository
    with publisher.turn():
        root, start, snapshot = _begun(repository)
        after = apply_all(start, edit(start))
        drafts = plan(after, repository.now, publisher.available(after))
        files = {roles.ROOT: root, **{draft.role: sign_draft(draft, publisher.keys) for draft in drafts}}
        if keeps_snapshot(after.root, publisher.keys.available):
            draft = snapshot_draft(after.root, snapshot, files, after, repository.now)
            files[roles.SNAPSHOT] = sign_draft(draft, publisher.keys)
        require_readable(repository, files)
        publisher.sending(files)
        trusted, created = send_first(publisher, files, lambda: None)
    return Published(start, after, uploaded=True, trusted=trusted) if created else None


def _begun(repository: Repository) -> tuple[bytes, State, Snapshot | None]:
    """Return the root that is here, the state that it stands for, and the snapshot if there is one."""
    cache, gun, limits = repository.cache, repository.gun, repository.limits
    data = cache.load_root()
    if data is None:
        raise RuntimeError("nothing was begun here")
    check_root(repository, data)
    root = Root.from_signed(Envelope.parse(data, roles.ROOT, limits).signed, limits)
    targets = Targets(version=1, expires=repository.now + TARGETS_LIFETIME)
    if (text := cache.load(roles.TARGETS)) is not None:
        targets = Targets.from_signed(_verified(root, text, roles.TARGETS).signed, limits=limits)
    snapshot = None
    if (text := cache.load(roles.SNAPSHOT)) is not None:
        snapshot = Snapshot.from_signed(_verified(root, text, roles.SNAPSHOT).signed)
    dirty = frozenset({roles.TARGETS})
    return data, State(gun, root, {roles.TARGETS: targets}, dirty=dirty, limits=limits), snapshot


def _verified(root: Root, data: bytes, role: str) -> Envelope:
    file, assigned = Envelope.parse(data, role), root.roles[role]
    require_threshold(file, root.keys, assigned.keyids, assigned.threshold, role)
    return file


def _exists(repository: Repository) -> AlreadyExistsError:
    here = roles.ROOT in repository.cache.cached()
    begun = here and is_begun(repository, whole=False)
    place = "this trust directory" if here else repository.server_url
    return AlreadyExistsError(
        f"{repository.gun} has trust data already",
        why=f"it is in {place}; another root would not be trusted by whoever knows this one",
        advice=Advice("publish-begun" if begun else "use-published", gun=repository.gun),
        gun=repository.gun,
    )
