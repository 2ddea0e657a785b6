"""The one publish pipeline: refresh, apply, plan, sign, upload at once, read back, store.

What it is: all uploads of edits; `initialise` and `republishing` have none. What it is not: what to publish;
callers hand in an edit, a function from the present state to changes.

Rules:

1. One upload carries everything. Nothing dirty, nothing uploaded.
2. A publish has succeeded when the server's verified timestamp and snapshot name exactly the bytes that were
   sent; or, where another publisher came right after, when the server serves our version of each file as
   sent. HTTP 200 is not enough.
3. After a refusal the state is read again. If a file we build on has moved it was a conflict: the edit is
   applied to the new state, with jitter, until the deadline. Otherwise the refusal is final.
4. When the answer to an upload is lost the server is looked at. What landed is a success, whatever others
   published on it; what did not is applied again, with jitter, until the deadline, which is safe since a
   version can be taken only once. It may still arrive: later tries look for it, and an error that comes then
   says `unanswered`. A server in trouble (5xx) counts as silent: one with a database answers so when it loses
   a race. Any other answer is final once the look has shown that nothing landed.
5. Keys are unlocked once; a retry never asks again.
6. The server never forgets a version. A delegation that was removed and comes back goes on above the version
   it had. It is asked for by number: over the file that is gone a server with a database answers 500.
7. A preview applies the edit and checks that the keys here could sign it, and the server or a key here the
   snapshot; it uploads nothing. To unlock the keys too means that they could sign now, wherever they are, and
   to insist on the right to publish as well; where nothing is to be signed it does neither.
8. What is published can be read (`tuf.plan`, rule 8); in a preview files are tried before they are signed.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from notarypy.client import weight
from notarypy.client.metadata.refresh import refresh
from notarypy.client.publish import serverside
from notarypy.client.publish.drafts import note_unanswered, require_readable, sign_draft
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConflictError,
    NetworkError,
    NotarypyError,
    RefusedUpdateError,
    StorageError,
    TlsError,
    UnknownOutcomeError,
    UnreachableError,
)
from notarypy.tuf import roles
from notarypy.tuf.changes import Change, State, apply_all
from notarypy.tuf.envelope import Signature, seal
from notarypy.tuf.plan import plan, snapshot_draft
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from notarypy.client.keys.availablekeys import SigningKeys
    from notarypy.client.metadata.repository import Repository
    from notarypy.client.session import Session
    from notarypy.tuf.trusted import TrustedMetadata

Edit = Callable[[State], Sequence[Change]]
"""From the present state to the changes to make; it is asked again after every conflict."""
_LOG = logging.getLogger(__name__)
_PAUSE, _MAX_PAUSE = 0.05, 2.0
_TROUBLE = frozenset({408, 429, *range(500, 600)})
STAND_IN = Signature("0" * 64, "ecdsa", bytes(64))  # in a preview, for a reader that wants signatures
NOT_SENT = (UnreachableError, TlsError)  # what an upload raises that certainly did not reach the server


@dataclass(frozen=True)
class Patience:
    """How long to keep trying after conflicts, in seconds, and the clock and dice for it."""

    seconds: float = 60.0
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: Callable[[], float] = random.random


def is_answer(failure: NotarypyError) -> bool:
    """Tell whether a server said no, in whatever words, and not nothing or that it is in trouble (rule 4)."""
    status = failure.facts.get("status")
    return status is not None and status not in _TROUBLE


class Waits:
    """The pauses of one publish, each longer than the one before, until its time is over (rules 3 and 4)."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._count = patience, 0
        self._deadline = patience.monotonic() + patience.seconds

    def after(self, failure: NotarypyError) -> None:
        """Wait before the next try; raise why the last one failed if that is final, or the time is over."""
        asked = failure.facts.get("retry_after")
        least = asked if isinstance(asked, float) else 0.0
        late = self._patience.monotonic() + least > self._deadline
        if late or is_answer(failure) or not failure.retryable:
            raise failure
        self._count += 1
        ceiling = min(_MAX_PAUSE, _PAUSE * 2 ** min(self._count, 6))
        self._patience.sleep(max(least, ceiling * self._patience.dice()))


@dataclass(frozen=True)
class Published:
    """A publish: the states before and after, and the metadata as read back; `uploaded`, or all was true."""

    before: State
    after: State
    uploaded: bool
    trusted: TrustedMetadata


@dataclass(frozen=True)
class Publisher:
    """Publishes one repository with the keys at hand.

    With `signer`, a role, the keys of that one alone may sign targets files and delegations. `read` refreshes
    the repository, as `refresh` does. With `handing_over`, an edit is not published but made a part of, which
    several people sign; `finished` files are such, and sent as they are (`joining`). `sending` is called with
    the files of every upload before it.
    """

    repository: Repository
    keys: SigningKeys
    patience: Patience
    signer: str | None = None
    read: Callable[..., TrustedMetadata] = refresh
    handing_over: Callable[[Publisher, Edit, State | None], Published] | None = None
    finished: Mapping[str, bytes] = field(default_factory=dict)
    sending: Callable[[Mapping[str, bytes]], None] = lambda _: None

    def only(self, signer: str | None) -> Self:
        """Return a publisher that signs as this signer alone; with None the same."""
        return self if signer is None else replace(self, signer=roles.signer_role(signer))

    def available(self, state: State) -> frozenset[str]:
        """Return the canonical ids of the keys that may sign targets files and delegations."""
        if self.signer is None:
            return frozenset(self.keys.available)
        listed = state.keys_for(self.signer)[0] if state.delegation(self.signer) is not None else ()
        named = frozenset(key.canonical_id for key in listed)
        return named if state.partial else named.intersection(self.keys.available)

    def publish(self, edit: Edit) -> Published:
        """Make an edit on the server, whatever other publishers do meanwhile (rules 1 to 5).

        Raises:
            ConflictError: Others kept winning until the deadline.
            RefusedUpdateError: The server refuses the update for good.
            UnconfirmedPublishError: The server took the update and does not serve it.
            UnknownOutcomeError: The answer was lost, and looking was not possible.
            KeyAccessError: A key is missing, locked or not authorised.
        """
        if self.handing_over is not None:
            return self.handing_over(self, edit, None)
        with self.turn():
            loop = _PublishLoop(self, edit)
            try:
                return loop.run()
            except BaseException as error:
                if loop.lost:
                    note_unanswered(error, loop.lost)
                raise

    def turn(self) -> ExitStack:
        """Queue up behind publishers of the same trust directory: cheaper than to collide later."""
        with ExitStack() as turn:
            if self.repository.cache.directory.is_dir():
                weight.give_way()
                try:
                    turn.enter_context(self.repository.cache.lock(self.patience.seconds, "publish"))
                except StorageError as error:
                    self.repository.warn(f"publishing without waiting for others here: {error.message}")
            return turn.pop_all()

    def hand_over(self, edit: Edit, start: State) -> None:
        """Hand over an edit of a state of which nothing is published yet, if edits are handed over."""
        if self.handing_over is not None:
            self.handing_over(self, edit, start)

    def preview(self, edit: Edit, *, unlock: bool = False) -> Published:
        """Apply an edit and check that the keys at hand could sign it; upload nothing (rule 7)."""
        trusted = refresh(self.repository)
        before = State.of(trusted)
        after = apply_all(before, edit(before))
        drafts = plan(after, self.repository.now, self.available(after))
        tried = {draft.role: seal(draft.signed, [STAND_IN]) for draft in drafts}
        require_readable(self.repository, tried, trusted.files)
        _LOG.debug("%s: a preview would sign %s", self.repository.gun, [draft.role for draft in drafts])
        if after.dirty:
            try:
                serverside.require_snapshot_key(self.repository, after.root, self.keys.available)
            except AuthenticationError as error:
                if unlock or self.repository.lacking is None:
                    raise
                self.repository.lacking(f"with this login it could not be published: {error.message}")
        if unlock and after.dirty:
            keys = [key for draft in drafts for key in draft.keys]
            if serverside.keeps_snapshot(after.root, self.keys.available):
                signers = after.root.signers(roles.SNAPSHOT)
                keys += [key for key in signers if key.canonical_id in self.keys.available]
            self.keys.prepare(key.canonical_id for key in keys)
            self.repository.notary().check_may_publish(self.repository.gun)
        return Published(before, after, uploaded=False, trusted=trusted)


def publisher_for(session: Session, text: str, root: str | None = None, *, staged: bool = False) -> Publisher:
    """Return a publisher for a reference's repository; `root` is a pin, `staged` that it publishes that."""
    repository = session.repository(text, root, publishing=True).past_caches()
    repository = replace(repository, connections=2, lacking=session.warn_once)  # the read-back asks for two
    if not staged and (count := repository.cache.staged()):
        text = f"{'1 change is' if count == 1 else f'{count} changes are'} staged, and left alone"
        session.warn_once(f"{text}: `notarypy notary publish {repository.gun}` publishes that")
    keys, patience = session.keys().signing_keys(), Patience(session.settings.retry_for)
    return Publisher(repository, keys, patience, handing_over=session.handing_over.get())


class _PublishLoop:
    """The tries of one publish; holds what they share."""

    def __init__(self, publisher: Publisher, edit: Edit) -> None:
        self.publisher, self.edit = publisher, edit
        self.repository, self.keys = publisher.repository, publisher.keys
        self.gun, self.waits = publisher.repository.gun, Waits(publisher.patience)
        self.tries = self.lost = 0
        self.silent: list[tuple[Mapping[str, tuple[int, str]], State]] = []
        self.stale: dict[str, int] = {}

    def run(self) -> Published:
        trusted = self.publisher.read(self.repository)
        origin = State.of(trusted)
        failure: NotarypyError | None = None
        while True:
            before = State.of(trusted)
            after = self._above_stale(apply_all(before, self.edit(before)))
            if not after.dirty:
                _LOG.debug("%s: after %s tries nothing is to be published", self.gun, self.tries)
                return Published(origin, after, uploaded=self.lost > 0, trusted=trusted)
            if failure is not None:
                self.waits.after(failure)
            files = self._signed(trusted, after)
            require_readable(self.repository, files, trusted.files)
            self.tries += 1
            _LOG.debug("%s: try %s sends %s", self.gun, self.tries, list(files))
            self.publisher.sending(files)
            try:
                self.repository.notary().update(self.gun, files)
            except RefusedUpdateError as refusal:
                trusted, failure = self._after_refusal(trusted, files, refusal)
            except NOT_SENT:
                raise
            except NetworkError as lost:
                self.silent.append((serverside.upload_of(self.repository, files), after))
                trusted, failure = self._after_silence(trusted, files, lost)
            else:
                trusted = serverside.confirm(self.repository, files, self.publisher.read)
                return Published(origin, after, uploaded=True, trusted=trusted)
            for upload, reached in self.silent:
                if serverside.landed(self.repository, trusted, upload):
                    return Published(origin, reached, uploaded=True, trusted=trusted)

    def _signed(self, trusted: TrustedMetadata, after: State) -> dict[str, bytes]:
        files = dict(self.publisher.finished)
        if not files:
            drafts = plan(after, self.repository.now, self.publisher.available(after))
            files = {draft.role: sign_draft(draft, self.keys) for draft in drafts}
        if serverside.keeps_snapshot(after.root, self.keys.available):
            draft = snapshot_draft(after.root, trusted.snapshot, files, after, self.repository.now)
            files[roles.SNAPSHOT] = sign_draft(draft, self.keys)
        return files

    def _after_refusal(
        self, old: TrustedMetadata, files: Mapping[str, bytes], refusal: RefusedUpdateError
    ) -> tuple[TrustedMetadata, NotarypyError | None]:
        """Return the state to try again on: a file we build on has moved, or had a version (rules 3, 6)."""
        try:
            new = self._look({})
        except NetworkError as error:
            error.why = (*error.why, refusal.message, *refusal.why)
            raise
        moved, first = serverside.moved(old, new, files), not self.stale
        _LOG.debug("%s: try %s was refused; moved: %s: %s", self.gun, self.tries, moved, refusal.message)
        if moved:
            return new, self._conflict(new)
        if self.publisher.finished or not self._found_stale(old, files):
            if roles.ROOT not in files:  # whose key the server has under a root to come it does not say
                with suppress(NetworkError, AuthenticationError):
                    serverside.require_snapshot_key(self.repository, new.root, self.keys.available)
            raise refusal
        return new, None if first else self._conflict(new)

    def _after_silence(
        self, old: TrustedMetadata, files: Mapping[str, bytes], lost: NetworkError
    ) -> tuple[TrustedMetadata, NotarypyError]:
        """Look at the server after an answer was lost; what landed is seen in the new state (rule 4)."""
        self.lost += 1
        _LOG.debug("%s: the answer to try %s was lost: %s", self.gun, self.tries, lost.message)
        try:
            new = self._look(files)
        except NetworkError as error:
            raise UnknownOutcomeError(
                f"nobody can say whether {self.gun} was published",
                why=(f"sending: {lost.message}", f"looking: {error.message}"),
                advice=Advice("run-again"),
            ) from error
        moved = serverside.moved(old, new, files)
        lost.why = (*lost.why, "looking since then shows nothing of it; what was sent may still arrive")
        return new, self._conflict(new) if moved else lost

    def _look(self, own: Mapping[str, bytes]) -> TrustedMetadata:
        """Read the state anew, if need be several times."""
        while True:
            try:
                return self.publisher.read(self.repository, own)
            except NetworkError as error:
                _LOG.debug("%s: looking failed: %s", self.gun, error.message)
                self.waits.after(error)

    def _conflict(self, new: TrustedMetadata) -> ConflictError:
        targets, snapshot = new.targets[roles.TARGETS].version, new.snapshot.version
        return ConflictError(
            f"gave up on {self.gun} after {self.tries} tries: others keep publishing it",
            why=f"targets is at version {targets}, snapshot at {snapshot}",
            advice=Advice("sign-together"),
            tries=self.tries,
        )

    def _found_stale(self, trusted: TrustedMetadata, files: Mapping[str, bytes]) -> bool:
        """Look for versions of delegations that were removed, or whose files are not trusted (rule 6)."""
        before = dict(self.stale)
        for role, data in files.items():
            if roles.is_delegation(role) and role not in trusted.files:
                with suppress(NotarypyError):  # the refusal says more than a look that fails
                    self.stale[role] = serverside.taken_version(self.repository, role, data)
        _LOG.debug("%s: stale versions on the server: %s", self.gun, self.stale)
        return self.stale != before

    def _above_stale(self, state: State) -> State:
        """Return the state with versions above the stale ones (rule 6)."""
        targets = dict(state.targets)
        for role in self.stale.keys() & state.dirty:
            targets[role] = replace(targets[role], version=max(self.stale[role], targets[role].version))
        return replace(state, targets=targets)
