"""TrustedMetadata: bytes go in; they are verified and kept, or an error comes out.

What it is: the state machine root -> timestamp -> snapshot -> targets -> delegations, for one GUN and one
moment. What it is not: a client; it opens no file and no connection, and does not know where bytes come
from.

Rules (tests cite the numbers):

Root
 1. The first root meets its own threshold with root certificates valid for the GUN.
 2. A newer root meets the threshold of the trusted root's keys and its own. It may skip versions when the
    trusted keys signed it; otherwise the chain is walked.
 3. A root is never replaced by an older one, nor by another of the same version.
 4. Earlier links of a chain may be expired; the last root and its certificates may not.
 5. The last root is byte for byte the one that the snapshot names.

Timestamp, snapshot, targets
 6. Each file meets the threshold of its role in the last root.
 7. Snapshot and targets have the length and every hash that the file above states.
 8. No version is below that of the copy seen before, whatever that copy's size or date, as long as one of
    the role's present keys signed it; the same version means the same content. A copy that only replaced
    keys signed is forgotten, so that a huge version number left by a thief does not lock readers out.
 9. A delegation whose file was seen before, signed by one of its present keys, is still listed by the
    snapshot: nobody hides what was released.
10. Timestamp, snapshot and targets are in date.

Delegations
11. A delegation is loaded only after the file that names it, by that file's keys and threshold, with the
    length and hashes of the snapshot. A delegation that the snapshot does not list is empty.
12. What is wrong inside one delegation's file (signatures, structure, date) is that role's failure: it and
    everything below count as failed, and the others load. What is wrong with its hash or version is the
    repository's failure. What its entry in the file above or in the snapshot says wrong is its failure too.
13. At most 4096 delegations are loaded, at most 16 levels deep, and at most 8192 of their signatures are
    checked; those beyond count as failed, so that a delegate cannot make the rest unreadable. Roots together
    may need 8192 checks, not more. So does a delegation count as failed that does not fit into 512 MiB of
    memory with the snapshot, targets, and what was loaded before.

Calling methods in another order is a RuntimeError: the caller's mistake.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from notarypy.errors import Advice, ExpiredError, RollbackError, TrustError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, certificates, roles, trustanchors
from notarypy.tuf.envelope import Envelope, VerificationBudget, require_signed_text, require_threshold
from notarypy.tuf.floors import Floors, rollback, root_changed
from notarypy.tuf.metadata import Root, Snapshot, Targets, Timestamp

if TYPE_CHECKING:
    from notarypy.tuf.fields import MetaFile
    from notarypy.tuf.trustanchors import RootPolicy

_LOG = logging.getLogger(__name__)
_File = TypeVar("_File", Root, Timestamp, Snapshot)
_TOO_MANY = "{} has too many delegations, or too deep ones"


class TrustedMetadata:
    """Everything verified so far of one repository.

    Attributes:
        gun: The repository.
        now: The moment that dates are compared with, an aware datetime.
        files: The verified bytes by role name, as received.
        targets: The verified targets file and delegations by role name.
        failures: Delegations that could not be trusted, and why (rule 12).
        skipped: Those of them whose files were not even looked at.
        paths: The shortest prefixes of the names that each role in `targets` may speak for.
        root_checks: How many signatures of roots may still be checked.
        limits: What is taken at most (rule 13 has the usual values).
    """

    def __init__(
        self, gun: str, now: datetime, seen: Mapping[str, bytes] | None = None, limits: Limits = DEFAULT
    ) -> None:
        """Start with nothing trusted; `seen` copies of files, by role, only set floors (rules 8 and 9)."""
        self.gun, self.now, self.limits = gun, now, limits
        self.files: dict[str, bytes] = {}
        self.targets: dict[str, Targets] = {}
        self.failures: dict[str, TrustError] = {}
        self.skipped: set[str] = set()
        self.paths: dict[str, tuple[str, ...]] = {}
        self.root_checks = VerificationBudget(limits.signature_checks, f"the roots of {gun}")
        self._checks = VerificationBudget(limits.signature_checks, f"the delegations of {gun}")
        self._memory: dict[str, int] = {}
        self._queue: list[str] = []
        self._passed = 0
        self._floors = Floors({} if seen is None else seen, limits)
        self._root: Root | None = None
        self._timestamp: Timestamp | None = None
        self._snapshot: Snapshot | None = None

    @property
    def root(self) -> Root:
        """The newest trusted root."""
        return _known(self._root, roles.ROOT)

    @property
    def timestamp(self) -> Timestamp:
        """The trusted timestamp."""
        return _known(self._timestamp, roles.TIMESTAMP)

    @property
    def snapshot(self) -> Snapshot:
        """The trusted snapshot."""
        return _known(self._snapshot, roles.SNAPSHOT)

    def first_root(self, data: bytes, policy: RootPolicy | None = None) -> Root:
        """Trust a root that nothing links to an earlier one (rule 1).

        Args:
            data: root.json, from the trust directory or, on first use, from the server.
            policy: Decides on first use; None for a root that was trusted before.

        Raises:
            VerificationError: It is not a valid root of this GUN.
            RootNotPinnedError: The policy refuses it.
        """
        if self._root is not None:
            raise RuntimeError("a root is trusted already")
        with self._judging(roles.ROOT):
            file = self._parse(data, roles.ROOT)
            root = Root.from_signed(file.signed, self.limits)
            usable = certificates.require_own_threshold(root, file, self.gun, budget=self.root_checks)
            if policy is not None:
                # A chain to an authority is made of signatures too.
                self.root_checks.take(sum(root.keys[keyid].public.count(b"-----BEGIN") for keyid in usable))
                trustanchors.require(policy, self.gun, root, usable, file)
            return self._take_root(root, data)

    def signs(self, data: bytes) -> bool:
        """Tell whether the trusted root's keys signed this root: then no link between is needed (rule 2)."""
        return certificates.signed(
            self.root, self._parse(data, roles.ROOT), self.gun, budget=self.root_checks
        )

    def update_root(self, data: bytes) -> Root:
        """Trust a newer root by the chain of signatures (rules 2 and 3).

        What was verified with the old root is dropped: it is to be verified again.

        Raises:
            RootChangedError: The trusted root's keys did not sign it.
            RollbackError: It is older than the trusted one.
        """
        with self._judging(roles.ROOT):
            file = self._parse(data, roles.ROOT)
            root = Root.from_signed(file.signed, self.limits)
            if root.version < self.root.version:  # rule 3
                raise rollback(roles.ROOT, root.version, self.root.version)
            if not certificates.signed(self.root, file, self.gun, budget=self.root_checks):  # rule 2
                raise root_changed(self.gun, self.root, root)
            if root.version == self.root.version and file.canonical != self._root_file().canonical:  # rule 3
                raise root_changed(self.gun, self.root, root)
            certificates.require_own_threshold(root, file, self.gun, budget=self.root_checks)  # rule 2
            self._timestamp = self._snapshot = None
            for verified in (self.targets, self.failures, self.skipped, self.files, self.paths, self._memory):
                verified.clear()
            return self._take_root(root, data)

    def outdated_root(self) -> MetaFile | None:
        """Return what the snapshot says of the root if it is another one than ours (rule 5)."""
        named = self.snapshot.meta[roles.ROOT]
        return None if named.matches(self.files[roles.ROOT]) else named

    def update_timestamp(self, data: bytes) -> Timestamp:
        """Trust a timestamp (rules 6 and 8)."""
        _first_time(self._timestamp is None, roles.TIMESTAMP)
        with self._judging(roles.TIMESTAMP):
            file = self._base_file(data, roles.TIMESTAMP)
            timestamp = Timestamp.from_signed(file.signed)
            self._require_floor(file, roles.TIMESTAMP)
            self._timestamp, self.files[roles.TIMESTAMP] = timestamp, data
            _LOG.debug("%s: timestamp version %d is trusted", self.gun, timestamp.version)
            return timestamp

    def update_snapshot(self, data: bytes) -> Snapshot:
        """Trust the snapshot that the timestamp names (rules 6 to 8, and 10 for the timestamp)."""
        _first_time(self._snapshot is None, roles.SNAPSHOT)
        with self._judging(roles.SNAPSHOT):
            self._require_date(roles.TIMESTAMP, self.timestamp.expires)
            self.timestamp.snapshot.check(data, roles.SNAPSHOT)  # rule 7
            self._count_memory(roles.SNAPSHOT, data)
            file = self._base_file(data, roles.SNAPSHOT)
            snapshot = Snapshot.from_signed(file.signed)
            self._require_floor(file, roles.SNAPSHOT)
            self._snapshot, self.files[roles.SNAPSHOT] = snapshot, data
            _LOG.debug("%s: snapshot version %d is trusted", self.gun, snapshot.version)
            return snapshot

    def update_targets(self, data: bytes) -> Targets:
        """Trust the targets file that the snapshot names (rules 4 to 10)."""
        _first_time(not self.targets, roles.TARGETS)
        if self.outdated_root() is not None:  # rule 5
            raise RuntimeError("the root is not the one that the snapshot names")
        with self._judging(roles.TARGETS):
            self._require_final_root()
            self._require_date(roles.SNAPSHOT, self.snapshot.expires)
            self.snapshot.meta[roles.TARGETS].check(data, roles.TARGETS)  # rule 7
            self._count_memory(roles.TARGETS, data)
            file = self._base_file(data, roles.TARGETS)
            targets = Targets.from_signed(file.signed, limits=self.limits)
            self._require_floor(file, roles.TARGETS)
            self._require_date(roles.TARGETS, targets.expires)
            self._floors.require_listed(targets, self.snapshot, self._checks)  # rule 9
            self._queue, self._passed = [], 0
            self._take_targets(roles.TARGETS, targets, data, ("",))
            return targets

    def pending(self) -> str | None:
        """Return the next delegation to load, breadth first; None when all are (rules 11, 13)."""
        most, levels = self.limits.delegations, self.limits.delegation_levels
        while self._passed < len(self._queue):
            role = self._queue[self._passed]
            if role not in self.targets and role not in self.failures:
                within = self._passed < most and role.count("/") <= levels
                reason = self._unusable(role) if within else f"{role} is not looked at"
                if not reason:
                    return role
                text = f"{role} cannot be used" if within else _TOO_MANY.format(self.gun)
                self.skip_delegation(role, VerificationError(text, why=reason, role=role))
            self._passed += 1
        return None

    def _unusable(self, role: str) -> str:
        """Say what is wrong with a delegation whatever its file says; empty for nothing (rule 12)."""
        delegation = self.targets[roles.parent(role)].delegation(role)
        return (delegation.excess if delegation else "") or self.snapshot.unusable(role)

    def skip_delegation(self, role: str, error: TrustError) -> None:
        """Record why a delegation's file is not even looked at (rule 12)."""
        _LOG.debug("%s: %s is skipped: %s", self.gun, role, error.message)
        self.failures[role] = error
        self.skipped.add(role)

    def update_delegation(self, role: str, data: bytes) -> None:
        """Trust a delegation's file, or record why not in `failures` (rules 11 and 12)."""
        _first_time(role not in self.targets and role not in self.failures, role)
        above = self.targets.get(roles.parent(role))
        delegation = above.delegation(role) if above else None
        if above is None or delegation is None or role not in self.snapshot.meta:
            raise RuntimeError(f"{role} is not delegated to, or not published")
        file, keys, keyids = None, above.keys, delegation.keyids
        with self._judging(role):
            self.snapshot.meta[role].check(data, role)  # rule 11
            try:
                self._count_memory(role, data)
                needed = (keys, keyids, delegation.threshold, role)
                require_signed_text(data, *needed, limits=self.limits, budget=self._checks)
                file = self._parse(data, role)
                require_threshold(file, *needed, budget=self._checks)
                targets = Targets.from_signed(file.signed, role, self.limits)
                self._require_date(role, targets.expires)
                self._floors.require_version(file, role, keys, keyids, self._checks)  # rule 8
                self._floors.require_listed(targets, self.snapshot, self._checks)  # rule 9
            except RollbackError:
                raise
            except TrustError as error:  # rule 12
                self._memory.pop(role, None)
                error.facts["version"] = file.signed.get("version") if file else None
                _LOG.debug("%s: %s is refused: %s", self.gun, role, error.message)
                self.failures[role] = error
                return
        paths = roles.narrowed(self.paths[roles.parent(role)], delegation.paths)
        self._take_targets(role, targets, data, roles.shortest(paths))

    @contextmanager
    def _judging(self, role: str) -> Iterator[None]:
        try:
            yield
        except TrustError as error:
            _LOG.debug("%s: %s is refused: %s", self.gun, role, "; ".join((error.message, *error.why)))
            raise

    def _parse(self, data: bytes, role: str) -> Envelope:
        return Envelope.parse(data, role, self.limits)

    def _base_file(self, data: bytes, role: str) -> Envelope:
        """Take a file apart that the last root's keys for its role signed (rule 6)."""
        assigned = self.root.roles[role]
        needed = (self.root.keys, assigned.keyids, assigned.threshold, role)
        require_signed_text(data, *needed, limits=self.limits)
        file = self._parse(data, role)
        require_threshold(file, *needed)
        return file

    def _root_file(self) -> Envelope:
        return self._parse(self.files[roles.ROOT], roles.ROOT)

    def _count_memory(self, role: str, data: bytes) -> None:
        """Count what a file takes in memory; raise MetadataError for one that is too much (rule 13)."""
        size, most = canonical.memory(data), self.limits.memory_bytes
        if (total := sum(self._memory.values()) + size) > most:
            what = f"the metadata of {self.gun}"
            raise canonical.too_many(
                what, f"bytes in memory with {role}, as estimated", total, most, role=role
            )
        self._memory[role] = size

    def _take_targets(self, role: str, targets: Targets, data: bytes, paths: tuple[str, ...]) -> None:
        self.targets[role], self.files[role], self.paths[role] = targets, data, paths
        below = (delegation.name for delegation in targets.roles)
        self._queue += [name for name in below if name in self.snapshot.meta]  # rule 11
        _LOG.debug("%s: %s version %d is trusted", self.gun, role, targets.version)

    def _take_root(self, root: Root, data: bytes) -> Root:
        self._root, self.files[roles.ROOT] = root, data
        keyids = ", ".join(root.roles[roles.ROOT].keyids)
        _LOG.debug("%s: root version %d is trusted, its keys: %s", self.gun, root.version, keyids)
        return root

    def _require_final_root(self) -> None:
        """Refuse a last root that is past its date, or whose certificates are (rule 4)."""
        self._require_date(roles.ROOT, self.root.expires)
        certificates.require_in_date(self.root, self._root_file(), self.gun, self.now)

    def _require_date(self, role: str, expires: datetime) -> None:
        """Refuse a file that is past its date (rules 4 and 10)."""
        if expires > self.now:
            return
        renewed = role == roles.TIMESTAMP
        raise ExpiredError(
            f"{self.gun} is expired: {role} ended on {expires:%Y-%m-%d %H:%M}Z",
            why="the server did not renew its timestamp" if renewed else "its signatures are valid",
            advice=Advice("check-clock") if renewed else Advice("sign-role-again", gun=self.gun),
            role=role,
            expires=expires.isoformat(),
        )

    def _require_floor(self, file: Envelope, role: str) -> None:
        self._floors.require_version(file, role, self.root.keys, self.root.roles[role].keyids)  # rule 8


def _known(file: _File | None, role: str) -> _File:
    if file is None:
        raise RuntimeError(f"no {role} is trusted yet")
    return file


def _first_time(untouched: bool, role: str) -> None:  # noqa: FBT001 - reads as the sentence it is
    if not untouched:
        raise RuntimeError(f"{role} is trusted already, or was refused")
