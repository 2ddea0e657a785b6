"""The one publish pipeline: refresh, apply, plan, sign, upload at once, read back, keep.

What it is: the only code that uploads metadata. What it is not: what to publish;
callers hand in a wish, a function from the current state to changes.

Rules:

1. One upload carries everything. Nothing dirty, nothing uploaded.
2. A publish has succeeded when the server's verified timestamp and snapshot name
   exactly the bytes that were sent; or, where another publisher came right after,
   when the server serves our version of each file as sent. HTTP 200 is not enough.
3. After a refusal the state is read again. If a file we build on has moved it was a
   conflict: the wish is applied to the new state, with jitter, until the deadline.
   Otherwise the refusal is final.
4. When the answer to an upload is lost the server is looked at. What landed is a
   success; what did not is applied again, which is safe since a version can be
   taken only once. It may still arrive: an error that comes later says `unanswered`.
5. Keys are unlocked once; a retry never asks again.
6. The server never forgets a version. A delegation that was removed and comes back
   goes on above the version it had.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from notarypy.client.metadata.refresh import refresh
from notarypy.errors import (
    Advice,
    ConflictError,
    NetworkError,
    NotarypyError,
    NotFoundError,
    OperationError,
    RefusedUpdateError,
    StorageError,
    TlsError,
    TrustError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
    UnreachableError,
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.changes import Change, State, apply_all
from notarypy.tuf.envelope import Envelope, Signature, seal
from notarypy.tuf.keys import meets
from notarypy.tuf.metadata import MetaFile
from notarypy.tuf.plan import Draft, plan, snapshot_draft

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from notarypy.client.keys.manager import SigningKeys
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.keys import PublicKey
    from notarypy.tuf.metadata import Root
    from notarypy.tuf.trusted import TrustedMetadata

    Wish = Callable[[State], Sequence[Change]]

_PAUSE = 0.05
_MAX_PAUSE = 2.0
_LOOKS = 3

NOT_SENT = (UnreachableError, TlsError)
"""What an upload raises that certainly did not reach the server."""


@dataclass(frozen=True)
class Patience:
    """How long to keep trying after conflicts, in seconds, and the clock and dice for it."""

    seconds: float = 60.0
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: Callable[[], float] = field(default=random.random)


@dataclass(frozen=True)
class Published:
    """What a publish did.

    Attributes:
        before: The state the changes were applied to.
        after: The state that is published now.
        uploaded: False when everything was true already.
        trusted: The metadata as read back.
    """

    before: State
    after: State
    uploaded: bool
    trusted: TrustedMetadata


@dataclass(frozen=True)
class Publisher:
    """Publishes one repository with the keys at hand.

    `narrow` tells, for a state, which keys may sign targets files and delegations; None for all.
    `read` refreshes the repository, as `refresh` does.
    """

    repository: Repository
    keys: SigningKeys
    patience: Patience
    narrow: Callable[[State], Collection[str]] | None = None
    read: Callable[..., TrustedMetadata] = field(default=refresh)

    def available(self, state: State) -> frozenset[str]:
        """Return the canonical ids of the keys that may sign targets files and delegations."""
        available = frozenset(self.keys.available)
        return available if self.narrow is None else available.intersection(self.narrow(state))

    def publish(self, wish: Wish) -> Published:
        """Make a wish true on the server, whatever other publishers do meanwhile (rules 1 to 5).

        Raises:
            ConflictError: Others kept winning until the deadline.
            RefusedUpdateError: The server refuses the update for good.
            UnconfirmedPublishError: The server took the update and does not serve it.
            UnknownOutcomeError: The answer was lost, and looking was not possible.
            KeyAccessError: A key is missing, locked or not authorised.
        """
        with ExitStack() as turn:
            self._queue(turn)
            return _Attempts(self, wish).run()

    def _queue(self, turn: ExitStack) -> None:
        """Queue up behind publishers of the same trust directory: cheaper than colliding on the server."""
        cache = self.repository.cache
        if not cache.directory.is_dir():
            return
        try:
            turn.enter_context(cache.lock(self.patience.seconds, "publish"))
        except StorageError as error:
            self.repository.warn(f"publishing without waiting for others here: {error.message}")

    def rehearse(self, wish: Wish) -> Published:
        """Apply a wish and check that the keys at hand could sign it; upload nothing."""
        trusted = refresh(self.repository)
        before = State.of(trusted)
        after = apply_all(before, wish(before))
        plan(after, self.repository.now, self.available(after))
        return Published(before, after, uploaded=False, trusted=trusted)


def sign_draft(draft: Draft, keys: SigningKeys) -> bytes:
    """Return the finished file: the draft signed by each of its keys."""
    from notarypy.tuf import canonical

    message = canonical.encode(draft.signed)
    return seal(draft.signed, [_signature(key, message, keys) for key in draft.keys])


class _Attempts:
    """Tries of one publish; holds what they share."""

    def __init__(self, publisher: Publisher, wish: Wish) -> None:
        self.repository, self.keys, self.patience = publisher.repository, publisher.keys, publisher.patience
        self.available, self.read = publisher.available, publisher.read
        self.wish = wish
        self.deadline = self.patience.monotonic() + self.patience.seconds
        self.tries = 0
        self.lost = 0
        self.origin: State | None = None
        self.leftovers: dict[str, int] = {}

    def run(self) -> Published:
        try:
            return self._run()
        except NotarypyError as error:
            if self.lost:
                error.facts["unanswered"] = self.lost
            raise

    def _run(self) -> Published:
        trusted = self.read(self.repository)
        while True:
            self.tries += 1
            before = State.of(trusted)
            self.origin = self.origin or before
            after = self._above_leftovers(apply_all(before, self.wish(before)))
            if not after.dirty:
                return Published(self.origin, after, uploaded=self.lost > 0, trusted=trusted)
            files = self._signed(trusted, after)
            try:
                self.repository.online().update(self.repository.gun, files)
            except RefusedUpdateError as refusal:
                trusted = self._after_refusal(trusted, files, refusal)
            except NOT_SENT:
                raise
            except NetworkError as lost:
                trusted = self._after_silence(files, lost)
            else:
                return Published(
                    self.origin, after, uploaded=True, trusted=confirm(self.repository, files, self.read)
                )

    def _signed(self, trusted: TrustedMetadata, after: State) -> dict[str, bytes]:
        now, available = self.repository.now, self.keys.available
        files = {
            draft.role: sign_draft(draft, self.keys) for draft in plan(after, now, self.available(after))
        }
        if keeps_snapshot(after.root, available):
            draft = snapshot_draft(after.root, trusted.snapshot, files, after, now)
            files[roles.SNAPSHOT] = sign_draft(draft, self.keys)
        return files

    def _after_refusal(
        self, old: TrustedMetadata, files: Mapping[str, bytes], refusal: RefusedUpdateError
    ) -> TrustedMetadata:
        """Return the new state to try again on, if a file we build on has moved (rule 3)."""
        new = self.read(self.repository)
        relevant = {*files, roles.ROOT, roles.TARGETS, roles.SNAPSHOT}
        moved = any(old.files.get(role) != new.files.get(role) for role in relevant)
        if not moved and not self._found_leftovers(old, files):
            raise refusal
        if self.patience.monotonic() > self.deadline:
            raise ConflictError(
                f"gave up on {self.repository.gun} after {self.tries} tries: others keep publishing it",
                why=f"targets is at version {new.targets[roles.TARGETS].version}, "
                f"snapshot at {new.snapshot.version}",
                advice=Advice("sign-together"),
                tries=self.tries,
            )
        ceiling = min(_MAX_PAUSE, _PAUSE * 2 ** min(self.tries, 6))
        self.patience.sleep(ceiling * self.patience.dice())
        return new

    def _found_leftovers(self, trusted: TrustedMetadata, files: Mapping[str, bytes]) -> bool:
        """Look for files that removed delegations of the same names left on the server (rule 6)."""
        before = dict(self.leftovers)
        for role in files:
            if roles.is_delegation(role) and role not in trusted.snapshot.meta:
                with suppress(NotFoundError, VerificationError):
                    data = self.repository.fetch(role)
                    version = Envelope.parse(data, role, self.repository.limits).signed.get("version")
                    self.leftovers[role] = version if isinstance(version, int) else 0
        return self.leftovers != before

    def _above_leftovers(self, state: State) -> State:
        """Return the state with versions above those of leftovers (rule 6)."""
        raised = {
            role: replace(state.targets[role], version=max(version, state.targets[role].version))
            for role, version in self.leftovers.items()
            if role in state.dirty
        }
        return replace(state, targets={**state.targets, **raised})

    def _after_silence(self, files: Mapping[str, bytes], lost: NetworkError) -> TrustedMetadata:
        """Look at the server after an answer was lost (rule 4)."""
        self.lost += 1
        try:
            trusted = self.read(self.repository, files)
        except NetworkError as error:
            raise UnknownOutcomeError(
                f"nobody can say whether {self.repository.gun} was published",
                why=(f"sending: {lost.message}", f"looking: {error.message}"),
                advice=Advice("run-again"),
            ) from error
        if self.lost >= _LOOKS:
            raise lost
        return trusted


def confirm(
    repository: Repository, files: Mapping[str, bytes], read: Callable[..., TrustedMetadata] = refresh
) -> TrustedMetadata:
    """Read back after an upload, and return what the server serves now (rule 2).

    Raises:
        UnconfirmedPublishError: It does not serve what was sent.
        UnknownOutcomeError: It cannot be asked.
    """
    # A snapshot made here proves nothing about what the server has: then everything is read.
    own = {role: data for role, data in files.items() if roles.SNAPSHOT not in files or role == roles.ROOT}
    try:
        trusted = read(repository, own)
        missing = [role for role, data in files.items() if not _serves(repository, trusted, role, data)]
    except TrustError as error:
        raise _unconfirmed(repository, f"read back: {error.message}", *error.why) from error
    except OperationError as error:
        raise UnknownOutcomeError(
            f"the server took the update of {repository.gun}, and reading it back failed",
            why=error.message,
            advice=Advice("run-again"),
        ) from error
    if missing:
        raise _unconfirmed(repository, f"not served as sent: {', '.join(missing)}")
    return trusted


def _serves(repository: Repository, trusted: TrustedMetadata, role: str, data: bytes) -> bool:
    if role == roles.SNAPSHOT:
        named = trusted.timestamp.snapshot
    else:
        named = trusted.snapshot.meta.get(role, MetaFile(0, {"sha256": b""}))
    if named.matches(data):
        return True

    def version_in(file: bytes) -> int:
        return int(Envelope.parse(file, role, repository.limits).signed["version"])

    version = version_in(data)
    overtaken = role in trusted.files and version_in(trusted.files[role]) > version
    return overtaken and repository.fetch_version(role, version) == data


def _unconfirmed(repository: Repository, *why: str) -> UnconfirmedPublishError:
    return UnconfirmedPublishError(
        f"the server took the update of {repository.gun} and does not serve it",
        why=why,
        advice=Advice("inspect-published", gun=repository.gun),
        gun=repository.gun,
    )


def _signature(key: PublicKey, message: bytes, keys: SigningKeys) -> Signature:
    method, raw = keys.unlock(key.canonical_id).sign(message)
    return Signature(key.keyid, method, raw)


def keeps_snapshot(root: Root, available: Collection[str]) -> bool:
    """Tell whether the snapshot is signed here, and not by the server."""
    keys, threshold = root.signers(roles.SNAPSHOT), root.roles[roles.SNAPSHOT].threshold
    return meets((key.canonical_id for key in keys if _canonical(key) in available), threshold)


def _canonical(key: PublicKey) -> str:
    try:
        return key.canonical_id
    except NotarypyError:
        return ""
