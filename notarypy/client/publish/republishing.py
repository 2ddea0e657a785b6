"""Trust data that its server lost is published again: what this trust directory has verified, and no more.

What it is: for a server that was wiped, or restored from an old backup; no edit for the `pipeline`. What it
is not: a way to another root, or to anything that nobody signed: where the server has a root that ours does
not lead to or come from, it is refused.

Rules:

1. The server is read as ever first. Where it has all that is known here, nothing is sent.
2. Targets files and delegations are sent byte for byte, those that the server does not have by number; that
   it has another one of this number, or a newer one, is an alarm. They are verified under the root that is
   trusted here. What has ended is signed again by keys that are here. Timestamp and snapshot are the server's
   to make, and are not sent; their own signatures do not matter.
3. If the server still has its keys, the root stays as it is. If not, the next version of the root names its
   new ones; that takes the root key, and somebody who agrees to these keys. A snapshot key that is here goes
   on signing.
4. A server takes roots one number after the other, the first as 1 or 2, and keeps of its own past nothing.
   For the versions that are missing the same root is signed under their numbers. Whoever knew one of them
   gets past it: the last is signed by every root key of this repository that is here, earlier ones too.
5. A server counts its timestamps and snapshots from the beginning. docker and Go notary refuse, once, what
   is below the versions that they know, and with the old keys every reader does, always. So empty updates are
   sent until both are above what was known here, where that takes `MOST_UPDATES` at most.
6. Whoever is interrupted does it again: what is there by then counts. Only the counting up is not taken up
   again.
7. Nothing is taken from the server in silence: what it would lose (`republishplan`) is looked for before
   anything is sent. It takes `over`, and somebody who agrees.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.metadata.lenientrefresh import OutdatedMetadata, refresh_outdated
from notarypy.client.publish.drafts import sign_draft
from notarypy.client.publish.pipeline import NOT_SENT, is_answer, publisher_for
from notarypy.client.publish.republishplan import (
    OF_SERVER,
    RepublishPlan,
    another_file,
    held_files,
    look,
    nothing_here,
)
from notarypy.client.publish.serverside import confirm, keeps_snapshot, server_key
from notarypy.errors import (
    Advice,
    KeyNotAuthorisedError,
    NetworkError,
    NotFoundError,
    OperationError,
    RefusedUpdateError,
    UnknownOutcomeError,
    VerificationError,
)
from notarypy.tuf import certificates, roles
from notarypy.tuf.changes import Resign, State, apply_all
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.floors import root_changed
from notarypy.tuf.metadata import Snapshot
from notarypy.tuf.plan import plan, snapshot_draft
from notarypy.tuf.rootchanges import AssignKeys
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from notarypy.client.parameters import Progress
    from notarypy.client.publish.pipeline import Publisher
    from notarypy.client.publish.republishplan import Agree
    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
MOST_UPDATES = 10_000


@dataclass(frozen=True)
class Republished:
    """Trust data that a server has again.

    `published` is False where the server had all of it. `roles` were sent, as they were known here but for
    those that are `renewed`, because they had ended. The root has `root_version` now, the next one where it
    names `server_keys`, which are new ones. `known_of` is when this machine read the repository last: what
    others published since then is not among it. What the server had beyond that is `lost`. It is so many
    versions `behind` what readers may know, who refuse it then; 0 for none.
    """

    repository: str
    server: str
    published: bool
    roles: tuple[str, ...]
    renewed: tuple[str, ...]
    root_version: int
    root_pins: tuple[str, ...]
    server_keys: Mapping[str, str]
    known_of: datetime | None
    lost: tuple[str, ...] = ()
    behind: int = 0


def republish(session: Session, text: str, agree: Agree | None = None, *, over: bool = False) -> Republished:
    """Give a server what is known here of a repository and the server lost (rules 1 to 7).

    Raises:
        NothingThereError: Nothing of the repository is known here.
        RootChangedError: The server has another root.
        RollbackError: The server has another file, or a newer one, or what it would lose.
        ConfirmationNeededError: Nobody agrees.
        KeyNotAuthorisedError: A new root is needed, and its key is not here.
        RefusedUpdateError: The server refuses it.
        UnknownOutcomeError: It did not say whether it took it.
    """
    session.whole_repository(text)
    publisher = publisher_for(session, text)
    repository = replace(publisher.repository, lacking=None)  # what is lacking is what it sends
    if not repository.cache.cached():
        raise nothing_here(repository, "nothing")
    known_of = repository.cache.confirmed()
    with publisher.turn():
        sending = None
        try:
            trusted = refresh_outdated(repository)
        except VerificationError as error:
            _LOG.debug("%s: the server has not what is known here: %s", repository.gun, error.message)
            sending = _Sending(publisher, agree, over=over)
            sending.send(session.progress)
            trusted = confirm(repository, sending.sent)
    sent = sending.sent if sending else {}
    return Republished(
        repository=repository.gun,
        server=repository.server_url,
        published=sending is not None,
        roles=tuple(sorted(sent.keys() - {roles.SNAPSHOT})),
        renewed=tuple(sorted(sent.keys() & sending.renewed.keys())) if sending else (),
        root_version=trusted.root.version,
        root_pins=trusted.root.pins,
        server_keys=sending.plan.server_keys if sending else {},
        known_of=known_of,
        lost=sending.plan.lost if sending else (),
        behind=sending.behind if sending else 0,
    )


class _Sending:
    """One bringing back: what is held here, and what was sent of it."""

    def __init__(self, publisher: Publisher, agree: Agree | None, *, over: bool) -> None:
        self.repository, self.keys = publisher.repository, publisher.keys
        self.agree, self.over = agree, over
        self.plan = RepublishPlan(self.repository.gun, self.repository.server_url, (), {})
        self.held = held_files(self.repository)
        self.state = State.of(self.held)
        self.renewed = self._renewed()
        self.root = self.state.root
        self.is_local = keeps_snapshot(self.root, self.keys.available)
        listed = self.held.snapshot.meta.items()
        self.snapshot = replace(
            self.held.snapshot, meta={role: meta for role, meta in listed if role in self.held.files}
        )
        self.sent: dict[str, bytes] = {}
        self.behind = 0

    def _renewed(self) -> dict[str, bytes]:
        """Return targets files and delegations that have ended, signed again as far as keys are here."""
        expired = self.held.expired if isinstance(self.held, OutdatedMetadata) else {}
        able = [role for role in expired if role in self.state.targets]
        able = [role for role in able if self.state.signable(role, self.keys.available)]
        after = apply_all(self.state, [Resign(role) for role in able])
        drafts = plan(after, self.repository.now, self.keys.available)
        return {draft.role: sign_draft(draft, self.keys) for draft in drafts}

    def send(self, progress: Progress | None) -> None:
        """Send what the server lacks (rules 2 to 5, 7)."""
        there = self._server_root()
        files = dict(self._missing(empty=there is None))
        if there is not None:
            self._look(there, files)
        if there is not None or not self._taken_as_it_is(files):
            self._renew_server_keys()
            self.plan.require_agreed(self.agree)
            mine = self.held.files[roles.ROOT]
            behind = there is None or _version(there) < self.held.root.version
            unchanged = self.root == self.held.root and (behind or there == mine)
            self._upload(self._roots(0 if there is None else _version(there), unchanged=unchanged), files)
        self._count_up(progress)

    def _server_root(self) -> bytes | None:
        """Return the server's root, None if it has none; raise RootChangedError for a stranger's."""
        try:
            data = self.repository.fetch(roles.ROOT)
        except NotFoundError:
            return None
        if self.held.signs(data):
            return data
        gun, limits = self.repository.gun, self.repository.limits
        theirs = TrustedMetadata(gun, self.repository.now, limits=limits)
        root = theirs.first_root(data)
        if root.version > self.held.root.version or not theirs.signs(self.held.files[roles.ROOT]):
            raise root_changed(gun, self.held.root, root)
        return data

    def _missing(self, *, empty: bool) -> Iterator[tuple[str, bytes]]:
        """Yield the targets files and delegations that the server does not have (rule 2)."""
        for role, data in {**self.held.files, **self.renewed}.items():
            if role in OF_SERVER:
                continue
            version = _version(data, role)
            there = None if empty else self.repository.fetch_version(role, version)
            if there is None:
                yield role, data
            elif there != data:
                raise another_file(self.repository.gun, role, f"both are version {version}")

    def _look(self, root: bytes, files: Mapping[str, bytes]) -> None:
        """Look what the server loses, and what else its snapshot lists (rule 7)."""
        self.plan.lost, theirs = look(self.repository, self.held, root, files, over=self.over)
        if theirs is not None:
            stays = {role: meta for role, meta in theirs.meta.items() if role not in files}
            version = max(self.snapshot.version, theirs.version)
            self.snapshot = replace(self.snapshot, version=version, meta={**self.snapshot.meta, **stays})

    def _taken_as_it_is(self, files: dict[str, bytes]) -> bool:
        """Try an empty server, which may have its keys all the same (rule 3)."""
        roots = self._roots(0, unchanged=True)
        try:
            self._upload(roots, files)
        except RefusedUpdateError as refusal:
            _LOG.debug("%s: not taken as it is: %s", self.repository.gun, refusal.why)
            if self.sent:
                raise
            return False
        return True

    def _renew_server_keys(self) -> None:
        """Name the keys that the server has now in the root."""
        of_server = [roles.TIMESTAMP] if self.is_local else [roles.TIMESTAMP, roles.SNAPSHOT]
        gun, ask = self.repository.gun, self.repository.notary().get_key
        offered = [(role, server_key(self.repository, role, ask(gun, role))) for role in of_server]
        self.root = apply_all(self.state, [AssignKeys(role, [key]) for role, key in offered]).root
        if self.root != self.held.root:
            self.plan.server_keys = {role: key.canonical_id for role, key in offered}

    def _roots(self, there: int, *, unchanged: bool) -> list[bytes]:
        """Return the roots to send above the version there (rules 3 and 4)."""
        mine = self.held.root.version
        last = mine if unchanged else mine + 1
        versions = range(there + 1 if there else min(2, last), last + 1)
        most = self.repository.limits.root_versions
        if len(versions) > most:
            raise OperationError(
                f"to publish {self.repository.gun} again takes {len(versions)} roots",
                why=f"readers follow {most} at most",
                advice=Advice("begin-anew", gun=self.repository.gun),
            )
        return [
            self.held.files[roles.ROOT] if unchanged and version == mine else self._numbered(version)
            for version in versions
        ]

    def _numbered(self, version: int) -> bytes:
        root = replace(self.root, version=version - 1)
        state = replace(self.state, root=root, former=None, dirty=frozenset({roles.ROOT}))
        try:
            [draft] = plan(state, self.repository.now, self.keys.available)
        except KeyNotAuthorisedError as error:
            error.advice = Advice("republish-with-keys", gun=self.repository.gun)
            raise
        earlier = [
            key
            for keyid, key in root.keys.items()
            if keyid not in root.roles[roles.ROOT].keyids
            and not certificates.problem(key, self.repository.gun, None)
            and key.canonical_id in self.keys.available
        ]
        return sign_draft(replace(draft, keys=(*draft.keys, *earlier)), self.keys)

    def _upload(self, roots: Sequence[bytes], files: dict[str, bytes]) -> None:
        """Send roots one after the other, the files with the first of them."""
        for position, root in enumerate(roots):
            self._update({roles.ROOT: root, **({} if position else files)})
        if files and not roots:
            self._update(files)

    def _update(self, files: dict[str, bytes]) -> None:
        """Send one update, with a snapshot where that is signed here."""
        snapshot = {}
        if self.is_local:
            now, root = self.repository.now, self.root
            draft = snapshot_draft(root, self.snapshot, files, self.state, now)
            snapshot = {roles.SNAPSHOT: sign_draft(draft, self.keys)}
            self.snapshot = Snapshot.from_signed(draft.signed)
        sent = {**files, **snapshot}
        try:
            self.repository.notary().update(self.repository.gun, sent)
        except NetworkError as lost:
            if isinstance(lost, NOT_SENT) or is_answer(lost):
                raise
            text = f"nobody can say whether all of {self.repository.gun} was published again"
            raise UnknownOutcomeError(text, why=lost.message, advice=Advice("run-again")) from lost
        self.sent.update(sent)

    def _count_up(self, progress: Progress | None) -> None:
        """Bring timestamp and snapshot above the versions that are known here (rule 5)."""
        short = max(self._short(roles.TIMESTAMP), self._short(roles.SNAPSHOT))
        _LOG.debug("%s: it takes %s updates more to be above what is known", self.repository.gun, short)
        if short > MOST_UPDATES:
            self.behind = short
            return
        if progress is not None and short:
            progress.begin("counting up", short)
        try:
            for _ in range(short):
                self._update({})
                if progress is not None:
                    progress.moved(1)
        finally:
            if progress is not None:
                progress.end()

    def _short(self, role: str) -> int:
        """Return how many versions the server's file is short of being above the one here."""
        most = self.repository.ceiling(role)
        data = self.repository.notary().get(self.repository.gun, role, most, fresh=True)
        here = self.held.timestamp if role == roles.TIMESTAMP else self.held.snapshot
        return max(0, here.version + 1 - _version(data, role))


def _version(data: bytes, role: str = roles.ROOT) -> int:
    return Envelope.parse(data, role).version
